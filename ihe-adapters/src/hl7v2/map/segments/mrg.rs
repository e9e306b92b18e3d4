//! MRG: what identifiers were before.
//!
//! Spec: HL7 v2.5.1 section 3.4.9

use serde_json::Value as Json;

use super::pid;
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::work::Work;
use crate::hl7v2::refused::Refused;

/// Returns the identifier by which the prior record is known.
///
/// # Errors
/// When there is none, or its authority is not known here.
pub(in crate::hl7v2) fn prior(work: &mut Work<'_>, segment: &Segment<'_>) -> Result<Json, Refused> {
    pid::key(work, segment, 1)
}
