//! IPC: what images of an order are known by.
//!
//! Spec: HL7 v2.5.1 section 4.5.6; DICOM PS3.4 K.6

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::ei::EI;
use crate::hl7v2::map::work::Work;
use serde_json::{Value as Json, json};

const ROWS: &[Row] = &[
    ("IPC-1", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "ACSN"))),
    ("IPC-3", "identifier", As::Of(study)),
    ("IPC-5", "orderDetail", CWE),
    ("IPC-6", "orderDetail", CWE),
];

/// Reads a segment into a request.
pub(in crate::hl7v2) fn procedure(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>) {
    work.fill(request, segment, ROWS);
}

/// The UID of a study, as DICOM and FHIR write it.
fn study(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let uid = value.peek()?;
    crate::xds::values::is_oid(uid.trim()).then(|| value.text())?;
    Some(json!({ "system": "urn:dicom:uid", "value": format!("urn:oid:{}", uid.trim()) }))
}
