//! Snapshots: the whole of a profile, out of what it changes.
//!
//! The base's snapshot is copied, then each element of the differential is
//! applied to it in turn: where the element is not there yet, the types above
//! it are unfolded, and slices are made of the element that they slice. Where
//! the specification leaves open what a snapshot says, the published ones of
//! the core package decide; `docs/conformance/snapshots.md` tells how far
//! they are equal.
//!
//! It does not judge: a profile that widens what its base narrows gets the
//! snapshot that it asks for.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html#snapshot>

mod base;
mod find;
mod generation;
mod ids;
mod library;
mod links;
mod merge;
mod slicing;
mod template;

use std::sync::Arc;

use fhir_model::tree::{Element, Resource};

use crate::definitions::Definitions;
pub(crate) use ids::path_of;
use library::Library;

/// The greatest number of elements of a snapshot, and of a differential.
pub const ELEMENTS_MAX: usize = 20_000;

/// The greatest number of bytes of text in a snapshot.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// The greatest number of elements made on the way: of the bases and types
/// that had no snapshot.
pub const WORK_ELEMENTS_MAX: usize = 200_000;

/// The greatest number of definitions without a snapshot that build on each other.
pub const DEPTH_MAX: usize = 32;

/// The greatest number of parts of an element's path.
pub const PATH_PARTS_MAX: usize = 64;

/// Why there is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not a StructureDefinition with what it takes.
    #[error("the structure definition has no {0}")]
    Incomplete(&'static str),
    /// What it builds on is not known.
    #[error("{0} is not known; install the package that defines it")]
    Missing(String),
    /// Profiles build on each other in a circle, or too deep.
    #[error("{0} builds on itself, or on more than {DEPTH_MAX} others")]
    Circular(String),
    /// An element of the differential cannot be placed.
    #[error("the element {0} is not in what the profile builds on")]
    NoElement(String),
    /// It would be larger than allowed.
    #[error("the snapshot would be larger than allowed: over {0}")]
    TooLarge(&'static str),
}

/// Generates the snapshot of a StructureDefinition, as a copy that has it.
///
/// Of the types of R4 that `definitions` does not hold, what this program
/// knows of them takes the place.
///
/// # Errors
/// When the base, or a type that is stepped into, is not known; when the
/// differential names what is not there; and beyond the limits.
pub fn generate(profile: &Resource, definitions: &Definitions) -> Result<Resource, SnapshotError> {
    Library::new(definitions).generate(profile)
}

/// Generates a snapshot as [`generate`] does, and returns its base with its
/// own snapshot beside it, where it has one.
///
/// # Errors
/// As [`generate`].
pub(crate) fn generate_on(
    base: &str,
    profile: &Resource,
    definitions: &Definitions,
) -> Result<(Resource, Option<Arc<Resource>>), SnapshotError> {
    let mut library = Library::new(definitions);
    let made = library.generate(profile)?;
    Ok((made, library.with_snapshot(base).ok()))
}

/// Returns the elements of a snapshot.
fn snapshot_elements(definition: Element<'_>) -> Vec<Element<'_>> {
    elements(definition, "snapshot")
}

/// Returns the elements of a differential.
fn differential_elements(definition: Element<'_>) -> Vec<Element<'_>> {
    elements(definition, "differential")
}

fn elements<'r>(definition: Element<'r>, of: &str) -> Vec<Element<'r>> {
    let listed = definition.child_named(of).into_iter();
    listed.flat_map(|list| list.children_named(fhir_model::schema::name::ELEMENT)).collect()
}
