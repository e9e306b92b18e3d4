//! Binary: a resource that is also the bytes it carries.
//!
//! Spec: <https://hl7.org/fhir/R4/binary.html#rest>

use fhir_model::primitive::base64;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;

/// Wraps bytes into a Binary.
pub(super) fn wrap(content_type: &str, bytes: &[u8], security_context: Option<&str>) -> Resource {
    let mut binary = Resource::new(ty::BINARY);
    let root = binary.root_id();
    let definition = ty::BINARY.definition();
    if let Some((_, property)) = definition.property("contentType", 0) {
        binary.add_value(root, property, content_type);
    }
    if let (Some(reference), Some((_, property))) =
        (security_context, definition.property("securityContext", 0))
    {
        let context = binary.add(root, property, ty::REFERENCE);
        if let Some((_, property)) = ty::REFERENCE.definition().property("reference", 0) {
            binary.add_value(context, property, reference);
        }
    }
    if let Some((_, property)) = definition.property("data", 0).filter(|_| !bytes.is_empty()) {
        binary.add_value(root, property, &base64::encode(bytes));
    }
    binary
}

/// Gives a Binary the id of its URL.
pub(super) fn set_id(binary: &mut Resource, id: &str) {
    let root = binary.root_id();
    if let Some((_, property)) = ty::BINARY.definition().property("id", 0) {
        let node = binary.insert_first(root, property, property.ty);
        binary.set_value(node, id);
    }
}

/// Takes media type and bytes out of a Binary in JSON; `None` when it is none.
pub(super) fn unwrap(json: &[u8]) -> Option<(String, Vec<u8>)> {
    let binary = fhir_model::json::read(json).ok().filter(|r| r.resource_type() == ty::BINARY)?;
    let content_type = binary.root().text_of(name::CONTENT_TYPE)?.to_owned();
    let data = binary.root().text_of(name::DATA).unwrap_or("");
    Some((content_type, base64::decode(data)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let mut binary = wrap("image/png", b"\x89PNG", Some("Patient/1"));
        set_id(&mut binary, "x");
        let json = fhir_model::json::to_json(&binary);
        assert_eq!(unwrap(&json), Some(("image/png".to_owned(), b"\x89PNG".to_vec())));
        assert!(String::from_utf8_lossy(&json).contains(r#""id":"x""#));
        assert_eq!(unwrap(b"{}"), None);
    }
}
