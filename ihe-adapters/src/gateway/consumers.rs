//! ITI-46 to consumers: which identifiers are of one person, by HL7 v3.
//!
//! As other subscribers, a consumer has a place in the outbox: what it is told has one id,
//! and stands in one order.
//!
//! Spec: ITI TF-2 3.46

use std::time::Duration;

use fhir_model::interaction::Caller;
use fhir_model::outcome::Issue;
use fhir_model::schema::{TypeId, ty};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::Gateway;
use super::audit::Told;
use super::outgoing::{Outgoing, Unanswered};
use crate::atna::event::Objects;
use crate::fhir_client::Fhir;
use crate::outbox::{Change, Destination, Failure, Message};
use crate::pix::Identifier;
use crate::pix::told::as_value;
use crate::pixv3::update_notification::{Update, update_notification_v3};
use crate::subscribers::{cause, updated, version_before};
use crate::wire::hl7v3::acknowledgement::acknowledged;
use crate::wire::hl7v3::message::Device;
use crate::wire::xml::{Element, Limits};
use crate::xds::repository::retrieve_document_set::clip;

/// The media type of messages.
const CONTENT_TYPE: &str = "application/hl7-v3+xml";
/// The transaction, as it is recorded.
const TRANSACTION: &str = "ITI-46";
/// What a message is for.
const ACTION: &str = "urn:hl7-org:v3:PRPA_IN201302UV02";

/// A consumer that is told of identifiers.
pub struct Consumer {
    /// Its place in the outbox: a word that never changes.
    pub name: String,
    /// Where it is reached: a URL.
    pub address: String,
    /// The OIDs of its application, and of the organization that it belongs to.
    pub device: Device,
    /// The systems of the identifiers that it is interested in; none for all.
    pub interesting: Vec<String>,
    /// On whose behalf what it is told is read.
    pub caller: Caller,
    /// Tells it.
    pub gateway: Gateway,
}

impl Destination for Consumer {
    fn name(&self) -> &str {
        &self.name
    }

    fn types(&self) -> &[TypeId] {
        &[ty::PATIENT]
    }

    fn messages<'a>(&'a self, change: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        async move {
            let fhir = Fhir { api: &*self.gateway.api, caller: &self.caller };
            let settings = &self.gateway.settings;
            let before = version_before(fhir, &change.key, change.version).await?;
            let updates =
                updated(fhir, &settings.domains, (change, before.as_ref()), &self.interesting).await?;
            let cause = cause(change);
            let mut messages = Vec::with_capacity(updates.len());
            for (number, identifiers) in updates.iter().enumerate() {
                let id = Message::id_of(&self.name, &format!("{cause}#{number}"));
                let patient = named(&fhir, identifiers).await?;
                let update = Update { id: &id, identifiers, patient: &patient };
                let ours = &settings.home_community_id;
                let body = update_notification_v3(&update, &self.device, ours, &settings.domains).to_xml();
                messages.push(Message {
                    lane: self.name.clone(),
                    kind: TRANSACTION.to_owned(),
                    cause: cause.clone(),
                    content_type: CONTENT_TYPE.to_owned(),
                    body: body.into_bytes(),
                    id,
                });
            }
            Ok(messages)
        }
        .boxed()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            let notification = Element::parse(&message.body, &Limits::default())
                .map_err(|_| Failure::Refused("what was queued cannot be read".to_owned()))?;
            let mut objects = Objects::of(&notification);
            // Of several identifiers of one person the first stands for the record that changed.
            objects.patients.truncate(1);
            let sent = self.gateway.notify_of_identifiers(&self.address, notification).await;
            let told = Told { transaction: TRANSACTION, receiver: &self.address, message, objects };
            self.gateway.record_told(&self.caller, told, sent.as_ref().err()).await;
            sent
        }
        .boxed()
    }

    fn given_up<'a>(&'a self, _: &'a Message, _: &'a Failure) -> BoxFuture<'a, Result<(), Issue>> {
        // It was recorded when it failed; operators find it in the outbox.
        async { Ok(()) }.boxed()
    }
}

impl Gateway {
    /// Tells a consumer of changed identifiers, and waits until it is acknowledged.
    async fn notify_of_identifiers(&self, address: &str, notification: Element) -> Result<(), Failure> {
        let outgoing =
            Outgoing { address, action: ACTION, body: notification, is_multipart: false, assertion: None };
        let patience = Duration::from_secs(self.settings.answer_seconds_max);
        let answer = outgoing.ask(&self.http, patience).await.map_err(|why| match why {
            Unanswered::Unreachable => Failure::Unavailable(why.to_string()),
            _ => Failure::Unanswered(why.to_string()),
        })?;
        match acknowledged(&answer) {
            Some((how, _)) if how.is_accept() => Ok(()),
            Some((how, texts)) => {
                let why = texts.first().map(|text| clip(text)).unwrap_or_default();
                Err(Failure::Refused(format!("it was refused: {} {why}", how.code()).trim_end().to_owned()))
            }
            None => Err(Failure::Unanswered("it answered without an acknowledgement".to_owned())),
        }
    }
}

/// Returns the first record of a person that has a name.
async fn named(fhir: &Fhir<'_>, identifiers: &[Identifier]) -> Result<Value, Issue> {
    for identifier in identifiers {
        for record in fhir.first_page(ty::PATIENT, &[("identifier", &identifier.token())]).await? {
            let patient = as_value(&record.to_resource())?;
            if patient["name"].is_array() {
                return Ok(patient);
            }
        }
    }
    Ok(json!({}))
}
