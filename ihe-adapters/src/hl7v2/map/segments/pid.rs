//! PID: who the patient is, as Patient.
//!
//! Spec: HL7 v2-to-FHIR, PID[Patient]

use serde_json::{Map, Value as Json, json};

use super::note;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{MARITAL_STATUS, SEX, same};
use crate::hl7v2::map::types::coded::{self, CWE};
use crate::hl7v2::map::types::cx::{CX, CX_OF_PATIENT};
use crate::hl7v2::map::types::dtm::{self, DTM};
use crate::hl7v2::map::types::hd;
use crate::hl7v2::map::types::quantity::POSITIVE;
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xad::XAD;
use crate::hl7v2::map::types::xpn::{XPN, XPN_TEXT};
use crate::hl7v2::map::types::xtn::XTN;
use crate::hl7v2::map::work::{Known, Work};
use crate::hl7v2::refused::{Fault, Refused};
use crate::pix::domains::{Authority, DomainError};
use crate::pix::groups;

/// Extensions of a Patient.
pub(in crate::hl7v2) const MOTHERS_MAIDEN_NAME: &str =
    "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
pub(in crate::hl7v2) const RELIGION: &str = "http://hl7.org/fhir/StructureDefinition/patient-religion";
pub(in crate::hl7v2) const BIRTH_PLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
pub(in crate::hl7v2) const BIRTH_TIME: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthTime";
pub(in crate::hl7v2) const CITIZENSHIP: &str = "http://hl7.org/fhir/StructureDefinition/patient-citizenship";
pub(in crate::hl7v2) const NATIONALITY: &str = "http://hl7.org/fhir/StructureDefinition/patient-nationality";
const ANIMAL: &str = "http://hl7.org/fhir/StructureDefinition/patient-animal";

/// An extension of one code within another.
const CODE: As = As::Listed(&As::Within("valueCodeableConcept", &CWE, &[("url", Constant::Text("code"))]));

pub(super) const ROWS: &[Row] = &[
    ("PID-3", "identifier", CX_OF_PATIENT),
    ("PID-2", "identifier", CX),
    ("PID-4", "identifier", CX),
    ("PID-5", "name", XPN),
    (
        "PID-6",
        "extension",
        As::Within("valueString", &XPN_TEXT, &[("url", Constant::Text(MOTHERS_MAIDEN_NAME))]),
    ),
    ("PID-8", "gender", As::Code(&SEX)),
    ("PID-9", "name", XPN),
    ("PID-11", "address", XAD),
    ("PID-13", "telecom", As::Or(&XTN, "use", Constant::Text("home"))),
    ("PID-14", "telecom", As::Or(&XTN, "use", Constant::Text("work"))),
    ("PID-15", "communication.language", As::Concept(&same("0296"))),
    ("PID-16", "maritalStatus", As::Concept(&MARITAL_STATUS)),
    (
        "PID-17",
        "extension",
        As::Within("valueCodeableConcept", &As::Concept(&same("0006")), &[("url", Constant::Text(RELIGION))]),
    ),
    ("PID-19", "identifier", As::Of(social_security)),
    ("PID-20", "identifier", As::Of(driving_licence)),
    (
        "PID-23",
        "extension",
        As::Within("valueAddress", &As::Within("text", &ST, &[]), &[("url", Constant::Text(BIRTH_PLACE))]),
    ),
    ("PID-25", "multipleBirthInteger", POSITIVE),
    ("PID-24", "multipleBirthBoolean", As::Unless("PID-25", &As::Boolean)),
    ("PID-26", "extension", As::Within("extension", &CODE, &[("url", Constant::Text(CITIZENSHIP))])),
    ("PID-28", "extension", As::Within("extension", &CODE, &[("url", Constant::Text(NATIONALITY))])),
    ("PID-29", "deceasedDateTime", DTM),
    ("PID-30", "deceasedBoolean", As::Unless("PID-29", &As::Boolean)),
    ("PID-39", "extension", As::Within("extension", &CODE, &[("url", Constant::Text(CITIZENSHIP))])),
    ("PID-40", "telecom", XTN),
];

