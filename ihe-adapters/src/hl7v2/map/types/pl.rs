//! PL: where a patient is, as Locations, each part of the one around it.
//!
//! Spec: HL7 v2.5.1 section 2.A.53

use serde_json::{Value as Json, json};

use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::{Known, Work, by_identifier};

/// A reference to the innermost Location.
pub(in crate::hl7v2) const PL: As = As::Of(location);

/// The same, of a location with an address (LA2), of which the address is not read.
pub(in crate::hl7v2) const LA2: As = As::Of(with_address);

/// A reference to the Location to which somebody was discharged (DLD).
pub(in crate::hl7v2) const DLD: As = As::Of(discharged_to);

/// From the outside to the inside: the component, and the physical type.
const LEVELS: &[(usize, &str)] = &[(4, "si"), (7, "bu"), (1, ""), (8, "lvl"), (2, "ro"), (3, "bd")];

/// Begins the systems by which places of a facility are known.
const SYSTEM: &str = "urn:lanterna:hl7v2:location:";

fn location(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    innermost(work, value, value.part(DESCRIPTION))
}

fn with_address(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    innermost(work, value, None)
}

/// The component of PL that describes a place.
const DESCRIPTION: usize = 9;

fn innermost(work: &mut Work<'_>, value: Value<'_>, description: Option<Value<'_>>) -> Option<Json> {
    let facility = value.peek_of(4).unwrap_or_else(|| work.header.facility.clone());
    let system = system_of(&facility);
    let levels: Vec<(&str, String)> =
        LEVELS.iter().filter_map(|(part, kind)| Some((*kind, value.text_of(*part)?))).collect();
    let mut path = String::new();
    let mut around: Option<Json> = None;
    for (at, (kind, name)) in levels.iter().enumerate() {
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        let mut location = Draft::new("Location");
        location.put("identifier", json!({ "system": system, "value": path }));
        location.put("name", json!(name));
        location.put("mode", json!("instance"));
        if !kind.is_empty() {
            location.put("physicalType", codes::concept("location-physical-type", kind));
        }
        let is_known = work.has("Location", &key(&system, &path));
        if at + 1 == levels.len()
            && !is_known
            && let Some(description) = description.and_then(Value::text)
        {
            location.put("description", json!(description));
        }
        if let Some(around) = around.take() {
            location.put("partOf", around);
        }
        around = Some(known(work, location, &system, &path));
    }
    around
}

/// Returns the system of the identifiers of places in a facility.
fn system_of(facility: &str) -> String {
    let mut system = SYSTEM.to_owned();
    fhir_model::percent::encode(facility, &mut system);
    system
}

fn known(work: &mut Work<'_>, location: Draft, system: &str, path: &str) -> Json {
    let query = by_identifier(&location.element("identifier")[0]).unwrap_or_default();
    work.add(location, &key(system, path), Known::StaysBy(query))
}

fn key(system: &str, path: &str) -> String {
    format!("{system}|{path}")
}

fn discharged_to(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let code = value.text_of(1)?;
    let system = system_of(&work.header.facility);
    let mut location = Draft::new("Location");
    location.put("identifier", json!({ "system": system, "value": code }));
    location.put("name", json!(value.text_of(1)));
    location.put("mode", json!("instance"));
    Some(known(work, location, &system, &code))
}
