//! Records as they become by one message: read once, changed in memory, stored in one
//! transaction.
//!
//! What is read is held to: a record that somebody else changed meanwhile is refused by
//! its version, and the whole is tried anew. Merges are calls of the operations of FHIR
//! within the same transaction, which see what it stores (ADR 25).

use std::collections::HashSet;

use fhir_model::interaction::{Body, Caller, Carried, Performed};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::records::{
    Fed, Feed, Replaces, as_json, changed, conditional, is_outdated, refer, with_event_time,
};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX};
use crate::atna::Recording;
use crate::fhir_client::{Fhir, Found};

/// A record that is held: its place among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct At(usize);

/// A record, as it was read and as it is to be.
struct Record {
    /// Where it is, or is put: `Patient/[id]`, or criteria for one that is new.
    place: String,
    /// How others refer to it.
    reference: String,
    /// As it was read; `None` for one that is new.
    before: Option<Value>,
    after: Value,
    /// Whether something is told of it.
    is_told: bool,
    /// Whether the message merges it into another.
    is_merged: bool,
}

/// Records that a message is about.
pub(crate) struct Held<'i> {
    pub(super) index: PatientIndex<'i>,
    records: Vec<Record>,
    /// By which identifiers records were looked for.
    asked: HashSet<Identifier>,
    /// Entries that call operations.
    calls: Vec<Value>,
}

/// What was stored.
pub(crate) struct Stored {
    pub(crate) performed: Option<Performed>,
    /// The ids of the records, in their order.
    ids: Vec<String>,
}

impl Stored {
    /// Returns the id of a record.
    pub(crate) fn id(&self, At(at): At) -> String {
        self.ids.get(at).cloned().unwrap_or_default()
    }
}

