//! PID: a patient as he is told.
//!
//! Spec: HL7 v2.5 section 3.4.2, ITI TF-2 3.21.4.2.2.5, HL7 v2-to-FHIR (PID, XPN, XAD, XTN) read backwards

use serde_json::Value;

use crate::pix::Identifier;
use crate::pix::cx::cx;
use crate::pix::domains::Domains;
use crate::wire::hl7v2::compose::{components, repetitions};
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::segment::Segment;

const MOTHERS_MAIDEN_NAME: &str = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";
const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
/// Where codes of table 0203 stand.
const IDENTIFIER_TYPES: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// Codes of FHIR and of a table of HL7 v2.
type Codes = &'static [(&'static str, &'static str)];

const SEX: Codes = &[("female", "F"), ("male", "M"), ("other", "O"), ("unknown", "U")];
/// Name type, table 0200.
const NAME_USE: Codes = &[
    ("official", "L"),
    ("usual", "D"),
    ("maiden", "M"),
    ("nickname", "N"),
    ("anonymous", "S"),
    ("temp", "TEMP"),
    ("old", "BAD"),
];
/// Address type, table 0190.
const ADDRESS_USE: Codes = &[("home", "H"), ("work", "B"), ("temp", "C"), ("old", "BA"), ("billing", "BI")];
/// Telecommunication equipment, table 0202.
const EQUIPMENT: Codes = &[("phone", "PH"), ("fax", "FX"), ("pager", "BP"), ("email", "Internet")];
/// Marital status, table 0002: those that are called otherwise in FHIR.
const MARITAL: Codes = &[("A", "N"), ("L", "A"), ("T", "P"), ("U", "B"), ("UNK", "U"), ("OTH", "O")];

/// What is told of a patient.
#[derive(Debug, Clone, Copy)]
pub struct Told<'t> {
    /// As which of the message.
    pub number: usize,
    /// The Patient, as JSON of FHIR.
    pub patient: &'t Value,
    /// The identifiers that are told.
    pub identifiers: &'t [Identifier],
    /// The identifier of his account, as FHIR has it.
    pub account: Option<&'t Value>,
}

/// Writes a PID.
pub fn pid(told: &Told<'_>, domains: &Domains, by: &Delimiters) -> Segment {
    let patient = told.patient;
    let types = items(&patient["identifier"]);
    let identifiers: Vec<String> = told
        .identifiers
        .iter()
        .map(|of| {
            let is = |one: &&Value| one["system"] == of.system.as_str() && one["value"] == of.value.as_str();
            cx(of, types.iter().find(is).and_then(|one| type_code(one)), domains, by)
        })
        .collect();
    let account = told.account.map(|account| {
        let text = |name: &str| account[name].as_str().unwrap_or_default();
        cx(&Identifier::new(text("system"), text("value")), type_code(account).or(Some("AN")), domains, by)
    });
    let all = |name: &str, write: &dyn Fn(&Value) -> String| -> String {
        let written: Vec<String> = items(&patient[name]).iter().map(write).collect();
        repetitions(&written, by)
    };
    let telecoms = |is_of_work: bool| -> String {
        let of = items(&patient["telecom"]).iter().filter(|of| (of["use"] == "work") == is_of_work);
        repetitions(&of.map(|of| xtn(of, by)).collect::<Vec<String>>(), by)
    };
    let language = items(&patient["communication"]).iter().find(|of| of["preferred"] == true);
    let language = language.or(items(&patient["communication"]).first()).map(|of| &of["language"]);
    let mother = extension(patient, MOTHERS_MAIDEN_NAME).and_then(|of| of["valueString"].as_str());
    let mother = mother.map(|name| components(&[name, "", "", "", "", "", "M"], by));
    let birth_place = extension(patient, BIRTH_PLACE).map(|of| place_name(&of["valueAddress"]));
    let plain = |text: &str| components(&[text], by);
    let fields: [(usize, String); 18] = [
        (1, told.number.to_string()),
        (3, repetitions(&identifiers, by)),
        (5, all("name", &|name| xpn(name, by))),
        (6, mother.unwrap_or_default()),
        (7, birth(patient)),
        (8, translated(patient["gender"].as_str(), SEX).to_owned()),
        (11, all("address", &|address| xad(address, by))),
        (13, telecoms(false)),
        (14, telecoms(true)),
        (15, language.map(|of| ce(of, by)).unwrap_or_default()),
        (16, marital_status(&patient["maritalStatus"], by)),
        (18, account.unwrap_or_default()),
        (23, birth_place.map(|name| plain(&name)).unwrap_or_default()),
        (24, flag(&patient["multipleBirthBoolean"], patient["multipleBirthInteger"].is_u64())),
        (25, patient["multipleBirthInteger"].as_u64().map(|order| order.to_string()).unwrap_or_default()),
        (29, time(patient["deceasedDateTime"].as_str().unwrap_or_default())),
        (30, flag(&patient["deceasedBoolean"], patient["deceasedDateTime"].is_string())),
        (33, time(patient["meta"]["lastUpdated"].as_str().unwrap_or_default())),
    ];
    let mut segment = Segment::new("PID", by);
    for (field, written) in fields.into_iter().filter(|(_, written)| !written.is_empty()) {
        segment.set_written(field, &written);
    }
    segment
}

