//! The one gate to the data: everything that enters becomes an interaction
//! and is performed here.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fhir_model::interaction::{Caller, FhirApi, Interaction, Performed, ResourceKey};
use fhir_model::outcome::{Issue, IssueType, Severity};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::entry::Method;
use super::prepare::Preparer;
use super::recording::{Recording, WritesOf};
use super::transaction::{Prepared, Resolution, Transaction};
use super::unit::{NoView, Preparing, Snapshot, Unit, View, fresh_id};
use super::validation::{Gate, Validation};
use super::{bundle, capabilities, once, read};
use crate::identity::Index;
use crate::identity::linker::Linker;
use crate::index::reindex::Reindexer;
use crate::limits::Limits;
use crate::metrics::{Number, Numbers};
use crate::operation;
use crate::search::Search;
use crate::search::custom::Activation;
use crate::search::registry::Definitions;
use crate::storage::{Operation, PreparedResource, Reads, Store, WriteUnit};

/// From how many entries on a Bundle is prepared off the thread that serves requests.
const ENTRIES_INLINE_MAX: usize = 8;

/// The server behind all doors; cloning shares it.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
    /// How what is asked of it is recorded; `None` for doors that do it themselves.
    recording: Option<Arc<Recording>>,
}

struct Inner {
    store: Arc<Store>,
    search: Arc<Search>,
    activation: Arc<Activation>,
    reindexer: Reindexer,
    limits: Limits,
    validation: Arc<Validation>,
    /// Links records of patients, where that is asked for.
    identity: Option<Identity>,
    /// The bases under which this server is known.
    bases: Vec<String>,
    capabilities: Mutex<Option<Capabilities>>,
}

/// Which records of patients are linked, and who does it.
struct Identity {
    index: Arc<Index>,
    linker: Linker,
}

/// What has a say in the transaction in which something is written.
pub(crate) trait Within: Send + 'static {
    /// Whether the settings for validation hold for it.
    const IS_VALIDATED: bool;

    /// Is asked before anything is written.
    ///
    /// # Errors
    /// Why it may not be.
    fn before(&self, _: &mut Unit<'_, '_>) -> Result<(), Issue> {
        Ok(())
    }

    /// Is told what was written.
    ///
    /// # Errors
    /// Why it has to be undone.
    fn after(&self, _: &mut Unit<'_, '_>, _: &[(Method, Performed)]) -> Result<(), Issue> {
        Ok(())
    }

    /// Tells whether it has to see what is stored for [`Within::beside`].
    fn looks_up(&self, _: &Transaction) -> bool {
        false
    }

    /// Returns the resources that are stored beside what is written.
    ///
    /// # Errors
    /// When the database fails.
    fn beside(
        &self,
        _: &Transaction,
        _: &Resolution,
        _: &Prepared,
        _: &mut dyn View,
    ) -> Result<Vec<Resource>, Issue> {
        Ok(Vec::new())
    }

    /// Returns the resources that are stored beside what was called and read.
    fn beside_reads(&self, _: &Transaction, _: &[(Method, Performed)]) -> Vec<Resource> {
        Vec::new()
    }
}

/// What callers write: nothing more has a say.
impl Within for () {
    const IS_VALIDATED: bool = true;
}

/// What a transaction writes, and what is stored beside.
struct Complete {
    prepared: Prepared,
    beside: Vec<PreparedResource>,
}

/// How a transaction is prepared.
#[derive(Clone)]
struct How {
    /// What validates it.
    gate: Option<Gate>,
    /// Who told what it writes.
    source: Option<Arc<str>>,
    /// Whether what was written is answered.
    shows: bool,
}

/// A CapabilityStatement, and what it was made of.
struct Capabilities {
    definitions: Arc<Definitions>,
    ready: usize,
    base: String,
    performed: Performed,
}

impl Inner {
    /// Makes what prepares resources: `gate` validates them, `source` told them.
    fn preparer<'p>(&'p self, gate: Option<Gate>, source: Option<&'p str>) -> Preparer<'p> {
        let (dictionaries, definitions) = (self.store.dictionaries(), self.search.definitions());
        let index = self.identity.as_ref().map(|identity| &*identity.index);
        Preparer { definitions, bases: &self.bases, dictionaries, gate, index, source }
    }

    /// Waits until what is to be linked to something that was written is.
    async fn linked(&self, changed: Option<Instant>) {
        if let (Some(identity), Some(changed)) = (&self.identity, changed) {
            identity.linker.passed(changed).await;
        }
    }

