//! Data types of FHIR, as those of HL7 v2.

use serde_json::Value as Json;

use super::write::Value;
use crate::hl7v2::map::codes::Codes;
use crate::hl7v2::map::tables;
use crate::hl7v2::map::types::{coded, xad, xpn, xtn};
use crate::pix::domains::Domains;

/// Returns the value of an extension, whichever type it is of.
pub(super) fn extension<'j>(element: &'j Json, url: &str) -> Option<&'j Json> {
    let extensions = element["extension"].as_array()?;
    let found = extensions.iter().find(|extension| extension["url"] == url)?;
    found.as_object()?.iter().find(|(name, _)| name.starts_with("value")).map(|(_, value)| value)
}

/// Returns the code of a table for an element: the one that stands beside it, or
/// else the first that means the same.
pub(super) fn code<'j>(object: &'j Json, element: &str, table: &Codes) -> Option<&'j str> {
    let beside = &object[format!("_{element}").as_str()];
    let alternate = extension(beside, "http://hl7.org/fhir/StructureDefinition/alternate-codes");
    let alternate = alternate.and_then(|concept| concept["coding"][0]["code"].as_str());
    alternate.or_else(|| table.v2(object[element].as_str()?))
}

/// A dateTime, a date or an instant.
pub(super) fn dtm(time: &Json) -> Option<String> {
    let text = time.as_str()?;
    let (date, rest) = text.split_once('T').unwrap_or((text, ""));
    let (clock, zone) = match rest.find(['+', '-', 'Z']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let zone = if zone == "Z" { "+0000".to_owned() } else { zone.replace(':', "") };
    // A fraction of a second has at most four digits.
    let clock = clock.split_once('.').map_or_else(
        || clock.to_owned(),
        |(whole, fraction)| format!("{whole}.{}", fraction.chars().take(4).collect::<String>()),
    );
    Some(format!("{}{}{zone}", date.replace('-', ""), clock.replace(':', "")))
}

/// Identifier as CX; `authority` and the type stand where they do in CX.
pub(super) fn cx(identifier: &Json, domains: &Domains) -> Value {
    let mut value = Value::default();
    value.set(1, identifier["value"].as_str());
    let digit = |end: &str| extension(identifier, &format!("http://hl7.org/fhir/StructureDefinition/{end}"));
    value.set(2, digit("identifier-checkDigit").and_then(Json::as_str));
    value.set(3, digit("namingsystem-checkDigit").and_then(Json::as_str));
    for (part, text) in authority(identifier, domains).into_iter().enumerate() {
        value.set_part(4, part + 1, text.as_deref());
    }
    value.set(5, identifier["type"]["coding"][0]["code"].as_str());
    value.set(7, dtm(&identifier["period"]["start"]).as_deref());
    value.set(8, dtm(&identifier["period"]["end"]).as_deref());
    value
}

/// Returns namespace, universal id and its type of who assigned an identifier.
pub(super) fn authority(identifier: &Json, domains: &Domains) -> [Option<String>; 3] {
    let display = identifier["assigner"]["display"].as_str().map(str::to_owned);
    let Some(system) = identifier["system"].as_str() else { return [display, None, None] };
    let domain = domains.by_system(system);
    let name = domain.as_ref().map(|domain| domain.name.clone()).filter(|name| !name.is_empty());
    let known = domain.map(|domain| domain.oid.clone()).filter(|oid| !oid.is_empty());
    let oid = known.or_else(|| system.strip_prefix("urn:oid:").map(str::to_owned));
    let (id, id_type) = match oid {
        Some(oid) => (oid, "ISO"),
        None => (system.to_owned(), "URI"),
    };
    [name.or(display), Some(id), Some(id_type.to_owned())]
}

/// Identifier as EI.
pub(super) fn ei(identifier: &Json, domains: &Domains) -> Value {
    let mut value = Value::default();
    value.set(1, identifier["value"].as_str());
    for (part, text) in authority(identifier, domains).into_iter().enumerate() {
        value.set(part + 2, text.as_deref());
    }
    value
}

/// CodeableConcept as CWE. Of what `table` translates, the original is written.
pub(super) fn cwe(concept: &Json, table: Option<&Codes>) -> Value {
    let mut value = Value::default();
    let codings = concept["coding"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = table.map(|table| crate::hl7v2::map::codes::table_system(table.table));
    let original = codings.iter().find(|coding| own.is_some() && coding["system"].as_str() == own.as_deref());
    if let (Some(table), None, Some(coding)) = (table, original, codings.first())
        && let Some(code) = coding["code"].as_str().and_then(|code| table.v2(code))
    {
        value.set(1, Some(code));
        value.set(2, coding["display"].as_str());
        return value;
    }
    let written: Vec<&Json> =
        original.map_or_else(|| codings.iter().take(2).collect(), |coding| vec![coding]);
    for (coding, [code, text, name, version]) in written.into_iter().zip([[1, 2, 3, 7], [4, 5, 6, 8]]) {
        value.set(code, coding["code"].as_str());
        value.set(text, coding["display"].as_str());
        let system = coding["system"].as_str().filter(|system| Some(*system) != own.as_deref());
        let named = system.map(|system| coded::name_of(system).unwrap_or_default());
        value.set(name, named.as_deref().filter(|name| !name.is_empty()));
        // A system without a name in table 0396 is told by its OID, which has a place of its own in later versions.
        let oid = system.and_then(|system| system.strip_prefix("urn:oid:"));
        value.set(name, oid.filter(|_| named.as_deref() == Some("")));
        value.set(version, coding["version"].as_str());
    }
    let at = if codings.is_empty() { 2 } else { 9 };
    value.set(at, concept["text"].as_str());
    value
}

/// HumanName as XPN.
pub(super) fn xpn(name: &Json) -> Value {
    let mut value = Value::default();
    let is_taken_apart = name["family"].is_string() || name["given"].is_array();
    // A name that is not taken apart stands where the family name does.
    value.set(1, if is_taken_apart { name["family"].as_str() } else { name["text"].as_str() });
    for (part, url) in xpn::FAMILY_PARTS {
        value.set_part(1, *part, extension(&name["_family"], url).and_then(Json::as_str));
    }
    value.set(2, name["given"][0].as_str());
    let given = name["given"].as_array().map(Vec::as_slice).unwrap_or_default();
    let further: Vec<&str> = given.iter().skip(1).filter_map(Json::as_str).collect();
    value.set(3, Some(further.join(" ").as_str()).filter(|text| !text.is_empty()));
    for (component, at) in [(4, 0), (6, 1), (14, 2)] {
        value.set(component, name["suffix"][at].as_str());
    }
    let prefixes: Vec<&str> =
        name["prefix"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    value.set(5, Some(prefixes.join(" ").as_str()).filter(|text| !text.is_empty()));
    value.set(7, code(name, "use", &tables::NAME_USE));
    value.set(11, extension(name, xpn::ASSEMBLY_ORDER).and_then(Json::as_str));
    value.set(12, dtm(&name["period"]["start"]).as_deref());
    value.set(13, dtm(&name["period"]["end"]).as_deref());
    value
}

/// Address as XAD.
pub(super) fn xad(address: &Json) -> Value {
    let mut value = Value::default();
    let is_taken_apart = address["line"].is_array() || address["city"].is_string();
    value.set(1, if is_taken_apart { address["line"][0].as_str() } else { address["text"].as_str() });
    for (part, url) in xad::LINE_PARTS {
        value.set_part(1, *part, extension(&address["_line"][0], url).and_then(Json::as_str));
    }
    for (component, text) in [
        (3, &address["city"]),
        (4, &address["state"]),
        (5, &address["postalCode"]),
        (6, &address["country"]),
        (9, &address["district"]),
    ] {
        value.set(component, text.as_str());
    }
    // Versions before 2.7 have two lines.
    let lines = address["line"].as_array().map(Vec::as_slice).unwrap_or_default();
    let further: Vec<&str> = lines.iter().skip(1).filter_map(Json::as_str).collect();
    value.set(2, Some(further.join(", ").as_str()).filter(|text| !text.is_empty()));
    let by_type = address["type"].as_str().and_then(|_| code(address, "type", &tables::ADDRESS_TYPE));
    value.set(7, by_type.or_else(|| code(address, "use", &tables::ADDRESS_USE)));
    value.set(10, extension(address, xad::CENSUS_TRACT).and_then(Json::as_str));
    value.set(13, dtm(&address["period"]["start"]).as_deref());
    value.set(14, dtm(&address["period"]["end"]).as_deref());
    value
}

/// ContactPoint as XTN.
pub(super) fn xtn(point: &Json) -> Value {
    let mut value = Value::default();
    let is_mail = point["system"] == "email";
    let is_mobile = point["system"] == "phone" && point["use"] == "mobile";
    let number_at = if is_mail { 4 } else { 1 };
    // Some write a number as a URL.
    value.set(number_at, point["value"].as_str().map(|number| number.strip_prefix("tel:").unwrap_or(number)));
    let told = code(point, "use", &tables::TELECOM_USE);
    // Mail is told by the use as well.
    let told = told.or(is_mail.then_some("NET"));
    // A mobile telephone is a use of FHIR, and equipment of HL7 v2.
    value.set(2, told.filter(|told| !(is_mobile && *told == "PRS")));
    let equipment = if is_mobile { Some("CP") } else { code(point, "system", &tables::TELECOM_SYSTEM) };
    value.set(3, equipment);
    if !is_mail {
        for (component, url) in xtn::NUMBER_PARTS {
            value.set(*component, extension(point, url).and_then(Json::as_str));
        }
    }
    value
}

/// Practitioner as XCN.
pub(super) fn xcn(practitioner: &Json, domains: &Domains) -> Value {
    let mut value = Value::default();
    let (identifier, name) = (&practitioner["identifier"][0], &practitioner["name"][0]);
    value.set(1, identifier["value"].as_str());
    value.set(2, name["family"].as_str());
    for (component, text) in [
        (3, &name["given"][0]),
        (4, &name["given"][1]),
        (5, &name["suffix"][0]),
        (6, &name["prefix"][0]),
        (21, &name["suffix"][1]),
    ] {
        value.set(component, text.as_str());
    }
    value.set(7, practitioner["qualification"][0]["code"]["coding"][0]["code"].as_str());
    if identifier["value"].is_string() {
        for (part, text) in authority(identifier, domains).into_iter().enumerate() {
            value.set_part(9, part + 1, text.as_deref());
        }
    }
    value.set(10, code(name, "use", &tables::NAME_USE));
    value.set(13, identifier["type"]["coding"][0]["code"].as_str());
    value
}

/// Practitioner as NDL.
pub(super) fn ndl(practitioner: &Json, domains: &Domains) -> Value {
    let mut value = xcn(practitioner, domains);
    let [namespace, id, id_type] = authority(&practitioner["identifier"][0], domains);
    // CNN has the authority in three components.
    for (component, text) in [
        (9, namespace.as_deref().unwrap_or("")),
        (10, id.as_deref().unwrap_or("")),
        (11, id_type.as_deref().unwrap_or("")),
    ] {
        value.set(component, Some(text));
    }
    value.set(13, Some(""));
    value.set(21, Some(""));
    value.within(1)
}

/// Quantity's units as CWE.
pub(super) fn units(quantity: &Json) -> Value {
    let mut value = Value::default();
    match (quantity["code"].as_str(), quantity["system"].as_str().and_then(coded::name_of)) {
        (Some(code), Some(name)) => {
            value.set(1, Some(code));
            value.set(2, quantity["unit"].as_str().filter(|unit| *unit != code));
            value.set(3, Some(&name));
        }
        _ => value.set(1, quantity["unit"].as_str().or(quantity["code"].as_str())),
    }
    value
}
