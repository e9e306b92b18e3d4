//! Changes to resources as documents: JSON Patch and FHIRPath Patch.
//!
//! Both return a new resource that has been read again, so that what comes
//! out is as sound as what a client could have put. Whether the caller may
//! change what was changed (the id, say) is for the server to decide.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#patch>

mod error;
pub mod fhirpath_patch;
pub mod json_patch;
mod json_value;
mod select;
mod value;

pub use error::{PatchError, Refusal};
pub use fhirpath_patch::fhirpath_patch;
pub use json_patch::json_patch;

/// The greatest number of operations in one patch.
pub const OPERATIONS_MAX: usize = 1_000;
