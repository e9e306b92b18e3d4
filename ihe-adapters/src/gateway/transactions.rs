//! The transactions of the doors: which message is which, and what becomes of it.

use std::collections::HashSet;
use std::sync::Arc;

use fhir_model::interaction::{Caller, Carried};

use super::incoming::{Incoming, store_inline};
use super::{Answer, Chunk, Door, Gateway, Parts, patients};
use crate::atna::Recording;
use crate::documents::is_away;
use crate::fhir_client::Fhir;
use crate::wire::ebrim::read_objects;
use crate::wire::ebrs::{ErrorCode, RegistryError, RegistryResponse, Status};
use crate::wire::namespaces::{DIRECT, LCM, QUERY, RIM, RMD, WSNT, XDSB, XDSI};
use crate::wire::soap::Fault;
use crate::wire::xml::Element;
use crate::xca::cross_gateway_query::cross_gateway_query;
use crate::xca::cross_gateway_retrieve::cross_gateway_retrieve;
use crate::xds::check::Taker;
use crate::xds::registry::register_document_set::{register, register_on_demand};
use crate::xds::registry::remove_metadata::{self, objects_named};
use crate::xds::registry::stored_query::{self, Patients, StoredQuery};
use crate::xds::registry::update_document_set::{Allowed, update};
use crate::xds::registry::{KnownPatients, Registry};
use crate::xds::repository::provide_and_register::{Attached, Received, attached, provide_and_register};
use crate::xds::repository::remove_documents;
use crate::xds::repository::retrieve_document_set::{content_id, requests, response, retrieve};
use crate::xds::submission::Submission;

/// A transaction of a door.
pub(super) struct Transaction {
    pub(super) door: Door,
    pub(super) name: &'static str,
    pub(super) action: &'static str,
    /// The action of its answer; empty where nobody waits for one.
    pub(super) answer: &'static str,
    /// The element that the body has.
    pub(super) body: (&'static str, &'static str),
}

const TRANSACTIONS: &[Transaction] = &[
    Transaction {
        door: Door::Registry,
        name: "ITI-42",
        action: "urn:ihe:iti:2007:RegisterDocumentSet-b",
        answer: "urn:ihe:iti:2007:RegisterDocumentSet-bResponse",
        body: (LCM, "SubmitObjectsRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-18",
        action: "urn:ihe:iti:2007:RegistryStoredQuery",
        answer: "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        body: (QUERY, "AdhocQueryRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-51",
        action: "urn:ihe:iti:2009:MultiPatientStoredQuery",
        answer: "urn:ihe:iti:2009:MultiPatientStoredQueryResponse",
        body: (QUERY, "AdhocQueryRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-57",
        action: "urn:ihe:iti:2010:UpdateDocumentSet",
        answer: "urn:ihe:iti:2010:UpdateDocumentSetResponse",
        body: (LCM, "SubmitObjectsRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-61",
        action: "urn:ihe:iti:2010:RegisterOnDemandDocumentEntry",
        answer: "urn:ihe:iti:2010:RegisterOnDemandDocumentEntryResponse",
        body: (LCM, "SubmitObjectsRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-62",
        action: "urn:ihe:iti:2010:DeleteDocumentSet",
        answer: "urn:ihe:iti:2010:DeleteDocumentSetResponse",
        body: (LCM, "RemoveObjectsRequest"),
    },
    Transaction {
        door: Door::Registry,
        name: "ITI-92",
        action: "urn:ihe:iti:2018:RestrictedUpdateDocumentSet",
        answer: "urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse",
        body: (LCM, "SubmitObjectsRequest"),
    },
    Transaction {
        door: Door::Repository,
        name: "ITI-41",
        action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        answer: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
        body: (XDSB, "ProvideAndRegisterDocumentSetRequest"),
    },
    Transaction {
        door: Door::Repository,
        name: "ITI-43",
        action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        answer: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        body: (XDSB, "RetrieveDocumentSetRequest"),
    },
    Transaction {
        door: Door::Repository,
        name: "ITI-86",
        action: "urn:ihe:iti:2017:RemoveDocuments",
        answer: "urn:ihe:iti:2017:RemoveDocumentsResponse",
        body: (RMD, "RemoveDocumentsRequest"),
    },
    Transaction {
        door: Door::Recipient,
        name: "ITI-41",
        action: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
        answer: "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
        body: (XDSB, "ProvideAndRegisterDocumentSetRequest"),
    },
    Transaction {
        door: Door::ImagingSource,
        name: "RAD-69",
        action: "urn:ihe:rad:2009:RetrieveImagingDocumentSet",
        answer: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        body: (XDSI, "RetrieveImagingDocumentSetRequest"),
    },
    Transaction {
        door: Door::NotificationBroker,
        name: "ITI-52",
        action: "http://docs.oasis-open.org/wsn/bw-2/NotificationProducer/SubscribeRequest",
        answer: "http://docs.oasis-open.org/wsn/bw-2/NotificationProducer/SubscribeResponse",
        body: (WSNT, "Subscribe"),
    },
    Transaction {
        door: Door::NotificationBroker,
        name: "ITI-52",
        action: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeRequest",
        answer: "http://docs.oasis-open.org/wsn/bw-2/SubscriptionManager/UnsubscribeResponse",
        body: (WSNT, "Unsubscribe"),
    },
    Transaction {
        door: Door::NotificationBroker,
        name: "ITI-54",
        action: "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify",
        answer: "",
        body: (WSNT, "Notify"),
    },
    Transaction {
        door: Door::CrossGatewayQuery,
        name: "ITI-38",
        action: "urn:ihe:iti:2007:CrossGatewayQuery",
        answer: "urn:ihe:iti:2007:CrossGatewayQueryResponse",
        body: (QUERY, "AdhocQueryRequest"),
    },
    Transaction {
        door: Door::CrossGatewayRetrieve,
        name: "ITI-39",
        action: "urn:ihe:iti:2007:CrossGatewayRetrieve",
        answer: "urn:ihe:iti:2007:CrossGatewayRetrieveResponse",
        body: (XDSB, "RetrieveDocumentSetRequest"),
    },
    Transaction {
        door: Door::CrossGatewayQuery,
        name: "ITI-18",
        action: "urn:ihe:iti:2007:RegistryStoredQuery",
        answer: "urn:ihe:iti:2007:RegistryStoredQueryResponse",
        body: (QUERY, "AdhocQueryRequest"),
    },
    Transaction {
        door: Door::CrossGatewayRetrieve,
        name: "ITI-43",
        action: "urn:ihe:iti:2007:RetrieveDocumentSet",
        answer: "urn:ihe:iti:2007:RetrieveDocumentSetResponse",
        body: (XDSB, "RetrieveDocumentSetRequest"),
    },
];

/// Returns all transactions.
fn all() -> impl Iterator<Item = &'static Transaction> {
    TRANSACTIONS.iter().chain(patients::TRANSACTIONS)
}

/// Returns the transactions of a door.
pub(super) fn of_door(door: Door) -> impl Iterator<Item = &'static Transaction> {
    all().filter(move |transaction| transaction.door == door)
}

/// Returns the namespaces of what the doors take, each once.
pub(super) fn namespaces() -> Vec<&'static str> {
    let mut namespaces: Vec<_> = all().map(|transaction| transaction.body.0).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    namespaces
}

/// Returns the names of all transactions.
#[cfg(test)]
pub(crate) fn transaction_names() -> impl Iterator<Item = &'static str> {
    all().map(|transaction| transaction.name)
}

