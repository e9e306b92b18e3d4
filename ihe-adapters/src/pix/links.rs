//! A source says that two records are of one person, or that they are not.
//!
//! That is a decision: what records say of themselves does not change it. The
//! operation `Patient/$link` of this server makes it.
//!
//! Spec: HL7 v2.5.1 sections 3.3.24 and 3.3.37, ITI TF-2 3.30.4.4

use serde_json::json;

use super::domains::DomainError;
use super::merges::named;
use super::refusal::Refusal;
use super::{Identifier, PatientIndex};

/// Why a decision was made, for who reads it later.
const REASONS: [&str; 2] = ["a source unlinked the two (A37)", "a source linked the two (A24)"];

impl PatientIndex<'_> {
    /// Decides whether the records of two identifiers are of one person.
    ///
    /// # Errors
    /// Why nothing was decided; nothing has changed then.
    pub async fn link(&self, one: &Identifier, other: &Identifier, is_same: bool) -> Result<(), Refusal> {
        for identifier in [one, other] {
            self.domains.by_system(&identifier.system).ok_or(DomainError::Unknown)?;
        }
        if one == other {
            return Err(Refusal::Merge("a patient cannot be linked with himself".to_owned()));
        }
        let (one, other) = (self.record(one).await?, self.record(other).await?);
        let (Some(one), Some(other)) = (one, other) else { return Err(Refusal::UnknownIdentifier) };
        let parameters = [
            named("patient", one.id().unwrap_or_default()),
            named("other", other.id().unwrap_or_default()),
            json!({ "name": "same", "valueBoolean": is_same }),
            json!({ "name": "reason", "valueString": REASONS[usize::from(is_same)] }),
        ];
        self.operation("link", &parameters).await
    }
}