/// Writes a name.
fn xpn(name: &Value, by: &Delimiters) -> String {
    let given: Vec<&str> = items(&name["given"]).iter().filter_map(Value::as_str).collect();
    let (first, others) = given.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
    let joined =
        |part: &str| items(&name[part]).iter().filter_map(Value::as_str).collect::<Vec<&str>>().join(" ");
    let family = name["family"].as_str();
    // A name that is not taken apart stands where the family name does.
    let family = family.or(name["text"].as_str().filter(|_| given.is_empty())).unwrap_or_default();
    let kind = name["use"].as_str().or(Some("official"));
    let parts = [
        family,
        first,
        &others.join(" "),
        &joined("suffix"),
        &joined("prefix"),
        "",
        translated(kind, NAME_USE),
    ];
    components(&parts, by)
}

/// Writes an address.
fn xad(address: &Value, by: &Delimiters) -> String {
    let text = |name: &str| address[name].as_str().unwrap_or_default();
    let lines: Vec<&str> = items(&address["line"]).iter().filter_map(Value::as_str).collect();
    let (first, others) = lines.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
    let first = if first.is_empty() && text("city").is_empty() { text("text") } else { first };
    let parts = [
        first,
        &others.join(" "),
        text("city"),
        text("state"),
        text("postalCode"),
        text("country"),
        translated(address["use"].as_str(), ADDRESS_USE),
        "",
        text("district"),
    ];
    components(&parts, by)
}

/// Writes a number or address of telecommunication.
fn xtn(telecom: &Value, by: &Delimiters) -> String {
    let (value, system) = (telecom["value"].as_str().unwrap_or_default(), telecom["system"].as_str());
    let value = value.strip_prefix("tel:").unwrap_or(value);
    if system == Some("email") {
        return components(&["", "NET", "Internet", value], by);
    }
    let (kind, equipment) = match telecom["use"].as_str() {
        Some("work") => ("WPN", translated(system, EQUIPMENT)),
        Some("mobile") => ("PRS", "CP"),
        _ => ("PRN", translated(system, EQUIPMENT)),
    };
    components(&[value, kind, equipment], by)
}

/// Writes a concept: code, text, code system.
fn ce(concept: &Value, by: &Delimiters) -> String {
    let coding = &concept["coding"][0];
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let display = if coding["display"].is_string() { &coding["display"] } else { &concept["text"] };
    components(&[&text(&coding["code"]), &text(display)], by)
}

fn marital_status(concept: &Value, by: &Delimiters) -> String {
    let Some(code) = concept["coding"][0]["code"].as_str() else { return String::new() };
    let other = MARITAL.iter().find(|(of_fhir, _)| *of_fhir == code).map(|(_, code)| *code);
    components(&[other.unwrap_or(code)], by)
}

