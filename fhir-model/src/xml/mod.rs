//! The XML form of resources.
//!
//! Spec: <https://hl7.org/fhir/R4/xml.html>

mod entities;
mod narrative;
pub mod read;
mod tag;
pub mod write;

pub use read::{read, read_all};
pub use write::{to_xml, to_xml_pretty, write_element};

/// The namespace of FHIR elements.
pub const FHIR: &str = "http://hl7.org/fhir";

/// The namespace of narrative.
pub const XHTML: &str = "http://www.w3.org/1999/xhtml";

#[cfg(test)]
mod tests;
