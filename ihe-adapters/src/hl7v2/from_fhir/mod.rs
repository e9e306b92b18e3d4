//! Resources of FHIR, as HL7 v2 messages for those who subscribed: the way back
//! of the same rows.
//!
//! What FHIR holds beyond the rows is not told: who wants all of it reads FHIR.
//!
//! Spec: HL7 v2-to-FHIR, read from right to left; HL7 v2.5.1 chapters 3, 7

mod adt;
mod oru;
mod person;
mod segments;
mod triggers;
mod types;
mod write;

pub use adt::adt;
pub use oru::oru;
pub use segments::has_identifier;
pub use triggers::trigger;

pub(crate) use segments::{LEVELS, PARTICIPANTS, class_of_visit};

use serde_json::Value as Json;

use crate::pix::domains::Domains;
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::segment::Segment;

/// Writes a PID without the identifiers of the patient.
pub(crate) fn person(patient: &Json, by: &Delimiters) -> Segment {
    let mut segment = write::Segment::new("PID");
    person::demographics(&mut segment, patient);
    segment.to_segment(by)
}

/// Writes a time of FHIR.
pub(crate) fn moment(time: &Json) -> Option<String> {
    types::dtm(time)
}

/// Writes a PV1.
pub(crate) fn visit(encounter: &Json, known: &Known<'_>, by: &Delimiters) -> Segment {
    segments::pv1(encounter, known).to_segment(by)
}

/// From whom to whom a message is, and when.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// MSH-3.
    pub sending_application: String,
    /// MSH-4.
    pub sending_facility: String,
    /// MSH-5.
    pub receiving_application: String,
    /// MSH-6.
    pub receiving_facility: String,
    /// MSH-10: what the message is acknowledged by.
    pub control_id: String,
    /// When it is made; a dateTime of FHIR.
    pub at: String,
}

/// What has to be known to write a message.
pub struct Known<'k> {
    /// Who assigns identifiers, and how HL7 v2 calls them.
    pub domains: &'k Domains,
    /// The resource that a reference leads to, where it is at hand.
    pub resolve: &'k dyn Fn(&str) -> Option<Json>,
}

impl Known<'_> {
    /// Returns what a reference leads to: inside of what refers, or elsewhere.
    fn referred(&self, within: &Json, reference: &Json) -> Option<Json> {
        let reference = reference["reference"].as_str()?;
        match reference.strip_prefix('#') {
            Some(id) => {
                let contained = within["contained"].as_array()?;
                contained.iter().find(|resource| resource["id"] == id).cloned()
            }
            None => (self.resolve)(reference),
        }
    }
}
