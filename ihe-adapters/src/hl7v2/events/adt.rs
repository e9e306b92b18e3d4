//! ADT: patients come, move and go.
//!
//! Spec: HL7 v2.5.1 chapter 3; HL7 v2-to-FHIR, ADT messages

use serde_json::json;

use super::{Family, subject};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::{al1, dg1, in1, mrg, nk1, obx, pid, pv1};
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::work::Work;
use crate::hl7v2::mapped::{Change, Mapped};
use crate::hl7v2::refused::Refused;

pub(super) const FAMILY: Family = Family { message: "ADT", events: TRIGGERS, read };

const TRIGGERS: &[&str] = &[
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13", "A24", "A28",
    "A31", "A37", "A38", "A40", "A43", "A45", "A47",
];

/// What an event does.
struct Event {
    trigger: &'static str,
    /// The status of the visit after it; where there is none, the class and
    /// the end of the visit tell it.
    status: Option<&'static str>,
    /// What of the visit it takes back.
    deletes: &'static [&'static str],
    what: What,
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A visit.
    Visit,
    /// A person, whatever the visit: what the message tells is all of it.
    Person,
    /// Both.
    Both,
    /// Records: what becomes of the prior one.
    Merge,
    Move,
    MoveVisit,
    Rename,
    /// Two records: that they are of one person, or are not.
    Link,
    Unlink,
}

impl What {
    /// Who tells of the visit.
    fn teller(self) -> pv1::Teller {
        match self {
            What::Visit | What::MoveVisit => pv1::Teller::Admission,
            _ => pv1::Teller::Person,
        }
    }
}

const fn visit(trigger: &'static str, status: &'static str) -> Event {
    Event { trigger, status: Some(status), deletes: &[], what: What::Visit }
}

const fn of(trigger: &'static str, what: What) -> Event {
    Event { trigger, status: None, deletes: &[], what }
}

const EVENTS: &[Event] = &[
    visit("A01", "in-progress"),
    visit("A02", "in-progress"),
    visit("A03", "finished"),
    // Who is registered has come: the class tells more than the event does.
    of("A04", What::Visit),
    visit("A05", "planned"),
    visit("A06", "in-progress"),
    visit("A07", "in-progress"),
    of("A08", What::Both),
    visit("A09", "in-progress"),
    visit("A10", "in-progress"),
    visit("A11", "cancelled"),
    visit("A12", "in-progress"),
    Event {
        trigger: "A13",
        status: Some("in-progress"),
        deletes: &["period.end", "hospitalization.dischargeDisposition", "hospitalization.destination"],
        what: What::Visit,
    },
    of("A24", What::Link),
    of("A28", What::Person),
    of("A31", What::Person),
    of("A37", What::Unlink),
    visit("A38", "cancelled"),
    of("A40", What::Merge),
    of("A43", What::Move),
    of("A45", What::MoveVisit),
    of("A47", What::Rename),
];

/// Resource types whose segments tell all that the sender knows, where the
/// message is a snapshot (HL7 v2.5.1 section 2.10.4), and the field without
/// which a segment tells nothing.
const SNAPSHOTS: &[(&str, usize, &str)] =
    &[("AL1", 3, "AllergyIntolerance"), ("IN1", 2, "Coverage"), ("NK1", 2, "RelatedPerson")];

