//! Postal and telecommunication addresses as Address and ContactPoint.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes-mappings.html>

use serde_json::{Map, Value, json};

use super::codes::{fhir_of, v3_of};
use super::{extension, period, time_interval};
use crate::wire::hl7v3::address::Address;
use crate::wire::hl7v3::telecom::Telecom;

/// What addresses are for; the first of a code of FHIR is how it is written.
const USES: &[(&str, &str)] = &[
    ("H", "home"),
    ("HP", "home"),
    ("WP", "work"),
    ("DIR", "work"),
    ("PUB", "work"),
    ("TMP", "temp"),
    ("HV", "temp"),
    ("BAD", "old"),
];
/// What can be sent to them.
const TYPES: &[(&str, &str)] = &[("PST", "postal"), ("PHYS", "physical")];
/// What telephones are carried about.
const MOBILE: &[(&str, &str)] = &[("MC", "mobile")];
/// URLs, and what they are in FHIR.
const SCHEMES: &[(&str, &str)] =
    &[("tel", "phone"), ("fax", "fax"), ("x-text-fax", "fax"), ("mailto", "email"), ("sms", "sms")];
/// A pager.
const PAGER: &[(&str, &str)] = &[("PG", "pager")];

/// Parts of an address that FHIR has places of their own for.
const FIELDS: &[(&str, &str)] = &[
    ("city", "city"),
    ("county", "district"),
    ("state", "state"),
    ("postalCode", "postalCode"),
    ("country", "country"),
];
/// A part that is a line by itself.
const LINE: &str = "streetAddressLine";
/// What says which other part something in a line is, without its name.
const PART: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-";

/// Writes an address as an Address; `None` when nothing stands in it.
pub(crate) fn address(from: &Address) -> Option<Value> {
    if from.parts.is_empty() {
        return None;
    }
    let mut to = Map::new();
    for (table, member) in [(USES, "use"), (TYPES, "type")] {
        if let Some(code) = from.uses.iter().find_map(|code| fhir_of(table, code)) {
            to.insert(member.to_owned(), json!(code));
        }
    }
    if let [(kind, text)] = from.parts.as_slice()
        && kind.is_empty()
    {
        to.insert("text".to_owned(), json!(text));
    } else {
        put_parts(&from.parts, &mut to);
    }
    if let Some(period) = period(&from.useable_period) {
        to.insert("period".to_owned(), period);
    }
    Some(Value::Object(to))
}

fn put_parts(parts: &[(String, String)], to: &mut Map<String, Value>) {
    let mut lines: Vec<(String, Vec<Value>)> = Vec::new();
    for (kind, text) in parts {
        let field = FIELDS.iter().find(|(v3, _)| v3 == kind).map(|(_, fhir)| *fhir);
        match (field, kind.as_str()) {
            (Some(field), _) if !to.contains_key(field) => {
                to.insert(field.to_owned(), json!(text));
            }
            (None, LINE | "") => lines.push((text.clone(), Vec::new())),
            (_, kind) => {
                let part = extension(&format!("{PART}{kind}"), "valueString", text);
                match lines.last_mut() {
                    Some((line, parts)) => {
                        line.push(' ');
                        line.push_str(text);
                        parts.push(part);
                    }
                    None => lines.push((text.clone(), vec![part])),
                }
            }
        }
    }
    if lines.is_empty() {
        return;
    }
    let has_parts = lines.iter().any(|(_, parts)| !parts.is_empty());
    if has_parts {
        let more = |parts: &Vec<Value>| match parts.is_empty() {
            true => Value::Null,
            false => json!({ "extension": parts }),
        };
        to.insert("_line".to_owned(), lines.iter().map(|(_, parts)| more(parts)).collect());
    }
    to.insert("line".to_owned(), lines.into_iter().map(|(line, _)| Value::String(line)).collect());
}

