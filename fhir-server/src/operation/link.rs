//! `Patient/$link` of this server: decides whether two records are of one person.
//!
//! `same` says it; the Task that asks for it is closed, or made where nobody
//! asked. Where they are not, `other` leaves the person of `patient`, with
//! what is certainly the same as it.

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;
use jiff::Timestamp;

use super::merge::answer;
use super::named_patient::{Among, Naming};
use super::parameters::Given;
use crate::identity::deciding::{Decided, decide};
use crate::identity::held::{Held, store};
use crate::identity::review::pair_id;
use crate::interaction::unit::Unit;

const PATIENT: Naming = Naming { reference: "patient", identifier: "patient-identifier" };
const OTHER: Naming = Naming { reference: "other", identifier: "other-identifier" };
const PARAMETERS: &[&str] =
    &[PATIENT.reference, PATIENT.identifier, OTHER.reference, OTHER.identifier, "same", "reason", "agent"];

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
    decide(&mut held, &Decided { records, is_same, reason, agent }, Timestamp::now())?;
    let task = held.resource(ty::TASK, &task)?.cloned();
    let changes = held.into_changes();
    store(unit, changes)?;
    let text = if is_same { "the records are of one person" } else { "the records are of different persons" };
    Ok(answer(call, text, task))
}
