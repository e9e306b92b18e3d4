//! PMIR at the gateway: who subscribed to patients (ITI-94) is told of them (ITI-93).
//!
//! All subscribers have one place in the outbox, each a lane of its own there. Who subscribes
//! is a change as every other and is followed in the same order: so it is clear for
//! which changes a subscription waits, whatever the server ends in between.
//!
//! Spec: PMIR 2:3.93.4.1, 2:3.94.4

use std::collections::BTreeMap;
use std::time::Duration;

use fhir_model::interaction::{Caller, Interaction, Performed};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Mutex;

use super::Gateway;
use super::audit::Told;
use super::identity::outcome;
use super::notifications::{SUBSCRIPTIONS_MAX, with_status};
use crate::atna::event::Objects;
use crate::atna::interaction::{Access, audit_events};
use crate::fhir_client::Fhir;
use crate::outbox::{Change, Destination, Failure, Message};
use crate::pix::told::as_value;
use crate::pmir::message::EVENT;
use crate::pmir::response::taken;
use crate::pmir::subscription::{CHANNEL, SINCE, Subscription, is_of_patients, since};
use crate::pmir::told::{Became, Telling, told_of};
use crate::source::is_told_by;
use crate::subscribers::{cause, version_before};

/// Its place in the outbox.
const NAME: &str = "pmir";
/// The transaction, as it is recorded.
const TRANSACTION: &str = "ITI-93";
/// How long an answer is.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// HTTP statuses that say something of the message; others say it of the receiver, or of now.
const REFUSALS: &[u16] = &[400, 405, 406, 409, 410, 412, 413, 415, 422];

/// Tells those who subscribed to patients.
pub struct PatientFeed {
    gateway: Gateway,
    caller: Caller,
    /// The subscriptions in use, by their ids; `None` before they are read.
    watched: Mutex<Option<BTreeMap<String, Watched>>>,
}

/// A subscription, and since when it waits.
struct Watched {
    subscription: Subscription,
    since: Timestamp,
}

impl Destination for PatientFeed {
    fn name(&self) -> &str {
        NAME
    }

    fn types(&self) -> &[TypeId] {
        &[ty::PATIENT, ty::SUBSCRIPTION]
    }

    fn reaches_several(&self) -> bool {
        true
    }

    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        async move {
            let mut watched = self.watched.lock().await;
            let watched = match &mut *watched {
                Some(watched) => watched,
                unread => unread.insert(self.in_use().await?),
            };
            if change.key.resource_type == ty::SUBSCRIPTION {
                let id = change.key.id.as_str();
                watched.remove(id);
                if let Some(resource) = &change.resource
                    && let Some(found) = self.watch(resource, change.at).await?
                {
                    watched.insert(id.to_owned(), found);
                }
                return Ok(Vec::new());
            }
            self.told(change, watched).await
        }
        .boxed()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let unreadable = |issue: Issue| Failure::Unavailable(issue.diagnostics);
            let found = self.fhir().read(ty::SUBSCRIPTION, &message.lane).await.map_err(unreadable)?;
            // Who does not want to know any more is told nothing.
            let Some(resource) = found.filter(is_in_use) else { return Ok(()) };
            let read = Subscription::of(&resource, &self.gateway.settings.domains);
            let Some(subscription) = read.ok().filter(|of| !of.has_ended(Timestamp::now())) else {
                return Ok(());
            };
            let sent = self.gateway.tell_of_patient(&subscription, message).await;
            let objects = Objects {
                patients: vec![String::new()],
                message: Some((message.id.clone(), EVENT)),
                ..Objects::default()
            };
            let told = Told { transaction: TRANSACTION, receiver: &subscription.endpoint, message, objects };
            self.gateway.record_told(&self.caller, told, sent.as_ref().err()).await;
            let noted = self.note(&resource, sent.as_ref().err()).await;
            if let Err(issue) = noted {
                tracing::warn!(
                    why = issue.diagnostics,
                    "a subscription cannot be told whether it is reached"
                );
            }
            sent
        }
        .boxed()
    }

    fn given_up<'a>(&'a self, _: &'a Message, _: &'a Failure) -> BoxFuture<'a, Result<(), Issue>> {
        // The subscription says why, and operators find it in the outbox.
        async { Ok(()) }.boxed()
    }
}

impl PatientFeed {
    /// Makes it. `base`: that of this server.
    pub fn new(gateway: Gateway, base: &str) -> PatientFeed {
        let caller = Caller::new("patient feed", base.to_owned());
        PatientFeed { gateway, caller, watched: Mutex::default() }
    }

