//! Document metadata as FHIR resources, and back without loss: DocumentEntry
//! as DocumentReference, SubmissionSet and Folder as List.
//!
//! What MHD has an element for stands there, so that FHIR clients read and
//! change it; what it has none for, or would say less exactly, stands in
//! extensions beside it, and is taken from there as long as the element still
//! says what was made of it. Each file has both directions.
//!
//! Not kept: ids of classifications and of external identifiers, the names of
//! the latter, types of slots, and values without any character.
//!
//! Spec: IHE MHD 4.2, DocumentEntry-Mapping, SubmissionSet-Mapping, Folder-Mapping

mod codes;
mod document_reference;
mod list;
mod people;

pub use document_reference::{Places, document_reference, registered_document, relationships};
pub use list::{
    FOLDER, LIST_TYPES, Member, SUBMISSION_SET, is_folder, list, memberships, registered_package,
};

use fhir_model::schema::{NameId, TypeId, name, ty};
use fhir_model::tree::Element;
use serde_json::{Map, Value, json};

use super::values::{Cx, is_oid, is_uuid};
use super::vocabulary::{APPROVED, DEPRECATED};
use crate::fhir_client::token;
use crate::wire::ebrim::{LocalizedString, RegistryObject, Slot};

/// Where the URLs of our extensions begin.
const EXTENSIONS: &str = "urn:lanterna:xds:";
/// The system of identifiers that are URIs.
pub const URIS: &str = "urn:ietf:rfc:3986";
/// The code system of what an identifier of a document, submission set or folder is.
const IDENTIFIER_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType";
/// An identifier that is the UUID of the object.
const ENTRY_UUID: &str = "entryUUID";
/// An identifier that is the unique id of the object.
const UNIQUE_ID: &str = "uniqueId";

/// Makes an extension of a value.
fn extension(kind: &str, value_type: &str, value: impl Into<Value>) -> Value {
    let mut extension = Map::new();
    extension.insert("url".to_owned(), json!(format!("{EXTENSIONS}{kind}")));
    extension.insert(value_type.to_owned(), value.into());
    Value::Object(extension)
}

/// Makes an extension that says what was sent, where the element beside it
/// says it less exactly.
fn as_sent(sent: &str, made: Option<&str>) -> Option<Value> {
    (made != Some(sent) && !sent.trim().is_empty()).then(|| extension("as-sent", "valueString", sent))
}

/// Returns what was sent, as long as the element still says what was made of it.
fn sent<'r>(element: Element<'r>) -> Option<&'r str> {
    value_of(element, "as-sent")
}

/// Returns the value of our extension of a kind.
fn value_of<'r>(element: Element<'r>, kind: &str) -> Option<&'r str> {
    extensions(element, kind).next()?.child(name::VALUE)?.value()
}

/// Returns our extensions of a kind.
fn extensions<'r, 'k>(
    element: Element<'r>,
    kind: &'k str,
) -> impl Iterator<Item = Element<'r>> + use<'r, 'k> {
    element.children_named(name::EXTENSION).filter(move |extension| is_of_kind(*extension, kind))
}

/// Tells whether an extension is ours of a kind.
fn is_of_kind(extension: Element<'_>, kind: &str) -> bool {
    extension.text_of(name::URL).and_then(|url| url.strip_prefix(EXTENSIONS)) == Some(kind)
}

/// Returns the values of the parts of an extension that have a name.
fn parts<'r>(extension: Element<'r>, named: &'static str) -> impl Iterator<Item = Element<'r>> {
    let parts = extension.children_named(name::EXTENSION);
    parts.filter(move |p| p.text_of(name::URL) == Some(named)).filter_map(|p| p.child(name::VALUE))
}

/// Says of an association that it is deprecated: who does not know this must
/// not take it for one that holds.
fn deprecated() -> Value {
    json!([extension("deprecated", "valueBoolean", true)])
}

/// Returns the status of an association that stands in an element.
fn association_status(element: Element<'_>) -> String {
    let mut extensions = element.children_named(name::MODIFIER_EXTENSION);
    let is_deprecated = extensions.any(|extension| is_of_kind(extension, "deprecated"));
    if is_deprecated { DEPRECATED } else { APPROVED }.to_owned()
}

