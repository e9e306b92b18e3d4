//! Coded values as CodeableConcepts, and the tables of those that FHIR has
//! codes of its own for.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies-systems.html>

use serde_json::{Map, Value, json};

use crate::wire::hl7v3::coded::Coded;

/// Code systems that FHIR knows by another URI than their OID.
const SYSTEMS: &[(&str, &str)] = &[
    ("2.16.840.1.113883.5.1", "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"),
    ("2.16.840.1.113883.5.2", MARITAL_STATUS),
    ("2.16.840.1.113883.5.25", CONFIDENTIALITY),
    ("2.16.840.1.113883.5.110", ROLE_CLASSES),
    ("2.16.840.1.113883.5.111", ROLES),
    ("2.16.840.1.113883.5.1075", PATIENT_IMPORTANCE),
    ("2.16.840.1.113883.5.1076", RELIGIONS),
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.121", LANGUAGES),
    ("1.0.3166.1.2.2", NATIONS),
];

/// The codes that say why there is none.
const NULL_FLAVORS: &str = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor";
/// What the code systems of the tables of HL7 v2 begin with, and their OIDs.
const TABLES: (&str, &str) = ("http://terminology.hl7.org/CodeSystem/v2-", "2.16.840.1.113883.12.");

/// What a marital status is coded in when it does not say.
pub(super) const MARITAL_STATUS: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
/// Likewise what is confidential.
pub(super) const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// Likewise who is important.
pub(super) const PATIENT_IMPORTANCE: &str = "http://terminology.hl7.org/CodeSystem/v3-PatientImportance";
/// Likewise religions.
pub(super) const RELIGIONS: &str = "http://terminology.hl7.org/CodeSystem/v3-ReligiousAffiliation";
/// Likewise languages.
pub(super) const LANGUAGES: &str = "urn:ietf:bcp:47";
/// Likewise nations.
pub(super) const NATIONS: &str = "urn:iso:std:iso:3166";
/// Likewise what somebody is to somebody.
pub(super) const ROLES: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
/// The classes of roles.
pub(super) const ROLE_CLASSES: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";

/// Genders: the code of HL7 v3, and of FHIR. The first of a code of FHIR is
/// how it is written.
pub(super) const GENDERS: &[(&str, &str)] =
    &[("F", "female"), ("M", "male"), ("UN", "other"), ("O", "other"), ("A", "other"), ("U", "unknown")];

