//! ADT: patients who are new, change or are merged, and visits.
//!
//! That a patient was deleted is not told: no receiver has to know an event for it.
//!
//! Spec: ITI TF-2 3.30, 3.31

use fhir_model::outcome::Issue;
use fhir_model::schema::ty;
use serde_json::Value as Json;

use super::at_hand::AtHand;
use super::{Seen, Subscriber, Telling, not_written, said};
use crate::hl7v2::from_fhir::{Known, adt, has_identifier, trigger};
use crate::wire::hl7v2::message::Message as Hl7v2;

impl Subscriber {
    /// Returns what a change of a Patient means.
    pub(super) async fn admission_of_patient(&self, seen: &Seen<'_>) -> Result<Vec<Telling>, Issue> {
        let (before, Some(after)) = (seen.before.as_ref(), seen.after.as_ref()) else {
            return Ok(Vec::new());
        };
        if let Some(into) = replaced_by(after) {
            // Who was never known needs not be forgotten.
            let was_known = before.is_some_and(|before| replaced_by(before).is_none());
            let survivor = if was_known { self.patient(into).await? } else { None };
            return match survivor {
                Some(survivor) => self.merge(seen, &survivor, after).await,
                None => Ok(Vec::new()),
            };
        }
        if !self.is_interested(after) {
            return Ok(Vec::new());
        }
        let known_before =
            before.filter(|before| replaced_by(before).is_none() && self.is_interested(before));
        let resources: Vec<&Json> = before.into_iter().chain([after]).collect();
        let at_hand = AtHand::of(&self.fhir(), &resources).await?;
        let event = if known_before.is_some() { "A31" } else { "A28" };
        let written =
            |patient: &Json| self.written(event, patient, None, None, (seen, &at_hand)).map_err(not_written);
        let message = written(after)?;
        if let Some(before) = known_before
            && said(&written(before)?) == said(&message)
        {
            return Ok(Vec::new());
        }
        Ok(vec![Telling { transaction: "ITI-30", message }])
    }

    async fn merge(&self, seen: &Seen<'_>, survivor: &Json, prior: &Json) -> Result<Vec<Telling>, Issue> {
        let all: &[String] = &[];
        let are_known = [survivor, prior].iter().all(|of| has_identifier(of, all, &self.domains));
        if !are_known || !(self.is_interested(survivor) || self.is_interested(prior)) {
            return Ok(Vec::new());
        }
        let at_hand = AtHand::of(&self.fhir(), &[survivor]).await?;
        let message = self.written("A40", survivor, None, Some(prior), (seen, &at_hand));
        Ok(vec![Telling { transaction: "ITI-30", message: message.map_err(not_written)? }])
    }

    /// Returns what a change of an Encounter means.
    pub(super) async fn admission_of_visit(&self, seen: &Seen<'_>) -> Result<Vec<Telling>, Issue> {
        let (before, after) = (seen.before.as_ref(), seen.after.as_ref());
        let (Some(event), Some(visit)) = (trigger(before, after), after.or(before)) else {
            return Ok(Vec::new());
        };
        // What has neither a number nor a begin nobody could find again.
        let is_known = visit["identifier"][0]["value"].is_string() || visit["period"]["start"].is_string();
        let subject = visit["subject"]["reference"].as_str().filter(|_| is_known);
        let Some(patient) = self.interesting_patient(subject).await? else { return Ok(Vec::new()) };
        let resources: Vec<&Json> = before.into_iter().chain(after).chain([&patient]).collect();
        let at_hand = AtHand::of(&self.fhir(), &resources).await?;
        let written = |visit: &Json| {
            self.written(event, &patient, Some(visit), None, (seen, &at_hand)).map_err(not_written)
        };
        let message = written(visit)?;
        if let (Some(before), "A08") = (before, event)
            && said(&written(before)?) == said(&message)
        {
            return Ok(Vec::new());
        }
        Ok(vec![Telling { transaction: "ITI-31", message }])
    }

    fn written(
        &self,
        event: &str,
        patient: &Json,
        visit: Option<&Json>,
        prior: Option<&Json>,
        (seen, at_hand): (&Seen<'_>, &AtHand),
    ) -> Result<Hl7v2, crate::wire::hl7v2::message::MessageError> {
        let resolve = |reference: &str| at_hand.resource(reference);
        let known = Known { domains: &self.domains, resolve: &resolve };
        adt(event, patient, visit, prior, &self.envelope(seen, 0), &known)
    }

    /// Returns the patient of a reference who is known by an identifier that the subscriber is
    /// interested in.
    pub(super) async fn interesting_patient(&self, reference: Option<&str>) -> Result<Option<Json>, Issue> {
        let Some(reference) = reference else { return Ok(None) };
        Ok(self.patient(reference).await?.filter(|patient| self.is_interested(patient)))
    }

    /// Returns the patient of a reference, or who took his place.
    async fn patient(&self, reference: &str) -> Result<Option<Json>, Issue> {
        /// How often one may have been merged.
        const MERGES_MAX: usize = 16;
        let mut reference = reference.to_owned();
        for _ in 0..MERGES_MAX {
            let Some(patient) = self.read(ty::PATIENT, &reference).await? else { return Ok(None) };
            match replaced_by(&patient) {
                Some(into) => into.clone_into(&mut reference),
                None => return Ok(Some(patient)),
            }
        }
        Ok(None)
    }

    fn is_interested(&self, patient: &Json) -> bool {
        has_identifier(patient, &self.subscription.interesting, &self.domains)
    }
}

/// Returns the reference to who took the place of a patient.
fn replaced_by(patient: &Json) -> Option<&str> {
    let links = patient["link"].as_array()?;
    let link = links.iter().find(|link| link["type"] == "replaced-by")?;
    link["other"]["reference"].as_str()
}
