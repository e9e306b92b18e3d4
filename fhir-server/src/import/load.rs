//! What is done with documents: each goes through the gate, many at once, so
//! that preparation uses every core and commits are shared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use fhir_model::interaction::{
    Body, BundleRequest, Caller, CreateRequest, FhirApi, Handling, Interaction, Target, UpdateRequest,
};
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use futures_util::StreamExt;

use super::source::{Document, documents};
use crate::interaction::append_only::is_append_only;

/// How many groups of documents may wait for a thread; they are held in memory.
const GROUPS_WAITING_MAX: usize = 4;
/// How many documents make a group, at most.
const GROUP_DOCUMENTS_MAX: usize = 256;
/// How many bytes make a group; a larger document is one by itself.
const GROUP_BYTES_MAX: usize = 1 << 20;
/// How many interactions are under way at once, for each thread.
const INTERACTIONS_AT_ONCE: usize = 64;
/// How many refusals are kept; the rest is counted.
const REFUSALS_KEPT: usize = 10_000;

/// What a load led to.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Resources stored, by type.
    pub stored: BTreeMap<&'static str, u64>,
    /// What was refused: where it stood, and why.
    pub refused: Vec<(String, String)>,
    /// How much was refused, also what is not kept.
    pub refused_count: u64,
}

impl Loaded {
    /// Returns how many resources were stored.
    pub fn total(&self) -> u64 {
        self.stored.values().sum()
    }

    fn refuse(&mut self, name: String, why: String) {
        self.refused_count += 1;
        if self.refused.len() < REFUSALS_KEPT {
            self.refused.push((name, why));
        }
    }
}

/// What is told while loading.
pub trait Progress: Sync {
    /// So many more bytes of the input were read.
    fn read(&self, bytes: u64);
    /// So many more resources are stored.
    fn stored(&self, resources: u64);
}

/// Loads files through `api` on `threads` threads.
///
/// # Errors
/// When threads cannot be started.
pub fn load(
    api: &dyn FhirApi,
    files: &[PathBuf],
    threads: usize,
    progress: &dyn Progress,
) -> std::io::Result<Loaded> {
    let loaded = Mutex::new(Loaded::default());
    let (sender, receiver) = crossbeam_channel::bounded::<Vec<Document>>(GROUPS_WAITING_MAX);
    let caller = Caller::new("import", "");
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..threads.max(1) {
            let (receiver, loaded, caller) = (receiver.clone(), &loaded, &caller);
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            workers.push(scope.spawn(move || {
                for group in receiver {
                    runtime.block_on(perform(api, caller, group, loaded, progress));
                }
            }));
        }
        drop(receiver);
        read_groups(files, progress, |group| sender.send(group).is_ok());
        drop(sender);
        for worker in workers {
            if worker.join().is_err() {
                refuse(&loaded, "a thread".to_owned(), "ended unexpectedly".to_owned());
            }
        }
        Ok::<(), std::io::Error>(())
    })?;
    Ok(loaded.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Reads files and hands their documents over in groups.
fn read_groups(files: &[PathBuf], progress: &dyn Progress, mut hand_over: impl FnMut(Vec<Document>) -> bool) {
    let mut group = Vec::new();
    let mut bytes = 0;
    for file in files {
        documents(file, |read| progress.read(read), &mut |document| {
            bytes += document.content.as_ref().map_or(0, Vec::len);
            group.push(document);
            if group.len() < GROUP_DOCUMENTS_MAX && bytes < GROUP_BYTES_MAX {
                return true;
            }
            bytes = 0;
            hand_over(std::mem::take(&mut group))
        });
    }
    if !group.is_empty() {
        hand_over(group);
    }
}

/// One thing to be done for a document.
struct Task {
    name: String,
    interaction: Interaction,
    /// The types of the resources in it.
    types: Vec<TypeId>,
}

async fn perform(
    api: &dyn FhirApi,
    caller: &Caller,
    group: Vec<Document>,
    loaded: &Mutex<Loaded>,
    progress: &dyn Progress,
) {
    let mut tasks = Vec::new();
    for document in group {
        let name = document.name;
        let parsed = document.content.and_then(|bytes| parse(bytes).map_err(|issue| issue.to_string()));
        match parsed {
            Ok(resource) => tasks_of(&name, resource, &mut tasks),
            Err(why) => refuse(loaded, name, why),
        }
    }
    let mut running = futures_util::stream::iter(tasks)
        .map(|task| async move {
            let Task { name, interaction, types } = task;
            (name, types, api.perform(caller, interaction).await)
        })
        .buffer_unordered(INTERACTIONS_AT_ONCE);
    while let Some((name, types, result)) = running.next().await {
        match result {
            Ok(performed) => {
                let failures = failures_of(&performed.body);
                let mut loaded = lock(loaded);
                let mut stored = 0;
                for (index, of) in types.iter().enumerate() {
                    match failures.get(&index) {
                        Some(why) => loaded.refuse(format!("{name} entry {index}"), why.clone()),
                        None => {
                            *loaded.stored.entry(of.name()).or_default() += 1;
                            stored += 1;
                        }
                    }
                }
                progress.stored(stored);
            }
            Err(issue) => refuse(loaded, name, issue.to_string()),
        }
    }
}

fn lock(loaded: &Mutex<Loaded>) -> std::sync::MutexGuard<'_, Loaded> {
    loaded.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(loaded: &Mutex<Loaded>, name: String, why: String) {
    lock(loaded).refuse(name, why);
}

fn parse(bytes: Vec<u8>) -> Result<Resource, Issue> {
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace() && !matches!(b, 0xEF | 0xBB | 0xBF));
    Ok(if first == Some(&b'<') { xml::read(bytes)? } else { json::read(bytes)? })
}

