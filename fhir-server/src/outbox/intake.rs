//! Follows what changes, and queues the messages that it means.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::outcome::Issue;
use fhir_model::primitive::instant::Instant;
use ihe_adapters::outbox::{Change, Destination, Message};
use jiff::Timestamp;
use tokio::time::Instant as Moment;

use crate::feed::{self, Pause, Waker};
use crate::storage::Store;

/// How many changes are looked at together.
const AT_ONCE: usize = 200;
/// It is looked at least so often whether there is something.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How far it has come is noted at least so often, where nothing is queued.
const NOTE_EVERY: Duration = Duration::from_secs(30);
/// When the data cannot be read or written.
const RETRY: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Queues the messages to a destination.
pub struct Intake {
    /// Has the changes, and the queue.
    pub store: Arc<Store>,
    /// To whom.
    pub destination: Arc<dyn Destination>,
    /// Wakes it.
    pub waker: Waker,
    /// Wakes who sends.
    pub queued: Waker,
}

impl Intake {
    /// Queues what changes mean, for as long as it is let.
    pub async fn keep_queueing(self) {
        for failures in 1.. {
            let Err(issue) = self.queue().await else { continue };
            let (destination, why) = (self.destination.name(), issue.diagnostics);
            tracing::warn!(destination, why, "messages cannot be queued; it is tried again");
            tokio::time::sleep(RETRY.jittered(failures)).await;
        }
    }

    /// As [`Intake::keep_queueing`], until the data cannot be read or written.
    async fn queue(&self) -> Result<(), Issue> {
        let mut seen = self.seen().await?;
        let (mut noted, mut noted_at) = (seen, Moment::now());
        loop {
            let changes = feed::changes(&self.store, self.destination.types(), seen, AT_ONCE).await?;
            let is_more = changes.len() == AT_ONCE;
            let mut messages = Vec::new();
            for stored in changes {
                let resource = if stored.deleted { None } else { stored.resource().ok() };
                let at = Timestamp::from_microsecond(stored.updated.0).unwrap_or(Timestamp::UNIX_EPOCH);
                let change = Change { key: stored.key.clone(), version: stored.version, at, resource };
                messages.extend(self.destination.messages(&change).await?);
                seen = stored.updated;
            }
            let is_due = !messages.is_empty() || noted_at.elapsed() > NOTE_EVERY;
            if is_due && seen > noted {
                self.note(messages, seen).await?;
                (noted, noted_at) = (seen, Moment::now());
            }
            if !is_more {
                self.waker.wait_until(Moment::now() + LOOK_EVERY).await;
            }
        }
    }

    /// The setting in which it is noted how far it has come.
    fn note_name(&self) -> String {
        format!("outbox {}", self.destination.name())
    }

    /// Returns how far it has come; what was there before the destination was is nothing for it.
    async fn seen(&self) -> Result<Instant, Issue> {
        let name = self.note_name();
        let read = move |unit: &mut crate::storage::WriteUnit<'_>| {
            if let Some(noted) = unit.setting(&name)?.and_then(|noted| noted.parse().ok()) {
                return Ok(Instant(noted));
            }
            let newest = feed::newest(unit)?;
            unit.set(&name, &newest.0.to_string())?;
            Ok(newest)
        };
        self.store.write(read).await
    }

    /// Queues messages, and notes in the same transaction up to where they come of.
    async fn note(&self, messages: Vec<Message>, seen: Instant) -> Result<(), Issue> {
        let (name, destination) = (self.note_name(), self.destination.name().to_owned());
        let is_any = !messages.is_empty();
        let write = move |unit: &mut crate::storage::WriteUnit<'_>| {
            for message in &messages {
                unit.queue_message(&destination, message)?;
            }
            Ok(unit.set(&name, &seen.0.to_string())?)
        };
        self.store.write(write).await?;
        if is_any {
            self.queued.wake();
        }
        Ok(())
    }
}
