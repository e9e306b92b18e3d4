//! `Patient/$link` of this server: decides whether two records are of one person.
//!
//! `same` says it; the Task that asks for it is closed, or made where nobody
//! asked. Where they are not, `other` leaves the person of `patient`, with
//! what is certainly the same as it.
//!
//! Whoever decides by what was shown says so: references to `patient`, `other` and `task` (the
//! Task that asks) may name a version. It is refused (409) when one of them is another by now.

use fhir_model::interaction::{OperationCall, Performed, VersionId};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, name, ty};
use jiff::Timestamp;

use super::merge::answer;
use super::named_patient::{Among, Naming};
use super::parameters::Given;
use crate::identity::deciding::{Decided, decide};
use crate::identity::held::{Held, store};
use crate::identity::refusal::Refusal;
use crate::identity::review::pair_id;
use crate::interaction::unit::Unit;

const PATIENT: Naming = Naming { reference: "patient", identifier: "patient-identifier" };
const OTHER: Naming = Naming { reference: "other", identifier: "other-identifier" };
/// The parameter that names the Task that asks.
const TASK: &str = "task";
const PARAMETERS: &[&str] = &[
    PATIENT.reference,
    PATIENT.identifier,
    OTHER.reference,
    OTHER.identifier,
    TASK,
    "same",
    "reason",
    "agent",
];

pub(super) fn link(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, PARAMETERS)?;
    let is_same = match given.text("same") {
        Some("true") => true,
        Some("false") => false,
        _ => {
            let text = "`same` says whether they are of one person: `true` or `false`";
            return Err(Issue::error(IssueType::Required).at("same").text(text));
        }
    };
    let base = unit.base;
    let mut held = Held::new(unit);
    let records = [
        PATIENT.find(&given, &mut held, base, Among::Current)?,
        OTHER.find(&given, &mut held, base, Among::Current)?,
    ];
    let [reason, agent] = ["reason", "agent"].map(|named| given.text(named).map(str::to_owned));
    let task = pair_id("link", &records[0], &records[1]);
    let asked = [
        (PATIENT.reference, ty::PATIENT, records[0].as_str()),
        (OTHER.reference, ty::PATIENT, &records[1]),
        (TASK, ty::TASK, &task),
    ];
    for (named, of, id) in asked {
        check_version(&given, &mut held, named, (of, id))?;
    }
    decide(&mut held, &Decided { records, is_same, reason, agent }, Timestamp::now())?;
    let task = held.resource(ty::TASK, &task)?.cloned();
    let changes = held.into_changes();
    store(unit, changes)?;
    let text = if is_same { "the records are of one person" } else { "the records are of different persons" };
    Ok(answer(call, text, task))
}

/// Refuses a parameter that refers to a version which is not the current one.
fn check_version(
    given: &Given<'_>,
    held: &mut Held<'_>,
    named: &'static str,
    (of, id): (TypeId, &str),
) -> Result<(), Issue> {
    let reference = given.value(named).and_then(|reference| reference.text_of(name::REFERENCE));
    let Some(reference) = reference else { return Ok(()) };
    let literal = Literal::parse(reference)
        .filter(|literal| literal.key.resource_type == of && literal.key.id.as_str() == id);
    let literal = literal.ok_or_else(|| {
        let text = format!("`{named}` is a reference to the {of} that the decision is about");
        Issue::error(IssueType::Value).at(named).text(text)
    })?;
    let current = held.version_of(of, id)?;
    match literal.version {
        Some(version) if VersionId::parse(version) != current => Err(Refusal::Changed(named).into()),
        _ => Ok(()),
    }
}
