//! What sources tell of their records: feeds and merges, whichever wire they
//! come by (ITI-8, ITI-30, ITI-44, ITI-104, ITI-93).
//!
//! Spec: ITI TF-2 3.8.4, 3.30.4, 3.44.4

use fhir_model::interaction::Carried;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::percent;
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Map, Value, json as value};

use super::domains::Kind;
use super::held::Held;
use super::persons::is_subsumed;
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX, identifiers};
use crate::fhir_client::Found;

/// The extension of a Patient that says when what it holds happened at its source.
pub const EVENT_TIME: &str = "urn:lanterna:pix:event-time";
/// How often a feed is tried anew that others came in between.
pub(super) const TRIES: usize = 4;
/// What a feed never takes from a record, whatever it says. Of `meta` it can say
/// something else, and to `link` add.
const KEPT: &[&str] = &["id", "meta", "link"];

/// What of a record a feed replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    /// All of it: what the feed does not say is not so (HL7 v3, FHIR).
    All,
    /// The elements that it has (HL7 v2: what is empty stays as it is).
    WhatItSays,
    /// Nothing: who is known stays as he is (messages that are not about the patient himself).
    Nothing,
}

/// What a source tells of one of its records.
#[derive(Debug, Clone)]
pub struct Feed {
    /// The Patient, as JSON of FHIR; its `id` does not count, and its links are added to
    /// those that are there.
    pub patient: Value,
    /// What of the record it replaces.
    pub replaces: Replaces,
    /// Top-level elements that the source says are not so any more (`""` of HL7 v2).
    pub deleted: Vec<String>,
    /// Systems of which the source says that the record has no identifier any more but those that it tells.
    pub deleted_identifiers: Vec<String>,
    /// When it happened at the source, where that is told.
    pub at: Option<Timestamp>,
    /// How `beside` refers to the patient: `urn:uuid:...`.
    pub full_url: String,
    /// Entries of the transaction in which it is stored.
    pub beside: Vec<Value>,
    /// What Binaries among them carry, by their fullUrl.
    pub contents: Vec<(String, Carried)>,
}

/// What became of a feed.
#[derive(Debug, Clone)]
pub struct Fed {
    /// The id of the Patient.
    pub patient: String,
    /// Whether it was not known before.
    pub is_created: bool,
    /// Whether something newer was told before: then the record stays as it is.
    pub is_outdated: bool,
}

impl PatientIndex<'_> {
    /// Stores what a source tells of one of its records, with what comes
    /// beside it: all in one transaction, or nothing.
    ///
    /// # Errors
    /// [`Refusal::NoIdentifier`], [`Refusal::Domain`], [`Refusal::Subsumed`],
    /// [`Refusal::Ambiguous`], or what FHIR refuses.
    pub async fn feed(&self, feed: &Feed) -> Result<Fed, Refusal> {
        let key = self.key_of(&feed.patient)?;
        self.feed_record(&key, feed).await
    }

    /// As [`PatientIndex::feed`], of the record of this key.
    ///
    /// # Errors
    /// As [`PatientIndex::feed`].
    pub(crate) async fn feed_record(&self, key: &Identifier, feed: &Feed) -> Result<Fed, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.feed_once(key, feed).await {
                Err(Refusal::Fhir(issue)) if is_race(&issue) && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn feed_once(&self, key: &Identifier, feed: &Feed) -> Result<Fed, Refusal> {
        let mut held = Held::new(*self);
        let mut beside = feed.beside.clone();
        let (mut fed, at) = held.feed(key, feed, &mut beside).await?;
        let stored = held.store(beside, feed.contents.clone(), self.fhir.caller).await;
        let stored = stored.map_err(|(_, refusal)| refusal)?;
        fed.patient = stored.id(at);
        Ok(fed)
    }

    /// Returns the identifier by which a record is known: the first that its
    /// source gave to it, or else the first of a domain that is known.
    ///
    /// # Errors
    /// When it has none.
    pub fn key_of(&self, patient: &Value) -> Result<Identifier, Refusal> {
        let all = patient["identifier"].as_array().map(Vec::as_slice).unwrap_or_default();
        let in_use = all.iter().filter(|identifier| identifier["use"] != "old");
        let mut known = in_use.filter_map(|identifier| {
            let (system, value) = (identifier["system"].as_str()?, identifier["value"].as_str()?);
            let domain = self.domains.by_system(system)?;
            Some((domain.kind, Identifier::new(domain.system(), value)))
        });
        let first = known.next().ok_or(Refusal::NoIdentifier)?;
        if first.0 == Kind::Local {
            return Ok(first.1);
        }
        Ok(known.find(|(kind, _)| *kind == Kind::Local).unwrap_or(first).1)
    }

    /// Returns the record of a key.
    pub(crate) async fn record(&self, key: &Identifier) -> Result<Option<Found>, Refusal> {
        let token = key.token();
        let mut found = self.fhir.search(ty::PATIENT, &[("identifier", &token)], RECORDS_MAX).await?;
        found.retain(|record| identifiers(record.root()).any(|other| other == *key));
        let is_known = !found.is_empty();
        found.retain(|record| !is_subsumed(record.root()));
        match found.len() {
            0 if is_known => Err(Refusal::Subsumed),
            0 | 1 => Ok(found.pop()),
            _ => Err(Refusal::Ambiguous),
        }
    }
}

