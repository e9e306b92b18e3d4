//! Reads registry objects.

use super::super::namespaces::{RIM, XML};
use super::super::xml::Element;
use super::{Classification, Ends, ExternalIdentifier, LocalizedString, ObjectKind, RegistryObject, Slot};

/// Reads the objects of a `RegistryObjectList`. Classifications that stand
/// beside the object that they are of are put to it.
///
/// # Errors
/// What is missing of an element that says nothing without it.
pub fn read_objects(list: &Element) -> Result<Vec<RegistryObject>, String> {
    let mut objects: Vec<RegistryObject> = Vec::new();
    let mut beside = Vec::new();
    for (at, element) in list.elements().enumerate().filter(|(_, e)| &*e.namespace == RIM) {
        match element.local.as_str() {
            "ExtrinsicObject" => objects.push(object(element, ObjectKind::ExtrinsicObject)?),
            "RegistryPackage" => objects.push(object(element, ObjectKind::RegistryPackage)?),
            // Many clients leave out the id of an association, to which nothing refers.
            "Association" if element.attribute("id").is_none() => {
                let element = element.clone().with_attribute("id", format!("association-{at}"));
                objects.push(object(&element, ObjectKind::Association)?);
            }
            "Association" => objects.push(object(element, ObjectKind::Association)?),
            "Classification" => beside.push(element),
            // References to what both sides know: older clients list all that they use.
            _ => {}
        }
    }
    for element in beside {
        let of = required(element, "classifiedObject")?;
        let object = objects.iter_mut().find(|object| object.id == of);
        let object =
            object.ok_or_else(|| format!("a Classification is of `{}`, which is not there", clip(of)))?;
        object.classifications.push(classification(element)?);
    }
    Ok(objects)
}

fn object(element: &Element, kind: ObjectKind) -> Result<RegistryObject, String> {
    // An empty attribute says nothing.
    let text = |name: &str| element.attribute(name).filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let mut object = RegistryObject {
        kind,
        id: required(element, "id")?.to_owned(),
        logical_id: text("lid"),
        home: text("home"),
        object_type: text("objectType"),
        status: text("status"),
        mime_type: text("mimeType"),
        version: element
            .child(RIM, "VersionInfo")
            .and_then(|v| v.attribute("versionName"))
            .map(str::to_owned),
        name: localized(element, "Name"),
        description: localized(element, "Description"),
        slots: slots(element)?,
        ..RegistryObject::default()
    };
    if kind == ObjectKind::Association {
        let end = |name: &str| required(element, name).map(str::to_owned);
        object.ends = Some(Ends {
            kind: association_type(required(element, "associationType")?),
            source: end("sourceObject")?,
            target: end("targetObject")?,
        });
    }
    for child in element.children_named(RIM, "Classification") {
        object.classifications.push(classification(child)?);
    }
    for child in element.children_named(RIM, "ExternalIdentifier") {
        object.external_identifiers.push(ExternalIdentifier {
            id: child.attribute("id").map(str::to_owned),
            scheme: required(child, "identificationScheme")?.to_owned(),
            value: required(child, "value")?.to_owned(),
            name: localized(child, "Name"),
        });
    }
    Ok(object)
}

/// Returns the whole URN of a type of association, which old clients shorten.
fn association_type(text: &str) -> String {
    match text {
        "HasMember" => "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember".to_owned(),
        "RPLC" | "APND" | "XFRM" | "XFRM_RPLC" | "signs" => {
            format!("urn:ihe:iti:2007:AssociationType:{text}")
        }
        other => other.to_owned(),
    }
}

fn classification(element: &Element) -> Result<Classification, String> {
    let text = |name: &str| element.attribute(name).map(str::to_owned);
    Ok(Classification {
        id: text("id"),
        scheme: text("classificationScheme"),
        node: text("classificationNode"),
        representation: text("nodeRepresentation").unwrap_or_default(),
        name: localized(element, "Name"),
        slots: slots(element)?,
    })
}

fn slots(element: &Element) -> Result<Vec<Slot>, String> {
    let slot = |slot: &Element| {
        let values = slot.child(RIM, "ValueList").into_iter();
        Ok(Slot {
            name: required(slot, "name")?.to_owned(),
            slot_type: slot.attribute("slotType").map(str::to_owned),
            values: values.flat_map(|list| list.children_named(RIM, "Value")).map(Element::text).collect(),
        })
    };
    element.children_named(RIM, "Slot").map(slot).collect()
}

fn localized(element: &Element, name: &str) -> Vec<LocalizedString> {
    let strings = element.child(RIM, name).into_iter();
    let string = |string: &Element| LocalizedString {
        lang: string.attribute_of(XML, "lang").map(str::to_owned),
        value: string.attribute("value").unwrap_or_default().to_owned(),
    };
    strings.flat_map(|s| s.children_named(RIM, "LocalizedString")).map(string).collect()
}

fn required<'e>(element: &'e Element, name: &str) -> Result<&'e str, String> {
    let value = element.attribute(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| format!("a {} has no `{name}`", clip(&element.local)))
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}
