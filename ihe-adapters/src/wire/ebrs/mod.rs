//! ebXML registry services 3.0: how a registry or repository answers, and what
//! it says is wrong.
//!
//! Spec: ebRS 3.0, ITI TF-3 4.2.4

mod registry_error;
mod registry_response;

pub use registry_error::{ErrorCode, RegistryError, Severity};
pub use registry_response::{RegistryResponse, Status, error_list, is_error};
