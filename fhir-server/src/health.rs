//! Whether the server is fit to serve: what the parts of it say, and the
//! pages under `/health`.
//!
//! *Live* says that the process answers at all: when it does not, restart it.
//! *Ready* says that it should be sent requests: when not, send them elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_model::outcome::{Issue, IssueType};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use crate::clock::ClockWatch;
use crate::storage::Store;

/// How long a part may take to say that it is ready.
const PROBE_MAX: Duration = Duration::from_secs(2);

/// A part of the server that may be unfit to serve.
pub trait Readiness: Send + Sync {
    /// Returns the name of the part.
    fn name(&self) -> &'static str;

    /// Tells whether the part can do its work now.
    ///
    /// # Errors
    /// Why it cannot; the text is shown to operators.
    fn probe(&self) -> BoxFuture<'_, Result<(), Issue>>;
}

impl Readiness for Store {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), Issue>> {
        Box::pin(Store::probe(self))
    }
}

/// Asks all parts at once; returns the page as JSON, and whether all are ready.
pub async fn readiness(parts: &[Arc<dyn Readiness>], is_stopping: bool) -> (bool, String) {
    let reasons = reasons(parts, is_stopping).await;
    let is_ready = reasons.is_empty();
    (is_ready, json!({ "ready": is_ready, "reasons": reasons }).to_string())
}

/// Returns the page that says how the server does, as JSON, and whether it is
/// ready. A clock that is off is told, and is no reason to send requests elsewhere.
pub async fn health(
    parts: &[Arc<dyn Readiness>],
    is_stopping: bool,
    started: Instant,
    clock: Option<&ClockWatch>,
) -> (bool, String) {
    let reasons = reasons(parts, is_stopping).await;
    let is_ready = reasons.is_empty();
    let page = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": started.elapsed().as_secs(),
        "ready": is_ready,
        "reasons": reasons,
        "clock": clock.map(ClockWatch::told),
    });
    (is_ready, page.to_string())
}

/// Returns why requests should be sent elsewhere.
async fn reasons(parts: &[Arc<dyn Readiness>], is_stopping: bool) -> Vec<Value> {
    let probes = parts.iter().map(|part| async move {
        let result = match tokio::time::timeout(PROBE_MAX, part.probe()).await {
            Ok(result) => result,
            Err(_) => Err(Issue::error(IssueType::Timeout).text("gave no answer in 2 seconds")),
        };
        (part.name(), result.err())
    });
    let mut reasons: Vec<Value> = futures_util::future::join_all(probes)
        .await
        .into_iter()
        .filter_map(|(part, issue)| Some(json!({ "part": part, "reason": issue?.to_string() })))
        .collect();
    if is_stopping {
        reasons.push(json!({ "part": "server", "reason": "it is stopping" }));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Part(bool);

    impl Readiness for Part {
        fn name(&self) -> &'static str {
            "part"
        }

        fn probe(&self) -> BoxFuture<'_, Result<(), Issue>> {
            let result =
                if self.0 { Ok(()) } else { Err(Issue::error(IssueType::NoStore).text("disk full")) };
            Box::pin(std::future::ready(result))
        }
    }

    #[tokio::test]
    async fn reasons_are_told() {
        for (parts, is_stopping, expected) in [
            (vec![], false, r#"{"ready":true,"reasons":[]}"#),
            (vec![true, true], false, r#"{"ready":true,"reasons":[]}"#),
            (
                vec![true, false],
                false,
                r#"{"ready":false,"reasons":[{"part":"part","reason":"error no-store: disk full"}]}"#,
            ),
            (vec![true], true, r#"{"ready":false,"reasons":[{"part":"server","reason":"it is stopping"}]}"#),
        ] {
            let parts: Vec<Arc<dyn Readiness>> =
                parts.into_iter().map(|p| Arc::new(Part(p)) as Arc<dyn Readiness>).collect();
            assert_eq!(readiness(&parts, is_stopping).await.1, expected);
        }
    }
}
