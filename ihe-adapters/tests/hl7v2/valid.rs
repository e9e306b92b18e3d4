//! What is made is valid FHIR, and refers to nothing that is not there.

use std::collections::HashSet;
use std::sync::Arc;

use fhir_model::json;
use ihe_adapters::hl7v2::mapped::Mapped;
use profiles::definitions::Definitions;
use profiles::terminology::Terminology;
use profiles::validate::{Options, Validator};
use serde_json::Value;

use crate::setting::{all_domains, domains, italy, mapped, messages, samples};

fn validator() -> Validator {
    let known = Arc::new(Definitions::new());
    let terminology = Arc::new(Terminology::new(Arc::clone(&known)));
    Validator::new(known, terminology, Options::default())
}

/// Returns what is wrong with a resource.
fn errors(validator: &Validator, resource: &Value) -> Vec<String> {
    let read = match json::read(resource.to_string()) {
        Ok(read) => read,
        Err(error) => return vec![format!("{error:?}")],
    };
    let findings = validator.validate(&read, &[]);
    findings.iter().filter(|finding| finding.is_error()).map(|finding| format!("{finding:?}")).collect()
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("reference").and_then(Value::as_str) {
                found.push(reference.to_owned());
            }
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Returns the resource of an entry as it is where nothing is stored of it, where that is another.
fn alone(entry: &Value) -> Option<Value> {
    let mut resource = entry["resource"].clone();
    for (name, value) in entry["otherwise"].as_object()? {
        resource[name] = value.clone();
    }
    Some(resource)
}

fn check(name: &str, mapped: &Mapped, validator: &Validator) -> usize {
    let mut resources: Vec<&Value> =
        mapped.patient.iter().chain(mapped.entries.iter().map(|entry| &entry["resource"])).collect();
    let mut urls: HashSet<&str> = HashSet::from([mapped.patient_url.as_str()]);
    for entry in &mapped.entries {
        let url = entry["fullUrl"].as_str().expect("a fullUrl");
        assert!(urls.insert(url), "{name}: {url} twice");
    }
    let otherwise: Vec<Value> = mapped.entries.iter().filter_map(alone).collect();
    for entry in &mapped.entries {
        if entry["otherwise"].is_object() {
            resources.retain(|resource| **resource != entry["resource"]);
        }
        // What changes something that is stored is a part of it.
        let is_change = entry["request"]["ifMatch"] == "*";
        assert!(!is_change || entry["resource"]["status"].is_string(), "{name}: {entry:#}");
        if is_change {
            resources.retain(|resource| **resource != entry["resource"]);
        }
    }
    resources.extend(&otherwise);
    for resource in &resources {
        let wrong = errors(validator, resource);
        assert!(wrong.is_empty(), "{name}: {resource:#}\n{wrong:#?}");
        let mut found = Vec::new();
        references(resource, &mut found);
        let contained = resource["contained"].as_array().into_iter().flatten();
        let inside: HashSet<String> =
            contained.filter_map(|inner| Some(format!("#{}", inner["id"].as_str()?))).collect();
        for reference in found {
            let is_there = urls.contains(reference.as_str()) || inside.contains(&reference);
            assert!(is_there, "{name}: {reference} leads nowhere");
        }
    }
    resources.len()
}

#[test]
fn what_our_messages_become_is_valid() {
    let (domains, validator) = (domains(), validator());
    let context = italy(&domains);
    let mut checked = 0;
    for (name, text) in messages() {
        let Ok(made) = mapped(&text, &context) else { continue };
        checked += check(&name, &made, &validator);
        assert_eq!(mapped(&text, &context), Ok(made), "{name}: a message that comes again is the same");
    }
    println!("{checked} resources checked");
    assert!(checked > 50, "{checked}");
}

#[test]
fn what_messages_of_others_become_is_valid() {
    let (samples, validator) = (samples(), validator());
    let mut checked = 0;
    for (name, text) in &samples {
        let domains = all_domains(text);
        if let Ok(made) = mapped(text, &italy(&domains)) {
            checked += check(name, &made, &validator);
        }
    }
    println!("{checked} resources checked");
    assert!(checked > 0 || samples.is_empty());
}
