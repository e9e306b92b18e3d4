//! RXA: what was given, as Immunization or MedicationAdministration.
//!
//! Spec: HL7 v2-to-FHIR, RXA[Immunization], ORC[Immunization], ORC[MedicationAdministration]

use serde_json::{Map, Value as Json, json};

use super::note;
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::statuses::{ADMINISTRATION_STATUS, IMMUNIZATION_STATUS};
use crate::hl7v2::map::types::coded::CWE;
use crate::hl7v2::map::types::dtm::{DATE, DTM, period};
use crate::hl7v2::map::types::ei::EI;
use crate::hl7v2::map::types::pl::{LA2, PL};
use crate::hl7v2::map::types::quantity;
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::types::xon::CWE_ORGANIZATION;
use crate::hl7v2::map::work::Work;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};

/// In which function somebody takes part (table 0443).
const FUNCTIONS: &str = "v2-0443";

const IMMUNIZATION: &[Row] = &[
    ("RXA-3", "occurrenceDateTime", DTM),
    ("RXA-5", "vaccineCode", CWE),
    ("RXA-10", "performer", As::Within("actor", &XCN, &[("function", Constant::Concept(FUNCTIONS, "AP"))])),
    ("RXA-15", "lotNumber", ST),
    ("RXA-16", "expirationDate", DATE),
    ("RXA-17", "manufacturer", CWE_ORGANIZATION),
    ("RXA-18", "statusReason", CWE),
    ("RXA-19", "reasonCode", CWE),
    ("RXA-20", "status", As::Code(&IMMUNIZATION_STATUS)),
    ("RXA-22", "recorded", DTM),
    ("RXA-27", "location", PL),
    ("RXA-11", "location", LA2),
];

/// What ORC says of an immunization.
const ORDER_OF_IMMUNIZATION: &[Row] = &[
    ("ORC-2", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "PLAC"))),
    ("ORC-3", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "FILL"))),
    ("ORC-9", "recorded", DTM),
    ("ORC-12", "performer", As::Within("actor", &XCN, &[("function", Constant::Concept(FUNCTIONS, "OP"))])),
];

const ADMINISTRATION: &[Row] = &[
    ("RXA-10", "performer", As::Within("actor", &XCN, &[])),
    ("RXA-18", "statusReason", CWE),
    ("RXA-19", "reasonCode", CWE),
    ("RXA-20", "status", As::Code(&ADMINISTRATION_STATUS)),
];

/// Where the notes of a vaccination say who knows of it (CDC's NIP001: `00` is
/// who gave it, all others are told of it).
const SOURCES: &str = "NIP001";

/// Says that RXA does not say what was given.
fn unnamed(segment: &Segment<'_>) -> Refused {
    let place = Place { occurrence: segment.occurrence, ..Place::field("RXA", 5) };
    Refused::new(Fault::RequiredField, place, "it is not told what was given")
}

/// RXA-1, RXA-2: of vaccinations there is one of each.
fn counted(source: &Source<'_>, segment: &Segment<'_>) {
    const ONE: &[&str] = &["0", "1", "999"];
    for counter in [1, 2].into_iter().filter_map(|field| source.value(segment, field)) {
        if counter.peek().is_some_and(|text| ONE.contains(&text.trim())) {
            counter.note_all();
        }
    }
}

/// What CDC calls code 00 of [`SOURCES`].
const GIVEN_HERE: &[&str] = &["new immunization record", "new immunization administered", "new record"];