    /// Prepares what a transaction writes, and what is stored beside.
    fn complete<W: Within>(
        &self,
        within: &W,
        (transaction, resolution): (&Transaction, &Resolution),
        view: &mut dyn View,
        How { gate, source, shows }: How,
    ) -> Result<Complete, Issue> {
        let preparer = self.preparer(gate, source.as_deref());
        let prepared = transaction.prepare(view, &preparer, resolution, shows)?;
        let beside = self.beside(within.beside(transaction, resolution, &prepared, view)?)?;
        Ok(Complete { prepared, beside })
    }

    /// Prepares what is stored beside what is written: nobody validates it.
    fn beside(&self, resources: Vec<Resource>) -> Result<Vec<PreparedResource>, Issue> {
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let preparer = self.preparer(None, None);
        let prepare = |resource: Resource| {
            let key = ResourceKey { resource_type: resource.resource_type(), id: fresh_id() };
            preparer.prepare(resource, &key).map(|(prepared, _)| prepared)
        };
        resources.into_iter().map(prepare).collect()
    }

    /// Returns what validates writes, where that is asked for.
    fn gate(&self) -> Result<Option<Gate>, Issue> {
        if self.validation.is_off() {
            return Ok(None);
        }
        let known = self.search.knowledge().current(&mut self.store.reader()?)?;
        Ok(Some(Gate { validation: Arc::clone(&self.validation), validator: Arc::clone(&known.validator) }))
    }

    /// Decides what becomes of the SearchParameters that a transaction changed.
    /// Has to be the last thing that its job does.
    fn activate(
        &self,
        unit: &mut WriteUnit<'_>,
        transaction: &Transaction,
        changed: &[(usize, ResourceKey)],
        done: &mut [(Method, Performed)],
    ) -> Result<(), Issue> {
        let keys: Vec<ResourceKey> = changed.iter().map(|(_, key)| key.clone()).collect();
        let activated = self.activation.activate(unit, &keys).map_err(|refused| {
            let entry = changed.iter().find(|(_, key)| refused.key.as_deref() == Some(key));
            match entry {
                Some((at, _)) => transaction.located(*at, refused.issue),
                None => refused.issue,
            }
        })?;
        for (key, remark) in &activated.remarks {
            let performed = done.iter_mut().find(|(_, performed)| performed.key.as_ref() == Some(key));
            performed.into_iter().for_each(|(_, performed)| performed.issues.push(remark.clone()));
        }
        self.activation.prepare(&activated);
        Ok(())
    }
}

impl Server {
    /// Makes the server over a store: reads which custom search parameters are
    /// stored and which patients are merged, and goes on indexing for them. Blocks. `bases` are the URLs
    /// under which it is known: absolute references to them are references to
    /// its own resources.
    ///
    /// # Errors
    /// When the database fails, or there can be no further thread.
    pub fn new(
        store: Arc<Store>,
        search: Search,
        limits: Limits,
        bases: Vec<String>,
    ) -> Result<Server, Issue> {
        let search = Arc::new(search);
        let activation = Arc::new(Activation::new(Arc::clone(&search)));
        let starting = Arc::clone(&activation);
        activation.set(store.write_blocking(move |unit| starting.start(unit))?);
        let reindexer = Reindexer::start(Arc::clone(&store), Arc::clone(&search), bases.clone())
            .map_err(|error| Issue::fatal(IssueType::Exception).text(error.to_string()))?;
        let (committing, waker) = (Arc::clone(&activation), reindexer.waker());
        let observing = Arc::clone(&search);
        store.observe(Box::new(move |effects| {
            observing.knowledge().committed(effects);
            observing.merges().committed(effects);
            if committing.committed(effects) {
                // One that is awake looks again before it rests.
                let _ = waker.try_send(());
            }
        }));
        let capabilities = Mutex::new(None);
        let validation = Arc::default();
        let identity = None;
        let inner =
            Inner { store, search, activation, reindexer, limits, validation, identity, bases, capabilities };
        Ok(Server { inner: Arc::new(inner), recording: None })
    }

    /// Returns the same server as one that records what is asked of it.
    pub fn recorded(&self, recording: Recording) -> Server {
        Server { inner: Arc::clone(&self.inner), recording: Some(Arc::new(recording)) }
    }

