//! Where it is asked by which identifiers somebody is known.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::Client;

use super::model::Identifier;

/// A door, whatever its wire.
pub(super) trait Door {
    /// How it is called.
    fn name(&self) -> &'static str;

    /// Returns the other identifiers of whoever has one; `None` when nobody has it.
    fn cross_references(&self, asked: &Identifier) -> Option<BTreeSet<Identifier>>;
}

/// A search of FHIR, which follows links as they are stored.
pub(super) struct ByFhir {
    client: Client,
}

impl ByFhir {
    /// Asks by a client.
    pub(super) fn new(client: Client) -> ByFhir {
        ByFhir { client }
    }
}

fn links(patient: &Value) -> impl Iterator<Item = (&str, &str)> {
    patient["link"].as_array().into_iter().flatten().filter_map(|link| {
        Some((link["type"].as_str()?, link["other"]["reference"].as_str()?.strip_prefix("Patient/")?))
    })
}

fn is_subsumed(patient: &Value) -> bool {
    links(patient).any(|(tie, _)| tie == "replaced-by")
}

fn identifiers(patient: &Value) -> impl Iterator<Item = Identifier> + '_ {
    patient["identifier"].as_array().into_iter().flatten().filter_map(|identifier| {
        Some((identifier["system"].as_str()?.to_owned(), identifier["value"].as_str()?.to_owned()))
    })
}

impl Door for ByFhir {
    fn name(&self) -> &'static str {
        "FHIR search"
    }

    fn cross_references(&self, asked: &Identifier) -> Option<BTreeSet<Identifier>> {
        let (system, value) = asked;
        let path = format!(
            "Patient?identifier={system}|{value}&_include:iterate=Patient:link&_revinclude:iterate=Patient:link"
        );
        let found = self.client.get(&path).json();
        let all: BTreeMap<&str, &Value> = found["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| Some((entry["resource"]["id"].as_str()?, &entry["resource"])))
            .collect();
        let has_it = |patient: &Value| !is_subsumed(patient) && identifiers(patient).any(|one| one == *asked);
        let mut pending: Vec<&str> = all.iter().filter(|(_, p)| has_it(p)).map(|(id, _)| *id).collect();
        if pending.is_empty() {
            return None;
        }
        // What is found is of several persons where several have the identifier, or had it.
        let mut seen: BTreeSet<&str> = pending.iter().copied().collect();
        while let Some(id) = pending.pop() {
            for (other, patient) in &all {
                let is_tied = links(patient).any(|(_, to)| to == id)
                    || all.get(id).is_some_and(|one| links(one).any(|(_, to)| to == *other));
                if is_tied && seen.insert(other) {
                    pending.push(other);
                }
            }
        }
        let counting = seen.iter().filter_map(|id| all.get(id)).filter(|patient| !is_subsumed(patient));
        let mut found: BTreeSet<Identifier> = counting.flat_map(|patient| identifiers(patient)).collect();
        found.remove(asked);
        Some(found)
    }
}
