//! `PUT [type]/[id]` and `PUT [type]?criteria`.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#update>

use fhir_model::interaction::{Performed, ResourceKey, Status, Target, UpdateRequest, VersionId};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;

use super::create;
use super::unit::{Unit, View};
use crate::storage::{Operation, PreparedResource};

/// Refuses an update whose resource names another id than the URL, or none.
///
/// Spec: <https://hl7.org/fhir/R4/http.html#update>: the id SHALL be there and the same.
pub(crate) fn check_id(request: &UpdateRequest) -> Result<(), Issue> {
    let Target::Id(id) = &request.target else { return Ok(()) };
    let location = format!("{}.id", request.resource_type);
    match request.resource.id() {
        Some(given) if given == id.as_str() => Ok(()),
        Some(given) => Err(Issue::error(IssueType::Invalid)
            .at(location)
            .text(format!("the URL says id `{id}`, the resource `{given}`"))),
        None => {
            Err(Issue::error(IssueType::Required).at(location).text("an update needs the id in the resource"))
        }
    }
}

/// Returns the key that a conditional update writes to.
///
/// No match and no id: a new one. No match and an id: that one, as
/// update-as-create. One match: that one, and an id given must be the same.
///
/// # Errors
/// When the resource names another id than that of the match.
pub(crate) fn conditional_key(
    request: &UpdateRequest,
    found: Option<ResourceKey>,
    fresh: &ResourceId,
) -> Result<ResourceKey, Issue> {
    let given = request.resource.id();
    match (found, given) {
        (Some(key), Some(given)) if key.id.as_str() != given => Err(Issue::error(IssueType::Invalid)
            .at(format!("{}.id", request.resource_type))
            .text("the criteria match a resource of another id than the one given")),
        (Some(key), _) => Ok(key),
        (None, given) => {
            let id = given.and_then(ResourceId::parse).unwrap_or_else(|| fresh.clone());
            Ok(ResourceKey { resource_type: request.resource_type, id })
        }
    }
}

/// Stores a version, or a new resource under that id.
pub(crate) fn apply(
    unit: &mut Unit<'_, '_>,
    resource: PreparedResource,
    request: &UpdateRequest,
) -> Result<Performed, Issue> {
    let current = unit.current(&resource.key)?;
    let live = current.as_ref().filter(|c| !c.deleted);
    check_if_match(live.map(|c| c.version), request.if_match)?;
    if request.if_none_exist && live.is_some() {
        return Err(Issue::error(IssueType::Conflict)
            .because(Reason::PreconditionFailed)
            .text("the resource exists, and `If-None-Match: *` asks that it does not"));
    }
    let status = if live.is_some() { Status::Ok } else { Status::Created };
    let key = resource.key.clone();
    let written = match current {
        Some(current) => unit.unit.update(&current, resource, Operation::Update)?,
        None => unit.unit.create(resource, Operation::Update)?,
    };
    Ok(create::told(key, status, &written))
}

/// Checks the version that must be current.
///
/// # Errors
/// 412 when another one is, or none.
pub(crate) fn check_if_match(current: Option<VersionId>, expected: Option<VersionId>) -> Result<(), Issue> {
    let Some(expected) = expected else { return Ok(()) };
    if current == Some(expected) {
        return Ok(());
    }
    let text = match current {
        Some(current) => format!("version {expected} was expected, the current one is {current}"),
        None => format!("version {expected} was expected, and there is no current one"),
    };
    Err(Issue::error(IssueType::Conflict).because(Reason::PreconditionFailed).at("http.if-match").text(text))
}
