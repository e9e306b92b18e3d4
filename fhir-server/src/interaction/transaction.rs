//! `POST [base]` with a Bundle of type transaction: all or nothing.
//!
//! Conditions are resolved and resources prepared (references rewritten, index
//! extracted, body written) outside the writer, on a snapshot; inside, the
//! conditions are resolved again, and only where they came out otherwise are
//! the resources prepared again. So the writer does little, and decides alone.
//!
//! An operation that an entry calls by POST works on what the entries that write
//! leave, and is called in the order of the entries; what it says of other
//! entries means what those become. It may change what an entry wrote (ADR 25).
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#transaction>

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fhir_model::interaction::{
    Body, Carried, Content, CreateRequest, Criteria, DeleteRequest, Handling, Interaction, OperationCall,
    PatchRequest, Performed, ResourceKey, Target, UpdateRequest, VersionId,
};
use fhir_model::json::write::stamp;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::reference::{self, Literal};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::binary::carry;
use super::entry::{Entry, Method, located_at};
use super::prepare::{self, Preparer};
use super::unit::{self, Unit, View};
use super::url::{Path, RelativeUrl, clip};
use super::{append_only, create, delete, patch, update};
use crate::operation;
use crate::search::registry::Definitions;
use crate::storage::{PreparedResource, Reads, content_of};

/// A transaction, parsed.
pub(crate) struct Transaction {
    entries: Vec<Entry>,
    /// An id for each entry that may create.
    fresh: Vec<ResourceId>,
    /// What Binaries carry that is in the document store, by the place of the entry.
    contents: BTreeMap<usize, Content>,
    /// What each conditional reference stands for in the resources: text to criteria.
    conditional_references: BTreeMap<String, (TypeId, Criteria)>,
}

/// What the conditions of a transaction came out to.
#[derive(Debug, PartialEq)]
pub(crate) struct Resolution {
    entries: Vec<Resolved>,
    references: BTreeMap<String, ResourceKey>,
}

/// What an entry will do.
#[derive(Debug, Clone, PartialEq)]
enum Resolved {
    /// Store a new resource.
    Create(ResourceKey),
    /// Nothing: what it would create exists.
    Existing(ResourceKey),
    /// Store a version under this id, whether it exists or not.
    Update(ResourceKey),
    /// Change this version.
    Patch(ResourceKey, VersionId),
    /// Delete these.
    Delete(Vec<ResourceKey>),
    /// Read, search, call.
    Other,
}

impl Resolved {
    /// Returns the resources that are changed.
    fn changed(&self) -> &[ResourceKey] {
        match self {
            Resolved::Create(key) | Resolved::Update(key) | Resolved::Patch(key, _) => {
                std::slice::from_ref(key)
            }
            Resolved::Delete(keys) => keys,
            Resolved::Existing(_) | Resolved::Other => &[],
        }
    }
}

/// An entry as it goes to the writer.
enum Ready {
    /// A resource to be stored, and the remarks of validation.
    Resource(PreparedResource, Vec<Issue>),
    /// A call, whose references are to what is stored.
    Call(OperationCall),
    /// What the entry itself says is all.
    AsAsked,
}

impl Ready {
    fn resource(&self) -> Option<&PreparedResource> {
        match self {
            Ready::Resource(resource, _) => Some(resource),
            Ready::Call(_) | Ready::AsAsked => None,
        }
    }
}

/// A transaction ready to be written.
pub(crate) struct Prepared {
    /// What they are indexed by.
    definitions: Arc<Definitions>,
    entries: Vec<Ready>,
    /// Whether the resources written are wanted back.
    shows: bool,
}

/// What an entry writes.
pub(crate) struct Write<'t> {
    /// What was asked.
    pub(crate) interaction: &'t Interaction,
    /// The resources that it is about.
    pub(crate) keys: &'t [ResourceKey],
    /// The resource as it is stored, where one is.
    pub(crate) body: Option<&'t [u8]>,
}

impl Prepared {
    /// Tells whether the resources are indexed by these definitions.
    pub(crate) fn is_by(&self, definitions: &Arc<Definitions>) -> bool {
        Arc::ptr_eq(&self.definitions, definitions)
    }
}

