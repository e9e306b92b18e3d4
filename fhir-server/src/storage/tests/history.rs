//! History: order, bounds and pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fhir_model::primitive::instant::Instant;

use super::*;

/// Versions as `type/id/version`, newest first.
fn history(store: &Store, query: &HistoryQuery) -> Vec<String> {
    let found = store.read(|r| r.history(query)).map_err(|e: StorageError| e.to_string()).expect("history");
    assert!(found.windows(2).all(|w| w[0].updated > w[1].updated));
    found
        .iter()
        .map(|v| format!("{}/{}/{}", v.resource.resource_type.name(), v.resource.id, v.version))
        .collect()
}

/// A store whose clock ticks by 10 with each write, from 10 on.
fn ticking() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let time = Arc::new(AtomicI64::new(0));
    let clock = Clock::new(move || time.fetch_add(10, Ordering::Relaxed) + 10);
    let store = Store::open(StoreOptions { clock, ..options(&folder) }).expect("open");
    (folder, store)
}

#[test]
fn history_is_newest_first_within_its_bounds() {
    let (_folder, store) = ticking();
    let (a, b, o) = (key("Patient", "a"), key("Patient", "b"), key("Observation", "o"));
    put(&store, &a, "1"); // 10
    put(&store, &o, "1"); // 20
    put(&store, &b, "1"); // 30
    put(&store, &a, "2"); // 40
    delete(&store, &a); // 50
    put(&store, &o, "2"); // 60

    let all =
        ["Observation/o/2", "Patient/a/3", "Patient/a/2", "Patient/b/1", "Observation/o/1", "Patient/a/1"];
    let system = HistoryQuery::newest(HistoryScope::System, 100);
    assert_eq!(history(&store, &system), all);
    let patients = HistoryQuery::newest(HistoryScope::Type(a.resource_type), 100);
    assert_eq!(history(&store, &patients), ["Patient/a/3", "Patient/a/2", "Patient/b/1", "Patient/a/1"]);
    let instance = HistoryQuery::newest(HistoryScope::Instance(a.clone()), 100);
    assert_eq!(history(&store, &instance), ["Patient/a/3", "Patient/a/2", "Patient/a/1"]);
    let absent = HistoryQuery::newest(HistoryScope::Instance(key("Patient", "c")), 100);
    assert_eq!(history(&store, &absent), Vec::<String>::new());

    for (since, expected) in [(0, 6), (10, 6), (11, 5), (60, 1), (61, 0)] {
        let query = HistoryQuery { since: Some(Instant(since)), ..system.clone() };
        assert_eq!(history(&store, &query).len(), expected, "since {since}");
    }
    // Versions that were current at some time within the bounds.
    for (low, high, expected) in [
        (0, 5, vec![]),
        (15, 15, vec!["Patient/a/1"]),
        (25, 35, vec!["Patient/b/1", "Observation/o/1", "Patient/a/1"]),
        (40, 49, vec!["Patient/a/2", "Patient/b/1", "Observation/o/1"]),
        (70, 80, vec!["Observation/o/2", "Patient/a/3", "Patient/b/1"]),
    ] {
        let query = HistoryQuery { at: Some((Instant(low), Instant(high))), ..system.clone() };
        assert_eq!(history(&store, &query), expected, "at {low} to {high}");
    }
}

#[test]
fn pages_of_history_continue_whatever_is_written_between() {
    let (_folder, store) = store();
    for n in 0..30 {
        put(&store, &key("Patient", &format!("p{}", n % 7)), &format!("v{n}"));
    }
    let whole = history(&store, &HistoryQuery::newest(HistoryScope::System, 1000));
    assert_eq!(whole.len(), 30);
    for scope in [HistoryScope::System, HistoryScope::Type(key("Patient", "a").resource_type)] {
        let mut query = HistoryQuery::newest(scope, 4);
        let mut pages = Vec::new();
        loop {
            let page =
                store.read(|r| r.history(&query)).map_err(|e: StorageError| e.to_string()).expect("page");
            let Some(last) = page.last() else { break };
            query.before = Some(last.updated);
            pages.extend(page.iter().map(|v| format!("Patient/{}/{}", v.resource.id, v.version)));
            put(&store, &key("Patient", "p1"), &format!("between {}", pages.len()));
        }
        // What is written later is newer: only the first page may have it.
        pages.retain(|v| whole.contains(v));
        assert_eq!(pages, whole);
    }
}
