//! PV1: a visit, as Encounter.
//!
//! Spec: HL7 v2-to-FHIR, PV1[Encounter]

use serde_json::{Value as Json, json};

use super::{note, pv2};
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::{As, Constant, Row};
use crate::hl7v2::map::source::{Segment, Source, Value};
use crate::hl7v2::map::tables::{CLASS_STATUS, PATIENT_CLASS, same};
use crate::hl7v2::map::types::cx::CX;
use crate::hl7v2::map::types::dtm::DTM;
use crate::hl7v2::map::types::pl::{DLD, PL};
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::{Known, Work, by_identifier};

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

/// PV1-3: where the patient is, or will be where he has not come yet.
const PLACE: &[Row] =
    &[("PV1-3", "location", As::Within("location", &PL, &[("status", Constant::Text("active"))]))];
const PLANNED_PLACE: &[Row] =
    &[("PV1-3", "location", As::Within("location", &PL, &[("status", Constant::Text("planned"))]))];

/// Who tells of a visit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::hl7v2) enum Teller {
    /// Who admits and discharges: what is told is so.
    Admission,
    /// The same, of an event that is about a person or a record: PV1 has to be there, and may say nothing.
    Person,
    /// Somebody else, who repeats it: a visit that is known stays as it is.
    Other,
    /// The same, of something in which no visit can stand.
    Apart,
}

/// What a visit can be known by.
const IDENTITY: &[Row] =
    &[("PV1-19", "identifier", CX), ("PV1-50", "identifier", CX), ("PV1-44", "period.start", DTM)];

/// The system of the identifiers of visits that have no number: they are made of the account, or of when it began.
const DERIVED: &str = "urn:lanterna:hl7v2:visit";

/// The Encounter of a visit.
pub(in crate::hl7v2) enum Visit {
    /// One that is found again.
    Known {
        /// What refers to it.
        reference: Json,
        /// What it is told apart by among those of the patient.
        key: String,
    },
    /// One that nothing tells apart from others: it stands inside of what came of it.
    Inside(Box<Draft>),
}

impl Visit {
    /// Returns what refers to it, where it is found again.
    pub(in crate::hl7v2) fn reference(&self) -> Option<&Json> {
        match self {
            Visit::Known { reference, .. } => Some(reference),
            Visit::Inside(_) => None,
        }
    }

    /// Returns what it is told apart by among those of the patient.
    pub(in crate::hl7v2) fn key(&self) -> &str {
        match self {
            Visit::Known { key, .. } => key,
            Visit::Inside(_) => "",
        }
    }

    /// Says of a resource that it came of the visit.
    pub(in crate::hl7v2) fn put(&self, draft: &mut Draft, element: &str) {
        let reference = match self {
            Visit::Known { reference, .. } => reference.clone(),
            Visit::Inside(encounter) => draft.contain(encounter.as_ref().clone().finish()),
        };
        draft.put(element, reference);
    }
}

/// Adds the Encounter of PV1 and PV2. `status`: what the event says of it.
///
/// A visit that has neither number nor account, and of which nobody knows when it
/// began, is none that could be found again: who admits cannot tell it then, and nothing of
/// it is read; with others it stands inside of what they tell.
pub(in crate::hl7v2) fn visit(
    work: &mut Work<'_>,
    status: Option<&str>,
    account: Option<Json>,
    teller: Teller,
) -> Option<Visit> {
    let source = work.source;
    let segment = source.first("PV1")?;
    if is_none(source, segment, teller) {
        note(source, segment, &[1, 2]);
        return None;
    }
    let mark = source.mark();
    let mut told = Draft::new("Encounter");
    work.fill(&mut told, segment, IDENTITY);
    let number = work.by_number(&told.element("identifier")[0]);
    let derived = number.is_none().then(|| derived(work, &told, account.as_ref())).flatten();
    let query = number.or_else(|| by_identifier(derived.as_ref()?));
    if query.is_none() && teller != Teller::Other {
        source.forget_since(mark);
        return None;
    }
    let mut encounter = encounter(work, segment, (status, query.is_none()));
    if let Some(account) = account {
        encounter.put("account", account);
    }
    let Some(query) = query else { return Some(Visit::Inside(Box::new(encounter))) };
    if let Some(derived) = derived {
        encounter.put("identifier", derived);
    }
    if let Some(patient) = work.patient.clone() {
        encounter.put("subject", patient);
    }
    let known = if matches!(teller, Teller::Other | Teller::Apart) { Known::StaysBy } else { Known::By };
    let reference = work.add(encounter, &query, known(query.clone()));
    Some(Visit::Known { reference, key: query })
}

/// Tells whether a message says that there is no visit, or nothing but a class where the event is about something else.
fn is_none(source: &Source<'_>, segment: &Segment<'_>, teller: Teller) -> bool {
    let class = source.value(segment, 2).and_then(Value::peek);
    let says_more = (3..=LAST).any(|field| source.value(segment, field).is_some());
    let is_known = class.as_deref().is_none_or(|class| PATIENT_CLASS.code(class).is_some());
    let is_aside = matches!(teller, Teller::Person | Teller::Apart);
    !says_more && (class.as_deref() == Some("N") || is_aside && is_known)
}

/// The last field of PV1.
const LAST: usize = 54;

/// Makes the identifier of a visit without a number: of its account, or else of when it began.
fn derived(work: &Work<'_>, told: &Draft, account: Option<&Json>) -> Option<Json> {
    let start = told.element("period")["start"].as_str();
    let of_account = || account.and_then(|account| account["reference"].as_str());
    let of = start.or_else(of_account)?;
    let key = work.key_of_patient(&["PV1", of]);
    let value = work.full_url("Encounter", &key);
    Some(json!({ "system": DERIVED, "value": value.trim_start_matches("urn:uuid:") }))
}

/// Makes the Encounter. `is_inside`: nothing that is stored says more of it.
fn encounter(work: &mut Work<'_>, segment: &Segment<'_>, (status, is_inside): (Option<&str>, bool)) -> Draft {
    let source = work.source;
    note(source, segment, &[1]);
    let class = source.value(segment, 2).and_then(Value::peek);
    let mut encounter = Draft::new("Encounter");
    work.fill(&mut encounter, segment, if class.as_deref() == Some("P") { PLANNED_PLACE } else { PLACE });
    work.fill(&mut encounter, segment, ROWS);
    if source.value(segment, 51).and_then(Value::peek).as_deref() == Some("V") {
        // That PV1 tells of a visit is what it does anyway.
        note(source, segment, &[51]);
    }
    if let Some(more) = source.first("PV2") {
        work.fill(&mut encounter, more, pv2::ROWS);
    }
    let of_class = class.and_then(|class| CLASS_STATUS.code(&class)).filter(|_| !is_inside);
    let has_ended = !encounter.element("period")["end"].is_null();
    let told = status.or(has_ended.then_some("finished"));
    encounter.put("status", json!(told.or(of_class).unwrap_or("unknown")));
    if told.is_none() && !is_inside {
        work.assume("Encounter", "status");
    }
    if encounter.element("class").is_null() && !is_inside {
        work.assume("Encounter", "class");
    }
    encounter.put("class", codes::coding("v3-NullFlavor", "UNK"));
    encounter
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
