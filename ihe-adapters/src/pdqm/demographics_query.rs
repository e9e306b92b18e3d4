//! ITI-78: what PDQm says of identifier domains, in a search of FHIR.
//!
//! - A domain is one by each of its names: who asks by its OID finds what was
//!   stored by its URI.
//! - `identifier=[domain]|`, without a value, says which domains the caller
//!   knows: Patients are shown with the identifiers of these alone, and tagged as
//!   `SUBSETTED`, so that nobody takes them for all that is there.
//! - A domain that is not known here is told of in the answer, which has what the
//!   others lead to.
//!
//! Spec: PDQm 2:3.78.4.1.2.3, 2:3.78.4.1.3

use fhir_model::interaction::{Body, Performed, SearchRequest};
use fhir_model::outcome::{Issue, IssueType, operation_outcome_json};
use serde_json::{Value, json};

use crate::fhir_client::{alternatives, parse_token, token};
use crate::pix::PatientIndex;
use crate::pix::domains::Domains;
use crate::pix::refusal::Refusal;

const PARAMETER: &str = "identifier";

/// Of which domains identifiers are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wanted {
    /// The domains, each by all its names; none when nothing is said of domains.
    domains: Vec<Vec<String>>,
}

/// Writes identifiers that are asked for by all names of their domains; returns
/// of which domains identifiers are asked for.
pub(crate) fn prepare(domains: &Domains, request: &mut SearchRequest) -> Wanted {
    let mut wanted = Wanted::default();
    for (_, value) in request.parameters.iter_mut().filter(|(name, _)| name == PARAMETER) {
        let asked = alternatives(value);
        let tokens: Vec<Option<(String, String)>> = asked.iter().map(|text| parse_token(text)).collect();
        let are_domains = tokens.iter().all(|token| {
            token.as_ref().is_some_and(|(system, value)| !system.is_empty() && value.is_empty())
        });
        let mut by_all_names: Vec<String> = Vec::new();
        for (text, of_text) in asked.iter().zip(&tokens) {
            let systems = of_text.as_ref().filter(|(system, _)| !system.is_empty()).map(|(system, _)| {
                let known = domains.by_system(system).map(|domain| domain.systems());
                // That by which it was asked for stays the first.
                let others = known.into_iter().flatten().filter(|other| other != system);
                std::iter::once(system.clone()).chain(others).collect::<Vec<String>>()
            });
            let mut names: Vec<String> = match (&systems, of_text) {
                (Some(systems), Some((_, value))) => systems.iter().map(|of| token(of, value)).collect(),
                _ => vec![(*text).to_owned()],
            };
            if let Some(first) = names.first_mut() {
                (*text).clone_into(first);
            }
            names.retain(|name| !by_all_names.contains(name));
            by_all_names.extend(names);
            wanted.domains.extend(systems.filter(|_| are_domains));
        }
        *value = by_all_names.join(",");
    }
    wanted
}

impl Wanted {
    /// Tells whether an answer is to be looked at.
    pub(crate) fn is_said(&self) -> bool {
        !self.domains.is_empty()
    }

    /// Leaves in an answer the identifiers that are wanted, and tells of domains
    /// that are not known.
    ///
    /// # Errors
    /// When it cannot be told which are.
    pub(crate) async fn restrict(
        &self,
        index: &PatientIndex<'_>,
        performed: Performed,
    ) -> Result<Performed, Issue> {
        let mut is_unknown = false;
        for names in &self.domains {
            let system = names.first().map(String::as_str).unwrap_or_default();
            is_unknown |= !index.knows(system).await.map_err(|refusal: Refusal| Issue::from(refusal))?;
        }
        let Body::Json(bytes) = &performed.body else { return Ok(performed) };
        let Ok(mut bundle) = serde_json::from_slice::<Value>(bytes) else { return Ok(performed) };
        let entries = bundle.get_mut("entry").and_then(Value::as_array_mut);
        for patient in entries.into_iter().flatten().filter_map(|entry| entry.get_mut("resource")) {
            if patient["resourceType"] == "Patient" {
                self.restrict_patient(patient);
            }
        }
        if is_unknown && let Some(bundle) = bundle.as_object_mut() {
            let issue = Issue::warning(IssueType::NotFound).at(PARAMETER).text("targetSystem not found");
            let outcome: Value =
                serde_json::from_slice(&operation_outcome_json([&issue])).unwrap_or_default();
            let entry = json!({ "resource": outcome, "search": { "mode": "outcome" } });
            let entries = bundle.entry("entry").or_insert_with(|| json!([]));
            entries.as_array_mut().into_iter().for_each(|entries| entries.push(entry.clone()));
        }
        Ok(Performed { body: Body::Json(bundle.to_string().into()), ..performed })
    }

