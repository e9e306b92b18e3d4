//! Records, and what is decided of them, as they become in one transaction:
//! read once, changed in memory, stored together.

use std::collections::{BTreeMap, BTreeSet};

use fhir_model::interaction::{Criteria, ResourceKey, VersionId};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, ty};
use serde_json::Value;

use super::links::{Link, Tie, links};
use super::refusal::Refusal;
use crate::interaction::unit::{Unit, View};
use crate::storage::{StoredResource, Written};

/// How many records may be one person.
pub(crate) const RECORDS_MAX: usize = 1_000;

/// A resource, as it was read and as it is to be.
struct Entry {
    key: ResourceKey,
    stored: Option<StoredResource>,
    /// `None` for what is not there.
    value: Option<Value>,
    is_changed: bool,
}

/// What is read and changed together.
pub(crate) struct Held<'v> {
    pub(super) view: &'v mut dyn View,
    entries: BTreeMap<(&'static str, String), Entry>,
}

/// A resource to be stored.
pub(crate) struct Change {
    key: ResourceKey,
    stored: Option<StoredResource>,
    value: Value,
}

impl<'v> Held<'v> {
    /// Holds nothing yet.
    pub(crate) fn new(view: &'v mut dyn View) -> Held<'v> {
        Held { view, entries: BTreeMap::new() }
    }

    fn entry(&mut self, of: TypeId, id: &str) -> Result<Option<&mut Entry>, Issue> {
        let name = (of.name(), id.to_owned());
        if !self.entries.contains_key(&name) {
            let Some(id) = ResourceId::parse(id) else { return Ok(None) };
            let key = ResourceKey { resource_type: of, id };
            let stored = self.view.current(&key)?;
            let value = match stored.as_ref().filter(|stored| !stored.deleted) {
                Some(stored) => Some(value_of(stored)?),
                None => None,
            };
            self.entries.insert(name.clone(), Entry { key, stored, value, is_changed: false });
        }
        Ok(self.entries.get_mut(&name))
    }

    /// Returns a resource; `None` when there is none, or it was deleted.
    pub(crate) fn resource(&mut self, of: TypeId, id: &str) -> Result<Option<&Value>, Issue> {
        Ok(self.entry(of, id)?.and_then(|entry| entry.value.as_ref()))
    }

    /// Returns a record.
    pub(crate) fn patient(&mut self, id: &str) -> Result<Option<&Value>, Issue> {
        self.resource(ty::PATIENT, id)
    }

    /// Tells whether a record was deleted.
    pub(crate) fn is_deleted(&mut self, id: &str) -> Result<bool, Issue> {
        let entry = self.entry(ty::PATIENT, id)?;
        Ok(entry.is_some_and(|entry| entry.stored.as_ref().is_some_and(|stored| stored.deleted)))
    }

    /// Returns the version of a record that was read.
    pub(crate) fn version(&mut self, id: &str) -> Result<Option<VersionId>, Issue> {
        self.version_of(ty::PATIENT, id)
    }

    /// Returns the version of a resource that was read.
    pub(crate) fn version_of(&mut self, of: TypeId, id: &str) -> Result<Option<VersionId>, Issue> {
        Ok(self.entry(of, id)?.and_then(|entry| entry.stored.as_ref().map(|stored| stored.version)))
    }

    /// Changes a record, where it is there.
    pub(crate) fn change(&mut self, id: &str, change: impl FnOnce(&mut Value)) -> Result<(), Issue> {
        if let Some(entry) = self.entry(ty::PATIENT, id)?
            && let Some(value) = &mut entry.value
        {
            change(value);
            entry.is_changed = true;
        }
        Ok(())
    }

    /// Puts a resource in the place of what was there.
    pub(crate) fn put(&mut self, of: TypeId, id: &str, value: Value) -> Result<(), Issue> {
        if let Some(entry) = self.entry(of, id)? {
            entry.is_changed |= entry.value.as_ref() != Some(&value);
            entry.value = Some(value);
        }
        Ok(())
    }

    /// Returns the resources of a type that were put or changed.
    pub(super) fn changed(&self, of: TypeId) -> impl Iterator<Item = &Value> {
        let changed = self.entries.values().filter(move |e| e.is_changed && e.key.resource_type == of);
        changed.filter_map(|entry| entry.value.as_ref())
    }

    /// Tells whether something is to be stored.
    pub(crate) fn is_changed(&self) -> bool {
        self.entries.values().any(|entry| entry.is_changed)
    }

    /// Returns what is to be stored.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let changed = self.entries.into_values().filter(|entry| entry.is_changed);
        changed
            .filter_map(|entry| Some(Change { key: entry.key, stored: entry.stored, value: entry.value? }))
            .collect()
    }

