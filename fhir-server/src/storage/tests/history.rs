//! History: order, bounds and pages.

use std::sync::atomic::AtomicI64;

use fhir_model::primitive::instant::Instant;

use super::*;

/// Versions as `type/id/version`, newest first.
fn history(store: &Store, scope: &HistoryScope, bounds: HistoryBounds) -> Vec<String> {
    let found = history_of(store, scope.clone(), bounds, 100);
    assert!(found.windows(2).all(|w| w[0].updated > w[1].updated));
    found.iter().map(|v| format!("{}/{}/{}", v.key.resource_type.name(), v.key.id, v.version)).collect()
}

#[test]
fn history_is_newest_first_within_its_bounds() {
    static TIME: AtomicI64 = AtomicI64::new(10);
    let folder = folder();
    let ticks = || TIME.fetch_add(10, Ordering::Relaxed);
    let store = Store::open_with_clock(&StoreSettings::of(folder.path()), ticks).expect("open");
    let (a, b, o) = (key("Patient", "a"), key("Patient", "b"), key("Observation", "o"));
    put(&store, &a, "1"); // 10
    put(&store, &o, "1"); // 20
    put(&store, &b, "1"); // 30
    put(&store, &a, "2"); // 40
    delete(&store, &a); // 50
    put(&store, &o, "2"); // 60

    let (all, none) = (HistoryScope::System, HistoryBounds::default());
    let expected =
        ["Observation/o/2", "Patient/a/3", "Patient/a/2", "Patient/b/1", "Observation/o/1", "Patient/a/1"];
    assert_eq!(history(&store, &all, none), expected);
    let patients = HistoryScope::Type(a.resource_type);
    assert_eq!(
        history(&store, &patients, none),
        ["Patient/a/3", "Patient/a/2", "Patient/b/1", "Patient/a/1"]
    );
    // What changed is the same the other way round, whatever is taken at a time.
    let types = [a.resource_type, o.resource_type];
    for limit in [1, 2, 100] {
        let (mut after, mut changed) = (Instant(0), Vec::new());
        loop {
            let page = store.reader().expect("reader").changes(&types, after, limit).expect("changes");
            let Some(last) = page.last() else { break };
            after = last.updated;
            changed.extend(
                page.iter().map(|v| format!("{}/{}/{}", v.key.resource_type.name(), v.key.id, v.version)),
            );
        }
        changed.reverse();
        assert_eq!(changed, expected, "{limit} at a time");
    }
    let instance = HistoryScope::Instance(a);
    assert_eq!(history(&store, &instance, none), ["Patient/a/3", "Patient/a/2", "Patient/a/1"]);
    let absent = HistoryScope::Instance(key("Patient", "c"));
    assert_eq!(history(&store, &absent, none), Vec::<String>::new());

    for (since, expected) in [(0, 6), (10, 6), (11, 5), (60, 1), (61, 0)] {
        let bounds = HistoryBounds { since: Some(Instant(since)), ..none };
        assert_eq!(history(&store, &all, bounds).len(), expected, "since {since}");
    }
    // Versions that were current at some time of the half-open interval.
    for (low, high, expected) in [
        (0, 6, vec![]),
        (15, 16, vec!["Patient/a/1"]),
        (25, 36, vec!["Patient/b/1", "Observation/o/1", "Patient/a/1"]),
        (40, 50, vec!["Patient/a/2", "Patient/b/1", "Observation/o/1"]),
        (70, 80, vec!["Observation/o/2", "Patient/a/3", "Patient/b/1"]),
    ] {
        let bounds = HistoryBounds { at: Some((Instant(low), Instant(high))), ..none };
        assert_eq!(history(&store, &all, bounds), expected, "at {low} to {high}");
    }
}

#[test]
fn pages_of_history_continue_whatever_is_written_between() {
    let (_folder, store) = store();
    for n in 0..30 {
        put(&store, &key("Patient", &format!("p{}", n % 7)), &format!("v{n}"));
    }
    let whole = history(&store, &HistoryScope::System, HistoryBounds::default());
    assert_eq!(whole.len(), 30);
    for scope in [HistoryScope::System, HistoryScope::Type(key("Patient", "a").resource_type)] {
        let mut bounds = HistoryBounds::default();
        let mut pages = Vec::new();
        loop {
            let page = history_of(&store, scope.clone(), bounds, 4);
            let Some(last) = page.last() else { break };
            bounds.before = Some(last.updated);
            pages.extend(page.iter().map(|v| format!("Patient/{}/{}", v.key.id, v.version)));
            put(&store, &key("Patient", "p1"), &format!("between {}", pages.len()));
        }
        // What is written later is newer: only the first page may have it.
        pages.retain(|v| whole.contains(v));
        assert_eq!(pages, whole);
    }
}
