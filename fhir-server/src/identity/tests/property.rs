//! Whatever sources tell, in whatever order, and whatever is merged, taken apart
//! and decided: the index says what a simple model of it says, after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fhir_model::interaction::{Caller, Handling, Interaction, Scope, SearchRequest};
use fhir_model::schema::ty;
use ihe_adapters::fhir_client::Fhir;
use ihe_adapters::pix::domains::Domains;
use ihe_adapters::pix::records::{Feed, Replaces};
use ihe_adapters::pix::refusal::Refusal;
use ihe_adapters::pix::{self, PatientIndex};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::asking::{body, of, pair};
use super::linking::{domains, running};
use crate::interaction::tests::running::{BASE, Running};

#[allow(dead_code)]
#[path = "../../../../tests/identity/model.rs"]
mod model;

use model::{Identifier, Model, Outcome, PERSONS, RECORDS, Step, fiscal_code, local};

/// The index in process.
struct Index {
    running: Running,
    domains: Domains,
    ids: BTreeMap<usize, String>,
}

fn moment(at: u32) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + i64::from(at) * 60).expect("a time")
}

impl Index {
    fn start(folder: &Path) -> Index {
        Index { running: running(folder), domains: domains(), ids: BTreeMap::new() }
    }

    fn apply(&mut self, step: Step) -> Outcome {
        match step {
            Step::Feed { record, person, at } => self.feed(record, person, at),
            Step::Merge { source, target, at } => {
                self.call("merge", [source, target], "recorded", json!(moment(at).to_string()))
            }
            Step::Unmerge { source, at } => self.unmerge(source, at),
            Step::Decide { one, other, is_same } => self.decide(one, other, is_same),
        }
    }