/// Finds the code of FHIR in a table.
pub(super) fn fhir_of(table: &[(&str, &'static str)], code: &str) -> Option<&'static str> {
    table.iter().find(|(v3, _)| *v3 == code).map(|(_, fhir)| *fhir)
}

/// Finds the code of HL7 v3 in a table.
pub(super) fn v3_of(table: &[(&'static str, &str)], code: &str) -> Option<&'static str> {
    table.iter().find(|(_, fhir)| *fhir == code).map(|(v3, _)| *v3)
}

/// Returns the URI of a code system.
pub(super) fn system(oid: &str) -> String {
    let known = SYSTEMS.iter().find(|(known, _)| *known == oid);
    let table = oid.strip_prefix(TABLES.1).and_then(|number| number.parse::<u16>().ok());
    match known {
        Some((_, uri)) => (*uri).to_owned(),
        None if table.is_some() => format!("{}{:04}", TABLES.0, table.unwrap_or_default()),
        None if oid.contains(':') => oid.split_whitespace().collect(),
        None => format!("urn:oid:{}", oid.split_whitespace().collect::<String>()),
    }
}

/// Returns the OID of a code system, or its URI where it has none.
fn oid(system: &str) -> String {
    let known = SYSTEMS.iter().find(|(_, uri)| *uri == system).map(|(oid, _)| (*oid).to_owned());
    let table = system.strip_prefix(TABLES.0).and_then(|number| number.parse::<u16>().ok());
    let of_table = table.map(|number| format!("{}{number}", TABLES.1));
    known.or(of_table).unwrap_or_else(|| system.strip_prefix("urn:oid:").unwrap_or(system).to_owned())
}

fn coding(coded: &Coded, of: &str) -> Option<Value> {
    // A code of FHIR has single blanks at most.
    let code = coded.code.as_deref()?.split_whitespace().collect::<Vec<&str>>().join(" ");
    let mut coding = Map::new();
    let system = coded.code_system.as_deref().map_or_else(|| of.to_owned(), system);
    coding.insert("system".to_owned(), json!(system));
    if let Some(version) = &coded.code_system_version {
        coding.insert("version".to_owned(), json!(version));
    }
    coding.insert("code".to_owned(), json!(code));
    if let Some(display) = &coded.display_name {
        coding.insert("display".to_owned(), json!(display));
    }
    Some(Value::Object(coding))
}

/// Returns the Codings of a coded value; `of`: the system of codes that do not say it.
pub(super) fn codings(coded: &Coded, of: &str) -> Vec<Value> {
    let mut all = Vec::from_iter(coding(coded, of));
    all.extend(coded.translations.iter().flat_map(|other| codings(other, of)));
    all
}

/// Writes a coded value as a CodeableConcept; `None` when it says nothing.
pub(super) fn concept(coded: &Coded, of: &str) -> Option<Value> {
    let codings = codings(coded, of);
    let mut concept = Map::new();
    if !codings.is_empty() {
        concept.insert("coding".to_owned(), Value::Array(codings));
    }
    if let Some(text) = &coded.original_text {
        concept.insert("text".to_owned(), json!(text));
    }
    (!concept.is_empty()).then_some(Value::Object(concept))
}

/// Reads a Coding.
pub(super) fn coded(coding: &Value) -> Coded {
    let text = |member: &str| coding[member].as_str().map(str::to_owned);
    Coded {
        code: text("code"),
        code_system: coding["system"].as_str().map(oid),
        code_system_version: text("version"),
        display_name: text("display"),
        ..Coded::default()
    }
}

/// Reads a CodeableConcept; `None` when it says nothing.
pub(super) fn coded_concept(concept: &Value) -> Option<Coded> {
    let mut codings = concept["coding"].as_array().into_iter().flatten().map(coded);
    let mut first = codings.next().unwrap_or_default();
    if first.code_system.as_deref() == Some(NULL_FLAVORS) {
        // That there is none is no code, but why there is none.
        first = Coded { null_flavor: first.code, ..Coded::default() };
    }
    first.translations = codings.collect();
    first.original_text = concept["text"].as_str().map(str::to_owned);
    if first.code.is_none() && first.null_flavor.is_none() {
        first.null_flavor = Some("OTH".to_owned());
    }
    (!first.is_null()).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_same_in_both_ways_of_writing() {
        let whole = Coded {
            display_name: Some("Coniugato".to_owned()),
            original_text: Some("coniugato".to_owned()),
            translations: vec![Coded::new("2", "1.2.3")],
            ..Coded::new("M", "2.16.840.1.113883.5.2")
        };
        let written = concept(&whole, MARITAL_STATUS).expect("a concept");
        assert_eq!(written["coding"][0]["system"], MARITAL_STATUS);
        assert_eq!(written["coding"][1]["system"], "urn:oid:1.2.3");
        assert_eq!(coded_concept(&written), Some(whole));
        let bare = Coded { code: Some(" M  1".to_owned()), ..Coded::default() };
        assert_eq!(
            concept(&bare, RELIGIONS),
            Some(json!({ "coding": [{ "system": RELIGIONS, "code": "M 1" }] }))
        );
        assert_eq!((concept(&Coded::default(), RELIGIONS), coded_concept(&json!({}))), (None, None));
        let text = coded_concept(&json!({ "text": "vedova" })).expect("a text");
        assert_eq!(text.null_flavor.as_deref(), Some("OTH"));
    }

    #[test]
    fn why_there_is_no_code_is_told_as_such() {
        let told = json!({ "coding": [{ "system": NULL_FLAVORS, "code": "UNK" },
                                      { "system": "http://terminology.hl7.org/CodeSystem/v2-0002", "code": "U" }] });
        let read = coded_concept(&told).expect("something is said");
        assert_eq!((read.code, read.null_flavor.as_deref()), (None, Some("UNK")));
        assert_eq!(read.translations, [Coded::new("U", "2.16.840.1.113883.12.2")]);
    }

    #[test]
    fn a_system_has_a_uri() {
        for (oid_of, uri) in [
            ("2.16.840.1.113883.6.1", "http://loinc.org"),
            ("2.16.840.1.113883.12.6", "http://terminology.hl7.org/CodeSystem/v2-0006"),
            ("1.2.3", "urn:oid:1.2.3"),
        ] {
            assert_eq!((system(oid_of), oid(uri)), (uri.to_owned(), oid_of.to_owned()));
        }
        assert_eq!(system("http://a b/c"), "http://ab/c");
    }
}
