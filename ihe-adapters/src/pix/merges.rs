//! One record is merged into another, and that is taken back.
//!
//! What is stored stays: a merge is a pair of links, which the operations
//! `Patient/$merge` and `Patient/$unmerge` of FHIR write.
//!
//! Spec: ITI TF-2 3.8.4.2, 3.44.4.2, PIXm 2:3.104.4.2

use fhir_model::schema::ty;
use jiff::Timestamp;

use super::held::Held;
use super::persons::is_subsumed;
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX};

impl PatientIndex<'_> {
    /// Merges the record of one identifier into that of another. What is
    /// stored of the first stays, and is found with the second.
    ///
    /// # Errors
    /// Why nothing was merged; nothing has changed then.
    pub async fn merge(
        &self,
        subsumed: &Identifier,
        survivor: &Identifier,
        at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let mut held = Held::new(*self);
        held.merge_of(subsumed, survivor, at).await?;
        self.stored(held).await
    }

    /// Takes a merge back: the record of an identifier that was merged away
    /// counts again.
    ///
    /// # Errors
    /// When there is no such record, or it was not merged.
    pub async fn unmerge(&self, subsumed: &Identifier) -> Result<(), Refusal> {
        let token = subsumed.token();
        let mut found = self.fhir.search(ty::PATIENT, &[("identifier", &token)], RECORDS_MAX).await?;
        found.retain(|record| is_subsumed(record.root()));
        let record = found.pop().ok_or(Refusal::UnknownIdentifier)?;
        let mut held = Held::new(*self);
        let record = held.hold(&record)?;
        held.unmerge(record);
        self.stored(held).await
    }

    async fn stored(&self, held: Held<'_>) -> Result<(), Refusal> {
        let stored = held.store(Vec::new(), Vec::new(), self.fhir.caller).await;
        stored.map(drop).map_err(|(_, refusal)| refusal)
    }
}
