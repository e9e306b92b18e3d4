//! `GET [type]/[id]`, and the answers common to all that reads.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#read>

use fhir_model::interaction::{Body, Performed, ReadRequest, ResourceKey, Status, VersionId};
use fhir_model::outcome::{Issue, IssueType};

use crate::storage::StoredResource;

/// Answers a read with the current version.
///
/// # Errors
/// 404 for what never was, 410 for what was deleted.
pub(crate) fn read(current: Option<StoredResource>, request: &ReadRequest) -> Result<Performed, Issue> {
    let current = current.ok_or_else(|| not_found(&request.key))?;
    if current.deleted {
        return Err(gone(&request.key, current.version));
    }
    let same_version = request.if_none_match == Some(current.version);
    // HTTP dates have seconds.
    let not_since =
        request.if_modified_since.is_some_and(|since| current.updated.0 / 1_000_000 <= since.0 / 1_000_000);
    if same_version || (request.if_none_match.is_none() && not_since) {
        return Ok(told(&request.key, &current, Status::NotModified, Body::Empty));
    }
    show(&request.key, &current)
}

/// Shows a stored version.
pub(crate) fn show(key: &ResourceKey, stored: &StoredResource) -> Result<Performed, Issue> {
    let mut json = Vec::new();
    stored.write_json(&mut json)?;
    Ok(told(key, stored, Status::Ok, Body::Json(json.into())))
}

fn told(key: &ResourceKey, stored: &StoredResource, status: Status, body: Body) -> Performed {
    Performed {
        status,
        body,
        key: Some(key.clone()),
        version: Some(stored.version),
        updated: Some(stored.updated),
        issues: Vec::new(),
    }
}

/// Says that there never was such a resource.
pub(crate) fn not_found(key: &ResourceKey) -> Issue {
    Issue::error(IssueType::NotFound).text(format!("{}/{} is not known", key.resource_type, key.id))
}

/// Says that the resource was deleted.
pub(crate) fn gone(key: &ResourceKey, version: VersionId) -> Issue {
    let text = format!("{}/{} was deleted with version {version}", key.resource_type, key.id);
    Issue::error(IssueType::Deleted).text(text)
}