/// Finds what a message is for. Without an action the first that has such a body
/// is meant; an action that goes with another body is a mistake.
///
/// # Errors
/// A fault, when it is for nothing that is performed here.
pub(super) fn meant(door: Door, body: &Element, action: Option<&str>) -> Result<&'static Transaction, Fault> {
    let is_meant =
        |t: &&Transaction| body.is(t.body.0, t.body.1) && action.is_none_or(|action| action == t.action);
    of_door(door).find(is_meant).ok_or_else(|| Fault::action_not_supported(action.unwrap_or(&body.local)))
}

impl Gateway {
    /// Returns the registry as a caller sees it.
    pub(super) fn registry<'g>(&'g self, caller: &'g Caller) -> Registry<'g> {
        Registry {
            fhir: Fhir { api: &*self.api, caller },
            repository_unique_id: &self.settings.repository_unique_id,
            affinity_domain: self.settings.affinity_domain.as_deref(),
            code_lists: self.settings.code_lists.as_deref(),
            recording: None,
            known_patients: None,
        }
    }

    /// Performs a message. `recording`: what is recorded of a change, with it;
    /// `known_patients`: where its patients are, as far as that is known.
    ///
    /// # Errors
    /// A fault, when it cannot be read.
    pub(super) async fn perform(
        &self,
        door: Door,
        transaction: &Transaction,
        caller: &Caller,
        incoming: &Incoming,
        recording: Option<&Recording<'_>>,
        known_patients: &KnownPatients,
    ) -> Result<Answer, Fault> {
        let body = &incoming.envelope.body;
        if patients::is_of(transaction) {
            return self.perform_for_patients(transaction, caller, incoming, recording).await;
        }
        let registry = Registry { recording, known_patients: Some(known_patients), ..self.registry(caller) };
        let answer = |body: Element| Answer {
            action: transaction.answer,
            body,
            parts: Vec::new(),
            is_multipart: false,
            transaction: transaction.name,
        };
        Ok(match transaction.name {
            "ITI-42" => {
                let registered =
                    async |submission| register(&registry, submission, &[], Taker::Registry).await;
                answer(submitted(body, registered).await)
            }
            "ITI-18" if door == Door::CrossGatewayQuery => {
                answer(self.query_communities(&registry, incoming).await)
            }
            "ITI-43" if door == Door::CrossGatewayRetrieve => {
                let (body, parts) = self.retrieve_from_communities(&registry, incoming).await?;
                Answer { parts, is_multipart: true, ..answer(body) }
            }
            "ITI-18" => answer(registry_stored_query(&registry, body, Patients::One).await),
            "ITI-51" => answer(registry_stored_query(&registry, body, Patients::Many).await),
            "ITI-57" => {
                let updated = async |submission| update(&registry, submission, Allowed::Everything).await;
                answer(submitted(body, updated).await)
            }
            "ITI-61" => {
                let registered = async |submission| register_on_demand(&registry, submission).await;
                answer(submitted(body, registered).await)
            }
            "ITI-62" => {
                let done = match objects_named(body) {
                    Ok(ids) => remove_metadata::remove(&registry, &ids).await,
                    Err(error) => Err(vec![error]),
                };
                answer(RegistryResponse::of(done.err().unwrap_or_default()).to_element())
            }
            "ITI-86" => answer(remove_documents(&registry, body).await),
            "ITI-92" => {
                let updated =
                    async |submission| update(&registry, submission, Allowed::DocumentEntries).await;
                answer(submitted(body, updated).await)
            }
            "ITI-41" => {
                let taker = if door == Door::Recipient { Taker::Recipient } else { Taker::Registry };
                let response = self.provide_and_register(&registry, incoming, taker).await?;
                Answer { is_multipart: true, ..answer(response.to_element()) }
            }
            "RAD-69" => {
                let (body, parts) = self.retrieve_imaging_document_set(body).await;
                Answer { parts, is_multipart: true, ..answer(body) }
            }
            "ITI-52" if body.local == "Subscribe" => answer(self.subscribe(&registry, body).await?),
            "ITI-52" => answer(self.unsubscribe(&registry, incoming).await?),
            "ITI-54" => {
                self.publish(&registry, body).await?;
                answer(Element::new("", ""))
            }
            "ITI-38" => answer(cross_gateway_query(&registry, body, &self.home()).await),
            retrieval => {
                let home = (retrieval == "ITI-39").then(|| self.home());
                let (body, parts) = self.retrieve_document_set(&registry, body, home.as_deref()).await?;
                Answer { parts, is_multipart: true, ..answer(body) }
            }
        })
    }

