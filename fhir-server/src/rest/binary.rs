//! Binary: a resource that is also the bytes it carries.
//!
//! Spec: <https://hl7.org/fhir/R4/binary.html#rest>

use std::io::{self, Read};
use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::Content;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::base64;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;

use futures_util::Stream;
use ihe_adapters::documents::{self, Documents, is_away};

use super::negotiate::{self, Accepted};
use crate::interaction::binary::carry;

/// Wraps bytes into a Binary.
pub(super) fn wrap(content_type: &str, bytes: &[u8], security_context: Option<&str>) -> Resource {
    let mut binary = Resource::new(ty::BINARY);
    let root = binary.root_id();
    let definition = ty::BINARY.definition();
    if let Some((_, property)) = definition.property("contentType", 0) {
        binary.add_value(root, property, content_type);
    }
    if let (Some(reference), Some((_, property))) =
        (security_context, definition.property("securityContext", 0))
    {
        let context = binary.add(root, property, ty::REFERENCE);
        if let Some((_, property)) = ty::REFERENCE.definition().property("reference", 0) {
            binary.add_value(context, property, reference);
        }
    }
    carry(&mut binary, bytes);
    binary
}

/// Gives a Binary the id of its URL.
pub(super) fn set_id(binary: &mut Resource, id: &str) {
    let root = binary.root_id();
    if let Some((_, property)) = ty::BINARY.definition().property("id", 0) {
        let node = binary.insert_first(root, property, property.ty);
        binary.set_value(node, id);
    }
}

/// What a Binary carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Carried {
    /// The media type of the bytes.
    pub(super) media_type: String,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// The reference that governs access, for `X-Security-Context`.
    pub(super) security_context: Option<String>,
}

/// Takes out what a Binary carries; `None` when it is none, or carries what
/// cannot be decoded.
pub(super) fn unwrap(json: Bytes) -> Option<Carried> {
    let binary = fhir_model::json::read(json).ok().filter(|r| r.resource_type() == ty::BINARY)?;
    let root = binary.root();
    root.text_of(name::CONTENT_TYPE)?;
    let bytes = base64::decode(root.text_of(name::DATA).unwrap_or(""))?;
    Some(Carried { bytes, ..carried(&binary) })
}

/// Reads a stored Binary.
///
/// # Errors
/// 500 when it is none.
pub(super) fn read(json: Bytes) -> Result<Resource, Issue> {
    let binary = fhir_model::json::read(json).ok().filter(|r| r.resource_type() == ty::BINARY);
    binary.ok_or_else(|| Issue::fatal(IssueType::Exception).text("the stored Binary is damaged"))
}

/// Returns what is said of the bytes of a Binary, without them.
pub(super) fn carried(binary: &Resource) -> Carried {
    let root = binary.root();
    let context = root.child_named("securityContext").and_then(|c| c.child_named("reference"));
    Carried {
        media_type: root.text_of(name::CONTENT_TYPE).unwrap_or("application/octet-stream").to_owned(),
        bytes: Vec::new(),
        security_context: context.and_then(|c| c.value()).map(str::to_owned),
    }
}

/// How large a document may be to be written as FHIR, where it stands in memory
/// more than once.
const AS_FHIR_BYTES_MAX: u64 = 64 << 20;

/// Bytes of a document that are still to be read.
pub(super) struct Opened {
    /// How many there are.
    pub(super) size: u64,
    reader: Box<dyn Read + Send>,
}

impl Opened {
    /// Opens a document.
    ///
    /// # Errors
    /// 500 when it cannot be read: it is there, by what is stored; 503 when
    /// where it is stored is away.
    pub(super) async fn open(documents: &Arc<dyn Documents>, content: Content) -> Result<Opened, Issue> {
        let documents = Arc::clone(documents);
        let opened = tokio::task::spawn_blocking(move || documents.open(&content)).await;
        match opened.unwrap_or_else(|failure| Err(io::Error::other(failure))) {
            Ok(reader) => Ok(Opened { size: content.size, reader }),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Reads all of it, and returns a Binary that carries it.
    ///
    /// # Errors
    /// When it is too large for that, or cannot be read.
    pub(super) fn into_binary(mut self, mut binary: Resource) -> Result<Resource, Issue> {
        if self.size > AS_FHIR_BYTES_MAX {
            let text = format!(
                "the document has {} bytes, and is shown as FHIR up to {AS_FHIR_BYTES_MAX}; \
                 ask for its bytes by `Accept: */*`",
                self.size
            );
            return Err(Issue::error(IssueType::TooCostly).at("http.accept").text(text));
        }
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.reader.read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        carry(&mut binary, &bytes);
        Ok(binary)
    }

    /// Reads it bit by bit, off the thread that serves.
    pub(super) fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        documents::stream(self.reader, self.size)
    }
}

fn unreadable(error: &io::Error) -> Issue {
    if is_away(error) {
        let text = "the storage of the documents is away: ask again later";
        return Issue::error(IssueType::Transient).text(text);
    }
    tracing::error!(%error, "a stored document cannot be read");
    Issue::fatal(IssueType::Exception)
        .text("the stored document cannot be read; the operators have been told")
}

/// Tells whether a Binary with that media type is answered as the bytes that it
/// carries: unless the caller asks for FHIR, or for JSON or XML where the
/// bytes are none.
pub(super) fn is_raw_wanted(accepted: &Accepted, media_type: &str) -> bool {
    match accepted {
        Accepted::Fhir(_) => false,
        Accepted::Generic(_, wanted) => negotiate::is_same_kind(wanted, media_type),
        Accepted::Any | Accepted::Other => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::negotiate::Format;
    use super::*;

    #[test]
    fn bytes_come_back() {
        let mut binary = wrap("image/png", b"\x89PNG", Some("Patient/1"));
        set_id(&mut binary, "x");
        let json = fhir_model::json::to_json(&binary);
        assert!(String::from_utf8_lossy(&json).contains(r#""id":"x""#));
        let expected = Carried {
            media_type: "image/png".to_owned(),
            bytes: b"\x89PNG".to_vec(),
            security_context: Some("Patient/1".to_owned()),
        };
        assert_eq!(unwrap(json.into()), Some(expected));
        assert_eq!(unwrap(Bytes::from_static(b"{}")), None);
    }

    #[test]
    fn who_gets_the_bytes() {
        let generic = |media_type: &str| Accepted::Generic(Format::Json, media_type.to_owned());
        for (accepted, media_type, expected) in [
            (Accepted::Any, "application/pdf", true),
            (Accepted::Other, "application/pdf", true),
            (Accepted::Fhir(Format::Xml), "application/pdf", false),
            (generic("application/json"), "application/pdf", false),
            (generic("application/json"), "application/json; charset=utf-8", true),
        ] {
            assert_eq!(is_raw_wanted(&accepted, media_type), expected, "{accepted:?} {media_type}");
        }
    }
}
