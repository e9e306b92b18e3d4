//! Tests of the storage as a whole.

mod commit;
mod fault;
mod history;
mod kill;
mod model;
mod open;
mod write;

use fhir_model::interaction::ResourceKey;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use tempfile::TempDir;

use super::packed::unpack;
use super::*;
use crate::index::row::{BranchCode, EqualHash, IndexRows, Link, Pair, Span, TargetHash, Text};

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(options(&folder)).expect("open");
    (folder, store)
}

fn options(folder: &TempDir) -> StoreOptions {
    StoreOptions::new(folder.path())
}

fn key(resource_type: &str, id: &str) -> ResourceKey {
    ResourceKey {
        resource_type: TypeId::resource_named(resource_type).expect("type"),
        id: ResourceId::parse(id).expect("id"),
    }
}

/// A resource whose body and rows follow from `content`.
fn resource(key: &ResourceKey, content: &str) -> PreparedResource {
    let head = format!(r#"{{"resourceType":"{}","id":"{}","meta":{{"#, key.resource_type.name(), key.id);
    let json = format!(r#"{head}}},"text":"{content}"}}"#);
    PreparedResource::new(key.clone(), json.as_bytes(), head.len(), rows(content))
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
) -> Result<T, String> {
    store.write_blocking(job).map_err(|e: StorageError| e.to_string())
}

fn put(store: &Store, key: &ResourceKey, content: &str) -> Written {
    let prepared = resource(key, content);
    write(store, move |unit| unit.update(&prepared, Operation::Update)).expect("put")
}

fn delete(store: &Store, key: &ResourceKey) -> Option<Written> {
    let key = key.clone();
    write(store, move |unit| unit.delete(&key)).expect("delete")
}

fn current(store: &Store, key: &ResourceKey) -> Option<StoredResource> {
    store.read(|reader| reader.current(key)).map_err(|e: StorageError| e.to_string()).expect("read")
}

fn select<T: SearchRow>(store: &Store, sql: &str) -> Vec<T> {
    store
        .read(|reader| reader.rows::<T>(&RenderedSql::new(sql, Vec::new())))
        .map_err(|e: StorageError| e.to_string())
        .expect(sql)
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
    ] {
        let found = select::<String>(store, &format!("SELECT {columns} FROM {table} ORDER BY 1"));
        lines.extend(found.into_iter().map(|line| format!("{table} {line}")));
    }
    lines.sort();
    lines
}

/// The lines that the packed keys of all resources ask for.
fn index_of_packed_keys(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, hex) in select::<(i64, String)>(store, "SELECT key, hex(index_keys) FROM resource") {
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|n| u8::from_str_radix(&hex[n * 2..n * 2 + 2], 16).expect("hex"))
            .collect();
        let rows = unpack(&bytes).expect("packed rows");
        lines.extend(rows.equal.iter().map(|r| format!("equal {} {key}", r.0)));
        lines.extend(rows.links.iter().map(|r| format!("link {} {} {key}", r.target.0, r.branch.0)));
        lines.extend(rows.pairs.iter().map(|r| format!("pair {} {} {key}", r.focus.0, r.value.0)));
        lines.extend(rows.spans.iter().map(|r| format!("span {} {} {} {key}", r.hash.0, r.low, r.high)));
        lines.extend(rows.texts.iter().map(|r| format!("text {} {} {key}", r.branch.0, r.folded)));
    }
    lines.sort();
    lines
}

/// Checks all that must hold of any database.
fn check_invariants(store: &Store) {
    assert_eq!(store.check().expect("check"), Vec::<String>::new());
    assert_eq!(index_dump(store), index_of_packed_keys(store));
    let counted: Vec<(i64, i64)> =
        select(store, "SELECT type, count(*) FROM resource WHERE deleted = 0 GROUP BY type ORDER BY type");
    let counters: Vec<(i64, i64)> =
        select(store, "SELECT type, live FROM counter WHERE live <> 0 ORDER BY type");
    assert_eq!(counted, counters);
    let gaps: Vec<i64> = select(
        store,
        "SELECT key FROM resource r WHERE version <> 1 + (SELECT count(*) FROM version v WHERE v.key = r.key)",
    );
    assert_eq!(gaps, Vec::<i64>::new(), "versions are contiguous");
}