/// Reads a vaccination with its order.
///
/// # Errors
/// When it does not say what was given.
pub(in crate::hl7v2) fn immunization(
    work: &mut Work<'_>,
    order: Option<&Segment<'_>>,
    segment: &Segment<'_>,
) -> Result<Draft, Refused> {
    let source = work.source;
    source.value(segment, 5).ok_or_else(|| unnamed(segment))?;
    counted(source, segment);
    let mut immunization = Draft::new("Immunization");
    taken_back(work, &mut immunization, segment);
    work.fill(&mut immunization, segment, IMMUNIZATION);
    if let Some(order) = order {
        work.fill(&mut immunization, order, ORDER_OF_IMMUNIZATION);
        numbered(&mut immunization);
    }
    immunization.put("status", json!("completed"));
    dose(work, &mut immunization, segment, "doseQuantity");
    for value in source.values(segment, 9) {
        let is_source = value.peek_of(3).as_deref() == Some(SOURCES);
        match (is_source, value.peek()) {
            (true, Some(code)) => {
                [1, 3].into_iter().filter_map(|part| value.part(part)).for_each(Value::note_all);
                immunization.put("primarySource", json!(code == "00"));
                if code == "00" {
                    // What the code is called says nothing more.
                    let name = value.peek_of(2).unwrap_or_default().to_ascii_lowercase();
                    if GIVEN_HERE.contains(&name.trim()) {
                        value.text_of(2);
                    }
                } else {
                    let coding = json!({ "system": "urn:oid:2.16.840.1.114222.4.5.274", "code": code });
                    immunization.put("reportOrigin", json!({ "coding": [coding], "text": value.text_of(2) }));
                }
            }
            _ => {
                if let Some(text) = value.text_of(2).or_else(|| value.text_of(1)) {
                    immunization.put("note", json!({ "text": text }));
                }
            }
        }
    }
    if immunization.element("occurrenceDateTime").is_null() {
        immunization.put("occurrenceString", json!("unknown"));
    }
    if let Some(patient) = work.patient.clone() {
        immunization.put("patient", patient);
    }
    Ok(immunization)
}

/// Takes away the number that stands where there is none (9999, in the guide of CDC).
fn numbered(immunization: &mut Draft) {
    let told = immunization.element("identifier").as_array().cloned().unwrap_or_default();
    let numbers: Vec<Json> = told.iter().filter(|number| number["value"] != "9999").cloned().collect();
    if numbers.len() < told.len() {
        immunization.set("identifier", json!(numbers));
    }
    if numbers.is_empty() {
        immunization.remove("identifier");
    }
}

/// RXA-21: what was told is not so; `A` adds nothing to that it is told.
fn taken_back(work: &Work<'_>, draft: &mut Draft, segment: &Segment<'_>) {
    let Some(action) = work.source.value(segment, 21) else { return };
    match action.peek().as_deref() {
        Some("D") => {
            action.note_all();
            draft.put("status", json!("entered-in-error"));
        }
        Some("A") => action.note_all(),
        _ => {}
    }
}

/// Reads an administration.
///
/// # Errors
/// When it does not say what was given.
pub(in crate::hl7v2) fn administration(work: &mut Work<'_>, segment: &Segment<'_>) -> Result<Draft, Refused> {
    let source = work.source;
    source.value(segment, 5).ok_or_else(|| unnamed(segment))?;
    note(source, segment, &[1, 2]);
    let mut administration = Draft::new("MedicationAdministration");
    taken_back(work, &mut administration, segment);
    work.fill(&mut administration, segment, ADMINISTRATION);
    administration.put("status", json!("completed"));
    medication(work, &mut administration, segment);
    // One moment is told as a beginning and an end that are the same.
    let (start, end) = (source.value(segment, 3), source.value(segment, 4));
    let is_moment = end.is_none() || start.and_then(Value::peek) == end.and_then(Value::peek);
    if is_moment && let Some(start) = start {
        end.into_iter().for_each(Value::note_all);
        if let Some(at) = work.convert(&mut administration, start, &DTM) {
            administration.put("effectiveDateTime", at);
        }
    } else if let Some(period) = period(work, start, end) {
        administration.put("effectivePeriod", period);
    }
    dose(work, &mut administration, segment, "dosage.dose");
    for value in source.values(segment, 9) {
        if let Some(text) = value.text_of(2).or_else(|| value.text_of(1)) {
            administration.put("note", json!({ "text": text }));
        }
    }
    if let Some(patient) = work.patient.clone() {
        administration.put("subject", patient);
    }
    Ok(administration)
}

