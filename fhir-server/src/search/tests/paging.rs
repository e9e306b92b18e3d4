//! Pages lose and repeat nothing, whatever is written between them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use fhir_model::schema::ty;
use serde_json::json;

use super::*;

fn patient(id: &str, family: &str, born: Option<u32>) -> Value {
    let mut patient =
        json!({"resourceType": "Patient", "id": id, "active": true, "name": [{"family": family}]});
    if let Some(year) = born {
        patient["birthDate"] = json!(year.to_string());
    }
    patient
}

fn many(count: u32) -> Vec<Value> {
    (0..count)
        .map(|n| {
            let born = if n % 5 == 0 { None } else { Some(1950 + n * 7 % 40) };
            patient(&format!("p{n}"), &format!("Famiglia{}", n * 13 % 17), born)
        })
        .collect()
}

/// Follows `next` from a search to its end; calls `between` before each page but the first.
fn follow(fixture: &Fixture, url: &str, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut shown = Vec::new();
    let mut next = Some(url.to_owned());
    let mut pages = 0;
    while let Some(page) = next {
        if pages > 0 {
            between(pages);
        }
        let bundle = fixture.ask(&page, Handling::Strict).expect("a page");
        assert!(!bundle["entry"].is_null() || pages > 0 || shown.is_empty());
        shown.extend(ids(&bundle, "match"));
        next = link(&bundle, "next").map(str::to_owned);
        pages += 1;
        assert!(pages < 1000, "paging comes to no end");
    }
    shown
}

const ORDERS: &[&str] = &[
    "",
    "&_sort=_lastUpdated",
    "&_sort=-_lastUpdated",
    "&_sort=birthdate",
    "&_sort=-birthdate",
    "&_sort=family",
    "&_sort=-family,birthdate",
    "&_sort=-birthdate,-_id",
    "&_sort=_id",
];

#[test]
fn pages_put_together_are_the_whole() {
    let fixture = Fixture::new();
    fixture.put(&many(60));
    for order in ORDERS {
        for criteria in ["active=true", "active:not=false", "name=famiglia"] {
            let whole = fixture.ids(&format!("Patient?{criteria}&_count=1000{order}")).expect("whole");
            assert_eq!(whole.len(), 60, "{criteria}{order}");
            let url = format!("Patient?{criteria}&_count=7{order}");
            assert_eq!(follow(&fixture, &url, |_| {}), whole, "{url}");
        }
    }
}

#[test]
fn previous_leads_back() {
    let fixture = Fixture::new();
    fixture.put(&many(40));
    for order in ORDERS {
        let url = format!("Patient?active=true&_count=9{order}");
        let mut bundles = vec![fixture.ask(&url, Handling::Strict).expect("first")];
        while let Some(next) = bundles.last().and_then(|b| link(b, "next")) {
            let bundle = fixture.ask(next, Handling::Strict).expect("next");
            bundles.push(bundle);
        }
        assert_eq!(bundles.len(), 5, "{url}");
        assert!(link(&bundles[0], "previous").is_none());
        for pair in bundles.windows(2) {
            let previous = link(&pair[1], "previous").expect("previous");
            let back = fixture.ask(previous, Handling::Strict).expect("previous");
            assert_eq!(ids(&back, "match"), ids(&pair[0], "match"), "{url}");
        }
    }
}

#[test]
fn what_changes_between_pages_moves_nothing() {
    for order in ORDERS {
        let fixture = Fixture::new();
        fixture.put(&many(50));
        let url = format!("Patient?active=true&_count=6{order}");
        let before = follow(&fixture, &url, |_| {});
        let mut deleted = Vec::new();
        let mut number = 0;
        let shown = follow(&fixture, &url, |page| {
            // Those shown and those to come change in every value that orders them.
            for step in 0..8u32 {
                number += 1;
                let id = (number * 11) % 50;
                if !deleted.contains(&format!("p{id}")) {
                    let born = if step % 3 == 0 { None } else { Some(1940 + number % 60) };
                    fixture.put(&[patient(&format!("p{id}"), &format!("Altra{number}"), born)]);
                }
                fixture.put(&[patient(&format!("new{number}"), "Nuova", Some(1960))]);
            }
            let id = format!("p{}", page * 3);
            if !deleted.contains(&id) {
                fixture.delete(ty::PATIENT, &id);
                deleted.push(id);
            }
        });
        let kept = |list: &[String]| -> Vec<String> {
            list.iter().filter(|id| id.starts_with('p') && !deleted.contains(id)).cloned().collect()
        };
        assert_eq!(kept(&shown), kept(&before), "{url}");
        let mut times: BTreeMap<&String, usize> = BTreeMap::new();
        shown.iter().for_each(|id| *times.entry(id).or_default() += 1);
        assert!(times.values().all(|n| *n == 1), "{url}: {times:?}");
        assert!(!shown.iter().any(|id| id.starts_with("new")), "{url}: later resources do not join in");
    }
}

#[test]
fn pages_hold_while_others_write() {
    let fixture = Fixture::new();
    fixture.put(&many(80));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..3u32 {
            let (fixture, stop) = (&fixture, &stop);
            scope.spawn(move || {
                let mut number = writer;
                while !stop.load(Ordering::Relaxed) {
                    number += 3;
                    let born = Some(1930 + number % 90);
                    fixture.put(&[patient(
                        &format!("p{}", number % 80),
                        &format!("Altra{}", number % 7),
                        born,
                    )]);
                    fixture.put(&[patient(&format!("new{number}"), "Nuova", born)]);
                    if number % 5 == 0 {
                        fixture.delete(ty::PATIENT, &format!("new{number}"));
                    }
                }
            });
        }
        for order in ORDERS {
            let url = format!("Patient?active=true&_count=11{order}");
            let shown = follow(&fixture, &url, |_| {});
            let mut old: Vec<&String> = shown.iter().filter(|id| id.starts_with('p')).collect();
            old.sort();
            let mut expected: Vec<String> = (0..80).map(|n| format!("p{n}")).collect();
            expected.sort();
            assert_eq!(old, expected.iter().collect::<Vec<_>>(), "{url}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn links_are_checked() {
    let fixture = Fixture::new();
    fixture.put(&many(10));
    let bundle = fixture.ask("Patient?active=true&_count=3", Handling::Strict).expect("page");
    let next = link(&bundle, "next").expect("next").to_owned();
    assert!(fixture.ask(&next, Handling::Strict).is_ok());
    for broken in [
        next.replace("active=true", "active=false"),
        next.replace("_count=3", "_count=4"),
        next.replace("Patient?", "Practitioner?"),
        next.replace("_cursor=", "_cursor=A"),
        next[..next.len() - 1].to_owned(),
        format!("{next}&_sort=birthdate"),
        "Patient?_cursor=%00".to_owned(),
    ] {
        let issue = fixture.ask(&broken, Handling::Lenient).expect_err(&broken);
        assert!(issue.diagnostics.contains("page link"), "{broken}: {issue}");
    }
}
