//! From a resource as sent to what the storage keeps: checked, with its id,
//! its index rows and its body. All of it outside the writer.

use std::sync::Arc;

use fhir_model::interaction::ResourceKey;
use fhir_model::json::write::write_unstamped;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::{Element, Resource};

use super::append_only::is_append_only;
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
    /// Who told what is written: it stands in `meta.source`.
    pub(crate) source: Option<&'s str>,
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
        if let Some(source) = self.source.filter(|_| !is_append_only(key.resource_type)) {
            set_source(&mut resource, source);
        }
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

/// Says in `meta.source` who told a resource.
fn set_source(resource: &mut Resource, source: &str) {
    let known = resource.root().child(name::META).map(Element::id);
    let meta = known.or_else(|| {
        let (_, property) = resource.resource_type().definition().property("meta", 0)?;
        // The id is there already.
        let id = resource.root().child(name::ID)?.id();
        Some(resource.insert_after(id, property, property.ty))
    });
    let Some(meta) = meta else { return };
    if let Some(told) = resource.element(meta).child(name::SOURCE) {
        let node = told.id();
        resource.set_value(node, source);
        return;
    }
    let Some((_, property)) = resource.element(meta).definition().property("source", 0) else { return };
    let is_before = |child: &Element<'_>| {
        child.name_id().is_some_and(|of| [name::VERSION_ID, name::LAST_UPDATED].contains(&of))
    };
    let before = resource.element(meta).children().filter(is_before).last().map(Element::id);
    let node = match before {
        Some(before) => resource.insert_after(before, property, property.ty),
        None => resource.insert_first(meta, property, property.ty),
    };
    resource.set_value(node, source);
}
