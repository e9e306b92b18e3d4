//! DSUB at the gateway: subscriptions are made and ended, what others publish is
//! taken, and what a subscription waits for is sent.
//!
//! Spec: ITI TF-2 3.52 to 3.54

use std::time::Duration;

use fhir_model::interaction::Caller;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Gateway;
use super::audit::address_of;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::dsub::subscribe::{CHANNEL, Subscription, subscribe_response};
use crate::dsub::{notify, publish};
use crate::fhir_client::Fhir;
use crate::wire::ebrim::RegistryObject;
use crate::wire::namespaces::WSNT;
use crate::wire::soap::{Fault, Notification};
use crate::wire::xml::Element;
use crate::xds::registry::{Registry, json_of_resource};
use crate::xds::values::Cx;

/// How many subscriptions there may be.
pub(super) const SUBSCRIPTIONS_MAX: usize = 100_000;

/// Something that subscriptions may wait for.
#[derive(Debug, Clone)]
pub struct Event {
    /// The object.
    object: RegistryObject,
    /// What its patient is known by.
    patients: Vec<Cx>,
}

/// A subscription, and the id that it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// The id of its resource.
    pub id: String,
    /// What it asks for.
    pub subscription: Subscription,
}

impl Subscribed {
    /// Reads a Subscription; `None` when it is none of DSUB, or is not in use.
    pub fn of(resource: &Resource) -> Option<Subscribed> {
        let subscription = Subscription::of_resource(resource)?;
        Some(Subscribed { id: resource.id()?.to_owned(), subscription })
    }

    /// Tells whether it waits for something.
    pub fn waits_for(&self, event: &Event) -> bool {
        self.subscription.filter.matches(&event.object, &event.patients)
    }
}

impl Gateway {
    /// Makes a subscription.
    pub(super) async fn subscribe(&self, registry: &Registry<'_>, body: &Element) -> Result<Element, Fault> {
        let now = Timestamp::now();
        let subscription = Subscription::of(body, now)?;
        if !self.settings.callbacks.allow(&subscription.consumer) {
            let why = "the operator of this server does not allow notifications to that address (`[peers] callbacks`)";
            return Err(Fault::notification(Notification::SubscribeCreationFailed, why));
        }
        let id = uuid::Uuid::new_v4().to_string();
        let request = json!({ "method": "PUT", "url": format!("Subscription/{id}") });
        let entry = json!({ "resource": subscription.to_resource(&id), "request": request });
        let made = registry.transact(vec![entry], Vec::new()).await;
        made.map_err(|issue| not_done(&issue, Notification::SubscribeCreationFailed))?;
        let reference = self.reference(registry.fhir.caller, &id);
        Ok(subscribe_response(&reference, subscription.end, now))
    }

    /// Ends a subscription: that of the address that the message came to, or is for.
    pub(super) async fn unsubscribe(
        &self,
        registry: &Registry<'_>,
        incoming: &Incoming,
    ) -> Result<Element, Fault> {
        let to = incoming.envelope.addressing().to.unwrap_or_default();
        let id = incoming.below.as_deref().or_else(|| to.rsplit_once("/dsub/").map(|(_, id)| id));
        let unknown = || Fault::notification(Notification::ResourceUnknown, "there is no such subscription");
        let id = id.ok_or_else(unknown)?;
        let failed = |issue: &Issue| not_done(issue, Notification::UnableToDestroySubscription);
        let found = registry.fhir.read(ty::SUBSCRIPTION, id).await.map_err(|issue| failed(&issue))?;
        let resource = found.filter(|resource| Subscribed::of(resource).is_some()).ok_or_else(unknown)?;
        let value = json_of_resource(resource.root()).map_err(|issue| failed(&issue))?;
        let entry = with_status(value, "off", None);
        registry.transact(vec![entry], Vec::new()).await.map_err(|issue| failed(&issue))?;
        Ok(Element::new(WSNT, "UnsubscribeResponse"))
    }

    /// Takes what others publish.
    pub(super) async fn publish(&self, registry: &Registry<'_>, body: &Element) -> Result<(), Fault> {
        let list = publish::published(body)?;
        let request = json!({ "method": "POST", "url": "Basic" });
        let entry = json!({ "resource": publish::to_resource(&list), "request": request });
        let kept = registry.transact(vec![entry], Vec::new()).await.map(drop);
        kept.map_err(|issue| match issue.code {
            IssueType::Throttled | IssueType::Transient => {
                Fault::receiver("too much at once: publish it again")
            }
            _ => Fault::receiver("what is published cannot be kept; nothing was"),
        })
    }

    /// Returns the address of a subscription.
    fn reference(&self, caller: &Caller, id: &str) -> String {
        address_of(caller, &format!("/dsub/{id}"))
    }

