//! The SOAP doors: a message comes in as it arrives, is performed through
//! FHIR, and its answer goes out as a stream.
//!
//! | address | transactions |
//! | --- | --- |
//! | `/xds/registry` | ITI-42, ITI-18, ITI-51, ITI-57, ITI-61, ITI-62, ITI-92 |
//! | `/xds/repository` | ITI-41, ITI-43, ITI-86 |
//! | `/xdsi` | RAD-69 |
//! | `/xdr` | ITI-41, also with limited metadata |
//! | `/dsub` | ITI-52, ITI-54 |
//! | `/xca/query` | ITI-38 of other communities; ITI-18, asked of all of them |
//! | `/xca/retrieve` | ITI-39 of other communities; ITI-43, of theirs as well |
//! | `/pix/v3` | ITI-44, ITI-45 |
//! | `/pdq/v3` | ITI-47 |
//! | `/xcpd` | ITI-55, ITI-56 of other communities; ITI-47, asked of all of them |
//!
//! What comes by FHIR REST passes here as well: ITI-65 is a submission, ITI-104 a feed of the
//! patient index.

mod audit;
pub mod callbacks;
mod communities;
pub mod consumers;
pub mod dicomweb;
mod identity;
mod incoming;
pub mod messages;
pub mod notifications;
mod outgoing;
pub mod patient_feed;
mod patients;
mod reply;
mod rest;
pub mod schemas;
mod transactions;
mod wsdl;

use std::fmt;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::{Caller, FhirApi, User};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;

use crate::atna::event::changes;
use crate::atna::{Recorder, Recording};
use crate::documents::{self, Documents};
use crate::pdqv3::continuation::Continuations;
use crate::pix::domains::Domains;
use crate::wire::mtom::Writer;
use crate::wire::schema::Schemas;
use crate::wire::soap::{Addressing, Envelope, Fault, Version};
use crate::wire::xml::Element;
use crate::xca::initiating_gateway::Community;
use crate::xds::code_lists::CodeLists;
use crate::xds::registry::KnownPatients;
use crate::xua::{self, Trust};
use audit::Received;
use callbacks::Callbacks;
use incoming::Incoming;
use messages::inbox::{Inbox, Turns};
use transactions::meant;
#[cfg(test)]
pub(crate) use transactions::transaction_names;

/// How the doors are set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The OID of this repository; without one no document is found in it.
    pub repository_unique_id: String,
    /// The OID of this community; without one no other has access to it.
    pub home_community_id: String,
    /// The OID of who assigns the identifiers of patients by which documents
    /// are registered; `None` for the first that a patient has.
    pub affinity_domain: Option<String>,
    /// Who assigns identifiers of patients.
    pub domains: Arc<Domains>,
    /// Whether a message may take back that patients were merged.
    pub may_unmerge: bool,
    /// What is taken of messages of HL7 v2.
    pub messages: messages::Settings,
    /// The codes that the affinity domain allows; `None` for all.
    pub code_lists: Option<Arc<CodeLists>>,
    /// Bytes of a message without its documents.
    pub message_bytes_max: usize,
    /// Bytes of a message with its documents.
    pub bytes_max: u64,
    /// The other communities that are asked.
    pub communities: Vec<Community>,
    /// How long one waits for the answer of somebody else, in seconds.
    pub answer_seconds_max: u64,
    /// Where others may have messages sent to.
    pub callbacks: Callbacks,
    /// Who is believed of users; `None` when nobody is asked.
    pub trust: Option<Trust>,
    /// How this server is called where it records what was done; `None` when it does not.
    pub recorder: Option<Recorder>,
    /// Where images are; `None` when there are none.
    pub images: Option<Images>,
    /// What messages have to be valid by; `None` when nobody asks.
    pub schemas: Option<Schemas>,
}