    fn fhir(&self) -> Fhir<'_> {
        Fhir { api: &*self.gateway.api, caller: &self.caller }
    }

    /// Reads the subscriptions in use.
    async fn in_use(&self) -> Result<BTreeMap<String, Watched>, Issue> {
        let parameters = [("type", CHANNEL), ("status", "requested,active,error")];
        let mut watched = BTreeMap::new();
        for found in self.fhir().search(ty::SUBSCRIPTION, &parameters, SUBSCRIPTIONS_MAX).await? {
            let resource = found.to_resource();
            let stored = resource.root().child(name::META).and_then(|meta| meta.text_of(name::LAST_UPDATED));
            let at = stored.and_then(|at| at.parse().ok()).unwrap_or_else(Timestamp::now);
            if let Some(found) = self.watch(&resource, at).await? {
                watched.insert(resource.id().unwrap_or_default().to_owned(), found);
            }
        }
        Ok(watched)
    }

    /// Sees a Subscription as one to look after; one that is asked for begins at this moment,
    /// and says so.
    async fn watch(&self, resource: &Resource, at: Timestamp) -> Result<Option<Watched>, Issue> {
        let is_asked_for = resource.root().text_of(name::STATUS) == Some("requested");
        if !is_of_patients(resource) || !(is_in_use(resource) || is_asked_for) {
            return Ok(None);
        }
        let mut value = as_value(resource)?;
        let read = self.gateway.readable(resource);
        if let (Ok(subscription), Some(since), false) = (&read, since(&value), is_asked_for) {
            return Ok(Some(Watched { subscription: subscription.clone(), since }));
        }
        let told = match &read {
            Ok(_) => {
                let extensions = value["extension"].as_array().cloned().unwrap_or_default();
                let others = extensions.into_iter().filter(|extension| extension["url"] != SINCE);
                let own = json!({ "url": SINCE, "valueInstant": at.to_string() });
                value["extension"] = others.chain([own]).collect();
                None
            }
            // It says already that it cannot be.
            Err(_) if !is_asked_for && value["error"].is_string() => return Ok(None),
            Err(issue) => Some(issue.diagnostics.clone()),
        };
        let status = if told.is_some() { "error" } else { "active" };
        let entry = with_status(value, status, told.as_deref());
        match self.fhir().transact(vec![entry], Vec::new()).await {
            Ok(_) => Ok(read.ok().map(|subscription| Watched { subscription, since: at })),
            // Somebody changed it meanwhile, which is another change.
            Err(issue) if issue.code == IssueType::Conflict || issue.reason == Reason::PreconditionFailed => {
                Ok(None)
            }
            Err(issue) => Err(issue),
        }
    }

    /// Returns what a change of a Patient means for those who wait for it.
    async fn told(
        &self,
        change: &Change,
        watched: &BTreeMap<String, Watched>,
    ) -> Result<Vec<Message>, Issue> {
        let now = Timestamp::now();
        let waiting = |(_, of): &(&String, &Watched)| of.since < change.at && !of.subscription.has_ended(now);
        let mut waiting = watched.iter().filter(waiting).peekable();
        if waiting.peek().is_none() {
            return Ok(Vec::new());
        }
        let before = version_before(self.fhir(), &change.key, change.version).await?;
        let before = before.as_ref().map(as_value).transpose()?;
        let after = change.resource.as_ref().map(as_value).transpose()?;
        let (told_before, told) = (before.as_ref().map(told_of), after.as_ref().map(told_of));
        let became = match (&told_before, &told) {
            (None, None) => return Ok(Vec::new()),
            (before, after) if before == after => return Ok(Vec::new()),
            (None, Some(_)) => Became::Created,
            (Some(_), Some(_)) => Became::Changed,
            (Some(_), None) => Became::Deleted,
        };
        let Some(patient) = told.as_ref().or(told_before.as_ref()) else { return Ok(Vec::new()) };
        let mut messages = Vec::new();
        for (id, Watched { subscription, .. }) in waiting {
            let is_about = told_before.iter().chain(&told).any(|of| subscription.is_about(of));
            let own = std::slice::from_ref(&subscription.endpoint);
            let is_own = after.as_ref().is_some_and(|after| is_told_by(before.as_ref(), after, own));
            if !is_about || is_own {
                continue;
            }
            let cause = cause(change);
            let message_id = Message::id_of(&format!("{NAME} {id}"), &cause);
            let endpoint = &subscription.endpoint;
            let telling = Telling { id: &message_id, endpoint, became, patient, at: change.at };
            messages.push(Message {
                lane: id.clone(),
                kind: TRANSACTION.to_owned(),
                cause,
                content_type: subscription.payload.media_type().to_owned(),
                body: telling.write(&self.caller.base, subscription.payload)?,
                id: message_id,
            });
        }
        Ok(messages)
    }

    /// Says of a subscription whether messages reach it, where it does not say so.
    async fn note(&self, resource: &Resource, failure: Option<&Failure>) -> Result<(), Issue> {
        let (status, why) = match failure {
            None => ("active", None),
            Some(why) => ("error", Some(why.to_string())),
        };
        if resource.root().text_of(name::STATUS) == Some(status) {
            return Ok(());
        }
        let entry = with_status(as_value(resource)?, status, why.as_deref());
        self.fhir().transact(vec![entry], Vec::new()).await.map(drop)
    }
}