    /// Returns this community.
    pub(super) fn home(&self) -> String {
        format!("urn:oid:{}", self.settings.home_community_id)
    }

    async fn provide_and_register(
        &self,
        registry: &Registry<'_>,
        incoming: &Incoming,
        taker: Taker,
    ) -> Result<RegistryResponse, Fault> {
        let body = &incoming.envelope.body;
        let submission = body
            .child(LCM, "SubmitObjectsRequest")
            .map(|request| submission_of(request, ErrorCode::RepositoryMetadata));
        let says_limited = || {
            let level = incoming.envelope.header(DIRECT, "metadata-level");
            level.is_some_and(|level| level.text().eq_ignore_ascii_case("minimal"))
        };
        let submission = match submission {
            Some(Ok(mut submission)) => {
                if taker == Taker::Recipient && says_limited() {
                    submission.limit();
                }
                submission
            }
            Some(Err(errors)) => return Ok(RegistryResponse::of(errors)),
            None => {
                let context = "the request has no SubmitObjectsRequest";
                let error = RegistryError::new(ErrorCode::RepositoryMetadata, context);
                return Ok(RegistryResponse::of(vec![error]));
            }
        };
        let mut errors = Vec::new();
        let mut received = Vec::new();
        let mut used = HashSet::new();
        for (id, attached) in attached(body) {
            let document = match attached {
                Attached::Inline(text) => Some(store_inline(&text, &self.documents).await?),
                Attached::Part(part) => {
                    let found = incoming.parts.iter().find(|p| p.content_id.as_deref() == Some(&*part));
                    if !used.insert(part.clone()) {
                        let context = format!("the part {part} is the document of two entries");
                        errors.push(RegistryError::new(ErrorCode::RepositoryMetadata, context).at(&id));
                    }
                    found.cloned()
                }
            };
            match document {
                Some(document) => received.push((id, document)),
                None => {
                    let context = format!("the document of {id} is in a part that did not come");
                    errors.push(RegistryError::new(ErrorCode::MissingDocument, context).at(&id));
                }
            }
        }
        errors.extend(incoming.parts.iter().filter_map(|part| unreferenced(part, &used)));
        if !errors.is_empty() {
            return Ok(RegistryResponse::of(errors));
        }
        let beside = match self.imaging_studies(&submission, &received).await {
            Ok(studies) => studies,
            Err(errors) => return Ok(RegistryResponse::of(errors)),
        };
        let done = provide_and_register(registry, submission, &received, taker, &beside).await;
        Ok(RegistryResponse::of(done.err().unwrap_or_default()))
    }

