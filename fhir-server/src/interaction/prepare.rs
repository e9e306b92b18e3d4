//! From a resource as sent to what the storage keeps: checked, with its id,
//! its index rows and its body. All of it outside the writer.

use std::sync::Arc;

use fhir_model::interaction::ResourceKey;
use fhir_model::json::write::write_unstamped;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::{Element, Resource};

use super::validation::Gate;
use crate::identity::Index;
use crate::index::extract::extract;
use crate::search::registry::Definitions;
use crate::storage::{Dictionaries, PreparedResource, StoredBody};

/// The code that marks a resource as a part of itself.
///
/// Spec: <https://hl7.org/fhir/R4/valueset-observation-value-types.html>
const SUBSETTED: &str = "SUBSETTED";

/// Prepares resources for storage.
pub(crate) struct Preparer<'s> {
    /// What is indexed.
    pub(crate) definitions: Arc<Definitions>,
    /// The bases under which this server is known: absolute references to
    /// them are local.
    pub(crate) bases: &'s [String],
    /// What bodies are packed by.
    pub(crate) dictionaries: &'s Dictionaries,
    /// Validates what is written, where that is asked for.
    pub(crate) gate: Option<Gate>,
    /// Says which records of patients are linked.
    pub(crate) index: Option<&'s Index>,
}

impl Preparer<'_> {
    /// Prepares `resource` to be stored under `key`; returns it with the
    /// remarks of validation.
    ///
    /// # Errors
    /// When the resource may not be stored.
    pub(crate) fn prepare(
        &self,
        mut resource: Resource,
        key: &ResourceKey,
    ) -> Result<(PreparedResource, Vec<Issue>), Issue> {
        check_type(&resource, key.resource_type)?;
        refuse_subset(&resource)?;
        set_id(&mut resource, key.id.as_str());
        let remarks = match &self.gate {
            Some(gate) => gate.check(&resource)?,
            None => Vec::new(),
        };
        let rows = extract(&self.definitions, &resource, self.bases);
        let mut bytes = Vec::with_capacity(1024);
        let hole = write_unstamped(&resource, &mut bytes);
        let body = StoredBody { bytes, hole };
        let mut prepared = PreparedResource::new(key.clone(), body, rows, self.dictionaries)?;
        prepared.takes_part = self.index.is_some_and(|index| index.is_about(&resource));
        Ok((prepared, remarks))
    }
}

/// Refuses a resource of another type than the URL says.
pub(crate) fn check_type(resource: &Resource, expected: TypeId) -> Result<(), Issue> {
    let given = resource.resource_type();
    if given == expected {
        return Ok(());
    }
    let text = format!("the URL is for {expected}, the resource is a {given}");
    Err(Issue::error(IssueType::Invalid).at("resourceType").text(text))
}

/// Refuses what a server gave out in part: storing it would lose the rest.
fn refuse_subset(resource: &Resource) -> Result<(), Issue> {
    let is_subset = |tag: Element<'_>| tag.text_of(name::CODE) == Some(SUBSETTED);
    let meta = resource.root().child(name::META);
    if !meta.is_some_and(|meta| meta.children_named(name::TAG).any(is_subset)) {
        return Ok(());
    }
    Err(Issue::error(IssueType::BusinessRule)
        .because(Reason::Unprocessable)
        .at(format!("{}.meta.tag", resource.resource_type()))
        .text("the resource is marked SUBSETTED: storing it would lose the elements left out"))
}

/// Sets the logical id.
pub(super) fn set_id(resource: &mut Resource, id: &str) {
    if let Some(element) = resource.root().child(name::ID) {
        if element.value() != Some(id) {
            let node = element.id();
            resource.set_value(node, id);
        }
        return;
    }
    let root = resource.root_id();
    if let Some((_, property)) = resource.resource_type().definition().property("id", 0) {
        let node = resource.insert_first(root, property, property.ty);
        resource.set_value(node, id);
    }
}
