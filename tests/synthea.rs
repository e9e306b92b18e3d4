//! The Synthea population, imported: everything is stored, and 200 searches
//! find as many as a walk over the source does.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tests::{Server, binary};

/// Returns the resources of the source, or `None` (and says so) where it is absent.
fn source(path: &Path) -> Option<Vec<Value>> {
    let Ok(file) = std::fs::File::open(path) else {
        println!("absent, nothing imported: {}", path.display());
        return None;
    };
    let mut out = Vec::new();
    let mut archive = tar::Archive::new(zstd::stream::read::Decoder::new(file).expect("zstd"));
    for entry in archive.entries().expect("archive") {
        let mut bytes = Vec::new();
        entry.expect("entry").read_to_end(&mut bytes).expect("readable");
        let Ok(mut bundle) = serde_json::from_slice::<Value>(&bytes) else { continue };
        for entry in bundle["entry"].as_array_mut().into_iter().flatten() {
            out.push(entry["resource"].take());
        }
    }
    Some(out)
}

fn of_type<'r>(resources: &'r [Value], of: &str) -> impl Iterator<Item = &'r Value> {
    resources.iter().filter(move |r| r["resourceType"] == of)
}

/// Counts values of resources of a type: by whatever `values` gives of each.
fn counted<'r>(
    resources: &'r [Value],
    of: &str,
    values: impl Fn(&'r Value) -> Vec<String>,
) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for resource in of_type(resources, of) {
        let mut values = values(resource);
        values.sort();
        values.dedup();
        for value in values {
            *counts.entry(value).or_default() += 1;
        }
    }
    counts
}

fn codings(concept: &Value) -> Vec<String> {
    let codings = concept["coding"].as_array().into_iter().flatten();
    codings.filter_map(|c| Some(format!("{}|{}", c["system"].as_str()?, c["code"].as_str()?))).collect()
}

fn text(value: &Value) -> Vec<String> {
    value.as_str().map(str::to_owned).into_iter().collect()
}

