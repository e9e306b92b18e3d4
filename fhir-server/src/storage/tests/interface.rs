//! The interface as the interactions use it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::ty;
use proptest::prelude::*;

use super::super::*;
use crate::index::row::{BranchCode, EqualHash, Form, IndexRows, Link, Span, TargetHash, Text};

fn key(id: &str) -> ResourceKey {
    ResourceKey { resource_type: ty::PATIENT, id: ResourceId::parse(id).expect("id") }
}

fn prepared(id: &str, content: &str) -> PreparedResource {
    let bytes =
        format!(r#"{{"resourceType":"Patient","id":"{id}","meta":{{}},"x":"{content}"}}"#).into_bytes();
    let hole = bytes.iter().position(|b| *b == b'}').expect("meta");
    let number = content.len() as i64;
    let mut rows = IndexRows {
        equal: vec![EqualHash(1), EqualHash(number)],
        links: vec![Link { target: TargetHash(number), branch: BranchCode(7) }],
        pairs: Vec::new(),
        spans: vec![Span { hash: EqualHash(3), low: number, high: number + 1 }],
        texts: vec![Text { branch: BranchCode(4), folded: content.to_owned() }],
        forms: vec![Form { form: EqualHash(5), hash: EqualHash(number) }],
        ..IndexRows::default()
    };
    rows.normalize();
    PreparedResource::new(key(id), StoredBody { bytes, hole }, rows, &Dictionaries::default())
        .expect("packed")
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&StoreSettings::of(folder.path())).expect("opened")
}

fn put(store: &Store, id: &str, content: &str) -> Result<Written, Issue> {
    let resource = prepared(id, content);
    store.write_blocking(move |unit| {
        Ok(match unit.current(&resource.key)? {
            Some(current) => unit.update(&current, resource, Operation::Update)?,
            None => unit.create(resource, Operation::Create)?,
        })
    })
}

fn delete(store: &Store, id: &str) -> Result<(), Issue> {
    let key = key(id);
    store.write_blocking(move |unit| {
        if let Some(current) = unit.current(&key)?.filter(|c| !c.deleted) {
            unit.delete(&current)?;
        }
        Ok(())
    })
}

fn index_rows(store: &Store) -> Vec<(i64, i64)> {
    let mut reader = store.reader().expect("reader");
    let sql = "SELECT hash, key FROM equal UNION ALL SELECT target, key FROM link \
               UNION ALL SELECT low, key FROM span UNION ALL SELECT length(folded), key FROM text ORDER BY 1, 2";
    reader.integer_pairs(&RenderedSql { sql: sql.to_owned(), ..Default::default() }).expect("rows")
}