impl Resolution {
    /// Returns which resources of a type are changed, with the places of their entries.
    pub(crate) fn changed(&self, of: TypeId) -> Vec<(usize, ResourceKey)> {
        let keys = self
            .entries
            .iter()
            .enumerate()
            .flat_map(|(at, resolved)| resolved.changed().iter().map(move |key| (at, key)));
        keys.filter(|(_, key)| key.resource_type == of).map(|(at, key)| (at, key.clone())).collect()
    }
}

impl Transaction {
    /// Parses the entries of a transaction.
    ///
    /// # Errors
    /// The first entry that is not what it should be.
    pub(crate) fn parse(bundle: &Resource, handling: Handling) -> Result<Transaction, Issue> {
        let mut entries = Vec::new();
        let mut full_urls = HashSet::new();
        for (index, entry) in bundle.root().children_named(name::ENTRY).enumerate() {
            let entry = Entry::parse(index, entry, handling)?;
            let located = |issue| located_at(entry.index, issue);
            if let Some(url) = &entry.full_url
                && entry.method != Method::Get
                && !full_urls.insert(url.clone())
            {
                let text = "two entries have the same fullUrl, so references to it would be ambiguous";
                return Err(located(Issue::error(IssueType::Duplicate).text(text)));
            }
            entries.push(entry);
        }
        Transaction::of(entries)
    }

    fn of(entries: Vec<Entry>) -> Result<Transaction, Issue> {
        let fresh = entries.iter().map(|_| unit::fresh_id()).collect();
        let mut conditional_references = BTreeMap::new();
        for entry in &entries {
            check(&entry.interaction).map_err(|issue| located_at(entry.index, issue))?;
            let Some(resource) = referring(&entry.interaction) else { continue };
            let mut issue = None;
            reference::for_each_reference(resource, |text| {
                if let Some((type_name, _)) = text.split_once('?')
                    && TypeId::resource_named(type_name).is_some()
                    && !conditional_references.contains_key(text)
                {
                    match conditional_reference(text) {
                        Ok(condition) => _ = conditional_references.insert(text.to_owned(), condition),
                        Err(problem) => issue = Some(problem),
                    }
                }
            });
            if let Some(issue) = issue {
                return Err(located_at(entry.index, issue));
            }
        }
        Ok(Transaction { entries, fresh, contents: BTreeMap::new(), conditional_references })
    }

    /// Says what Binaries of it carry, by the fullUrl of their entries.
    ///
    /// # Errors
    /// When there is no such entry, or it does not write a Binary without `data`.
    pub(crate) fn with_contents(mut self, contents: Vec<(String, Carried)>) -> Result<Transaction, Issue> {
        for (full_url, carried) in contents {
            let writes_it = |entry: &Entry| {
                let binary = written(&entry.interaction).filter(|r| r.resource_type() == ty::BINARY);
                entry.full_url.as_ref() == Some(&full_url)
                    && binary.is_some_and(|b| b.root().child(name::DATA).is_none())
            };
            let at = self.entries.iter().position(writes_it).ok_or_else(|| {
                let text = "bytes are given for what is no Binary without `data` of this transaction";
                Issue::error(IssueType::Invalid).text(text)
            })?;
            match carried {
                Carried::Stored(content) => _ = self.contents.insert(at, content),
                Carried::Here(bytes) => {
                    let binary =
                        self.entries.get_mut(at).and_then(|entry| written_mut(&mut entry.interaction));
                    binary.into_iter().for_each(|binary| carry(binary, &bytes));
                }
            }
        }
        Ok(self)
    }

    /// Makes a transaction of one interaction: so the way of a single write
    /// and of one in a Bundle is the same.
    ///
    /// # Errors
    /// An update whose resource names another id than the URL.
    pub(crate) fn single(interaction: Interaction) -> Result<Transaction, Issue> {
        let method = match &interaction {
            Interaction::Delete(_) => Method::Delete,
            Interaction::Update(_) => Method::Put,
            Interaction::Patch(_) => Method::Patch,
            // Also an operation that writes.
            _ => Method::Post,
        };
        let entry = Entry { index: None, method, full_url: None, interaction };
        Transaction::of(vec![entry])
    }

