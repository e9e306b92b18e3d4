//! Indexes what was stored before a search parameter came, in the background.
//!
//! The storage notes which types are stale, and up to which resource they are
//! done; so the work goes on after a restart where it ended. Resources are read
//! and extracted beside the writer, a bounded number at once, and each such
//! number is a short job of the writer. That job writes only when the
//! definitions are still those that it was extracted with, and each resource is
//! still at the version that was read: whoever wrote a later one indexed it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Moment};

use crossbeam_channel::{Receiver, Sender};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;

use super::extract::extract;
use super::row::IndexRows;
use crate::metrics::{Number, Numbers};
use crate::search::Search;
use crate::search::registry::Definitions;
use crate::storage::{
    StaleType, StorageError, Store, StoredResource, WriteUnit, count_after, resources_after, stale_types,
};

/// How many resources are indexed in one job of the writer.
const RESOURCES_AT_ONCE: i64 = 200;
/// How many bytes of stored bodies are read for one job, unless one resource has more.
const BYTES_AT_ONCE: i64 = 4 << 20;
/// How long the writer is left to others after a job.
const PAUSE: Duration = Duration::from_millis(2);
/// When something failed, it is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How far the indexing has come; for metrics.
#[derive(Debug, Default)]
pub struct ReindexStatistics {
    /// Resources that are still to be indexed.
    pub remaining: AtomicU64,
    /// Resources that were indexed since the process began.
    pub done: AtomicU64,
    /// Resources that could not be: their stored form is damaged.
    pub failures: AtomicU64,
}

/// The thread that indexes; dropping it waits for the job that is under way.
pub struct Reindexer {
    wake: Sender<()>,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    statistics: Arc<ReindexStatistics>,
}

impl Reindexer {
    /// Starts the thread, which looks at once whether there is anything to do.
    /// `bases` are the URLs under which this server is known.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub fn start(store: Arc<Store>, search: Arc<Search>, bases: Vec<String>) -> std::io::Result<Reindexer> {
        let (wake, woken) = crossbeam_channel::bounded(1);
        let (stop, statistics) = (Arc::new(AtomicBool::new(false)), Arc::new(ReindexStatistics::default()));
        let work = Work {
            store,
            search,
            bases,
            woken,
            stop: Arc::clone(&stop),
            statistics: Arc::clone(&statistics),
        };
        let thread = std::thread::Builder::new().name("reindexer".to_owned()).spawn(move || work.run())?;
        // There is something to look for.
        let _ = wake.try_send(());
        Ok(Reindexer { wake, stop, thread: Mutex::new(Some(thread)), statistics })
    }

    /// Returns what wakes the thread: a message says that there may be work.
    pub fn waker(&self) -> Sender<()> {
        self.wake.clone()
    }

    /// Returns how far the indexing has come.
    pub fn statistics(&self) -> &ReindexStatistics {
        &self.statistics
    }
}

impl Drop for Reindexer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the indexing has panicked");
        }
    }
}

impl Numbers for Reindexer {
    fn numbers(&self) -> Vec<Number> {
        let of = |name, kind, value: &AtomicU64| Number {
            name,
            kind,
            value: value.load(Ordering::Relaxed) as f64,
        };
        vec![
            of("lanterna_reindex_resources_remaining", "gauge", &self.statistics.remaining),
            of("lanterna_reindex_resources_total", "counter", &self.statistics.done),
            of("lanterna_reindex_failures_total", "counter", &self.statistics.failures),
        ]
    }
}

/// What the indexing of a type came to.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    indexed: u64,
    /// Resources that were written meanwhile, and are indexed by that.
    outdated: u64,
    damaged: u64,
}

/// How a step ended.
enum Step {
    /// There is more of the type.
    More(i64),
    /// All of the type is done.
    Done,
    /// The definitions are others now, or the type is to begin anew.
    Again,
}

struct Work {
    store: Arc<Store>,
    search: Arc<Search>,
    bases: Vec<String>,
    woken: Receiver<()>,
    stop: Arc<AtomicBool>,
    statistics: Arc<ReindexStatistics>,
}

