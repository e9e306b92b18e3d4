//! Sources, and people, who tell what happens by FHIR.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::Client;

use super::model::{Outcome, Step, fiscal_code, local};

/// Who tells.
pub(super) struct Sources {
    client: Client,
    ids: BTreeMap<usize, String>,
}

fn moment(at: u32) -> String {
    let at = 1_767_225_600 + i64::from(at) * 60;
    jiff::Timestamp::from_second(at).expect("a time").to_string()
}

impl Sources {
    /// `ids`: those of the records that are known.
    pub(super) fn new(client: Client, ids: BTreeMap<usize, String>) -> Sources {
        Sources { client, ids }
    }

    /// Returns the ids of the records.
    pub(super) fn into_ids(self) -> BTreeMap<usize, String> {
        self.ids
    }

    /// Returns the id of a record; that of nobody where it is not known.
    pub(super) fn id(&self, record: usize) -> &str {
        self.ids.get(&record).map_or("nobody", String::as_str)
    }

    /// Tells what happens.
    pub(super) fn apply(&mut self, step: Step) -> Outcome {
        if let Step::Feed { record, person, at } = step {
            return self.feed(record, person, at);
        }
        match self.call(step) {
            (200, _) => Outcome::Done,
            // Whoever refuses says why.
            (409 | 422, code) if !code.is_empty() => Outcome::Refused,
            other => panic!("{other:?}"),
        }
    }

    /// Calls the operation of a step; returns the status, and the code of a refusal.
    pub(super) fn call(&self, step: Step) -> (u16, String) {
        let of = |record: usize| json!({ "reference": format!("Patient/{}", self.id(record)) });
        let reference = |name: &str, record: usize| json!({ "name": name, "valueReference": of(record) });
        let recorded = |at: u32| json!({ "name": "recorded", "valueDateTime": moment(at) });
        let (name, parameters) = match step {
            Step::Feed { .. } => panic!("a feed is no operation"),
            Step::Merge { source, target, at } => (
                "merge",
                json!([
                    reference("source-patient", source),
                    reference("target-patient", target),
                    recorded(at)
                ]),
            ),
            Step::Unmerge { source, at } => {
                ("unmerge", json!([reference("source-patient", source), recorded(at)]))
            }
            Step::Decide { one, other, is_same } => {
                let same = json!({ "name": "same", "valueBoolean": is_same });
                ("link", json!([reference("patient", one), reference("other", other), same]))
            }
        };
        let body = json!({ "resourceType": "Parameters", "parameter": parameters });
        let answer = self.client.json("POST", &format!("Patient/${name}"), &[], &body).expect("an answer");
        let code = answer.json()["issue"][0]["details"]["coding"][0]["code"].as_str().map(str::to_owned);
        (answer.status, code.unwrap_or_default())
    }

    fn feed(&mut self, record: usize, person: Option<usize>, at: u32) -> Outcome {
        let identifiers = std::iter::once(local(record)).chain(person.map(fiscal_code));
        let identifiers: Vec<Value> =
            identifiers.map(|(system, value)| json!({ "system": system, "value": value })).collect();
        let mut patient = json!({ "resourceType": "Patient", "identifier": identifiers,
            "extension": [{ "url": "urn:example:at", "valueInteger": at }] });
        let Some(id) = self.ids.get(&record) else {
            let id = self.client.create(&patient).id();
            let observed = json!({ "resourceType": "Observation", "status": "final",
                "code": { "text": "seen" }, "subject": { "reference": format!("Patient/{id}") } });
            assert_eq!(self.client.create(&observed).status, 201);
            self.ids.insert(record, id);
            return Outcome::Done;
        };
        let known = self.client.get(&format!("Patient/{id}")).json();
        patient["id"] = json!(id);
        if let Some(links) = known.get("link") {
            patient["link"] = links.clone();
        }
        let answer = self.client.json("PUT", &format!("Patient/{id}"), &[], &patient).expect("an answer");
        assert_eq!(answer.status, 200);
        Outcome::Done
    }

    /// Returns how many observations are found with a record.
    pub(super) fn observations(&self, record: usize) -> usize {
        let found = self.client.get(&format!("Observation?subject=Patient/{}", self.id(record))).json();
        found["entry"].as_array().map_or(0, Vec::len)
    }
}
