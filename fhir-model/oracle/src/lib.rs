//! An independent reader of FHIR R4, for tests to compare ours with.
//!
//! A crate of its own, because fhirbolt's typed reader takes minutes to
//! compile wherever it is used: here it is compiled once.

/// Reads a resource from JSON with fhirbolt's typed structs.
///
/// # Errors
/// What fhirbolt says is wrong.
pub fn read_json(document: &[u8]) -> Result<(), String> {
    fhirbolt::json::from_slice::<fhirbolt::model::r4::Resource>(document, None)
        .map(drop)
        .map_err(|e| e.to_string())
}
