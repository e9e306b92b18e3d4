//! ORC: what is done with an order, as ServiceRequest.
//!
//! Spec: HL7 v2-to-FHIR, ORC[ServiceRequest]

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{ORDER_CONTROL, ORDER_STATUS, same};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::ei::{EI, FILLED_PARENT, PLACED_PARENT};
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::types::xtn::XTN;
use crate::hl7v2::map::work::Work;

/// Placer order number, and filler order number.
pub(in crate::hl7v2) const PLACER: As = As::Or(&EI, "type", Constant::Concept("v2-0203", "PLAC"));
pub(in crate::hl7v2) const FILLER: As = As::Or(&EI, "type", Constant::Concept("v2-0203", "FILL"));

const STATUS_REASON: &str = "http://hl7.org/fhir/StructureDefinition/request-statusReason";
pub(super) const CALLBACK: &str =
    "http://hl7.org/fhir/StructureDefinition/servicerequest-order-callback-phone-number";
const BUSINESS_EVENT: &str = "http://hl7.org/fhir/StructureDefinition/businessEvent";

/// Of the ServiceRequest.
pub(super) const ROWS: &[Row] = &[
    ("ORC-2", "identifier", PLACER),
    ("ORC-3", "identifier", FILLER),
    ("ORC-4", "requisition", As::Or(&EI, "type", Constant::Concept("v2-0203", "PGN"))),
    ("ORC-5", "status", As::Code(&ORDER_STATUS)),
    ("ORC-1", "status", As::Code(&ORDER_CONTROL)),
    ("ORC-8", "basedOn", PLACED_PARENT),
    ("ORC-8", "basedOn", FILLED_PARENT),
    ("ORC-12", "requester", XCN),
    ("ORC-14", "extension", As::Within("valueContactPoint", &XTN, &[("url", Constant::Text(CALLBACK))])),
    ("ORC-29", "locationCode", As::Concept(&same("0482"))),
    (
        "ORC-16",
        "extension",
        As::Within("valueCodeableConcept", &CWE, &[("url", Constant::Text(STATUS_REASON))]),
    ),
];

/// The numbers of an order, of what came of it.
pub(in crate::hl7v2) const NUMBERS: &[Row] =
    &[("ORC-3", "identifier", FILLER), ("ORC-2", "identifier", PLACER)];

/// What is done with an order.
const CONTROL: &[Row] = &[(
    "ORC-1",
    "extension",
    As::Within(
        "extension",
        &As::Listed(&As::Within(
            "valueCodeableConcept",
            &As::Concept(&same("0119")),
            &[("url", Constant::Text("value"))],
        )),
        &[("url", Constant::Text(BUSINESS_EVENT))],
    ),
)];

/// When an order was made, and when something else was done with it.
const NEW: &[Row] = &[("ORC-9", "authoredOn", DTM)];
const CHANGED: &[Row] = &[(
    "ORC-9",
    "extension",
    As::Within(
        "extension",
        &As::Listed(&As::Within("valueDateTime", &DTM, &[("url", Constant::Text("date"))])),
        &[("url", Constant::Text(BUSINESS_EVENT))],
    ),
)];

/// Fills a ServiceRequest from a segment.
pub(in crate::hl7v2) fn fill(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>) {
    work.fill(request, segment, ROWS);
    event(work, request, segment);
    when(work, request, segment);
}

/// Says what was done with the order from which something came.
pub(in crate::hl7v2) fn event(work: &mut Work<'_>, draft: &mut Draft, segment: &Segment<'_>) {
    work.fill(draft, segment, CONTROL);
}

/// Says when a request was made, or when something else was done with it: only a new one tells who made it when.
pub(in crate::hl7v2) fn when(work: &mut Work<'_>, request: &mut Draft, segment: &Segment<'_>) {
    let is_new = work.source.value(segment, 1).and_then(Value::peek).as_deref() == Some("NW");
    work.fill(request, segment, if is_new { NEW } else { CHANGED });
}
