//! MDM: documents are written, changed and taken back.
//!
//! Spec: HL7 v2.5.1 section 9.6; HL7 v2-to-FHIR, MDM_T02

use fhir_model::primitive::base64;
use serde_json::{Value as Json, json};

use super::Family;
use super::subject::subject;
use crate::hl7v2::map::segments::nte;
use crate::hl7v2::map::segments::txa::{self, Does};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::types::ed;
use crate::hl7v2::map::work::Work;
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};

pub(super) const FAMILY: Family = Family { message: "MDM", events: TRIGGERS, read };

const TRIGGERS: &[&str] = &["T02", "T04", "T06", "T08", "T10", "T11"];

const EVENTS: &[(&str, Does)] = &[
    ("T02", Does { status: "current", relates: None }),
    ("T04", Does { status: "current", relates: None }),
    ("T06", Does { status: "current", relates: Some("appends") }),
    ("T08", Does { status: "current", relates: None }),
    ("T10", Does { status: "current", relates: Some("replaces") }),
    ("T11", Does { status: "entered-in-error", relates: None }),
];

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let (_, does) = EVENTS
        .iter()
        .find(|(trigger, _)| *trigger == work.header.trigger)
        .ok_or_else(|| Refused::segment("MSH", "this event is not taken"))?;
    let visit = subject(work, mapped)?;
    let told = source.first("TXA").ok_or_else(|| Refused::segment("TXA", "there is no document"))?;
    let mut document = txa::document(work, told, *does);
    if document.draft.element("masterIdentifier").is_null() {
        return Err(Refused::new(
            Fault::RequiredField,
            Place::field("TXA", 12),
            "the document has no number",
        ));
    }
    for attachment in contents(work, told) {
        document.draft.put("content", json!({ "attachment": attachment }));
    }
    if document.draft.element("content").is_null() {
        // FHIR has no document without a content; one that is taken back needs none.
        document.draft.put("content", json!({ "attachment": { "title": "without content" } }));
        work.assume("DocumentReference", "content");
    }
    if let Some(visit) = visit {
        visit.put(&mut document.draft, "context.encounter");
    }
    let comments: Vec<&Segment<'_>> = source.named("NTE").collect();
    if document.draft.element("description").is_null() && !comments.is_empty() {
        document.draft.put("description", json!(nte::text(work, &comments)));
    }
    work.add(document.draft, &document.key, document.known);
    Ok(())
}

/// Notes what OBX only says again: of which type the value is that was read, that it is of the type of document
/// that TXA-2 says, and that it is final where TXA-17 says that as well.
fn said_again(source: &Source<'_>, document: &Segment<'_>, segment: &Segment<'_>) {
    let (kind, code, status) =
        (source.value(segment, 2), source.value(segment, 3), source.value(segment, 11));
    let document_type = source.value(document, 2).map(Value::raw);
    kind.filter(|kind| kind.peek().is_some_and(|kind| KINDS.contains(&kind.as_str())))
        .into_iter()
        .chain(code.filter(|code| Some(code.raw()) == document_type))
        .for_each(Value::note_all);
    let completion = source.value(document, 17).and_then(Value::peek);
    if matches!(completion.as_deref().map(str::trim), Some("LA" | "AU"))
        && let Some(status) = status.filter(|status| status.peek().as_deref() == Some("F"))
    {
        status.note_all();
    }
}

/// The types of values that are read.
const KINDS: &[&str] = &["ED", "RP", "TX", "FT", "ST"];

/// What a content is called.
fn titled(code: Option<Value<'_>>) -> Option<String> {
    code?.text_of(2)
}

/// What is written: each encapsulated document, and all lines of text as one.
fn contents(work: &mut Work<'_>, document: &Segment<'_>) -> Vec<Json> {
    let source = work.source;
    let mut attachments = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    let mut title = None;
    for segment in source.named("OBX") {
        let kind = source.value(segment, 2).and_then(Value::peek).unwrap_or_default();
        for value in source.values(segment, 5) {
            let attachment = match kind.as_str() {
                "ED" => ed::attachment(work, value),
                "RP" => ed::pointer(work, value),
                "TX" | "FT" | "ST" => {
                    lines.extend(value.text());
                    None
                }
                _ => None,
            };
            if let Some(mut attachment) = attachment {
                if let Some(title) = titled(source.value(segment, 3)) {
                    attachment["title"] = json!(title);
                }
                attachments.push(attachment);
            }
        }
        if matches!(kind.as_str(), "TX" | "FT" | "ST") {
            title = title.or_else(|| titled(source.value(segment, 3)));
        }
        source.values(segment, 1).into_iter().for_each(Value::note_all);
        said_again(source, document, segment);
    }
    if !lines.is_empty() {
        let data = base64::encode(lines.join("\n").as_bytes());
        let mut attachment = json!({ "contentType": "text/plain;charset=UTF-8", "data": data });
        if let Some(title) = title {
            attachment["title"] = json!(title);
        }
        attachments.push(attachment);
        // TXA-3 says that it is text, and it is.
        let presentation = source.value(document, 3);
        let is_text = |code: &str| matches!(code, "TX" | "FT" | "TEXT" | "text");
        let is_text = |value: &Value<'_>| value.peek().is_some_and(|code| is_text(code.trim()));
        presentation.filter(is_text).into_iter().for_each(Value::note_all);
    }
    attachments
}
