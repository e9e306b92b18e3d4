//! ITI-93: patients are created, changed, deleted and merged as a message says,
//! all of it or nothing.
//!
//! A merge is an operation that the same transaction calls when the rest is stored, so
//! that a message may merge somebody into one whom it brings itself. What a message says
//! holds at once, in whichever order it stands there. That a merge is taken back is
//! refused, unless the site allows it.
//!
//! Spec: PMIR 2:3.93.4.1.3

use fhir_model::interaction::Performed;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::entries::{Merge, Plan, Replaced};
use super::message::{Change, Message, Method};
use super::response::response;
use crate::atna::entry;
use crate::fhir_client::Found;
use crate::pix::held::Held;
use crate::pix::persons::is_subsumed;
use crate::pix::records::conditional;
use crate::pix::refusal::Refusal;
use crate::pix::told::{Ids, Told, as_value, name_domains};
use crate::pix::{Identifier, PatientIndex, identifiers};

/// Makes the event that tells of these patients.
pub(crate) type Recorded<'r> = dyn Fn(&[String]) -> Option<Value> + Sync + 'r;

/// What a message is performed with.
pub(crate) struct Registry<'r> {
    pub(crate) index: PatientIndex<'r>,
    /// Whether merges may be taken back by a message.
    pub(crate) may_unmerge: bool,
    /// Makes the event that is stored with the changes.
    pub(crate) recorded: &'r Recorded<'r>,
}

/// What was done.
pub(crate) struct Done {
    pub(crate) performed: Performed,
    pub(crate) patients: Vec<String>,
    /// Whether it was recorded with what was done.
    pub(crate) is_recorded: bool,
}

