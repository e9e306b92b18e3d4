//! OBX: an observation, as Observation; one with a document, as its attachment.
//!
//! Spec: HL7 v2-to-FHIR, OBX[Observation], OBX[Observation-Component]

use serde_json::{Value as Json, json};

use super::{note, nte};
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::tables::{INTERPRETATIONS, OBSERVATION_STATUS, same};
use crate::hl7v2::map::types::coded::{self, CWE};
use crate::hl7v2::map::types::dtm::{DR, DTM, TM};
use crate::hl7v2::map::types::ei::{self, EI};
use crate::hl7v2::map::types::text::ST;
use crate::hl7v2::map::types::xad::XAD;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::types::xon::{self, CWE_ORGANIZATION};
use crate::hl7v2::map::types::{ed, quantity};
use crate::hl7v2::map::work::{Known, Work};

pub(in crate::hl7v2) const SUB_ID: &str = "urn:lanterna:hl7v2:observation-sub-id";
const ABNORMAL: &str = "http://hl7.org/fhir/StructureDefinition/observation-nature-of-abnormal-test";
const ANALYSIS_TIME: &str = "http://hl7.org/fhir/StructureDefinition/observation-analysis-date-time";
pub(in crate::hl7v2) const ATTACHMENT: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.valueAttachment";

pub(super) const ROWS: &[Row] = &[
    ("OBX-3", "code", CWE),
    ("OBX-4", "extension", As::Within("valueString", &ST, &[("url", Constant::Text(SUB_ID))])),
    ("OBX-7", "referenceRange.text", ST),
    ("OBX-8", "interpretation", As::Concept(&INTERPRETATIONS)),
    (
        "OBX-10",
        "extension",
        As::Within("valueCodeableConcept", &As::Concept(&same("0080")), &[("url", Constant::Text(ABNORMAL))]),
    ),
    ("OBX-11", "status", As::Code(&OBSERVATION_STATUS)),
    ("OBX-14", "effectiveDateTime", DTM),
    ("OBX-15", "performer", CWE_ORGANIZATION),
    ("OBX-16", "performer", XCN),
    ("OBX-17", "method", CWE),
    ("OBX-18", "device", As::Within("identifier", &EI, &[])),
    ("OBX-19", "extension", As::Within("valueDateTime", &DTM, &[("url", Constant::Text(ANALYSIS_TIME))])),
    ("OBX-20", "bodySite", CWE),
    ("OBX-21", "identifier", As::Or(&EI, "type", Constant::Concept("v2-0203", "FILL"))),
    ("OBX-29", "category", As::Concept(&same("0936"))),
];

/// The types of values that are understood; others are told in words.
const KINDS: &[&str] = &[
    "ST", "TX", "FT", "CE", "CWE", "CNE", "CF", "IS", "ID", "DT", "TS", "DTM", "TM", "DR", "NM", "CQ", "SN",
    "NR", "ED", "RP",
];

/// What an observation is of.
#[derive(Default)]
pub(in crate::hl7v2) struct Setting<'a> {
    /// What tells the observations of a report apart from those of others.
    pub(in crate::hl7v2) key: &'a str,
    /// The visit.
    pub(in crate::hl7v2) encounter: Option<Json>,
    /// The order that it answers.
    pub(in crate::hl7v2) based_on: Option<Json>,
    /// The material.
    pub(in crate::hl7v2) specimen: Option<Json>,
    /// When the report says that it was, where the observation does not.
    pub(in crate::hl7v2) effective: Option<(&'static str, Json)>,
}

