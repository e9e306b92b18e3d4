//! SubmissionSet and Folder as List; what is a member of them as its entries.
//!
//! Spec: IHE MHD 4.2, SubmissionSet-Mapping, Folder-Mapping; ITI TF-3 4.2.3.3, 4.2.3.4

use fhir_model::schema::name;
use fhir_model::tree::Element;
use serde_json::{Map, Value, json};

use super::codes::read_coding;
use super::document_reference::{
    Places, concepts, derived_id, external_identifier, put_time, read_patient_id, read_time, read_unmapped,
    subject, unmapped_classifications, unmapped_identifiers,
};
use super::people::{author, read_author};
use super::{
    association_status, deprecated, entry_uuid, extensions, identifiers, is_entry_uuid, of_all_objects, part,
    put_localized, read_localized, read_of_all_objects, read_unique_identifier, resource_id, slots,
    unique_id_identifier, unique_identifier,
};
use crate::wire::ebrim::{Classification, Ends, ObjectKind, RegistryObject, Slot};
use crate::xds::vocabulary::{
    APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, SUBMISSION_SET_NODE, folder, submission_set,
};

/// The code system of the sorts of List.
pub const LIST_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes";
/// The code of a submission set.
pub const SUBMISSION_SET: &str = "submissionset";
/// The code of a folder.
pub const FOLDER: &str = "folder";

const DESIGNATION_TYPE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType";
const SOURCE_ID: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId";

/// A member of a List: the association, and what sort of thing the member is.
#[derive(Debug, Clone)]
pub struct Member<'o> {
    /// The association, whose target is the member.
    pub association: &'o RegistryObject,
    /// The type of the resource that the member is; `None` for an association.
    pub resource_type: Option<&'static str>,
}

/// The schemes of a package.
struct Schemes {
    code: &'static str,
    patient_id: &'static str,
    unique_id: &'static str,
    time: &'static str,
    node: &'static str,
}

const OF_SUBMISSION_SET: Schemes = Schemes {
    code: submission_set::CONTENT_TYPE_CODE,
    patient_id: submission_set::PATIENT_ID,
    unique_id: submission_set::UNIQUE_ID,
    time: "submissionTime",
    node: SUBMISSION_SET_NODE,
};
const OF_FOLDER: Schemes = Schemes {
    code: folder::CODE,
    patient_id: folder::PATIENT_ID,
    unique_id: folder::UNIQUE_ID,
    time: "lastUpdateTime",
    node: FOLDER_NODE,
};