/// Tells whether a transaction was refused because others came in between.
pub(super) fn is_race(issue: &Issue) -> bool {
    matches!(issue.code, IssueType::Conflict | IssueType::MultipleMatches)
        || issue.reason == Reason::PreconditionFailed
}

/// Returns the URL that means the record of a key.
pub(crate) fn conditional(key: &Identifier) -> String {
    let mut url = "Patient?identifier=".to_owned();
    percent::encode(&key.token(), &mut url);
    url
}

/// Returns a record as JSON of FHIR.
///
/// # Errors
/// When what is stored cannot be read.
pub(crate) fn as_json(record: &Found) -> Result<Value, Refusal> {
    serde_json::from_slice(&record.to_json()).map_err(|_| {
        let issue = Issue::fatal(IssueType::Exception);
        Refusal::Fhir(issue.text("what is stored cannot be read"))
    })
}

/// Returns the record as it is after a feed.
pub(super) fn changed(before: &Value, feed: &Feed) -> Value {
    let fed = with_event_time(feed.patient.clone(), feed.at);
    let none = Map::new();
    let (before, fed) = (before.as_object().unwrap_or(&none), fed.as_object().unwrap_or(&none));
    let mut after = match feed.replaces {
        Replaces::WhatItSays | Replaces::Nothing => before.clone(),
        Replaces::All => before.iter().filter(|(name, _)| KEPT.contains(&name.as_str())).map(owned).collect(),
    };
    for (name, value) in fed.iter().filter(|(name, _)| *name != "id") {
        let value = match (feed.replaces, name.as_str()) {
            (Replaces::WhatItSays, "identifier") => {
                let known = before.get(name).map(|known| without(known, &feed.deleted_identifiers));
                united(known.as_ref(), value, same_identifier)
            }
            (Replaces::WhatItSays, "extension") => {
                united(before.get(name), value, |a, b| a["url"] == b["url"])
            }
            // What is known of a link, such as who made it, is not the source's to say.
            (_, "link") => united(Some(value), before.get(name).unwrap_or(&Value::Null), same_link),
            _ => value.clone(),
        };
        // `deceasedBoolean` takes the place of `deceasedDateTime`.
        let choice = CHOICES.iter().find(|stem| name.starts_with(**stem));
        after.retain(|other, _| other == name || choice.is_none_or(|stem| !other.starts_with(stem)));
        after.insert(name.clone(), value);
    }
    for name in &feed.deleted {
        let is_choice = CHOICES.contains(&name.as_str());
        after.retain(|other, _| other != name && !(is_choice && other.starts_with(name.as_str())));
    }
    Value::Object(after)
}

/// Returns identifiers without those of some systems.
fn without(identifiers: &Value, systems: &[String]) -> Value {
    let is_of = |identifier: &&Value| {
        let system = identifier["system"].as_str().unwrap_or_default();
        !systems.iter().any(|deleted| deleted == system)
    };
    Value::Array(identifiers.as_array().into_iter().flatten().filter(is_of).cloned().collect())
}

/// Elements of Patient that are of one type or another.
const CHOICES: &[&str] = &["deceased", "multipleBirth"];

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn same_identifier(one: &Value, other: &Value) -> bool {
    one["system"] == other["system"] && one["value"] == other["value"]
}

/// Tells whether two links say the same of the same one.
pub(super) fn same_link(one: &Value, other: &Value) -> bool {
    let named = |link: &Value, by: &str| link["other"][by].clone();
    one["type"] == other["type"]
        && ["reference", "identifier"].iter().any(|by| {
            let value = named(one, by);
            !value.is_null() && value == named(other, by)
        })
}

/// Returns what was known with what is told, which counts where both say something.
fn united(before: Option<&Value>, told: &Value, is_same: fn(&Value, &Value) -> bool) -> Value {
    let (before, told) = match (before.and_then(Value::as_array), told.as_array()) {
        (Some(before), Some(told)) => (before, told),
        (Some(_), None) if told.is_null() => return before.cloned().unwrap_or_default(),
        _ => return told.clone(),
    };
    let mut all: Vec<Value> = told.clone();
    all.extend(before.iter().filter(|old| told.iter().all(|new| !is_same(old, new))).cloned());
    Value::Array(all)
}

