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
    alternatives_and_intervals(resources, &mut out);
    out
}

/// Searches with several values of which one will do, and with several that must all hold.
fn alternatives_and_intervals(resources: &[Value], out: &mut Vec<(String, usize)>) {
    let codes: Vec<String> =
        counted(resources, "Observation", |r| codings(&r["code"])).into_keys().step_by(7).collect();
    let observations = |is_it: &dyn Fn(&Value) -> bool| -> usize {
        of_type(resources, "Observation").filter(|r| is_it(r)).count()
    };
    for pair in codes.windows(2).take(12) {
        let either = observations(&|r| codings(&r["code"]).iter().any(|code| pair.contains(code)));
        out.push((format!("Observation?code={},{}", pair[0], pair[1]), either));
        let (first, last) = (micros("2012-01-01T00:00:00Z"), micros("2016-01-01T00:00:00Z"));
        let within = observations(&|r| {
            let when = r["effectiveDateTime"].as_str().map(micros);
            codings(&r["code"]).contains(&pair[0]) && when.is_some_and(|when| when >= first && when < last)
        });
        out.push((format!("Observation?code={}&date=ge2012&date=lt2016", pair[0]), within));
        let outside = observations(&|r| {
            let when = r["effectiveDateTime"].as_str().map(micros);
            codings(&r["code"]).contains(&pair[0]) && when.is_some_and(|when| when < first || when >= last)
        });
        let filter = format!("code eq {} and (date lt 2012 or date ge 2016)", pair[0]);
        out.push((format!("Observation?_filter={filter}"), outside));
    }
}

/// Microseconds since 1970 of a date with time and zone.
fn micros(text: &str) -> i64 {
    let number = |range: std::ops::Range<usize>| -> i64 { text[range].parse().expect("a number") };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 of the civil calendar, years beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    let (fraction, zone) = text[19..].split_at(text[19..].find(['Z', '+', '-']).expect("a zone"));
    let fraction: f64 = format!("0{fraction}").parse().expect("a fraction");
    let offset = match zone.as_bytes() {
        [b'Z'] => 0,
        [sign, ..] => {
            let minutes: i64 =
                zone[1..3].parse::<i64>().expect("hours") * 60 + zone[4..6].parse::<i64>().expect("minutes");
            if *sign == b'-' { -minutes } else { minutes }
        }
        [] => unreachable!("there is a zone"),
    };
    (seconds - offset * 60) * 1_000_000 + (fraction * 1e6) as i64
}

/// What a sorted search shows must be in order, and all of it, page by page.
fn is_sorted<K: Ord + std::fmt::Debug>(
    client: &tests::Client,
    search: &str,
    expected: usize,
    key: impl Fn(&Value) -> K,
) {
    let (mut shown, mut ids) = (Vec::new(), std::collections::BTreeSet::new());
    let mut next = Some(format!("{search}&_count=37"));
    while let Some(page) = next {
        let answer = client.get(&page);
        assert_eq!(answer.status, 200, "{page}: {}", String::from_utf8_lossy(&answer.body));
        let bundle = answer.json();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            assert!(ids.insert(entry["resource"]["id"].to_string()), "{search} shows one twice");
            shown.push(key(&entry["resource"]));
        }
        let mut links = bundle["link"].as_array().into_iter().flatten();
        let link = links.find(|l| l["relation"] == "next");
        next = link.and_then(|l| l["url"].as_str()).map(str::to_owned);
    }
    assert_eq!(shown.len(), expected, "{search}");
    let wrong = shown.windows(2).find(|two| two[0] > two[1]);
    assert!(wrong.is_none(), "{search}: {wrong:?}");
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
                b'|' | b' ' | b'%' | b'(' | b')' | 0x80.. => format!("%{b:02X}"),
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
    use std::cmp::Reverse;
    let birth = |r: &Value| r["birthDate"].as_str().expect("a date").to_owned();
    // Of several names the first in the order counts.
    let family = |r: &Value| {
        let names = r["name"].as_array().into_iter().flatten().filter_map(|n| n["family"].as_str());
        names.map(str::to_lowercase).min().expect("a name")
    };
    let when = |r: &Value| r["effectiveDateTime"].as_str().map(micros).expect("a date");
    let weight = |r: &Value| (r["valueQuantity"]["value"].as_f64().expect("a weight") * 1e6) as i64;
    let patients = types["Patient"];
    is_sorted(&client, "Patient?_sort=birthdate", patients, birth);
    is_sorted(&client, "Patient?_sort=-birthdate", patients, |r| Reverse(birth(r)));
    is_sorted(&client, "Patient?_sort=family,-birthdate", patients, |r| (family(r), Reverse(birth(r))));
    let weights = "Observation?code=http://loinc.org%7C29463-7";
    let count = total("Observation?code=http://loinc.org|29463-7").expect("a total");
    is_sorted(&client, &format!("{weights}&_sort=date"), count, when);
    is_sorted(&client, &format!("{weights}&_sort=-value-quantity,date"), count, |r| {
        (Reverse(weight(r)), when(r))
    });
    println!("{} types, {} searches, 5 orders", types.len(), searches.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(searches.len() >= 200, "{}", searches.len());
}
