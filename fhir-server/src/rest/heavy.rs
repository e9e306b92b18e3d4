//! Work that takes the processor for long: off the threads that serve, and no
//! more of it at once than there are cores to do it.

use fhir_model::outcome::{Issue, IssueType};
use tokio::sync::Semaphore;

/// Bytes up to which a body is worked on where it arrived: about a
/// millisecond, less than handing it over would disturb others.
pub(super) const INLINE_BYTES_MAX: usize = 100_000;

/// Where heavy work is done.
pub(super) struct Heavy {
    permits: Semaphore,
}

impl Heavy {
    /// Makes room for so many at once.
    pub(super) fn new(at_once_max: usize) -> Heavy {
        Heavy { permits: Semaphore::new(at_once_max.max(1)) }
    }

    /// Does work that concerns so many bytes.
    ///
    /// # Errors
    /// What the work ends with; 500 when it panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, Issue> + Send + 'static,
    ) -> Result<T, Issue> {
        if bytes <= INLINE_BYTES_MAX {
            return work();
        }
        let unexpected = || Issue::fatal(IssueType::Exception).text("an unexpected error");
        let Ok(_permit) = self.permits.acquire().await else { return Err(unexpected()) };
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result,
            Err(failure) => {
                tracing::error!(panic = failure.is_panic(), "heavy work failed");
                Err(unexpected())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_panic_off_the_thread_is_an_issue() {
        let heavy = Heavy::new(1);
        for bytes in [INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1] {
            assert_eq!(heavy.run(bytes, move || Ok(bytes)).await, Ok(bytes));
        }
        let failed = heavy.run::<()>(INLINE_BYTES_MAX + 1, || panic!("on purpose")).await;
        assert_eq!(failed.map_err(|issue| issue.code), Err(IssueType::Exception));
        assert_eq!(heavy.run(INLINE_BYTES_MAX + 1, || Ok(1)).await, Ok(1), "the permit came back");
    }
}