/// Writes when somebody was born: to the minute, where that is known.
fn birth(patient: &Value) -> String {
    let moment = items(&patient["_birthDate"]["extension"]).iter().find(|of| of["url"] == BIRTH_TIME);
    let moment = moment.and_then(|of| of["valueDateTime"].as_str());
    time(moment.or(patient["birthDate"].as_str()).unwrap_or_default())
}

/// Writes a date or time of FHIR as of HL7 v2: `2026-01-02T03:04:05.6+01:00`.
pub(crate) fn time(text: &str) -> String {
    let (date, rest) = text.split_once('T').unwrap_or((text, ""));
    let (clock, offset) = match rest.find(['Z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let clock = clock.split('.').next().unwrap_or_default();
    let offset = if offset == "Z" { "+0000".to_owned() } else { offset.replace(':', "") };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let sign: String = offset.chars().filter(|c| matches!(c, '+' | '-')).take(1).collect();
    format!("{}{}{sign}{}", digits(date), digits(clock), digits(&offset))
}

/// Writes a flag; what says more says yes.
fn flag(value: &Value, says_more: bool) -> String {
    match (value.as_bool(), says_more) {
        (Some(true), _) | (None, true) => "Y".to_owned(),
        (Some(false), _) => "N".to_owned(),
        (None, false) => String::new(),
    }
}

fn place_name(address: &Value) -> String {
    let text = |name: &str| address[name].as_str().unwrap_or_default();
    if text("text").is_empty() { text("city").to_owned() } else { text("text").to_owned() }
}

fn extension<'v>(resource: &'v Value, url: &str) -> Option<&'v Value> {
    items(&resource["extension"]).iter().find(|extension| extension["url"] == url)
}

fn type_code(identifier: &Value) -> Option<&str> {
    let codings = items(&identifier["type"]["coding"]).iter();
    codings.filter(|of| of["system"] == IDENTIFIER_TYPES).find_map(|of| of["code"].as_str())
}

fn translated<'c>(code: Option<&str>, codes: &'c [(&str, &'c str)]) -> &'c str {
    codes.iter().find(|(of_fhir, _)| Some(*of_fhir) == code).map_or("", |(_, code)| code)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            "_birthDate": { "extension": [{ "url": BIRTH_TIME, "valueDateTime": "1980-02-03T04:05:06+01:00" }] },
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
                { "url": MOTHERS_MAIDEN_NAME, "valueString": "Neri" },
                { "url": BIRTH_PLACE, "valueAddress": { "city": "Savona" } },
            ],
        });
        let identifiers = [Identifier::new("urn:oid:1.2", "7"), Identifier::new("urn:oid:1.3", "8")];
        let account = json!({ "system": "urn:oid:1.4", "value": "C9" });
        let told = Told { number: 1, patient: &patient, identifiers: &identifiers, account: Some(&account) };
        let written = pid(&told, &Domains::new(Vec::new()).expect("set up"), &Delimiters::default());
        let expected = [
            "PID",
            "1",
            "",
            "7^^^&1.2&ISO^MR~8^^^&1.3&ISO^PI",
            "",
            r"Rossi\F\Verdi^Nicolò^Maria Pia^^Dott.^^L~Bianchi^^^^^^M~Nico^^^^^^L",
            "Neri^^^^^^M",
            "19800203040506+0100",
            "F",
            "",
            "",
            "Via Roma 1^int. 3^Genova^GE^16100^IT^H^^Genova~senza fissa dimora",
            "",
            "010-1^PRN^PH~333^PRS^CP~^NET^Internet^r@x.it",
            "010-2^WPN^FX",
            "it^Italiano",
            "A",
            "",
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
            "20260102030405+0000",
        ];
        assert_eq!(written.text(), expected.join("|"));
        let bare = json!({ "resourceType": "Patient", "deceasedBoolean": false });
        let told = Told { number: 2, patient: &bare, identifiers: &[], account: None };
        let written = pid(&told, &Domains::default(), &Delimiters::default());
        assert_eq!(written.text(), format!("PID|2{}N", "|".repeat(29)));
    }
}
