//! The bytes that a Binary carries in its `data`.
//!
//! Spec: <https://hl7.org/fhir/R4/binary.html>

use fhir_model::primitive::base64;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;

/// Puts bytes into a Binary that carries none; what is empty is left out.
pub(crate) fn carry(binary: &mut Resource, bytes: &[u8]) {
    let root = binary.root_id();
    if let Some((_, property)) = ty::BINARY.definition().property("data", 0).filter(|_| !bytes.is_empty()) {
        binary.add_value(root, property, &base64::encode(bytes));
    }
}