    /// Makes a transaction that creates resources.
    pub(crate) fn creating(resources: Vec<Resource>) -> Transaction {
        let entry = |resource: Resource| {
            let resource_type = resource.resource_type();
            let request = CreateRequest { resource_type, resource, if_none_exist: None };
            Entry {
                index: None,
                method: Method::Post,
                full_url: None,
                interaction: Interaction::Create(request),
            }
        };
        let entries: Vec<Entry> = resources.into_iter().map(entry).collect();
        let fresh = entries.iter().map(|_| unit::fresh_id()).collect();
        Transaction { entries, fresh, contents: BTreeMap::new(), conditional_references: BTreeMap::new() }
    }

    /// Returns what its entries ask, in their order.
    pub(crate) fn interactions(&self) -> impl Iterator<Item = &Interaction> {
        self.entries.iter().map(|entry| &entry.interaction)
    }

    /// Tells whether it is of one interaction that stands in no Bundle.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self.entries.as_slice(), [Entry { index: None, .. }])
    }

    /// Returns what its entries write.
    pub(crate) fn writes<'t>(&'t self, resolution: &'t Resolution, prepared: &'t Prepared) -> Vec<Write<'t>> {
        let entries = self.entries.iter().zip(&resolution.entries).zip(&prepared.entries);
        let writes = entries.filter_map(|((entry, resolved), ready)| {
            let keys = match resolved {
                Resolved::Existing(key) => std::slice::from_ref(key),
                Resolved::Other => return None,
                changes => changes.changed(),
            };
            let body = ready.resource().map(|resource| resource.body().bytes.as_slice());
            Some(Write { interaction: &entry.interaction, keys, body })
        });
        writes.collect()
    }

    /// Returns an issue with the entry that it is about.
    pub(crate) fn located(&self, at: usize, issue: Issue) -> Issue {
        located_at(self.entries.get(at).and_then(|entry| entry.index), issue)
    }

    /// Returns how many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tells whether an operation that it calls asks what this server knows.
    pub(crate) fn asks_knowledge(&self) -> bool {
        self.interactions().any(|interaction| match interaction {
            Interaction::Operation(call) => operation::asks_knowledge(call),
            _ => false,
        })
    }

    /// Tells whether nothing in it depends on what is stored.
    pub(crate) fn is_unconditional(&self) -> bool {
        self.conditional_references.is_empty()
            && self.entries.iter().all(|entry| match &entry.interaction {
                Interaction::Create(request) => request.if_none_exist.is_none(),
                Interaction::Update(request) => matches!(request.target, Target::Id(_)),
                Interaction::Delete(request) => matches!(request.target, Target::Id(_)),
                Interaction::Patch(_) => false,
                _ => true,
            })
    }

    /// Decides what each entry will do, as seen by `view`.
    ///
    /// # Errors
    /// A condition with more than one match, an identity touched twice, a
    /// conditional reference without exactly one match.
    pub(crate) fn resolve(&self, view: &mut dyn View) -> Result<Resolution, Issue> {
        let mut entries: Vec<Resolved> = vec![Resolved::Other; self.entries.len()];
        let mut touched: HashSet<ResourceKey> = HashSet::new();
        let mut deleted: HashSet<ResourceKey> = HashSet::new();
        // The same condition twice in one transaction means the same resource.
        let mut conditions: HashMap<(TypeId, Criteria), ResourceKey> = HashMap::new();
        for at in self.order() {
            let entry = &self.entries[at];
            let located = |issue| located_at(entry.index, issue);
            let resolved = self.resolve_entry(at, view, &deleted, &mut conditions).map_err(located)?;
            for key in resolved.changed() {
                if !touched.insert(key.clone()) {
                    let text = format!(
                        "{}/{} is changed by two entries of this transaction",
                        key.resource_type, key.id
                    );
                    return Err(located(Issue::error(IssueType::Duplicate).text(text)));
                }
            }
            if let Resolved::Delete(keys) = &resolved {
                deleted.extend(keys.iter().cloned());
            }
            entries[at] = resolved;
        }
        let mut references = BTreeMap::new();
        for (text, condition) in &self.conditional_references {
            let found = match conditions.get(condition) {
                Some(key) => key.clone(),
                None => one_match(text, view, condition, &deleted)?,
            };
            references.insert(text.clone(), found);
        }
        Ok(Resolution { entries, references })
    }

    /// Returns the places of the entries in the order in which they are processed.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|at| self.entries[*at].turn());
        order
    }

    fn resolve_entry(
        &self,
        at: usize,
        view: &mut dyn View,
        deleted: &HashSet<ResourceKey>,
        conditions: &mut HashMap<(TypeId, Criteria), ResourceKey>,
    ) -> Result<Resolved, Issue> {
        let fresh = |resource_type| ResourceKey { resource_type, id: self.fresh[at].clone() };
        Ok(match &self.entries[at].interaction {
            Interaction::Create(CreateRequest { resource_type, if_none_exist: None, .. }) => {
                Resolved::Create(fresh(*resource_type))
            }
            Interaction::Create(CreateRequest { resource_type, if_none_exist: Some(criteria), .. }) => {
                let condition = (*resource_type, criteria.clone());
                if let Some(same) = conditions.get(&condition) {
                    return Ok(Resolved::Existing(same.clone()));
                }
                let found = unit::at_most_one(view, *resource_type, criteria, deleted)?;
                let key = found.clone().unwrap_or_else(|| fresh(*resource_type));
                conditions.insert(condition, key.clone());
                if found.is_some() { Resolved::Existing(key) } else { Resolved::Create(key) }
            }
            Interaction::Update(UpdateRequest { resource_type, target: Target::Id(id), .. }) => {
                Resolved::Update(ResourceKey { resource_type: *resource_type, id: id.clone() })
            }
            Interaction::Update(
                request @ UpdateRequest { resource_type, target: Target::Criteria(criteria), .. },
            ) => {
                let found = unit::at_most_one(view, *resource_type, criteria, deleted)?;
                let key = update::conditional_key(request, found, &self.fresh[at])?;
                conditions.insert((*resource_type, criteria.clone()), key.clone());
                Resolved::Update(key)
            }
            Interaction::Patch(PatchRequest { resource_type, target, .. }) => {
                let key = unit::existing(view, *resource_type, target, deleted)?;
                let current = unit::current_or_gone(view, &key)?;
                Resolved::Patch(key, current.version)
            }
            Interaction::Delete(DeleteRequest { resource_type, target: Target::Id(id), .. }) => {
                Resolved::Delete(vec![ResourceKey { resource_type: *resource_type, id: id.clone() }])
            }
            Interaction::Delete(DeleteRequest {
                resource_type, target: Target::Criteria(criteria), ..
            }) => Resolved::Delete(
                unit::at_most_one(view, *resource_type, criteria, deleted)?.into_iter().collect(),
            ),
            _ => Resolved::Other,
        })
    }

    /// Rewrites references and prepares the resources.
    ///
    /// # Errors
    /// A resource that cannot be stored; a patch that cannot be applied.
    pub(crate) fn prepare(
        &self,
        view: &mut dyn View,
        preparer: &Preparer<'_>,
        resolution: &Resolution,
        shows: bool,
    ) -> Result<Prepared, Issue> {
        let mut named: HashMap<&str, &ResourceKey> = HashMap::new();
        for (entry, resolved) in self.entries.iter().zip(&resolution.entries) {
            if let (
                Some(url),
                Resolved::Create(key)
                | Resolved::Existing(key)
                | Resolved::Update(key)
                | Resolved::Patch(key, _),
            ) = (entry.full_url.as_deref(), resolved)
            {
                named.insert(url, key);
            }
        }
        let mut ready = Vec::with_capacity(self.entries.len());
        for (entry, resolved) in self.entries.iter().zip(&resolution.entries) {
            let root = entry.full_url.as_deref().and_then(|url| Literal::parse(url)?.base);
            let replacement = |url: &str| new_reference(url, root, &named, &resolution.references);
            if let Some(call) = calling(&entry.interaction) {
                let mut call = call.clone();
                call.body.iter_mut().for_each(|body| reference::rewrite(body, replacement));
                ready.push(Ready::Call(call));
                continue;
            }
            let (key, mut resource) = match (resolved, &entry.interaction) {
                (Resolved::Create(key), Interaction::Create(request)) => (key, request.resource.clone()),
                (Resolved::Update(key), Interaction::Update(request)) => (key, request.resource.clone()),
                (Resolved::Patch(key, _), Interaction::Patch(request)) => {
                    let current = unit::current_or_gone(view, key)?;
                    let located = |issue| located_at(entry.index, issue);
                    let base = current.resource()?;
                    (key, patch::patched(&base, &request.document).map_err(located)?)
                }
                _ => {
                    ready.push(Ready::AsAsked);
                    continue;
                }
            };
            reference::rewrite(&mut resource, replacement);
            let prepared = preparer.prepare(resource, key).map_err(|issue| located_at(entry.index, issue))?;
            ready.push(Ready::Resource(prepared.0, prepared.1));
        }
        Ok(Prepared { definitions: Arc::clone(&preparer.definitions), entries: ready, shows })
    }

    /// Writes what was prepared, in the order of the specification, calls operations, then reads.
    ///
    /// # Errors
    /// The first entry that fails; the caller rolls everything back.
    pub(crate) fn apply(
        &self,
        unit: &mut Unit<'_, '_>,
        resolution: &Resolution,
        mut prepared: Prepared,
    ) -> Result<Vec<(Method, Performed)>, Issue> {
        let mut results: Vec<Option<(Method, Performed)>> = self.entries.iter().map(|_| None).collect();
        for at in self.order() {
            let entry = &self.entries[at];
            let ready = std::mem::replace(&mut prepared.entries[at], Ready::AsAsked);
            let shown = ready.resource().filter(|_| prepared.shows).map(|r| r.body().clone());
            let mut performed = apply_entry(unit, entry, &resolution.entries[at], ready)
                .map_err(|issue| located_at(entry.index, issue))?;
            if let (Some(body), Some(version), Some(updated)) = (shown, performed.version, performed.updated)
            {
                let mut json = Vec::new();
                stamp(&body.bytes, body.hole, version, updated, &mut json);
                performed.body = Body::Json(json.into());
            }
            self.keep_content(unit, at, &resolution.entries[at], &performed)?;
            results[at] = Some((entry.method, performed));
        }
        Ok(results.into_iter().flatten().collect())
    }

    /// Notes what the Binary that an entry wrote carries, where that is in the
    /// document store; a patch changes what is said of it, and not the bytes.
    fn keep_content(
        &self,
        unit: &mut Unit<'_, '_>,
        at: usize,
        resolved: &Resolved,
        performed: &Performed,
    ) -> Result<(), Issue> {
        let Some(key) = performed.key.as_ref().filter(|key| key.resource_type == ty::BINARY) else {
            return Ok(());
        };
        let before = match resolved {
            Resolved::Patch(_, version) => unit.unit.version(key, *version)?,
            _ => None,
        };
        let content = match (self.contents.get(&at), &before) {
            (Some(content), _) => Some(*content),
            (None, Some(before)) => content_of(unit.unit, before)?,
            (None, None) => None,
        };
        let Some(content) = content else { return Ok(()) };
        let Some(current) = unit.current(key)? else { return Ok(()) };
        Ok(unit.unit.put_content(current.number, current.version, &content)?)
    }
}