/// RXA-5, with lot and producer where they are told: a Medication of its own then.
fn medication(work: &mut Work<'_>, administration: &mut Draft, segment: &Segment<'_>) {
    const BATCH: &[Row] = &[
        ("RXA-5", "code", CWE),
        ("RXA-8", "form", CWE),
        ("RXA-15", "batch.lotNumber", ST),
        ("RXA-16", "batch.expirationDate", DTM),
        ("RXA-17", "manufacturer", CWE_ORGANIZATION),
    ];
    let source = work.source;
    if [8, 15, 16, 17].iter().all(|field| source.value(segment, *field).is_none()) {
        work.fill(administration, segment, &[("RXA-5", "medicationCodeableConcept", CWE)]);
        return;
    }
    let mut medication = Draft::new("Medication");
    work.fill(&mut medication, segment, BATCH);
    let reference = administration.contain(medication.finish());
    administration.put("medicationReference", reference);
}

/// RXA-6 and RXA-7: how much; 999 says that nobody knows.
fn dose(work: &mut Work<'_>, draft: &mut Draft, segment: &Segment<'_>, path: &str) {
    let source = work.source;
    let amount = source.value(segment, 6);
    if amount.and_then(Value::peek).is_some_and(|text| text.trim() == "999") {
        amount.into_iter().for_each(Value::note_all);
        return;
    }
    if let Some(quantity) = quantity::quantity(work, amount, source.value(segment, 7)) {
        draft.put(path, quantity);
    }
}

/// Returns the funds that pay for a vaccination, the dose it is of a series, and the like, which
/// observations of its group tell; tells whether one was such.
pub(in crate::hl7v2) fn of_group(
    work: &mut Work<'_>,
    immunization: &mut Draft,
    segment: &Segment<'_>,
) -> bool {
    let source = work.source;
    let Some(code) = source.value(segment, 3).and_then(Value::peek) else { return false };
    let (element, kind): (&str, &As) = match code.as_str() {
        "30963-3" => ("fundingSource", &CWE),
        "64994-7" => ("programEligibility", &CWE),
        "30973-2" => {
            let Some(value) = source.value(segment, 5) else { return false };
            let Some(number) = value.peek().and_then(|text| text.trim().parse::<u32>().ok()) else {
                return false;
            };
            told(source, segment, value);
            let mut protocol = Map::new();
            protocol.insert("doseNumberPositiveInt".to_owned(), json!(number.max(1)));
            immunization.put("protocolApplied", Json::Object(protocol));
            return true;
        }
        _ => return false,
    };
    let Some(made_of) = source.value(segment, 5) else { return false };
    let Some(made) = work.convert(immunization, made_of, kind) else { return false };
    told(source, segment, made_of);
    immunization.put(element, made);
    true
}

/// Notes what was read of an observation: its code, which said what it is, its value and the type of that, and
/// that it is final, as what is stored is.
fn told(source: &Source<'_>, segment: &Segment<'_>, value: Value<'_>) {
    note(source, segment, &[1]);
    let code = source.value(segment, 3);
    code.and_then(|code| code.part(1)).into_iter().for_each(Value::note_all);
    let is = |value: Option<Value<'_>>, texts: &[&str]| {
        let value = value.filter(|value| value.peek().is_some_and(|text| texts.contains(&text.trim())));
        value.into_iter().for_each(Value::note_all);
    };
    is(code.and_then(|code| code.part(3)), &["LN"]);
    is(source.value(segment, 2), &["NM", "CE", "CWE"]);
    is(source.value(segment, 11), &["F"]);
    value.text();
}

/// Says why a vaccination that was not given has no reason told.
pub(in crate::hl7v2) fn refused(immunization: &mut Draft) {
    if immunization.element("status") == "not-done" && immunization.element("statusReason").is_null() {
        immunization.put("statusReason", codes::concept("v3-NullFlavor", "NI"));
    }
}