/// A DICOMweb service that has images.
#[derive(Clone)]
pub struct Images {
    /// Its address, without a slash at the end.
    pub url: String,
    /// The `Authorization` by which it is asked.
    pub authorization: Option<String>,
    /// The OID by which manifests name it; `None` for that of this repository.
    pub repository_unique_id: Option<String>,
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it is asked with is a secret.
        f.debug_struct("Images").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            repository_unique_id: String::new(),
            home_community_id: String::new(),
            affinity_domain: None,
            domains: Arc::default(),
            may_unmerge: false,
            messages: messages::Settings::default(),
            code_lists: None,
            message_bytes_max: 64 << 20,
            bytes_max: 2 << 30,
            communities: Vec::new(),
            answer_seconds_max: 30,
            callbacks: Callbacks::default(),
            trust: None,
            recorder: None,
            images: None,
            schemas: None,
        }
    }
}

/// An address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `/xds/registry`.
    Registry,
    /// `/xds/repository`.
    Repository,
    /// `/xdr`.
    Recipient,
    /// `/xdsi`.
    ImagingSource,
    /// `/dsub`.
    NotificationBroker,
    /// `/xca/query`.
    CrossGatewayQuery,
    /// `/xca/retrieve`.
    CrossGatewayRetrieve,
    /// `/pix/v3`.
    CrossReferences,
    /// `/pdq/v3`.
    Demographics,
    /// `/xcpd`.
    PatientDiscovery,
}

impl Door {
    /// Every address.
    pub const ALL: &'static [Door] = &[
        Door::Registry,
        Door::Repository,
        Door::Recipient,
        Door::ImagingSource,
        Door::NotificationBroker,
        Door::CrossGatewayQuery,
        Door::CrossGatewayRetrieve,
        Door::CrossReferences,
        Door::Demographics,
        Door::PatientDiscovery,
    ];

    /// Returns the name of the IHE actor that it is the door of.
    pub fn actor(self) -> &'static str {
        match self {
            Door::Registry => "DocumentRegistry",
            Door::Repository => "DocumentRepository",
            Door::Recipient => "DocumentRecipient",
            Door::ImagingSource => "ImagingDocumentSource",
            Door::NotificationBroker => "DocumentMetadataNotificationBroker",
            Door::CrossGatewayQuery => "RespondingGateway_Query",
            Door::CrossGatewayRetrieve => "RespondingGateway_Retrieve",
            Door::CrossReferences => "PIXManager",
            Door::Demographics => "PDSupplier",
            Door::PatientDiscovery => "RespondingGateway",
        }
    }

    /// Tells whether things have addresses below it: subscriptions.
    pub fn has_places_below(self) -> bool {
        self == Door::NotificationBroker
    }

    /// Describes it in WSDL 1.1, as what is at an address.
    pub fn wsdl(self, address: &str) -> String {
        wsdl::wsdl(self, address)
    }

    /// Returns its path.
    pub fn path(self) -> &'static str {
        match self {
            Door::Registry => "/xds/registry",
            Door::Repository => "/xds/repository",
            Door::Recipient => "/xdr",
            Door::ImagingSource => "/xdsi",
            Door::NotificationBroker => "/dsub",
            Door::CrossGatewayQuery => "/xca/query",
            Door::CrossGatewayRetrieve => "/xca/retrieve",
            Door::CrossReferences => "/pix/v3",
            Door::Demographics => "/pdq/v3",
            Door::PatientDiscovery => "/xcpd",
        }
    }
}

/// The bytes of a request, as they arrive; an error says why they end.
pub type Arriving = Pin<Box<dyn Stream<Item = Result<Bytes, String>>>>;

/// A request.
pub struct Request {
    /// Where it came to.
    pub door: Door,
    /// What its address names below the door: a subscription.
    pub below: Option<String>,
    /// Its `Content-Type`.
    pub content_type: String,
    /// Who asks.
    pub caller: Caller,
    /// Its body.
    pub body: Arriving,
}

/// A part of an answer.
pub enum Chunk {
    /// Bytes.
    Bytes(Bytes),
    /// A document that is to be read, and its size.
    Document(Box<dyn Read + Send>, u64),
}

