//! Create, update, delete: what is stored and what is told.

use super::*;

#[test]
fn a_resource_is_created_updated_deleted_and_comes_back() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    assert!(current(&store, &patient).is_none());
    let prepared = resource(&patient, "abc");
    let created = write(&store, move |unit| unit.create(prepared, Operation::Create)).expect("create");
    assert_eq!(created.version, VersionId(1));
    let read = current(&store, &patient).expect("there");
    assert_eq!(read.number, created.updated.0);
    let expected = format!(
        r#"{{"resourceType":"Patient","id":"a","meta":{{"versionId":"1","lastUpdated":"{}"}},"text":"abc"}}"#,
        created.updated
    );
    assert_eq!(json_of(&read), expected);

    let updated = put(&store, &patient, "bcd");
    assert!(updated.changed && updated.version == VersionId(2) && updated.updated > created.updated);
    let deleted = delete(&store, &patient).expect("was there");
    assert!(deleted.changed && deleted.version == VersionId(3));
    let read = current(&store, &patient).expect("row stays");
    assert!(read.deleted);
    assert_eq!(json_of(&read), "");
    assert_eq!(index_dump(&store), Vec::<String>::new());
    let again = delete(&store, &patient).expect("row stays");
    assert!(!again.changed && again.version == VersionId(3));
    assert_eq!(put(&store, &patient, "x").version, VersionId(4));
    check_invariants(&store);

    let versions: Vec<(u32, bool, Operation)> = (1..6)
        .filter_map(|n| store.reader().expect("reader").version(&patient, VersionId(n)).expect("vread"))
        .map(|v| (v.version.0, v.deleted, v.operation))
        .collect();
    let expected = [
        (1, false, Operation::Create),
        (2, false, Operation::Update),
        (3, true, Operation::Delete),
        (4, false, Operation::Update),
    ];
    assert_eq!(versions, expected);
}

#[test]
fn an_existing_resource_is_not_created_again() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let prepared = resource(&patient, "b");
    let again = write(&store, move |unit| unit.create(prepared, Operation::Create));
    assert_eq!(again, Err(IssueType::Conflict));
    assert_eq!(current(&store, &patient).map(|r| r.version), Some(VersionId(1)));
    check_invariants(&store);
}

#[test]
fn an_update_writes_the_difference_and_the_same_content_nothing() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "abc");
    let first = put(&store, &patient, "bcd");
    let index = index_dump(&store);
    assert_eq!(index.len(), 16);
    let size = || {
        // The figure is taken after the answer: the next job comes later.
        write(&store, |_| Ok(())).expect("nothing");
        store.statistics().0.log_bytes.load(Ordering::Relaxed)
    };
    let before = size();
    let again = put(&store, &patient, "bcd");
    assert_eq!(again, Written { changed: false, ..first });
    assert_eq!(size(), before, "nothing was written");
    assert_eq!(index_dump(&store), index);
    check_invariants(&store);
}

#[test]
fn the_same_content_with_other_rows_is_reindexed() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    let first = put(&store, &patient, "abc");
    let prepared = with_rows(&patient, "abc", rows("xyz"));
    let again = write(&store, move |unit| put_in(unit, prepared, Operation::Update)).expect("update");
    assert_eq!(again, Written { changed: false, ..first });
    assert!(index_dump(&store).iter().any(|line| line.starts_with("text -3 x ")));
    let seen = current(&store, &patient).expect("there");
    write(&store, move |unit| unit.reindex(&seen, &rows("q"))).expect("reindex");
    assert_eq!(index_dump(&store).len(), 6);
    check_invariants(&store);
}

#[test]
fn what_has_changed_meanwhile_is_not_overwritten() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let seen = current(&store, &patient).expect("there");
    put(&store, &patient, "b");
    let (for_update, for_delete, prepared) = (seen.clone(), seen, resource(&patient, "c"));
    let updated = write(&store, move |unit| unit.update(&for_update, prepared, Operation::Update));
    assert_eq!(updated, Err(IssueType::Conflict));
    assert_eq!(write(&store, move |unit| unit.delete(&for_delete)), Err(IssueType::Conflict));
    assert_eq!(current(&store, &patient).map(|r| r.version), Some(VersionId(2)));
    check_invariants(&store);
}