#[test]
fn versions_are_kept_and_the_difference_is_indexed() {
    let folder = tempfile::tempdir().expect("folder");
    let store = store(&folder);
    let first = put(&store, "1", "a").expect("created");
    let second = put(&store, "1", "bb").expect("updated");
    assert_eq!((first.version, second.version), (VersionId(1), VersionId(2)));
    assert!(second.updated > first.updated);
    let same = put(&store, "1", "bb").expect("unchanged");
    assert_eq!((same.version, same.changed), (VersionId(2), false));
    assert_eq!(index_rows(&store).iter().map(|r| r.0).collect::<Vec<_>>(), [1, 2, 2, 2, 2]);

    delete(&store, "1").expect("deleted");
    assert!(index_rows(&store).is_empty());
    let mut reader = store.reader().expect("reader");
    assert_eq!(reader.count(Some(ty::PATIENT)).expect("count"), 0);
    let history =
        reader.history(&HistoryScope::Instance(key("1")), &HistoryBounds::default(), 10).expect("history");
    let told: Vec<(u32, Operation)> = history.iter().map(|v| (v.version.0, v.operation)).collect();
    assert_eq!(told, [(3, Operation::Delete), (2, Operation::Update), (1, Operation::Create)]);
    let mut json = Vec::new();
    history[1].write_json(&mut json).expect("whole");
    let stamped = format!(r#""meta":{{"versionId":"2","lastUpdated":"{}"}},"x":"bb""#, second.updated);
    assert!(String::from_utf8_lossy(&json).contains(&stamped), "{}", String::from_utf8_lossy(&json));
    assert!(reader.version(&key("1"), VersionId(9)).expect("read").is_none());
    drop(reader);

    put(&store, "1", "again").expect("brought back");
    let mut reader = store.reader().expect("reader");
    assert_eq!(reader.count(None).expect("count"), 1);
    let history = |bounds: HistoryBounds, limit| -> Vec<u32> {
        let versions =
            store.reader().expect("reader").history(&HistoryScope::Type(ty::PATIENT), &bounds, limit);
        versions.expect("history").iter().map(|v| v.version.0).collect()
    };
    assert_eq!(history(HistoryBounds::default(), 2), [4, 3]);
    let bounds = |since, at, before| HistoryBounds { since, at, before };
    assert_eq!(history(bounds(Some(second.updated), None, None), 9), [4, 3, 2]);
    assert_eq!(history(bounds(None, None, Some(second.updated)), 9), [1]);
    let at = (first.updated, Instant(first.updated.0 + 1));
    assert_eq!(history(bounds(None, Some(at), None), 9), [1]);
}

#[test]
fn a_failed_or_panicking_job_leaves_nothing_and_hurts_no_other() {
    let folder = tempfile::tempdir().expect("folder");
    let store = Arc::new(store(&folder));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let write = |id: &'static str, end: &'static str| {
        let store = Arc::clone(&store);
        async move {
            let job = store.write(move |unit| {
                unit.create(prepared(id, "x"), Operation::Create)?;
                match end {
                    "fail" => Err(Issue::error(IssueType::BusinessRule)),
                    "panic" => panic!("on purpose"),
                    _ => Ok(()),
                }
            });
            job.await.map_err(|issue| issue.code)
        }
    };
    let results = runtime.block_on(async {
        futures_util::future::join_all([
            write("1", ""),
            write("2", "fail"),
            write("3", "panic"),
            write("4", ""),
        ])
        .await
    });
    assert_eq!(results, [Ok(()), Err(IssueType::BusinessRule), Err(IssueType::Exception), Ok(())]);
    let there: Vec<bool> =
        ["1", "2", "3", "4"].iter().map(|id| store.read_current(&key(id)).expect("read").is_some()).collect();
    assert_eq!(there, [true, false, false, true]);
    assert_eq!(store.reader().expect("reader").count(None).expect("count"), 2);
    assert!(store.check().expect("checked").is_empty());
}

#[test]
fn the_clock_never_goes_back() {
    let folder = tempfile::tempdir().expect("folder");
    let first = {
        let store = Store::open_with_clock(&StoreSettings::of(folder.path()), || 2_000).expect("opened");
        put(&store, "1", "a").expect("created").updated
    };
    let store = Store::open_with_clock(&StoreSettings::of(folder.path()), || 1_000).expect("opened again");
    let second = put(&store, "1", "b").expect("updated").updated;
    assert_eq!((first, second), (Instant(2_000), Instant(2_001)));
}

#[test]
fn a_folder_has_one_owner_and_no_newer_schema() {
    let folder = tempfile::tempdir().expect("folder");
    let owner = store(&folder);
    let second = Store::open(&StoreSettings::of(folder.path()));
    assert!(matches!(second.err(), Some(StorageError::Locked(_))));
    drop(owner);
    let mut connection = sqlite::open_writer(&folder.path().join("lanterna.sqlite")).expect("opened");
    diesel::connection::SimpleConnection::batch_execute(
        &mut connection,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')",
    )
    .expect("written");
    drop(connection);
    let newer = Store::open(&StoreSettings::of(folder.path()));
    assert!(matches!(newer.err(), Some(StorageError::NewerSchema(_))));
}

#[test]
fn a_full_database_refuses_and_recovers() {
    let folder = tempfile::tempdir().expect("folder");
    let store = store(&folder);
    put(&store, "1", "a").expect("created");
    let limit = |pages: i64| {
        store.write_blocking(move |unit| {
            let pragma = format!("PRAGMA max_page_count = {pages}");
            diesel::connection::SimpleConnection::batch_execute(unit.connection(), &pragma)
                .map_err(|e| StorageError::from(e).into())
        })
    };
    limit(60).expect("limited");
    let big: String = (0..300_000u32)
        .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
        .collect();
    let refused = put(&store, "2", &big).expect_err("full");
    assert_eq!(refused.code, IssueType::NoStore, "{refused}");
    assert!(store.read_current(&key("2")).expect("read").is_none());
    limit(1 << 20).expect("raised");
    put(&store, "2", &big).expect("there is space again");
    assert!(store.read_current(&key("1")).expect("read").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is created, updated and deleted: what is read, counted and
    /// indexed is what a map would hold.
    #[test]
    fn the_storage_is_a_map(steps in prop::collection::vec((0u8..4, prop::option::of("[a-z]{0,5}")), 1..40)) {
        let folder = tempfile::tempdir().expect("folder");
        let store = store(&folder);
        let mut model: BTreeMap<String, String> = BTreeMap::new();
        for (id, content) in &steps {
            let id = id.to_string();
            match content {
                Some(content) => {
                    put(&store, &id, content).expect("written");
                    model.insert(id, content.clone());
                }
                None => {
                    delete(&store, &id).expect("deleted");
                    model.remove(&id);
                }
            }
        }
        let mut expected: Vec<(i64, i64)> = Vec::new();
        for (id, content) in &model {
            let stored = store.read_current(&key(id)).expect("read").expect("there");
            let mut json = Vec::new();
            stored.write_json(&mut json).expect("whole");
            let ending = format!(r#""x":"{content}"}}"#);
            prop_assert!(json.ends_with(ending.as_bytes()));
            let length = content.len() as i64;
            let mut hashes = vec![1, length];
            hashes.dedup();
            hashes.extend([length, length, length]);
            expected.extend(hashes.into_iter().map(|h| (h, stored.number)));
        }
        expected.sort_unstable();
        prop_assert_eq!(index_rows(&store), expected);
        prop_assert_eq!(store.reader().expect("reader").count(None).expect("count"), model.len() as i64);
        prop_assert!(store.check().expect("checked").is_empty());
    }
}
