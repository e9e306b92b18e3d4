//! `GET [type]/[id]/_history/[vid]`.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#vread>

use fhir_model::interaction::{Performed, VreadRequest};
use fhir_model::outcome::{Issue, IssueType};

use super::read;
use crate::storage::StoredResource;

/// Answers a vread with that version.
///
/// # Errors
/// 404 for a version that never was, 410 for one that is a deletion.
pub(crate) fn vread(stored: Option<StoredResource>, request: &VreadRequest) -> Result<Performed, Issue> {
    let stored = stored.ok_or_else(|| {
        let key = &request.key;
        Issue::error(IssueType::NotFound)
            .text(format!("{}/{} has no such version", key.resource_type, key.id))
    })?;
    if stored.deleted {
        return Err(read::gone(&request.key, stored.version));
    }
    read::show(&request.key, &stored)
}
