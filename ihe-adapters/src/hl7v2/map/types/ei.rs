//! EI and EIP: identifiers of things, as Identifier.
//!
//! Spec: HL7 v2.5.1 sections 2.A.28, 2.A.29

use serde_json::{Map, Value as Json, json};

use super::put;
use crate::hl7v2::context::Authority;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// An identifier of a thing.
pub(in crate::hl7v2) const EI: As = As::Of(identifier);

pub(in crate::hl7v2) fn identifier(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let part = |number| value.peek_of(number).unwrap_or_default();
    let (namespace, id, id_type) = (part(2), part(3), part(4));
    let authority = Authority { namespace: &namespace, universal_id: &id, universal_id_type: &id_type };
    let system = match namespace.is_empty() && id.is_empty() {
        // What of things a sender numbers is not of a domain of patients.
        true => None,
        false => (work.context.system)(authority, &work.header.sender),
    };
    let mut identifier = Map::new();
    let namespace = value.text_of(2);
    if system.is_some() {
        [3, 4].into_iter().filter_map(|number| value.part(number)).for_each(Value::note_all);
    }
    put(&mut identifier, "system", system);
    identifier.insert("value".to_owned(), json!(value.text_of(1)?.trim()));
    put(&mut identifier, "assigner", namespace.map(|namespace| json!({ "display": namespace })));
    Some(Json::Object(identifier))
}

/// Returns what an identifier of a thing is told apart by in keys: its system,
/// or the name of who assigned it, or else the sender.
pub(in crate::hl7v2) fn key(work: &Work<'_>, identifier: &Json) -> String {
    let assigner = identifier["system"].as_str().or_else(|| identifier["assigner"]["display"].as_str());
    let value = identifier["value"].as_str().unwrap_or_default();
    format!("{}|{value}", assigner.unwrap_or(&work.header.source))
}
