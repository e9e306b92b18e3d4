//! Messages that were taken over are performed: those of a sender one by one,
//! in their order.

use std::time::Duration;

use fhir_model::interaction::Caller;

use super::header::Header;
use super::inbox::Queued;
use super::{Answered, Gateway};
use crate::wire::hl7v2::acknowledgement::{Mode, Wanted};
use crate::wire::hl7v2::message::Message;

/// How long is waited before a message is performed again that could not be.
const AGAIN_AFTER: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

impl Gateway {
    /// Performs what was taken over before the start.
    pub async fn resume_messages(&self, caller: &Caller) {
        let Some(inbox) = &self.inbox else { return };
        match inbox.senders().await {
            Ok(senders) => {
                for sender in senders {
                    self.perform_queued(caller, &sender).await;
                }
            }
            Err(issue) => tracing::error!(why = issue.diagnostics, "messages taken over cannot be read"),
        }
    }

    /// Performs what of a sender was taken over. What cannot be performed now
    /// stays, and what is behind it as well.
    pub async fn perform_queued(&self, caller: &Caller, sender: &str) {
        let Some(inbox) = &self.inbox else { return };
        let turn = self.turns.of(sender);
        let _held = turn.lock().await;
        loop {
            let performed = match inbox.next(sender).await {
                Ok(None) => return,
                Ok(Some(queued)) => self.perform_one(caller, &queued).await,
                Err(issue) => Err(issue.diagnostics),
            };
            if let Err(why) = performed {
                tracing::error!(why, "a message that was taken over cannot be performed now");
                return;
            }
        }
    }

    async fn perform_one(&self, caller: &Caller, queued: &Queued) -> Result<(), String> {
        let Some(inbox) = &self.inbox else { return Ok(()) };
        let mut waits = AGAIN_AFTER.iter();
        let answer = loop {
            let Some((application, answered)) = self.answer_queued(caller, queued).await else { break None };
            if !answered.may_go_well {
                break application.covers(answered.code).then(|| answered.bytes.into());
            }
            match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err("it was tried several times".to_owned()),
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
