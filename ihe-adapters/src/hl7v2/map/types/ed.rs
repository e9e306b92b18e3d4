//! ED and RP: bytes, or where they are, as Attachment.
//!
//! Spec: HL7 v2.5.1 sections 2.A.24, 2.A.63; tables 0191, 0291, 0299

use fhir_model::primitive::{base64, hexadecimal};
use serde_json::{Value as Json, json};

use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// Types of data: type, subtype, and what they are called in MIME.
const TYPES: &[(&str, &str, &str)] = &[
    ("application", "pdf", "application/pdf"),
    ("application", "rtf", "application/rtf"),
    ("application", "xml", "application/xml"),
    ("application", "msword", "application/msword"),
    ("application", "dicom", "application/dicom"),
    ("application", "octet-stream", "application/octet-stream"),
    ("application", "", "application/octet-stream"),
    ("audio", "basic", "audio/basic"),
    ("image", "jpeg", "image/jpeg"),
    ("image", "png", "image/png"),
    ("image", "gif", "image/gif"),
    ("image", "tiff", "image/tiff"),
    ("text", "plain", "text/plain"),
    ("text", "html", "text/html"),
    ("text", "xml", "text/xml"),
    ("text", "richtext", "text/richtext"),
    ("text", "sgml", "text/sgml"),
    ("text", "x-hl7-cda-level-one", CDA),
    ("multipart", "x-hl7-cda-level-one", CDA),
    ("text", "", "text/plain"),
];

/// What CDA documents are called in MIME.
pub(in crate::hl7v2) const CDA: &str = "application/hl7-v3+xml";

/// Makes an Attachment of encapsulated data.
pub(in crate::hl7v2) fn attachment(work: &Work<'_>, value: Value<'_>) -> Option<Json> {
    let (kind, subtype) = (value.peek_of(2), value.peek_of(3));
    let data = value.part(5)?;
    // Senders forget to escape `&`: of bytes nothing is a sub-component.
    let text = data.peek_whole()?;
    let bytes = match value.peek_of(4).map(|encoding| encoding.to_ascii_lowercase()).as_deref() {
        Some("base64") => {
            let text: String = text.split_ascii_whitespace().collect();
            base64::decode(&text)?
        }
        Some("hex") => hexadecimal::decode(text.trim())?,
        // What is no encoding at all is often not called `A` either.
        Some("a" | "ascii") | None => text.into_bytes(),
        Some(_) => return None,
    };
    let content_type = content_type(kind.as_deref().unwrap_or(""), subtype.as_deref().unwrap_or(""), &bytes)?;
    [3, 4, 5].into_iter().filter_map(|part| value.part(part)).for_each(Value::note_all);
    of_sender(work, value.part(1));
    // A subtype that tells the kind as well leaves nothing to the kind but to say the same.
    let lower = |text: Option<String>| text.unwrap_or_default().to_ascii_lowercase();
    let (kind, subtype) = (lower(kind), lower(subtype));
    let used = subtype.split_once('/').map_or(kind.as_str(), |(used, _)| used);
    if kind_of(&kind) == kind_of(used) {
        value.text_of(2);
    }
    Some(json!({ "contentType": content_type, "data": base64::encode(&bytes) }))
}

/// Makes an Attachment of a pointer to data.
pub(in crate::hl7v2) fn pointer(work: &Work<'_>, value: Value<'_>) -> Option<Json> {
    let url = value.peek_of(1).filter(|url| url.contains(':') && !url.contains(char::is_whitespace))?;
    let (kind, subtype) = (value.peek_of(3), value.peek_of(4));
    let content_type = content_type(kind.as_deref().unwrap_or(""), subtype.as_deref().unwrap_or(""), &[]);
    value.text_of(1);
    of_sender(work, value.part(2));
    let mut attachment = json!({ "url": url });
    if let Some(content_type) = content_type.filter(|_| kind.is_some()) {
        [3, 4].into_iter().filter_map(|part| value.part(part)).for_each(Value::note_all);
        attachment["contentType"] = json!(content_type);
    }
    Some(attachment)
}

/// Notes the application that made something, where that is who sends it.
fn of_sender(work: &Work<'_>, application: Option<Value<'_>>) {
    let sender = work.header.sender.split('|').next().filter(|sender| !sender.is_empty());
    if let Some(application) = application.filter(|told| sender.is_some_and(|sender| told.raw() == sender)) {
        application.note_all();
    }
}

/// Returns what a kind is called in MIME: older versions have abbreviations.
fn kind_of(kind: &str) -> String {
    let whole = match kind {
        "ap" => "application",
        "tx" | "ft" => "text",
        "im" => "image",
        other => other,
    };
    whole.to_owned()
}

fn content_type(kind: &str, subtype: &str, bytes: &[u8]) -> Option<String> {
    let (kind, subtype) = (kind.to_ascii_lowercase(), subtype.to_ascii_lowercase());
    // Some write the whole name where the subtype stands.
    let (kind, subtype) = match subtype.split_once('/') {
        Some((kind, subtype)) => (kind.to_owned(), subtype.to_owned()),
        None => (kind, subtype),
    };
    let kind = kind_of(&kind);
    let kind = kind.as_str();
    let known = TYPES.iter().find(|(k, s, _)| *k == kind && *s == subtype).map(|(_, _, name)| *name);
    let is_xml = known.is_some_and(|name| name.ends_with("xml"));
    let is_cda = is_xml && memchr::memmem::find(bytes, b"ClinicalDocument").is_some();
    let is_token = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.+".contains(&b))
    };
    match known {
        _ if is_cda => Some(CDA.to_owned()),
        Some(known) => Some(known.to_owned()),
        None => (is_token(kind) && is_token(&subtype)).then(|| format!("{kind}/{subtype}")),
    }
}