impl Registry<'_> {
    /// Takes in a message.
    ///
    /// # Errors
    /// What is wrong with which change; nothing of the message has become so then.
    pub(crate) async fn take(&self, message: &Message) -> Result<Done, Issue> {
        let mut plan = Plan::new(Held::new(self.index));
        for change in &message.changes {
            self.plan(change, &mut plan).await.map_err(|issue| located(issue, &change.place))?;
        }
        for replaced in std::mem::take(&mut plan.replaced) {
            let place = replaced.place.clone();
            self.plan_merge(replaced, &mut plan).await.map_err(|issue| located(issue, &place))?;
        }
        let calls = plan.call();
        plan.refer();
        let Plan { held, entries: mut beside, mut patients, .. } = plan;
        let event = (self.recorded)(&patients);
        let is_recorded = event.is_some();
        beside.extend(event.as_ref().map(entry));
        let stored = held.store(beside, Vec::new(), self.index.fhir.caller).await;
        stored.map_err(|(call, refusal)| match call.and_then(|call| calls.get(call)) {
            Some(place) => told(refusal).at(place.as_str()),
            None => told(refusal),
        })?;
        let performed = response(message, &self.index.fhir.caller.base);
        // Those that were new have got their places elsewhere.
        patients.retain(|place| !place.starts_with("urn:"));
        Ok(Done { performed, patients, is_recorded })
    }

    async fn plan(&self, change: &Change, plan: &mut Plan<'_>) -> Result<(), Issue> {
        match (change.of_type(), change.method, &change.resource) {
            ("Patient", Method::Put, Some(patient)) => self.plan_patient(change, patient, plan).await,
            ("Patient", Method::Delete, _) => self.plan_delete(change, plan).await,
            ("RelatedPerson", Method::Put, Some(person)) => self.plan_related(change, person, plan).await,
            ("RelatedPerson", Method::Delete, _) => {
                plan.entries.push(json!({ "request": { "method": "DELETE", "url": change.url } }));
                Ok(())
            }
            (other, ..) => {
                let other: String = other.chars().take(64).collect();
                let text =
                    format!("the message is about Patients, and RelatedPersons with them, not `{other}`");
                Err(Issue::error(IssueType::NotSupported).because(Reason::Unprocessable).text(text))
            }
        }
    }

    async fn plan_patient(&self, change: &Change, sent: &Resource, plan: &mut Plan<'_>) -> Result<(), Issue> {
        if sent.resource_type() != ty::PATIENT {
            return Err(Issue::error(IssueType::Invalid)
                .because(Reason::Unprocessable)
                .text("this is no Patient"));
        }
        let full_url = format!("urn:uuid:{}", uuid::Uuid::new_v4());
        let mut said = Told::of(self.index.domains, sent, full_url)?;
        said.feed.at = change.at;
        let place = change.id().map(|id| format!("Patient/{id}"));
        let before = place.as_deref().and_then(|place| plan.named(place));
        // Of one who is created some tell the URL that he was sent to.
        let full_url = change.full_url.clone().filter(|url| !url.ends_with("/Patient"));
        let names = full_url.into_iter().chain(place);
        let stored = if before.is_none() { self.stored(change, &said.feed.patient).await? } else { None };
        let is_new = before.is_none() && stored.is_none();
        let at = match (before, &stored) {
            // The message told of him before.
            (Some(at), _) => at,
            (None, Some(stored)) => plan.held.hold(stored).map_err(told)?,
            (None, None) if said.replaced_by.is_some() => return Err(told(Refusal::UnknownIdentifier)),
            (None, None) => {
                let id = change.id().map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
                said.feed.patient["id"] = json!(id);
                let key = self.index.key_of(&said.feed.patient).ok();
                let place = key.as_ref().map_or_else(|| format!("Patient/{id}"), conditional);
                plan.held.create(place, &said.feed)
            }
        };
        plan.name_record(names, at);
        plan.tell_of(at);
        if let Some(link) = said.replaced_by.take() {
            plan.replaced.push(Replaced { source: at, told: said, link, place: change.place.clone() });
            return Ok(());
        }
        if stored.is_some_and(|stored| is_subsumed(stored.root())) {
            if !self.may_unmerge {
                let text =
                    "the patient was merged into another; that this is taken back is not taken from messages";
                let issue = Issue::error(IssueType::NotSupported).because(Reason::MethodNotAllowed);
                return Err(issue.text(text));
            }
            plan.unmerges.push((at, change.place.clone()));
        }
        if !is_new {
            plan.held.change_as(at, &said.feed);
        }
        Ok(())
    }

    /// Returns the record that a change is of, by the identifier of its source, or by its id.
    async fn stored(&self, change: &Change, said: &Value) -> Result<Option<Found>, Issue> {
        let key = self.index.key_of(said).ok();
        let by_key = match &key {
            Some(key) => match self.index.record(key).await {
                Ok(found) => found,
                // By its id it is found, and what was merged with it.
                Err(Refusal::Subsumed) => self.subsumed(key).await?,
                Err(refusal) => return Err(told(refusal)),
            },
            None => None,
        };
        let by_id = match change.id() {
            Some(id) => self.index.fhir.read(ty::PATIENT, id).await?.map(Found::from),
            None => None,
        };
        match (by_key, by_id) {
            (Some(by_key), Some(by_id)) if by_key.id() != by_id.id() => Err(of_another()),
            (Some(found), _) => Ok(Some(found)),
            (None, Some(found)) => {
                let said = said["identifier"].as_array().map(Vec::as_slice).unwrap_or_default();
                let known = identifiers(found.root());
                let mut known =
                    known.filter(|of| self.index.domains.by_system(&of.system).is_some()).peekable();
                let is_same = known.peek().is_none()
                    || known.any(|of| {
                        said.iter().any(|said| said["system"] == of.system && said["value"] == of.value)
                    });
                drop(known);
                // An id that means one here and another there is dangerous.
                if key.is_some() && !is_same { Err(of_another()) } else { Ok(Some(found)) }
            }
            (None, None) => Ok(None),
        }
    }

    /// Returns the record that had an identifier until it was merged.
    async fn subsumed(&self, key: &Identifier) -> Result<Option<Found>, Issue> {
        let token = key.token();
        let found = self.index.fhir.first_page(ty::PATIENT, &[("identifier", &token)]).await?;
        Ok(found.into_iter().find(|record| identifiers(record.root()).any(|other| other == *key)))
    }

    /// Finds who takes the place of somebody who was merged away: one of the message, or one
    /// who is stored.
    async fn plan_merge(&self, replaced: Replaced, plan: &mut Plan<'_>) -> Result<(), Issue> {
        let Replaced { source, told: said, link, place } = replaced;
        let other = &link["other"];
        let of_message = match other["reference"].as_str().and_then(|name| plan.named(name)) {
            None => self.key_of(&other["identifier"]).and_then(|key| plan.held.held(&key)),
            found => found,
        };
        let target = match of_message {
            Some(target) => target,
            None => {
                let survivor = self.index.referred(other, Ids::OfTheMaster).await.map_err(no_survivor)?;
                let survivor = survivor.ok_or_else(|| no_survivor(Refusal::UnknownIdentifier))?;
                plan.held.hold(&survivor).map_err(told)?
            }
        };
        plan.tell_of(target);
        let into = plan.held.replaced_by(source);
        if into.as_deref() != Some(plan.held.place(target)) {
            if into.is_some() {
                return Err(told(Refusal::Subsumed));
            }
            if plan.held.replaced_by(target).is_some() {
                return Err(no_survivor(Refusal::Subsumed));
            }
            plan.merges.push(Merge { source, target, at: said.feed.at, named: other.clone(), place });
        }
        plan.held.tell_of_subsumed(source, &said.feed, &link);
        Ok(())
    }

    /// Returns the key that an Identifier is, where it is of a domain that is known.
    fn key_of(&self, of: &Value) -> Option<Identifier> {
        let domain = self.index.domains.by_system(of["system"].as_str()?)?;
        Some(Identifier::new(domain.system(), of["value"].as_str()?))
    }

    async fn plan_delete(&self, change: &Change, plan: &mut Plan<'_>) -> Result<(), Issue> {
        let said = match &change.resource {
            Some(patient) => Told::of(self.index.domains, patient, String::new())?.feed.patient,
            None => Value::Null,
        };
        // What is not there is gone already.
        let Some(stored) = self.stored(change, &said).await? else { return Ok(()) };
        let at = plan.held.hold(&stored).map_err(told)?;
        let place = plan.held.place(at);
        plan.entries.push(json!({ "request": { "method": "DELETE", "url": place } }));
        plan.tell_of(at);
        Ok(())
    }

    async fn plan_related(&self, change: &Change, sent: &Resource, plan: &mut Plan<'_>) -> Result<(), Issue> {
        let mut person = as_value(sent)?;
        name_domains(self.index.domains, &mut person);
        let patient = self.index.referred(&person["patient"], Ids::OfTheMaster).await.map_err(told)?;
        if let Some(place) = patient.as_ref().and_then(Found::id) {
            person["patient"]["reference"] = json!(format!("Patient/{place}"));
        }
        let known = match person["identifier"][0].as_object() {
            Some(of) => {
                let text = |name: &str| of.get(name).and_then(Value::as_str).unwrap_or_default();
                let token = Identifier::new(text("system"), text("value")).token();
                self.index.fhir.first_page(ty::RELATED_PERSON, &[("identifier", &token)]).await?
            }
            None => Vec::new(),
        };
        let id = match known.as_slice() {
            [] => change.id().filter(|id| ResourceId::parse(id).is_some()).map(str::to_owned),
            [one] => one.id().map(str::to_owned),
            _ => return Err(told(Refusal::Ambiguous)),
        };
        let id = id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let place = format!("RelatedPerson/{id}");
        person["id"] = json!(id);
        let names = [change.full_url.clone(), change.id().map(|id| format!("RelatedPerson/{id}"))];
        plan.name(names.into_iter().flatten(), &place);
        plan.entries.push(json!({ "resource": person, "request": { "method": "PUT", "url": place } }));
        Ok(())
    }
}

fn of_another() -> Issue {
    let text = "the id is of one patient here, and the identifier of another";
    Issue::error(IssueType::Conflict).text(text)
}

/// Says of an issue at which change it is.
fn located(mut issue: Issue, change: &str) -> Issue {
    let within = std::mem::take(&mut issue.expression);
    let mut place = format!("{change}.resource");
    for part in within {
        let part = part.split_once('.').map_or(part.as_str(), |(_, part)| part);
        place = format!("{place}.{part}");
    }
    issue.at(place)
}

fn no_survivor(refusal: Refusal) -> Issue {
    told(refusal).at("Patient.link.other")
}

fn told(refusal: Refusal) -> Issue {
    let text = refusal.to_string();
    match refusal {
        Refusal::Subsumed => Issue::error(IssueType::Conflict).text(text),
        Refusal::UnknownIdentifier => {
            Issue::error(IssueType::NotFound).because(Reason::Unprocessable).text(text)
        }
        refusal => refusal.into(),
    }
}
