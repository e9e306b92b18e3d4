//! What sources tell of their records: feeds and merges, whichever wire they
//! come by (ITI-8, ITI-30, ITI-44, ITI-104, ITI-93).
//!
//! Spec: ITI TF-2 3.8.4, 3.30.4, 3.44.4

use fhir_model::interaction::{Body, Caller, Carried, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::percent;
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Map, Value, json as value};

use super::domains::Kind;
use super::persons::is_subsumed;
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX, identifiers};
use crate::atna::Recording;
use crate::fhir_client::{Fhir, Found};

/// The extension of a Patient that says when what it holds happened at its source.
pub const EVENT_TIME: &str = "urn:lanterna:pix:event-time";
/// How often a feed is tried anew that others came in between.
const TRIES: usize = 4;
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
    /// What the transaction led to.
    pub performed: Option<Performed>,
}

impl PatientIndex<'_> {
    /// Stores what a source tells of one of its records, with what comes
    /// beside it: all in one transaction, or nothing.
    ///
    /// # Errors
    /// [`Refusal::NoIdentifier`], [`Refusal::Domain`], [`Refusal::Subsumed`],
    /// [`Refusal::Ambiguous`], or what FHIR refuses.
    pub async fn feed(&self, feed: &Feed) -> Result<Fed, Refusal> {
        self.feed_or(feed, self.fhir.caller).await
    }

    /// As [`PatientIndex::feed`]. `outdated`: as whom it is stored where something newer
    /// was told before, since that may be answered in another way ([`Caller::once`]).
    ///
    /// # Errors
    /// As [`PatientIndex::feed`].
    pub async fn feed_or(&self, feed: &Feed, outdated: &Caller) -> Result<Fed, Refusal> {
        let key = self.key_of(&feed.patient)?;
        self.feed_record_or(&key, feed, outdated).await
    }

    /// As [`PatientIndex::feed`], of the record of this key.
    ///
    /// # Errors
    /// As [`PatientIndex::feed`].
    pub(crate) async fn feed_record(&self, key: &Identifier, feed: &Feed) -> Result<Fed, Refusal> {
        self.feed_record_or(key, feed, self.fhir.caller).await
    }

    async fn feed_record_or(&self, key: &Identifier, feed: &Feed, outdated: &Caller) -> Result<Fed, Refusal> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.feed_once(feed, key, outdated).await {
                Err(Refusal::Fhir(issue)) if is_race(issue.code, issue.reason) && tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn feed_once(&self, feed: &Feed, key: &Identifier, outdated: &Caller) -> Result<Fed, Refusal> {
        let stored = self.record(key).await?;
        let (mut entries, mut fed) = planned(feed, &conditional(key), stored.as_ref())?;
        entries.extend(self.recording.map(Recording::entry));
        if entries.is_empty() {
            return Ok(fed);
        }
        let caller = if fed.is_outdated { outdated } else { self.fhir.caller };
        let performed = Fhir { caller, ..self.fhir }.transact(entries, feed.contents.clone()).await?;
        self.recording.inspect(|recording| recording.stored());
        if fed.is_created {
            fed.patient = first_id(&performed).unwrap_or_default();
        }
        fed.performed = Some(performed);
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

/// Returns the entries of a transaction that store what a feed says of a
/// record, and what will have become of it. `place`: where it is put when it is new.
pub(crate) fn planned(
    feed: &Feed,
    place: &str,
    stored: Option<&Found>,
) -> Result<(Vec<Value>, Fed), Refusal> {
    let mut fed =
        Fed { patient: String::new(), is_created: stored.is_none(), is_outdated: false, performed: None };
    let mut entries = Vec::with_capacity(feed.beside.len() + 2);
    let mut beside = feed.beside.clone();
    match stored {
        None => {
            let patient = with_event_time(feed.patient.clone(), feed.at);
            // Who came in between is noticed: it has to be new.
            entries.push(value!({
                "fullUrl": feed.full_url,
                "resource": patient,
                "request": { "method": "PUT", "url": place, "ifNoneMatch": "*" },
            }));
        }
        Some(found) => {
            fed.patient = found.id().unwrap_or_default().to_owned();
            let before = as_json(found)?;
            let is_about_him = feed.replaces != Replaces::Nothing;
            fed.is_outdated = is_about_him && is_outdated(&before, feed.at);
            let place = format!("Patient/{}", fed.patient);
            if is_about_him && !fed.is_outdated {
                entries.push(put(&place, changed(&before, feed), &before));
            }
            beside.iter_mut().for_each(|entry| refer(entry, &feed.full_url, &place));
        }
    }
    entries.extend(beside);
    Ok((entries, fed))
}

/// Returns the entry of a transaction that puts a record in the place of how it was `before`.
pub(super) fn put(place: &str, after: Value, before: &Value) -> Value {
    let version = before["meta"]["versionId"].as_str().unwrap_or_default().to_owned();
    let request = value!({ "method": "PUT", "url": place, "ifMatch": format!("W/\"{version}\"") });
    value!({ "resource": after, "request": request })
}

fn is_race(code: IssueType, reason: Reason) -> bool {
    matches!(code, IssueType::Conflict | IssueType::MultipleMatches) || reason == Reason::PreconditionFailed
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
            (Replaces::WhatItSays, "identifier") => united(before.get(name), value, same_identifier),
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

fn with_event_time(mut patient: Value, at: Option<Timestamp>) -> Value {
    let (Some(at), Some(elements)) = (at, patient.as_object_mut()) else { return patient };
    let extensions = elements.entry("extension").or_insert_with(|| value!([]));
    if let Some(all) = extensions.as_array_mut() {
        all.retain(|extension| extension["url"] != EVENT_TIME);
        all.push(value!({ "url": EVENT_TIME, "valueInstant": at.to_string() }));
    }
    patient
}

/// Tells whether something newer was told of a record before.
fn is_outdated(before: &Value, at: Option<Timestamp>) -> bool {
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

/// Returns the id of what the first entry of a transaction led to.
fn first_id(performed: &Performed) -> Option<String> {
    let Body::Json(bytes) = &performed.body else { return None };
    let bundle: Value = serde_json::from_slice(bytes).ok()?;
    let location = bundle["entry"][0]["response"]["location"].as_str()?;
    let (_, rest) = location.rsplit_once("Patient/")?;
    rest.split('/').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(patient: Value, replaces: Replaces) -> Feed {
        let (deleted, full_url, beside, contents) = Default::default();
        Feed { patient, replaces, deleted, at: None, full_url, beside, contents }
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
