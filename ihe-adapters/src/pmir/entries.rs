//! What the changes of a message become: records, and entries beside them, of one
//! transaction.
//!
//! Whatever a message calls a patient by (his id, its fullUrl) is put right everywhere,
//! once it is clear where he is stored.

use jiff::Timestamp;
use serde_json::Value;

use crate::pix::held::{At, Held};
use crate::pix::records::refer;
use crate::pix::told::Told;

/// What is to be done for a message.
pub(super) struct Plan<'p> {
    /// The patients that it changes.
    pub(super) held: Held<'p>,
    /// Entries of the transaction that are about others.
    pub(super) entries: Vec<Value>,
    /// The patients that it is about: their places, or the fullUrls of those that are new.
    pub(super) patients: Vec<String>,
    /// The patients of whom it says that others took their places.
    pub(super) replaced: Vec<Replaced>,
    pub(super) merges: Vec<Merge>,
    /// The records whose merge is taken back, and where the message says so.
    pub(super) unmerges: Vec<(At, String)>,
    /// How others call a resource, and where it is.
    names: Vec<(String, Named)>,
}

/// Where a resource is that a message calls by a name.
#[derive(Debug, Clone)]
enum Named {
    Record(At),
    Place(String),
}

/// A record that was merged into another, as the message says it.
#[derive(Debug)]
pub(super) struct Replaced {
    pub(super) source: At,
    /// What is said of the one who was merged away.
    pub(super) told: Told,
    /// The link that says so.
    pub(super) link: Value,
    /// Where it stands in the message.
    pub(super) place: String,
}

/// A merge that is to be done.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) source: At,
    pub(super) target: At,
    pub(super) at: Option<Timestamp>,
    /// How the message names the target.
    pub(super) named: Value,
    /// Where it stands in the message.
    pub(super) place: String,
}

impl<'p> Plan<'p> {
    pub(super) fn new(held: Held<'p>) -> Plan<'p> {
        let (entries, patients, replaced, merges, unmerges, names) = Default::default();
        Plan { held, entries, patients, replaced, merges, unmerges, names }
    }

    /// Notes that the message calls a patient by these names.
    pub(super) fn name_record(&mut self, names: impl IntoIterator<Item = String>, at: At) {
        self.names.extend(names.into_iter().map(|name| (name, Named::Record(at))));
    }

    /// Notes where another resource is that the message calls by these names.
    pub(super) fn name(&mut self, names: impl IntoIterator<Item = String>, place: &str) {
        self.names.extend(names.into_iter().map(|name| (name, Named::Place(place.to_owned()))));
    }

    /// Returns the patient of the message whom it calls by a name.
    pub(super) fn named(&self, name: &str) -> Option<At> {
        let id = name.rsplit_once("Patient/").map_or(name, |(_, id)| id);
        let is_meant = |known: &str| known == name || known.strip_prefix("Patient/") == Some(id);
        self.names.iter().find_map(|(known, of)| match of {
            Named::Record(at) if is_meant(known) => Some(*at),
            _ => None,
        })
    }

    /// Notes a patient that the message is about.
    pub(super) fn tell_of(&mut self, at: At) {
        let place = self.held.place(at).to_owned();
        if !self.patients.contains(&place) {
            self.patients.push(place);
        }
    }

    /// Calls the operations that the message leads to; returns where it says so, in their
    /// order. Whoever was merged away takes nobody's place afterwards: who is merged into him
    /// is so first.
    pub(super) fn call(&mut self) -> Vec<String> {
        let mut calls = Vec::with_capacity(self.merges.len() + self.unmerges.len());
        while !self.merges.is_empty() {
            let is_free = |merge: &Merge| self.merges.iter().all(|other| other.target != merge.source);
            // Of a circle, which is refused, one is the first.
            let first = self.merges.iter().position(is_free).unwrap_or_default();
            let Merge { source, target, at, named, place } = self.merges.remove(first);
            self.held.merge(source, target, at, &named);
            calls.push(place);
        }
        for (record, place) in std::mem::take(&mut self.unmerges) {
            self.held.unmerge(record);
            calls.push(place);
        }
        calls
    }

    /// Puts the references between resources of the message right.
    pub(super) fn refer(&mut self) {
        for (name, of) in std::mem::take(&mut self.names) {
            let place = match of {
                Named::Record(at) => self.held.place(at).to_owned(),
                Named::Place(place) => place,
            };
            if name.is_empty() || name == place {
                continue;
            }
            self.held.refer_within(&name, &place);
            let resources = self.entries.iter_mut().filter_map(|entry| entry.get_mut("resource"));
            resources.for_each(|resource| refer(resource, &name, &place));
        }
    }
}
