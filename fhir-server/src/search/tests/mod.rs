//! Tests of the search as a whole, on a real database.

mod answers;
mod bundles;
mod differential;
mod explained;
mod merged;
mod paging;

use std::sync::Arc;

use fhir_model::interaction::{Body, Handling, ResourceKey, Scope, SearchRequest};
use fhir_model::json::write::write_unstamped;
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use serde_json::Value;

use super::registry::Definitions;
use super::{Query, Search, SearchLimits};
use crate::index::extract::extract;
use crate::storage::{Dictionaries, Operation, PreparedResource, Reads, Store, StoreSettings, StoredBody};

/// The base of the server in tests.
const BASE: &str = "http://localhost/fhir";

/// A database with a search over it.
struct Fixture {
    store: Store,
    search: Arc<Search>,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let folder = tempfile::tempdir().expect("folder");
        let store = Store::open(&StoreSettings::of(folder.path())).expect("store");
        let definitions = Arc::new(Definitions::standard().expect("definitions"));
        let search = Arc::new(Search::new(definitions, vec![BASE.to_owned()], SearchLimits::default()));
        Fixture { store, search, _folder: folder }
    }

    fn prepare(&self, resource: &Value) -> PreparedResource {
        let tree = fhir_model::json::read(resource.to_string().into_bytes()).expect("a resource");
        let key = ResourceKey {
            resource_type: tree.resource_type(),
            id: ResourceId::parse(tree.id().expect("id")).expect("id"),
        };
        let rows = extract(&self.search.definitions(), &tree, &[BASE.to_owned()]);
        let mut bytes = Vec::new();
        let hole = write_unstamped(&tree, &mut bytes);
        PreparedResource::new(key, StoredBody { bytes, hole }, rows, &Dictionaries::default())
            .expect("prepared")
    }

    /// Stores resources, each as a create or an update.
    fn put(&self, resources: &[Value]) {
        let prepared: Vec<PreparedResource> = resources.iter().map(|r| self.prepare(r)).collect();
        self.store
            .write_blocking(move |unit| {
                for resource in prepared {
                    match unit.current(&resource.key)? {
                        Some(current) => unit.update(&current, resource, Operation::Update)?,
                        None => unit.create(resource, Operation::Create)?,
                    };
                }
                Ok(())
            })
            .expect("stored");
    }

    fn delete(&self, of: TypeId, id: &str) {
        let key = ResourceKey { resource_type: of, id: ResourceId::parse(id).expect("id") };
        self.store
            .write_blocking(move |unit| {
                if let Some(current) = unit.current(&key)?.filter(|c| !c.deleted) {
                    unit.delete(&current)?;
                }
                Ok(())
            })
            .expect("deleted");
    }

    fn request(&self, request: &SearchRequest) -> Result<Value, Issue> {
        let mut reader = self.store.reader().expect("reader");
        let performed = self.search.search(reader.connection(), request, BASE)?;
        let Body::Json(json) = performed.body else { panic!("no body") };
        assert!(fhir_model::json::read(json.to_vec()).is_ok(), "no Bundle: {json:?}");
        Ok(serde_json::from_slice(&json).expect("JSON"))
    }

    /// Searches as `Patient?name=x`, `?_tag=x` or `Patient/1/Observation?x=y`.
    fn ask(&self, url: &str, handling: Handling) -> Result<Value, Issue> {
        self.request(&request(url, handling))
    }

    /// The ids found, in the order shown, or what was wrong.
    fn ids(&self, url: &str) -> Result<Vec<String>, String> {
        self.ask(url, Handling::Strict).map(|b| ids(&b, "match")).map_err(|issue| issue.diagnostics)
    }
}

fn request(url: &str, handling: Handling) -> SearchRequest {
    let url = url.strip_prefix(BASE).map_or(url, |rest| rest.trim_start_matches('/'));
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let resource_type = |name: &str| TypeId::resource_named(name).expect("a resource type");
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let scope = match parts.as_slice() {
        [] => Scope::System,
        [of] => Scope::Type(resource_type(of)),
        [of, id, member] => Scope::Compartment {
            focus: ResourceKey { resource_type: resource_type(of), id: ResourceId::parse(id).expect("id") },
            member: if *member == "*" { None } else { Some(resource_type(member)) },
        },
        _ => panic!("not a search: {url}"),
    };
    let parameters = query
        .split('&')
        .filter(|p| !p.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect();
    SearchRequest { scope, parameters, handling }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next().expect("digit"), rest.next().expect("digit")];
                let digits = std::str::from_utf8(&digits).expect("digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).expect("text")
}

fn ids(bundle: &Value, mode: &str) -> Vec<String> {
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries
        .iter()
        .filter(|e| e["search"]["mode"] == mode)
        .filter_map(|e| e["resource"]["id"].as_str().map(str::to_owned))
        .collect()
}

fn link<'b>(bundle: &'b Value, relation: &str) -> Option<&'b str> {
    bundle["link"].as_array()?.iter().find(|l| l["relation"] == relation)?["url"].as_str()
}
