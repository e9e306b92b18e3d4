//! ITI-54: what others publish. It is kept as a Basic, since nobody waits for an answer:
//! what was taken is told, whatever happens meanwhile.
//!
//! Spec: ITI TF-2 3.54

use fhir_model::primitive::base64;
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::DSUB;
use crate::wire::ebrim::{ObjectKind, RegistryObject, read_objects};
use crate::wire::namespaces::{LCM, RIM, WSNT};
use crate::wire::soap::Fault;
use crate::wire::xml::{Element, Limits};

/// The code of what was published.
const PUBLICATION: &str = "publication";
/// How many objects a message may publish.
const OBJECTS_MAX: usize = 1_000;

/// Returns the list of the objects that a `Notify` publishes.
///
/// # Errors
/// A fault, when it publishes none, or they cannot be read.
pub fn published(notify: &Element) -> Result<Element, Fault> {
    let mut messages = notify.children_named(WSNT, "NotificationMessage");
    let message = match (messages.next(), messages.next()) {
        (Some(one), None) => one,
        _ => return Err(Fault::sender("a Notify that publishes has one NotificationMessage")),
    };
    let list = message
        .child(WSNT, "Message")
        .and_then(|message| message.child(LCM, "SubmitObjectsRequest"))
        .and_then(|request| request.child(RIM, "RegistryObjectList"));
    let list = list.ok_or_else(|| Fault::sender("the Message has no SubmitObjectsRequest with objects"))?;
    let objects = objects(list).map_err(Fault::sender)?;
    match objects.len() {
        0 => Err(Fault::sender("no document, submission set or folder is published")),
        1..=OBJECTS_MAX => Ok(list.clone()),
        _ => Err(Fault::sender(format!("more than {OBJECTS_MAX} objects are published at once"))),
    }
}

fn objects(list: &Element) -> Result<Vec<RegistryObject>, String> {
    let mut objects = read_objects(list)?;
    objects.retain(|object| object.kind != ObjectKind::Association);
    Ok(objects)
}

/// Writes what was published as a Basic.
pub fn to_resource(list: &Element) -> Value {
    let value = base64::encode(list.to_xml().as_bytes());
    json!({
        "resourceType": "Basic",
        "code": { "coding": [{ "system": format!("{DSUB}codes"), "code": PUBLICATION }] },
        "extension": [{ "url": format!("{DSUB}objects"), "valueBase64Binary": value }],
    })
}

/// Returns the objects that a Basic keeps; none when it is no publication.
pub fn of_resource(resource: &Resource) -> Vec<RegistryObject> {
    if resource.resource_type() != ty::BASIC {
        return Vec::new();
    }
    let url = format!("{DSUB}objects");
    let mut extensions = resource.root().children_named(name::EXTENSION);
    let kept = extensions.find(|e| e.text_of(name::URL) == Some(&url));
    let bytes = kept.and_then(|kept| base64::decode(kept.text_of(name::VALUE)?));
    let list = bytes.and_then(|bytes| Element::parse(&bytes, &Limits::default()).ok());
    list.and_then(|list| objects(&list).ok()).unwrap_or_default()
}