impl Chunk {
    /// Returns how many bytes it has.
    pub fn size(&self) -> u64 {
        match self {
            Chunk::Bytes(bytes) => bytes.len() as u64,
            Chunk::Document(_, size) => *size,
        }
    }
}

/// Gives out the chunks of an answer; documents bit by bit, read off the
/// thread that serves.
pub fn stream(chunks: Vec<Chunk>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::iter(chunks).flat_map(|chunk| match chunk {
        Chunk::Bytes(bytes) => futures_util::stream::once(async { Ok(bytes) }).boxed(),
        Chunk::Document(reader, size) => documents::stream(reader, size).boxed(),
    })
}

/// An answer.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: Vec<Chunk>,
    /// The transaction, for logs: `ITI-42` ...
    pub transaction: &'static str,
    /// Whether it tells what is wrong with the message.
    is_fault: bool,
}

/// Performs what comes in by SOAP.
#[derive(Clone)]
pub struct Gateway {
    api: Arc<dyn FhirApi>,
    documents: Arc<dyn Documents>,
    settings: Settings,
    http: reqwest::Client,
    continuations: Arc<Continuations>,
    /// The queues of messages, where some can be taken over.
    inbox: Option<Arc<dyn Inbox>>,
    turns: Turns,
}

/// Documents of an answer: content id, media type, bytes.
type Parts = Vec<(String, String, Chunk)>;

/// What a transaction answers with.
struct Answer {
    action: &'static str,
    body: Element,
    /// Documents beside it.
    parts: Parts,
    /// Whether the answer is of several parts even without documents.
    is_multipart: bool,
    transaction: &'static str,
}

impl Gateway {
    /// Makes the doors to an API. `http`: asks others, as this server shows itself to them.
    pub fn new(
        api: Arc<dyn FhirApi>,
        documents: Arc<dyn Documents>,
        settings: Settings,
        http: reqwest::Client,
    ) -> Gateway {
        let (continuations, turns) = (Arc::default(), Turns::default());
        Gateway { api, documents, settings, http, continuations, inbox: None, turns }
    }

    /// Says where messages that are taken over are kept.
    pub fn with_inbox(self, inbox: Arc<dyn Inbox>) -> Gateway {
        Gateway { inbox: Some(inbox), ..self }
    }

    /// Answers a request: on the connection, or, where the message says so, with nothing
    /// but that it was taken, and at the address that it names.
    pub async fn answer(&self, request: Request) -> Response {
        let Request { door, below, content_type, caller, body } = request;
        let incoming = match Incoming::receive(&content_type, body, &self.documents, &self.settings).await {
            Ok(incoming) => Incoming { below, ..incoming },
            Err(fault) => return fault_response(fault, Version::Soap12, &Addressing::default()),
        };
        let addressing = incoming.envelope.addressing();
        if let Err(fault) = self.can_answer(&addressing) {
            return fault_response(fault, incoming.envelope.version, &Addressing::default());
        }
        let response = self.answer_message(door, caller, &incoming).await;
        self.deliver(response, &addressing)
    }

