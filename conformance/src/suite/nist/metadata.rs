//! What the plans leave to who runs them: metadata in the form of ebRIM 2.1
//! are written in that of 3.0, and get ids, unique ids and a patient.

use std::collections::HashMap;

use ihe_adapters::wire::namespaces::{LCM, QUERY, RIM, RMD, XDSB};
use ihe_adapters::wire::xml::{Attribute, Element, Node};
use ihe_adapters::xds::vocabulary::{document_entry, folder, submission_set};

/// What a step was given: by the id that an object has in the plan.
#[derive(Default, Clone)]
pub(super) struct Assigned {
    pub(super) uuids: HashMap<String, String>,
    pub(super) uids: HashMap<String, String>,
    pub(super) patients: HashMap<String, String>,
}

/// What is assigned.
pub(super) struct Wanted<'w> {
    pub(super) uuids: bool,
    /// Objects that keep their unique ids; `None` when all do.
    pub(super) uids_but: Option<&'w [String]>,
    pub(super) patient: Option<&'w str>,
}

/// Puts values where the symbols stand.
pub(super) fn replace(element: &mut Element, symbols: &[(String, String)]) {
    let put = |text: &mut String| {
        for (symbol, value) in symbols.iter().filter(|(symbol, _)| !symbol.is_empty()) {
            if text.contains(symbol.as_str()) {
                *text = text.replace(symbol.as_str(), value);
            }
        }
    };
    element.attributes.iter_mut().for_each(|attribute| put(&mut attribute.value));
    for child in &mut element.children {
        match child {
            Node::Element(child) => replace(child, symbols),
            Node::Text(text) => put(text),
            // Of what was read nothing is a fragment.
            Node::Fragment(_) => {}
        }
    }
}

/// Removes the parameters of a query whose symbol stands for nothing.
pub(super) fn clean(request: &mut Element) {
    for query in elements_mut(request).filter(|e| e.local == "AdhocQuery") {
        let is_open = |slot: &Element| {
            let values = slot.elements().flat_map(Element::elements).map(Element::text);
            values.into_iter().any(|value| value.matches('$').count() >= 2)
        };
        query.children.retain(|n| !matches!(n, Node::Element(e) if e.local == "Slot" && is_open(e)));
    }
}

/// Writes metadata of either version in that of 3.0.
pub(super) fn in_ebrim_3(element: &mut Element) {
    let namespace = match element.local.as_str() {
        "SubmitObjectsRequest" | "RemoveObjectsRequest" => LCM,
        "AdhocQueryRequest" | "ResponseOption" => QUERY,
        _ if [QUERY, LCM, XDSB, RMD].contains(&&*element.namespace) => &element.namespace.clone(),
        _ => RIM,
    };
    element.namespace = namespace.into();
    if element.local == "LeafRegistryObjectList" {
        "RegistryObjectList".clone_into(&mut element.local);
        // Version 2.1 declares the schemes that it uses.
        element.children.retain(|n| !matches!(n, Node::Element(e) if e.local == "ObjectRef"));
    }
    for attribute in &mut element.attributes {
        let prefix = match (attribute.local.as_str(), attribute.value.as_str()) {
            ("associationType", "HasMember") => "urn:oasis:names:tc:ebxml-regrep:AssociationType:",
            ("associationType", "RPLC" | "APND" | "XFRM" | "XFRM_RPLC" | "signs") => {
                "urn:ihe:iti:2007:AssociationType:"
            }
            ("status", "Approved" | "Deprecated") => "urn:oasis:names:tc:ebxml-regrep:StatusType:",
            _ => continue,
        };
        attribute.value.insert_str(0, prefix);
    }
    for child in elements_mut(element) {
        in_ebrim_3(child);
    }
    let rank = |node: &Node| match node {
        Node::Text(_) | Node::Fragment(_) => 0,
        Node::Element(e) => match e.local.as_str() {
            "Slot" => 1,
            "Name" => 2,
            "Description" => 3,
            "VersionInfo" => 4,
            "Classification" if !is_object_list(e) => 5,
            "ExternalIdentifier" => 6,
            _ => 0,
        },
    };
    if is_described(element) {
        element.children.sort_by_key(rank);
    }
}

fn is_object_list(element: &Element) -> bool {
    element.local == "RegistryObjectList"
}

fn is_described(element: &Element) -> bool {
    let local = element.local.as_str();
    ["ExtrinsicObject", "RegistryPackage", "Association", "Classification", "ExternalIdentifier"]
        .contains(&local)
}

