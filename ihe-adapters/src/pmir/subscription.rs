//! ITI-94: who wants to know of patients, and of which.
//!
//! Spec: PMIR 2:3.94.4.1.2, profile IHE.PMIR.Subscription

use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use jiff::Timestamp;
use serde_json::Value;

use crate::fhir_client::{alternatives, decoded, parse_token};
use crate::pix::domains::Domains;

/// What the channel is called by which messages go.
pub(crate) const CHANNEL: &str = "message";
/// The extension of a Subscription that says since when it waits.
pub(crate) const SINCE: &str = "urn:lanterna:pmir:since";
/// How many criteria a subscription may have.
const CRITERIA_MAX: usize = 50;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Payload {
    Json,
    Xml,
}

impl Payload {
    /// Returns the media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Payload::Json => "application/fhir+json",
            Payload::Xml => "application/fhir+xml",
        }
    }

    fn of(media_type: &str) -> Option<Payload> {
        let (essence, _) = media_type.split_once(';').unwrap_or((media_type, ""));
        match essence.trim() {
            "application/fhir+json" | "application/json" => Some(Payload::Json),
            "application/fhir+xml" | "application/xml" => Some(Payload::Xml),
            _ => None,
        }
    }
}

/// Of which patients one is told: all of it has to be so.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Criterion {
    /// The Patient of one of these ids.
    Id(Vec<String>),
    /// Who belongs to one of these organizations.
    Organization(Vec<String>),
    /// Who has one of these identifiers: system and value, either of which may be any.
    Identifier(Vec<(Option<String>, Option<String>)>),
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    criteria: Vec<Criterion>,
    /// Where messages go.
    pub(crate) endpoint: String,
    pub(crate) payload: Payload,
    /// When it ends, if it does by itself.
    pub(crate) end: Option<Timestamp>,
}

/// Tells whether a Subscription is about patients, by messages.
pub(crate) fn is_of_patients(resource: &Resource) -> bool {
    let root = resource.root();
    let criteria = root.text_of(name::CRITERIA).unwrap_or_default();
    let channel = root.child(name::CHANNEL).and_then(|channel| channel.text_of(name::TYPE));
    let of_type = criteria.split('?').next();
    resource.resource_type() == ty::SUBSCRIPTION && channel == Some(CHANNEL) && of_type == Some("Patient")
}

impl Subscription {
    /// Reads a Subscription.
    ///
    /// # Errors
    /// 422, what of it is not understood.
    pub(crate) fn of(resource: &Resource, domains: &Domains) -> Result<Subscription, Issue> {
        let root = resource.root();
        let channel = root.child(name::CHANNEL);
        let of_channel = |of| channel.and_then(|channel| channel.text_of(of)).unwrap_or_default();
        let endpoint = of_channel(name::ENDPOINT);
        if endpoint.is_empty() {
            return Err(wrong("channel.endpoint", "there has to be an endpoint"));
        }
        let payload = Payload::of(of_channel(name::PAYLOAD)).ok_or_else(|| {
            wrong("channel.payload", "messages are application/fhir+json or application/fhir+xml")
        })?;
        let criteria = criteria(root.text_of(name::CRITERIA).unwrap_or_default(), domains)?;
        let end = match root.text_of(name::END) {
            Some(text) => Some(text.parse().map_err(|_| wrong("end", "it is no instant"))?),
            None => None,
        };
        Ok(Subscription { criteria, endpoint: endpoint.to_owned(), payload, end })
    }

    /// Tells whether it is about a patient.
    pub(crate) fn is_about(&self, patient: &Value) -> bool {
        self.criteria.iter().all(|criterion| match criterion {
            Criterion::Id(ids) => ids.iter().any(|id| patient["id"] == id.as_str()),
            Criterion::Organization(all) => {
                let organization = patient["managingOrganization"]["reference"].as_str().unwrap_or_default();
                let id = organization.rsplit('/').next().unwrap_or_default();
                all.iter().any(|wanted| organization == wanted || (!id.is_empty() && id == wanted))
            }
            Criterion::Identifier(wanted) => {
                let all = patient["identifier"].as_array().map(Vec::as_slice).unwrap_or_default();
                all.iter().any(|of| {
                    let is = |name: &str, wanted: &Option<String>| match wanted {
                        Some(wanted) => of[name].as_str().unwrap_or_default() == wanted,
                        None => true,
                    };
                    wanted.iter().any(|(system, value)| is("system", system) && is("value", value))
                })
            }
        })
    }

    /// Tells whether it has ended by itself.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        self.end.is_some_and(|end| end <= now)
    }
}

