//! Create, update, delete: what is stored and what is told.

use super::*;

#[test]
fn a_resource_is_created_updated_deleted_and_comes_back() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    assert!(current(&store, &patient).is_none());

    let prepared = resource(&patient, "abc");
    let created = write(&store, move |unit| unit.create(&prepared)).expect("create");
    assert_eq!((created.version.0, created.change), (1, Change::Created));
    assert_eq!(created.key, created.updated.0);
    let read = current(&store, &patient).expect("there");
    assert_eq!(
        json_of(&read),
        format!(
            r#"{{"resourceType":"Patient","id":"a","meta":{{"versionId":"1","lastUpdated":"{}"}},"text":"abc"}}"#,
            created.updated
        )
    );

    let updated = put(&store, &patient, "bcd");
    assert_eq!((updated.version.0, updated.change, updated.key), (2, Change::Updated, created.key));
    assert!(updated.updated > created.updated);

    let deleted = delete(&store, &patient).expect("was there");
    assert_eq!((deleted.version.0, deleted.change), (3, Change::Deleted));
    let read = current(&store, &patient).expect("row stays");
    assert!(read.deleted);
    assert_eq!(json_of(&read), "");
    assert_eq!(index_dump(&store), Vec::<String>::new());
    assert_eq!(delete(&store, &patient).map(|w| (w.version.0, w.change)), Some((3, Change::Unchanged)));

    let prepared = resource(&patient, "x");
    let back = write(&store, move |unit| unit.create(&prepared)).expect("create again");
    assert_eq!((back.version.0, back.change, back.key), (4, Change::Created, created.key));
    check_invariants(&store);

    let read_version = |n| {
        store
            .read(|r| r.version(&patient, fhir_model::interaction::VersionId(n)))
            .map_err(|e: StorageError| e.to_string())
            .expect("vread")
            .map(|v| (v.deleted, v.operation, json_of(&v).contains(r#""text""#)))
    };
    assert_eq!(read_version(1), Some((false, Operation::Create, true)));
    assert_eq!(read_version(2), Some((false, Operation::Update, true)));
    assert_eq!(read_version(3), Some((true, Operation::Delete, false)));
    assert_eq!(read_version(4), Some((false, Operation::Create, true)));
    assert_eq!(read_version(5), None);
    assert!(delete(&store, &key("Patient", "never")).is_none());
}

#[test]
fn an_existing_resource_is_not_created_again() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let prepared = resource(&patient, "b");
    let again = store.write_blocking(move |unit| unit.create(&prepared));
    assert!(matches!(again, Err(StorageError::Exists)));
    assert_eq!(current(&store, &patient).map(|r| r.version.0), Some(1));
    check_invariants(&store);
}

#[test]
fn an_update_writes_the_difference_and_the_same_content_nothing() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "abc");
    let first = put(&store, &patient, "bcd");
    let index = index_dump(&store);
    assert_eq!(index.len(), 15);
    let size = || {
        // The figure is taken after the answer: the next job comes later.
        write(&store, |_| Ok(())).expect("nothing");
        (select::<i64>(&store, "SELECT count(*) FROM version"), store.statistics().log_bytes)
    };
    let before = size();
    let again = put(&store, &patient, "bcd");
    assert_eq!(
        (again.change, again.version, again.updated),
        (Change::Unchanged, first.version, first.updated)
    );
    assert_eq!(size(), before, "nothing was written");
    assert_eq!(index_dump(&store), index);
    check_invariants(&store);
}

#[test]
fn the_same_content_with_other_rows_is_reindexed() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    let first = put(&store, &patient, "abc");
    let mut prepared = resource(&patient, "abc");
    prepared = PreparedResource { packed: packed::pack(&rows("xyz")), rows: rows("xyz"), ..prepared };
    prepared.rows.normalize();
    let again = write(&store, move |unit| unit.update(&prepared, Operation::Update)).expect("update");
    assert_eq!((again.change, again.version), (Change::Unchanged, first.version));
    assert!(index_dump(&store).iter().any(|line| line.starts_with("text -3 x ")));
    let for_job = patient.clone();
    assert_eq!(write(&store, move |unit| unit.reindex(&for_job, rows("q"))), Ok(true));
    assert_eq!(index_dump(&store).len(), 5);
    assert_eq!(write(&store, |unit| unit.reindex(&key("Patient", "b"), rows("q"))), Ok(false));
    check_invariants(&store);
}

#[test]
fn a_job_reads_what_it_wrote_and_others_do_not() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    let outside = store.clone();
    let prepared = resource(&patient, "a");
    let seen = write(&store, move |unit| {
        let written = unit.create(&prepared)?;
        let sql = RenderedSql::new("SELECT key FROM equal WHERE hash = ?", vec![Bind::Integer(97)]);
        let found = unit.reader()?.rows::<i64>(&sql)?;
        assert_eq!(found, [written.key]);
        assert_eq!(unit.reader()?.current(&prepared.key)?.map(|r| r.version.0), Some(1));
        assert_eq!(unit.reader()?.count(prepared.key.resource_type)?, 1);
        outside.read(|reader| reader.current(&prepared.key))
    });
    assert_eq!(seen, Ok(None));
    assert!(current(&store, &patient).is_some());
}