fn elements_mut(element: &mut Element) -> impl Iterator<Item = &mut Element> {
    element.children.iter_mut().filter_map(|node| match node {
        Node::Element(element) => Some(element),
        Node::Text(_) | Node::Fragment(_) => None,
    })
}

/// Sets an attribute of no namespace.
fn set(element: &mut Element, local: &str, value: &str) {
    match element.attributes.iter_mut().find(|a| a.local == local && a.namespace.is_empty()) {
        Some(attribute) => value.clone_into(&mut attribute.value),
        None => element.attributes.push(Attribute {
            namespace: "".into(),
            local: local.to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// Finds the list of objects of a request.
fn object_list(request: &mut Element) -> Option<&mut Element> {
    if is_object_list(request) {
        return Some(request);
    }
    elements_mut(request).find_map(object_list)
}

/// Assigns what is wanted; `next` makes a number that was not there before.
pub(super) fn assign(request: &mut Element, wanted: &Wanted<'_>, next: &mut impl FnMut() -> u64) -> Assigned {
    let mut assigned = Assigned::default();
    let Some(list) = object_list(request) else { return assigned };
    let mut identify = |object: &mut Element| {
        if object.attribute("id").is_none_or(str::is_empty) && object.local != "ObjectRef" {
            set(object, "id", &format!("assigned{}", next()));
        }
        let id = object.attribute("id").unwrap_or_default().to_owned();
        for identifier in elements_mut(object).filter(|e| e.local == "ExternalIdentifier") {
            set(identifier, "registryObject", &id);
            let urn = |scheme: &str| identifier.attribute("identificationScheme") == Some(scheme);
            let is_unique_id = [document_entry::UNIQUE_ID, submission_set::UNIQUE_ID, folder::UNIQUE_ID]
                .into_iter()
                .any(urn);
            let is_patient_id = [document_entry::PATIENT_ID, submission_set::PATIENT_ID, folder::PATIENT_ID]
                .into_iter()
                .any(urn);
            // What is no OID is a symbol, whatever is to be kept.
            let is_symbol = identifier.attribute("value").is_some_and(|value| !value.contains('.'));
            let is_assigned = wanted.uids_but.map_or(is_symbol, |but| !but.contains(&id));
            if is_unique_id && is_assigned {
                set(identifier, "value", &format!("1.3.6.1.4.1.21367.2008.2.1.{}", next()));
            } else if is_patient_id && let Some(patient) = wanted.patient {
                set(identifier, "value", patient);
            } else if urn(submission_set::SOURCE_ID)
                && identifier.attribute("value").is_none_or(|v| v.starts_with('$') || v.is_empty())
            {
                set(identifier, "value", "1.3.6.1.4.1.21367.4");
            }
            let value = identifier.attribute("value").unwrap_or_default().to_owned();
            if is_unique_id {
                assigned.uids.insert(id.clone(), value);
            } else if is_patient_id {
                assigned.patients.insert(id.clone(), value);
            }
        }
    };
    elements_mut(list).for_each(&mut identify);
    if wanted.uuids {
        let ids = list.elements().filter_map(|object| object.attribute("id"));
        let symbols = ids.filter(|id| !id.starts_with("urn:uuid:"));
        assigned.uuids =
            symbols.map(|id| (id.to_owned(), format!("urn:uuid:{}", uuid::Uuid::new_v4()))).collect();
        put_ids(list, &assigned.uuids);
    } else {
        let ids = list.elements().filter_map(|object| object.attribute("id"));
        let given = ids.filter(|id| id.starts_with("urn:uuid:"));
        assigned.uuids = given.map(|id| (id.to_owned(), id.to_owned())).collect();
    }
    number_parts(list, next);
    assigned
}

fn put_ids(element: &mut Element, uuids: &HashMap<String, String>) {
    for attribute in &mut element.attributes {
        let is_id = ["id", "lid", "classifiedObject", "registryObject", "sourceObject", "targetObject"]
            .contains(&attribute.local.as_str());
        if let Some(uuid) = uuids.get(&attribute.value).filter(|_| is_id) {
            attribute.value.clone_from(uuid);
        }
    }
    elements_mut(element).for_each(|child| put_ids(child, uuids));
}

/// Gives ids to what has none: version 3.0 demands them of every object.
fn number_parts(element: &mut Element, next: &mut impl FnMut() -> u64) {
    let is_part = ["Classification", "ExternalIdentifier"].contains(&element.local.as_str());
    if is_part && element.attribute("id").is_none() {
        set(element, "id", &format!("part{}", next()));
    }
    elements_mut(element).for_each(|child| number_parts(child, next));
}
