//! `Patient/$unmerge` of this server: takes a merge back.
//!
//! The record that was merged away counts again as it did before: its links
//! to the other one go, and it is as active as it was. `target-patient` may be
//! left out: nobody is merged into two.

use fhir_model::interaction::{OperationCall, Performed};
use fhir_model::outcome::Issue;
use jiff::Timestamp;
use serde_json::Value;

use super::merge::answer;
use super::named_patient::{Among, SOURCE, TARGET, moment};
use super::parameters::Given;
use crate::identity::held::{Held, store};
use crate::identity::merging::{self, Asked};
use crate::interaction::unit::Unit;

const PARAMETERS: &[&str] = &[
    SOURCE.reference,
    SOURCE.identifier,
    TARGET.reference,
    TARGET.identifier,
    "recorded",
    "reason",
    "agent",
];

pub(super) fn unmerge(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    let given = Given::of(call, PARAMETERS)?;
    let base = unit.base;
    let mut held = Held::new(unit);
    let source = SOURCE.find(&given, &mut held, base, Among::Subsumed)?;
    let target = match TARGET.is_given(&given) {
        true => TARGET.find(&given, &mut held, base, Among::Current)?,
        // Whoever was not merged is refused for that.
        false => held.survivors(&source)?.into_iter().next().unwrap_or_default(),
    };
    let asked = Asked {
        source,
        target,
        target_named: Value::Null,
        at: moment(&given, "recorded")?,
        reason: given.text("reason").map(str::to_owned),
        agent: given.text("agent").map(str::to_owned),
    };
    merging::unmerge(&mut held, &asked, Timestamp::now())?;
    let source = held.patient(&asked.source)?.cloned();
    let changes = held.into_changes();
    store(unit, changes)?;
    Ok(answer(call, "the merge was taken back", source))
}
