//! The functions, grouped as the specification groups them.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#functions>

pub(super) mod boundary;
pub(super) mod combining;
pub(super) mod conversion;
pub(super) mod existence;
pub(super) mod fhir;
pub(super) mod filtering;
pub(super) mod math;
mod narrative;
pub(super) mod string;
pub(super) mod subsetting;
mod table;
pub(super) mod tree;
pub(super) mod utility;

pub use table::Function;
