//! `POST [type]`, plain or with `If-None-Exist`.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#create>

use fhir_model::interaction::{Performed, ResourceKey, Status};
use fhir_model::outcome::Issue;

use super::read;
use super::unit::{Unit, View};
use crate::storage::{Operation, PreparedResource, Written};

/// Stores a new resource.
pub(crate) fn apply(unit: &mut Unit<'_, '_>, resource: PreparedResource) -> Result<Performed, Issue> {
    let key = resource.key.clone();
    let written = unit.unit.create(resource, Operation::Create)?;
    Ok(told(key, Status::Created, &written))
}

/// Answers a conditional create whose criteria match: nothing is stored.
pub(crate) fn existing(unit: &mut Unit<'_, '_>, key: &ResourceKey) -> Result<Performed, Issue> {
    let current = unit.current(key)?.ok_or_else(|| read::not_found(key))?;
    read::show(key, &current)
}

/// Tells what was written; the body is put in once it is durable.
pub(crate) fn told(key: ResourceKey, status: Status, written: &Written) -> Performed {
    Performed {
        status,
        body: fhir_model::interaction::Body::Empty,
        content: None,
        key: Some(key),
        version: Some(written.version),
        updated: Some(written.updated),
        changed: Vec::new(),
        issues: Vec::new(),
        repeated: None,
    }
}
