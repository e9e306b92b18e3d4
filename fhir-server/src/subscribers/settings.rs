//! The settings of subscribers.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::interaction::{Caller, FhirApi};
use ihe_adapters::atna::Recorder;
use ihe_adapters::pix::domains::{Authority, Domains};
use ihe_adapters::source::of_sender;
use ihe_adapters::subscribers::{Subscriber, Subscription, Topic};
use rustls::ClientConfig;
use serde::Deserialize;

use super::{Address, MllpClient};

/// A section `[[subscribers]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriberFile {
    /// By which it is known here, and never changes.
    pub name: String,
    /// `mllp://host:port`, or `mllps://` for TLS.
    pub address: String,
    /// Of what it is told.
    pub what: Vec<What>,
    /// The domains that it is interested in, by name, OID or URI; all where there are none.
    #[serde(default)]
    pub domains: Vec<String>,
    /// As whom it tells something itself (MSH-3 and MSH-4, `application|facility`): that it is
    /// not told again. Where there are none, as `application` and `facility`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// MSH-5.
    #[serde(default)]
    pub application: String,
    /// MSH-6.
    #[serde(default)]
    pub facility: String,
    /// How long one waits for an acknowledgement, in seconds.
    pub answer_seconds_max: Option<u64>,
}

/// Of what a subscriber is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Which identifiers are of one person.
    Pix,
    /// Patients and visits.
    Adt,
    /// Reports.
    Oru,
}

/// What goes in one order, and the word that stands for it.
const TOGETHER: &[(&[What], &[Topic], &str)] = &[
    (&[What::Pix], &[Topic::Identifiers], "pix"),
    (&[What::Adt, What::Oru], &[Topic::Admissions, Topic::Results], "feed"),
    (&[What::Adt], &[Topic::Admissions], "feed"),
    (&[What::Oru], &[Topic::Results], "feed"),
];

/// Why a subscriber cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriberError {
    /// What is no name.
    #[error("`{0}` is no name of a subscriber: letters, digits, `-`, `_` and `.`, each once")]
    Name(String),
    /// What is no address.
    #[error("`{0}` is no address such as mllp://host:2575")]
    Address(String),
    /// A domain that is not known.
    #[error("`{0}` is no domain of [[identity.domains]]")]
    Domain(String),
    /// What is no source.
    #[error("`{0}` is no source such as LIS|HOSPITAL1: MSH-3 and MSH-4")]
    Source(String),
}

/// A subscriber as it counts.
#[derive(Debug, Clone)]
pub struct SubscriberSettings {
    subscription: Subscription,
    address: Address,
    patience: Duration,
}

/// How long one waits for an acknowledgement, unless it is said.
const ANSWER_SECONDS: u64 = 30;

/// Reads subscribers; each is one for each of what it is told of in an order of its own.
/// `sender`: MSH-3 and MSH-4 of what they are told.
///
/// # Errors
/// When one has no name or address, or a domain that is not known.
pub fn subscribers(
    files: &[SubscriberFile],
    domains: &Domains,
    sender: &[String; 2],
) -> Result<Vec<SubscriberSettings>, SubscriberError> {
    let mut all: Vec<SubscriberSettings> = Vec::new();
    for file in files {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if file.name.is_empty() || !file.name.chars().all(is_of_name) {
            return Err(SubscriberError::Name(file.name.clone()));
        }
        let address = Address::parse(&file.address);
        let address = address.ok_or_else(|| SubscriberError::Address(file.address.clone()))?;
        let interesting = file.domains.iter().map(|name| system(name, domains));
        let interesting = interesting.collect::<Result<Vec<String>, SubscriberError>>()?;
        let sources = sources(file)?;
        let mut rest = file.what.clone();
        for (whats, topics, word) in TOGETHER {
            if !whats.iter().all(|what| rest.contains(what)) {
                continue;
            }
            rest.retain(|what| !whats.contains(what));
            let name = format!("hl7v2 {} {word}", file.name);
            if all.iter().any(|other| other.subscription.name == name) {
                return Err(SubscriberError::Name(file.name.clone()));
            }
            let subscription = Subscription {
                name,
                address: file.address.clone(),
                topics,
                interesting: interesting.clone(),
                sources: sources.clone(),
                sender: sender.clone(),
                receiver: [file.application.clone(), file.facility.clone()],
            };
            let patience = Duration::from_secs(file.answer_seconds_max.unwrap_or(ANSWER_SECONDS).max(1));
            all.push(SubscriberSettings { subscription, address: address.clone(), patience });
        }
    }
    Ok(all)
}

