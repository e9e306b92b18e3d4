//! Messages of others: how many resources of each type they become, and which
//! of their places have none.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::conveyed::components;
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
fn the_page_says_how_much_is_read() {
    let samples = samples();
    if samples.is_empty() {
        return;
    }
    let (mut taken, mut whole, mut values, mut unread) = (0, 0, 0, 0);
    for (_, text) in &samples {
        let Ok(mapped) = mapped(text, &italy(&all_domains(text))) else { continue };
        taken += 1;
        whole += usize::from(mapped.unmapped.is_empty());
        values += components(text);
        unread += mapped.unmapped.len();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance/hl7v2.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let lines = [
        format!("| read completely, of {taken} | 13 | {whole} |"),
        format!("| values that are not read, of {values} | 285 | {unread} |"),
    ];
    for line in lines {
        println!("{line}");
        assert!(page.contains(&line), "the page does not say: {line}");
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
