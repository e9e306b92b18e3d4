//! Writes registry objects, in the order of the schema.

use super::super::namespaces::{RIM, XML};
use super::super::xml::Element;
use super::{Classification, ExternalIdentifier, LocalizedString, ObjectKind, RegistryObject, Slot};

/// The type of a registry object, for identifiers.
const EXTERNAL_IDENTIFIER: &str =
    "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
const CLASSIFICATION: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";
const PACKAGE: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
const ASSOCIATION: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association";

/// Writes an object.
pub fn registry_object(object: &RegistryObject) -> Element {
    let (local, object_type) = match object.kind {
        ObjectKind::ExtrinsicObject => ("ExtrinsicObject", None),
        ObjectKind::RegistryPackage => ("RegistryPackage", Some(PACKAGE)),
        ObjectKind::Association => ("Association", Some(ASSOCIATION)),
    };
    let mut element = Element::new(RIM, local)
        .with_attribute("id", object.id.as_str())
        .with_attribute_if("lid", object.logical_id.as_deref())
        .with_attribute_if("home", object.home.as_deref())
        .with_attribute_if("objectType", object.object_type.as_deref().or(object_type))
        .with_attribute_if("status", object.status.as_deref())
        .with_attribute_if("mimeType", object.mime_type.as_deref());
    if let Some(ends) = &object.ends {
        element = element
            .with_attribute("associationType", ends.kind.as_str())
            .with_attribute("sourceObject", ends.source.as_str())
            .with_attribute("targetObject", ends.target.as_str());
    }
    let version =
        object.version.as_deref().map(|v| Element::new(RIM, "VersionInfo").with_attribute("versionName", v));
    element
        .with_children(object.slots.iter().map(slot))
        .with_children(localized("Name", &object.name))
        .with_children(localized("Description", &object.description))
        .with_children(version)
        .with_children(object.classifications.iter().map(|c| classification(c, &object.id)))
        .with_children(object.external_identifiers.iter().map(|i| identifier(i, &object.id)))
}

/// Writes a reference to an object.
pub fn object_ref(id: &str, home: Option<&str>) -> Element {
    Element::new(RIM, "ObjectRef").with_attribute("id", id).with_attribute_if("home", home)
}

pub(super) fn slot(slot: &Slot) -> Element {
    let values = slot.values.iter().map(|v| Element::new(RIM, "Value").with_text(v.as_str()));
    Element::new(RIM, "Slot")
        .with_attribute("name", slot.name.as_str())
        .with_attribute_if("slotType", slot.slot_type.as_deref())
        .with_child(Element::new(RIM, "ValueList").with_children(values))
}

fn localized(local: &str, strings: &[LocalizedString]) -> Option<Element> {
    let string = |string: &LocalizedString| {
        let element = Element::new(RIM, "LocalizedString");
        let element = match &string.lang {
            Some(lang) => element.with_attribute_of(XML, "lang", lang.as_str()),
            None => element,
        };
        element.with_attribute("value", string.value.as_str())
    };
    (!strings.is_empty()).then(|| Element::new(RIM, local).with_children(strings.iter().map(string)))
}

/// Writes a classification; one without an id gets one, which the schema asks for.
fn classification(classification: &Classification, of: &str) -> Element {
    let id = classification.id.clone().unwrap_or_else(fresh_id);
    Element::new(RIM, "Classification")
        .with_attribute("id", id)
        .with_attribute("objectType", CLASSIFICATION)
        .with_attribute_if("classificationScheme", classification.scheme.as_deref())
        .with_attribute_if("classificationNode", classification.node.as_deref())
        .with_attribute("classifiedObject", of)
        .with_attribute("nodeRepresentation", classification.representation.as_str())
        .with_children(classification.slots.iter().map(slot))
        .with_children(localized("Name", &classification.name))
}

fn identifier(identifier: &ExternalIdentifier, of: &str) -> Element {
    let id = identifier.id.clone().unwrap_or_else(fresh_id);
    Element::new(RIM, "ExternalIdentifier")
        .with_attribute("id", id)
        .with_attribute("objectType", EXTERNAL_IDENTIFIER)
        .with_attribute("registryObject", of)
        .with_attribute("identificationScheme", identifier.scheme.as_str())
        .with_attribute("value", identifier.value.as_str())
        .with_children(localized("Name", &identifier.name))
}

fn fresh_id() -> String {
    format!("urn:uuid:{}", uuid::Uuid::new_v4())
}