/// Writes a submission set or folder with its members.
pub fn list(object: &RegistryObject, members: &[Member<'_>], places: &Places) -> Value {
    let is_folder = object.is_of_node(FOLDER_NODE);
    let schemes = if is_folder { OF_FOLDER } else { OF_SUBMISSION_SET };
    let mut contained = Vec::new();
    let mut list = Map::new();
    let mut put = |element: &str, value: Value| _ = list.insert(element.to_owned(), value);
    put("resourceType", json!("List"));
    put("id", json!(resource_id(&object.id).unwrap_or(&object.id)));
    let extensions = unmapped(object, &schemes, members);
    if !extensions.is_empty() {
        put("extension", Value::Array(extensions));
    }
    let mut identifiers = identifiers(object);
    identifiers.extend(object.identifier(schemes.unique_id).map(unique_id_identifier));
    put("identifier", Value::Array(identifiers));
    let is_deprecated = object.status.as_deref() == Some(DEPRECATED);
    put("status", json!(if is_deprecated { "retired" } else { "current" }));
    put("mode", json!("working"));
    let code = if is_folder { FOLDER } else { SUBMISSION_SET };
    put("code", json!({ "coding": [{ "system": LIST_TYPES, "code": code }] }));
    let subject = subject(object.identifier(schemes.patient_id), places);
    if subject.as_object().is_some_and(|subject| !subject.is_empty()) {
        put("subject", subject);
    }
    // A List has one source; other authors stand in extensions.
    if let Some(first) = object.classified_by(submission_set::AUTHOR).next() {
        put("source", author(first, 1, &mut contained));
    }
    let entries: Vec<Value> = members.iter().filter_map(entry).collect();
    if !entries.is_empty() {
        put("entry", Value::Array(entries));
    }
    put_localized(&mut list, "title", &object.name);
    put_time(&mut list, "date", object.slot_value(schemes.time));
    let mut note = Map::new();
    put_localized(&mut note, "text", &object.description);
    if !note.is_empty() {
        list.insert("note".to_owned(), json!([note]));
    }
    if !contained.is_empty() {
        list.insert("contained".to_owned(), Value::Array(contained));
    }
    Value::Object(list)
}

fn unmapped(object: &RegistryObject, schemes: &Schemes, members: &[Member<'_>]) -> Vec<Value> {
    let mut all = of_all_objects(object);
    let codes = concepts(object, schemes.code);
    let codes = codes.as_array().into_iter().flatten();
    all.extend(codes.map(|code| json!({ "url": DESIGNATION_TYPE, "valueCodeableConcept": code })));
    if let Some(source) = object.identifier(submission_set::SOURCE_ID) {
        let identifier = unique_identifier(source, "official");
        all.push(json!({ "url": SOURCE_ID, "valueIdentifier": identifier }));
    }
    all.extend(slots(object.slots.iter().filter(|slot| slot.name != schemes.time)));
    let mut others = object.clone();
    let mut authors = 0;
    others.classifications.retain(|classification| {
        let is_author = classification.scheme.as_deref() == Some(submission_set::AUTHOR);
        authors += usize::from(is_author);
        !(is_author && authors == 1) && classification.node.as_deref() != Some(schemes.node)
    });
    all.extend(unmapped_classifications(&others, &[schemes.code]));
    let mapped = [schemes.patient_id, schemes.unique_id, submission_set::SOURCE_ID];
    all.extend(unmapped_identifiers(object, &mapped));
    let associations = members.iter().filter(|member| member.resource_type.is_none());
    all.extend(associations.filter_map(|member| {
        let target = &member.association.ends.as_ref()?.target;
        let mut parts = vec![json!({ "url": "target", "valueString": target })];
        parts.extend(membership(member.association));
        Some(json!({ "url": format!("{}member", super::EXTENSIONS), "extension": parts }))
    }));
    all
}

/// Writes what is said of a membership.
fn membership(association: &RegistryObject) -> Vec<Value> {
    let mut parts = vec![json!({ "url": "id", "valueString": association.id })];
    parts.extend(slots(&association.slots));
    parts
}

fn entry(member: &Member<'_>) -> Option<Value> {
    let ends = member.association.ends.as_ref()?;
    let id = resource_id(&ends.target)?;
    let association = json!({ "url": format!("{}association", super::EXTENSIONS), "extension": membership(member.association) });
    let item = json!({ "reference": format!("{}/{id}", member.resource_type?) });
    let mut entry = json!({ "extension": [association], "item": item });
    if member.association.status.as_deref() == Some(DEPRECATED) {
        entry["modifierExtension"] = deprecated();
    }
    Some(entry)
}

/// Tells whether a List is a folder; `None` when it is neither that nor a submission set.
pub fn is_folder(root: Element<'_>) -> Option<bool> {
    let codings = root.child(name::CODE)?.children_named(name::CODING);
    codings.filter_map(|coding| coding.text_of(name::CODE)).find_map(|code| match code {
        FOLDER => Some(true),
        SUBMISSION_SET => Some(false),
        _ => None,
    })
}

/// Reads a submission set or folder; `None` when the List is neither.
/// `patient`: as for [`super::registered_document`].
pub fn registered_package(root: Element<'_>, patient: Option<&str>) -> Option<RegistryObject> {
    let schemes = if is_folder(root)? { OF_FOLDER } else { OF_SUBMISSION_SET };
    let mut object = RegistryObject {
        kind: ObjectKind::RegistryPackage,
        id: entry_uuid(root),
        name: read_localized(root, name::TITLE),
        ..RegistryObject::default()
    };
    object.description = root.child(name::NOTE).map(|n| read_localized(n, name::TEXT)).unwrap_or_default();
    let is_current = root.text_of(name::STATUS) == Some("current");
    object.status = Some(if is_current { APPROVED } else { DEPRECATED }.to_owned());
    read_of_all_objects(root, &mut object);
    let node = Classification { node: Some(schemes.node.to_owned()), ..Classification::default() };
    object.classifications.push(node);
    let source = root.child(name::SOURCE).map(|s| read_author(root, s, submission_set::AUTHOR));
    object.classifications.extend(source.filter(|author| !author.slots.is_empty()));
    let of_url = |url: &'static str| {
        let extensions = root.children_named(name::EXTENSION);
        extensions.filter(move |e| e.text_of(name::URL) == Some(url)).filter_map(|e| e.child(name::VALUE))
    };
    let codings = of_url(DESIGNATION_TYPE).filter_map(|concept| concept.child(name::CODING));
    object.classifications.extend(codings.map(|coding| read_coding(coding, schemes.code)));
    if let Some(time) = read_time(root, name::DATE) {
        object.slots.push(Slot { name: schemes.time.to_owned(), slot_type: None, values: vec![time] });
    }
    let of_subject = root.child(name::SUBJECT).and_then(read_patient_id);
    if let Some(patient) = of_subject.as_deref().or(patient) {
        object.external_identifiers.push(external_identifier(schemes.patient_id, patient.to_owned()));
    }
    let unique = root.children_named(name::IDENTIFIER).find(|identifier| !is_entry_uuid(*identifier));
    if let Some(unique_id) = unique.and_then(read_unique_identifier) {
        object.external_identifiers.push(external_identifier(schemes.unique_id, unique_id));
    }
    if let Some(source) = of_url(SOURCE_ID).next().and_then(read_unique_identifier) {
        object.external_identifiers.push(external_identifier(submission_set::SOURCE_ID, source));
    }
    read_unmapped(root, &mut object);
    Some(object)
}

/// Reads what is a member of a submission set or folder, as associations.
pub fn memberships(root: Element<'_>) -> Vec<RegistryObject> {
    let source = entry_uuid(root);
    let association = |at: usize, target: String, said: Option<Element<'_>>, status: String| {
        let id = said.and_then(|said| part(said, "id"));
        let mut object = RegistryObject {
            kind: ObjectKind::Association,
            id: id.map_or_else(|| derived_id(&source, at), str::to_owned),
            status: Some(status),
            ends: Some(Ends { kind: HAS_MEMBER.to_owned(), source: source.clone(), target }),
            ..RegistryObject::default()
        };
        object.logical_id = Some(object.id.clone());
        match said {
            Some(said) => read_unmapped(said, &mut object),
            // By FHIR all that is submitted is new.
            None if is_folder(root) == Some(false) => {
                object.set_slot("SubmissionSetStatus", vec!["Original".to_owned()]);
            }
            None => {}
        }
        object
    };
    let mut all = Vec::new();
    for (at, entry) in root.children_named(name::ENTRY).enumerate() {
        let target =
            entry.child(name::ITEM).and_then(|item| item.text_of(name::REFERENCE)?.rsplit('/').next());
        let Some(target) = target else { continue };
        all.push(association(
            at,
            format!("urn:uuid:{target}"),
            extensions(entry, "association").next(),
            association_status(entry),
        ));
    }
    for (at, member) in extensions(root, "member").enumerate() {
        let Some(target) = part(member, "target") else { continue };
        all.push(association(all.len() + at, target.to_owned(), Some(member), APPROVED.to_owned()));
    }
    all
}