/// Makes searches from the values that the source has, with how many match.
fn searches(resources: &[Value]) -> Vec<(String, usize)> {
    let mut out: Vec<(String, usize)> = Vec::new();
    let mut add = |prefix: &str, counts: BTreeMap<String, usize>, most: usize| {
        out.extend(counts.into_iter().take(most).map(|(value, count)| (format!("{prefix}{value}"), count)));
    };
    add("Patient?gender=", counted(resources, "Patient", |r| text(&r["gender"])), 2);
    add(
        "Patient?birthdate=",
        counted(resources, "Patient", |r| vec![r["birthDate"].as_str().unwrap_or("")[..4].to_owned()]),
        25,
    );
    add(
        "Patient?family:exact=",
        counted(resources, "Patient", |r| {
            r["name"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|n| n["family"].as_str().map(str::to_owned))
                .collect()
        }),
        15,
    );
    add("Observation?code=", counted(resources, "Observation", |r| codings(&r["code"])), 60);
    add("Condition?code=", counted(resources, "Condition", |r| codings(&r["code"])), 45);
    add("Condition?clinical-status=", counted(resources, "Condition", |r| codings(&r["clinicalStatus"])), 5);
    add("Immunization?vaccine-code=", counted(resources, "Immunization", |r| codings(&r["vaccineCode"])), 15);
    add("Procedure?code=", counted(resources, "Procedure", |r| codings(&r["code"])), 20);
    add("Encounter?class=", counted(resources, "Encounter", |r| text(&r["class"]["code"])), 6);
    add("MedicationRequest?status=", counted(resources, "MedicationRequest", |r| text(&r["status"])), 4);
    add("Claim?status=", counted(resources, "Claim", |r| text(&r["status"])), 4);
    // Values with units, of the element that has the code: greater than, and less than.
    let weights: Vec<f64> = of_type(resources, "Observation")
        .filter(|r| codings(&r["code"]).contains(&"http://loinc.org|29463-7".to_owned()))
        .filter_map(|r| r["valueQuantity"]["value"].as_f64())
        .collect();
    for limit in [20, 40, 60, 70, 80, 90, 100, 120] {
        let above = weights.iter().filter(|w| **w > f64::from(limit)).count();
        let composite = "Observation?code-value-quantity=http://loinc.org|29463-7$gt";
        out.push((format!("{composite}{limit}"), above));
        let search = format!(
            "Observation?code=http://loinc.org|29463-7&value-quantity=gt{limit}|http://unitsofmeasure.org|kg"
        );
        out.push((search, above));
        let grams = format!("{}|http://unitsofmeasure.org|g", limit * 1000);
        out.push((format!("Observation?code=http://loinc.org|29463-7&value-quantity=gt{grams}"), above));
    }
    // What is not so, and what is missing.
    let women = of_type(resources, "Patient").filter(|r| r["gender"] == "female").count();
    let patients = of_type(resources, "Patient").count();
    out.push(("Patient?gender:not=female".to_owned(), patients - women));
    let dead = of_type(resources, "Patient").filter(|r| r["deceasedDateTime"].is_string()).count();
    out.push(("Patient?death-date:missing=false".to_owned(), dead));
    out.push(("Patient?death-date:missing=true".to_owned(), patients - dead));
    // Chains: the ids change on the way in, the references do not change their meaning.
    let full: BTreeMap<String, &Value> = of_type(resources, "Patient")
        .filter_map(|r| Some((format!("urn:uuid:{}", r["id"].as_str()?), r)))
        .collect();
    for of in ["Observation", "Condition", "Immunization", "Procedure"] {
        let mine = |r: &&Value, key: &str| {
            let subject = r[key]["reference"].as_str().unwrap_or("");
            full.get(subject).is_some_and(|p| p["gender"] == "male")
        };
        let key = if of == "Immunization" { "patient" } else { "subject" };
        let count = of_type(resources, of).filter(|r| mine(r, key)).count();
        out.push((format!("{of}?patient.gender=male"), count));
    }
    let of_men = of_type(resources, "Condition")
        .filter_map(|r| r["subject"]["reference"].as_str())
        .collect::<std::collections::BTreeSet<_>>();
    let of_men = of_men.iter().filter(|s| full.get(**s).is_some_and(|p| p["gender"] == "male")).count();
    out.push(("Patient?gender=male&_has:Condition:patient:code:missing=false".to_owned(), of_men));
    out
}

#[test]
fn the_population_is_stored_and_found() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/testdata/synthea/bundles-110-patients.tar.zst");
    let Some(resources) = source(&path) else { return };
    assert_eq!(resources.len(), 33_192);
    let folder = tempfile::tempdir().expect("folder");
    let imported = Command::new(binary())
        .args(["import", "--log", "error", "--data"])
        .arg(folder.path())
        .arg(&path)
        .output()
        .expect("imported");
    let told = String::from_utf8_lossy(&imported.stdout).into_owned();
    assert_eq!(imported.status.code(), Some(0), "{told}");
    let server = Server::start(folder.path());
    let client = server.client();
    let total = |search: &str| -> Option<usize> {
        let encoded: String = search
            .bytes()
            .map(|b| match b {
                b'|' | b' ' | b'%' | 0x80.. => format!("%{b:02X}"),
                plain => char::from(plain).to_string(),
            })
            .collect();
        let separator = if encoded.contains('?') { '&' } else { '?' };
        let answer = client.get(&format!("{encoded}{separator}_summary=count"));
        assert_eq!(answer.status, 200, "{search}: {}", String::from_utf8_lossy(&answer.body));
        answer.json()["total"].as_u64().map(|t| t as usize)
    };
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for resource in &resources {
        *types.entry(resource["resourceType"].as_str().unwrap_or_default()).or_default() += 1;
    }
    for (of, count) in &types {
        assert_eq!(total(of), Some(*count), "{of}");
    }
    let searches = searches(&resources);
    let mut wrong = Vec::new();
    for (search, expected) in &searches {
        let found = total(search);
        if found != Some(*expected) {
            wrong.push(format!("{search}: {found:?}, and {expected} in the source"));
        }
    }
    println!("{} types, {} searches", types.len(), searches.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(searches.len() >= 200, "{}", searches.len());
}