    /// Returns the ids of the resources that match, the oldest first.
    pub(crate) fn found(
        &mut self,
        of: TypeId,
        criteria: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<String>, Issue> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut found = self.view.matches(of, &Criteria(criteria.iter().map(pair).collect()), limit)?;
        // The newest come first.
        found.reverse();
        Ok(found.into_iter().map(|key| key.id.as_str().to_owned()).collect())
    }

    /// Returns the records of which links go to a record, as they are stored.
    pub(super) fn tied_to(&mut self, id: &str) -> Result<Vec<String>, Issue> {
        self.found(ty::PATIENT, &[("link", &format!("Patient/{id}"))], RECORDS_MAX)
    }

    /// Returns the records that a record is tied to directly, whichever of
    /// both says so, by ties that count.
    fn neighbours(&mut self, id: &str, counts: fn(&Link) -> bool) -> Result<BTreeSet<String>, Issue> {
        let mut all: BTreeSet<String> = match self.patient(id)? {
            Some(patient) => links(patient).into_iter().filter(counts).map(|link| link.other).collect(),
            None => BTreeSet::new(),
        };
        for other in self.tied_to(id)? {
            if let Some(patient) = self.patient(&other)?
                && links(patient).iter().any(|link| link.other == id && counts(link))
            {
                all.insert(other);
            }
        }
        let mut there = BTreeSet::new();
        for other in all {
            if other != id && self.patient(&other)?.is_some() {
                there.insert(other);
            }
        }
        Ok(there)
    }

    /// Returns the records that are one person with this one, and this one.
    pub(crate) fn person(&mut self, id: &str) -> Result<BTreeSet<String>, Issue> {
        self.reached(id, |_| true)
    }

    /// Returns the records that are reached from this one by ties that count, and this one.
    pub(crate) fn reached(&mut self, id: &str, counts: fn(&Link) -> bool) -> Result<BTreeSet<String>, Issue> {
        let (mut seen, mut pending) = (BTreeSet::from([id.to_owned()]), vec![id.to_owned()]);
        while let Some(next) = pending.pop() {
            for other in self.neighbours(&next, counts)? {
                if seen.insert(other.clone()) {
                    pending.push(other);
                }
            }
            if seen.len() > RECORDS_MAX {
                return Err(Refusal::TooMany(RECORDS_MAX).into());
            }
        }
        Ok(seen)
    }

    /// Returns into whom a record was merged in the end, and all on the way;
    /// ends in circles.
    pub(crate) fn survivors(&mut self, id: &str) -> Result<Vec<String>, Issue> {
        let mut way: Vec<String> = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(one) = next {
            let Some(patient) = self.patient(&one)? else { break };
            let into = links(patient).into_iter().find(|link| link.tie == Tie::ReplacedBy);
            next = into.map(|link| link.other).filter(|into| *into != id && !way.contains(into));
            way.extend(next.clone());
        }
        Ok(way)
    }
}

/// Stores changes, and returns what was written.
///
/// # Errors
/// When the resources changed since they were read, or the database fails.
pub(crate) fn store(
    unit: &mut Unit<'_, '_>,
    changes: Vec<Change>,
) -> Result<Vec<(ResourceKey, Written)>, Issue> {
    let mut written = Vec::with_capacity(changes.len());
    for Change { key, stored, value } in changes {
        let resource = fhir_model::json::read(value.to_string().into_bytes())?;
        written.push((key.clone(), unit.store(resource, &key, stored.as_ref())?));
    }
    Ok(written)
}

fn value_of(stored: &StoredResource) -> Result<Value, Issue> {
    let mut json = Vec::new();
    stored.write_json(&mut json)?;
    serde_json::from_slice(&json).map_err(|_| {
        Issue::fatal(IssueType::Exception)
            .text("the stored resource is damaged; the operators have been told")
    })
}