/// Returns since when a subscription waits: what is stored later is told.
pub(crate) fn since(resource: &Value) -> Option<Timestamp> {
    let extensions = resource["extension"].as_array()?;
    let since = extensions.iter().find(|extension| extension["url"] == SINCE)?;
    since["valueInstant"].as_str()?.parse().ok()
}

fn criteria(text: &str, domains: &Domains) -> Result<Vec<Criterion>, Issue> {
    let not_understood = || {
        wrong(
            "criteria",
            "it is `Patient`, with `_id`, `organization` or `identifier` where it is not of all",
        )
    };
    let query = text.split_once('?').map_or("", |(_, query)| query);
    let parameters = decoded(query).ok_or_else(not_understood)?;
    let is_whole = parameters.len() == query.split('&').filter(|part| !part.is_empty()).count();
    if !is_whole || parameters.len() > CRITERIA_MAX {
        return Err(not_understood());
    }
    let read = |(name, value): &(String, String)| {
        let all = alternatives(value);
        let owned = |of: &[&str], type_name: &str| {
            of.iter().map(|id| id.strip_prefix(type_name).unwrap_or(id).to_owned()).collect::<Vec<_>>()
        };
        match name.as_str() {
            "_id" => Ok(Criterion::Id(owned(&all, "Patient/"))),
            "organization" => Ok(Criterion::Organization(owned(&all, "Organization/"))),
            "identifier" => {
                Ok(Criterion::Identifier(all.iter().map(|token| wanted(token, domains)).collect()))
            }
            _ => Err(not_understood()),
        }
    };
    parameters.iter().map(read).collect()
}

/// Reads a token: which system, and which value.
fn wanted(token: &str, domains: &Domains) -> (Option<String>, Option<String>) {
    match parse_token(token) {
        // A domain has several names, and stands by one.
        Some((system, value)) => {
            let system = domains.by_system(&system).map_or(system, |domain| domain.system());
            (Some(system), Some(value).filter(|value| !value.is_empty()))
        }
        None => (None, Some(token.to_owned())),
    }
}

fn wrong(place: &str, text: &str) -> Issue {
    let issue = Issue::error(IssueType::Value).because(Reason::Unprocessable);
    issue.at(format!("Subscription.{place}")).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn subscription(criteria: &str, payload: &str) -> Resource {
        let resource = json!({
            "resourceType": "Subscription", "status": "requested", "reason": "x", "criteria": criteria,
            "channel": { "type": "message", "endpoint": "https://c.example/x", "payload": payload },
        });
        fhir_model::json::read(resource.to_string()).expect("a Subscription")
    }

    #[test]
    fn a_subscription_is_about_those_that_its_criteria_mean() {
        let patient = json!({
            "resourceType": "Patient", "id": "7", "managingOrganization": { "reference": "Organization/o" },
            "identifier": [{ "system": "urn:oid:1.2.3", "value": "a,b" }],
        });
        for (criteria, is_about) in [
            ("Patient", true),
            ("Patient?_id=7", true),
            ("Patient?_id=8,Patient/7", true),
            ("Patient?_id=8", false),
            ("Patient?organization=o", true),
            ("Patient?organization=Organization/o", true),
            ("Patient?organization=p", false),
            ("Patient?identifier=urn:oid:1.2.3%7C", true),
            ("Patient?identifier=urn:oid:1.2.3%7Ca%5C,b", true),
            ("Patient?identifier=urn:oid:1.2.4%7C", false),
            ("Patient?identifier=c", false),
            ("Patient?identifier=urn:oid:1.2.3%7C&_id=8", false),
        ] {
            let resource = subscription(criteria, "application/fhir+json");
            assert!(is_of_patients(&resource), "{criteria}");
            let read = Subscription::of(&resource, &Domains::default()).expect(criteria);
            assert_eq!(read.is_about(&patient), is_about, "{criteria}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let of = |criteria: &str, payload: &str| {
            Subscription::of(&subscription(criteria, payload), &Domains::default()).map(|read| read.payload)
        };
        assert_eq!(of("Patient", "application/fhir+xml;charset=utf-8").ok(), Some(Payload::Xml));
        for (criteria, payload) in [
            ("Patient?birthdate=2000", "application/fhir+json"),
            ("Patient?_id", "application/fhir+json"),
            ("Patient", "text/plain"),
            ("Patient", "application/hl7-v2"),
        ] {
            let issue = of(criteria, payload).expect_err(criteria);
            assert_eq!((issue.code, issue.reason), (IssueType::Value, Reason::Unprocessable));
        }
        assert!(!is_of_patients(&subscription("Observation?code=1", "application/fhir+json")));
        assert!(!is_of_patients(&subscription("PatientX", "application/fhir+json")));
    }
}