/// Tells whether messages are to be sent for a Subscription.
fn is_in_use(resource: &Resource) -> bool {
    matches!(resource.root().text_of(name::STATUS), Some("active" | "error"))
}

impl Gateway {
    /// Reads a subscription to patients whose messages may be sent to where it says.
    fn readable(&self, resource: &Resource) -> Result<Subscription, Issue> {
        let subscription = Subscription::of(resource, &self.settings.domains)?;
        if self.settings.callbacks.allow(&subscription.endpoint) {
            return Ok(subscription);
        }
        let why = "the operator of this server does not allow messages to that address (`[peers] callbacks`)";
        let issue = Issue::error(IssueType::Forbidden).because(Reason::Unprocessable);
        Err(issue.at("Subscription.channel.endpoint").text(why))
    }

    /// Performs what makes or changes a subscription to patients (ITI-94); gives back what does not.
    pub(super) async fn subscribe_to_patients(
        &self,
        caller: &Caller,
        interaction: Interaction,
    ) -> Result<Result<Performed, Issue>, Interaction> {
        let (kind, resource) = match &interaction {
            Interaction::Create(request) => ("create", &request.resource),
            Interaction::Update(request) => ("update", &request.resource),
            _ => return Err(interaction),
        };
        let is_asked_for = matches!(resource.root().text_of(name::STATUS), Some("requested" | "active"));
        if !is_of_patients(resource) || !is_asked_for {
            return Err(interaction);
        }
        let done = match self.readable(resource) {
            Ok(_) => self.api.perform(caller, interaction).await,
            Err(issue) => Err(issue),
        };
        if let Some(recorder) = &self.settings.recorder {
            let place = done.as_ref().ok().and_then(|done| done.key.as_ref());
            let place = place.map(|key| format!("Subscription/{}", key.id));
            let access = Access {
                kind,
                transaction: Some("ITI-94"),
                at: Timestamp::now(),
                caller,
                identifier: None,
                patients: Vec::new(),
                objects: place.iter().map(String::as_str).collect(),
                query: None,
                outcome: outcome(done.as_ref().err()),
                why: done.as_ref().err().map(|issue| issue.diagnostics.as_str()),
            };
            // What was changed is changed; the failure was logged.
            for event in audit_events(&access, recorder) {
                let _ = self.store(caller, &event).await;
            }
        }
        Ok(done)
    }

    /// Sends a message to a subscriber, and reads how it was taken.
    async fn tell_of_patient(&self, to: &Subscription, message: &Message) -> Result<(), Failure> {
        if !self.settings.callbacks.allow(&to.endpoint) {
            let why = "the operator does not allow messages to that address";
            return Err(Failure::Unavailable(why.to_owned()));
        }
        let seconds = self.settings.answer_seconds_max;
        let too_slow = || Failure::Unanswered(format!("it did not answer within {seconds} s"));
        let asking = async {
            let sent = self
                .http
                .post(&to.endpoint)
                .header("content-type", &message.content_type)
                .header("accept", &message.content_type)
                .body(message.body.clone())
                .send();
            let mut answer = sent.await.map_err(|error| match error.is_connect() {
                true => Failure::Unavailable("it cannot be reached".to_owned()),
                false => Failure::Unanswered("it ended the connection without an answer".to_owned()),
            })?;
            let mut body = Vec::new();
            while let Ok(Some(chunk)) = answer.chunk().await {
                if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            match answer.status() {
                status if status.is_success() => taken(&body),
                status if REFUSALS.contains(&status.as_u16()) => {
                    Err(Failure::Refused(format!("it was refused with the HTTP status {}", status.as_u16())))
                }
                status => {
                    Err(Failure::Unanswered(format!("it answered with the HTTP status {}", status.as_u16())))
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(seconds), asking).await.unwrap_or_else(|_| Err(too_slow()))
    }
}