/// The code of the search parameter that finds the resources in which an
/// association stands, or which have it as a member, by its id; the server is
/// to have it on [`ASSOCIATION_BASES`].
pub const ASSOCIATION_PARAMETER: &str = "association";
/// The FHIRPath expression of the values of [`ASSOCIATION_PARAMETER`].
pub const ASSOCIATION_EXPRESSION: &str = "DocumentReference.relatesTo.extension('urn:lanterna:xds:association').extension('id').value \
     | List.entry.extension('urn:lanterna:xds:association').extension('id').value \
     | List.extension('urn:lanterna:xds:member').extension('id').value \
     | List.extension('urn:lanterna:xds:member').extension('target').value";
/// The resources that [`ASSOCIATION_PARAMETER`] is for.
pub const ASSOCIATION_BASES: &[TypeId] = &[ty::DOCUMENT_REFERENCE, ty::LIST];

/// Where associations stand in the resource of their source.
const ASSOCIATIONS_IN: &[&str] = &["relatesTo", "entry"];

/// Returns the id of an association that stands at a place of its source.
fn id_of_association(item: &Value, at: usize, source: &str) -> String {
    let extensions = item["extension"].as_array().into_iter().flatten();
    let mut own = extensions.filter(|e| e["url"] == format!("{EXTENSIONS}association"));
    let id = own.next().and_then(id_part);
    id.map_or_else(|| document_reference::derived_id(source, at), str::to_owned)
}

/// Returns the id that an extension says.
fn id_part(extension: &Value) -> Option<&str> {
    let mut parts = extension["extension"].as_array()?.iter().filter(|part| part["url"] == "id");
    parts.find_map(|part| part["valueString"].as_str())
}

/// Changes the status of an association in the resource of its source, as
/// JSON. Tells whether it stands there.
pub fn set_association_status(source: &mut Value, association: &RegistryObject) -> bool {
    let id = association.ends.as_ref().map_or("", |ends| ends.source.as_str());
    for element in ASSOCIATIONS_IN {
        let Some(items) = source.get_mut(element).and_then(Value::as_array_mut) else { continue };
        for (at, item) in items.iter_mut().enumerate().filter(|(_, item)| item.is_object()) {
            if id_of_association(item, at, id) != association.id {
                continue;
            }
            if association.status.as_deref() == Some(DEPRECATED) {
                item["modifierExtension"] = deprecated();
            } else if let Some(item) = item.as_object_mut() {
                item.remove("modifierExtension");
            }
            return true;
        }
    }
    false
}

/// Takes associations out of the resource of their source, as JSON. `id`: of
/// the source, `urn:uuid:...`.
pub fn remove_associations(source: &mut Value, id: &str, is_removed: impl Fn(&str) -> bool) {
    let Some(resource) = source.as_object_mut() else { return };
    for element in ASSOCIATIONS_IN {
        retain_items(resource, element, |at, item| !is_removed(&id_of_association(item, at, id)));
    }
    let member = format!("{EXTENSIONS}member");
    retain_items(resource, "extension", |_, extension| {
        extension["url"] != member.as_str() || !id_part(extension).is_some_and(&is_removed)
    });
}

/// Keeps items of an element of a resource; an element without any is none.
fn retain_items(resource: &mut Map<String, Value>, element: &str, is_kept: impl Fn(usize, &Value) -> bool) {
    let Some(items) = resource.get_mut(element).and_then(Value::as_array_mut) else { return };
    let mut at = 0;
    items.retain(|item| {
        at += 1;
        is_kept(at - 1, item)
    });
    if items.is_empty() {
        resource.remove(element);
    }
}

/// Returns the text of the part of an extension that has a name.
fn part<'r>(extension: Element<'r>, named: &'static str) -> Option<&'r str> {
    parts(extension, named).next()?.value()
}

