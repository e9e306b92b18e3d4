//! FHIR R4 (4.0.1) as Rust values; no input or output of its own.
//!
//! - [`schema`]: the element tables, generated from the core package.
//! - [`tree`]: a resource in memory, driven by those tables; every reader,
//!   writer and evaluator walks it.
//! - [`json`] and [`xml`]: the two wire formats, read into the tree and
//!   written from it.
//! - [`fhirpath`]: expressions compiled once and evaluated on the tree.
//! - [`patch`]: JSON Patch and FHIRPath Patch.
//! - [`subset`]: `_summary` and `_elements`.
//! - [`fold`]: texts compared whatever their case and accents.
//! - [`search_parameter`] and [`compartment`]: definitions as values.
//! - [`value_set`]: the codes that elements require.
//! - [`interaction`]: what a caller may ask of a FHIR server, whatever the
//!   wire it came by; [`outcome`]: what went wrong, where, and whose fault.
//! - [`typed`]: typed structs for code that builds or maps resources.

pub mod compartment;
pub mod fhirpath;
pub mod fold;
mod generated;
pub mod interaction;
pub mod json;
pub mod outcome;
pub mod patch;
pub mod percent;
pub mod primitive;
pub mod reference;
pub mod schema;
pub mod search_parameter;
pub mod subset;
pub mod tree;
pub mod value_set;
pub mod xml;

/// Typed R4 structs, for adapters and operations that build resources.
///
/// The hot path uses [`tree`] instead; these serve as its differential oracle.
pub mod typed {
    pub use fhirbolt::model::r4::*;
}
