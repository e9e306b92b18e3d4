//! Messages that tell something: resources, stored in one transaction with what
//! is recorded of it, the message itself, and its key.

use std::collections::HashSet;

use bytes::Bytes;
use fhir_model::interaction::Caller;
use fhir_model::outcome::Issue;
use fhir_model::primitive::base64;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::audit::address_of;
use super::groups::{Group, groups};
use super::header::Header;
use super::kept::kept;
use super::{Gateway, of_issue};
use crate::atna::entry;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::hl7v2::context::Context;
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};
use crate::hl7v2::resources;
use crate::hl7v2::settle::settle;
use crate::pix::changes::{About, Change, Telling, identifier};
use crate::pix::problem::{Places, problem};
use crate::pix::records::{Feed, Replaces, conditional};
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
        let mut groups = groups(message, |part| self.mapped(part)).map_err(of_refused)?;
        let index = self.index(caller);
        for group in &mut groups {
            settle(&mut group.mapped, index.fhir).await.map_err(|issue| of_issue(&issue))?;
        }
        let raw =
            kept(self.settings.messages.keep, (message.to_bytes(), &groups), &header.sender, &self.documents);
        let raw = raw.await.map_err(|issue| of_issue(&issue))?;
        let mut beside = raw.entries;
        beside.extend(self.event_of_message(caller, message, header, &groups).as_ref().map(entry));
        let mut tellings: Vec<Telling> = groups.iter().filter_map(telling).collect();
        let Some(first) = tellings.first_mut() else {
            beside.splice(0..0, groups.into_iter().flat_map(|group| group.mapped.entries));
            let performed = index.fhir.transact(beside, raw.contents).await;
            let performed = performed.map_err(|issue| of_issue(&issue))?;
            return Ok(performed.repeated.unwrap_or_else(|| answer_of(caller)));
        };
        first.feed.beside.extend(beside);
        first.feed.contents = raw.contents;
        let outdated = keyed(&[outdated()]);
        let told = index.tell(&tellings, &outdated).await.map_err(|refused| {
            let places = groups.get(refused.part).map(|group| places(group, refused.about));
            problem(&refused.refusal, &places.unwrap_or_else(places_of_patient))
        })?;
        let is_outdated = told.fed.iter().any(|fed| fed.is_outdated);
        let answered = if is_outdated { &outdated } else { caller };
        let repeated = told.performed.and_then(|performed| performed.repeated);
        Ok(repeated.unwrap_or_else(|| answer_of(answered)))
    }

    fn mapped(&self, message: &Message) -> Result<Mapped, Refused> {
        let context = Context {
            domains: &self.settings.domains,
            time_zone: self.settings.messages.time_zone.clone(),
            code_systems: &self.settings.messages.code_systems,
        };
        resources(message, &context)
    }

    /// Makes the AuditEvent of a message that will have been performed.
    fn event_of_message(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        groups: &[Group],
    ) -> Option<Value> {
        let mut patients: Vec<(String, Option<String>)> = Vec::new();
        for Group { mapped, .. } in groups {
            if let Some(patient) = &mapped.patient {
                let mut all = patient["identifier"].as_array().into_iter().flatten();
                patients.push((all.find_map(cx).unwrap_or_default(), Some(mapped.patient_url.clone())));
            }
            // Who is merged away is a patient of the message as well.
            for change in &mapped.changes {
                if let Change::Merge { subsumed, .. } = change {
                    let place = identifier(subsumed).ok().map(|key| conditional(&key));
                    patients.push((cx(subsumed).unwrap_or_default(), place));
                }
            }
        }
        let mut seen = HashSet::new();
        patients.retain(|patient| seen.insert(patient.clone()));
        let (patients, places): (Vec<String>, Vec<Option<String>>) = patients.into_iter().unzip();
        let objects = Objects { patients, ..Objects::default() };
        self.audit_event_of(caller, message, header, (&objects, &places))
    }

    fn audit_event_of(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        (objects, places): (&Objects, &[Option<String>]),
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
        let mut event = audit_event(&happened, objects, places, recorder);
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
        let event = self.audit_event_of(caller, message, header, (&Objects::default(), &[]));
        let Some(mut event) = event else { return Ok(()) };
        if why.is_some() {
            ended(&mut event, Outcome::MinorFailure, why);
        }
        self.store(caller, &event).await
    }
}

/// Returns what a group tells of its patient, if it has one.
fn telling(group: &Group) -> Option<Telling> {
    let mapped = &group.mapped;
    let feed = Feed {
        patient: mapped.patient.clone()?,
        replaces: if mapped.tells_of_patient { Replaces::WhatItSays } else { Replaces::Nothing },
        deleted: mapped.deleted_of_patient(),
        deleted_identifiers: mapped.deleted_identifiers.clone(),
        at: mapped.event.recorded.as_deref().and_then(|time| time.parse::<Timestamp>().ok()),
        full_url: mapped.patient_url.clone(),
        beside: mapped.entries.clone(),
        contents: Vec::new(),
    };
    Some(Telling { changes: mapped.changes.clone(), feed })
}

/// Writes an identifier of a domain with an OID as HL7 v2 does.
fn cx(identifier: &Value) -> Option<String> {
    let oid = identifier["system"].as_str()?.strip_prefix("urn:oid:").unwrap_or_default();
    Some(format!("{}^^^&{oid}&ISO", identifier["value"].as_str()?))
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

/// Says where a message has what is refused of a group.
fn places(group: &Group, about: About) -> Places {
    let is_link = group.mapped.changes.iter().any(|change| matches!(change, Change::Link { .. }));
    let place = match about {
        About::Change if !is_link => group.location("MRG", 1),
        About::Change | About::Record => group.location("PID", 3),
    };
    Places { identifier: place.clone(), wanted: place }
}
