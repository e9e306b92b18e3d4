//! Any sequence of writes leaves what a simple model says.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Create(u8, String),
    Put(u8, String),
    Delete(u8),
    /// The steps of one job, which then fails.
    Failing(Vec<(u8, String)>),
    /// Several puts and a read between them, in one job.
    Together(Vec<(u8, String)>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let content = "[a-f]{0,6}";
    let many = || proptest::collection::vec((0u8..6, content), 1..4);
    let step = prop_oneof![
        2 => (0u8..6, content).prop_map(|(id, c)| Step::Create(id, c)),
        4 => (0u8..6, content).prop_map(|(id, c)| Step::Put(id, c)),
        2 => (0u8..6).prop_map(Step::Delete),
        1 => many().prop_map(Step::Failing),
        1 => many().prop_map(Step::Together),
    ];
    proptest::collection::vec(step, 1..25)
}

/// The contents of each version of a resource; `None` where it was deleted.
type Model = BTreeMap<u8, Vec<Option<String>>>;

fn key_of(id: u8) -> ResourceKey {
    key(if id.is_multiple_of(2) { "Patient" } else { "Observation" }, &format!("r{id}"))
}

fn put_in_model(model: &mut Model, id: u8, content: String) {
    let versions = model.entry(id).or_default();
    if versions.last() != Some(&Some(content.clone())) {
        versions.push(Some(content));
    }
}

fn perform(store: &Store, model: &mut Model, step: Step) {
    match step {
        Step::Create(id, content) => {
            let prepared = resource(&key_of(id), &content);
            let result = write(store, move |unit| unit.create(prepared, Operation::Create));
            let exists = model.contains_key(&id);
            assert_eq!(result.is_err(), exists);
            if !exists {
                model.entry(id).or_default().push(Some(content));
            }
        }
        Step::Put(id, content) => {
            put(store, &key_of(id), &content);
            put_in_model(model, id, content);
        }
        Step::Delete(id) => {
            let deleted = delete(store, &key_of(id));
            assert_eq!(deleted.is_some(), model.contains_key(&id));
            if let Some(versions) = model.get_mut(&id).filter(|v| v.last().is_some_and(Option::is_some)) {
                versions.push(None);
            }
        }
        Step::Failing(puts) => {
            let result: Result<(), IssueType> = write(store, move |unit| {
                for (id, content) in puts {
                    put_in(unit, resource(&key_of(id), &content), Operation::Patch)?;
                }
                Err(StorageError::Outdated)
            });
            assert!(result.is_err());
        }
        Step::Together(puts) => {
            for (id, content) in &puts {
                put_in_model(model, *id, content.clone());
            }
            write(store, move |unit| {
                for (id, content) in puts {
                    put_in(unit, resource(&key_of(id), &content), Operation::Patch)?;
                    unit.count(None)?;
                }
                Ok(())
            })
            .expect("together");
        }
    }
}

fn compare(store: &Store, model: &Model) {
    for (id, versions) in model {
        let scope = HistoryScope::Instance(key_of(*id));
        let history = history_of(store, scope, HistoryBounds::default(), 1000);
        let contents: Vec<Option<String>> = history
            .iter()
            .rev()
            .map(|v| {
                let json = json_of(v);
                json.split_once(r#""text":""#).map(|(_, rest)| rest.trim_end_matches("\"}").to_owned())
            })
            .collect();
        assert_eq!(&contents, versions);
        let newest = history.first().map(|v| (v.number, v.version, v.updated, v.deleted, v.operation));
        let now = current(store, &key_of(*id));
        assert_eq!(now.map(|v| (v.number, v.version, v.updated, v.deleted, v.operation)), newest);
    }
    check_invariants(store);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_writes_leaves_what_the_model_says(steps in steps()) {
        let (folder, store) = store();
        let mut model = Model::new();
        for step in steps {
            perform(&store, &mut model, step);
        }
        compare(&store, &model);
        drop(store);
        compare(&open(&folder), &model);
    }
}
