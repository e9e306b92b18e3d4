//! ITI-52: subscriptions are made and ended.
//!
//! What is asked for becomes a Subscription: its channel says where messages go, its `end`
//! until when, and extensions hold topic and filter as they were sent.
//!
//! Spec: ITI TF-2 3.52, WS-BaseNotification 1.3, 4.1 and 6.1

use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::filter::Filter;
use super::{DSUB, SIMPLE_DIALECT, Topic};
use crate::wire::namespaces::{RIM, WSA, WSNT};
use crate::wire::soap::{Fault, Notification};
use crate::wire::xml::{Element, Limits};

/// What the channel of a subscription by DSUB is called.
///
/// Spec: <https://hl7.org/fhir/R4/valueset-subscription-channel-type.html>
pub(crate) const CHANNEL: &str = "message";
/// How many bytes a filter may have.
const FILTER_BYTES_MAX: usize = 64 << 10;

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// What one is told of.
    pub topic: Topic,
    /// Which of it.
    pub filter: Filter,
    /// Where messages go.
    pub consumer: String,
    /// When it ends, if it does by itself.
    pub end: Option<Timestamp>,
}

impl Subscription {
    /// Reads a `Subscribe` that came at a moment.
    ///
    /// # Errors
    /// A fault, when it is not understood.
    pub fn of(subscribe: &Element, now: Timestamp) -> Result<Subscription, Fault> {
        let failed = |why: &str| Fault::notification(Notification::SubscribeCreationFailed, why);
        let consumer = subscribe.child(WSNT, "ConsumerReference");
        let consumer = consumer.and_then(|reference| reference.text_of(WSA, "Address"));
        let consumer = consumer.filter(|address| !address.is_empty());
        let consumer = consumer.ok_or_else(|| failed("the ConsumerReference has no address"))?;
        let filter = subscribe.child(WSNT, "Filter").ok_or_else(|| failed("there is no Filter"))?;
        let topic = topic(filter)?;
        let query = filter.child(RIM, "AdhocQuery");
        let invalid = |why: String| Fault::notification(Notification::InvalidFilter, why);
        let query = query.ok_or_else(|| invalid("the Filter has no AdhocQuery".to_owned()))?;
        if query.to_xml().len() > FILTER_BYTES_MAX {
            return Err(invalid(format!("the filter has more than {FILTER_BYTES_MAX} bytes")));
        }
        let filter = Filter::of(query)?;
        if filter.sort() != topic.of() {
            return Err(invalid(format!("the filter is for other objects than the topic {}", topic.name())));
        }
        let end = match subscribe.text_of(WSNT, "InitialTerminationTime").filter(|text| !text.is_empty()) {
            Some(text) => Some(end_of(&text, now)?),
            None => None,
        };
        Ok(Subscription { topic, filter, consumer, end })
    }

    /// Writes it as a Subscription with this id.
    pub fn to_resource(&self, id: &str) -> Value {
        let mut criteria = match self.topic {
            Topic::FullDocumentEntry | Topic::MinimalDocumentEntry => "DocumentReference?status=current",
            Topic::SubmissionSetMetadata => "List?code=submissionset",
            Topic::FolderMetadata => "List?code=folder",
        }
        .to_owned();
        if let Some(patient) = self.filter.patient() {
            let mut token = String::new();
            fhir_model::percent::encode(
                &crate::fhir_client::token(&patient.system(), &patient.id),
                &mut token,
            );
            criteria.push_str("&patient.identifier=");
            criteria.push_str(&token);
        }
        let extension =
            |of: &str, value: String| json!({ "url": format!("{DSUB}{of}"), "valueString": value });
        let mut resource = json!({
            "resourceType": "Subscription",
            "id": id,
            "extension": [
                extension("topic", self.topic.name().to_owned()),
                extension("filter", self.filter.query().to_xml()),
            ],
            "status": "active",
            "reason": "IHE DSUB (ITI-52)",
            "criteria": criteria,
            "channel": { "type": CHANNEL, "endpoint": self.consumer, "payload": "application/soap+xml" },
        });
        if let Some(end) = self.end {
            resource["end"] = json!(end.to_string());
        }
        resource
    }

