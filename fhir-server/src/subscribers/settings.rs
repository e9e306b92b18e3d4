//! The settings of subscribers.

use std::sync::Arc;
use std::time::Duration;

use fhir_model::interaction::{Caller, FhirApi};
use ihe_adapters::atna::Recorder;
use ihe_adapters::gateway::Gateway;
use ihe_adapters::gateway::consumers::Consumer;
use ihe_adapters::outbox::Destination;
use ihe_adapters::pix::domains::Domains;
use ihe_adapters::source::of_sender;
use ihe_adapters::subscribers::{Subscriber, Subscription, Topic};
use ihe_adapters::wire::hl7v3::message::Device;
use ihe_adapters::xds::values::is_oid;
use rustls::ClientConfig;
use serde::Deserialize;

use super::{Address, MllpClient};

/// A section `[[subscribers]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriberFile {
    /// By which it is known here, and never changes.
    pub name: String,
    /// `mllp://host:port`, or `mllps://` for TLS; `https://` and the like by HL7 v3.
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
    /// Which identifiers are of one person, by HL7 v3.
    PixV3,
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
    #[error("`{0}` is no address such as mllp://host:2575, or https://host/path for \"pixv3\" alone")]
    Address(String),
    /// A domain that is not known.
    #[error("`{0}` is no domain of [[identity.domains]]")]
    Domain(String),
    /// What is no OID.
    #[error("`{0}` is no OID: by HL7 v3 `application` and `facility` are those of the consumer")]
    Oid(String),
    /// What is no source.
    #[error("`{0}` is no source such as LIS|HOSPITAL1: MSH-3 and MSH-4")]
    Source(String),
}

/// A subscriber as it counts.
#[derive(Debug, Clone)]
pub enum SubscriberSettings {
    /// One by HL7 v2.
    Messages {
        /// Who it is.
        subscription: Subscription,
        /// Where it is reached.
        address: Address,
        /// How long one waits for an acknowledgement.
        patience: Duration,
    },
    /// One by HL7 v3.
    Consumer {
        /// Its place in the outbox.
        name: String,
        /// Where it is reached.
        address: String,
        /// What it is known by.
        device: Device,
        /// The systems of the identifiers that it is interested in.
        interesting: Vec<String>,
    },
}

/// Who reaches subscribers, and has what they are told of.
pub struct Telling {
    /// Has it.
    pub api: Arc<dyn FhirApi>,
    /// The base of this server.
    pub base: String,
    /// Tells those by HL7 v3.
    pub gateway: Gateway,
    /// Who records what is told, if anybody does.
    pub recorder: Option<Recorder>,
    /// Who assigns identifiers.
    pub domains: Arc<Domains>,
    /// How connections are made secure.
    pub tls: Arc<ClientConfig>,
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
        let made = if file.what == [What::PixV3] {
            vec![consumer(file, domains)?]
        } else {
            told(file, domains, sender)?
        };
        for one in made {
            if all.iter().any(|other| other.name() == one.name()) {
                return Err(SubscriberError::Name(file.name.clone()));
            }
            all.push(one);
        }
    }
    Ok(all)
}

/// Reads a subscriber by HL7 v2.
fn told(
    file: &SubscriberFile,
    domains: &Domains,
    sender: &[String; 2],
) -> Result<Vec<SubscriberSettings>, SubscriberError> {
    let address = Address::parse(&file.address).filter(|_| !file.what.contains(&What::PixV3));
    let address = address.ok_or_else(|| SubscriberError::Address(file.address.clone()))?;
    let interesting = interesting(file, domains)?;
    let sources = sources(file)?;
    let patience = Duration::from_secs(file.answer_seconds_max.unwrap_or(ANSWER_SECONDS).max(1));
    let mut rest = file.what.clone();
    let mut all = Vec::new();
    for (whats, topics, word) in TOGETHER {
        if !whats.iter().all(|what| rest.contains(what)) {
            continue;
        }
        rest.retain(|what| !whats.contains(what));
        let subscription = Subscription {
            name: format!("hl7v2 {} {word}", file.name),
            address: file.address.clone(),
            topics,
            interesting: interesting.clone(),
            sources: sources.clone(),
            sender: sender.clone(),
            receiver: [file.application.clone(), file.facility.clone()],
        };
        all.push(SubscriberSettings::Messages { subscription, address: address.clone(), patience });
    }
    Ok(all)
}

