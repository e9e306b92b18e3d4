//! PID: a patient as he is told: who he is as everywhere (`hl7v2::from_fhir`), and his
//! identifiers and account.
//!
//! Spec: HL7 v2.5 section 3.4.2, ITI TF-2 3.21.4.2.2.5

use serde_json::{Value, json};

use crate::hl7v2::from_fhir::{moment, person};
use crate::pix::Identifier;
use crate::pix::cx::cx;
use crate::pix::domains::Domains;
use crate::wire::hl7v2::compose::repetitions;
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::segment::Segment;

/// Where codes of table 0203 stand.
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
/// The field of telephones of which nothing is said; version 2.5 does not have it.
const TELECOM: usize = 40;
/// The field of telephones at home.
const TELECOM_AT_HOME: usize = 13;

/// What is told of a patient.
#[derive(Debug, Clone)]
pub struct Told<'t> {
    /// As which of the message.
    pub number: usize,
    /// The Patient, as JSON of FHIR.
    pub patient: Value,
    /// The identifiers that are told.
    pub identifiers: &'t [Identifier],
    /// The identifier of his account, as FHIR has it.
    pub account: Option<&'t Value>,
}

/// Writes a PID.
pub fn pid(mut told: Told<'_>, domains: &Domains, by: &Delimiters) -> Segment {
    // A name of which nothing else is said is that of the law.
    for name in told.patient["name"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        if !name.contains_key("_use") {
            name.entry("use").or_insert_with(|| json!("official"));
        }
    }
    let patient = &told.patient;
    let identifiers: Vec<String> = told
        .identifiers
        .iter()
        .map(|of| {
            let is = |one: &&Value| one["system"] == of.system.as_str() && one["value"] == of.value.as_str();
            cx(of, items(&patient["identifier"]).iter().find(is).and_then(|one| type_code(one)), domains, by)
        })
        .collect();
    let account = told.account.map(|account| {
        let text = |name: &str| account[name].as_str().unwrap_or_default();
        cx(&Identifier::new(text("system"), text("value")), type_code(account).or(Some("AN")), domains, by)
    });
    let mut segment = person(patient, by);
    let telecoms = [TELECOM_AT_HOME, TELECOM].map(|field| segment.part(field).text().to_owned());
    let telecoms: Vec<String> = telecoms.into_iter().filter(|text| !text.is_empty()).collect();
    // What says more says yes.
    let is_twin = patient["multipleBirthInteger"].is_u64();
    let is_dead = patient["deceasedDateTime"].is_string();
    let yes = |is_so: bool| if is_so { "Y".to_owned() } else { String::new() };
    let fields: [(usize, String); 7] = [
        (1, told.number.to_string()),
        (3, repetitions(&identifiers, by)),
        (TELECOM_AT_HOME, repetitions(&telecoms, by)),
        (18, account.unwrap_or_default()),
        (24, yes(is_twin)),
        (30, yes(is_dead)),
        (33, moment(&patient["meta"]["lastUpdated"]).unwrap_or_default()),
    ];
    for (field, written) in fields.into_iter().filter(|(_, written)| !written.is_empty()) {
        segment.set_written(field, &written);
    }
    segment.truncate(TELECOM - 1);
    segment
}

fn type_code(identifier: &Value) -> Option<&str> {
    let codings = items(&identifier["type"]["coding"]).iter();
    codings.filter(|of| of["system"] == IDENTIFIER_TYPES).find_map(|of| of["code"].as_str())
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

    #[test]
    fn a_patient_is_told() {
        let patient = json!({
            "resourceType": "Patient", "meta": { "lastUpdated": "2026-01-02T03:04:05.678Z" },
            "identifier": [
                { "system": "urn:oid:1.2", "value": "7",
                  "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "MR" }] } },
            ],
            "name": [
                { "use": "official", "family": "Rossi|Verdi", "given": ["Nicolò", "Maria", "Pia"], "prefix": ["Dott."] },
                { "use": "maiden", "family": "Bianchi" }, { "text": "Nico" },
            ],
            "gender": "female", "birthDate": "1980-02-03",
            "_birthDate": { "extension": [{ "url": format!("{EXTENSIONS}patient-birthTime"), "valueDateTime": "1980-02-03T04:05:06+01:00" }] },
            "address": [
                { "use": "home", "line": ["Via Roma 1", "int. 3"], "city": "Genova", "state": "GE",
                  "postalCode": "16100", "country": "IT", "district": "Genova" },
                { "text": "senza fissa dimora" },
            ],
            "telecom": [
                { "system": "phone", "value": "010-1", "use": "home" }, { "system": "phone", "value": "tel:333", "use": "mobile" },
                { "system": "email", "value": "r@x.it" }, { "system": "fax", "value": "010-2", "use": "work" },
            ],
            "communication": [
                { "language": { "coding": [{ "code": "de" }] } },
                { "language": { "coding": [{ "code": "it", "display": "Italiano" }] }, "preferred": true },
            ],
            "maritalStatus": { "coding": [{ "code": "L" }] },
            "multipleBirthInteger": 2, "deceasedDateTime": "2025-12",
            "extension": [
                { "url": format!("{EXTENSIONS}patient-mothersMaidenName"), "valueString": "Neri" },
                { "url": format!("{EXTENSIONS}patient-birthPlace"), "valueAddress": { "city": "Savona" } },
                { "url": format!("{EXTENSIONS}patient-religion"),
                  "valueCodeableConcept": { "coding": [{ "code": "1013" }] } },
            ],
        });
        let identifiers = [Identifier::new("urn:oid:1.2", "7"), Identifier::new("urn:oid:1.3", "8")];
        let account = json!({ "system": "urn:oid:1.4", "value": "C9" });
        let told = Told { number: 1, patient, identifiers: &identifiers, account: Some(&account) };
        let written = pid(told, &Domains::new(Vec::new()).expect("set up"), &Delimiters::default());
        let expected = [
            "PID",
            "1",
            "",
            "7^^^&1.2&ISO^MR~8^^^&1.3&ISO^PI",
            "",
            r"Rossi\F\Verdi^Nicolò^Maria Pia^^Dott.^^L~Bianchi^^^^^^M~Nico^^^^^^L",
            "Neri",
            "19800203040506+0100",
            "F",
            "",
            "",
            "Via Roma 1^int. 3^Genova^GE^16100^IT^H^^Genova~senza fissa dimora",
            "",
            "010-1^PRN^PH~333^^CP~^NET^Internet^r@x.it",
            "010-2^WPN^FX",
            "it^Italiano",
            "A",
            "1013",
            "C9^^^&1.4&ISO^AN",
            "",
            "",
            "",
            "",
            "Savona",
            "Y",
            "2",
            "",
            "",
            "",
            "202512",
            "Y",
            "",
            "",
            "20260102030405.678+0000",
        ];
        assert_eq!(written.text(), expected.join("|"));
        let bare = json!({ "resourceType": "Patient", "deceasedBoolean": false });
        let told = Told { number: 2, patient: bare, identifiers: &[], account: None };
        let written = pid(told, &Domains::default(), &Delimiters::default());
        assert_eq!(written.text(), format!("PID|2||||^^^^^^U{}N", "|".repeat(25)));
    }
}
