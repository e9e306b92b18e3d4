//! Opening: locks, schemas, the clock, backups.

use std::sync::atomic::AtomicI64;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_migrations::MigrationHarness;

use super::*;
use crate::storage::sqlite::MIGRATIONS;

#[test]
fn a_folder_is_opened_once() {
    let (folder, store) = store();
    let second = Store::open(&StoreSettings::of(folder.path()));
    assert!(matches!(second.err(), Some(StorageError::Locked(_))));
    drop(store);
    open(&folder);
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
    let refused = Store::open(&StoreSettings::of(folder.path())).map(|_| ()).map_err(|e| e.to_string());
    assert!(refused.as_ref().is_err_and(|e| e.contains("99990101")), "{refused:?}");
    let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("open");
    connection
        .batch_execute("DELETE FROM __diesel_schema_migrations WHERE version = '99990101'")
        .expect("undo");
    drop(connection);
    let store = open(&folder);
    assert!(current(&store, &key("Patient", "a")).is_some());
}

/// A database as the first schema left it, with one resource in it.
const FIRST: &str = include_str!("version_1.sql");

/// Opens what each schema since the first has left, after a process that was
/// killed in the midst of the next migration.
#[test]
fn databases_of_every_earlier_schema_are_brought_up_to_date() {
    let mut all = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).expect("embedded");
    all.sort_by_key(|m| m.name().version().to_string());
    for earlier in 1..=all.len() {
        let folder = folder();
        let path = folder.path().join("lanterna.sqlite");
        let mut connection = SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("open");
        connection.batch_execute("PRAGMA journal_mode = WAL").expect("mode");
        connection.batch_execute(FIRST).expect("fixture");
        for migration in &all[1..earlier] {
            connection.run_migration(&**migration).expect("migration");
        }
        if let Some(next) = all.get(earlier) {
            connection.batch_execute("BEGIN").expect("transaction");
            next.run(&mut connection).expect("migration");
        }
        drop(connection);
        let store = Store::open(&StoreSettings::of(folder.path())).expect("open");
        let patient = key("Patient", "a");
        let read = current(&store, &patient).expect("there");
        assert_eq!(
            json_of(&read),
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"2","lastUpdated":"2026-11-23T13:05:44.123456Z"},"text":"bc"}"#
        );
        check_invariants(&store);
        let scope = HistoryScope::Instance(patient.clone());
        assert_eq!(history_of(&store, scope, HistoryBounds::default(), 10).len(), 2);
        assert_eq!(put(&store, &patient, "d").version.0, 3);
        check_invariants(&store);
    }
}

#[test]
fn instants_go_on_behind_what_is_stored_whatever_the_clock_says() {
    static TIME: AtomicI64 = AtomicI64::new(1_000_000);
    let folder = folder();
    let open = || {
        let now = || TIME.load(Ordering::Relaxed);
        Store::open_with_clock(&StoreSettings::of(folder.path()), now).expect("open")
    };
    let store = open();
    let patient = key("Patient", "a");
    let mut last = put(&store, &patient, "0").updated;
    for (n, clock) in [5, 2_000_000, 1, 1, 3_600_000_000].into_iter().enumerate() {
        TIME.store(clock, Ordering::Relaxed);
        let updated = put(&store, &patient, &format!("n{n}")).updated;
        assert!(updated > last);
        last = updated;
    }
    delete(&store, &patient);
    drop(store);
    TIME.store(7, Ordering::Relaxed);
    assert!(put(&open(), &patient, "later").updated.0 > last.0 + 1);
}

#[test]
fn a_backup_is_a_database_of_its_own() {
    let (_folder, store) = store();
    for n in 0..50 {
        put(&store, &key("Patient", &format!("p{n}")), "abc");
    }
    let target = folder();
    store.backup(&target.path().join("lanterna.sqlite")).expect("backup");
    assert!(store.backup(&target.path().join("lanterna.sqlite")).is_err(), "never overwrites");
    put(&store, &key("Patient", "later"), "x");
    let copy = open(&target);
    assert_eq!(integers(&copy, "SELECT count(*) FROM resource"), [50]);
    check_invariants(&copy);
    put(&copy, &key("Patient", "other"), "x");
}