/// Reads an Address.
pub(super) fn read_address(from: &Value) -> Address {
    let mut parts = Vec::new();
    let lines = from["line"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for (at, line) in lines.enumerate() {
        put_line(line, &from["_line"][at], &mut parts);
    }
    let fields =
        FIELDS.iter().filter_map(|(v3, fhir)| Some(((*v3).to_owned(), from[*fhir].as_str()?.to_owned())));
    parts.extend(fields);
    if let (true, Some(text)) = (parts.is_empty(), from["text"].as_str()) {
        parts.push((String::new(), text.to_owned()));
    }
    let uses = [(USES, "use"), (TYPES, "type")];
    let uses = uses.iter().filter_map(|(table, member)| v3_of(table, from[*member].as_str()?));
    Address { uses: uses.map(str::to_owned).collect(), parts, useable_period: time_interval(&from["period"]) }
}

/// Takes a line apart again, where it is known what stands at its end.
fn put_line(line: &str, more: &Value, parts: &mut Vec<(String, String)>) {
    let special = more["extension"].as_array().into_iter().flatten().filter_map(|extension| {
        let kind = extension["url"].as_str()?.strip_prefix(PART)?;
        Some((kind.to_owned(), extension["valueString"].as_str()?.to_owned()))
    });
    let special: Vec<(String, String)> = special.collect();
    let texts: Vec<&str> = special.iter().map(|(_, text)| text.as_str()).collect();
    let rest = if texts.is_empty() { None } else { line.strip_suffix(&texts.join(" ")) };
    let Some(rest) = rest else {
        parts.push((LINE.to_owned(), line.to_owned()));
        return;
    };
    if !rest.trim().is_empty() {
        parts.push((LINE.to_owned(), rest.trim().to_owned()));
    }
    parts.extend(special);
}

/// Writes a telecommunication address as a ContactPoint; `None` when there is none.
pub(crate) fn contact_point(from: &Telecom) -> Option<Value> {
    from.value.as_deref()?;
    let (scheme, rest) = from.parts();
    let known = scheme.and_then(|scheme| fhir_of(SCHEMES, &scheme.to_ascii_lowercase()));
    let pager = from.uses.iter().find_map(|code| fhir_of(PAGER, code));
    let (system, value) = match (known, scheme) {
        (Some("phone"), _) => (pager.unwrap_or("phone"), rest),
        (Some(system), _) => (system, rest),
        (None, Some("http" | "https" | "ftp")) => ("url", from.value.as_deref()?),
        (None, Some(_)) => ("other", from.value.as_deref()?),
        // Who leaves the scheme out gives a number, or an address with its sign.
        (None, None) if rest.contains('@') => ("email", rest),
        (None, None) => (pager.unwrap_or("phone"), rest),
    };
    if value.trim().is_empty() {
        return None;
    }
    let mut to = Map::new();
    to.insert("system".to_owned(), json!(system));
    to.insert("value".to_owned(), json!(value.trim()));
    let of = [MOBILE, USES].into_iter().find_map(|t| from.uses.iter().find_map(|code| fhir_of(t, code)));
    if let Some(code) = of {
        to.insert("use".to_owned(), json!(code));
    }
    if let Some(period) = period(&from.useable_period) {
        to.insert("period".to_owned(), period);
    }
    Some(Value::Object(to))
}

/// Reads a ContactPoint; `None` when it has no value.
pub(super) fn read_contact_point(from: &Value) -> Option<Telecom> {
    let value = from["value"].as_str()?;
    let system = from["system"].as_str().unwrap_or("phone");
    let scheme = match system {
        "pager" => Some("tel"),
        system => v3_of(SCHEMES, system),
    };
    let value = match scheme {
        // A URL has no blanks.
        Some(scheme) => format!("{scheme}:{}", value.split_whitespace().collect::<Vec<&str>>().join("-")),
        None => value.to_owned(),
    };
    let of = from["use"].as_str();
    let uses = [MOBILE, USES].into_iter().find_map(|table| v3_of(table, of?));
    let pager = (system == "pager").then_some("PG");
    Some(Telecom {
        value: Some(value),
        uses: uses.into_iter().chain(pager).map(str::to_owned).collect(),
        useable_period: time_interval(&from["period"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v3(uses: &[&str], parts: &[(&str, &str)]) -> Address {
        Address {
            uses: uses.iter().map(|u| (*u).to_owned()).collect(),
            parts: parts.iter().map(|(k, t)| ((*k).to_owned(), (*t).to_owned())).collect(),
            ..Address::default()
        }
    }

    #[test]
    fn addresses_are_the_same_in_both_ways_of_writing() {
        for (from, to) in [
            (
                v3(
                    &["H", "PST"],
                    &[
                        (LINE, "100 JORIE BLVD"),
                        ("houseNumber", "5"),
                        (LINE, "int. 3"),
                        ("city", "CHICAGO"),
                        ("county", "Cook"),
                        ("state", "IL"),
                        ("postalCode", "60523"),
                        ("country", "US"),
                    ],
                ),
                json!({ "use": "home", "type": "postal", "line": ["100 JORIE BLVD 5", "int. 3"],
                    "_line": [{ "extension": [{ "url": format!("{PART}houseNumber"), "valueString": "5" }] }, null],
                    "city": "CHICAGO", "district": "Cook", "state": "IL", "postalCode": "60523", "country": "US" }),
            ),
            (
                v3(&["WP"], &[("streetName", "Via Balbi"), ("houseNumber", "5"), ("city", "Genova")]),
                json!({ "use": "work", "line": ["Via Balbi 5"], "_line": [{ "extension": [
                    { "url": format!("{PART}streetName"), "valueString": "Via Balbi" },
                    { "url": format!("{PART}houseNumber"), "valueString": "5" }] }], "city": "Genova" }),
            ),
            (v3(&[], &[("", "Via Balbi 5, Genova")]), json!({ "text": "Via Balbi 5, Genova" })),
        ] {
            assert_eq!(address(&from), Some(to.clone()));
            assert_eq!(read_address(&to), from);
        }
        assert_eq!(address(&Address::default()), None);
        // A second city is not lost.
        let two = address(&v3(&[], &[("city", "A"), ("city", "B")])).expect("an address");
        assert_eq!(
            two,
            json!({ "city": "A", "line": ["B"],
            "_line": [{ "extension": [{ "url": format!("{PART}city"), "valueString": "B" }] }] })
        );
    }

    #[test]
    fn telephones_are_the_same_in_both_ways_of_writing() {
        for (value, uses, to) in [
            ("tel:012-0001", "H", json!({ "system": "phone", "value": "012-0001", "use": "home" })),
            ("tel:012-0003", "MC", json!({ "system": "phone", "value": "012-0003", "use": "mobile" })),
            ("fax:012", "WP", json!({ "system": "fax", "value": "012", "use": "work" })),
            ("mailto:a@b.it", "", json!({ "system": "email", "value": "a@b.it" })),
            ("https://a.it/b", "", json!({ "system": "url", "value": "https://a.it/b" })),
            ("tel:1", "PG", json!({ "system": "pager", "value": "1" })),
            ("sip:1", "", json!({ "system": "other", "value": "sip:1" })),
        ] {
            let uses = uses.split_whitespace().map(str::to_owned).collect();
            let from = Telecom { value: Some(value.to_owned()), uses, ..Telecom::default() };
            assert_eq!(contact_point(&from), Some(to.clone()));
            assert_eq!(read_contact_point(&to), Some(from));
        }
        let bare = |value: &str| Telecom { value: Some(value.to_owned()), ..Telecom::default() };
        assert_eq!(contact_point(&bare("010 1")), Some(json!({ "system": "phone", "value": "010 1" })));
        assert_eq!(contact_point(&bare("a@b")), Some(json!({ "system": "email", "value": "a@b" })));
        assert_eq!((contact_point(&bare("tel:")), contact_point(&Telecom::default())), (None, None));
    }
}
