//! The bytes of documents, apart from what is said of them: stored once by
//! their hash, read and written as streams.

use std::io::{self, Read};

use fhir_model::interaction::Content;

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
