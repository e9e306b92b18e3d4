//! `PATCH [type]/[id]` and `PATCH [type]?criteria`.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#patch>

use fhir_model::interaction::{PatchDocument, Performed, Status, VersionId};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::patch;
use fhir_model::tree::Resource;

use super::unit::{Unit, View};
use super::{create, read, update};
use crate::storage::{Operation, PreparedResource};

/// Applies a patch to a version.
///
/// # Errors
/// When the patch is malformed, does not apply, or would change the identity.
pub(crate) fn patched(base: &Resource, document: &PatchDocument) -> Result<Resource, Issue> {
    let patched = match document {
        PatchDocument::Json(document) => patch::json_patch(base, document)?,
        PatchDocument::FhirPath(parameters) => patch::fhirpath_patch(base, parameters)?,
    };
    if patched.resource_type() != base.resource_type() || patched.id() != base.id() {
        return Err(Issue::error(IssueType::BusinessRule)
            .because(Reason::Unprocessable)
            .text("a patch may not change the type or the id of a resource"));
    }
    Ok(patched)
}

/// Stores the patched version.
pub(crate) fn apply(
    unit: &mut Unit<'_, '_>,
    resource: PreparedResource,
    if_match: Option<VersionId>,
) -> Result<Performed, Issue> {
    let key = resource.key.clone();
    let current = unit.current(&key)?.ok_or_else(|| read::not_found(&key))?;
    if current.deleted {
        return Err(read::gone(&key, current.version));
    }
    update::check_if_match(Some(current.version), if_match)?;
    let written = unit.unit.update(&current, resource, Operation::Patch)?;
    Ok(create::told(key, Status::Ok, &written))
}
