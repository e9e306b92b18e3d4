//! Ties the records that are of one person, and asks somebody where that is
//! not clear.
//!
//! Versions of Patients are stored in an order, and a note beside them says how
//! far the linker has come. Each record that changed is looked at anew. Whoever
//! wrote one waits until that is done, so that what a source is told is
//! stored is known as the person's at every door. The note is written with
//! the links: what was not noted is looked at once more, and leads to the same.
//!
//! It rests while no record of the index changes. Patients of whom nobody asks
//! that they are linked pass without being read.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::ty;
use tokio::sync::watch;

use super::examine::{Examined, examine, settle};
use super::held::{Held, store};
use crate::interaction::unit::{Preparing, Snapshot};
use crate::metrics::{Number, Numbers};
use crate::storage::{Effect, HistoryBounds, HistoryScope, Reads, Store, StoredResource};

/// How many changes are looked at together.
const AT_ONCE: usize = 64;
/// With more than so many changes to look at when it starts, nobody waits until it has caught up.
const BACKLOG_MAX: usize = 1_000;
/// How far it has come is noted at least so often, where that is all there is to store.
const NOTE_EVERY: Duration = Duration::from_secs(10);
/// When something failed, it is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The setting in which it is noted how far it has come.
const PROGRESS: &str = "identity_linked";

/// What it does; for metrics.
#[derive(Debug, Default)]
struct LinkerStatistics {
    examined: AtomicU64,
    linked: AtomicU64,
    unlinked: AtomicU64,
    asked: AtomicU64,
    failures: AtomicU64,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// All changes up to here were looked at, or need not be.
    passed: Instant,
    /// The last change of a record that takes part.
    newest: Instant,
    /// Whether nobody waits until what was there before is linked.
    is_catching_up: bool,
}

/// What the linker, the writer and those who wait share.
struct Shared {
    progress: Mutex<Progress>,
    /// Up to where nobody has to wait any more.
    passed: watch::Sender<Instant>,
    stop: AtomicBool,
    statistics: LinkerStatistics,
}

impl Shared {
    fn with<T>(&self, then: impl FnOnce(&mut Progress) -> T) -> T {
        then(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says that all up to an instant was looked at.
    fn pass(&self, at: Instant) {
        self.with(|progress| progress.passed = progress.passed.max(at));
        self.release(at);
    }

    fn release(&self, at: Instant) {
        self.passed.send_if_modified(|passed| {
            let is_later = at > *passed;
            *passed = (*passed).max(at);
            is_later
        });
    }
}

/// The thread that links; dropping it waits for what is under way.
pub(crate) struct Linker {
    shared: Arc<Shared>,
    wake: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Linker {
    /// Starts the thread, which goes on where it ended. Blocks.
    ///
    /// # Errors
    /// When the database fails, or there can be no further thread.
    pub(crate) fn start(preparing: Preparing) -> Result<Linker, Issue> {
        let store = Arc::clone(&preparing.store);
        let begun = store.write_blocking(|unit| {
            let noted = unit.setting(PROGRESS)?.and_then(|noted| noted.parse().ok());
            Ok(Instant(noted.unwrap_or(0)))
        })?;
        let (newest, backlog) = store.reader()?.snapshot(|reader| {
            let last = reader.history(&HistoryScope::System, &HistoryBounds::default(), 1)?;
            let newest = last.first().map_or(begun, |last| last.updated);
            Ok((newest, reader.changes(&[ty::PATIENT], begun, BACKLOG_MAX)?.len()))
        })?;
        let passed = if backlog == 0 { newest } else { begun };
        let is_catching_up = backlog >= BACKLOG_MAX;
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress { passed, newest, is_catching_up }),
            passed: watch::Sender::new(passed),
            stop: AtomicBool::new(false),
            statistics: LinkerStatistics::default(),
        });
        let (wake, woken) = crossbeam_channel::bounded(1);
        let own = BTreeSet::new();
        let work = Work { store, preparing, woken, own, noted: begun, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("linker".to_owned()).spawn(move || work.run());
        let thread = thread.map_err(|error| Issue::fatal(IssueType::Exception).text(error.to_string()))?;
        // There may be something to look at.
        let _ = wake.try_send(());
        Ok(Linker { shared, wake, thread: Mutex::new(Some(thread)) })
    }

    /// Returns what is to be told of commits, on the writer's thread.
    pub(crate) fn observer(&self) -> impl Fn(&[Effect]) + Send + Sync + use<> {
        let (shared, wake) = (Arc::clone(&self.shared), self.wake.clone());
        move |effects| {
            let patients = effects.iter().filter(|effect| effect.key.resource_type == ty::PATIENT);
            let Some(last) = patients.clone().map(|effect| effect.updated).max() else { return };
            let newest = patients.filter(|effect| effect.takes_part).map(|effect| effect.updated).max();
            shared.with(|progress| {
                // Who has nothing to look at need not look at what nobody waits for.
                if newest.is_none() && progress.passed >= progress.newest {
                    progress.passed = progress.passed.max(last);
                }
                progress.newest = progress.newest.max(newest.unwrap_or_default());
            });
            if newest.is_some() {
                let _ = wake.try_send(());
            }
        }
    }

    /// Waits until a change was looked at.
    pub(crate) async fn passed(&self, at: Instant) {
        if self.shared.with(|progress| progress.is_catching_up) {
            return;
        }
        // Nobody is left to wait for when the thread has ended.
        let _ = self.shared.passed.subscribe().wait_for(|passed| *passed >= at).await;
    }
}

impl Drop for Linker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.wake.try_send(());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the linker has panicked");
        }
    }
}