/// Writes slots that have no element of their own.
fn slots<'s>(slots: impl IntoIterator<Item = &'s Slot>) -> Vec<Value> {
    let slot = |slot: &Slot| {
        let values = slot.values.iter().filter(|value| !value.trim().is_empty());
        let mut parts = vec![json!({ "url": "name", "valueString": slot.name })];
        parts.extend(values.map(|value| json!({ "url": "value", "valueString": value })));
        json!({ "url": format!("{EXTENSIONS}slot"), "extension": parts })
    };
    slots.into_iter().map(slot).collect()
}

/// Reads slots that have no element of their own.
fn read_slots(element: Element<'_>) -> Vec<Slot> {
    let slot = |slot: Element<'_>| {
        let values = parts(slot, "value").filter_map(|value| value.value());
        let name = part(slot, "name")?.to_owned();
        Some(Slot { name, slot_type: None, values: values.map(str::to_owned).collect() })
    };
    extensions(element, "slot").filter_map(slot).collect()
}

/// Puts a text in an object of JSON, with what languages it is in.
fn put_localized(into: &mut Map<String, Value>, element: &str, strings: &[LocalizedString]) {
    let mut strings = strings.iter().filter(|string| !string.value.trim().is_empty());
    let Some(first) = strings.next() else { return };
    into.insert(element.to_owned(), json!(first.value));
    let mut more: Vec<Value> =
        first.lang.iter().map(|lang| extension("language", "valueString", lang.as_str())).collect();
    for other in strings {
        let mut parts = vec![json!({ "url": "text", "valueString": other.value })];
        parts.extend(other.lang.iter().map(|lang| json!({ "url": "language", "valueString": lang })));
        more.push(json!({ "url": format!("{EXTENSIONS}other-language"), "extension": parts }));
    }
    if !more.is_empty() {
        into.insert(format!("_{element}"), json!({ "extension": more }));
    }
}

/// Reads a text with what languages it is in.
fn read_localized(parent: Element<'_>, element: NameId) -> Vec<LocalizedString> {
    let Some(text) = parent.child(element) else { return Vec::new() };
    let Some(value) = text.value() else { return Vec::new() };
    let lang = value_of(text, "language").map(str::to_owned);
    let mut strings = vec![LocalizedString { lang, value: value.to_owned() }];
    for other in extensions(text, "other-language") {
        let part = |named| part(other, named).map(str::to_owned);
        strings.push(LocalizedString { lang: part("language"), value: part("text").unwrap_or_default() });
    }
    strings
}

/// Returns the id of the resource that an object is, by its UUID.
pub fn resource_id(entry_uuid: &str) -> Option<&str> {
    entry_uuid.strip_prefix("urn:uuid:").filter(|id| is_uuid(id))
}

/// Returns the UUID of the object that a resource is: its own id, or one that it is identified by.
fn entry_uuid(root: Element<'_>) -> String {
    let is_urn = |id: &&str| resource_id(id).is_some();
    let own = root.text_of(name::ID).filter(|id| is_uuid(id)).map(|id| format!("urn:uuid:{id}"));
    let identified = || {
        let mut values = root.children_named(name::IDENTIFIER).filter_map(|i| i.text_of(name::VALUE));
        values.find(is_urn).map(str::to_owned)
    };
    own.or_else(identified).unwrap_or_else(|| root.text_of(name::ID).unwrap_or_default().to_owned())
}

/// Makes the identifier of a unique id: an OID, an OID and a part of its own, or a URN.
fn unique_identifier(unique_id: &str, usage: &str) -> Value {
    match unique_id.split_once('^') {
        Some((root, rest)) if is_oid(root) && !rest.is_empty() => {
            json!({ "use": usage, "system": format!("urn:oid:{root}"), "value": rest })
        }
        _ if is_oid(unique_id) => {
            json!({ "use": usage, "system": URIS, "value": format!("urn:oid:{unique_id}") })
        }
        _ => json!({ "use": usage, "system": URIS, "value": unique_id }),
    }
}

/// Says of an identifier what it is.
fn typed(mut identifier: Value, kind: &str) -> Value {
    identifier["type"] = json!({ "coding": [{ "system": IDENTIFIER_TYPES, "code": kind }] });
    identifier
}

