//! The bytes of documents, apart from what is said of them: stored once by
//! their hash, read and written as streams.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::{Carried, Content};
use fhir_model::primitive::hexadecimal;
use futures_util::Stream;
use sha1::{Digest, Sha1};

/// Tells whether the storage of the documents is away, for a while as it seems.
pub fn is_away(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotConnected
}

/// Keeps the bytes of documents. All of it blocks.
pub trait Documents: Send + Sync {
    /// Begins to store a document.
    ///
    /// # Errors
    /// When it cannot be written.
    fn begin(&self) -> io::Result<Box<dyn Upload>>;

    /// Opens a document that was stored.
    ///
    /// # Errors
    /// When it is not there, or cannot be read.
    fn open(&self, content: &Content) -> io::Result<Box<dyn Read + Send>>;
}

/// A document that is being stored; dropped, nothing of it remains.
pub trait Upload: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Ends the document, and returns when it is durable.
    ///
    /// # Errors
    /// When it cannot be made durable; nothing of it remains then.
    fn finish(self: Box<Self>) -> io::Result<Content>;

    /// Ends the document without storing it: gives out what was written, once.
    /// For what only passes through.
    ///
    /// # Errors
    /// When it cannot be read back.
    fn pass_on(self: Box<Self>) -> io::Result<Box<dyn Read + Send>>;
}

/// Documents of more bytes go to the document store; those of fewer become a
/// part of the resource that they are, and need no file of their own (ADR 16).
pub(crate) const SMALL_BYTES_MAX: usize = 64 << 10;

/// Makes a document that is in memory ready to be carried by a Binary: one that is not small is stored.
///
/// # Errors
/// When it cannot be made durable.
pub(crate) async fn carried(bytes: Vec<u8>, documents: &Arc<dyn Documents>) -> io::Result<Carried> {
    if bytes.len() <= SMALL_BYTES_MAX {
        return Ok(Carried::Here(bytes.into()));
    }
    let documents = Arc::clone(documents);
    let stored = move || {
        let mut upload = documents.begin()?;
        upload.write(&bytes)?;
        upload.finish().map(Carried::Stored)
    };
    tokio::task::spawn_blocking(stored).await.unwrap_or_else(|failure| Err(io::Error::other(failure)))
}

/// How many bytes of a document are read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads so many bytes bit by bit, off the thread that serves: not more than
/// was told, and an error for less.
pub fn stream(reader: Box<dyn Read + Send>, size: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::try_unfold((reader.take(size), size), |(mut reader, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES.min(left as usize));
            let count = reader.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)? as u64;
            match count {
                0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                count => Ok(Some((Bytes::from(chunk), (reader, left.saturating_sub(count))))),
            }
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|failure| Err(io::Error::other(failure)))
    })
}

/// Returns the SHA-1 of bytes in hexadecimal, by which metadata know documents.
pub(crate) fn sha1(bytes: &[u8]) -> String {
    hexadecimal::encode(&Sha1::digest(bytes))
}
