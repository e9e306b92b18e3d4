//! The JSON form of resources.
//!
//! Spec: <https://hl7.org/fhir/R4/json.html>

mod fault;
pub mod pretty;
pub mod read;
pub mod write;

pub use pretty::pretty;
pub use read::{ReadError, Reading, read, read_all};
pub use write::{to_json, write_element};

#[cfg(test)]
mod tests;