/// Makes the Observation of a segment and its comments; the reference to it.
pub(in crate::hl7v2) fn observation(
    work: &mut Work<'_>,
    segment: &Segment<'_>,
    comments: &[&Segment<'_>],
    setting: &Setting<'_>,
) -> Option<Json> {
    let mark = work.source.mark();
    let mut observation = Draft::new("Observation");
    note(work.source, segment, &[1]);
    let kind = work.source.value(segment, 2).and_then(Value::peek);
    if kind.is_some_and(|kind| KINDS.contains(&kind.as_str())) {
        note(work.source, segment, &[2]);
    }
    work.fill(&mut observation, segment, ROWS);
    if observation.element("code").is_null() {
        work.source.forget_since(mark);
        return None;
    }
    values(work, &mut observation, segment);
    performer(work, &mut observation, segment);
    nte::annotations(work, &mut observation, comments);
    absent(work, &mut observation, segment);
    if let Some((element, value)) = &setting.effective {
        observation.put(element, value.clone());
    }
    let told = [
        ("subject", work.patient.clone()),
        ("encounter", setting.encounter.clone()),
        ("basedOn", setting.based_on.clone()),
        ("specimen", setting.specimen.clone()),
        // It has to have one; where none is told, nothing is known of it.
        ("status", Some(json!("unknown"))),
    ];
    for (element, value) in told {
        if let Some(value) = value {
            observation.put(element, value);
        }
    }
    let key = key(work, &observation, setting);
    Some(work.add(observation, &key, Known::Own))
}

/// Returns what an observation is known by: its own number, or else its code,
/// sub-id and, among those that are alike, its place.
fn key(work: &mut Work<'_>, observation: &Draft, setting: &Setting<'_>) -> String {
    let identifier = &observation.element("identifier")[0];
    if identifier["value"].is_string() {
        return work.key_of_patient(&["OBX", &ei::key(work, identifier)]);
    }
    let code = &observation.element("code");
    let code = match code["coding"][0]["code"].as_str() {
        Some(code) => format!("{}|{code}", code_system(&observation.element("code")["coding"][0])),
        None => code["text"].as_str().unwrap_or_default().to_owned(),
    };
    let extensions = observation.element("extension").as_array();
    let sub_id = extensions.into_iter().flatten().find(|extension| extension["url"] == SUB_ID);
    let sub_id = sub_id.and_then(|extension| extension["valueString"].as_str()).unwrap_or_default();
    // Outside of a report the same is observed again and again.
    let when = match observation.element("effectiveDateTime") {
        _ if !setting.key.is_empty() => String::new(),
        Json::Null => work.header.control_id.clone(),
        when => when.to_string(),
    };
    let alike = work.key_of_patient(&["OBX", setting.key, &code, sub_id, &when]);
    let number = work.place_of(alike);
    work.key_of_patient(&["OBX", setting.key, &code, sub_id, &when, &number.to_string()])
}

fn code_system(coding: &Json) -> &str {
    coding["system"].as_str().unwrap_or_default()
}

/// OBX-5: one value is the value, several are components.
fn values(work: &mut Work<'_>, observation: &mut Draft, segment: &Segment<'_>) {
    let source = work.source;
    let kind = source.value(segment, 2).and_then(Value::peek).unwrap_or_default();
    let mut values = source.values(segment, 5);
    values.retain(|value| {
        if value.is_null() {
            value.note_all();
        }
        !value.is_null()
    });
    if matches!(kind.as_str(), "TX" | "FT" | "ST") && values.len() > 1 {
        // A text goes on in the next repetition.
        let lines: Vec<String> = values.into_iter().filter_map(Value::text).collect();
        observation.put("valueString", json!(lines.join("\n")));
        return;
    }
    if let [value] = values.as_slice() {
        if let Some((element, made)) = value_of(work, observation, segment, *value, &kind) {
            observation.put(element, made);
        }
        return;
    }
    for value in values {
        if let Some((element, made)) = value_of(work, observation, segment, value, &kind) {
            let code = observation.element("code").clone();
            let mut component = Draft::part("Observation.component");
            component.put("code", code);
            component.put(element, made);
            observation.put("component", component.finish());
        }
    }
}

/// Makes what a value is, by the type that OBX-2 says: the element and the value.
fn value_of(
    work: &mut Work<'_>,
    draft: &mut Draft,
    segment: &Segment<'_>,
    value: Value<'_>,
    kind: &str,
) -> Option<(&'static str, Json)> {
    let source = work.source;
    let units = source.value(segment, 6);
    let mark = source.mark();
    let mut with = |element, kind: &As| work.convert(draft, value, kind).map(|made| (element, made));
    let made = match kind {
        // A text in units is a number to a reader, and none without them.
        "ST" | "TX" | "FT" if units.is_some() => in_words(value, units, kind),
        "ST" | "TX" | "FT" => with("valueString", &ST),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => with("valueCodeableConcept", &CWE),
        "DT" | "TS" | "DTM" => with("valueDateTime", &DTM),
        "TM" => with("valueTime", &TM),
        "DR" => with("valuePeriod", &DR),
        "NM" => quantity::quantity(work, Some(value), units).map(|made| ("valueQuantity", made)),
        "CQ" => with("valueQuantity", &quantity::CQ),
        "SN" => quantity::structured(work, value, units),
        "NR" => quantity::range(work, value, units).map(|made| ("valueRange", made)),
        "ED" => ed::attachment(work, value).map(attached),
        "RP" => ed::pointer(work, value).map(attached),
        _ => None,
    };
    made.or_else(|| {
        source.forget_since(mark);
        in_words(value, units, kind)
    })
}

fn attached(attachment: Json) -> (&'static str, Json) {
    ("extension", json!({ "url": ATTACHMENT, "valueAttachment": attachment }))
}

/// A value that is not what its type says, as it was written, with its units.
fn in_words(value: Value<'_>, units: Option<Value<'_>>, kind: &str) -> Option<(&'static str, Json)> {
    if matches!(kind, "ED" | "RP") {
        return None;
    }
    let written = match kind {
        "SN" => structured_in_words(value),
        "ST" | "TX" | "FT" => value.text()?,
        _ => value.written(),
    };
    if !matches!(kind, "ST" | "TX" | "FT") {
        value.note_all();
    }
    let units = units.and_then(Value::text).map(|units| format!(" {units}")).unwrap_or_default();
    let text = format!("{written}{units}");
    (!text.trim().is_empty()).then(|| ("valueString", json!(text.trim())))
}

fn structured_in_words(value: Value<'_>) -> String {
    let parts: Vec<String> = (1..=4).filter_map(|part| value.text_of(part)).collect();
    parts.join(" ")
}

/// OBX-23 to OBX-25: the organization that did it, where that is, and who
/// answers for it there.
fn performer(work: &mut Work<'_>, observation: &mut Draft, segment: &Segment<'_>) {
    let source = work.source;
    let organization = source.value(segment, 23).and_then(|value| xon::organization(work, value));
    let organization = organization.map(|mut organization| {
        work.fill(&mut organization, segment, &[("OBX-24", "address", XAD)]);
        xon::referred(work, observation, organization)
    });
    let director = source.value(segment, 25).and_then(|value| work.convert(observation, value, &XCN));
    let Some(director) = director else {
        if let Some(organization) = organization {
            observation.put("performer", organization);
        }
        return;
    };
    let mut role = Draft::new("PractitionerRole");
    role.put("practitioner", director);
    role.put("code", codes::concept("v2-0912", "MDIR"));
    if let Some(organization) = organization {
        role.put("organization", organization);
    }
    let reference = observation.contain(role.finish());
    observation.put("performer", reference);
}

/// OBX-11: why there is no value, where the status tells.
fn absent(work: &Work<'_>, observation: &mut Draft, segment: &Segment<'_>) {
    let status = work.source.value(segment, 11).and_then(Value::peek);
    let reason = match status.as_deref() {
        Some("N") => "not-asked",
        // The value cannot be had.
        Some("X") => "error",
        _ => return,
    };
    let has_value = work.source.value(segment, 5).is_some_and(|value| !value.is_null());
    if !has_value {
        observation.put("dataAbsentReason", codes::concept("data-absent-reason", reason));
    }
}

/// Returns the code of an observation for a reader.
pub(in crate::hl7v2) fn title(work: &mut Work<'_>, segment: &Segment<'_>) -> Option<String> {
    let value = work.source.value(segment, 3)?;
    let mut draft = Draft::new("Observation");
    let concept = coded::concept(work, &mut draft, value)?;
    let text = concept["text"].as_str().or_else(|| concept["coding"][0]["display"].as_str());
    text.map(str::to_owned)
}
