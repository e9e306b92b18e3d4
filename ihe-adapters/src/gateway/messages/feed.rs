//! Messages that tell something: resources, stored in one transaction with what
//! is recorded of it, the message itself, and its key.

use bytes::Bytes;
use fhir_model::interaction::{Caller, Once};
use fhir_model::outcome::Issue;
use fhir_model::primitive::base64;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::audit::address_of;
use super::header::Header;
use super::kept::kept;
use super::{Gateway, of_issue};
use crate::atna::entry;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::hl7v2::context::Context;
use crate::hl7v2::mapped::{Change, Mapped};
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};
use crate::hl7v2::resources;
use crate::hl7v2::settle::settle;
use crate::pix::problem::{Places, problem};
use crate::pix::records::{Feed, Replaces};
use crate::pix::refusal::Refusal;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::{Condition, Problem};

/// Makes the caller under whose key a message is performed, who is answered with such remarks.
pub(super) type Keyed<'k> = dyn Fn(&[Problem]) -> Caller + Send + Sync + 'k;

impl Gateway {
    /// Stores what a message tells, and returns the acknowledgement that was kept with it.
    pub(super) async fn feed_message(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        keyed: &Keyed<'_>,
    ) -> Result<Bytes, Problem> {
        let mut mapped = self.mapped(message)?;
        let at = mapped.event.recorded.as_deref().and_then(|time| time.parse::<Timestamp>().ok());
        for (number, change) in mapped.changes.iter().enumerate() {
            // Each under a key of its own: the whole is done when the last is.
            let changed = self.change_identifiers(&stage(caller, number), change, at).await;
            changed.map_err(|refusal| problem(&refusal, &places(change)))?;
        }
        settle(&mut mapped, self.index(caller).fhir).await.map_err(|issue| of_issue(&issue))?;
        let mut beside = mapped.entries.clone();
        let event = self.event_of_message(caller, message, header, &mapped);
        let raw =
            kept(self.settings.messages.keep, (message.to_bytes(), &mapped), &header.sender, &self.documents);
        let raw = raw.await.map_err(|issue| of_issue(&issue))?;
        beside.extend(raw.entries);
        beside.extend(event.as_ref().map(entry));
        let index = self.index(caller);
        let Some(patient) = mapped.patient.clone() else {
            let performed =
                index.fhir.transact(beside, raw.contents).await.map_err(|issue| of_issue(&issue))?;
            return Ok(performed.repeated.unwrap_or_else(|| answer_of(caller)));
        };
        let outdated = keyed(&[outdated()]);
        let feed = Feed {
            patient,
            replaces: if mapped.tells_of_patient { Replaces::WhatItSays } else { Replaces::Nothing },
            deleted: mapped.deleted_of_patient(),
            at,
            full_url: mapped.patient_url.clone(),
            beside,
            contents: raw.contents,
        };
        let refused = |refusal: Refusal| problem(&refusal, &places_of_patient());
        let fed = index.feed_or(&feed, &outdated).await.map_err(refused)?;
        let answered = if fed.is_outdated { &outdated } else { caller };
        let repeated = fed.performed.and_then(|performed| performed.repeated);
        Ok(repeated.unwrap_or_else(|| answer_of(answered)))
    }

    fn mapped(&self, message: &Message) -> Result<Mapped, Problem> {
        let context = Context {
            domains: &self.settings.domains,
            time_zone: self.settings.messages.time_zone.clone(),
            code_systems: &self.settings.messages.code_systems,
        };
        resources(message, &context).map_err(of_refused)
    }

