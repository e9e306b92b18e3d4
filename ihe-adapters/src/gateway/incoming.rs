//! Takes a message in as it arrives: the envelope in memory, documents beside
//! it straight to the document store.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use fhir_model::primitive::{base64, hexadecimal};
use futures_util::StreamExt;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::{Arriving, Chunk, Settings};
use crate::documents::{Documents, Upload, is_away};
use crate::wire::content_type::ContentType;
use crate::wire::mtom::{self, Event, MtomError, Part, Reader};
use crate::wire::soap::{Envelope, Fault};
use crate::wire::xml::{Element, Limits, source_of};
use crate::xds::repository::provide_and_register::Received;
use crate::xua;

/// So many bytes are gathered before they are written to the document store.
const WRITE_BYTES: usize = 256 << 10;

/// A message that has arrived. `P`: what its documents are then.
pub(super) struct Incoming<P = Received> {
    pub(super) envelope: Envelope,
    /// The assertion about its user, as it stands in it.
    pub(super) assertion: Option<String>,
    /// The documents beside it.
    pub(super) parts: Vec<P>,
}

/// A document that only passes through.
pub(super) struct Passing {
    /// The id of its part.
    pub(super) content_id: Option<String>,
    /// Its bytes.
    pub(super) chunk: Chunk,
}

impl Incoming {
    /// Takes a message in, and makes its documents durable.
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
    Ok(Incoming { envelope, assertion, parts })
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
    while let Some(chunk) = body.next().await {
        reader.push(&chunk.map_err(Fault::sender)?)?;
        while let Some(event) = reader.next_event()? {
            match event {
                Event::Start(part) if message.is_none() && is_message(&part) => {
                    message = Some(BytesMut::new());
                    open = None;
                }
                Event::Start(part) => open = Some(Receiving::begin(part, documents).await?),
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
    upload: Box<dyn Upload>,
    sha1: Context,
    /// What is not written yet.
    waiting: BytesMut,
    size: u64,
}

impl Receiving {
    async fn begin(part: Part, documents: &Arc<dyn Documents>) -> Result<Receiving, Fault> {
        let documents = Arc::clone(documents);
        let upload = blocking(move || documents.begin()).await?;
        let sha1 = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        Ok(Receiving { content_id: part.content_id, upload, sha1, waiting: BytesMut::new(), size: 0 })
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Fault> {
        self.sha1.update(&bytes);
        self.size += bytes.len() as u64;
        self.waiting.extend_from_slice(&bytes);
        if self.waiting.len() < WRITE_BYTES {
            return Ok(());
        }
        let waiting = self.waiting.split().freeze();
        let mut upload = std::mem::replace(&mut self.upload, Box::new(Gone));
        self.upload = blocking(move || upload.write(&waiting).map(|()| upload)).await?;
        Ok(())
    }

    async fn finish(self) -> Result<Received, Fault> {
        let Receiving { content_id, mut upload, sha1, waiting, .. } = self;
        let content = blocking(move || {
            upload.write(&waiting)?;
            upload.finish()
        });
        Ok(Received {
            content_id,
            content: content.await?,
            sha1: hexadecimal::encode(sha1.finish().as_ref()),
        })
    }

    async fn pass_on(self) -> Result<Passing, Fault> {
        let Receiving { content_id, mut upload, waiting, size, .. } = self;
        let reader = blocking(move || {
            upload.write(&waiting)?;
            upload.pass_on()
        });
        Ok(Passing { content_id, chunk: Chunk::Document(reader.await?, size) })
    }
}

/// Stands in the place of an upload while that is written to elsewhere.
struct Gone;

impl Upload for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn finish(self: Box<Self>) -> io::Result<fhir_model::interaction::Content> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn pass_on(self: Box<Self>) -> io::Result<Box<dyn io::Read + Send>> {
        Err(io::ErrorKind::NotConnected.into())
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
    let mut receiving = Receiving::begin(Part::default(), documents).await?;
    receiving.write(bytes.into()).await?;
    receiving.finish().await
}
