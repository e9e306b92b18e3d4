//! Patient and Encounter, as ADT.

use serde_json::Value as Json;

use super::segments::{msh, pd1, pid, pv1};
use super::types::{cx, dtm, xpn};
use super::write::{Segment, message};
use super::{Envelope, Known};
use crate::wire::hl7v2::message::{Message, MessageError};

/// The structure that an event has.
const STRUCTURES: &[(&str, &str)] = &[
    ("A01", "ADT_A01"),
    ("A03", "ADT_A03"),
    ("A04", "ADT_A01"),
    ("A08", "ADT_A01"),
    ("A11", "ADT_A09"),
    ("A28", "ADT_A05"),
    ("A31", "ADT_A05"),
    ("A40", "ADT_A39"),
];

/// Returns the event that a visit is told by: by its status, and whether it was
/// told of before.
pub fn trigger(encounter: &Json, is_new: bool) -> &'static str {
    match (encounter["status"].as_str(), is_new) {
        (Some("finished"), _) => "A03",
        (Some("cancelled" | "entered-in-error"), _) => "A11",
        (_, true) if encounter["class"]["code"] == "AMB" => "A04",
        (_, true) => "A01",
        (_, false) => "A08",
    }
}

/// Writes what happened to a patient: `event` such as `A31`; `encounter` for
/// those of visits; `prior`, the Patient who was merged away, for `A40`.
///
/// # Errors
/// When what is told cannot be a message.
pub fn adt(
    event: &str,
    patient: &Json,
    encounter: Option<&Json>,
    prior: Option<&Json>,
    envelope: &Envelope,
    known: &Known<'_>,
) -> Result<Message, MessageError> {
    let structure =
        STRUCTURES.iter().find(|(known, _)| *known == event).map_or("", |(_, structure)| structure);
    let mut segments = vec![msh(envelope, ["ADT", event, structure])];
    let mut what = Segment::new("EVN");
    what.text(1, Some(event));
    what.text(2, dtm(&Json::from(envelope.at.as_str())).as_deref());
    segments.push(what);
    segments.push(pid(patient, known));
    if let Some(prior) = prior {
        let mut before = Segment::new("MRG");
        for identifier in prior["identifier"].as_array().into_iter().flatten() {
            before.add(1, cx(identifier, known.domains));
        }
        before.add(7, xpn(&prior["name"][0]));
        segments.push(before);
        return message(&segments);
    }
    segments.extend(pd1(patient, known));
    match encounter {
        Some(encounter) => segments.push(pv1(encounter, known)),
        // PV1 has to be there; it says that there is no visit.
        None => {
            let mut none = Segment::new("PV1");
            none.text(2, Some("N"));
            segments.push(none);
        }
    }
    message(&segments)
}