    /// Makes the AuditEvent of a message that will have been performed.
    fn event_of_message(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        mapped: &Mapped,
    ) -> Option<Value> {
        let identifiers = mapped.patient.as_ref().and_then(|patient| patient["identifier"].as_array());
        let first = identifiers.into_iter().flatten().find_map(|identifier| {
            let oid = identifier["system"].as_str()?.strip_prefix("urn:oid:").unwrap_or_default();
            Some(format!("{}^^^&{oid}&ISO", identifier["value"].as_str()?))
        });
        let place = mapped.patient.is_some().then(|| mapped.patient_url.clone());
        let patients = place.iter().map(|_| first.clone().unwrap_or_default()).collect();
        let objects = Objects { patients, ..Objects::default() };
        self.audit_event_of(caller, message, header, (&objects, place))
    }

    fn audit_event_of(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        (objects, place): (&Objects, Option<String>),
    ) -> Option<Value> {
        let recorder = self.settings.recorder.as_ref()?;
        let receiver = address_of(caller, "");
        let happened = Happened {
            part: Part::Asked,
            transaction: header.row.transaction,
            at: Timestamp::now(),
            sender: Some(&header.sender),
            sender_address: caller.address,
            sender_node: caller.node.as_deref(),
            receiver: &receiver,
            user: caller.user.as_deref(),
        };
        let mut event = audit_event(&happened, objects, &[place], recorder);
        let entities = event.get_mut("entity").and_then(Value::as_array_mut);
        if let Some(first) = entities.and_then(|entities| entities.first_mut()) {
            let control_id = base64::encode(message.header(10).text().as_bytes());
            first["detail"] = json!([{ "type": "MSH-10", "valueBase64Binary": control_id }]);
        }
        Some(event)
    }

    /// Records a message that changed nothing: a query, or one that was refused.
    pub(super) async fn record_message(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        why: Option<&str>,
    ) -> Result<(), Issue> {
        let event = self.audit_event_of(caller, message, header, (&Objects::default(), None));
        let Some(mut event) = event else { return Ok(()) };
        if why.is_some() {
            ended(&mut event, Outcome::MinorFailure, why);
        }
        self.store(caller, &event).await
    }
}

/// Returns the caller with the key of a part of what a message leads to.
fn stage(caller: &Caller, number: usize) -> Caller {
    let once = caller.once.as_deref().map(|once| {
        let key = format!("{}|change {number}", once.key);
        Arc::new(Once { key, answer: Bytes::from_static(b"done"), ..once.clone() })
    });
    Caller { once, ..caller.clone() }
}

fn answer_of(caller: &Caller) -> Bytes {
    caller.once.as_deref().map(|once| once.answer.clone()).unwrap_or_default()
}

/// Says that something newer was told of the patient before.
fn outdated() -> Problem {
    let text = "something newer was told of this patient before: it stays as it is";
    Problem::warning(Condition::Accepted, text).at(Location::field("EVN", 2))
}

fn of_refused(refused: Refused) -> Problem {
    let condition = match refused.fault {
        Fault::SegmentSequence => Condition::SegmentSequence,
        Fault::RequiredField => Condition::RequiredField,
        Fault::DataType => Condition::DataType,
        Fault::TableValue => Condition::TableValue,
        Fault::MessageType => Condition::MessageType,
        Fault::EventCode => Condition::EventCode,
        Fault::UnknownKey => Condition::UnknownKey,
    };
    Problem::error(condition, refused.text).at(location(&refused.place))
}

fn location(place: &Place) -> Location {
    let field = Some(place.field).filter(|field| *field > 0);
    Location {
        segment: place.segment.clone(),
        sequence: place.occurrence,
        field,
        repetition: field.map(|_| place.repetition),
        component: place.component,
        subcomponent: None,
    }
}

/// Says where a message has the identifier of its patient.
fn places_of_patient() -> Places {
    Places { identifier: Location::field("PID", 3), wanted: Location::field("PID", 3) }
}

/// Says where a message has the identifiers that change.
fn places(change: &Change) -> Places {
    match change {
        Change::Merge { .. } | Change::Move { .. } | Change::Rename { .. } => {
            Places { identifier: Location::field("MRG", 1), wanted: Location::field("MRG", 1) }
        }
        Change::Link { .. } => places_of_patient(),
    }
}