impl<'i> Held<'i> {
    /// Holds nothing yet.
    pub(crate) fn new(index: PatientIndex<'i>) -> Held<'i> {
        Held { index, records: Vec::new(), asked: HashSet::new(), calls: Vec::new() }
    }

    /// Returns the record that has an identifier in use by now; `None` when there is none.
    ///
    /// # Errors
    /// [`Refusal::Subsumed`], [`Refusal::Ambiguous`], or when FHIR cannot be asked.
    pub(crate) async fn find(&mut self, key: &Identifier) -> Result<Option<At>, Refusal> {
        if self.asked.insert(key.clone()) {
            let token = key.token();
            let found = self.index.fhir.search(ty::PATIENT, &[("identifier", &token)], RECORDS_MAX).await?;
            for found in &found {
                self.hold(found)?;
            }
        }
        self.current(key)
    }

    /// Returns the record among those held that has an identifier in use by now.
    ///
    /// # Errors
    /// [`Refusal::Subsumed`], [`Refusal::Ambiguous`].
    fn current(&self, key: &Identifier) -> Result<Option<At>, Refusal> {
        let having: Vec<usize> = (0..self.records.len()).filter(|at| self.records[*at].has(key)).collect();
        let mut current = having.iter().filter(|at| !self.records[**at].is_subsumed());
        match (current.next(), current.next()) {
            (Some(at), None) => Ok(Some(At(*at))),
            (Some(_), Some(_)) => Err(Refusal::Ambiguous),
            (None, _) if having.is_empty() => Ok(None),
            (None, _) => Err(Refusal::Subsumed),
        }
    }

    /// Returns the record among those held that has an identifier, whatever else is stored.
    pub(crate) fn held(&self, key: &Identifier) -> Option<At> {
        self.records.iter().position(|record| record.has(key)).map(At)
    }

    /// Returns who took the place of a record before, if somebody did.
    pub(crate) fn replaced_by(&self, At(at): At) -> Option<String> {
        let links = self.records[at].after["link"].as_array().into_iter().flatten();
        let mut replaced_by = links.filter(|link| link["type"] == "replaced-by");
        replaced_by.find_map(|link| link["other"]["reference"].as_str().map(str::to_owned))
    }

    /// Holds a record that was read, unless it is held already.
    ///
    /// # Errors
    /// When what is stored cannot be read.
    pub(crate) fn hold(&mut self, found: &Found) -> Result<At, Refusal> {
        let place = format!("Patient/{}", found.id().unwrap_or_default());
        if let Some(at) = self.records.iter().position(|record| record.place == place) {
            return Ok(At(at));
        }
        let before = as_json(found)?;
        let (reference, after) = (place.clone(), before.clone());
        Ok(self.push(Record {
            place,
            reference,
            before: Some(before),
            after,
            is_told: false,
            is_merged: false,
        }))
    }

    /// Holds a record that is new. `place`: where it is put.
    pub(crate) fn create(&mut self, place: String, feed: &Feed) -> At {
        let after = with_event_time(feed.patient.clone(), feed.at);
        let reference = feed.full_url.clone();
        self.push(Record { place, reference, before: None, after, is_told: true, is_merged: false })
    }

    fn push(&mut self, record: Record) -> At {
        self.records.push(record);
        At(self.records.len() - 1)
    }

    /// Changes the record of a key, or creates it, as a feed says; `beside` refers to it afterwards.
    ///
    /// # Errors
    /// As [`Held::find`].
    pub(crate) async fn feed(
        &mut self,
        key: &Identifier,
        feed: &Feed,
        beside: &mut [Value],
    ) -> Result<(Fed, At), Refusal> {
        let mut fed = Fed { patient: String::new(), is_created: false, is_outdated: false };
        let at = match self.find(key).await? {
            None => {
                fed.is_created = true;
                self.create(conditional(key), feed)
            }
            Some(at) => {
                fed.is_outdated = self.change_as(at, feed);
                at
            }
        };
        self.refer(beside, &feed.full_url, at);
        Ok((fed, at))
    }

    /// Changes a record as a feed says; tells whether something newer was told before, upon
    /// which it stays as it is.
    pub(crate) fn change_as(&mut self, at: At, feed: &Feed) -> bool {
        if feed.replaces == Replaces::Nothing {
            return false;
        }
        let is_outdated = is_outdated(&self.records[at.0].after, feed.at);
        if !is_outdated {
            self.change(at, |record| *record = changed(record, feed));
        }
        is_outdated
    }

    /// Changes a record.
    pub(crate) fn change(&mut self, at: At, change: impl FnOnce(&mut Value)) {
        let record = &mut self.records[at.0];
        change(&mut record.after);
        record.is_told = true;
    }

    /// Changes a record that is merged away as its source says: `named` is the link to who took
    /// its place, and how that one is called there. Whether it is active the merge says.
    pub(crate) fn tell_of_subsumed(&mut self, at: At, feed: &Feed, named: &Value) {
        self.change(at, |record| {
            let active = record.get("active").cloned();
            *record = changed(record, feed);
            match (active, record.as_object_mut()) {
                (Some(active), _) => record["active"] = active,
                (None, Some(elements)) => _ = elements.remove("active"),
                (None, None) => {}
            }
            let links = record.get_mut("link").and_then(Value::as_array_mut).into_iter().flatten();
            for link in links.filter(|link| link["type"] == "replaced-by") {
                for by in ["identifier", "display"] {
                    if !named["other"][by].is_null() {
                        link["other"][by] = named["other"][by].clone();
                    }
                }
            }
        });
    }

    /// Merges a record into another. `named`: how the message names that one, a Reference.
    pub(crate) fn merge(&mut self, source: At, target: At, at: Option<Timestamp>, named: &Value) {
        let mut target = json!({ "reference": self.records[target.0].reference });
        for by in ["identifier", "display"] {
            if !named[by].is_null() {
                target[by] = named[by].clone();
            }
        }
        let mut parameters = vec![
            json!({ "name": "source-patient", "valueReference": self.reference(source) }),
            json!({ "name": "target-patient", "valueReference": target }),
        ];
        parameters.extend(at.map(|at| json!({ "name": "recorded", "valueDateTime": at.to_string() })));
        self.records[source.0].is_merged = true;
        self.call("merge", &parameters);
    }

    /// Takes the merge of a record back.
    pub(crate) fn unmerge(&mut self, source: At) {
        let parameter = json!({ "name": "source-patient", "valueReference": self.reference(source) });
        self.call("unmerge", &[parameter]);
    }

    pub(super) fn call(&mut self, name: &str, parameters: &[Value]) {
        self.calls.push(json!({
            "resource": { "resourceType": "Parameters", "parameter": parameters },
            "request": { "method": "POST", "url": format!("Patient/${name}") },
        }));
    }

    /// Returns how many operations are called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn reference(&self, at: At) -> Value {
        json!({ "reference": self.place(at) })
    }