pub(super) fn with_event_time(mut patient: Value, at: Option<Timestamp>) -> Value {
    let (Some(at), Some(elements)) = (at, patient.as_object_mut()) else { return patient };
    let extensions = elements.entry("extension").or_insert_with(|| value!([]));
    if let Some(all) = extensions.as_array_mut() {
        all.retain(|extension| extension["url"] != EVENT_TIME);
        all.push(value!({ "url": EVENT_TIME, "valueInstant": at.to_string() }));
    }
    patient
}

/// Tells whether something newer was told of a record before.
pub(super) fn is_outdated(before: &Value, at: Option<Timestamp>) -> bool {
    let Some(at) = at else { return false };
    let extensions = before["extension"].as_array().map(Vec::as_slice).unwrap_or_default();
    let known = extensions.iter().find(|extension| extension["url"] == EVENT_TIME);
    let known = known.and_then(|extension| extension["valueInstant"].as_str()?.parse::<Timestamp>().ok());
    known.is_some_and(|known| known > at)
}

/// Puts another reference in the place of one, wherever it stands.
pub(crate) fn refer(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) if text == from => to.clone_into(text),
        Value::Array(all) => all.iter_mut().for_each(|value| refer(value, from, to)),
        Value::Object(all) => all.values_mut().for_each(|value| refer(value, from, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(patient: Value, replaces: Replaces) -> Feed {
        let (deleted, deleted_identifiers, full_url, beside, contents) = Default::default();
        Feed { patient, replaces, deleted, deleted_identifiers, at: None, full_url, beside, contents }
    }

    #[test]
    fn a_feed_changes_what_it_says() {
        let before = value!({
            "resourceType": "Patient", "id": "1", "meta": { "versionId": "2" }, "active": true,
            "link": [{ "type": "seealso" }], "gender": "male", "birthDate": "1970", "deceasedBoolean": false,
            "identifier": [{ "system": "urn:oid:1.2", "value": "a" }, { "system": "urn:oid:1.3", "value": "b" }],
        });
        let told = value!({
            "resourceType": "Patient", "id": "other", "gender": "female", "deceasedDateTime": "2020",
            "link": [{ "type": "seealso", "other": { "reference": "RelatedPerson/9" } }],
            "identifier": [{ "system": "urn:oid:1.2", "value": "a", "use": "usual" }],
        });
        let part = changed(&before, &feed(told.clone(), Replaces::WhatItSays));
        assert_eq!(part["gender"], "female");
        assert_eq!((&part["birthDate"], &part["id"]), (&value!("1970"), &value!("1")));
        // What is told of links is added.
        let links = value!([before["link"][0], told["link"][0]]);
        assert_eq!(part["link"], links);
        assert_eq!((&part["deceasedBoolean"], &part["deceasedDateTime"]), (&Value::Null, &value!("2020")));
        assert_eq!(part["identifier"][0]["use"], "usual");
        assert_eq!(part["identifier"].as_array().map(Vec::len), Some(2));
        let mut deleting = feed(told.clone(), Replaces::WhatItSays);
        deleting.deleted = vec!["birthDate".into(), "deceased".into()];
        let deleted = changed(&before, &deleting);
        assert!(deleted.get("birthDate").is_none() && deleted.get("deceasedDateTime").is_none());
        // What is told of a domain stays, whatever is deleted of it.
        let mut deleting = feed(told.clone(), Replaces::WhatItSays);
        deleting.deleted_identifiers = vec!["urn:oid:1.2".into(), "urn:oid:1.3".into()];
        assert_eq!(changed(&before, &deleting)["identifier"], told["identifier"]);
        let whole = changed(&before, &feed(told, Replaces::All));
        assert!(whole.get("birthDate").is_none() && whole.get("active").is_none());
        assert_eq!((&whole["id"], &whole["link"], &whole["meta"]), (&value!("1"), &links, &before["meta"]));
        assert_eq!(whole["identifier"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_is_older_is_outdated() {
        let at = |text: &str| text.parse::<Timestamp>().expect("time");
        let known = with_event_time(value!({}), Some(at("2024-01-02T00:00:00Z")));
        for (told, expected) in [
            (Some(at("2024-01-01T00:00:00Z")), true),
            (Some(at("2024-01-02T00:00:00Z")), false),
            (Some(at("2024-01-03T00:00:00Z")), false),
            (None, false),
        ] {
            assert_eq!(is_outdated(&known, told), expected, "{told:?}");
        }
        let again = with_event_time(known, Some(at("2024-01-03T00:00:00Z")));
        assert_eq!(again["extension"].as_array().map(Vec::len), Some(1));
    }
}
