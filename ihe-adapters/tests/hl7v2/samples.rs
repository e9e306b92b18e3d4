//! Messages of others: how many resources of each type they become, and which
//! of their places have none.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::setting::{all_domains, folder, italy, mapped, samples};

/// Returns facts of what a message became: nothing of what stands in it.
fn facts(text: &str) -> Value {
    let domains = all_domains(text);
    match mapped(text, &italy(&domains)) {
        Err(refused) => json!({ "refused": refused.fault.code(), "at": refused.place.to_string() }),
        Ok(mapped) => {
            let mut types: BTreeMap<&str, usize> = BTreeMap::new();
            let resources =
                mapped.patient.iter().chain(mapped.entries.iter().map(|entry| &entry["resource"]));
            for resource in resources {
                *types.entry(resource["resourceType"].as_str().expect("a type")).or_default() += 1;
            }
            let unmapped: Vec<String> = mapped.unmapped.iter().map(ToString::to_string).collect();
            json!({ "types": types, "changes": mapped.changes.len(), "unmapped": unmapped.join(" ") })
        }
    }
}

#[test]
fn messages_of_others_become_what_they_did() {
    let samples = samples();
    if samples.is_empty() {
        return;
    }
    let found: Map<String, Value> = samples.iter().map(|(name, text)| (name.clone(), facts(text))).collect();
    let path = folder().join("samples.json");
    if std::env::var("GOLDEN").as_deref() == Ok("write") {
        let text = serde_json::to_string_pretty(&found).expect("JSON");
        std::fs::write(&path, text + "\n").expect("written");
    }
    let expected: Map<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("readable")).expect("JSON");
    for (name, facts) in &found {
        assert_eq!(expected.get(name), Some(facts), "{name}");
    }
    println!("{} messages compared", found.len());
}
