//! TXA: a document, as DocumentReference.
//!
//! Spec: HL7 v2-to-FHIR, TXA[DocumentReference]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::statuses::{COMPLETION, CONFIDENTIALITY};
use crate::hl7v2::map::tables::same;
use crate::hl7v2::map::types::dtm::{DTM, INSTANT};
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work};

const ROWS: &[Row] = &[
    ("TXA-2", "type", As::Concept(&same("0270"))),
    ("TXA-4", "context.period.start", DTM),
    ("TXA-6", "date", INSTANT),
    ("TXA-9", "author", XCN),
    // Who has authenticated counts before who was to.
    ("TXA-22", "authenticator", XCN),
    ("TXA-10", "authenticator", XCN),
    ("TXA-12", "masterIdentifier", EI),
    (
        "TXA-14",
        "context.related",
        As::Within("identifier", &EI, &[("type", Constant::Text("ServiceRequest"))]),
    ),
    (
        "TXA-15",
        "context.related",
        As::Within("identifier", &EI, &[("type", Constant::Text("ServiceRequest"))]),
    ),
    ("TXA-16", "identifier", As::Within("value", &ST, &[])),
    ("TXA-17", "docStatus", As::Code(&COMPLETION)),
    ("TXA-18", "securityLabel", As::Concept(&CONFIDENTIALITY)),
    ("TXA-25", "description", ST),
];

/// What an event does with the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hl7v2) struct Does {
    /// What becomes of it.
    pub(in crate::hl7v2) status: &'static str,
    /// What it is to the one before it (TXA-13), as FHIR says it.
    pub(in crate::hl7v2) relates: Option<&'static str>,
}

/// A document that was read.
pub(in crate::hl7v2) struct Document {
    /// What will be stored.
    pub(in crate::hl7v2) draft: Draft,
    /// What it is told apart by.
    pub(in crate::hl7v2) key: String,
    /// How the server finds it.
    pub(in crate::hl7v2) known: Known,
}

/// Reads a segment.
pub(in crate::hl7v2) fn document(work: &mut Work<'_>, segment: &Segment<'_>, does: Does) -> Document {
    let source = work.source;
    note(source, segment, &[1]);
    let mut document = Draft::new("DocumentReference");
    work.fill(&mut document, segment, ROWS);
    same_person(source, segment);
    availability(work, &mut document, segment, does.status);
    if let Some(subject) = work.patient.clone() {
        document.put("subject", subject);
    }
    if let Some(parent) = does.relates.and_then(|_| source.value(segment, 13))
        && let Some(identifier) = work.convert(&mut document, parent, &EI)
        && let Some(code) = does.relates
    {
        let target = json!({ "type": "DocumentReference", "identifier": identifier });
        if code == "replaces"
            && let Some(query) = work.by_number(&target["identifier"])
        {
            // What is replaced is out of date, where it is known here.
            let mut replaced = Draft::new("DocumentReference");
            replaced.put("status", json!("superseded"));
            work.amend(replaced, &query);
        }
        document.put("relatesTo", json!({ "code": code, "target": target }));
    }
    let number = document.element("masterIdentifier").clone();
    let key = work.key_of_patient(&["TXA", &ei::key(work, &number)]);
    let known = ei::known(work, &number);
    Document { draft: document, key, known }
}

/// TXA-5: who did what the document is about; read where he is who wrote it (TXA-9).
fn same_person(source: &Source<'_>, segment: &Segment<'_>) {
    let authors: Vec<String> = source.values(segment, 9).into_iter().map(Value::raw).collect();
    for value in source.values(segment, 5).into_iter().filter(|value| authors.contains(&value.raw())) {
        value.note_all();
    }
}

/// TXA-19: whether the document can be had. What FHIR does not tell apart stands beside it.
fn availability(work: &mut Work<'_>, document: &mut Draft, segment: &Segment<'_>, status: &str) {
    let told = work.source.value(segment, 19).and_then(|value| value.text());
    let status = match told.as_deref().map(str::trim) {
        Some("OB") => "superseded",
        Some("CA") => "entered-in-error",
        _ => status,
    };
    document.put("status", json!(status));
    if let Some(code) = told.filter(|code| code.trim() != "AV") {
        let concept: Json = codes::concept("v2-0273", code.trim());
        let url = "http://hl7.org/fhir/StructureDefinition/alternate-codes";
        document.put("_status.extension", json!({ "url": url, "valueCodeableConcept": concept }));
    }
}