impl Numbers for Linker {
    fn numbers(&self) -> Vec<Number> {
        let statistics = &self.shared.statistics;
        let counter = |name, value: &AtomicU64| Number {
            name,
            kind: "counter",
            value: value.load(Ordering::Relaxed) as f64,
        };
        let behind = self.shared.with(|progress| (progress.newest.0 - progress.passed.0).max(0));
        vec![
            counter("lanterna_identity_examined_total", &statistics.examined),
            counter("lanterna_identity_links_made_total", &statistics.linked),
            counter("lanterna_identity_links_taken_away_total", &statistics.unlinked),
            counter("lanterna_identity_reviews_asked_total", &statistics.asked),
            counter("lanterna_identity_failures_total", &statistics.failures),
            Number { name: "lanterna_identity_behind_seconds", kind: "gauge", value: behind as f64 / 1e6 },
        ]
    }
}

/// What the thread works with.
struct Work {
    store: Arc<Store>,
    preparing: Preparing,
    woken: Receiver<()>,
    /// When it changed records itself: that need not be looked at.
    own: BTreeSet<Instant>,
    /// Up to where it has noted that it has come.
    noted: Instant,
    shared: Arc<Shared>,
}

impl Work {
    fn run(mut self) {
        while self.rest() {
            match self.look_or_panic() {
                Ok(()) => self.shared.with(|progress| progress.is_catching_up = false),
                Err(issue) => {
                    let why = issue.diagnostics;
                    tracing::error!(why, "records cannot be linked; it is tried again");
                    self.shared.statistics.failures.fetch_add(1, Ordering::Relaxed);
                    // Nobody waits for what fails; it is not forgotten.
                    self.shared.release(self.shared.with(|progress| progress.newest));
                    std::thread::sleep(RETRY_AFTER);
                    continue;
                }
            }
        }
        let _ = self.note();
    }