/// Reads a subscriber by HL7 v3.
fn consumer(file: &SubscriberFile, domains: &Domains) -> Result<SubscriberSettings, SubscriberError> {
    let url = reqwest::Url::parse(&file.address).ok().filter(|url| url.has_host());
    let is_address = url.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_address {
        return Err(SubscriberError::Address(file.address.clone()));
    }
    let facility = Some(file.facility.as_str()).filter(|facility| !facility.is_empty());
    for oid in [Some(file.application.as_str()), facility].into_iter().flatten() {
        if !is_oid(oid) {
            return Err(SubscriberError::Oid(oid.to_owned()));
        }
    }
    Ok(SubscriberSettings::Consumer {
        name: format!("hl7v3 {} pix", file.name),
        address: file.address.clone(),
        device: Device::new(&file.application, facility),
        interesting: interesting(file, domains)?,
    })
}

fn interesting(file: &SubscriberFile, domains: &Domains) -> Result<Vec<String>, SubscriberError> {
    file.domains.iter().map(|name| system(name, domains)).collect()
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
    let known = domains.called(name);
    known.map(|domain| domain.system()).ok_or_else(|| SubscriberError::Domain(name.to_owned()))
}

impl SubscriberSettings {
    /// Returns its place in the outbox.
    fn name(&self) -> &str {
        match self {
            SubscriberSettings::Messages { subscription, .. } => &subscription.name,
            SubscriberSettings::Consumer { name, .. } => name,
        }
    }

    /// Makes the subscriber, which is reached when there is something to tell.
    pub fn connect(self, by: &Telling) -> Arc<dyn Destination> {
        let caller = Caller::new(format!("subscriber {}", self.name()), by.base.clone());
        match self {
            SubscriberSettings::Messages { subscription, address, patience } => Arc::new(Subscriber {
                subscription,
                api: Arc::clone(&by.api),
                caller,
                domains: Arc::clone(&by.domains),
                recorder: by.recorder.clone(),
                exchange: Arc::new(MllpClient::new(address, Arc::clone(&by.tls), patience)),
            }),
            SubscriberSettings::Consumer { name, address, device, interesting } => {
                Arc::new(Consumer { name, address, device, interesting, caller, gateway: by.gateway.clone() })
            }
        }
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
        let interesting = |settings: &SubscriberSettings| match settings {
            SubscriberSettings::Messages { subscription, .. } => subscription.interesting.clone(),
            SubscriberSettings::Consumer { interesting, .. } => interesting.clone(),
        };
        let interesting = interesting(settings.first().expect("one"));
        let cf = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
        assert_eq!(interesting, [cf, "urn:oid:1.2.3", "urn:oid:1.2.4", "http://x.example"]);
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
            settings.iter().map(|of| of.name().to_owned()).collect()
        };
        assert_eq!(names(&[What::Oru, What::Pix, What::Adt]), ["hl7v2 lis pix", "hl7v2 lis feed"]);
        assert_eq!(names(&[What::Oru]), ["hl7v2 lis feed"]);
        let of = |sources: &[&str]| {
            let settings = read(&[What::Adt], sources).expect("settings");
            let sources = settings.into_iter().map(|of| match of {
                SubscriberSettings::Messages { subscription, .. } => subscription.sources,
                SubscriberSettings::Consumer { .. } => Vec::new(),
            });
            sources.flatten().collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), ["urn:lanterna:hl7v2:sender:LIS:H1"]);
        assert_eq!(of(&["A|B", "C|"]), ["urn:lanterna:hl7v2:sender:A:B", "urn:lanterna:hl7v2:sender:C:"]);
        assert_eq!(read(&[What::Adt], &["A"]).err(), Some(SubscriberError::Source("A".into())));
    }

    #[test]
    fn a_consumer_by_hl7_v3_has_a_url_and_an_oid() {
        let sender = [String::new(), String::new()];
        let read = |address: &str, application: &str, what: &[What]| {
            let mut ris = file("ris", address, &[]);
            ris.what = what.to_vec();
            application.clone_into(&mut ris.application);
            ris.facility.clear();
            subscribers(&[ris], &Domains::default(), &sender).map(|settings| settings.len())
        };
        assert_eq!(read("https://ris.example/pix", "1.2.3", &[What::PixV3]), Ok(1));
        let address = |text: &str| Err(SubscriberError::Address(text.into()));
        assert_eq!(read("mllp://ris.example:1", "1.2.3", &[What::PixV3]), address("mllp://ris.example:1"));
        assert_eq!(
            read("https://r.example", "1.2.3", &[What::PixV3, What::Pix]),
            address("https://r.example")
        );
        assert_eq!(read("https://r.example", "RIS", &[What::PixV3]), Err(SubscriberError::Oid("RIS".into())));
    }
}
