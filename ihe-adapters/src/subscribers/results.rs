//! ORU: reports with what was observed.
//!
//! A report is told when it is there, and again when it or one of its results changes:
//! by what of them changed last, so that what is stored together is told once, and what
//! is not stored yet is not waited for in vain. What nobody reports on is not told.
//!
//! Spec: LAB TF-2 3.3, HL7 v2.5.1 section 7.3

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use serde_json::{Value as Json, json};

use super::at_hand::AtHand;
use super::{Seen, Subscriber, Telling, not_written, said};
use crate::hl7v2::from_fhir::{Known, oru};
use crate::pix::told::as_value;
use crate::wire::hl7v2::message::Message as Hl7v2;

/// How many reports of one result are told.
const REPORTS_MAX: (&str, &str) = ("_count", "100");
/// How many results of a report are told.
const RESULTS_MAX: usize = 1_000;

/// A report as it is told.
struct Report {
    report: Json,
    results: Vec<Json>,
    patient: Json,
    visit: Option<Json>,
    at_hand: AtHand,
}

impl Report {
    /// Returns when what of it changed last was stored.
    fn newest(&self) -> Option<&str> {
        let all = self.results.iter().chain([&self.report]);
        all.filter_map(|resource| resource["meta"]["lastUpdated"].as_str()).max()
    }

    /// Tells whether there is nothing of it yet.
    fn is_awaited(&self) -> bool {
        let is_empty = self.results.is_empty() && self.report["presentedForm"].is_null();
        is_empty && self.report["status"] == "registered"
    }
}

impl Subscriber {
    /// Returns what a change of a DiagnosticReport or of an Observation means.
    pub(super) async fn results(&self, seen: &Seen<'_>) -> Result<Vec<Telling>, Issue> {
        let mut told = Vec::new();
        for report in self.reports(seen).await? {
            let Some(report) = self.report(report).await? else { continue };
            let stored = seen.after.as_ref().and_then(|after| after["meta"]["lastUpdated"].as_str());
            let is_last = stored.is_none() || report.newest() == stored;
            if !is_last || report.is_awaited() {
                continue;
            }
            let number = told.len();
            let message = self.result(&report, None, seen, number)?;
            // Whatever else changed of it is nothing that is told.
            let is_told = match (&seen.before, &seen.after) {
                (Some(before), Some(_)) => {
                    said(&self.result(&report, Some(before), seen, number)?) == said(&message)
                }
                _ => false,
            };
            if !is_told {
                told.push(Telling { transaction: "LAB-3", message });
            }
        }
        Ok(told)
    }

    /// Returns the reports that a change concerns, as they are now.
    async fn reports(&self, seen: &Seen<'_>) -> Result<Vec<Json>, Issue> {
        let (id, of) = (seen.change.key.id.as_str(), seen.change.key.resource_type);
        if of == ty::OBSERVATION {
            return if seen.after.is_some() { self.reports_on(id).await } else { Ok(Vec::new()) };
        }
        if seen.after.is_some() {
            return Ok(self.read(of, &format!("DiagnosticReport/{id}")).await?.into_iter().collect());
        }
        // What was deleted is taken back, where that was not done before.
        let is_told =
            |report: &Json| ["cancelled", "entered-in-error"].iter().any(|of| report["status"] == *of);
        let taken_back = seen.before.clone().filter(|report| !is_told(report)).map(|mut report| {
            report["status"] = json!("cancelled");
            report
        });
        Ok(taken_back.into_iter().collect())
    }

    /// Returns the reports with a result: it, or one that it is a member of.
    async fn reports_on(&self, observation: &str) -> Result<Vec<Json>, Issue> {
        let fhir = self.fhir();
        let own = format!("Observation/{observation}");
        let mut results = vec![own.clone()];
        for group in fhir.first_page(ty::OBSERVATION, &[("has-member", &own), REPORTS_MAX]).await? {
            results.extend(group.id().map(|id| format!("Observation/{id}")));
        }
        let results = results.join(",");
        let found = fhir.first_page(ty::DIAGNOSTIC_REPORT, &[("result", &results), REPORTS_MAX]).await?;
        found.iter().map(|found| as_value(&found.to_resource())).collect()
    }

    /// Gathers what is told of a report; `None` when the subscriber does not want to know.
    async fn report(&self, report: Json) -> Result<Option<Report>, Issue> {
        let subject = report["subject"]["reference"].as_str();
        let Some(patient) = self.interesting_patient(subject).await? else { return Ok(None) };
        let visit = match report["encounter"]["reference"].as_str() {
            Some(reference) => self.read(ty::ENCOUNTER, reference).await?,
            None => None,
        };
        let mut results: Vec<Json> = Vec::new();
        let mut pending = references(&report["result"]);
        while let Some(reference) = pending.pop() {
            let is_there = results.iter().any(|result| {
                result["id"].as_str().is_some_and(|id| reference == format!("Observation/{id}"))
            });
            if is_there || results.len() >= RESULTS_MAX {
                continue;
            }
            if let Some(result) = self.read(ty::OBSERVATION, &reference).await? {
                pending.extend(references(&result["hasMember"]));
                results.push(result);
            }
        }
        let resources: Vec<&Json> = results.iter().chain([&report, &patient]).chain(&visit).collect();
        let at_hand = AtHand::of(&self.fhir(), &resources).await?;
        Ok(Some(Report { report, results, patient, visit, at_hand }))
    }

    /// Writes a report; `before`: with this in the place of what changed.
    fn result(
        &self,
        report: &Report,
        before: Option<&Json>,
        seen: &Seen<'_>,
        number: usize,
    ) -> Result<Hl7v2, Issue> {
        let is_same = |a: &Json, b: &Json| a["resourceType"] == b["resourceType"] && a["id"] == b["id"];
        let place =
            |resource: &Json| before.filter(|before| is_same(before, resource)).unwrap_or(resource).clone();
        let results: Vec<Json> = report.results.iter().map(place).collect();
        let resolve = |reference: &str| report.at_hand.resource(reference);
        let known = Known { domains: &self.domains, resolve: &resolve };
        let envelope = self.envelope(seen, number);
        let written =
            oru(&place(&report.report), &report.patient, report.visit.as_ref(), &results, &envelope, &known);
        written.map_err(not_written)
    }
}

/// Returns the references of an element, the last first.
fn references(element: &Json) -> Vec<String> {
    let all = element.as_array().into_iter().flatten().rev();
    all.filter_map(|reference| reference["reference"].as_str().map(str::to_owned)).collect()
}
