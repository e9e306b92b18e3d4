//! Messages that were taken over are performed: those of a sender one by one,
//! in their order.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use fhir_model::interaction::Caller;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::header::Header;
use super::inbox::Queued;
use super::{Answered, Gateway};
use crate::wire::hl7v2::acknowledgement::{Mode, Wanted};
use crate::wire::hl7v2::message::Message;

/// How long is waited before a message is performed again that could not be; then those of
/// other senders have their turn.
const AGAIN_AFTER: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5)];

impl Gateway {
    /// Performs what was taken over and is not performed, of all senders at once.
    pub async fn resume_messages(&self, caller: &Caller) {
        let Some(inbox) = &self.inbox else { return };
        match inbox.senders().await {
            Ok(senders) => {
                join_all(senders.iter().map(|sender| self.perform_queued(caller, sender))).await;
            }
            Err(issue) => tracing::error!(why = issue.diagnostics, "messages taken over cannot be read"),
        }
    }

    /// Performs what of a sender was taken over. What cannot be performed now
    /// stays, and what is behind it as well, until it is set aside.
    pub async fn perform_queued(&self, caller: &Caller, sender: &str) {
        let Some(inbox) = &self.inbox else { return };
        let turn = self.turns.of(sender);
        let _held = turn.lock().await;
        loop {
            let queued = match inbox.next(sender).await {
                Ok(None) => return,
                Ok(Some(queued)) => queued,
                Err(issue) => {
                    tracing::error!(why = issue.diagnostics, "a message that was taken over cannot be read");
                    return;
                }
            };
            if let Err(why) = self.perform_one(caller, &queued).await {
                tracing::error!(why, "a message that was taken over cannot be performed now");
                if !self.set_aside(&queued, &why).await {
                    return;
                }
            }
        }
    }

    /// Notes that a message failed; tells whether it is set aside, and those behind it go on.
    async fn set_aside(&self, queued: &Queued, why: &str) -> bool {
        let Some(inbox) = &self.inbox else { return false };
        let patience = self.settings.messages.patience;
        let set_aside = match inbox.failed(queued.number, why).await {
            Ok(failing) if patience.sets_aside(failing) => {
                inbox.set_aside(queued.number).await.map(|()| true)
            }
            Ok(_) => Ok(false),
            Err(issue) => Err(issue),
        };
        match set_aside {
            Ok(true) => {
                let number = queued.number;
                tracing::error!(number, why, "a message was set aside: `lanterna inbox` shows it");
                true
            }
            Ok(false) => false,
            Err(issue) => {
                tracing::error!(why = issue.diagnostics, "that a message failed cannot be noted");
                false
            }
        }
    }

    async fn perform_one(&self, caller: &Caller, queued: &Queued) -> Result<(), String> {
        let Some(inbox) = &self.inbox else { return Ok(()) };
        let mut waits = AGAIN_AFTER.iter();
        let answer = loop {
            // One that panics does so for a fault of this program.
            let performing = AssertUnwindSafe(self.answer_queued(caller, queued)).catch_unwind();
            let Ok(answered) = performing.await else { return Err("it panicked".to_owned()) };
            let Some((application, answered)) = answered else { break None };
            let Some(why) = answered.failed else {
                break application.covers(answered.code).then(|| answered.bytes.into());
            };
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(why),
            }
        };
        inbox.performed(queued.number, answer).await.map_err(|issue| issue.diagnostics)
    }

    /// Performs a message; `None` for one that this version does not take any more.
    async fn answer_queued(&self, caller: &Caller, queued: &Queued) -> Option<(Wanted, Answered)> {
        let message = Message::read(&queued.message).ok()?;
        let header = Header::of(&message, &self.settings.messages).ok()?;
        let Mode::Enhanced { application, .. } = header.mode else { return None };
        Some((application, self.perform_message(caller, &message, &header).await))
    }

    /// Returns the acknowledgements that wait to be sent to a sender.
    pub async fn waiting_answers(&self, sender: &str) -> Vec<Queued> {
        let Some(inbox) = &self.inbox else { return Vec::new() };
        inbox.answers(sender).await.unwrap_or_else(|issue| {
            tracing::error!(why = issue.diagnostics, "acknowledgements that wait cannot be read");
            Vec::new()
        })
    }

    /// Notes that an acknowledgement was sent.
    pub async fn answer_sent(&self, number: i64) {
        let Some(inbox) = &self.inbox else { return };
        if let Err(issue) = inbox.performed(number, None).await {
            tracing::error!(why = issue.diagnostics, "an acknowledgement may be sent twice");
        }
    }
}
