//! What is under way: a message, who sent it, and the entries that it becomes.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::draft::Draft;
use super::segments::msh::Header;
use super::source::Source;
use crate::fhir_client::token;
use crate::hl7v2::context::Context;
use crate::hl7v2::mapped::{Deleted, Mapped};

/// What is under way.
pub(in crate::hl7v2) struct Work<'s> {
    /// The message.
    pub(in crate::hl7v2) source: &'s Source<'s>,
    /// What is known here.
    pub(in crate::hl7v2) context: &'s Context<'s>,
    /// What the header says.
    pub(in crate::hl7v2) header: Header,
    /// Which zone times without one are of.
    pub(in crate::hl7v2) zone: TimeZone,
    /// What the entries of the patient are known by: `system|value`.
    pub(in crate::hl7v2) patient_key: String,
    /// The identifier by which the patient is known.
    pub(in crate::hl7v2) patient_identifier: Option<Json>,
    /// What refers to the patient.
    pub(in crate::hl7v2) patient: Option<Json>,
    entries: Vec<Json>,
    /// Where the entry of a fullUrl stands.
    places: HashMap<String, usize>,
    /// How many things there are of each that are known by their place alone.
    counts: HashMap<String, usize>,
    deleted: Vec<Deleted>,
    assumed: Vec<Deleted>,
    deleted_identifiers: Vec<String>,
}

/// What `ifMatch` of an entry says that changes only what is stored: any version, and none is no match.
pub(in crate::hl7v2) const ANY: &str = "*";

/// The member of an entry that has what its resource is where nothing is stored; it goes before it is sent.
pub(in crate::hl7v2) const OTHERWISE: &str = "otherwise";

/// How the server finds the resource of an entry.
pub(in crate::hl7v2) enum Known {
    /// By what only this resource has: it is put in the place of what is there.
    By(String),
    /// By the same, but what is there stays.
    StaysBy(String),
    /// By an id that is made of what names it in the message.
    Own,
}