fn apply_entry(
    unit: &mut Unit<'_, '_>,
    entry: &Entry,
    resolved: &Resolved,
    ready: Ready,
) -> Result<Performed, Issue> {
    match (resolved, &entry.interaction, ready) {
        (Resolved::Existing(key), _, _) => create::existing(unit, key),
        (_, interaction, Ready::Resource(resource, remarks)) => {
            let mut performed = match interaction {
                Interaction::Update(request) => update::apply(unit, resource, request),
                Interaction::Patch(request) => patch::apply(unit, resource, request.if_match),
                _ => create::apply(unit, resource),
            }?;
            performed.issues.extend(remarks);
            Ok(performed)
        }
        (Resolved::Delete(keys), Interaction::Delete(request), _) => {
            delete::apply(unit, keys, request.if_match)
        }
        (_, _, Ready::Call(call)) => called(unit, &call),
        (_, interaction, Ready::AsAsked) => unit.read(interaction),
    }
}

/// Calls an operation, and notes what it changed.
fn called(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    let before = unit.unit.effects().len();
    let mut performed = operation::call_writing(unit, call)?;
    let effects = unit.unit.effects().iter().skip(before);
    performed.changed = effects.map(|effect| effect.key.clone()).collect();
    Ok(performed)
}

/// Checks what can be checked before anything is looked up.
fn check(interaction: &Interaction) -> Result<(), Issue> {
    append_only::check(interaction)?;
    match interaction {
        Interaction::Create(request) => prepare::check_type(&request.resource, request.resource_type),
        Interaction::Update(request) => {
            prepare::check_type(&request.resource, request.resource_type)?;
            update::check_id(request)
        }
        _ => Ok(()),
    }
}

