//! One record is merged into another, and that is taken back.
//!
//! What is stored stays: a merge is a pair of links, which the operations
//! `Patient/$merge` and `Patient/$unmerge` of FHIR write.
//!
//! Spec: ITI TF-2 3.8.4.2, 3.44.4.2, PIXm 2:3.104.4.2

use fhir_model::interaction::{FhirApi, Interaction, OperationCall, Scope};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Value, json as value};

use super::domains::DomainError;
use super::persons::is_subsumed;
use super::records::{Feed, as_json, changed, put};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX};

/// Whether a merge is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merging {
    /// It is.
    Done,
    /// It is only tried whether it can be.
    Tried,
}

/// Makes the parameter that names a record.
pub(super) fn named(name: &str, id: &str) -> Value {
    value!({ "name": name, "valueReference": { "reference": format!("Patient/{id}") } })
}

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
        for identifier in [subsumed, survivor] {
            self.domains.by_system(&identifier.system).ok_or(DomainError::Unknown)?;
        }
        if subsumed == survivor {
            return Err(Refusal::Merge("a patient cannot be merged into himself".to_owned()));
        }
        let (source, target) = (self.record(subsumed).await?, self.record(survivor).await?);
        let (Some(source), Some(target)) = (source, target) else { return Err(Refusal::UnknownIdentifier) };
        let [source, target] = [&source, &target].map(|record| record.id().unwrap_or_default());
        self.merge_records(source, target, at, Merging::Done).await
    }

    /// As [`PatientIndex::merge`], of records by their ids.
    ///
    /// # Errors
    /// As [`PatientIndex::merge`].
    pub(crate) async fn merge_records(
        &self,
        source: &str,
        target: &str,
        at: Option<Timestamp>,
        merging: Merging,
    ) -> Result<(), Refusal> {
        let mut parameters = vec![named("source-patient", source), named("target-patient", target)];
        parameters.extend(at.map(|at| value!({ "name": "recorded", "valueDateTime": at.to_string() })));
        if merging == Merging::Tried {
            parameters.push(value!({ "name": "preview", "valueBoolean": true }));
        }
        self.operation("merge", &parameters).await
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
        self.unmerge_record(record.id().unwrap_or_default()).await
    }

    /// As [`PatientIndex::unmerge`], of a record by its id.
    ///
    /// # Errors
    /// When it was not merged.
    pub(crate) async fn unmerge_record(&self, id: &str) -> Result<(), Refusal> {
        self.operation("unmerge", &[named("source-patient", id)]).await
    }

    /// Stores what a source says of a record that was merged away, beside the link
    /// to who took its place: `link` is how the source names that one.
    ///
    /// # Errors
    /// When it cannot be stored; the merge stays.
    pub(crate) async fn tell_of_subsumed(&self, id: &str, feed: &Feed, link: &Value) -> Result<(), Refusal> {
        let Some(stored) = self.fhir.read(ty::PATIENT, id).await? else {
            return Err(Refusal::UnknownIdentifier);
        };
        let before = as_json(&stored.into())?;
        let mut after = changed(&before, feed);
        after["active"] = value!(false);
        let links = after.get_mut("link").and_then(Value::as_array_mut).into_iter().flatten();
        for stored in links.filter(|stored| stored["type"] == "replaced-by") {
            for named in ["identifier", "display"] {
                if !link["other"][named].is_null() {
                    stored["other"][named] = link["other"][named].clone();
                }
            }
        }
        self.fhir.transact(vec![put(&format!("Patient/{id}"), after, &before)], Vec::new()).await?;
        Ok(())
    }

    pub(super) async fn operation(&self, name: &str, parameters: &[Value]) -> Result<(), Refusal> {
        let parameters = value!({ "resourceType": "Parameters", "parameter": parameters });
        let body = json::read(parameters.to_string()).map_err(Issue::from)?;
        let call = OperationCall {
            name: name.to_owned(),
            scope: Scope::Type(ty::PATIENT),
            query: Vec::new(),
            body: Some(body),
            faults: Vec::new(),
            safe: false,
        };
        let api: &dyn FhirApi = self.fhir.api;
        match api.perform(self.fhir.caller, Interaction::Operation(call)).await {
            Ok(_) => Ok(()),
            Err(issue) if matches!(issue.code, IssueType::BusinessRule | IssueType::Conflict) => {
                Err(Refusal::Merge(issue.diagnostics))
            }
            Err(issue) => Err(issue.into()),
        }
    }
}
