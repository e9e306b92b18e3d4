//! The definitions that a snapshot builds on, each with a snapshot.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::schema::{TypeId, TypeKind, name, ty};
use fhir_model::tree::Resource;

use super::generation::Generation;
use super::{DEPTH_MAX, SnapshotError, WORK_ELEMENTS_MAX, base};
use crate::definitions::{Definitions, split_canonical};

/// Where the specification's own structure definitions have their URLs.
pub(super) const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// Finds definitions and generates the snapshots that they lack, each once.
pub(super) struct Library<'d> {
    definitions: &'d Definitions,
    made: HashMap<String, Arc<Resource>>,
    /// The URLs of what is being generated, outermost first.
    underway: Vec<String>,
    /// How many more elements may be made.
    elements_left: usize,
}

impl<'d> Library<'d> {
    pub(super) fn new(definitions: &'d Definitions) -> Library<'d> {
        Library { definitions, made: HashMap::new(), underway: Vec::new(), elements_left: WORK_ELEMENTS_MAX }
    }

    /// Generates a snapshot.
    pub(super) fn generate(&mut self, profile: &Resource) -> Result<Resource, SnapshotError> {
        let url = profile.root().text_of(name::URL).unwrap_or_default().to_owned();
        if self.underway.len() > DEPTH_MAX || (!url.is_empty() && self.underway.contains(&url)) {
            return Err(SnapshotError::Circular(url));
        }
        self.underway.push(url);
        let made = Generation::run(profile, self);
        self.underway.pop();
        made
    }

    /// Counts an element that is made.
    pub(super) fn count(&mut self) -> Result<(), SnapshotError> {
        self.elements_left =
            self.elements_left.checked_sub(1).ok_or(SnapshotError::TooLarge("the elements of all bases"))?;
        Ok(())
    }

    /// Tells whether a canonical is that of `Base`, which later releases put
    /// above all types and which has no elements, where no package defines it.
    pub(super) fn is_bare_base(&self, canonical: &str) -> bool {
        let (url, _, _) = split_canonical(canonical);
        url.strip_prefix(CORE) == Some("Base")
            && self.definitions.find(ty::STRUCTURE_DEFINITION, canonical).is_none()
    }

    /// Tells whether a definition is known and not itself being generated.
    pub(super) fn can_step_into(&self, canonical: &str) -> bool {
        let (url, _, _) = split_canonical(canonical);
        !self.underway.iter().any(|u| u == url)
            && self.definitions.find(ty::STRUCTURE_DEFINITION, canonical).is_some()
    }

    /// Finds a definition with its snapshot.
    pub(super) fn with_snapshot(&mut self, canonical: &str) -> Result<Arc<Resource>, SnapshotError> {
        if let Some(made) = self.made.get(canonical) {
            return Ok(Arc::clone(made));
        }
        let made = match self.definitions.resource(ty::STRUCTURE_DEFINITION, canonical) {
            Some(found) if found.root().child_named("snapshot").is_some() => Arc::clone(found),
            Some(found) => Arc::new(self.generate(&Arc::clone(found))?),
            None => {
                Arc::new(of_tables(canonical).ok_or_else(|| SnapshotError::Missing(canonical.to_owned()))?)
            }
        };
        self.made.insert(canonical.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}

/// Makes the definition of a type of R4 that no package at hand defines.
fn of_tables(canonical: &str) -> Option<Resource> {
    let (url, version, _) = split_canonical(canonical);
    let of_r4 = version.is_none_or(|version| version.starts_with("4.0"));
    let known = url.strip_prefix(CORE).and_then(TypeId::named).filter(|_| of_r4)?;
    (known.definition().kind != TypeKind::Backbone).then(|| base::structure_definition(known))
}