    /// Returns the subscriptions that are in use.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn subscriptions(&self, caller: &Caller) -> Result<Vec<Subscribed>, Issue> {
        let parameters = [("type", CHANNEL), ("status", "active,error")];
        let fhir = Fhir { api: &*self.api, caller };
        let found = fhir.search(ty::SUBSCRIPTION, &parameters, SUBSCRIPTIONS_MAX).await?;
        Ok(found.iter().filter_map(|found| Subscribed::of(&found.to_resource())).collect())
    }

    /// Sees a resource as what subscriptions may wait for: a document, a submission set or a
    /// folder, or what was published.
    ///
    /// # Errors
    /// When what belongs to it cannot be read.
    pub async fn events(&self, caller: &Caller, resource: Resource) -> Result<Vec<Event>, Issue> {
        if resource.resource_type() == ty::BASIC {
            let objects = publish::of_resource(&resource);
            return Ok(objects.into_iter().map(|object| Event { object, patients: Vec::new() }).collect());
        }
        let event = self.registry(caller).with_known_patients(resource).await?;
        Ok(event.map(|(object, patients)| Event { object, patients }).into_iter().collect())
    }

    /// Sends a subscription what it waits for, and records that.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn notify(
        &self,
        caller: &Caller,
        subscribed: &Subscribed,
        event: &Event,
    ) -> Result<(), String> {
        let Subscribed { id, subscription } = subscribed;
        let address = subscription.consumer.as_str();
        if !self.settings.callbacks.allow(address) {
            return Err("the operator does not allow notifications to that address".to_owned());
        }
        let body = notify::notify(subscription, &self.reference(caller, id), &event.object);
        let objects = Objects::told(&event.object);
        let message =
            Outgoing { address, action: notify::ACTION, body, is_multipart: false, assertion: None };
        let patience = Duration::from_secs(self.settings.answer_seconds_max);
        let sent = message.tell(&self.http, patience).await;
        let why = sent.as_ref().err().map(ToString::to_string);
        if let Some(recorder) = &self.settings.recorder {
            let own = address_of(caller, "/dsub");
            let happened = Happened {
                part: Part::Asks,
                transaction: "ITI-53",
                at: Timestamp::now(),
                sender: Some(&own),
                sender_address: None,
                sender_node: None,
                receiver: address,
                user: None,
            };
            let mut audit = audit_event(&happened, &objects, &[], recorder);
            if why.is_some() {
                ended(&mut audit, Outcome::MinorFailure, why.as_deref());
            }
            let _ = self.store(caller, &audit).await;
        }
        why.map_or(Ok(()), Err)
    }

    /// Says of a subscription whether messages reach it, and what is wrong where they do not.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn note_reached(&self, caller: &Caller, id: &str, why_not: Option<&str>) -> Result<(), Issue> {
        let fhir = Fhir { api: &*self.api, caller };
        let Some(resource) = fhir.read(ty::SUBSCRIPTION, id).await? else { return Ok(()) };
        let becomes = if why_not.is_some() { "error" } else { "active" };
        if Subscribed::of(&resource).is_none() {
            return Ok(());
        }
        fhir.transact(vec![with_status(json_of_resource(resource.root())?, becomes, why_not)], Vec::new())
            .await
            .map(drop)
    }

    /// Ends a subscription whose time is over.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub async fn note_over(&self, caller: &Caller, id: &str) -> Result<(), Issue> {
        let fhir = Fhir { api: &*self.api, caller };
        let Some(resource) = fhir.read(ty::SUBSCRIPTION, id).await? else { return Ok(()) };
        fhir.transact(vec![with_status(json_of_resource(resource.root())?, "off", None)], Vec::new())
            .await
            .map(drop)
    }
}

/// Makes the entry that gives a Subscription another status, as long as nobody changed it meanwhile.
pub(super) fn with_status(mut value: Value, status: &str, error: Option<&str>) -> Value {
    value["status"] = json!(status);
    match (error, value.as_object_mut()) {
        (Some(error), _) => value["error"] = json!(error),
        (None, Some(members)) => drop(members.remove("error")),
        (None, None) => {}
    }
    let version = value["meta"]["versionId"].as_str().map(|version| format!("W/\"{version}\""));
    let url = format!("Subscription/{}", value["id"].as_str().unwrap_or_default());
    json!({ "resource": value, "request": { "method": "PUT", "url": url, "ifMatch": version } })
}

fn not_done(issue: &Issue, what: Notification) -> Fault {
    let reason = match issue.severity {
        fhir_model::outcome::Severity::Fatal => "an unexpected error; nothing was stored",
        _ => &issue.diagnostics,
    };
    Fault::notification(what, reason)
}