/// Makes the Patient of a segment; what comes after refers to it.
///
/// # Errors
/// When an identifier has no value, or an authority that is not known here.
pub(in crate::hl7v2) fn patient(work: &mut Work<'_>, segment: &Segment<'_>) -> Result<Draft, Refused> {
    let key = key(work, segment, 3)?;
    let system = key["system"].as_str().unwrap_or_default();
    work.patient_key = format!("{system}|{}", key["value"].as_str().unwrap_or_default());
    work.patient_identifier = Some(key);
    work.patient = Some(json!({ "reference": work.full_url("Patient", &work.patient_key) }));
    let mut patient = Draft::new("Patient");
    note(work.source, segment, &[1]);
    birth(work, &mut patient, segment);
    work.fill(&mut patient, segment, ROWS);
    races_and_ethnic_groups(work, &mut patient, segment);
    county(work, &mut patient, segment);
    animal(work, &mut patient, segment);
    mother(work, segment);
    Ok(patient)
}

/// Returns the identifier by which a record is known: the first of a field, all
/// of whose authorities have to be known.
///
/// # Errors
/// When there is none, or an authority is not known here.
pub(in crate::hl7v2) fn key(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
    field: usize,
) -> Result<Json, Refused> {
    let source = work.source;
    let values = source.values(segment, field);
    let (named, unnamed): (Vec<Value<'_>>, Vec<Value<'_>>) =
        values.into_iter().partition(|value| value.peek_of(1).is_some());
    for value in unnamed {
        // `""` of a domain: the record has no identifier there any more.
        if value.part(1).is_some_and(Value::is_null)
            && let Ok(system) = hd::domain(work, value.part(4))
        {
            value.note_all();
            work.delete_identifier(system);
        }
    }
    for value in &named {
        if let Err(error) = hd::domain(work, value.part(4)) {
            let text = match error {
                DomainError::Missing => "no assigning authority is named, and the sender has no domain here",
                DomainError::Unknown => "the assigning authority is not known here",
                DomainError::Contradictory => "namespace and universal id name two assigning authorities",
            };
            return Err(Refused::new(Fault::UnknownKey, value.place().component(4), text));
        }
    }
    let first = named.into_iter().next().and_then(|value| {
        let mut draft = Draft::new("Patient");
        work.convert(&mut draft, value, &CX_OF_PATIENT)
    });
    first.ok_or_else(|| {
        let place = crate::hl7v2::place::Place {
            segment: segment.name.to_owned(),
            occurrence: segment.occurrence,
            field,
            repetition: 1,
            component: None,
        };
        Refused::new(Fault::RequiredField, place, "the patient has no identifier")
    })
}

/// PID-7: the day, and the time beside it.
fn birth(work: &mut Work<'_>, patient: &mut Draft, segment: &Segment<'_>) {
    let Some(value) = work.source.value(segment, 7) else { return };
    if value.is_null() {
        value.note_all();
        work.delete("Patient", "birthDate");
        return;
    }
    let Some(time) = dtm::read(work, Some(value)) else { return };
    let day = time.split('T').next().unwrap_or_default().to_owned();
    if time.contains('T') {
        patient.put("_birthDate.extension", json!({ "url": BIRTH_TIME, "valueDateTime": time }));
    }
    patient.put("birthDate", json!(day));
}

/// PID-10, PID-22: races and ethnic groups, all of a kind together. The codes of HL7 v2 for
/// them are those of the system that FHIR has.
fn races_and_ethnic_groups(work: &mut Work<'_>, patient: &mut Draft, segment: &Segment<'_>) {
    for (field, table, group) in [(10, &same("0005"), groups::RACE), (22, &same("0189"), groups::ETHNICITY)] {
        let (mut codings, mut texts) = (Vec::new(), Vec::new());
        for value in work.source.values(segment, field).into_iter().filter(|value| !value.is_null()) {
            let Some(mut coding) = coded::one(work, value, table) else { continue };
            let code = coding["code"].as_str().unwrap_or_default().to_owned();
            if coding["system"] == codes::table_system(table.table).as_str() && code.contains('-') {
                coding["system"] = json!(groups::CODES);
            }
            texts.push(coding["display"].as_str().map_or(code, str::to_owned));
            codings.push(coding);
        }
        if let Some(extension) = group.extension(codings, &texts) {
            patient.put("extension", extension);
        }
    }
}

