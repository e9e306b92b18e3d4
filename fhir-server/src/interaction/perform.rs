//! The one gate to the data: everything that enters becomes an interaction
//! and is performed here.

use std::sync::{Arc, Mutex, PoisonError};

use fhir_model::interaction::{Caller, FhirApi, Interaction, Performed, SearchRequest};
use fhir_model::outcome::{Issue, IssueType, Severity};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::entry::Method;
use super::prepare::Preparer;
use super::transaction::Transaction;
use super::unit::{NoView, Snapshot, Unit, View};
use super::{bundle, capabilities, read};
use crate::limits::Limits;
use crate::search::Search;
use crate::search::registry::Definitions;
use crate::storage::Store;

/// From how many entries on a Bundle is prepared off the thread that serves requests.
const ENTRIES_INLINE_MAX: usize = 8;

/// The server behind all doors; cloning shares it.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    search: Search,
    limits: Limits,
    /// The bases under which this server is known.
    bases: Vec<String>,
    capabilities: Mutex<Option<Capabilities>>,
}

/// A CapabilityStatement, and what it was made of.
struct Capabilities {
    definitions: Arc<Definitions>,
    base: String,
    performed: Performed,
}

impl Inner {
    fn preparer(&self) -> Preparer<'_> {
        let dictionaries = self.store.dictionaries();
        Preparer { definitions: self.search.definitions(), bases: &self.bases, dictionaries }
    }
}

impl Server {
    /// Makes the server over a store. `bases` are the URLs under which it is
    /// known: absolute references to them are references to its own resources.
    pub fn new(store: Arc<Store>, search: Search, limits: Limits, bases: Vec<String>) -> Server {
        Server { inner: Arc::new(Inner { store, search, limits, bases, capabilities: Mutex::new(None) }) }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    async fn run(&self, caller: &Caller, interaction: Interaction) -> Result<Performed, Issue> {
        match interaction {
            Interaction::Read(request) => read::read(self.inner.store.read_current(&request.key)?, &request),
            Interaction::Create(_)
            | Interaction::Update(_)
            | Interaction::Patch(_)
            | Interaction::Delete(_) => {
                let transaction = Transaction::single(interaction)?;
                let mut done = self.transact(caller, transaction, true).await?;
                let (_, performed) = done.pop().ok_or_else(|| Issue::fatal(IssueType::Exception))?;
                Ok(performed)
            }
            Interaction::Bundle(request) => bundle::perform(self, caller, request).await,
            Interaction::Capabilities => Ok(self.capabilities(&caller.base)),
            interaction => {
                if let Interaction::Search(request) = &interaction
                    && let Some(performed) = self.search_here(caller, request)?
                {
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

    /// Answers a search on this thread, when it is a quick one.
    fn search_here(&self, caller: &Caller, request: &SearchRequest) -> Result<Option<Performed>, Issue> {
        let Inner { store, search, .. } = &*self.inner;
        let answer = store.read_here(|connection| {
            match search.search_quickly(connection, request, &caller.base) {
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
        let mut kept = self.inner.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = &*kept
            && Arc::ptr_eq(&kept.definitions, &definitions)
            && kept.base == base
        {
            return kept.performed.clone();
        }
        let performed = capabilities::capabilities(&definitions, base);
        *kept = Some(Capabilities { definitions, base: base.to_owned(), performed: performed.clone() });
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
        let inner = Arc::clone(&self.inner);
        let is_small = transaction.len() <= ENTRIES_INLINE_MAX;
        let prepare = move || {
            let preparer = inner.preparer();
            if transaction.is_unconditional() {
                let resolution = transaction.resolve(&mut NoView)?;
                let prepared = transaction.prepare(&mut NoView, &preparer, &resolution, shows)?;
                return Ok((transaction, resolution, prepared));
            }
            let mut reader = inner.store.reader()?;
            let mut view = Snapshot { reader: &mut reader, search: &inner.search, base: "" };
            let resolution = transaction.resolve(&mut view)?;
            let prepared = transaction.prepare(&mut view, &preparer, &resolution, shows)?;
            Ok((transaction, resolution, prepared))
        };
        let (transaction, resolution, prepared) =
            if is_small { prepare()? } else { blocking(prepare).await? };
        let inner = Arc::clone(&self.inner);
        let base = caller.base.clone();
        if inner.store.can_learn() {
            let inner = Arc::clone(&inner);
            // Nobody waits for it, and what it could not store is packed as before.
            tokio::task::spawn_blocking(move || {
                inner.store.learn().inspect_err(|issue| tracing::warn!(?issue, "no dictionary was stored"))
            });
        }
        self.inner
            .store
            .write(move |unit| {
                let mut unit = Unit { unit, search: &inner.search, base: &base };
                let (mut resolution, mut prepared) = (resolution, prepared);
                if !transaction.is_unconditional() {
                    let now = transaction.resolve(&mut unit)?;
                    if now != resolution {
                        prepared = transaction.prepare(&mut unit, &inner.preparer(), &now, shows)?;
                        resolution = now;
                    }
                }
                transaction.apply(&mut unit, &resolution, prepared)
            })
            .await
    }
}

/// Runs `work` on the pool for work that blocks.
async fn blocking<T: Send + 'static>(
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

impl FhirApi for Server {
    fn perform<'a>(
        &'a self,
        caller: &'a Caller,
        interaction: Interaction,
    ) -> BoxFuture<'a, Result<Performed, Issue>> {
        self.run(caller, interaction).boxed()
    }
}
