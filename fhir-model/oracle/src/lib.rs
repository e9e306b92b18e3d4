//! An independent reader of FHIR R4, for tests to compare ours with.
//!
//! A crate of its own, because fhirbolt's typed reader takes minutes to
//! compile wherever it is used: here it is compiled once.

use fhirbolt::model::r4::Resource;

/// Reads a resource from JSON with fhirbolt's typed structs.
///
/// # Errors
/// What fhirbolt says is wrong.
pub fn read_json(document: &[u8]) -> Result<Resource, String> {
    fhirbolt::json::from_slice(document, None).map_err(|e| e.to_string())
}

/// Reads a resource from XML with fhirbolt's typed structs.
///
/// # Errors
/// What fhirbolt says is wrong.
pub fn read_xml(document: &[u8]) -> Result<Resource, String> {
    fhirbolt::xml::from_slice(document, None).map_err(|e| e.to_string())
}
