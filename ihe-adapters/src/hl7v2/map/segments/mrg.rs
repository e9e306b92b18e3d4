//! MRG: what identifiers were before.
//!
//! Spec: HL7 v2.5.1 section 3.4.9

use serde_json::Value as Json;

use super::pid;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::work::{Work, by_identifier};
use crate::hl7v2::refused::Refused;

/// Returns the identifier by which the prior record is known.
///
/// # Errors
/// When there is none, or its authority is not known here.
pub(in crate::hl7v2) fn prior(work: &mut Work<'_>, segment: &Segment<'_>) -> Result<Json, Refused> {
    pid::key(work, segment, 1)
}

/// A visit as it was known before.
pub(in crate::hl7v2) struct PriorVisit {
    /// The query by which it is found.
    pub(in crate::hl7v2) query: String,
    /// The number that it had.
    pub(in crate::hl7v2) number: Json,
}

/// Returns what a visit was known by before: MRG-5, within the prior record
/// where nobody in particular gave the number.
///
/// # Errors
/// When the prior record is asked for, and is none that is known here.
pub(in crate::hl7v2) fn prior_visit(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
) -> Result<Option<PriorVisit>, Refused> {
    let Some(number) = work.source.value(segment, 5) else { return Ok(None) };
    let mut draft = Draft::new("Encounter");
    let Some(number) = work.convert(&mut draft, number, &CX) else { return Ok(None) };
    let Some(query) = by_identifier(&number) else { return Ok(None) };
    if number["system"].is_string() {
        return Ok(Some(PriorVisit { query, number }));
    }
    let patient = prior(work, segment)?;
    let patient = by_identifier(&patient);
    Ok(patient.map(|patient| PriorVisit { query: format!("{query}&patient.{patient}"), number }))
}
