//! A record as a source tells of it by FHIR: its identifiers by the names that
//! domains have here, and apart from it by whom it was replaced.
//!
//! Spec: PIXm 2:3.104.4, PMIR 2:3.93.4.1.2

use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::reference::Literal;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use serde_json::Value;

use super::domains::Domains;
use super::records::{Feed, Replaces};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex};
use crate::fhir_client::Found;

/// What a source tells of a record.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    /// The record, as a feed.
    pub(crate) feed: Feed,
    /// The link to the one who took its place.
    pub(crate) replaced_by: Option<Value>,
}

impl Told {
    /// Reads a Patient. `full_url`: how others refer to it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(domains: &Domains, patient: &Resource, full_url: String) -> Result<Told, Issue> {
        let mut patient = as_value(patient)?;
        name_domains(domains, &mut patient);
        let replaced_by = take_merges(&mut patient);
        let (replaces, at) = (Replaces::All, None);
        let (deleted, deleted_identifiers, beside, contents) = Default::default();
        let feed = Feed { patient, replaces, deleted, deleted_identifiers, at, full_url, beside, contents };
        Ok(Told { feed, replaced_by })
    }
}

/// Returns a resource as JSON.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn as_value(resource: &Resource) -> Result<Value, Issue> {
    serde_json::from_slice(&json::to_json(resource))
        .map_err(|_| Issue::fatal(IssueType::Exception).text("a resource cannot be read"))
}

/// Writes the identifiers of known domains with the system that stands for the domain here.
pub(crate) fn name_domains(domains: &Domains, resource: &mut Value) {
    let identifiers = resource.get_mut("identifier").and_then(Value::as_array_mut);
    for identifier in identifiers.into_iter().flatten() {
        let domain = identifier["system"].as_str().and_then(|system| domains.by_system(system));
        if let Some(domain) = domain {
            identifier["system"] = domain.system().into();
        }
    }
}

/// Takes out what a Patient says of merges, which are done by the one who is replaced:
/// returns by whom it is.
fn take_merges(patient: &mut Value) -> Option<Value> {
    let links = patient.get_mut("link")?.as_array_mut()?;
    let replaced_by = links.iter().find(|link| link["type"] == "replaced-by").cloned();
    links.retain(|link| link["type"] != "replaced-by" && link["type"] != "replaces");
    if links.is_empty()
        && let Some(elements) = patient.as_object_mut()
    {
        elements.remove("link");
    }
    replaced_by
}

/// What ids of Patients elsewhere mean here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Nothing: each server gives its own.
    OfEachServer,
    /// They are the same everywhere: those of a master domain.
    OfTheMaster,
}

impl PatientIndex<'_> {
    /// Returns the record that a reference means, by its place or its identifier; `None` when
    /// there is none.
    ///
    /// # Errors
    /// [`Refusal::Subsumed`], [`Refusal::Ambiguous`], or when FHIR cannot be asked.
    pub(crate) async fn referred(&self, reference: &Value, ids: Ids) -> Result<Option<Found>, Refusal> {
        if let Some(text) = reference["reference"].as_str() {
            let by_place = self.placed(text, ids).await?;
            if by_place.is_some() {
                return Ok(by_place);
            }
        }
        let Some(value) = reference["identifier"]["value"].as_str() else { return Ok(None) };
        match reference["identifier"]["system"].as_str() {
            Some(system) => match self.domains.by_system(system) {
                Some(domain) => self.record(&Identifier::new(domain.system(), value)).await,
                None => Ok(None),
            },
            None => self.placed(value, ids).await,
        }
    }

    /// Returns the record at a place: on this server, or on one whose ids are identifiers here.
    async fn placed(&self, text: &str, ids: Ids) -> Result<Option<Found>, Refusal> {
        let uuid = text.strip_prefix("urn:uuid:").filter(|_| ids == Ids::OfTheMaster);
        let id = match (Literal::parse(text), uuid) {
            (Some(literal), _) if literal.key.resource_type != ty::PATIENT => return Ok(None),
            (Some(literal), _) => {
                let elsewhere = literal.base.filter(|base| *base != self.fhir.caller.base);
                if let Some(domain) = elsewhere.and_then(|base| self.domains.by_system(base)) {
                    let key = Identifier::new(domain.system(), format!("Patient/{}", literal.key.id));
                    if let Some(found) = self.record(&key).await? {
                        return Ok(Some(found));
                    }
                }
                if elsewhere.is_some() && ids == Ids::OfEachServer {
                    return Ok(None);
                }
                literal.key.id.as_str().to_owned()
            }
            (None, Some(uuid)) => uuid.to_owned(),
            (None, None) => return Ok(None),
        };
        Ok(self.fhir.read(ty::PATIENT, &id).await?.map(Found::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_merges_stands_apart() {
        let patient = serde_json::json!({
            "resourceType": "Patient",
            "identifier": [
                { "system": "http://hl7.it/sid/codiceFiscale", "value": "X" },
                { "system": "urn:oid:1.2.3", "value": "Y" },
            ],
            "link": [
                { "type": "replaces", "other": { "reference": "Patient/1" } },
                { "type": "replaced-by", "other": { "reference": "Patient/2" } },
                { "type": "seealso", "other": { "reference": "RelatedPerson/3" } },
            ],
        });
        let resource = json::read(patient.to_string()).expect("a Patient");
        let told = Told::of(&Domains::default(), &resource, String::new()).expect("told");
        assert_eq!(told.replaced_by, Some(patient["link"][1].clone()));
        assert_eq!(told.feed.patient["link"], serde_json::json!([patient["link"][2]]));
        let systems: Vec<&str> = told.feed.patient["identifier"]
            .as_array()
            .map(|all| all.iter().filter_map(|identifier| identifier["system"].as_str()).collect())
            .unwrap_or_default();
        assert_eq!(systems, ["urn:oid:2.16.840.1.113883.2.9.4.3.2", "urn:oid:1.2.3"]);
    }
}
