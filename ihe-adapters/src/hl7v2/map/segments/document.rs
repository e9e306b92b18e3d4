//! OBX with a document (ED, RP), as DocumentReference.
//!
//! Spec: HL7 v2-to-FHIR, OBX[DocumentReference]

use serde_json::{Value as Json, json};

use super::{note, obx};
use crate::hl7v2::map::codes::Codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::INSTANT;
use crate::hl7v2::map::types::ed;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work};

/// Status of an observation, as that of a document.
const DOCUMENT_STATUS: Codes = Codes {
    table: "0085",
    rows: &[
        ("F", "", "final"),
        ("P", "", "preliminary"),
        ("C", "", "amended"),
        ("D", "", "entered-in-error"),
        ("A", "", "amended"),
        ("W", "", "entered-in-error"),
    ],
};

pub(super) const ROWS: &[Row] = &[
    ("OBX-3", "type", CWE),
    ("OBX-11", "docStatus", As::Code(&DOCUMENT_STATUS)),
    ("OBX-14", "date", INSTANT),
    ("OBX-16", "author", XCN),
];

/// Tells whether a segment holds a CDA document.
pub(in crate::hl7v2) fn is_cda(work: &Work<'_>, segment: &Segment<'_>) -> bool {
    let source = work.source;
    let is_data = source.value(segment, 2).and_then(Value::peek).as_deref() == Some("ED");
    let mark = source.mark();
    let value = source.value(segment, 5).filter(|_| is_data);
    let attachment = value.and_then(|value| ed::attachment(work, value));
    source.forget_since(mark);
    attachment.is_some_and(|attachment| attachment["contentType"] == ed::CDA)
}

/// Adds the document of a segment.
pub(in crate::hl7v2) fn document(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
    setting: &obx::Setting<'_>,
    report: &Json,
) {
    let source = work.source;
    let mark = source.mark();
    let attachment = source.value(segment, 5).and_then(|value| ed::attachment(work, value));
    let Some(mut attachment) = attachment else {
        source.forget_since(mark);
        return;
    };
    note(source, segment, &[1, 2]);
    let mut document = Draft::new("DocumentReference");
    document.put("status", json!("current"));
    work.fill(&mut document, segment, ROWS);
    let title = &document.element("type")["coding"][0]["display"];
    if title.is_string() {
        attachment["title"] = title.clone();
    }
    document.put("content", json!({ "attachment": attachment }));
    if let Some(patient) = work.patient.clone() {
        document.put("subject", patient);
    }
    if let Some(encounter) = setting.encounter.clone() {
        document.put("context.encounter", encounter);
    }
    document.put("context.related", report.clone());
    let key = work.key_of_patient(&["OBX", setting.key, "document", &document.element("type").to_string()]);
    if work.has("DocumentReference", &key) {
        source.forget_since(mark);
        return;
    }
    work.add(document, &key, Known::Own);
}
