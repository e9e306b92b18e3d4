//! XON: organizations, as Organization.
//!
//! Spec: HL7 v2.5.1 section 2.A.87

use serde_json::{Map, Value as Json, json};

use super::xcn::party;
use super::{cx, extend, filled, hd, put};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// A reference to an Organization.
pub(in crate::hl7v2) const XON: As = As::Of(reference);

/// The name of an organization.
pub(in crate::hl7v2) const XON_TEXT: As = As::Of(name);

/// A reference to the Organization that a coded value names.
pub(in crate::hl7v2) const CWE_ORGANIZATION: As = As::Of(coded);

fn reference(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let organization = organization(work, value)?;
    Some(party(work, draft, organization))
}

pub(in crate::hl7v2) fn organization(work: &mut Work<'_>, value: Value<'_>) -> Option<Draft> {
    let mut organization = Draft::new("Organization");
    let id = value.text_of(10).or_else(|| value.text_of(3));
    if let Some(id) = id {
        let mut identifier = Map::new();
        extend(&mut identifier, cx::CHECK_DIGIT, value.text_of(4));
        extend(&mut identifier, cx::CHECK_DIGIT_SCHEME, value.text_of(5));
        put(&mut identifier, "type", cx::type_of(value.text_of(7)));
        if let Some(authority) = value.part(6) {
            hd::assign(work, &mut identifier, authority);
        }
        identifier.insert("value".to_owned(), json!(id.trim()));
        organization.put("identifier", Json::Object(identifier));
    }
    if let Some(name) = value.text_of(1) {
        organization.put("name", json!(name));
    }
    (!organization.is_empty()).then_some(organization)
}

/// Returns the reference to an organization that was made.
pub(in crate::hl7v2) fn referred(work: &mut Work<'_>, draft: &mut Draft, organization: Draft) -> Json {
    party(work, draft, organization)
}

fn name(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    Some(json!(value.text()?))
}

fn coded(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut organization = Draft::new("Organization");
    let mut identifier = Map::new();
    if let Some(code) = value.text_of(1) {
        if let Some(name) = value.part(3)
            && let Some(system) = name.peek().and_then(|name| super::coded::system(work, name.trim()))
        {
            name.note_all();
            put(&mut identifier, "system", Some(system));
        }
        put(&mut identifier, "value", Some(code.trim()));
    }
    if let Some(identifier) = filled(identifier) {
        organization.put("identifier", identifier);
    }
    if let Some(name) = value.text_of(2) {
        organization.put("name", json!(name));
    }
    (!organization.is_empty()).then(|| party(work, draft, organization))
}