fn written(interaction: &Interaction) -> Option<&Resource> {
    match interaction {
        Interaction::Create(request) => Some(&request.resource),
        Interaction::Update(request) => Some(&request.resource),
        _ => None,
    }
}

/// Returns what may refer to other entries: what is written, and what a call is given that writes.
fn referring(interaction: &Interaction) -> Option<&Resource> {
    written(interaction).or_else(|| calling(interaction)?.body.as_ref())
}

/// Returns the call of an operation that writes.
fn calling(interaction: &Interaction) -> Option<&OperationCall> {
    match interaction {
        Interaction::Operation(call) if operation::writes(call) => Some(call),
        _ => None,
    }
}

fn written_mut(interaction: &mut Interaction) -> Option<&mut Resource> {
    match interaction {
        Interaction::Create(request) => Some(&mut request.resource),
        Interaction::Update(request) => Some(&mut request.resource),
        _ => None,
    }
}

fn conditional_reference(text: &str) -> Result<(TypeId, Criteria), Issue> {
    let url = RelativeUrl::parse(text)?;
    match url.path {
        Path::Type(resource_type) => Ok((resource_type, url.into_criteria()?)),
        _ => Err(Issue::error(IssueType::Value).text("a conditional reference is `[type]?criteria`")),
    }
}