#[test]
fn keys_counts_searches_and_settings_are_read() {
    let (_folder, store) = store();
    let written: Vec<i64> =
        (0..40).map(|n| put(&store, &key("Patient", &format!("p{n}")), "a").key).collect();
    put(&store, &key("Observation", "o"), "abc");
    delete(&store, &key("Patient", "p3"));
    let mut wanted: Vec<i64> = written.iter().rev().copied().collect();
    wanted.push(-1);
    wanted.push(written[0]);
    let found = store.read(|r| r.by_keys(&wanted)).map_err(|e: StorageError| e.to_string()).expect("by keys");
    let ids: Vec<String> = found.iter().map(|r| r.resource.id.to_string()).collect();
    let expected: Vec<String> = (0..40).rev().filter(|n| *n != 3).map(|n| format!("p{n}")).collect();
    assert_eq!(ids, expected);

    let counts = store.read(|r| r.counts()).map_err(|e: StorageError| e.to_string()).expect("counts");
    let mut counts: Vec<(&str, u64)> = counts.iter().map(|(t, n)| (t.name(), *n)).collect();
    counts.sort();
    assert_eq!(counts, [("Observation", 1), ("Patient", 39)]);
    let device = key("Device", "x").resource_type;
    assert_eq!(store.read(|r| r.count(device)).map_err(|e: StorageError| e.to_string()), Ok(0));

    let sql = format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE id = ?");
    let statement = RenderedSql::new(sql, vec![Bind::Text("o".to_owned())]);
    let found =
        store.read(|r| r.resources(&statement)).map_err(|e: StorageError| e.to_string()).expect("sql");
    assert_eq!(found.iter().map(|r| r.resource.clone()).collect::<Vec<_>>(), [key("Observation", "o")]);

    write(&store, |unit| unit.set("name", "1").and_then(|()| unit.set("name", "2"))).expect("set");
    let setting = |name| store.read(|r| r.setting(name)).map_err(|e: StorageError| e.to_string());
    assert_eq!(setting("name"), Ok(Some("2".to_owned())));
    assert_eq!(setting("other"), Ok(None));
}

#[test]
fn another_resource_of_the_same_hash_is_neither_read_nor_overwritten() {
    let (_folder, store) = store();
    let (mine, other) = (key("Patient", "mine"), key("Patient", "other"));
    put(&store, &mine, "a");
    // Give the row the hash of the other id, as if the two hashes were one.
    let hash = TargetHash::of_resource(other.resource_type, "other").0;
    write(&store, move |unit| {
        let sql = RenderedSql::new("UPDATE resource SET ref = ? RETURNING key", vec![Bind::Integer(hash)]);
        unit.reader()?.rows::<i64>(&sql)
    })
    .expect("update");
    assert!(current(&store, &other).is_none());
    let prepared = resource(&other, "b");
    let written = store.write_blocking(move |unit| unit.update(&prepared, Operation::Update));
    assert!(matches!(written, Err(StorageError::Collision)));
    assert!(delete(&store, &other).is_none());
}

#[test]
fn readers_cannot_write_and_wait_only_so_long() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let options = StoreOptions {
        readers: 1,
        local_readers: 1,
        reader_wait: std::time::Duration::from_millis(50),
        ..options(&folder)
    };
    let store = Store::open(options).expect("open");
    let sql = RenderedSql::new("DELETE FROM resource RETURNING key", Vec::new());
    let refused = store.read(|r| r.rows::<i64>(&sql));
    assert!(matches!(refused, Err(StorageError::Unavailable(_) | StorageError::Statement(_))), "{refused:?}");
    let waited = store.read(|_| -> Result<(), StorageError> {
        let second: Result<(), StorageError> = store.read(|_| Ok(()));
        assert!(matches!(second, Err(StorageError::Busy(Full::Readers))));
        // The readers for threads are others.
        store.read_here(|reader| {
            reader.counts()?;
            let nested: Result<(), StorageError> = store.read_here(|_| Ok(()));
            assert!(matches!(nested, Err(StorageError::Busy(Full::Readers))));
            Ok(())
        })
    });
    assert!(waited.is_ok());
}

#[test]
fn a_reader_that_panics_within_a_snapshot_is_replaced() {
    let (_folder, store) = store();
    put(&store, &key("Patient", "a"), "a");
    for local in [true, false] {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let read = |r: &mut Reader| -> Result<(), StorageError> {
                r.snapshot(|r| {
                    r.counts()?;
                    std::panic::resume_unwind(Box::new(()))
                })
            };
            if local { store.read_here(read) } else { store.read(read) }
        }));
        assert!(caught.is_err());
        for _ in 0..20 {
            let count = |r: &mut Reader| r.snapshot(|r| r.count(key("Patient", "a").resource_type));
            let found: Result<u64, StorageError> =
                if local { store.read_here(count) } else { store.read(count) };
            assert_eq!(found.ok(), Some(1));
        }
    }
}

#[test]
fn a_snapshot_does_not_move() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let seen: Result<Vec<u32>, StorageError> = store.read(|reader| {
        reader.snapshot(|reader| {
            let first = reader.head(&patient)?;
            put(&store, &patient, "b");
            let second = reader.head(&patient)?;
            Ok([first, second].into_iter().flatten().map(|h| h.version.0).collect())
        })
    });
    assert_eq!(seen.ok(), Some(vec![1, 1]));
    assert_eq!(current(&store, &patient).map(|r| r.version.0), Some(2));
}
