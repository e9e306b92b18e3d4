//! PV1: a visit, as Encounter.
//!
//! Spec: HL7 v2-to-FHIR, PV1[Encounter]

use serde_json::{Value as Json, json};

use super::{note, pv2};
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::tables::{CLASS_STATUS, PATIENT_CLASS, same};
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::pl::{DLD, PL};
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work};

const PARTICIPATION: &str = "v3-ParticipationType";
const CLASSIFICATION: &str = "http://hl7.org/fhir/StructureDefinition/subject-locationClassification";

/// Somebody who takes part, and as what.
macro_rules! participant {
    ($code:literal) => {
        As::Within("individual", &XCN, &[("type", Constant::Concepts(PARTICIPATION, $code))])
    };
}

pub(super) const ROWS: &[Row] = &[
    ("PV1-2", "class", As::Coding(&PATIENT_CLASS)),
    ("PV1-3", "location", As::Within("location", &PL, &[("status", Constant::Text("active"))])),
    ("PV1-4", "type", As::Concept(&same("0007"))),
    ("PV1-5", "hospitalization.preAdmissionIdentifier", CX),
    ("PV1-6", "location", As::Within("location", &PL, &[("status", Constant::Text("completed"))])),
    ("PV1-7", "participant", participant!("ATND")),
    ("PV1-8", "participant", participant!("REF")),
    ("PV1-9", "participant", participant!("CON")),
    ("PV1-10", "serviceType", As::Concept(&same("0069"))),
    ("PV1-11", "location", As::Of(temporary)),
    ("PV1-13", "hospitalization.reAdmission", As::Concept(&same("0092"))),
    ("PV1-14", "hospitalization.admitSource", As::Concept(&same("0023"))),
    ("PV1-15", "hospitalization.specialArrangement", As::Concept(&same("0009"))),
    ("PV1-16", "hospitalization.specialCourtesy", As::Concept(&same("0099"))),
    ("PV1-17", "participant", participant!("ADM")),
    ("PV1-19", "identifier", As::Or(&CX, "type", Constant::Concept("v2-0203", "VN"))),
    ("PV1-36", "hospitalization.dischargeDisposition", As::Concept(&same("0112"))),
    ("PV1-37", "hospitalization.destination", DLD),
    ("PV1-38", "hospitalization.dietPreference", As::Concept(&same("0114"))),
    ("PV1-42", "location", As::Within("location", &PL, &[("status", Constant::Text("reserved"))])),
    ("PV1-43", "location", As::Of(prior_temporary)),
    ("PV1-44", "period.start", DTM),
    ("PV1-45", "period.end", DTM),
    ("PV1-50", "identifier", CX),
    ("PV1-52", "participant", participant!("PART")),
];

/// Who tells of a visit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::hl7v2) enum Teller {
    /// Who admits and discharges: what is told is so.
    Admission,
    /// Somebody else, who repeats it: a visit that is known stays as it is.
    Other,
}

/// What a visit can be known by.
const IDENTITY: &[Row] =
    &[("PV1-19", "identifier", CX), ("PV1-50", "identifier", CX), ("PV1-44", "period.start", DTM)];

/// The Encounter of a visit.
pub(in crate::hl7v2) struct Visit {
    /// What refers to it.
    pub(in crate::hl7v2) reference: Json,
    /// What it is told apart by among those of the patient.
    pub(in crate::hl7v2) key: String,
}

/// Adds the Encounter of PV1 and PV2. `status`: what the event says of it.
///
/// A visit that has no number, and of which nobody knows when it began, is none
/// that could be found again: then nothing of it is read.
pub(in crate::hl7v2) fn visit(
    work: &mut Work<'_>,
    status: Option<&str>,
    account: Option<Json>,
    teller: Teller,
) -> Option<Visit> {
    let source = work.source;
    let segment = source.first("PV1")?;
    let mark = source.mark();
    let mut told = Draft::new("Encounter");
    work.fill(&mut told, segment, IDENTITY);
    let number = work.by_number(&told.element("identifier")[0]);
    let start = told.element("period")["start"].as_str().map(str::to_owned);
    let (key, known) = match (number, start) {
        (Some(query), _) if teller == Teller::Admission => (query.clone(), Known::By(query)),
        (Some(query), _) => (query.clone(), Known::StaysBy(query)),
        (None, Some(start)) => (work.key_of_patient(&["PV1", &start]), Known::Own),
        (None, None) => {
            source.forget_since(mark);
            // There is no visit, and that is what is told.
            let class = source.value(segment, 2).filter(|class| class.peek().as_deref() == Some("N"));
            if class.and_then(Value::text).is_some() {
                note(source, segment, &[1]);
            }
            return None;
        }
    };
    note(source, segment, &[1]);
    let mut encounter = Draft::new("Encounter");
    work.fill(&mut encounter, segment, ROWS);
    if let Some(more) = source.first("PV2") {
        work.fill(&mut encounter, more, pv2::ROWS);
    }
    let of_class = source.value(segment, 2).and_then(Value::peek).and_then(|class| CLASS_STATUS.code(&class));
    let has_ended = !encounter.element("period")["end"].is_null();
    let told = status.or(has_ended.then_some("finished"));
    let status = told.or(of_class).unwrap_or("unknown");
    encounter.put("status", json!(status));
    if told.is_none() {
        work.assume("Encounter", "status");
    }
    if encounter.element("class").is_null() {
        work.assume("Encounter", "class");
    }
    encounter.put("class", codes::coding("v3-NullFlavor", "UNK"));
    if let Some(patient) = work.patient.clone() {
        encounter.put("subject", patient);
    }
    if let Some(account) = account {
        encounter.put("account", account);
    }
    let reference = work.add(encounter, &key, known);
    Some(Visit { reference, key })
}

/// PV1-11: where the patient is for a while.
fn temporary(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let location = work.convert(draft, value, &PL)?;
    Some(json!({ "extension": [classified()], "location": location, "status": "active" }))
}

/// PV1-43: where the patient was for a while.
fn prior_temporary(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    let location = work.convert(draft, value, &PL)?;
    Some(json!({ "extension": [classified()], "location": location, "status": "completed" }))
}

fn classified() -> Json {
    json!({ "url": CLASSIFICATION, "valueCodeableConcept": { "coding": [{ "code": "temporary" }] } })
}
