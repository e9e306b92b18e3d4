//! CX: an identifier with check digit, as Identifier.
//!
//! Spec: HL7 v2.5.1 section 2.A.14

use serde_json::{Map, Value as Json, json};

use super::{dtm, extend, filled, hd, put};
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// An identifier.
pub(in crate::hl7v2) const CX: As = As::Of(identifier);

/// An identifier of a patient: without an authority, it is of the sender's own domain.
pub(in crate::hl7v2) const CX_OF_PATIENT: As = As::Of(of_patient);

pub(super) const CHECK_DIGIT: &str = "http://hl7.org/fhir/StructureDefinition/identifier-checkDigit";
pub(super) const CHECK_DIGIT_SCHEME: &str = "http://hl7.org/fhir/StructureDefinition/namingsystem-checkDigit";

pub(in crate::hl7v2) fn of_patient(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut identifier = identifier(work, draft, value)?;
    if value.part(4).is_none()
        && let Ok(system) = hd::domain(work, None)
    {
        identifier["system"] = json!(system);
    }
    Some(identifier)
}

pub(in crate::hl7v2) fn identifier(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut identifier = Map::new();
    extend(&mut identifier, CHECK_DIGIT, value.text_of(2));
    extend(&mut identifier, CHECK_DIGIT_SCHEME, value.text_of(3));
    put(&mut identifier, "type", type_of(value.text_of(5)));
    if let Some(authority) = value.part(4) {
        hd::assign(work, &mut identifier, authority);
    }
    identifier.insert("value".to_owned(), json!(value.text_of(1)?.trim()));
    put(&mut identifier, "period", dtm::period(work, value.part(7), value.part(8)));
    filled(identifier)
}

/// Makes the type of an identifier (table 0203).
pub(in crate::hl7v2) fn type_of(code: Option<String>) -> Option<Json> {
    code.map(|code| codes::concept("v2-0203", code.trim()))
}
