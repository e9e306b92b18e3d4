//! Search: which parameters there are, what their values mean, and how they
//! are answered.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html>

pub mod parameter;
pub mod registry;
pub mod ucum;
