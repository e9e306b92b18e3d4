//! Writes what was planned, all of it or nothing.

use fhir_model::interaction::{Carried, Performed};
use fhir_model::outcome::{Issue, IssueType};
use serde_json::Value;

use super::plan::Planned;
use super::{KnownPatients, Registry, failure};
use crate::atna::Recording;
use crate::wire::ebrs::{ErrorCode, RegistryError};

/// How often a submission is tried anew that others came in between.
const TRIES: usize = 4;

/// Plans and writes, anew where others came in between.
///
/// # Errors
/// All that is wrong with the submission; nothing is written then.
pub(super) async fn write(
    registry: &Registry<'_>,
    plan: impl AsyncFn() -> Planned,
) -> Result<(), Vec<RegistryError>> {
    match attempt(registry, plan).await {
        Ok(done) => done.map(drop),
        Err(issue) => Err(vec![failure(&issue, ErrorCode::Registry)]),
    }
}

/// As [`write`]; returns what the transaction led to, or what is wrong with the
/// submission.
///
/// # Errors
/// When the registry cannot be asked, or the transaction fails; nothing is
/// written then.
pub(super) async fn attempt(
    registry: &Registry<'_>,
    plan: impl AsyncFn() -> Planned,
) -> Result<Result<Performed, Vec<RegistryError>>, Issue> {
    let mut tries = 0;
    loop {
        tries += 1;
        let planned = match plan().await? {
            Ok(planned) => planned,
            Err(faults) => return Ok(Err(faults)),
        };
        match registry.transact(planned.entries, planned.contents).await {
            Ok(performed) => return Ok(Ok(performed)),
            // Somebody changed what is changed here, or took a unique id: look again.
            Err(issue) if is_race(&issue) && tries < TRIES => {
                registry.known_patients.into_iter().for_each(KnownPatients::forget);
            }
            Err(issue) => return Err(issue),
        }
    }
}

impl Registry<'_> {
    /// Performs a transaction of these entries, and of what is recorded of them.
    ///
    /// # Errors
    /// As the transaction; nothing is stored then.
    pub(crate) async fn transact(
        &self,
        mut entries: Vec<Value>,
        contents: Vec<(String, Carried)>,
    ) -> Result<Performed, Issue> {
        entries.extend(self.recording.map(Recording::entry));
        let performed = self.fhir.transact(entries, contents).await?;
        self.recording.inspect(|recording| recording.stored());
        Ok(performed)
    }
}

fn is_race(issue: &Issue) -> bool {
    matches!(issue.code, IssueType::Conflict | IssueType::Invalid | IssueType::MultipleMatches)
}
