//! `DELETE [type]/[id]` and `DELETE [type]?criteria`. The history stays.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#delete>

use fhir_model::interaction::{Body, Performed, ResourceKey, Status, VersionId};
use fhir_model::outcome::Issue;

use super::create;
use super::unit::{Unit, View};
use super::update::check_if_match;

/// Deletes what is there; what is not there, or deleted already, is deleted too.
///
/// # Errors
/// 412 when `If-Match` names another version than the current one.
pub(crate) fn apply(
    unit: &mut Unit<'_, '_>,
    keys: &[ResourceKey],
    if_match: Option<VersionId>,
) -> Result<Performed, Issue> {
    let mut performed = Performed {
        status: Status::NoContent,
        body: Body::Empty,
        content: None,
        key: None,
        version: None,
        updated: None,
        changed: Vec::new(),
        issues: Vec::new(),
        repeated: None,
    };
    for key in keys {
        let current = unit.current(key)?;
        let live = current.filter(|c| !c.deleted);
        check_if_match(live.as_ref().map(|c| c.version), if_match)?;
        if let Some(live) = live {
            let written = unit.unit.delete(&live)?;
            performed = create::told(key.clone(), Status::NoContent, &written);
        }
    }
    Ok(performed)
}
