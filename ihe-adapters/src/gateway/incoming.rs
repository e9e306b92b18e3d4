//! Takes a message in as it arrives: the envelope and small documents in
//! memory, large ones beside it straight to the document store (ADR 16).

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fhir_model::interaction::Carried;
use fhir_model::primitive::{base64, hexadecimal};
use futures_util::StreamExt;
use sha1::{Digest, Sha1};

use super::{Arriving, Chunk, Settings};
use crate::documents::{Documents, SMALL_BYTES_MAX, Upload, is_away};
use crate::wire::content_type::ContentType;
use crate::wire::mtom::{self, Event, MtomError, Part, Reader};
use crate::wire::soap::{Envelope, Fault};
use crate::wire::xml::{Element, Limits, source_of};
use crate::xds::repository::provide_and_register::Received;
use crate::xua;

/// So many bytes are gathered before they are written to the document store.
const WRITE_BYTES: usize = 256 << 10;
/// Bytes of small documents that are held of one message; those that come
/// after go to the document store.
const HELD_BYTES_MAX: usize = 4 << 20;

/// A message that has arrived. `P`: what its documents are then.
pub(super) struct Incoming<P = Received> {
    pub(super) envelope: Envelope,
    /// The assertion about its user, as it stands in it.
    pub(super) assertion: Option<String>,
    /// The documents beside it.
    pub(super) parts: Vec<P>,
    /// What the address that it came to names below the door.
    pub(super) below: Option<String>,
    /// Its text, where that is checked.
    pub(super) source: Option<Bytes>,
}

/// A document that only passes through.
pub(super) struct Passing {
    /// The id of its part.
    pub(super) content_id: Option<String>,
    /// Its bytes.
    pub(super) chunk: Chunk,
}

impl Incoming {
    /// Takes a message in, and makes its large documents durable.
    ///
    /// # Errors
    /// A fault, when it is no message, or too large, or cannot be stored.
    pub(super) async fn receive(
        content_type: &str,
        body: Arriving,
        documents: &Arc<dyn Documents>,
        settings: &Settings,
    ) -> Result<Incoming, Fault> {
        receive(content_type, body, documents, settings, Receiving::finish).await
    }
}

impl Incoming<Passing> {
    /// Takes a message in whose documents are for somebody else.
    ///
    /// # Errors
    /// As [`Incoming::receive`].
    pub(super) async fn receive_to_pass_on(
        content_type: &str,
        body: Arriving,
        documents: &Arc<dyn Documents>,
        settings: &Settings,
    ) -> Result<Incoming<Passing>, Fault> {
        receive(content_type, body, documents, settings, Receiving::pass_on).await
    }
}

/// Takes in what is nothing but parts, for somebody else.
///
/// # Errors
/// A fault, when it is broken or too large.
pub(super) async fn receive_parts_to_pass_on(
    content_type: &str,
    body: Arriving,
    documents: &Arc<dyn Documents>,
    settings: &Settings,
) -> Result<Vec<Passing>, Fault> {
    let content_type = ContentType::parse(content_type).filter(|t| t.media_type == "multipart/related");
    let content_type = content_type.ok_or_else(|| Fault::sender("the answer is not of several parts"))?;
    let (_, parts) =
        take_parts(&content_type, body, documents, settings, |_| false, Receiving::pass_on).await?;
    Ok(parts)
}

async fn receive<P>(
    content_type: &str,
    body: Arriving,
    documents: &Arc<dyn Documents>,
    settings: &Settings,
    end: impl AsyncFn(Receiving) -> Result<P, Fault>,
) -> Result<Incoming<P>, Fault> {
    let content_type = ContentType::parse(content_type);
    let multipart = content_type.filter(|t| t.media_type == "multipart/related");
    let (xml, parts) = match multipart {
        Some(content_type) => receive_parts(&content_type, body, documents, settings, end).await?,
        None => (gather(body, settings.message_bytes_max).await?, Vec::new()),
    };
    let limits = Limits { bytes_max: settings.message_bytes_max, ..Limits::default() };
    let root = Element::parse(&xml, &limits).map_err(|e| Fault::sender(format!("no XML: {e}")))?;
    let envelope = Envelope::of(root)?;
    let assertion = match xua::count(&envelope) {
        0 => None,
        1 => source_of(&xml, &xua::path(envelope.version.namespace())),
        _ => return Err(Fault::sender("the message has several assertions about its user: one is taken")),
    };
    let source = settings.schemas.is_some().then_some(xml);
    Ok(Incoming { envelope, assertion, parts, below: None, source })
}

async fn gather(mut body: Arriving, bytes_max: usize) -> Result<Bytes, Fault> {
    let mut gathered = BytesMut::new();
    while let Some(chunk) = body.next().await {
        gathered.extend_from_slice(&chunk.map_err(Fault::sender)?);
        if gathered.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
    }
    Ok(gathered.freeze())
}

fn too_large(bytes_max: usize) -> Fault {
    Fault::sender(format!("the message has more than {bytes_max} bytes beside its documents"))
}

impl From<MtomError> for Fault {
    fn from(error: MtomError) -> Fault {
        Fault::sender(error.to_string())
    }
}

fn not_stored(error: &io::Error) -> Fault {
    Fault::receiver(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "there is no room for the documents; nothing was stored"
        }
        _ if is_away(error) => {
            "the storage of the documents is away; nothing was registered: send it again later"
        }
        _ => "the documents could not be stored; nothing was registered",
    })
}

