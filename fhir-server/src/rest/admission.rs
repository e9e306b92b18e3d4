//! How many requests are performed at once, and how many wait for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fhir_model::outcome::{Issue, IssueType};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::limits::Limits;

/// Lets requests in.
pub(super) struct Admission {
    running: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
    patience: Duration,
}

/// Counts one that waits, until it is let in, gives up or goes away.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    pub(super) fn new(limits: &Limits) -> Admission {
        Admission {
            running: Semaphore::new(limits.running_max.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: AtomicUsize::new(0),
            waiting_max: limits.waiting_max,
            patience: Duration::from_secs(limits.waiting_seconds_max),
        }
    }

    /// Waits until the request may be performed; it may for as long as it
    /// holds the permit.
    ///
    /// # Errors
    /// 503 when too many wait, or the wait is too long.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Issue> {
        if let Ok(permit) = self.running.try_acquire() {
            return Ok(permit);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy());
        }
        let _waiting = Waiting(&self.waiting);
        match tokio::time::timeout(self.patience, self.running.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

fn busy() -> Issue {
    Issue::error(IssueType::Transient)
        .text("the server has more to do than it can; nothing was done, try again")
        .retry_after_seconds(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn the_third_is_refused_at_once_and_the_second_after_a_while() {
        let limits = Limits { running_max: 1, waiting_max: 1, waiting_seconds_max: 0, ..Limits::default() };
        let admission = Admission::new(&limits);
        let first = admission.enter().await;
        assert!(first.is_ok());
        assert_eq!(admission.enter().await.map(drop).map_err(|i| i.retry_after_seconds), Err(Some(2)));
        drop(first);
        assert!(admission.enter().await.is_ok());
        let full = Admission::new(&Limits { waiting_max: 0, ..limits });
        let _first = full.enter().await;
        assert!(full.enter().await.is_err());
        assert_eq!(full.waiting.load(Ordering::Relaxed), 0);
    }
}