    /// Gives out documents; to another community when `home` is this one.
    pub(super) async fn retrieve_document_set(
        &self,
        registry: &Registry<'_>,
        body: &Element,
        home: Option<&str>,
    ) -> Result<(Element, Parts), Fault> {
        let requests = match requests(body) {
            Ok(requests) => requests,
            Err(error) => return Ok((response(&[], vec![error]), Vec::new())),
        };
        let (mut retrieved, mut errors, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for request in &requests {
            let document = match home {
                Some(home) => cross_gateway_retrieve(registry, request, home).await,
                None => retrieve(registry, request).await,
            };
            let document = match document {
                Ok(document) => document,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let chunk = match &document.bytes {
                Carried::Here(bytes) => Ok(Chunk::Bytes(bytes.clone())),
                Carried::Stored(content) => {
                    let (documents, of) = (Arc::clone(&self.documents), *content);
                    let opened = tokio::task::spawn_blocking(move || documents.open(&of)).await;
                    let opened = opened.unwrap_or_else(|failure| Err(std::io::Error::other(failure)));
                    opened.map(|reader| Chunk::Document(reader, content.size))
                }
            };
            match chunk {
                Ok(chunk) => {
                    parts.push((content_id(retrieved.len()), document.media_type.clone(), chunk));
                    retrieved.push((document.request, document.media_type));
                }
                Err(error) => errors.push(unreadable(&error).at(&request.document)),
            }
        }
        if requests.is_empty() {
            errors.push(RegistryError::new(ErrorCode::Repository, "the request asks for no document"));
        }
        Ok((response(&retrieved, errors), parts))
    }
}

/// Says why a document that is registered is not given out.
fn unreadable(error: &std::io::Error) -> RegistryError {
    if is_away(error) {
        let context = "the storage of the documents is away: ask again later";
        return RegistryError::new(ErrorCode::RepositoryBusy, context);
    }
    tracing::error!(%error, "a stored document cannot be read");
    RegistryError::new(ErrorCode::Repository, "the document is registered, and cannot be read")
}

fn unreferenced(part: &Received, used: &HashSet<String>) -> Option<RegistryError> {
    let id = part.content_id.as_deref().unwrap_or("without an id");
    let context = format!("the part {id} is the document of no entry");
    (!used.contains(id)).then(|| RegistryError::new(ErrorCode::MissingDocumentMetadata, context))
}

/// Reads a submission.
fn submission_of(request: &Element, code: ErrorCode) -> Result<Submission, Vec<RegistryError>> {
    let list = request.child(RIM, "RegistryObjectList");
    let list = list.ok_or_else(|| vec![RegistryError::new(code, "the request has no RegistryObjectList")])?;
    let objects = read_objects(list).map_err(|problem| vec![RegistryError::new(code, problem)])?;
    Submission::of(objects)
}

/// Answers a submission of metadata alone, with what became of it.
async fn submitted(
    body: &Element,
    perform: impl AsyncFnOnce(Submission) -> Result<(), Vec<RegistryError>>,
) -> Element {
    let done = match submission_of(body, ErrorCode::RegistryMetadata) {
        Ok(submission) => perform(submission).await,
        Err(errors) => Err(errors),
    };
    RegistryResponse::of(done.err().unwrap_or_default()).to_element()
}

/// Removes documents, each on its own.
async fn remove_documents(registry: &Registry<'_>, body: &Element) -> Element {
    let (mut removed, mut errors) = (0, Vec::new());
    match requests(body) {
        Ok(requests) => {
            for request in &requests {
                match remove_documents::remove(registry, request).await {
                    Ok(()) => removed += 1,
                    Err(error) => errors.push(error),
                }
            }
            if requests.is_empty() {
                errors.push(RegistryError::new(ErrorCode::Repository, "the request names no document"));
            }
        }
        Err(error) => errors.push(error),
    }
    RegistryResponse { status: Status::of(&errors, removed > 0), errors }.to_element()
}

async fn registry_stored_query(registry: &Registry<'_>, body: &Element, patients: Patients) -> Element {
    let query = match StoredQuery::of(body) {
        Ok(query) => query,
        Err(error) => return stored_query::response(&[], false, &[error]),
    };
    match stored_query::perform(registry, &query, patients).await {
        Ok(found) => stored_query::response(&found, query.leaf_class, &[]),
        Err(errors) => stored_query::response(&[], query.leaf_class, &errors),
    }
}