/// Makes what is to be done of a resource: a transaction or batch is one
/// thing, each resource of a collection one by itself.
fn tasks_of(name_of: &str, resource: Resource, out: &mut Vec<Task>) {
    let root = resource.root();
    let entries = || root.children_named(name::ENTRY).filter_map(|e| e.child(name::RESOURCE));
    match root.text_of(name::TYPE).filter(|_| resource.resource_type() == ty::BUNDLE) {
        Some("transaction" | "batch") => {
            let types = root
                .children_named(name::ENTRY)
                .map(|e| e.child(name::RESOURCE).map_or(ty::RESOURCE, |r| r.ty()))
                .collect();
            let request =
                BundleRequest { bundle: resource, handling: Handling::Lenient, contents: Vec::new() };
            out.push(Task { name: name_of.to_owned(), interaction: Interaction::Bundle(request), types });
        }
        Some("collection" | "searchset" | "history") => {
            for (index, entry) in entries().enumerate() {
                single(format!("{name_of} entry {index}"), resource.extract(entry.id()), out);
            }
        }
        _ => single(name_of.to_owned(), resource, out),
    }
}

/// A resource with an id is stored under it, one without gets one.
fn single(name: String, resource: Resource, out: &mut Vec<Task>) {
    let resource_type = resource.resource_type();
    let interaction = match resource.id().and_then(ResourceId::parse) {
        Some(id) => {
            let target = Target::Id(id);
            Interaction::Update(UpdateRequest {
                resource_type,
                target,
                resource,
                if_match: None,
                if_none_exist: is_append_only(resource_type),
            })
        }
        None => Interaction::Create(CreateRequest { resource_type, resource, if_none_exist: None }),
    };
    out.push(Task { name, interaction, types: vec![resource_type] });
}

/// Returns the entries of a batch-response that failed, and why.
fn failures_of(body: &Body) -> BTreeMap<usize, String> {
    let Body::Json(bytes) = body else { return BTreeMap::new() };
    if !bytes.starts_with(br#"{"resourceType":"Bundle","type":"batch-response""#) {
        return BTreeMap::new();
    }
    let Ok(bundle) = json::read(bytes.clone()) else { return BTreeMap::new() };
    let mut failures = BTreeMap::new();
    for (index, entry) in bundle.root().children_named(name::ENTRY).enumerate() {
        let Some(response) = entry.child(name::RESPONSE) else { continue };
        let status = response.text_of(name::STATUS).unwrap_or("");
        if !status.starts_with('2') {
            let outcome = response.child(name::OUTCOME);
            let issue = outcome.and_then(|o| o.child(name::ISSUE));
            let why = issue.and_then(|i| i.text_of(name::DIAGNOSTICS)).unwrap_or(status);
            failures.insert(index, why.to_owned());
        }
    }
    failures
}