    async fn answer_message(&self, door: Door, caller: Caller, incoming: &Incoming) -> Response {
        let (version, addressing) = (incoming.envelope.version, incoming.envelope.addressing());
        let caller = match self.identified(&caller, incoming) {
            Ok(user) => Caller { user, ..caller },
            Err(fault) => {
                self.record_refusal(&caller, door, &fault).await;
                return fault_response(fault, version, &addressing);
            }
        };
        let transaction = match meant(door, &incoming.envelope.body, addressing.action.as_deref()) {
            Ok(transaction) => transaction,
            Err(fault) => return fault_response(fault, version, &addressing),
        };
        let known_patients = KnownPatients::default();
        let received = Received {
            door,
            incoming,
            transaction: transaction.name,
            at: Timestamp::now(),
            known_patients: &known_patients,
        };
        let event = self.event(&caller, &received).await;
        // What changes something is recorded in the transaction that changes it.
        let recording = event.as_ref().filter(|_| changes(transaction.name)).map(Recording::new);
        let performed = match self.refused_by_schema(transaction, incoming).await {
            Ok(None) => {
                self.perform(door, transaction, &caller, incoming, recording.as_ref(), &known_patients).await
            }
            Ok(Some(refusal)) => Ok(refusal),
            Err(fault) => Err(fault),
        };
        let is_recorded = recording.is_some_and(|recording| recording.is_stored());
        let recorded = match event.filter(|_| !is_recorded) {
            Some(event) => self.record(&caller, transaction.name, event, &performed).await,
            None => Ok(()),
        };
        match performed {
            Ok(_) if recorded.is_err() => {
                let fault = Fault::receiver("what was asked cannot be recorded, and is not answered");
                fault_response(fault, version, &addressing)
            }
            Ok(answer) => response(answer, version, &addressing),
            Err(fault) => fault_response(fault, version, &addressing),
        }
    }
}

impl Gateway {
    /// Tells who is behind a message.
    ///
    /// # Errors
    /// When what it says of that is not believed, or missing and required.
    fn identified(&self, caller: &Caller, incoming: &Incoming) -> Result<Option<Arc<User>>, Fault> {
        let Some(trust) = &self.settings.trust else { return Ok(caller.user.clone()) };
        // An assertion that cannot be cut out is none that could be believed.
        if incoming.assertion.is_none() && xua::count(&incoming.envelope) > 0 {
            return Err(Fault::sender("the assertion about the user cannot be read"));
        }
        let user = xua::user(incoming.assertion.as_deref(), caller.node.as_deref(), trust, Timestamp::now())?;
        Ok(user.map(Arc::new))
    }
}

fn response(answer: Answer, version: Version, addressing: &Addressing) -> Response {
    let transaction = answer.transaction;
    // Of what is only told nobody waits for an answer.
    if answer.action.is_empty() {
        return Response::taken(transaction);
    }
    let envelope = Envelope { version, headers: addressing.answer(answer.action), body: answer.body };
    let xml = envelope.into_element().to_xml();
    if !answer.is_multipart {
        let content_type = format!("{}; charset=UTF-8", version.media_type());
        return answered(content_type, vec![Chunk::Bytes(xml.into())], transaction);
    }
    let writer = Writer::new(version);
    let mut body = vec![Chunk::Bytes(writer.root(&xml).into())];
    for (content_id, media_type, chunk) in answer.parts {
        body.push(Chunk::Bytes(writer.part(&content_id, &media_type).into()));
        body.push(chunk);
    }
    body.push(Chunk::Bytes(writer.end().into()));
    answered(writer.content_type(), body, transaction)
}

fn answered(content_type: String, body: Vec<Chunk>, transaction: &'static str) -> Response {
    Response { status: 200, content_type, body, transaction, is_fault: false }
}

impl Response {
    /// Makes the answer to a message that is answered elsewhere, or not at all.
    fn taken(transaction: &'static str) -> Response {
        let (content_type, body) = (String::new(), Vec::new());
        Response { status: 202, content_type, body, transaction, is_fault: false }
    }

    /// Makes the answer to a message whose handling broke: nothing is said of why.
    pub fn unexpected() -> Response {
        let fault = Fault::receiver("an unexpected error");
        fault_response(fault, Version::Soap12, &Addressing::default())
    }
}

fn fault_response(fault: Fault, version: Version, addressing: &Addressing) -> Response {
    let status = fault.status(version);
    let xml = fault.into_envelope(version, &addressing.of_fault()).into_element().to_xml();
    let content_type = format!("{}; charset=UTF-8", version.media_type());
    let body = vec![Chunk::Bytes(xml.into())];
    Response { status, content_type, body, transaction: "fault", is_fault: true }
}
