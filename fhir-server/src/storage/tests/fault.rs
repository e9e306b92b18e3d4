//! Faults: a full disk, damage, and what is told of them.

use fhir_model::outcome::Reason;

use super::*;

#[test]
fn a_full_database_refuses_whole_transactions_and_recovers() {
    let (_folder, store) = store();
    let kept = key("Patient", "kept");
    put(&store, &kept, "a");
    let pages: i64 = integers(&store, "SELECT page_count FROM pragma_page_count()").iter().sum();
    store.limit_size(Some(pages as u64 * 4096));
    // Noise does not compress, so it needs pages.
    let noise = |n: u64| {
        let mut state = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut text = String::new();
        while text.len() < 200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            text.push_str(&format!("{state:016x}"));
        }
        text
    };
    for round in 0..3 {
        let big = resource(&key("Patient", &format!("big{round}")), &noise(round));
        let small = resource(&kept, &format!("lost{round}"));
        let refused = store
            .write_blocking(move |unit| {
                put_in(unit, small, Operation::Update)?;
                // Whatever a job makes of the failure, nothing of it is stored.
                if unit.create(big, Operation::Create).is_ok() {
                    Err(Issue::error(IssueType::Value))
                } else {
                    Ok(())
                }
            })
            .expect_err("full");
        assert_eq!((refused.code, refused.reason), (IssueType::NoStore, Reason::InsufficientStorage));
        assert_eq!(current(&store, &kept).map(|r| r.version.0), Some(1), "reads go on");
    }
    assert_eq!(store.statistics().0.failures.load(Ordering::Relaxed), 3);
    store.limit_size(None);
    let big = resource(&key("Patient", "big"), &noise(9));
    assert_eq!(write(&store, move |unit| unit.create(big, Operation::Create)).map(|w| w.version.0), Ok(1));
    assert_eq!(put(&store, &kept, "b").version.0, 2);
    assert_eq!(integers(&store, "SELECT count(*) FROM resource"), [2]);
    check_invariants(&store);
}

#[test]
fn a_database_that_cannot_be_opened_is_unavailable_until_it_can() {
    let (folder, store) = store();
    put(&store, &key("Patient", "a"), "a");
    // Fail a transaction so that the connection has to be opened anew, where a folder now is.
    let path = folder.path().join("lanterna.sqlite");
    let aside = folder.path().join("aside");
    let (from, to) = (path.clone(), aside.clone());
    let failed = write(&store, move |unit| {
        std::fs::rename(&from, &to).expect("rename");
        std::fs::create_dir(&from).expect("folder in its place");
        Ok(diesel::connection::SimpleConnection::batch_execute(unit.connection(), "RELEASE absent")?)
    });
    assert_eq!(failed, Err(IssueType::Transient));
    assert_eq!(write(&store, |unit| unit.set("a", "b")), Err(IssueType::Transient));
    std::fs::remove_dir(&path).expect("remove");
    std::fs::rename(&aside, &path).expect("rename back");
    assert_eq!(put(&store, &key("Patient", "b"), "b").version.0, 1);
    assert_eq!(integers(&store, "SELECT count(*) FROM resource"), [2]);
}

#[test]
fn damage_is_told_of_the_item_and_of_no_other() {
    let (_folder, store) = store();
    let (good, bad) = (key("Patient", "good"), key("Patient", "bad"));
    put(&store, &good, "a");
    put(&store, &bad, "b");
    let damage = |text: &'static str| {
        write(&store, move |unit| unit.integers(&sql(text, Vec::new()))).expect("damage");
    };
    damage("UPDATE resource SET index_keys = x'0102' WHERE id = 'bad' RETURNING key");
    assert!(json_of(&current(&store, &bad).expect("row")).contains(r#""text":"b""#), "still read");
    let prepared = resource(&bad, "c");
    let updated = write(&store, move |unit| put_in(unit, prepared, Operation::Update));
    assert_eq!(updated, Err(IssueType::Exception));
    damage("UPDATE resource SET body = x'00112233445566' WHERE id = 'bad' RETURNING key");
    // On the disk: what is kept in memory is not damaged by that.
    let read = store.reader().expect("reader").current(&bad).expect("read").expect("row");
    let told = read.write_json(&mut Vec::new());
    assert!(matches!(told, Err(StorageError::Damaged { .. })));
    assert!(json_of(&current(&store, &good).expect("row")).contains(r#""text":"a""#));
    assert_eq!(put(&store, &good, "d").version, VersionId(2));
}

#[test]
fn failures_are_told_without_details() {
    let secret = "/var/lib/secret";
    for (error, code, reason) in [
        (StorageError::Busy("reads"), IssueType::Throttled, Reason::None),
        (StorageError::Full(secret.into()), IssueType::NoStore, Reason::InsufficientStorage),
        (StorageError::Unavailable(secret.into()), IssueType::Transient, Reason::None),
        (StorageError::Corrupt(secret.into()), IssueType::Exception, Reason::None),
        (StorageError::Statement(secret.into()), IssueType::Exception, Reason::None),
        (StorageError::Damaged { key: 7 }, IssueType::Exception, Reason::None),
        (StorageError::Panicked, IssueType::Exception, Reason::None),
        (StorageError::Closed, IssueType::Transient, Reason::None),
        (StorageError::Outdated, IssueType::Conflict, Reason::None),
        (StorageError::IdTaken, IssueType::Conflict, Reason::None),
    ] {
        let issue = Issue::from(error);
        assert_eq!((issue.code, issue.reason), (code, reason));
        assert!(!issue.diagnostics.contains(secret) && !issue.diagnostics.is_empty());
        let retries = matches!(code, IssueType::Throttled | IssueType::NoStore | IssueType::Transient);
        assert_eq!(issue.retry_after_seconds.is_some(), retries);
    }
}

#[test]
fn a_check_finds_what_is_missing_and_what_is_too_much() {
    let (_folder, store) = store();
    for id in ["a", "b"] {
        let head = format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{"#);
        let body = StoredBody { bytes: format!("{head}}}}}").into_bytes(), hole: head.len() };
        let prepared = PreparedResource::new(key("Patient", id), body, rows(id), store.dictionaries());
        let prepared = prepared.expect("packed");
        write(&store, move |unit| put_in(unit, prepared, Operation::Update)).expect("put");
    }
    let check = || store.check_resources(|tree| tree.id().map(rows), |_| ()).expect("checked");
    assert_eq!(check(), Checked { whole: 2, problems: Vec::new() });
    let otherwise = store.check_resources(|_| Some(rows("c")), |_| ()).expect("checked");
    assert_eq!((otherwise.whole, otherwise.problems.len()), (0, 2), "{otherwise:?}");
    let change = |text: &'static str| {
        write(&store, move |unit| unit.integers(&sql(text, Vec::new()))).expect("changed");
    };
    change("DELETE FROM span WHERE low = 97 RETURNING key");
    change("INSERT INTO equal (hash, key) VALUES (1, 1) RETURNING key");
    let problems = check().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("table equal") && problems[1].starts_with("table span"), "{problems:?}");
    change("UPDATE resource SET body = x'00' WHERE id = 'a' RETURNING key");
    let problems = check().problems;
    assert!(problems[0].ends_with("is damaged"), "{problems:?}");
}
