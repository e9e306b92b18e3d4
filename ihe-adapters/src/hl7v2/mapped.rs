//! What a message became.

use serde_json::Value as Json;

use super::place::Place;
pub use crate::pix::changes::Change;

/// What a message became. Nothing of it is stored yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapped {
    /// What happened, when, and who says so.
    pub event: Event,
    /// The Patient that it is about.
    pub patient: Option<Json>,
    /// Whether the message is about the patient: where it is not (a result),
    /// somebody who is known stays as he is.
    pub tells_of_patient: bool,
    /// How the entries refer to the patient: `urn:uuid:...`.
    pub patient_url: String,
    /// The other resources: entries of a transaction Bundle that refer to each
    /// other and to the patient by `fullUrl`. A message that comes again finds
    /// the same resources.
    pub entries: Vec<Json>,
    /// What happens to identifiers of patients.
    pub changes: Vec<Change>,
    /// Resource types of which the message tells all that its sender knows of
    /// the patient: what it told before and does not tell now is not so any more.
    pub snapshots: Vec<&'static str>,
    /// Elements that the message says are not so any more (`""`).
    pub deleted: Vec<Deleted>,
    /// Systems of which the patient has no identifier any more.
    pub deleted_identifiers: Vec<String>,
    /// Elements that the message does not tell and that had to be something:
    /// what is stored counts, where there is something.
    pub assumed: Vec<Deleted>,
    /// Places that hold something that has no place in FHIR here.
    pub unmapped: Vec<Place>,
}

/// What happened, as MSH and EVN tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The message code: `ADT`.
    pub message: String,
    /// The trigger event: `A01`.
    pub trigger: String,
    /// Who sent it: `application|facility`.
    pub sender: String,
    /// The same, as `Resource.meta.source` says it.
    pub source: String,
    /// Who is meant to receive it: `application|facility`.
    pub receiver: String,
    /// The message control id.
    pub control_id: String,
    /// When the message was made; a dateTime.
    pub sent: Option<String>,
    /// When the event was recorded (EVN-2); a dateTime.
    pub recorded: Option<String>,
    /// When it happened (EVN-6); a dateTime.
    pub occurred: Option<String>,
}

/// An element of a resource that a message says something of without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// Of which resource.
    pub resource_type: &'static str,
    /// Its path there, such as `period.end`.
    pub path: String,
}

impl Mapped {
    /// Returns the top-level elements of the Patient that are not so any more:
    /// what another field tells is so, whatever one of them deletes.
    pub fn deleted_of_patient(&self) -> Vec<String> {
        let of_patient = self.deleted.iter().filter(|deleted| deleted.resource_type == "Patient");
        let is_told =
            |element: &str| self.patient.as_ref().is_some_and(|patient| !patient[element].is_null());
        let mut elements: Vec<String> = of_patient
            .filter_map(|deleted| deleted.path.split('.').next())
            .map(|element| element.trim_start_matches('_').to_owned())
            .filter(|element| !is_told(element))
            .collect();
        elements.dedup();
        elements
    }
}
