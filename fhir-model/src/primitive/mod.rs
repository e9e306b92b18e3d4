//! Grammar and precision of the primitive types.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#primitive>

pub mod base64;
pub mod check;
pub mod date;
pub mod hexadecimal;
pub mod id;
pub mod instant;