impl<'s> Work<'s> {
    /// Begins with a message.
    pub(in crate::hl7v2) fn new(
        source: &'s Source<'s>,
        context: &'s Context<'s>,
        header: Header,
    ) -> Work<'s> {
        let zone = header.zone.clone().unwrap_or_else(|| context.time_zone.clone());
        let (patient_key, patient_identifier, patient, entries) = Default::default();
        let (places, counts) = Default::default();
        let (deleted, assumed, deleted_identifiers) = Default::default();
        Work {
            source,
            context,
            header,
            zone,
            patient_key,
            patient_identifier,
            patient,
            entries,
            places,
            counts,
            deleted,
            assumed,
            deleted_identifiers,
        }
    }

    /// Returns the `urn:uuid:` of what a key names in the messages of its sender.
    pub(in crate::hl7v2) fn full_url(&self, resource_type: &str, key: &str) -> String {
        format!("urn:uuid:{}", uuid_of(resource_type, key))
    }

    /// Makes a key that only this sender gives: of what it names within a patient.
    pub(in crate::hl7v2) fn key_of_patient(&self, parts: &[&str]) -> String {
        let mut all = vec![self.header.source.as_str(), self.patient_key.as_str()];
        all.extend(parts);
        // A separator that no part has keeps apart what differs.
        all.join("\u{1f}")
    }

    /// Writes the query by which a thing of the patient is found that has a
    /// number: one of nobody in particular counts for this patient alone.
    pub(in crate::hl7v2) fn by_number(&self, identifier: &Json) -> Option<String> {
        let query = by_identifier(identifier)?;
        if identifier["system"].is_string() {
            return Some(query);
        }
        let patient = by_identifier(self.patient_identifier.as_ref()?)?;
        Some(format!("{query}&patient.{patient}"))
    }

    /// Adds an entry, unless one of its key is there, and returns the reference to it.
    pub(in crate::hl7v2) fn add(&mut self, draft: Draft, key: &str, known: Known) -> Json {
        let resource_type = draft.resource_type();
        let full_url = self.full_url(resource_type, key);
        let reference = json!({ "reference": full_url });
        if self.places.contains_key(&full_url) {
            return reference;
        }
        let mut resource = draft.finish();
        let request = match known {
            Known::By(query) => json!({ "method": "PUT", "url": format!("{resource_type}?{query}") }),
            Known::StaysBy(query) => json!({ "method": "POST", "url": resource_type, "ifNoneExist": query }),
            Known::Own => {
                let id = uuid_of(resource_type, key);
                resource["id"] = json!(id);
                resource["meta"] = json!({ "source": self.header.source });
                json!({ "method": "PUT", "url": format!("{resource_type}/{id}") })
            }
        };
        self.places.insert(full_url.clone(), self.entries.len());
        self.entries.push(json!({ "fullUrl": full_url, "resource": resource, "request": request }));
        reference
    }

    /// Says what is changed of a resource that is stored, where it is: found by a query.
    pub(in crate::hl7v2) fn amend(&mut self, change: Draft, query: &str) {
        let resource_type = change.resource_type();
        let full_url = self.full_url(resource_type, &format!("amended {query}"));
        let url = format!("{resource_type}?{query}");
        let request = json!({ "method": "PUT", "url": url, "ifMatch": ANY });
        self.entries.push(json!({ "fullUrl": full_url, "resource": change.finish(), "request": request }));
    }

    /// Says what the resource of an entry is otherwise, where nothing is stored that says the rest of it.
    pub(in crate::hl7v2) fn otherwise(&mut self, reference: &Json, members: Json) {
        if let Some(entry) = self.entry_mut(reference) {
            entry[OTHERWISE] = members;
        }
    }

    /// Changes the resource of an entry that was added.
    pub(in crate::hl7v2) fn change(&mut self, reference: &Json, change: impl FnOnce(&mut Json)) {
        if let Some(resource) = self.entry_mut(reference).and_then(|entry| entry.get_mut("resource")) {
            change(resource);
        }
    }

    /// Says by which query the resource of an entry is found, where that is not
    /// what it says itself.
    pub(in crate::hl7v2) fn find_by(&mut self, reference: &Json, query: &str) {
        if let Some(entry) = self.entry_mut(reference) {
            let url = format!("{}?{query}", entry["resource"]["resourceType"].as_str().unwrap_or_default());
            entry["request"]["url"] = json!(url);
        }
    }

    /// Tells whether an entry of a key is there.
    pub(in crate::hl7v2) fn has(&self, resource_type: &str, key: &str) -> bool {
        self.places.contains_key(&self.full_url(resource_type, key))
    }

    fn entry_mut(&mut self, reference: &Json) -> Option<&mut Json> {
        let at = self.places.get(reference["reference"].as_str()?)?;
        self.entries.get_mut(*at)
    }

    /// Returns which one a thing is of those that are told alike, from 1.
    pub(in crate::hl7v2) fn place_of(&mut self, alike: String) -> usize {
        let count = self.counts.entry(alike).or_default();
        *count += 1;
        *count
    }

    /// Tells whether an entry of a key is there that says something else.
    pub(in crate::hl7v2) fn differs(&self, draft: &Draft, key: &str) -> bool {
        let full_url = self.full_url(draft.resource_type(), key);
        let known = self.places.get(&full_url).and_then(|at| self.entries.get(*at));
        known.is_some_and(|entry| entry["resource"] != draft.clone().finish())
    }

    /// Notes that an element is not so any more.
    pub(in crate::hl7v2) fn delete(&mut self, resource_type: &'static str, path: &str) {
        let deleted = Deleted { resource_type, path: path.to_owned() };
        if !self.deleted.contains(&deleted) {
            self.deleted.push(deleted);
        }
    }

    /// Notes that the patient has no identifier of a system any more.
    pub(in crate::hl7v2) fn delete_identifier(&mut self, system: String) {
        if !self.deleted_identifiers.contains(&system) {
            self.deleted_identifiers.push(system);
        }
    }

    /// Notes that an element was not told, and had to be something.
    pub(in crate::hl7v2) fn assume(&mut self, resource_type: &'static str, path: &str) {
        self.assumed.push(Deleted { resource_type, path: path.to_owned() });
    }

    /// Puts what was gathered into what the message becomes.
    pub(in crate::hl7v2) fn finish(self, mapped: &mut Mapped) {
        mapped.entries = self.entries;
        mapped.deleted = self.deleted;
        mapped.assumed = self.assumed;
        mapped.deleted_identifiers = self.deleted_identifiers;
    }
}

fn uuid_of(resource_type: &str, key: &str) -> String {
    let name = format!("urn:lanterna:hl7v2:{resource_type}:{key}");
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

/// Writes the query by which an identifier is found.
pub(in crate::hl7v2) fn by_identifier(identifier: &Json) -> Option<String> {
    let value = identifier["value"].as_str()?;
    let token = token(identifier["system"].as_str().unwrap_or_default(), value);
    let mut query = "identifier=".to_owned();
    fhir_model::percent::encode(&token, &mut query);
    Some(query)
}
