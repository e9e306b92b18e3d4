//! Following what changes: who sends messages, tells subscribers or sends
//! records on looks at versions in the order in which they were stored, after
//! the last that it looked at, and notes that.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;
use tokio::sync::Notify;

use crate::storage::{Effect, HistoryBounds, HistoryScope, Reads, Store, StoredResource};

/// Is told of commits, and wakes who follows changes of some types.
#[derive(Debug, Clone)]
pub struct Waker {
    types: Arc<[TypeId]>,
    notify: Arc<Notify>,
}

impl Waker {
    /// Makes one for who follows these types.
    pub fn of(types: &[TypeId]) -> Waker {
        Waker { types: types.into(), notify: Arc::default() }
    }

    /// Looks whether a commit has something of these types.
    pub fn committed(&self, effects: &[Effect]) {
        if effects.iter().any(|effect| self.types.contains(&effect.key.resource_type)) {
            self.wake();
        }
    }

    /// Wakes who follows, whatever there is.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// Waits until there may be something, but not longer than to a moment.
    pub async fn wait_until(&self, moment: tokio::time::Instant) {
        let _ = tokio::time::timeout_at(moment, self.notify.notified()).await;
    }
}

/// Returns up to `limit` versions of some types that were stored after an instant.
///
/// # Errors
/// When the database fails.
pub async fn changes(
    store: &Arc<Store>,
    of: &[TypeId],
    after: Instant,
    limit: usize,
) -> Result<Vec<StoredResource>, Issue> {
    let of = of.to_vec();
    reading(store, move |store| Ok(store.reader()?.changes(&of, after, limit)?)).await
}

/// Returns the instant of what was stored last; of nothing before there is anything.
///
/// # Errors
/// When the database fails.
pub fn newest(data: &mut impl Reads) -> Result<Instant, Issue> {
    let last = data.history(&HistoryScope::System, &HistoryBounds::default(), 1)?;
    Ok(last.first().map_or(Instant(0), |last| last.updated))
}

/// Reads where it may block.
///
/// # Errors
/// Those of what is read.
pub async fn reading<T: Send + 'static>(
    store: &Arc<Store>,
    read: impl FnOnce(&Store) -> Result<T, Issue> + Send + 'static,
) -> Result<T, Issue> {
    let store = Arc::clone(store);
    let read = tokio::task::spawn_blocking(move || read(&store)).await;
    read.unwrap_or_else(|_| Err(Issue::fatal(IssueType::Exception)))
}

/// For how long one waits after a failure: longer each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// After the first.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Pause {
    /// Returns for how long one waits after so many failures in a row.
    pub fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }

    /// As [`Pause::after`], by chance up to half of it shorter: those who failed together do not
    /// come back together.
    pub fn jittered(self, failures: u32) -> Duration {
        let (_, random) = uuid::Uuid::new_v4().as_u64_pair();
        let part = (random & 0xffff) as f64 / f64::from(0xffff_u32);
        self.after(failures).mul_f64(0.5 + part / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ() {
        let pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (4, 8), (7, 60), (u32::MAX, 60)] {
            assert_eq!(pause.after(failures), Duration::from_secs(seconds), "{failures}");
            let jittered = pause.jittered(failures);
            assert!(jittered <= pause.after(failures) && jittered * 2 >= pause.after(failures));
        }
        let several: std::collections::BTreeSet<_> = (0..20).map(|_| pause.jittered(5)).collect();
        assert!(several.len() > 1);
    }
}
