//! EVN: what happened, when and why, as Provenance.
//!
//! Spec: HL7 v2-to-FHIR, EVN[Provenance]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::{self, DTM};
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::mapped::Event;

pub(super) const ROWS: &[Row] = &[
    ("EVN-4", "reason", CWE),
    (
        "EVN-5",
        "agent",
        As::Within("who", &XCN, &[("type", Constant::Concept("provenance-participant-type", "enterer"))]),
    ),
    ("EVN-6", "occurredDateTime", DTM),
    (
        "EVN-7",
        "agent",
        As::Within(
            "who",
            &As::Within("display", &ST, &[]),
            &[("type", Constant::Concept("provenance-participant-type", "custodian"))],
        ),
    ),
];

/// What is told of the event beyond when it was recorded.
const TOLD: &[usize] = &[4, 5, 6, 7];

/// Reads when something happened.
pub(in crate::hl7v2) fn event(work: &Work<'_>) -> Event {
    let header = &work.header;
    let mut event = Event {
        message: header.message.clone(),
        trigger: header.trigger.clone(),
        sender: header.sender.clone(),
        source: header.source.clone(),
        receiver: header.receiver.clone(),
        control_id: header.control_id.clone(),
        sent: header.sent.clone(),
        ..Event::default()
    };
    if let Some(segment) = work.source.first("EVN") {
        // MSH-9 says what EVN-1 did in older versions.
        let is_same = work.source.value(segment, 1).and_then(|value| value.peek());
        if is_same.as_deref() == Some(header.trigger.as_str()) {
            note(work.source, segment, &[1]);
        }
        event.recorded = dtm::read(work, work.source.value(segment, 2));
        event.occurred = dtm::read(work, work.source.value(segment, 6));
    }
    event
}

/// Adds the Provenance of what the message tells, where EVN says more than when.
pub(in crate::hl7v2) fn provenance(work: &mut Work<'_>, event: &Event, targets: &[Json]) {
    let source = work.source;
    let Some(segment) = source.first("EVN") else { return };
    let is_told = TOLD.iter().any(|field| source.value(segment, *field).is_some());
    let recorded = event.recorded.as_ref().or(event.sent.as_ref()).filter(|time| time.contains('T'));
    let (true, Some(recorded), false) = (is_told, recorded, targets.is_empty()) else { return };
    let mut provenance = Draft::new("Provenance");
    provenance.set("target", json!(targets));
    provenance.put("recorded", json!(recorded));
    work.fill(&mut provenance, segment, ROWS);
    let code = json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": event.trigger }] });
    provenance.put("activity", code);
    if provenance.element("agent").is_null() {
        provenance.put("agent", json!({ "who": { "display": work.header.facility } }));
    }
    let key = work.key_of_patient(&["EVN", &event.control_id]);
    work.add(provenance, &key, Known::Own);
}