    /// Waits until there may be something to look at; `false` when it is to end.
    fn rest(&mut self) -> bool {
        let passed = |work: &Work| work.shared.with(|progress| progress.passed);
        let is_behind = self.shared.with(|progress| progress.newest > progress.passed);
        if !is_behind {
            let woken = match self.noted < passed(self) {
                false => self.woken.recv().map_err(|_| RecvTimeoutError::Disconnected),
                true => self.woken.recv_timeout(NOTE_EVERY),
            };
            match woken {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(issue) = self.note() {
                        tracing::warn!(
                            why = issue.diagnostics,
                            "it cannot be noted how far records are linked"
                        );
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        !self.shared.stop.load(Ordering::Acquire)
    }

    /// Notes how far it has come.
    fn note(&mut self) -> Result<(), Issue> {
        let passed = self.shared.with(|progress| progress.passed);
        if passed > self.noted {
            self.store.write_blocking(move |unit| Ok(unit.set(PROGRESS, &passed.0.to_string())?))?;
            self.noted = passed;
        }
        Ok(())
    }

    /// A panic is a mistake of ours; it must not end the linking for good.
    fn look_or_panic(&mut self) -> Result<(), Issue> {
        catch_unwind(AssertUnwindSafe(|| self.look()))
            .unwrap_or_else(|_| Err(Issue::fatal(IssueType::Exception).text("the linking has panicked")))
    }

    /// Looks at what changed, until nothing is left.
    fn look(&mut self) -> Result<(), Issue> {
        while !self.shared.stop.load(Ordering::Acquire) {
            let Progress { passed, newest, .. } = self.shared.with(|progress| *progress);
            if passed >= newest {
                break;
            }
            let changes = self.store.reader()?.changes(&[ty::PATIENT], passed, AT_ONCE)?;
            let Some(last) = changes.last().map(|change| change.updated) else {
                // Deletions of before, or what stands for no change.
                self.shared.pass(newest);
                break;
            };
            self.link(changes, last)?;
            self.own.retain(|at| *at > last);
            self.shared.pass(last);
        }
        Ok(())
    }

    /// Looks at some changes, and stores what they lead to.
    fn link(&mut self, changes: Vec<StoredResource>, last: Instant) -> Result<(), Issue> {
        let mut changed: Vec<ResourceKey> = Vec::new();
        for change in changes.into_iter().filter(|change| !self.own.contains(&change.updated)) {
            if !changed.contains(&change.key) {
                changed.push(change.key);
            }
        }
        let examined = self.examine(&changed)?;
        self.shared.statistics.examined.fetch_add(examined.len() as u64, Ordering::Relaxed);
        if examined.is_empty() {
            return Ok(());
        }
        let preparing = self.preparing.clone();
        let (written, tally) = self.store.write_blocking(move |unit| {
            let preparer = preparing.preparer();
            let mut unit = preparing.unit(unit, &preparer);
            let mut held = Held::new(&mut unit);
            let tally = settle(&mut held, &preparing.index, &examined)?;
            let changes = held.into_changes();
            let written = store(&mut unit, changes)?;
            unit.unit.set(PROGRESS, &last.0.to_string())?;
            Ok((written, tally))
        })?;
        self.noted = last;
        let of_patients = written.iter().filter(|(key, _)| key.resource_type == ty::PATIENT);
        self.own.extend(of_patients.map(|(_, written)| written.updated));
        let statistics = &self.shared.statistics;
        statistics.linked.fetch_add(tally.linked, Ordering::Relaxed);
        statistics.unlinked.fetch_add(tally.unlinked, Ordering::Relaxed);
        statistics.asked.fetch_add(tally.asked, Ordering::Relaxed);
        Ok(())
    }

    /// Looks at records beside the writer; returns those of which something comes.
    fn examine(&self, changed: &[ResourceKey]) -> Result<Vec<Examined>, Issue> {
        let mut all = Vec::new();
        self.store.reader()?.snapshot(|reader| {
            let mut view = Snapshot { reader, search: &self.preparing.search, base: "" };
            for key in changed {
                let mut held = Held::new(&mut view);
                let Some(examined) = examine(&mut held, &self.preparing.index, key.id.as_str())? else {
                    continue;
                };
                settle(&mut held, &self.preparing.index, std::slice::from_ref(&examined))?;
                // Of most nothing comes, and the writer is left to others.
                if held.is_changed() {
                    all.push(examined);
                }
            }
            Ok(())
        })?;
        Ok(all)
    }
}
