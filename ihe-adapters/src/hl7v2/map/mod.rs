//! What becomes of a message: tables of rows (field, element, type), one file
//! for each data type and each segment.
//!
//! Spec: HL7 v2-to-FHIR (<https://hl7.org/fhir/uv/v2mappings>)

pub(super) mod codes;
pub(super) mod draft;
pub(super) mod row;
pub(super) mod segments;
pub(super) mod source;
pub(super) mod statuses;
pub(super) mod tables;
pub(super) mod types;
pub(super) mod work;