/// Makes the identifier by which an object is known by its UUID.
pub fn entry_uuid_identifier(uuid: &str) -> Value {
    typed(json!({ "use": "official", "system": URIS, "value": uuid }), ENTRY_UUID)
}

/// Makes the identifier that is the unique id of an object.
pub fn unique_id_identifier(unique_id: &str) -> Value {
    typed(unique_identifier(unique_id, "usual"), UNIQUE_ID)
}

/// Reads the identifier of a patient whose system is an OID.
pub(crate) fn read_cx(identifier: Element<'_>) -> Option<Cx> {
    let authority = identifier.text_of(name::SYSTEM)?.strip_prefix("urn:oid:")?.to_owned();
    Some(Cx { id: identifier.text_of(name::VALUE)?.to_owned(), authority })
}

/// Tells whether an identifier is one by a UUID: of the object, or of its versions.
pub fn is_entry_uuid(identifier: Element<'_>) -> bool {
    match type_of_identifier(identifier) {
        Some(kind) => kind == ENTRY_UUID,
        None => matches!(identifier.text_of(name::USE), Some("official" | "secondary")),
    }
}

fn type_of_identifier<'r>(identifier: Element<'r>) -> Option<&'r str> {
    let codings = identifier.child(name::TYPE)?.children_named(name::CODING);
    codings
        .filter_map(|coding| coding.text_of(name::CODE))
        .find(|code| [ENTRY_UUID, UNIQUE_ID].contains(code))
}

/// Makes the identifiers of an object by its UUID and, where it is not the
/// first of its versions, by the one that they share.
fn identifiers(object: &RegistryObject) -> Vec<Value> {
    let logical_id = object.logical_id.as_deref().filter(|id| *id != object.id);
    let mut all = vec![entry_uuid_identifier(&object.id)];
    all.extend(logical_id.map(|id| json!({ "use": "secondary", "system": URIS, "value": id })));
    all
}

/// Returns what a search for the versions of an object asks `identifier` for.
pub fn logical_id_token(logical_id: &str) -> String {
    token(URIS, logical_id)
}

/// Reads a unique id.
fn read_unique_identifier(identifier: Element<'_>) -> Option<String> {
    let value = identifier.text_of(name::VALUE)?;
    Some(match identifier.text_of(name::SYSTEM).and_then(|s| s.strip_prefix("urn:oid:")) {
        Some(root) => format!("{root}^{value}"),
        None => value.strip_prefix("urn:oid:").unwrap_or(value).to_owned(),
    })
}

/// Returns what a search for a unique id asks `identifier` for.
pub fn unique_id_token(unique_id: &str) -> String {
    let identifier = unique_identifier(unique_id, "usual");
    let part = |name: &str| identifier.get(name).and_then(Value::as_str).unwrap_or_default();
    token(part("system"), part("value"))
}

/// Writes the tag of the Binary that a document of this unique id is in;
/// [`unique_id_token`] finds it.
pub fn unique_id_tag(unique_id: &str) -> Value {
    let identifier = unique_identifier(unique_id, "usual");
    json!({ "system": identifier["system"], "code": identifier["value"] })
}

/// Writes what all objects have and FHIR has no element for.
fn of_all_objects(object: &RegistryObject) -> Vec<Value> {
    let mut extensions = Vec::new();
    let logical_id = object.logical_id.as_deref().filter(|id| *id != object.id);
    extensions.extend(logical_id.map(|id| extension("logical-id", "valueString", id)));
    extensions.extend(object.version.as_deref().map(|v| extension("version", "valueString", v)));
    extensions.extend(object.home.as_deref().map(|home| extension("home-community", "valueString", home)));
    extensions
}

/// Reads what all objects have and FHIR has no element for.
fn read_of_all_objects(root: Element<'_>, object: &mut RegistryObject) {
    let value = |kind: &str| value_of(root, kind).map(str::to_owned);
    object.logical_id = Some(value("logical-id").unwrap_or_else(|| object.id.clone()));
    object.version = value("version");
    object.home = value("home-community");
}

#[cfg(test)]
mod tests;