    /// Reads a Subscription; `None` when it is none of DSUB, or is not in use.
    pub fn of_resource(resource: &Resource) -> Option<Subscription> {
        let root = resource.root();
        let is_in_use = matches!(root.text_of(name::STATUS), Some("active" | "error"));
        if resource.resource_type() != ty::SUBSCRIPTION || !is_in_use {
            return None;
        }
        let value = |of: &str| {
            let url = format!("{DSUB}{of}");
            let mut extensions = root.children_named(name::EXTENSION);
            let extension = extensions.find(|e| e.text_of(name::URL) == Some(&url))?;
            extension.text_of(name::VALUE).map(str::to_owned)
        };
        let topic = Topic::named(&value("topic")?)?;
        let limits = Limits { bytes_max: FILTER_BYTES_MAX, ..Limits::default() };
        let query = Element::parse(value("filter")?.as_bytes(), &limits).ok()?;
        let filter = Filter::of(&query).ok().filter(|filter| filter.sort() == topic.of())?;
        let consumer = root.child(name::CHANNEL)?.text_of(name::ENDPOINT)?.to_owned();
        let end = match root.text_of(name::END) {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        Some(Subscription { topic, filter, consumer, end })
    }

    /// Tells whether it has ended by itself.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// Reads the topic of a filter.
fn topic(filter: &Element) -> Result<Topic, Fault> {
    let invalid = |why| Fault::notification(Notification::InvalidTopicExpression, why);
    let mut expressions = filter.children_named(WSNT, "TopicExpression");
    let expression = match (expressions.next(), expressions.next()) {
        (Some(one), None) => one,
        _ => return Err(invalid("a Filter has one TopicExpression".to_owned())),
    };
    if expression.attribute("Dialect").is_some_and(|dialect| dialect != SIMPLE_DIALECT) {
        let why = format!("topics are said by their names: the dialect is {SIMPLE_DIALECT}");
        return Err(Fault::notification(Notification::TopicExpressionDialectUnknown, why));
    }
    let name = expression.text();
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains(['/', '*', '|']) {
        return Err(invalid("the TopicExpression is no name of a topic".to_owned()));
    }
    Topic::named(&name).ok_or_else(|| {
        let known: Vec<&str> = Topic::ALL.iter().map(|topic| topic.name()).collect();
        let why = format!("the topics are {}", known.join(", "));
        Fault::notification(Notification::TopicNotSupported, why)
    })
}

/// Reads when a subscription ends: a time, or how long it lasts.
fn end_of(text: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    let unacceptable = |why| Fault::notification(Notification::UnacceptableInitialTerminationTime, why);
    let end = match text.strip_prefix('P') {
        Some(_) => {
            let span: Option<Span> = text.parse().ok();
            let begin = now.to_zoned_datetime(TimeZone::UTC);
            span.and_then(|span| begin.checked_add(span).ok()).map(|end| end.timestamp())
        }
        // A time without a zone is taken as UTC.
        None => text.parse().ok().or_else(|| format!("{text}Z").parse().ok()),
    };
    let end: Timestamp = end.ok_or_else(|| {
        unacceptable("the InitialTerminationTime is no time and no duration of XML Schema".to_owned())
    })?;
    if end <= now {
        return Err(unacceptable("the InitialTerminationTime is past".to_owned()));
    }
    Ok(end)
}

/// Writes the answer to a `Subscribe`: what the subscription is called, and when it ends.
pub fn subscribe_response(reference: &str, end: Option<Timestamp>, now: Timestamp) -> Element {
    let reference = Element::new(WSNT, "SubscriptionReference")
        .with_child(Element::new(WSA, "Address").with_text(reference));
    let time = |local: &str, at: Timestamp| Element::new(WSNT, local).with_text(at.to_string());
    Element::new(WSNT, "SubscribeResponse")
        .with_child(reference)
        .with_child(time("CurrentTime", now))
        .with_children(end.map(|end| time("TerminationTime", end)))
}

#[cfg(test)]
mod tests;