#[test]
fn a_job_reads_what_it_wrote_and_others_do_not() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    let (outside, prepared) = (Arc::clone(&store), resource(&patient, "a"));
    let of = patient.resource_type;
    let wanted = patient.clone();
    let seen = write(&store, move |unit| {
        let written = unit.create(prepared, Operation::Create)?;
        let found = unit.integers(&sql("SELECT key FROM equal WHERE hash = ?", vec![Bind::Integer(97)]))?;
        let number = unit.current(&wanted)?.map(|r| r.number);
        Ok((
            found == [written.updated.0],
            number.is_some(),
            unit.count(Some(of))?,
            outside.read_current(&wanted)?.is_none(),
        ))
    });
    assert_eq!(seen, Ok((true, true, 1, true)));
    assert!(current(&store, &patient).is_some());
}

#[test]
fn another_resource_of_the_same_hash_is_neither_read_nor_overwritten() {
    let (_folder, store) = store();
    let (mine, other) = (key("Patient", "mine"), key("Patient", "other"));
    put(&store, &mine, "a");
    // Give the row the hash of the other id, as if the two hashes were one.
    let hash = TargetHash::of_resource(other.resource_type, "other").0;
    write(&store, move |unit| {
        unit.integers(&sql("UPDATE resource SET ref = ? RETURNING key", vec![Bind::Integer(hash)]))
    })
    .expect("update");
    assert!(current(&store, &other).is_none());
    let prepared = resource(&other, "b");
    let written = write(&store, move |unit| put_in(unit, prepared, Operation::Update));
    assert_eq!(written, Err(IssueType::Conflict));
    assert!(delete(&store, &other).is_none());
}

#[test]
fn readers_cannot_write_and_wait_only_so_long() {
    let folder = folder();
    let settings = StoreSettings { readers_max: 1, reader_wait_ms: 50, ..StoreSettings::of(folder.path()) };
    let store = Store::open(&settings).expect("open");
    let mut reader = store.reader().expect("reader");
    let refused = reader.integers(&sql("DELETE FROM resource RETURNING key", Vec::new()));
    assert!(refused.is_err(), "{refused:?}");
    assert!(matches!(store.reader().err(), Some(StorageError::Busy(_))));
    // Reads by id do not wait for the pool.
    assert!(store.read_current(&key("Patient", "a")).expect("read").is_none());
    drop(reader);
    assert!(store.reader().is_ok());
}

#[test]
fn a_snapshot_does_not_move_and_outlives_no_panic() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let mut reader = store.reader().expect("reader");
    let seen = reader.snapshot(|reader| {
        let first = reader.current(&patient)?;
        put(&store, &patient, "b");
        let second = reader.current(&patient)?;
        Ok([first, second].map(|found| found.map(|r| r.version.0)))
    });
    assert_eq!(seen.ok(), Some([Some(1), Some(1)]));
    assert_eq!(reader.current(&patient).expect("read").map(|r| r.version.0), Some(2));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reader.snapshot(|reader| -> Result<(), Issue> {
            reader.count(None)?;
            std::panic::resume_unwind(Box::new(()))
        })
    }));
    assert!(caught.is_err());
    drop(reader);
    put(&store, &patient, "c");
    for _ in 0..20 {
        let mut reader = store.reader().expect("reader");
        assert_eq!(reader.current(&patient).expect("read").map(|r| r.version.0), Some(3));
    }
}

#[test]
fn facts_are_noted_with_the_job() {
    let (_folder, store) = store();
    write(&store, |unit| unit.set("name", "1").and_then(|()| unit.set("name", "2"))).expect("set");
    let failed: Result<(), IssueType> =
        write(&store, |unit| unit.set("name", "3").and(Err(StorageError::Outdated)));
    assert_eq!(failed, Err(IssueType::Conflict));
    assert_eq!(write(&store, |unit| unit.setting("name")), Ok(Some("2".to_owned())));
    assert_eq!(write(&store, |unit| unit.setting("other")), Ok(None));
}
