//! Writes registry objects, in the order of the schema.

use uuid::Uuid;

use super::super::xml::Fragment;
use super::{Classification, ExternalIdentifier, LocalizedString, ObjectKind, RegistryObject, Slot};

/// The type of a registry object, for identifiers.
const EXTERNAL_IDENTIFIER: &str =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
const CLASSIFICATION: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";
const PACKAGE: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
const ASSOCIATION: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association";

/// Writes an object to a fragment of its namespace.
pub fn write_object(object: &RegistryObject, to: &mut Fragment) {
    let (local, object_type) = match object.kind {
        ObjectKind::ExtrinsicObject => ("ExtrinsicObject", None),
        ObjectKind::RegistryPackage => ("RegistryPackage", Some(PACKAGE)),
        ObjectKind::Association => ("Association", Some(ASSOCIATION)),
    };
    let ends = object.ends.as_ref();
    let attributes = [
        ("id", Some(object.id.as_str())),
        ("lid", object.logical_id.as_deref()),
        ("home", object.home.as_deref()),
        ("objectType", object.object_type.as_deref().or(object_type)),
        ("status", object.status.as_deref()),
        ("mimeType", object.mime_type.as_deref()),
        ("associationType", ends.map(|ends| ends.kind.as_str())),
        ("sourceObject", ends.map(|ends| ends.source.as_str())),
        ("targetObject", ends.map(|ends| ends.target.as_str())),
    ];
    to.element(local, &attributes, |to| {
        write_slots(&object.slots, to);
        write_localized("Name", &object.name, to);
        write_localized("Description", &object.description, to);
        if let Some(version) = object.version.as_deref() {
            to.element("VersionInfo", &[("versionName", Some(version))], |_| {});
        }
        object.classifications.iter().for_each(|c| write_classification(c, &object.id, to));
        object.external_identifiers.iter().for_each(|i| write_identifier(i, &object.id, to));
    });
}

/// Writes a reference to an object.
pub fn write_object_ref(id: &str, home: Option<&str>, to: &mut Fragment) {
    to.element("ObjectRef", &[("id", Some(id)), ("home", home)], |_| {});
}

fn write_slots(slots: &[Slot], to: &mut Fragment) {
    for slot in slots {
        let attributes = [("name", Some(slot.name.as_str())), ("slotType", slot.slot_type.as_deref())];
        to.element("Slot", &attributes, |to| {
            to.element("ValueList", &[], |to| {
                slot.values.iter().for_each(|value| to.element("Value", &[], |to| to.text(value)));
            });
        });
    }
}

fn write_localized(local: &str, strings: &[LocalizedString], to: &mut Fragment) {
    if strings.is_empty() {
        return;
    }
    to.element(local, &[], |to| {
        for string in strings {
            let attributes = [("xml:lang", string.lang.as_deref()), ("value", Some(string.value.as_str()))];
            to.element("LocalizedString", &attributes, |_| {});
        }
    });
}

/// Writes a classification; one without an id gets one, which the schema asks for.
fn write_classification(classification: &Classification, of: &str, to: &mut Fragment) {
    let mut fresh = Uuid::encode_buffer();
    let attributes = [
        ("id", Some(classification.id.as_deref().unwrap_or_else(|| fresh_id(&mut fresh)))),
        ("objectType", Some(CLASSIFICATION)),
        ("classificationScheme", classification.scheme.as_deref()),
        ("classificationNode", classification.node.as_deref()),
        ("classifiedObject", Some(of)),
        ("nodeRepresentation", Some(classification.representation.as_str())),
    ];
    to.element("Classification", &attributes, |to| {
        write_slots(&classification.slots, to);
        write_localized("Name", &classification.name, to);
    });
}

fn write_identifier(identifier: &ExternalIdentifier, of: &str, to: &mut Fragment) {
    let mut fresh = Uuid::encode_buffer();
    let attributes = [
        ("id", Some(identifier.id.as_deref().unwrap_or_else(|| fresh_id(&mut fresh)))),
        ("objectType", Some(EXTERNAL_IDENTIFIER)),
        ("registryObject", Some(of)),
        ("identificationScheme", Some(identifier.scheme.as_str())),
        ("value", Some(identifier.value.as_str())),
    ];
    to.element("ExternalIdentifier", &attributes, |to| write_localized("Name", &identifier.name, to));
}

fn fresh_id(buffer: &mut [u8]) -> &str {
    Uuid::new_v4().urn().encode_lower(buffer)
}