    /// Says what validation of writes leads to; before the server is shared.
    pub fn with_validation(mut self, validation: Validation) -> Server {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            inner.validation = Arc::new(validation);
        }
        self
    }

    /// Links the records of patients that take part in an index; before the
    /// server is shared. Blocks.
    ///
    /// # Errors
    /// When the database fails, or there can be no further thread.
    pub fn with_index(mut self, index: Index) -> Result<Server, Issue> {
        if let Some(inner) = Arc::get_mut(&mut self.inner) {
            let index = Arc::new(index);
            let (store, search) = (Arc::clone(&inner.store), Arc::clone(&inner.search));
            let bases = inner.bases.clone().into();
            let linker = Linker::start(Preparing { store, search, bases, index: Arc::clone(&index) })?;
            inner.store.observe(Box::new(linker.observer()));
            inner.identity = Some(Identity { index, linker });
        }
        Ok(self)
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.inner.store
    }

    pub(crate) fn search(&self) -> &Arc<Search> {
        &self.inner.search
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(super) async fn run(&self, caller: &Caller, interaction: Interaction) -> Result<Performed, Issue> {
        match interaction {
            // Whether a Binary carries its bytes is asked for with the others.
            Interaction::Read(request) if request.key.resource_type != ty::BINARY => {
                read::read(self.inner.store.read_current(&request.key)?, &request)
            }
            interaction if is_written(&interaction) => {
                let transaction = Transaction::single(interaction)?;
                let mut done = self.transact(caller, transaction, true).await?;
                let (_, performed) = done.pop().ok_or_else(|| Issue::fatal(IssueType::Exception))?;
                Ok(performed)
            }
            Interaction::Bundle(request) => bundle::perform(self, caller, request).await,
            Interaction::Capabilities => Ok(self.capabilities(&caller.base)),
            interaction => {
                if let Some(performed) = self.answer_here(caller, &interaction)? {
                    return Ok(performed);
                }
                let (inner, base) = (Arc::clone(&self.inner), caller.base.clone());
                blocking(move || {
                    let mut reader = inner.store.reader()?;
                    Snapshot { reader: &mut reader, search: &inner.search, base: &base }.read(&interaction)
                })
                .await
            }
        }
    }

    /// Answers a search or an operation on this thread, when it is a quick one.
    fn answer_here(&self, caller: &Caller, interaction: &Interaction) -> Result<Option<Performed>, Issue> {
        let Inner { store, search, .. } = &*self.inner;
        let is_quick = match interaction {
            Interaction::Search(_) => true,
            Interaction::Operation(call) => operation::is_quick(call),
            _ => false,
        };
        if !is_quick {
            return Ok(None);
        }
        let answer = store.read_here(|connection| {
            let answer = match interaction {
                Interaction::Search(request) => search.search_quickly(connection, request, &caller.base),
                other => connection
                    .snapshot(|connection| read::perform(connection, search, &caller.base, other).map(Some)),
            };
            match answer {
                Err(issue) if issue.severity == Severity::Fatal => Err(issue),
                // The caller's mistakes say nothing of the connection.
                answer => Ok(answer),
            }
        });
        answer.map_or(Ok(None), |answer| answer?)
    }

    /// Returns the CapabilityStatement, written anew only when the search
    /// parameters or the base are others than the last time.
    fn capabilities(&self, base: &str) -> Performed {
        let definitions = self.inner.search.definitions();
        let ready = definitions.custom().iter().filter(|c| c.is_ready()).count();
        let mut kept = self.inner.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && Arc::ptr_eq(&kept.definitions, &definitions)
            && kept.ready == ready
            && kept.base == base
        {
            return kept.performed.clone();
        }
        let performed = capabilities::capabilities(&definitions, base);
        let base = base.to_owned();
        *kept = Some(Capabilities { definitions, ready, base, performed: performed.clone() });
        performed
    }

    /// Writes a transaction, and answers when it is durable. `shows`: the
    /// resources written are wanted back.
    pub(crate) async fn transact(
        &self,
        caller: &Caller,
        transaction: Transaction,
        shows: bool,
    ) -> Result<Vec<(Method, Performed)>, Issue> {
        if let Some(recording) = &self.recording {
            recording.refuse_forged(&transaction)?;
            if recording.covers(&transaction) {
                let within = WritesOf::new(recording, caller);
                return self.transact_within(caller, transaction, shows, within).await;
            }
        }
        self.transact_within(caller, transaction, shows, ()).await
    }

    /// As [`Server::transact`], where something more has a say.
    pub(crate) async fn transact_within<W: Within>(
        &self,
        caller: &Caller,
        transaction: Transaction,
        shows: bool,
        within: W,
    ) -> Result<Vec<(Method, Performed)>, Issue> {
        if let Some(once) = &caller.once {
            // What was done may not be possible any more.
            let done = once::done(&mut self.inner.store.reader()?, Some(once), shows)?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
        let inner = Arc::clone(&self.inner);
        if transaction.asks_knowledge() {
            let knowing = Arc::clone(&inner);
            blocking(move || knowing.search.knowledge().current(&mut knowing.store.reader()?).map(drop))
                .await?;
        }
        let is_small = transaction.len() <= ENTRIES_INLINE_MAX;
        let source = caller.source.clone();
        let prepare = move || {
            let gate = if W::IS_VALIDATED { inner.gate()? } else { None };
            let how = How { gate, source, shows };
            if transaction.is_unconditional() && !within.looks_up(&transaction) {
                let resolution = transaction.resolve(&mut NoView)?;
                let complete =
                    inner.complete(&within, (&transaction, &resolution), &mut NoView, how.clone())?;
                return Ok((transaction, resolution, complete, how, within));
            }
            let mut reader = inner.store.reader()?;
            let mut view = Snapshot { reader: &mut reader, search: &inner.search, base: "" };
            let resolution = transaction.resolve(&mut view)?;
            let complete = inner.complete(&within, (&transaction, &resolution), &mut view, how.clone())?;
            Ok((transaction, resolution, complete, how, within))
        };
        let (transaction, resolution, complete, how, within) =
            if is_small { prepare()? } else { blocking(prepare).await? };
        let inner = Arc::clone(&self.inner);
        let (base, once) = (caller.base.clone(), caller.once.clone());
        if inner.store.can_learn() {
            let inner = Arc::clone(&inner);
            // Nobody waits for it, and what it could not store is packed as before.
            tokio::task::spawn_blocking(move || {
                inner.store.learn().inspect_err(|issue| tracing::warn!(?issue, "no dictionary was stored"))
            });
        }
        let (done, changed) = self
            .inner
            .store
            .write(move |unit| {
                if let Some(done) = once::done(unit, once.as_deref(), shows)? {
                    return Ok((done, None));
                }
                let preparer = inner.preparer(None, how.source.as_deref());
                let mut unit = Unit { unit, search: &inner.search, base: &base, preparer: &preparer };
                let (mut resolution, mut complete) = (resolution, complete);
                within.before(&mut unit)?;
                // What later readers search by is decided here as well.
                let mut is_outdated = !complete.prepared.is_by(&inner.search.definitions());
                if !transaction.is_unconditional() {
                    let now = transaction.resolve(&mut unit)?;
                    is_outdated |= now != resolution;
                    resolution = now;
                }
                if is_outdated {
                    complete =
                        inner.complete(&within, (&transaction, &resolution), &mut unit, how.clone())?;
                }
                let mut done = transaction.apply(&mut unit, &resolution, complete.prepared)?;
                within.after(&mut unit, &done)?;
                let of_reads = inner.beside(within.beside_reads(&transaction, &done))?;
                for resource in complete.beside.into_iter().chain(of_reads) {
                    unit.unit.create(resource, Operation::Create)?;
                }
                once::keep(unit.unit, once.as_deref(), &done)?;
                let changed = resolution.changed(ty::SEARCH_PARAMETER);
                if !changed.is_empty() {
                    inner.activate(unit.unit, &transaction, &changed, &mut done)?;
                }
                Ok((done, changed_record(unit.unit)))
            })
            .await?;
        self.inner.linked(changed).await;
        Ok(done)
    }
}

/// Tells whether an interaction is a transaction of its own.
pub(super) fn is_written(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::Create(_) | Interaction::Update(_) | Interaction::Patch(_) | Interaction::Delete(_) => {
            true
        }
        Interaction::Operation(call) => operation::writes(call),
        _ => false,
    }
}