impl Work {
    fn run(self) {
        while self.woken.recv().is_ok() && !self.is_stopped() {
            while let Err(issue) = self.index_all_or_panic() {
                if self.is_stopped() {
                    return;
                }
                tracing::warn!(%issue, "indexing older resources failed; it is tried again");
                let _ = self.woken.recv_timeout(RETRY_AFTER);
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// A panic is a mistake of ours; it must not end the indexing for good.
    fn index_all_or_panic(&self) -> Result<(), Issue> {
        catch_unwind(AssertUnwindSafe(|| self.index_all()))
            .unwrap_or_else(|_| Err(Issue::fatal(IssueType::Exception).text("the indexing has panicked")))
    }

    /// Indexes type after type until none is stale.
    fn index_all(&self) -> Result<(), Issue> {
        loop {
            let remaining = &self.statistics.remaining;
            let mut reader = self.store.reader()?;
            let stale = stale_types(&mut reader)?;
            let Some(first) = stale.first() else {
                remaining.store(0, Ordering::Relaxed);
                return Ok(());
            };
            let mut count = 0;
            for one in &stale {
                count += count_after(&mut reader, one.of, one.position)?;
            }
            drop(reader);
            remaining.store(count, Ordering::Relaxed);
            tracing::info!(of = %first.of, remaining = count, types = stale.len(), "indexing older resources");
            self.index_type(*first)?;
            if self.is_stopped() {
                return Ok(());
            }
        }
    }

    fn index_type(&self, mut stale: StaleType) -> Result<(), Issue> {
        let begin = Moment::now();
        let mut tally = Tally::default();
        while !self.is_stopped() {
            match self.step(stale, &mut tally)? {
                Step::More(position) => stale.position = position,
                Step::Again => return Ok(()),
                Step::Done => {
                    let Tally { indexed, outdated, damaged } = tally;
                    let (of, seconds) = (stale.of, begin.elapsed().as_secs_f64());
                    tracing::info!(%of, indexed, outdated, damaged, seconds, "older resources are indexed");
                    return Ok(());
                }
            }
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn step(&self, stale: StaleType, tally: &mut Tally) -> Result<Step, Issue> {
        let definitions = self.search.definitions();
        let mut reader = self.store.reader()?;
        let resources =
            resources_after(&mut reader, stale.of, stale.position, RESOURCES_AT_ONCE, BYTES_AT_ONCE)?;
        drop(reader);
        let Some(position) = resources.last().map(|r| r.number) else { return self.end(stale, definitions) };
        let mut extracted = Vec::with_capacity(resources.len());
        let mut damaged = 0;
        for resource in resources {
            match resource.resource() {
                Ok(tree) => {
                    let rows = extract(&definitions, &tree, &self.bases);
                    extracted.push((resource, rows));
                }
                Err(_) => damaged += 1,
            }
        }
        let search = Arc::clone(&self.search);
        let done = self.store.write_blocking(move |unit| {
            if !Arc::ptr_eq(&definitions, &search.definitions()) || !unit.advance_reindex(&stale, position)? {
                return Ok(None);
            }
            write(unit, &extracted).map(Some)
        })?;
        let Some(mut done) = done else { return Ok(Step::Again) };
        done.damaged += damaged;
        tally.indexed += done.indexed;
        tally.outdated += done.outdated;
        tally.damaged += done.damaged;
        let statistics = &self.statistics;
        statistics.done.fetch_add(done.indexed, Ordering::Relaxed);
        statistics.failures.fetch_add(done.damaged, Ordering::Relaxed);
        let all = done.indexed + done.outdated + done.damaged;
        let _ = statistics
            .remaining
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |r| Some(r.saturating_sub(all)));
        Ok(Step::More(position))
    }

    /// Ends the indexing of a type, and says which parameters are ready by that.
    fn end(&self, stale: StaleType, definitions: Arc<Definitions>) -> Result<Step, Issue> {
        let search = Arc::clone(&self.search);
        let ready = self.store.write_blocking(move |unit| {
            if !Arc::ptr_eq(&definitions, &search.definitions()) || !unit.end_reindex(&stale)? {
                return Ok(None);
            }
            if stale.of == ty::PATIENT {
                search.merges().load(unit)?;
            }
            let left = stale_types(unit)?;
            let is_left = |of| left.iter().any(|stale| stale.of == of);
            let mut ready = Vec::new();
            let waiting = definitions.custom().iter().filter(|c| !c.is_ready());
            for custom in waiting.filter(|c| !c.types.iter().any(|of| is_left(*of))) {
                if unit.parameter_is_indexed(custom.number, custom.requested)? {
                    ready.push((custom.number, custom.requested));
                }
            }
            Ok(Some(ready))
        })?;
        let Some(ready) = ready else { return Ok(Step::Again) };
        // The definitions may be others since; what was asked for at another
        // time is another thing.
        let definitions = self.search.definitions();
        for custom in definitions.custom() {
            if ready.contains(&(custom.number, custom.requested)) {
                custom.set_ready();
            }
        }
        Ok(Step::Done)
    }
}

fn write(unit: &mut WriteUnit<'_>, extracted: &[(StoredResource, IndexRows)]) -> Result<Tally, Issue> {
    let mut tally = Tally::default();
    for (resource, rows) in extracted {
        match unit.reindex(resource, rows) {
            Ok(()) => tally.indexed += 1,
            Err(StorageError::Outdated) => tally.outdated += 1,
            Err(StorageError::Damaged { key }) => {
                tracing::error!(key, "the index rows of a resource are damaged: it cannot be indexed anew");
                tally.damaged += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(tally)
}
