//! EI and EIP: identifiers of things, as Identifier.
//!
//! Spec: HL7 v2.5.1 sections 2.A.28, 2.A.29

use serde_json::{Map, Value as Json, json};

use super::hd;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::{Known, Work};

/// An identifier of a thing.
pub(in crate::hl7v2) const EI: As = As::Of(identifier);

/// The order from which another came (EIP), by the number of who placed it, or of who fills it.
pub(in crate::hl7v2) const PLACED_PARENT: As = As::Of(placed_parent);
pub(in crate::hl7v2) const FILLED_PARENT: As = As::Of(filled_parent);

fn placed_parent(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    parent(work, draft, value.part(1)?, "PLAC")
}

fn filled_parent(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    parent(work, draft, value.part(2)?, "FILL")
}

fn parent(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>, code: &str) -> Option<Json> {
    let mut number = identifier(work, draft, value)?;
    number["type"] = codes::concept("v2-0203", code);
    Some(json!({ "type": "ServiceRequest", "identifier": number }))
}

pub(in crate::hl7v2) fn identifier(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut identifier = Map::new();
    hd::assign_parts(work, &mut identifier, value, &[2, 3, 4]);
    identifier.insert("value".to_owned(), json!(value.text_of(1)?.trim()));
    Some(Json::Object(identifier))
}

/// Returns what an identifier of a thing is told apart by in keys: its system,
/// or the name of who assigned it, or else the sender.
pub(in crate::hl7v2) fn key(work: &Work<'_>, identifier: &Json) -> String {
    let assigner = identifier["system"].as_str().or_else(|| identifier["assigner"]["display"].as_str());
    let value = identifier["value"].as_str().unwrap_or_default();
    format!("{}|{value}", assigner.unwrap_or(&work.header.source))
}

/// Returns the number of a resource that is of the first of these types (table 0203) that it has.
pub(in crate::hl7v2) fn number(draft: &Draft, types: &[&str]) -> Option<Json> {
    let all = draft.element("identifier").as_array()?;
    let of = |code: &&str| all.iter().find(|identifier| identifier["type"]["coding"][0]["code"] == **code);
    types.iter().find_map(of).cloned()
}

/// Returns how a thing of a number is found again: by that, where it is clear whose number it is.
pub(in crate::hl7v2) fn known(work: &Work<'_>, number: &Json) -> Known {
    let query = work.by_number(number).filter(|_| number["system"].is_string());
    query.map_or(Known::Own, Known::By)
}