async fn receive_parts<P>(
    content_type: &ContentType,
    body: Arriving,
    documents: &Arc<dyn Documents>,
    settings: &Settings,
    end: impl AsyncFn(Receiving) -> Result<P, Fault>,
) -> Result<(Bytes, Vec<P>), Fault> {
    // Without a word the first part is the message.
    let start = content_type.parameter("start").map(|s| s.trim_matches(['<', '>']).to_owned());
    let is_message = |part: &Part| start.as_ref().is_none_or(|start| part.content_id.as_ref() == Some(start));
    let (message, parts) = take_parts(content_type, body, documents, settings, is_message, end).await?;
    let message =
        message.ok_or_else(|| Fault::sender("no part of the message is the one that `start` names"))?;
    Ok((message.freeze(), parts))
}

/// Takes parts in: the first that is the message into memory, the others to the
/// document store, each ended by `end`.
async fn take_parts<P>(
    content_type: &ContentType,
    mut body: Arriving,
    documents: &Arc<dyn Documents>,
    settings: &Settings,
    is_message: impl Fn(&Part) -> bool,
    end: impl AsyncFn(Receiving) -> Result<P, Fault>,
) -> Result<(Option<BytesMut>, Vec<P>), Fault> {
    let limits = mtom::Limits { bytes_max: settings.bytes_max, ..mtom::Limits::default() };
    let mut reader = Reader::new(content_type, limits)?;
    let mut message: Option<BytesMut> = None;
    let mut parts = Vec::new();
    let mut open: Option<Receiving> = None;
    let mut room = HELD_BYTES_MAX;
    while let Some(chunk) = body.next().await {
        reader.push(&chunk.map_err(Fault::sender)?)?;
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Start(part) if message.is_none() && is_message(&part) => {
                    message = Some(BytesMut::new());
                    open = None;
                }
                Event::Start(part) => open = Some(Receiving::begin(part, documents, room)),
                Event::Data(bytes) => match (&mut open, &mut message) {
                    (Some(receiving), _) => receiving.write(bytes).await?,
                    (None, Some(message)) => {
                        message.extend_from_slice(&bytes);
                        if message.len() > settings.message_bytes_max {
                            return Err(too_large(settings.message_bytes_max));
                        }
                    }
                    (None, None) => {}
                },
                Event::End => {
                    if let Some(receiving) = open.take() {
                        if receiving.is_small() {
                            room = room.saturating_sub(receiving.waiting.len());
                        }
                        parts.push(end(receiving).await?);
                    }
                }
                Event::Finished => {}
            }
        }
    }
    reader.finish()?;
    Ok((message, parts))
}

/// A document that is being received.
struct Receiving {
    content_id: Option<String>,
    documents: Arc<dyn Documents>,
    /// What it is written to, from when there is more of it than waits.
    upload: Option<Box<dyn Upload>>,
    sha1: Sha1,
    /// What is not written yet.
    waiting: BytesMut,
    size: u64,
    /// With how many bytes at most it is small.
    small_bytes_max: usize,
}

impl Receiving {
    /// Begins; `room`: how many bytes it may have to be held.
    fn begin(part: Part, documents: &Arc<dyn Documents>, room: usize) -> Receiving {
        Receiving {
            content_id: part.content_id,
            documents: Arc::clone(documents),
            upload: None,
            sha1: Sha1::new(),
            waiting: BytesMut::new(),
            size: 0,
            small_bytes_max: SMALL_BYTES_MAX.min(room),
        }
    }

    /// Tells whether all of it is here, and little.
    fn is_small(&self) -> bool {
        self.upload.is_none() && self.waiting.len() <= self.small_bytes_max
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.sha1.update(&bytes);
        self.size += bytes.len() as u64;
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() >= WRITE_BYTES {
            self.upload = Some(self.flush(Ok).await?);
        }
        Ok(())
    }

    /// Writes what waits, and does `then` with what it was written to.
    async fn flush<T: Send + 'static>(
        &mut self,
        then: impl FnOnce(Box<dyn Upload>) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (upload, waiting) = (self.upload.take(), self.waiting.split().freeze());
        let documents = Arc::clone(&self.documents);
        blocking(move || {
            let mut upload = upload.map_or_else(|| documents.begin(), Ok)?;
            upload.write(&waiting)?;
            then(upload)
        })
        .await
    }

    async fn finish(mut self) -> Result<Received, Fault> {
        let bytes = match self.is_small() {
            true => Carried::Here(self.waiting.split().freeze()),
            false => Carried::Stored(self.flush(Upload::finish).await?),
        };
        let sha1 = hexadecimal::encode(&self.sha1.finalize());
        Ok(Received { content_id: self.content_id, bytes, sha1 })
    }

    async fn pass_on(mut self) -> Result<Passing, Fault> {
        let chunk = match self.is_small() {
            true => Chunk::Bytes(self.waiting.split().freeze()),
            false => Chunk::Document(self.flush(Upload::pass_on).await?, self.size),
        };
        Ok(Passing { content_id: self.content_id, chunk })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|failure| Err(io::Error::other(failure))).map_err(|error| not_stored(&error))
}

/// Stores a document that stood in the message.
///
/// # Errors
/// A fault, when it is not base64 or cannot be stored.
pub(super) async fn store_inline(text: &str, documents: &Arc<dyn Documents>) -> Result<Received, Fault> {
    let bytes = base64::decode(text);
    let bytes = bytes.ok_or_else(|| Fault::sender("a document in the message is not base64"))?;
    let mut receiving = Receiving::begin(Part::default(), documents, HELD_BYTES_MAX);
    receiving.write(bytes.into()).await?;
    receiving.finish().await
}
