//! XTN: telephone numbers and addresses of mail, as ContactPoint.
//!
//! Spec: HL7 v2.5.1 section 2.A.89

use serde_json::{Map, Value as Json, json};

use super::coded::put_code;
use super::{dtm, extend, put};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, alternate_code};
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::tables;
use crate::hl7v2::map::work::Work;

/// A telephone number or an address of mail.
pub(in crate::hl7v2) const XTN: As = As::Of(contact_point);

/// The extensions that tell the parts of a number.
pub(in crate::hl7v2) const NUMBER_PARTS: &[(usize, &str)] = &[
    (5, "http://hl7.org/fhir/StructureDefinition/contactpoint-country"),
    (6, "http://hl7.org/fhir/StructureDefinition/contactpoint-area"),
    (7, "http://hl7.org/fhir/StructureDefinition/contactpoint-local"),
    (8, "http://hl7.org/fhir/StructureDefinition/contactpoint-extension"),
];

fn contact_point(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut point = Map::new();
    let equipment = value.peek_of(3);
    let is_mail = matches!(equipment.as_deref(), Some("Internet" | "X.400"))
        || equipment.is_none() && value.peek_of(4).is_some_and(|address| address.contains('@'));
    match (is_mail, equipment.as_deref()) {
        (_, Some(_)) if equipment.as_deref() != Some("CP") => {
            put_code(&mut point, "system", value.part(3), &tables::TELECOM_SYSTEM);
        }
        (true, _) => put(&mut point, "system", Some("email")),
        (false, _) => put(&mut point, "system", Some("phone")),
    }
    let number = value.text_of(if is_mail { 4 } else { 12 }).or_else(|| value.text_of(1));
    if !is_mail {
        for (part, url) in NUMBER_PARTS {
            extend(&mut point, url, value.text_of(*part));
        }
    }
    let number = number.or_else(|| whole_number(value))?;
    point.insert("value".to_owned(), json!(number));
    uses(&mut point, value, is_mail);
    put(&mut point, "period", dtm::period(work, value.part(13), value.part(14)));
    let rank = value.peek_of(18).and_then(|rank| rank.parse::<u32>().ok()).filter(|rank| *rank > 0);
    if rank.is_some() {
        value.text_of(18);
    }
    put(&mut point, "rank", rank);
    Some(Json::Object(point))
}

/// Says what a number is for. A mobile telephone is a use of FHIR.
fn uses(point: &mut Map<String, Json>, value: Value<'_>, is_mail: bool) {
    let told = value.peek_of(2);
    if is_mail && told.as_deref() == Some("NET") {
        // That is what mail is.
        value.text_of(2);
        return;
    }
    if value.peek_of(3).as_deref() != Some("CP") {
        put_code(point, "use", value.part(2), &tables::TELECOM_USE);
        return;
    }
    value.text_of(3);
    point.insert("use".to_owned(), json!("mobile"));
    if let Some(code) = value.text_of(2).filter(|code| code != "PRS") {
        point.insert("_use".to_owned(), json!({ "extension": [alternate_code("0201", &code)] }));
    }
}

/// Returns the number that country, area, local number and extension make.
fn whole_number(value: Value<'_>) -> Option<String> {
    let part = |number| value.peek_of(number);
    let country = part(5).map(|country| format!("+{} ", country.trim_start_matches('+'))).unwrap_or_default();
    let area = part(6).map(|area| format!("{area} ")).unwrap_or_default();
    let extension = part(8).map(|extension| format!(" X{extension}")).unwrap_or_default();
    Some(format!("{country}{area}{}{extension}", part(7)?))
}
