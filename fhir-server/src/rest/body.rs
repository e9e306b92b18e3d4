//! The body of a request: taken within limits of size, time and the memory
//! that all bodies have together, and decompressed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use actix_web::web::{Bytes, BytesMut, Payload};
use fhir_model::outcome::{Issue, IssueType, Reason};
use futures_util::StreamExt;

use super::compress::{self, Coding, DecodeError};
use super::heavy::Heavy;
use crate::limits::Limits;

/// The memory that all bodies have together.
#[derive(Default)]
pub(super) struct Budget {
    held: Arc<AtomicUsize>,
}

/// Bytes taken out of the budget until it is dropped.
pub(super) struct Held {
    held: Arc<AtomicUsize>,
    bytes: usize,
}

impl Budget {
    fn empty(&self) -> Held {
        Held { held: Arc::clone(&self.held), bytes: 0 }
    }
}

impl Held {
    fn add(&mut self, bytes: usize, bytes_max: usize) -> Result<(), Issue> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        if before.saturating_add(bytes) <= bytes_max {
            return Ok(());
        }
        Err(Issue::error(IssueType::Transient)
            .text("too many large bodies at once; nothing was done, try again")
            .retry_after_seconds(5))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body that arrived.
pub(super) struct Body {
    /// Its bytes, decompressed.
    pub(super) bytes: Bytes,
    /// Counts its memory for as long as it is needed.
    pub(super) held: Held,
}

/// Takes the body of a request.
///
/// # Errors
/// 413 when it is too large, by its own word or in fact; 408 when it comes too
/// slowly; 415 for a coding that is not taken; 400 when it is cut or corrupt;
/// 503 when all bodies together are too large.
pub(super) async fn take(
    payload: Payload,
    headers: &HeaderMap,
    limits: &Limits,
    budget: &Budget,
    heavy: &Heavy,
) -> Result<Body, Issue> {
    let header = |name| headers.get(name).and_then(|v| v.to_str().ok());
    let told = header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if told.is_some_and(|bytes| bytes > limits.body_bytes_max) {
        return Err(too_large(limits));
    }
    let coding = Coding::of_content(header(CONTENT_ENCODING)).map_err(|()| {
        Issue::error(IssueType::NotSupported)
            .because(Reason::UnsupportedMediaType)
            .at("http.content-encoding")
            .text(format!("bodies are taken as they are, or in one of: {}", compress::TAKEN))
    })?;
    let mut held = budget.empty();
    let bytes = gather(payload, told, limits, &mut held).await?;
    let Some(coding) = coding.filter(|_| !bytes.is_empty()) else { return Ok(Body { bytes, held }) };
    let bytes_max = limits.body_bytes_max;
    // However small it is, nobody knows what it grows to.
    let decode = move || {
        compress::decode(coding, &bytes, bytes_max).map_err(|error| match error {
            DecodeError::TooLarge => too_large_of(bytes_max),
            DecodeError::Malformed => Issue::error(IssueType::Structure)
                .at("http.content-encoding")
                .text(format!("the body is not {}, or it is cut", coding.token())),
        })
    };
    let decoded = heavy.run(usize::MAX, decode).await?;
    held.add(decoded.len(), limits.bodies_bytes_max)?;
    Ok(Body { bytes: decoded.into(), held })
}

/// Gathers the chunks of a body.
async fn gather(
    mut payload: Payload,
    told: Option<usize>,
    limits: &Limits,
    held: &mut Held,
) -> Result<Bytes, Issue> {
    let begin = Instant::now();
    let mut gathered: Option<BytesMut> = None;
    let mut only: Option<Bytes> = None;
    let mut bytes = 0;
    loop {
        let left = deadline(bytes, limits).saturating_sub(begin.elapsed());
        let chunk = match tokio::time::timeout(left, payload.next()).await {
            Err(_) => return Err(too_slow()),
            Ok(None) => break,
            Ok(Some(Err(_))) => {
                return Err(Issue::error(IssueType::Structure).text("the body did not arrive whole"));
            }
            Ok(Some(Ok(chunk))) => chunk,
        };
        bytes += chunk.len();
        if bytes > limits.body_bytes_max {
            return Err(too_large(limits));
        }
        held.add(chunk.len(), limits.bodies_bytes_max)?;
        // Most bodies come in one chunk, and are not copied.
        match (&mut gathered, only.take()) {
            (Some(gathered), _) => gathered.extend_from_slice(&chunk),
            (None, None) => only = Some(chunk),
            (None, Some(first)) => {
                // What is told is taken on trust only as far as a lie costs little.
                let mut buffer = BytesMut::with_capacity(told.unwrap_or(0).clamp(bytes, bytes + (1 << 20)));
                buffer.extend_from_slice(&first);
                buffer.extend_from_slice(&chunk);
                gathered = Some(buffer);
            }
        }
    }
    Ok(gathered.map_or_else(|| only.unwrap_or_default(), BytesMut::freeze))
}

/// Returns how long after its begin a body may be at only so many bytes.
pub(super) fn deadline(bytes: usize, limits: &Limits) -> Duration {
    let earned = bytes as u64 / limits.body_rate_min.max(1);
    Duration::from_secs(limits.body_grace_seconds.saturating_add(earned).min(limits.body_seconds_max))
}

fn too_slow() -> Issue {
    Issue::error(IssueType::Timeout)
        .because(Reason::RequestTimeout)
        .text("the body came too slowly; nothing was done")
}

fn too_large(limits: &Limits) -> Issue {
    too_large_of(limits.body_bytes_max)
}

fn too_large_of(bytes_max: usize) -> Issue {
    let text =
        format!("the body has more than the {bytes_max} bytes taken here; send it in parts, or import it");
    Issue::error(IssueType::TooLong).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_back() {
        let budget = Budget::default();
        let mut one = budget.empty();
        assert!(one.add(60, 100).is_ok());
        let mut other = budget.empty();
        assert_eq!(other.add(60, 100).map_err(|i| i.code), Err(IssueType::Transient));
        drop(other);
        assert!(one.add(40, 100).is_ok());
        drop(one);
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn time_is_earned_by_bytes() {
        let limits = Limits {
            body_grace_seconds: 20,
            body_rate_min: 1024,
            body_seconds_max: 120,
            ..Limits::default()
        };
        for (bytes, seconds) in [(0, 20), (1023, 20), (10 << 10, 30), (64 << 20, 120)] {
            assert_eq!(deadline(bytes, &limits), Duration::from_secs(seconds), "{bytes}");
        }
    }
}