/// PID-12: the county of the one address, or of one of its own.
fn county(work: &mut Work<'_>, patient: &mut Draft, segment: &Segment<'_>) {
    let Some(county) = work.source.value(segment, 12).and_then(Value::text) else { return };
    let mut addresses = patient.element("address").as_array().cloned().unwrap_or_default();
    match addresses.as_mut_slice() {
        [address] if address["district"].is_null() => address["district"] = json!(county),
        [address] if address["district"] == county.as_str() => {}
        _ => addresses.push(json!({ "district": county })),
    }
    patient.set("address", json!(addresses));
}

/// PID-18: the account of the patient, and the reference to it.
pub(in crate::hl7v2) fn account(work: &mut Work<'_>, segment: &Segment<'_>) -> Option<Json> {
    let mut account = Draft::new("Account");
    let rows: &[Row] = &[("PID-18", "identifier", As::Or(&CX, "type", Constant::Concept("v2-0203", "AN")))];
    work.fill(&mut account, segment, rows);
    let query = work.by_number(&account.element("identifier")[0])?;
    account.put("status", json!("unknown"));
    if let Some(patient) = work.patient.clone() {
        account.put("subject", patient);
    }
    Some(work.add(account, &query, Known::StaysBy(query.clone())))
}

/// PID-35, PID-36: what kind of animal it is.
fn animal(work: &mut Work<'_>, patient: &mut Draft, segment: &Segment<'_>) {
    let mut told = Vec::new();
    for (field, url) in [(35, "species"), (36, "breed")] {
        let Some(value) = work.source.value(segment, field) else { continue };
        if let Some(concept) = work.convert(patient, value, &CWE) {
            told.push(json!({ "url": url, "valueCodeableConcept": concept }));
        }
    }
    if !told.is_empty() {
        patient.put("extension", json!({ "url": ANIMAL, "extension": told }));
    }
}

/// PID-21: the mother, known by her identifiers.
fn mother(work: &mut Work<'_>, segment: &Segment<'_>) {
    let source = work.source;
    let mut mother = Draft::new("RelatedPerson");
    work.fill(&mut mother, segment, &[("PID-21", "identifier", CX)]);
    if mother.is_empty() {
        return;
    }
    let written: Vec<String> = source.values(segment, 21).into_iter().map(Value::written).collect();
    if let Some(patient) = work.patient.clone() {
        mother.put("patient", patient);
    }
    mother.put("relationship", codes::concept("v3-RoleCode", "MTH"));
    let key = work.key_of_patient(&["PID-21", &written.join("~")]);
    work.add(mother, &key, Known::Own);
}

/// PID-19: the number of the national social security; in Italy the codice fiscale.
fn social_security(work: &mut Work<'_>, patient: &mut Draft, value: Value<'_>) -> Option<Json> {
    const CODICE_FISCALE: &str = "2.16.840.1.113883.2.9.4.3.2";
    let number = value.text()?.trim().to_owned();
    let mut identifier = Map::new();
    identifier.insert("type".to_owned(), codes::concept("v2-0203", "SB"));
    if is_codice_fiscale(&number) {
        let system = hd::system(work, Authority::of_oid(CODICE_FISCALE));
        // PID-3 often says it as well, and of which type it is there.
        let mut known = patient.element("identifier").as_array().into_iter().flatten();
        let is_same = |known: &&Json| known["system"] == json!(system) && known["value"] == number.as_str();
        if let Some(known) = known.find(is_same) {
            return Some(known.clone());
        }
        identifier.insert("system".to_owned(), json!(system));
    }
    identifier.insert("value".to_owned(), json!(number));
    Some(Json::Object(identifier))
}

/// Tells whether a text has the form of a codice fiscale; homocodia puts
/// letters where digits were.
fn is_codice_fiscale(text: &str) -> bool {
    let is_in_place = |(at, byte): (usize, u8)| match at {
        0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte),
    };
    text.len() == 16 && text.bytes().enumerate().all(is_in_place)
}

/// PID-20 (DLN): number, who issued it, until when.
fn driving_licence(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let mut identifier = Map::new();
    identifier.insert("type".to_owned(), codes::concept("v2-0203", "DL"));
    identifier.insert("value".to_owned(), json!(value.text_of(1)?));
    if let Some(state) = value.text_of(2) {
        identifier.insert("assigner".to_owned(), json!({ "display": state }));
    }
    if let Some(period) = dtm::period(work, None, value.part(3)) {
        identifier.insert("period".to_owned(), period);
    }
    Some(Json::Object(identifier))
}
