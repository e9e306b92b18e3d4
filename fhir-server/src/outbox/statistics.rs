//! What the outbox tells of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::metrics::{Number, Numbers};

/// What waits for a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Queue {
    pub(super) waiting: i64,
    pub(super) given_up: i64,
    /// When the first of those that wait was queued, in microseconds since 1970.
    pub(super) first: Option<i64>,
    pub(super) is_circuit_open: bool,
}

/// What was sent, and what waits.
#[derive(Debug, Default)]
pub struct OutboxStatistics {
    pub(super) sent: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) given_up: AtomicU64,
    queues: Mutex<BTreeMap<String, Queue>>,
}

impl OutboxStatistics {
    pub(super) fn set(&self, destination: &str, queue: Queue) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.insert(destination.to_owned(), queue);
    }
}

impl Numbers for OutboxStatistics {
    fn numbers(&self) -> Vec<Number> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queues = || queues.values();
        let first = queues().filter_map(|queue| queue.first).min();
        let oldest = first.map_or(0, |first| jiff::Timestamp::now().as_microsecond() - first);
        let counter = |name, value: &AtomicU64| Number {
            name,
            kind: "counter",
            value: value.load(Ordering::Relaxed) as f64,
        };
        let gauge = |name, value: f64| Number { name, kind: "gauge", value };
        vec![
            counter("lanterna_outbox_sent_total", &self.sent),
            counter("lanterna_outbox_failures_total", &self.failures),
            counter("lanterna_outbox_given_up_total", &self.given_up),
            gauge("lanterna_outbox_waiting", queues().map(|queue| queue.waiting).sum::<i64>() as f64),
            gauge("lanterna_outbox_dead_letters", queues().map(|queue| queue.given_up).sum::<i64>() as f64),
            gauge("lanterna_outbox_oldest_seconds", (oldest.max(0) / 1_000_000) as f64),
            gauge(
                "lanterna_outbox_circuits_open",
                queues().filter(|queue| queue.is_circuit_open).count() as f64,
            ),
        ]
    }
}