/// Returns when a job changed a record that takes part in the index of patients, the last one.
fn changed_record(unit: &WriteUnit<'_>) -> Option<Instant> {
    let records = unit.effects().iter().filter(|effect| effect.takes_part);
    records.map(|effect| effect.updated).max()
}

/// Runs `work` on the pool for work that blocks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Issue> + Send + 'static,
) -> Result<T, Issue> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failure) => {
            tracing::error!(panic = failure.is_panic(), "work on the blocking pool failed");
            Err(Issue::fatal(IssueType::Exception).text("an unexpected error; nothing was stored"))
        }
    }
}

impl Numbers for Server {
    fn numbers(&self) -> Vec<Number> {
        let custom = self.inner.search.definitions().custom().len();
        let name = "lanterna_custom_search_parameters";
        let mut numbers = vec![Number { name, kind: "gauge", value: custom as f64 }];
        numbers.extend(self.inner.reindexer.numbers());
        numbers.extend(self.inner.identity.iter().flat_map(|identity| identity.linker.numbers()));
        numbers
    }
}

impl FhirApi for Server {
    fn perform<'a>(
        &'a self,
        caller: &'a Caller,
        interaction: Interaction,
    ) -> BoxFuture<'a, Result<Performed, Issue>> {
        match &self.recording {
            Some(recording) => self.run_recorded(recording, caller, interaction).boxed(),
            None => self.run(caller, interaction).boxed(),
        }
    }

    fn repeated<'a>(&'a self, caller: &'a Caller) -> BoxFuture<'a, Result<Option<Bytes>, Issue>> {
        let look = || once::answer(&mut self.inner.store.reader()?, caller.once.as_deref());
        std::future::ready(look()).boxed()
    }
}
