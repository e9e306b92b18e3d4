//! The settings of the outbox.

use std::time::Duration;

use serde::Deserialize;

use super::Patience;
use crate::feed::Pause;

/// The section `[outbox]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboxFile {
    /// How often a message is sent that its destination does not answer while it answers others.
    pub tries_max: Option<u32>,
    /// How many messages are under way to a destination at once.
    pub at_once: Option<usize>,
    /// For how many seconds one waits after the first failure.
    pub pause_seconds: Option<f64>,
    /// For how many seconds at most.
    pub pause_seconds_max: Option<f64>,
}

impl OutboxFile {
    /// Returns how patient the outbox is.
    pub fn patience(&self) -> Patience {
        let default = Patience::default();
        let duration = |seconds: Option<f64>, otherwise: Duration| {
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(otherwise)
        };
        Patience {
            tries_max: self.tries_max.unwrap_or(default.tries_max).max(1),
            at_once: self.at_once.unwrap_or(default.at_once).max(1),
            pause: Pause {
                first: duration(self.pause_seconds, default.pause.first),
                longest: duration(self.pause_seconds_max, default.pause.longest),
            },
        }
    }
}