/// Returns as which sources a subscriber tells something itself.
fn sources(file: &SubscriberFile) -> Result<Vec<String>, SubscriberError> {
    let named = file.sources.iter().map(|text| {
        let (application, facility) =
            text.split_once('|').ok_or_else(|| SubscriberError::Source(text.clone()))?;
        Ok(of_sender(application.trim(), facility.trim()))
    });
    let mut sources = named.collect::<Result<Vec<String>, SubscriberError>>()?;
    let is_called = !(file.application.is_empty() && file.facility.is_empty());
    if sources.is_empty() && is_called {
        sources.push(of_sender(&file.application, &file.facility));
    }
    Ok(sources)
}

/// Returns the system of a domain, by any of its names.
fn system(name: &str, domains: &Domains) -> Result<String, SubscriberError> {
    let known = domains.by_system(name).or_else(|| {
        let authority = Authority { namespace: name, ..Authority::default() };
        domains.named(authority).ok()
    });
    known.map(|domain| domain.system()).ok_or_else(|| SubscriberError::Domain(name.to_owned()))
}

impl SubscriberSettings {
    /// Makes the subscriber, which is reached when there is something to tell.
    pub fn connect(
        self,
        api: Arc<dyn FhirApi>,
        base: &str,
        (recorder, domains): (Option<Recorder>, Arc<Domains>),
        tls: Arc<ClientConfig>,
    ) -> Subscriber {
        let exchange = Arc::new(MllpClient::new(self.address, tls, self.patience));
        let caller = Caller::new(format!("subscriber {}", self.subscription.name), base.to_owned());
        Subscriber { subscription: self.subscription, api, caller, domains, recorder, exchange }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, address: &str, domains: &[&str]) -> SubscriberFile {
        SubscriberFile {
            name: name.into(),
            address: address.into(),
            what: vec![What::Pix],
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            sources: Vec::new(),
            application: "LIS".into(),
            facility: "H1".into(),
            answer_seconds_max: None,
        }
    }

    #[test]
    fn subscribers_are_read_or_refused() {
        let domains = Domains::default();
        let sender = ["LANTERNA".to_owned(), "REGION".to_owned()];
        let read = |files: &[SubscriberFile]| subscribers(files, &domains, &sender);
        let lis =
            file("lis", "mllp://lis.example:2575", &["CF", "1.2.3", "urn:oid:1.2.4", "http://x.example"]);
        let settings = read(std::slice::from_ref(&lis)).expect("settings");
        let interesting = &settings.first().expect("one").subscription.interesting;
        let cf = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
        assert_eq!(*interesting, [cf, "urn:oid:1.2.3", "urn:oid:1.2.4", "http://x.example"]);
        let wrong = |files: &[SubscriberFile]| read(files).err();
        let name = |name: &str| Some(SubscriberError::Name(name.into()));
        assert_eq!(wrong(&[lis.clone(), lis]), name("lis"));
        assert_eq!(wrong(&[file("a b", "mllp://x:1", &[])]), name("a b"));
        let address = Some(SubscriberError::Address("http://x".into()));
        assert_eq!(wrong(&[file("a", "http://x", &[])]), address);
        let domain = Some(SubscriberError::Domain("EMR".into()));
        assert_eq!(wrong(&[file("a", "mllp://x:1", &["EMR"])]), domain);
    }

    #[test]
    fn what_is_told_in_one_order_is_one_subscriber() {
        let domains = Domains::default();
        let sender = ["LANTERNA".to_owned(), "REGION".to_owned()];
        let read = |what: &[What], sources: &[&str]| {
            let mut lis = file("lis", "mllp://lis.example:2575", &[]);
            lis.what = what.to_vec();
            lis.sources = sources.iter().map(|source| (*source).to_owned()).collect();
            subscribers(&[lis], &domains, &sender)
        };
        let names = |what: &[What]| -> Vec<String> {
            let settings = read(what, &[]).expect("settings");
            settings.into_iter().map(|of| of.subscription.name).collect()
        };
        assert_eq!(names(&[What::Oru, What::Pix, What::Adt]), ["hl7v2 lis pix", "hl7v2 lis feed"]);
        assert_eq!(names(&[What::Oru]), ["hl7v2 lis feed"]);
        let of = |sources: &[&str]| {
            let settings = read(&[What::Adt], sources).expect("settings");
            settings.into_iter().flat_map(|of| of.subscription.sources).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), ["urn:lanterna:hl7v2:sender:LIS:H1"]);
        assert_eq!(of(&["A|B", "C|"]), ["urn:lanterna:hl7v2:sender:A:B", "urn:lanterna:hl7v2:sender:C:"]);
        assert_eq!(read(&[What::Adt], &["A"]).err(), Some(SubscriberError::Source("A".into())));
    }
}
