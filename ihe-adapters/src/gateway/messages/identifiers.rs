//! Messages that change by which identifiers somebody is known: merges (A40), links (A24) that
//! are taken back (A37), identifiers that move (A43) or are replaced (A47).
//!
//! Spec: HL7 v2.5.1 sections 3.3.24, 3.3.37, 3.3.40, 3.3.43, 3.3.47, ITI TF-2 3.30

use fhir_model::interaction::Caller;
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Gateway;
use crate::fhir_client::token;
use crate::hl7v2::mapped::Change;
use crate::pix::Identifier;
use crate::pix::PatientIndex;
use crate::pix::persons::is_subsumed;
use crate::pix::refusal::Refusal;

/// How many records with one identifier are looked at.
const RECORDS_MAX: usize = 100;

impl Gateway {
    /// Changes identifiers. `caller` has the key of this change.
    pub(super) async fn change_identifiers(
        &self,
        caller: &Caller,
        change: &Change,
        at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let index = self.index(caller);
        if self.api.repeated(caller).await?.is_some() {
            return Ok(());
        }
        match change {
            Change::Merge { subsumed, survivor } => {
                index.merge(&identifier(subsumed)?, &identifier(survivor)?, at).await
            }
            Change::Link { one, other, is_same } => {
                index.link(&identifier(one)?, &identifier(other)?, *is_same).await
            }
            Change::Rename { from, to } => {
                let record = record(&index, &identifier(from)?).await?;
                write(&index, vec![with(without(record, from), to)]).await
            }
            Change::Move { from, to } => {
                let source = record(&index, &identifier(from)?).await?;
                let target = record(&index, &identifier(to)?).await?;
                if source["id"] == target["id"] {
                    return Ok(());
                }
                write(&index, vec![without(source, from), with(target, from)]).await
            }
        }
    }
}

fn identifier(of: &Value) -> Result<Identifier, Refusal> {
    match (of["system"].as_str(), of["value"].as_str()) {
        (Some(system), Some(value)) => Ok(Identifier::new(system, value)),
        _ => Err(Refusal::NoIdentifier),
    }
}

/// Returns the record that has an identifier in use.
async fn record(index: &PatientIndex<'_>, of: &Identifier) -> Result<Value, Refusal> {
    let token = token(&of.system, &of.value);
    let mut found = index.fhir.search(ty::PATIENT, &[("identifier", &token)], RECORDS_MAX).await?;
    found.retain(|record| {
        crate::pix::identifiers(record.root()).any(|other| other == *of) && !is_subsumed(record.root())
    });
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(Refusal::UnknownIdentifier),
        (Some(_), false) => Err(Refusal::Ambiguous),
        (Some(record), true) => crate::pix::records::as_json(&record),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    one["system"] == other["system"] && one["value"] == other["value"]
}

/// Says of a record that an identifier is not in use any more.
fn without(mut record: Value, gone: &Value) -> Value {
    for identifier in record["identifier"].as_array_mut().into_iter().flatten() {
        if is_same(identifier, gone) {
            identifier["use"] = json!("old");
        }
    }
    record
}

/// Adds an identifier to a record.
fn with(mut record: Value, added: &Value) -> Value {
    if let Some(all) = record["identifier"].as_array_mut() {
        all.retain(|identifier| !is_same(identifier, added));
        all.push(added.clone());
    }
    record
}

/// Writes records as new versions of those that were read.
async fn write(index: &PatientIndex<'_>, records: Vec<Value>) -> Result<(), Refusal> {
    let entry = |record: Value| {
        let id = record["id"].as_str().unwrap_or_default().to_owned();
        let version = record["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
        json!({
            "resource": record,
            "request": {
                "method": "PUT",
                "url": format!("Patient/{id}"),
                "ifMatch": format!("W/\"{version}\""),
            },
        })
    };
    index.fhir.transact(records.into_iter().map(entry).collect(), Vec::new()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_come_and_go() {
        let (one, other) = (json!({ "system": "s", "value": "1" }), json!({ "system": "s", "value": "2" }));
        let record = json!({ "identifier": [one] });
        let renamed = with(without(record, &one), &other);
        let old = json!({ "system": "s", "value": "1", "use": "old" });
        assert_eq!(renamed, json!({ "identifier": [old, other] }));
        assert_eq!(with(renamed, &one)["identifier"], json!([other, one]));
    }
}