    fn restrict_patient(&self, patient: &mut Value) {
        let Some(identifiers) = patient.get_mut("identifier").and_then(Value::as_array_mut) else { return };
        let before = identifiers.len();
        identifiers.retain(|identifier| {
            let system = identifier["system"].as_str().unwrap_or_default();
            self.domains.iter().flatten().any(|wanted| wanted == system)
        });
        if identifiers.len() == before {
            return;
        }
        let is_empty = identifiers.is_empty();
        let Some(patient) = patient.as_object_mut() else { return };
        if is_empty {
            patient.remove("identifier");
        }
        let meta = patient.entry("meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut()
            && let Some(tags) = meta.entry("tag").or_insert_with(|| json!([])).as_array_mut()
        {
            let subsetted = json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                                    "code": "SUBSETTED" });
            tags.push(subsetted);
        }
    }
}

#[cfg(test)]
mod tests {
    use fhir_model::interaction::{Handling, Scope};
    use fhir_model::schema::ty;

    use super::*;

    fn prepared(value: &str) -> (String, Wanted) {
        let parameters = vec![(PARAMETER.to_owned(), value.to_owned())];
        let mut request =
            SearchRequest { scope: Scope::Type(ty::PATIENT), parameters, handling: Handling::Lenient };
        let wanted = prepare(&Domains::default(), &mut request);
        (request.parameters.remove(0).1, wanted)
    }

    #[test]
    fn identifiers_are_looked_for_by_all_names_of_their_domains() {
        let cf = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
        for (asked, expected, domains) in [
            ("x", "x".to_owned(), 0),
            ("|x", "|x".to_owned(), 0),
            ("urn:oid:1.2|x\\,y", "urn:oid:1.2|x\\,y".to_owned(), 0),
            ("http://hl7.it/sid/codiceFiscale|X", format!("http://hl7.it/sid/codiceFiscale|X,{cf}|X"), 0),
            (&format!("{cf}|"), format!("{cf}|,http://hl7.it/sid/codiceFiscale|"), 1),
            ("urn:oid:1.2|,urn:oid:1.3|", "urn:oid:1.2|,urn:oid:1.3|".to_owned(), 2),
            ("urn:oid:1.2|,urn:oid:1.3|x", "urn:oid:1.2|,urn:oid:1.3|x".to_owned(), 0),
        ] {
            let (value, wanted) = prepared(asked);
            assert_eq!((value.as_str(), wanted.domains.len()), (expected.as_str(), domains), "{asked}");
            // The next page is asked for in the same way.
            assert_eq!(prepared(&value).0, value);
        }
    }

    #[test]
    fn only_identifiers_of_wanted_domains_are_shown() {
        let (_, wanted) = prepared("urn:oid:1.2|");
        let mut patient =
            json!({ "identifier": [{ "system": "urn:oid:1.2", "value": "a" }, { "value": "b" }] });
        wanted.restrict_patient(&mut patient);
        assert_eq!(patient["identifier"], json!([{ "system": "urn:oid:1.2", "value": "a" }]));
        assert_eq!(patient["meta"]["tag"][0]["code"], "SUBSETTED");
        let whole = json!({ "identifier": [{ "system": "urn:oid:1.2", "value": "a" }] });
        let mut patient = whole.clone();
        wanted.restrict_patient(&mut patient);
        assert_eq!(patient, whole);
    }
}