fn one_match(
    text: &str,
    view: &mut dyn View,
    (resource_type, criteria): &(TypeId, Criteria),
    deleted: &HashSet<ResourceKey>,
) -> Result<ResourceKey, Issue> {
    unit::at_most_one(view, *resource_type, criteria, deleted)?.ok_or_else(|| {
        Issue::error(IssueType::NotFound)
            .because(Reason::PreconditionFailed)
            .text(format!("the conditional reference `{}` matches nothing", clip(text)))
    })
}

/// Returns what a URL in a resource becomes, if it names an entry.
///
/// `root` is the base of the fullUrl of the entry that the resource stands in:
/// relative references there are relative to it.
fn new_reference(
    url: &str,
    root: Option<&str>,
    named: &HashMap<&str, &ResourceKey>,
    conditional: &BTreeMap<String, ResourceKey>,
) -> Option<String> {
    let told = |key: &ResourceKey| format!("{}/{}", key.resource_type, key.id);
    if let Some(key) = named.get(url) {
        return Some(told(key));
    }
    if let Some(key) = conditional.get(url) {
        return Some(told(key));
    }
    if let Some((before, fragment)) = url.split_once('#')
        && let Some(key) = named.get(before)
    {
        return Some(format!("{}#{fragment}", told(key)));
    }
    let root = root?;
    let literal = Literal::parse(url).filter(|l| l.base.is_none() && l.version.is_none())?;
    let absolute = format!("{root}/{}/{}", literal.key.resource_type, literal.key.id);
    named.get(absolute.as_str()).map(|key| told(key))
}
