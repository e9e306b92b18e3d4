//! The settings of subscribers.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::interaction::{Caller, FhirApi};
use ihe_adapters::atna::Recorder;
use ihe_adapters::pix::domains::Domains;
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
}

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
}

/// A subscriber as it counts.
#[derive(Debug, Clone)]
pub struct SubscriberSettings {
    subscription: Subscription,
    address: Address,
    patience: Duration,
}

/// Whom messages are from: MSH-3.
const APPLICATION: &str = "LANTERNA";
/// How long one waits for an acknowledgement, unless it is said.
const ANSWER_SECONDS: u64 = 30;

/// Reads subscribers; each is one for each of what it is told of.
///
/// # Errors
/// When one has no name or address, or a domain that is not known.
pub fn subscribers(
    files: &[SubscriberFile],
    domains: &Domains,
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
        for what in &file.what {
            let (topic, word) = match what {
                What::Pix => (Topic::Pix, "pix"),
            };
            let name = format!("hl7v2 {} {word}", file.name);
            if all.iter().any(|other| other.subscription.name == name) {
                return Err(SubscriberError::Name(file.name.clone()));
            }
            let subscription = Subscription {
                name,
                address: file.address.clone(),
                topic,
                interesting: interesting.clone(),
                sender: [APPLICATION.to_owned(), String::new()],
                receiver: [file.application.clone(), file.facility.clone()],
            };
            let patience = Duration::from_secs(file.answer_seconds_max.unwrap_or(ANSWER_SECONDS).max(1));
            all.push(SubscriberSettings { subscription, address: address.clone(), patience });
        }
    }
    Ok(all)
}

/// Returns the system of a domain, by any of its names.
fn system(name: &str, domains: &Domains) -> Result<String, SubscriberError> {
    let known = domains.called(name);
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
            application: "LIS".into(),
            facility: "H1".into(),
            answer_seconds_max: None,
        }
    }

    #[test]
    fn subscribers_are_read_or_refused() {
        let domains = Domains::default();
        let read = |files: &[SubscriberFile]| subscribers(files, &domains);
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
}