    /// Returns by what others in the transaction refer to a record.
    pub(crate) fn place(&self, at: At) -> &str {
        &self.records[at.0].reference
    }

    /// Puts the reference to a record in the place of one that stands for it.
    pub(crate) fn refer(&self, entries: &mut [Value], from: &str, at: At) {
        let to = self.place(at);
        entries.iter_mut().filter(|_| from != to).for_each(|entry| refer(entry, from, to));
    }

    /// Puts other references in the place of some, in the records themselves.
    pub(crate) fn refer_within(&mut self, from: &str, to: &str) {
        self.records.iter_mut().for_each(|record| refer(&mut record.after, from, to));
    }

    /// Stores what the records have become, with what comes beside them.
    ///
    /// # Errors
    /// Why nothing was stored, and which call was refused, if it was one.
    pub(crate) async fn store(
        self,
        beside: Vec<Value>,
        contents: Vec<(String, Carried)>,
        caller: &Caller,
    ) -> Result<Stored, (Option<usize>, Refusal)> {
        let Held { index, records, calls, .. } = self;
        let count = calls.len();
        let mut entries = calls;
        let mut ids: Vec<String> = Vec::with_capacity(records.len());
        let mut created = Vec::new();
        for (at, record) in records.iter().enumerate() {
            ids.push(record.place.strip_prefix("Patient/").unwrap_or_default().to_owned());
            if record.before.is_none() {
                created.push((at, entries.len()));
            }
            entries.extend(record.entry());
        }
        entries.extend(beside);
        entries.extend(index.recording.map(Recording::entry));
        if entries.is_empty() {
            return Ok(Stored { performed: None, ids });
        }
        let performed = Fhir { caller, ..index.fhir }.transact(entries, contents).await;
        let performed = performed.map_err(|issue| refused(issue, count))?;
        index.recording.inspect(|recording| recording.stored());
        for (at, entry) in created {
            ids[at] = id_of(&performed, entry).unwrap_or_default();
        }
        Ok(Stored { performed: Some(performed), ids })
    }
}

impl Record {
    fn has(&self, key: &Identifier) -> bool {
        let all = self.after["identifier"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().any(|identifier| {
            identifier["use"] != "old"
                && identifier["system"] == key.system.as_str()
                && identifier["value"] == key.value.as_str()
        })
    }

    fn is_subsumed(&self) -> bool {
        let links = self.after["link"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.is_merged || links.iter().any(|link| link["type"] == "replaced-by")
    }

    /// Returns the entry that stores it, where something is told of it.
    fn entry(&self) -> Option<Value> {
        let request = match &self.before {
            // Who came in between is noticed: it has to be new.
            None => json!({ "method": "PUT", "url": self.place, "ifNoneMatch": "*" }),
            Some(_) if !self.is_told => return None,
            Some(before) => {
                let version = before["meta"]["versionId"].as_str().unwrap_or_default();
                json!({ "method": "PUT", "url": self.place, "ifMatch": format!("W/\"{version}\"") })
            }
        };
        let mut entry = json!({ "resource": self.after, "request": request });
        if self.before.is_none() {
            entry["fullUrl"] = json!(self.reference);
        }
        Some(entry)
    }
}

/// Tells why a transaction was not performed, and which of its first entries, which are the
/// calls, was refused.
fn refused(issue: Issue, calls: usize) -> (Option<usize>, Refusal) {
    let number = |place: &str| place.strip_prefix("Bundle.entry[")?.split(']').next()?.parse::<usize>().ok();
    let at = issue.expression.iter().find_map(|place| number(place)).filter(|at| *at < calls);
    let is_told = matches!(issue.code, IssueType::BusinessRule | IssueType::Conflict);
    match issue.detail {
        Some(_) if is_told && at.is_some() => (at, Refusal::Merge(issue.diagnostics)),
        _ => (at, Refusal::Fhir(issue)),
    }
}

/// Returns the id of the Patient that an entry of a transaction led to.
fn id_of(performed: &Performed, entry: usize) -> Option<String> {
    let Body::Json(bytes) = &performed.body else { return None };
    let bundle: Value = serde_json::from_slice(bytes).ok()?;
    let location = bundle["entry"][entry]["response"]["location"].as_str()?;
    let (_, rest) = location.rsplit_once("Patient/")?;
    rest.split('/').next().map(str::to_owned)
}
