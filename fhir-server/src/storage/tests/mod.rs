//! Tests of the storage as a whole.

mod cache;
mod commit;
mod crash;
mod dictionary;
mod fault;
mod history;
mod interface;
mod kill;
mod model;
mod open;
mod write;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use diesel::sql_types::Text as SqlText;
use fhir_model::interaction::{ResourceKey, VersionId};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use tempfile::TempDir;

use super::packed::unpack;
use super::*;
use crate::index::row::{
    BranchCode, EqualHash, IndexRows, Link, NameHash, Pair, PersonRow, Span, TargetHash, Text, TypeCode,
};

fn folder() -> TempDir {
    tempfile::tempdir().expect("temporary folder")
}

fn open(folder: &TempDir) -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::of(folder.path())).expect("open"))
}

fn store() -> (TempDir, Arc<Store>) {
    let folder = folder();
    let store = open(&folder);
    (folder, store)
}

fn key(resource_type: &str, id: &str) -> ResourceKey {
    ResourceKey {
        resource_type: TypeId::resource_named(resource_type).expect("type"),
        id: ResourceId::parse(id).expect("id"),
    }
}

/// A resource whose body and rows follow from `content`.
fn resource(key: &ResourceKey, content: &str) -> PreparedResource {
    with_rows(key, content, rows(content))
}

