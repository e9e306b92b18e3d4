//! Patient and Encounter, as ADT.

use serde_json::Value as Json;

use super::segments::{Structure, evn, mrg, msh, pd1, pid, pv1};
use super::write::{Segment, message};
use super::{Envelope, Known};
use crate::wire::hl7v2::message::{Message, MessageError};

/// The version that is held to where patients and visits are told.
///
/// Spec: ITI TF-2 3.30.4, 3.31.4
const VERSION: &str = "2.5";

/// The structure that an event has.
const STRUCTURES: &[(&str, &str)] = &[
    ("A01", "ADT_A01"),
    ("A02", "ADT_A02"),
    ("A03", "ADT_A03"),
    ("A04", "ADT_A01"),
    ("A05", "ADT_A05"),
    ("A06", "ADT_A06"),
    ("A07", "ADT_A06"),
    ("A08", "ADT_A01"),
    ("A11", "ADT_A09"),
    ("A13", "ADT_A01"),
    ("A28", "ADT_A05"),
    ("A31", "ADT_A05"),
    ("A38", "ADT_A38"),
    ("A40", "ADT_A39"),
];

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
    let structure = Structure { code: "ADT", event, structure, version: VERSION };
    let mut segments = vec![msh(envelope, &structure), evn(event, envelope), pid(patient, known)];
    segments.extend(pd1(patient, known));
    if let Some(prior) = prior {
        segments.push(mrg(prior, known));
        return message(&segments);
    }
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