fn read(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<(), Refused> {
    let source = work.source;
    let event = EVENTS.iter().find(|event| event.trigger == work.header.trigger);
    let event = event.ok_or_else(|| Refused::segment("MSH", "this event is not taken"))?;
    if matches!(event.what, What::Link | What::Unlink) {
        return linked(work, mapped, event.what == What::Link);
    }
    let subject::Subject { mut patient, visit } = subject::begun(work, event.status, event.what.teller())?;
    if matches!(event.what, What::Merge | What::Move | What::Rename) {
        prior(work, mapped, event.what)?;
    }
    if event.what == What::MoveVisit {
        moved_visit(work, visit.as_ref())?;
    }
    for path in event.deletes.iter().filter(|_| visit.is_some()) {
        work.delete("Encounter", path);
    }
    beside(work, &mut patient, visit.as_ref());
    subject::ended(work, mapped, patient, visit.as_ref());
    if matches!(event.what, What::Person | What::Both) {
        let is_told = |name: &str, field: usize| {
            source.named(name).any(|segment| source.value(segment, field).is_some())
        };
        let told = SNAPSHOTS.iter().filter(|(segment, field, _)| is_told(segment, *field));
        mapped.snapshots = told.map(|(_, _, resource_type)| *resource_type).collect();
    }
    mapped.tells_of_patient = true;
    Ok(())
}

/// Reads the segments of which there may be several.
fn beside(work: &mut Work<'_>, patient: &mut Draft, visit: Option<&pv1::Visit>) {
    let source = work.source;
    let mut segments = source.segments().iter().peekable();
    while let Some(segment) = segments.next() {
        match segment.name {
            "NK1" => nk1::related(work, patient, segment),
            "AL1" => al1::allergy(work, segment),
            "DG1" => dg1::diagnosis(work, segment, visit),
            "IN1" => in1::coverage(work, segment),
            "OBX" => {
                let mut comments: Vec<&Segment<'_>> = Vec::new();
                while let Some(comment) = segments.next_if(|next| next.name == "NTE") {
                    comments.push(comment);
                }
                let encounter = visit.and_then(pv1::Visit::reference).cloned();
                let setting = obx::Setting { encounter, ..obx::Setting::default() };
                obx::observation(work, segment, &comments, &setting);
            }
            _ => {}
        }
    }
}

/// Says by which number the visit that moves is found.
fn moved_visit(work: &mut Work<'_>, visit: Option<&pv1::Visit>) -> Result<(), Refused> {
    let source = work.source;
    let segment =
        source.first("MRG").ok_or_else(|| Refused::segment("MRG", "nobody says what it was before"))?;
    let visit = visit.and_then(pv1::Visit::reference);
    let visit = visit.ok_or_else(|| Refused::segment("PV1", "nobody says which visit moves"))?;
    if let Some(mrg::PriorVisit { query, mut number }) = mrg::prior_visit(work, segment)? {
        work.find_by(visit, &query);
        number["use"] = json!("old");
        work.change(visit, |encounter| {
            if let Some(identifiers) = encounter["identifier"].as_array_mut() {
                identifiers.push(number);
            }
        });
    }
    Ok(())
}

/// Reads of which two records it is told that they are of one person, or are not. Nothing else of them changes.
fn linked(work: &mut Work<'_>, mapped: &mut Mapped, is_same: bool) -> Result<(), Refused> {
    let source = work.source;
    let both: Vec<&Segment<'_>> = source.named("PID").collect();
    let [one, other] = both.as_slice() else {
        return Err(Refused::segment("PID", "two patients are linked, or are not any more"));
    };
    let patient = pid::patient(work, one)?;
    let one = work.patient_identifier.clone().unwrap_or_default();
    source.values(other, 1).into_iter().for_each(Value::note_all);
    let other = pid::key(work, other, 3)?;
    // A PV1 that has to be there and says nothing stands beside each.
    pv1::visit(work, None, None, pv1::Teller::Person);
    mapped.changes.push(Change::Link { one, other, is_same });
    subject::ended(work, mapped, patient, None);
    Ok(())
}

/// Reads what the record was known by before.
fn prior(work: &mut Work<'_>, mapped: &mut Mapped, what: What) -> Result<(), Refused> {
    let source = work.source;
    let segment =
        source.first("MRG").ok_or_else(|| Refused::segment("MRG", "nobody says what it was before"))?;
    let before = mrg::prior(work, segment)?;
    let now = work.patient_identifier.clone().unwrap_or(json!({}));
    mapped.changes.push(match what {
        What::Merge => Change::Merge { subsumed: before, survivor: now },
        What::Rename => Change::Rename { from: before, to: now },
        _ => Change::Move { from: before, to: now },
    });
    Ok(())
}