fn with_rows(key: &ResourceKey, content: &str, rows: IndexRows) -> PreparedResource {
    let head = format!(r#"{{"resourceType":"{}","id":"{}","meta":{{"#, key.resource_type.name(), key.id);
    let bytes = format!(r#"{head}}},"text":"{content}"}}"#).into_bytes();
    PreparedResource::new(key.clone(), StoredBody { bytes, hole: head.len() }, rows, &Dictionaries::default())
        .expect("packed")
}

/// Rows of all kinds, one of each for each letter of `content`.
fn rows(content: &str) -> IndexRows {
    let mut rows = IndexRows::default();
    for letter in content.bytes().take(12) {
        let number = i64::from(letter);
        let link = Link { target: TargetHash(number), branch: BranchCode(7) };
        rows.equal.push(EqualHash(number));
        rows.links.push(link);
        rows.pairs
            .push(Pair { focus: EqualHash::of_link(link.branch, link.target), value: EqualHash(number) });
        rows.spans.push(Span { hash: EqualHash(1), low: number, high: number + 1 });
        rows.texts.push(Text { branch: BranchCode(-3), folded: char::from(letter).to_string() });
    }
    rows.names.extend(content.bytes().map(|letter| NameHash(letter.into())));
    if !content.is_empty() {
        rows.persons.push(PersonRow(content.as_bytes().to_owned()));
    }
    rows.normalize();
    rows
}

fn json_of(stored: &StoredResource) -> String {
    let mut out = Vec::new();
    stored.write_json(&mut out).expect("body");
    String::from_utf8(out).expect("UTF-8")
}

fn write<T: Send + 'static>(
    store: &Store,
    job: impl FnOnce(&mut WriteUnit<'_>) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, IssueType> {
    store.write_blocking(|unit| Ok(job(unit)?)).map_err(|issue| issue.code)
}

/// Creates or updates.
fn put_in(
    unit: &mut WriteUnit<'_>,
    prepared: PreparedResource,
    operation: Operation,
) -> Result<Written, StorageError> {
    match unit.current(&prepared.key)? {
        Some(current) => unit.update(&current, prepared, operation),
        None => unit.create(prepared, operation),
    }
}

fn delete_in(unit: &mut WriteUnit<'_>, key: &ResourceKey) -> Result<Option<Written>, StorageError> {
    unit.current(key)?.map(|current| unit.delete(&current)).transpose()
}

fn put(store: &Store, key: &ResourceKey, content: &str) -> Written {
    let prepared = resource(key, content);
    write(store, move |unit| put_in(unit, prepared, Operation::Update)).expect("put")
}

fn delete(store: &Store, key: &ResourceKey) -> Option<Written> {
    let key = key.clone();
    write(store, move |unit| delete_in(unit, &key)).expect("delete")
}

fn current(store: &Store, key: &ResourceKey) -> Option<StoredResource> {
    store.read_current(key).expect("read")
}

fn history_of(
    store: &Store,
    scope: HistoryScope,
    bounds: HistoryBounds,
    limit: usize,
) -> Vec<StoredResource> {
    store.reader().expect("reader").history(&scope, &bounds, limit).expect("history")
}

fn sql(text: &str, binds: Vec<Bind>) -> RenderedSql {
    RenderedSql { sql: text.to_owned(), binds, is_rare: false }
}

fn integers(store: &Store, text: &str) -> Vec<i64> {
    store.reader().expect("reader").integers(&sql(text, Vec::new())).expect(text)
}

fn texts(store: &Store, text: &str) -> Vec<String> {
    let mut reader = store.reader().expect("reader");
    sql(text, Vec::new()).load::<SqlText, String>(reader.connection()).expect(text)
}

/// Every row of the index tables as one line.
fn index_dump(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for (table, columns) in [
        ("equal", "hash || ' ' || key"),
        ("link", "target || ' ' || branch || ' ' || key"),
        ("pair", "focus || ' ' || value || ' ' || key"),
        ("span", "hash || ' ' || low || ' ' || high || ' ' || key"),
        ("text", "branch || ' ' || folded || ' ' || key"),
        ("person", "hex(features) || ' ' || key"),
    ] {
        lines.extend(texts(store, &format!("SELECT '{table} ' || {columns} FROM {table}")));
    }
    lines.sort();
    lines
}

/// The lines that the packed keys of all resources ask for, and the names that they count.
fn index_of_packed_keys(store: &Store) -> (Vec<String>, Vec<(i64, i64)>) {
    let mut lines = Vec::new();
    let mut names: BTreeMap<i64, i64> = BTreeMap::new();
    let mut reader = store.reader().expect("reader");
    let statement = sql("SELECT key, hex(index_keys) FROM resource", Vec::new());
    for (key, hex) in reader.integers_with_text(&statement).expect("packed") {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|n| u8::from_str_radix(&hex[n * 2..n * 2 + 2], 16).expect("hex"))
            .collect();
        let rows = unpack(&bytes).expect("packed rows");
        lines.extend(rows.equal.iter().map(|r| format!("equal {} {key}", r.0)));
        lines.extend(rows.links.iter().map(|r| format!("link {} {} {key}", r.target.0, r.branch.0)));
        lines.extend(rows.pairs.iter().map(|r| format!("pair {} {} {key}", r.focus.0, r.value.0)));
        lines.extend(rows.spans.iter().map(|r| format!("span {} {} {} {key}", r.hash.0, r.low, r.high)));
        lines.extend(rows.texts.iter().map(|r| format!("text {} {} {key}", r.branch.0, r.folded)));
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        lines.extend(rows.persons.iter().map(|r| format!("person {} {key}", hex(&r.0))));
        rows.names.iter().for_each(|name| *names.entry(name.0).or_default() += 1);
    }
    lines.sort();
    (lines, names.into_iter().collect())
}

/// Checks all that must hold of any database.
fn check_invariants(store: &Store) {
    assert_eq!(store.check().expect("check"), Vec::<String>::new());
    let (rows, names) = index_of_packed_keys(store);
    assert_eq!(index_dump(store), rows);
    let counted = sql("SELECT hash, live FROM name_count WHERE live <> 0 ORDER BY 1", Vec::new());
    assert_eq!(store.reader().expect("reader").integer_pairs(&counted).expect("counts"), names);
    let counted = "SELECT type || ' ' || count(*) FROM resource WHERE deleted = 0 GROUP BY type ORDER BY 1";
    let counters = "SELECT type || ' ' || live FROM counter WHERE live <> 0 ORDER BY 1";
    assert_eq!(texts(store, counted), texts(store, counters));
    let gaps = "SELECT key FROM resource r \
                WHERE version <> 1 + (SELECT count(*) FROM version v WHERE v.key = r.key)";
    assert_eq!(integers(store, gaps), Vec::<i64>::new(), "versions are contiguous");
}
