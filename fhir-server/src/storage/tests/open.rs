//! Opening: locks, schemas, the clock, backups.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::*;

#[test]
fn a_folder_is_opened_once() {
    let (folder, store) = store();
    let second = Store::open(options(&folder));
    assert!(matches!(second, Err(StorageError::Locked(_))));
    drop(store);
    Store::open(options(&folder)).expect("free again");
}

#[test]
fn a_newer_schema_is_refused_untouched() {
    let (folder, store) = store();
    put(&store, &key("Patient", "a"), "a");
    drop(store);
    let path = folder.path().join("lanterna.sqlite");
    let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("open");
    connection
        .batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101')")
        .expect("pretend");
    drop(connection);
    let refused = Store::open(options(&folder)).map(|_| ()).map_err(|e| e.to_string());
    assert!(refused.as_ref().is_err_and(|e| e.contains("99990101")), "{refused:?}");
    let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("open");
    connection
        .batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '99990101'")
        .expect("undo");
    drop(connection);
    let store = Store::open(options(&folder)).expect("known again");
    assert!(current(&store, &key("Patient", "a")).is_some());
}

/// Databases as each schema version left them, with one resource in them.
const EARLIER: &[&str] = &[include_str!("version_1.sql")];

#[test]
fn databases_of_every_earlier_schema_are_brought_up_to_date() {
    for fixture in EARLIER {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("lanterna.sqlite");
        let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("open");
        connection.batch_execute(fixture).expect("fixture");
        drop(connection);
        let store = Store::open(options(&folder)).expect("open");
        let patient = key("Patient", "a");
        let read = current(&store, &patient).expect("there");
        assert_eq!(
            json_of(&read),
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"2","lastUpdated":"2026-11-23T13:05:44.123456Z"},"text":"bc"}"#
        );
        check_invariants(&store);
        let query = HistoryQuery::newest(HistoryScope::Instance(patient.clone()), 10);
        let history = store.read(|r| r.history(&query)).map_err(|e: StorageError| e.to_string());
        assert_eq!(history.map(|h| h.len()), Ok(2));
        assert_eq!(put(&store, &patient, "d").version.0, 3);
        check_invariants(&store);
    }
}

#[test]
fn instants_go_on_behind_what_is_stored_whatever_the_clock_says() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let time = Arc::new(AtomicI64::new(1_000_000));
    let open = |folder| {
        let told = Arc::clone(&time);
        let clock = Clock::new(move || told.load(Ordering::Relaxed));
        Store::open(StoreOptions { clock, ..options(folder) }).expect("open")
    };
    let store = open(&folder);
    let patient = key("Patient", "a");
    let mut last = put(&store, &patient, "0").updated;
    for (n, clock) in [5, 2_000_000, 1, 1, 3_600_000_000].into_iter().enumerate() {
        time.store(clock, Ordering::Relaxed);
        let updated = put(&store, &patient, &format!("n{n}")).updated;
        assert!(updated > last);
        last = updated;
    }
    delete(&store, &patient);
    drop(store);
    time.store(7, Ordering::Relaxed);
    let store = open(&folder);
    assert!(put(&store, &patient, "later").updated.0 > last.0 + 1);
}

#[test]
fn a_backup_is_a_database_of_its_own() {
    let (_folder, store) = store();
    for n in 0..50 {
        put(&store, &key("Patient", &format!("p{n}")), "abc");
    }
    let target = tempfile::tempdir().expect("temporary folder");
    store.backup(&target.path().join("lanterna.sqlite")).expect("backup");
    assert!(store.backup(&target.path().join("lanterna.sqlite")).is_err(), "never overwrites");
    put(&store, &key("Patient", "later"), "x");
    let copy = Store::open(options(&target)).expect("open the copy");
    assert_eq!(select::<i64>(&copy, "SELECT count(*) FROM resource"), [50]);
    check_invariants(&copy);
    put(&copy, &key("Patient", "other"), "x");
}