    fn feed(&mut self, record: usize, person: Option<usize>, at: u32) -> Outcome {
        let identifiers = std::iter::once(local(record)).chain(person.map(fiscal_code));
        let identifiers: Vec<Value> =
            identifiers.map(|(system, value)| json!({ "system": system, "value": value })).collect();
        let (deleted, beside, contents) = Default::default();
        let feed = Feed {
            patient: json!({ "resourceType": "Patient", "identifier": identifiers }),
            replaces: Replaces::All,
            deleted,
            deleted_identifiers: Vec::new(),
            at: Some(moment(at)),
            full_url: "urn:uuid:5b0c2d1e-0000-4000-8000-000000000000".to_owned(),
            beside,
            contents,
        };
        let caller = Caller::new("test", BASE);
        let fhir = Fhir { api: &self.running.server, caller: &caller };
        let fed = self.running.runtime.block_on(PatientIndex::new(fhir, &self.domains).feed(&feed));
        match fed {
            Ok(fed) if fed.is_outdated => Outcome::Outdated,
            Ok(fed) => {
                if fed.is_created {
                    let observed = json!({ "resourceType": "Observation", "status": "final",
                        "code": { "text": "seen" }, "subject": of(&fed.patient) });
                    self.running.create(&observed).expect("stored");
                    self.ids.insert(record, fed.patient);
                }
                Outcome::Done
            }
            Err(Refusal::Subsumed) => Outcome::Refused,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Calls an operation about two records.
    fn call(&self, name: &str, records: [usize; 2], more: &'static str, value: Value) -> Outcome {
        let id = |record: usize| self.ids.get(&record).map_or("nobody", String::as_str);
        let mut asked = pair(id(records[0]), id(records[1]));
        asked.push((more, value));
        self.outcome(name, &asked)
    }

    fn outcome(&self, name: &str, asked: &[(&str, Value)]) -> Outcome {
        match self.running.call(name, asked) {
            Ok(_) => Outcome::Done,
            // Whoever refuses says why.
            Err(issue) if issue.detail.is_some() => Outcome::Refused,
            Err(issue) => panic!("{issue:?}"),
        }
    }

    fn unmerge(&self, source: usize, at: u32) -> Outcome {
        let (system, value) = local(source);
        let named = json!({ "system": system, "value": value });
        let asked = [("source-patient-identifier", named), ("recorded", json!(moment(at).to_string()))];
        self.outcome("unmerge", &asked)
    }

    fn decide(&self, one: usize, other: usize, is_same: bool) -> Outcome {
        let id = |record: usize| of(self.ids.get(&record).map_or("nobody", String::as_str));
        self.outcome("link", &[("patient", id(one)), ("other", id(other)), ("same", json!(is_same))])
    }

    fn cross_references(&self, (system, value): &Identifier) -> Option<BTreeSet<Identifier>> {
        let caller = Caller::new("test", BASE);
        let fhir = Fhir { api: &self.running.server, caller: &caller };
        let index = PatientIndex::new(fhir, &self.domains);
        let identifier = pix::Identifier::new(system.as_str(), value.as_str());
        match self.running.runtime.block_on(index.cross_references(&identifier, &[])) {
            Ok(found) => Some(
                found.into_iter().map(|found| (found.identifier.system, found.identifier.value)).collect(),
            ),
            Err(Refusal::UnknownIdentifier) => None,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Returns of whom observations are told when one patient is asked for.
    fn observed(&self, record: usize) -> BTreeSet<usize> {
        let subject = format!("Patient/{}", self.ids[&record]);
        let request = SearchRequest {
            scope: Scope::Type(ty::OBSERVATION),
            parameters: vec![("subject".to_owned(), subject)],
            handling: Handling::Strict,
        };
        let found = body(&self.running.perform(Interaction::Search(request)).expect("found"));
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        let of_whom = |entry: &Value| {
            let subject = entry["resource"]["subject"]["reference"].as_str()?;
            self.ids.iter().find(|(_, id)| subject == format!("Patient/{id}")).map(|(record, _)| *record)
        };
        entries.iter().filter_map(of_whom).collect()
    }

    fn agrees_with(&self, model: &Model) {
        let locals = (0..RECORDS).map(local);
        for identifier in locals.chain((0..PERSONS).map(fiscal_code)) {
            assert_eq!(
                self.cross_references(&identifier),
                model.cross_references(&identifier),
                "{identifier:?}"
            );
        }
        for record in model.known() {
            assert_eq!(self.observed(record), model.merged_with(record), "observations of {record}");
        }
        assert_eq!(model.contradiction(), None, "two of one person were decided to be different");
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (record, other, at) = (0..RECORDS, 0..RECORDS, 0..20_u32);
    let person = prop::option::weighted(0.8, 0..PERSONS);
    prop_oneof![
        5 => (record.clone(), person, at.clone()).prop_map(|(record, person, at)| Step::Feed { record, person, at }),
        3 => (record.clone(), other.clone(), at.clone()).prop_map(|(source, target, at)| Step::Merge { source, target, at }),
        2 => (record.clone(), at).prop_map(|(source, at)| Step::Unmerge { source, at }),
        2 => (record, other, any::<bool>()).prop_map(|(one, other, is_same)| Step::Decide { one, other, is_same }),
    ]
}

/// Does the steps, and compares after each.
fn run(steps: &[Step]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut index, mut model) = (Index::start(folder.path()), Model::default());
    // All records are known, and each person has several.
    let first = (0..RECORDS).map(|record| Step::Feed { record, person: Some(record % PERSONS), at: 0 });
    for step in first.chain(steps.iter().copied()) {
        let done = index.apply(step);
        let ids = index.ids.clone();
        let order = |record: usize| ids.get(&record).cloned().unwrap_or_default();
        assert_eq!(done, model.apply(step, &order), "{step:?}");
        index.agrees_with(&model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_index_knows_what_the_model_knows(steps in prop::collection::vec(step(), 1..24)) {
        run(&steps);
    }
}

#[test]
fn merges_one_after_the_other_are_followed_however_many() {
    let merges = (1..RECORDS).map(|target| Step::Merge { source: target - 1, target, at: 1 });
    let back = (0..RECORDS - 1).rev().map(|source| Step::Unmerge { source, at: 2 });
    let steps: Vec<Step> = merges.chain(back).collect();
    run(&steps);
}

#[test]
fn what_was_decided_different_is_never_one_over_a_third() {
    run(&[
        Step::Decide { one: 0, other: 3, is_same: false },
        Step::Feed { record: 6, person: Some(1), at: 3 },
        Step::Feed { record: 6, person: Some(0), at: 4 },
        Step::Merge { source: 3, target: 0, at: 5 },
        Step::Decide { one: 0, other: 3, is_same: true },
        Step::Merge { source: 3, target: 0, at: 5 },
        Step::Decide { one: 0, other: 3, is_same: false },
        Step::Unmerge { source: 3, at: 6 },
        Step::Decide { one: 0, other: 3, is_same: false },
    ]);
}
