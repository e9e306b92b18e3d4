//! ITI-18 and ITI-43 at the initiating gateway: asked of this community and of
//! the others, each within its time.
//!
//! Spec: ITI TF-1 18.2.2, ITI TF-2 3.38.4.1.3, 3.39.4.1.3

use fhir_model::outcome::Issue;
use fhir_model::primitive::base64;
use futures_util::future::join_all;

use super::incoming::{Incoming, Passing};
use super::outgoing::{Outgoing, Unanswered};
use super::{Chunk, Gateway, Parts};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::mtom::{include, included};
use crate::wire::namespaces::{RIM, XDSB};
use crate::wire::soap::Fault;
use crate::wire::xml::{Element, Node};
use crate::xca::cross_gateway_query::cross_gateway_query;
use crate::xca::initiating_gateway::{
    Answered, Asked, Community, asked, consolidated_query, consolidated_retrieval, unavailable, with_patient,
};
use crate::xds::registry::stored_query::{self, PATIENT_PARAMETERS, StoredQuery};
use crate::xds::registry::{Registry, failure};
use crate::xds::repository::retrieve_document_set::{DocumentRequest, content_id, requests, response};
use crate::xds::values::Cx;

impl Gateway {
    /// Answers a stored query from all communities that it is for.
    pub(super) async fn query_communities(&self, registry: &Registry<'_>, incoming: &Incoming) -> Element {
        let body = &incoming.envelope.body;
        let home = body.child(RIM, "AdhocQuery").and_then(|query| query.attribute("home"));
        let ours = self.home();
        let query = StoredQuery::of(body);
        let all = query.and_then(|query| {
            asked(home, query.names_patient(), &self.settings.communities, &ours).map(|all| (query, all))
        });
        let (query, all) = match all {
            Ok(all) => all,
            Err(error) => return stored_query::response(&[], false, &[error]),
        };
        let one = async |asked: Asked<'_>| match asked {
            Asked::Ours => {
                let answer = cross_gateway_query(registry, body, &ours).await;
                Some(Answered { community: ours.clone(), answer: Ok(answer) })
            }
            Asked::Other(community) => {
                let request = match self.for_community(registry, &query, body, community).await {
                    Ok(request) => request?,
                    Err(issue) => {
                        let error = failure(&issue, ErrorCode::Registry).at(community.urn());
                        return Some(Answered { community: community.urn(), answer: Err(error) });
                    }
                };
                let outgoing = Outgoing {
                    address: &community.query,
                    action: "urn:ihe:iti:2007:CrossGatewayQuery",
                    body: request,
                    is_multipart: false,
                    assertion: incoming.assertion.as_deref(),
                };
                let answer = self.ask_community(registry.fhir.caller, "ITI-38", outgoing).await;
                let answer = answer.map(|incoming| incoming.envelope.body);
                Some(self.answered(community, answer))
            }
        };
        consolidated_query(join_all(all.into_iter().map(one)).await.into_iter().flatten().collect())
    }

    /// Writes a query as a community understands it; `None` when the patient
    /// has no identifier there.
    async fn for_community(
        &self,
        registry: &Registry<'_>,
        query: &StoredQuery,
        body: &Element,
        community: &Community,
    ) -> Result<Option<Element>, Issue> {
        let Some(authority) = community.assigning_authority.as_deref() else { return Ok(Some(body.clone())) };
        let Some(patient) = query.patient().and_then(Cx::parse) else { return Ok(Some(body.clone())) };
        let theirs = match patient.authority == authority {
            true => Some(patient),
            false => registry.identifier_by(&patient, authority).await?,
        };
        Ok(theirs.map(|theirs| with_patient(body.clone(), PATIENT_PARAMETERS, &theirs.to_string())))
    }

    fn answered(&self, community: &Community, answer: Result<Element, Unanswered>) -> Answered {
        let urn = community.urn();
        if let Err(why) = &answer {
            tracing::warn!(community = community.home_community_id, %why, "a community gave no answer");
        }
        Answered { answer: answer.map_err(|why| unavailable(&urn, &why)), community: urn }
    }

    /// Gives out documents of all communities that are asked for.
    pub(super) async fn retrieve_from_communities(
        &self,
        registry: &Registry<'_>,
        incoming: &Incoming,
    ) -> Result<(Element, Parts), Fault> {
        let body = &incoming.envelope.body;
        let requests = match requests(body) {
            Ok(requests) if !requests.is_empty() => requests,
            Ok(_) => {
                let error = RegistryError::new(ErrorCode::Repository, "the request asks for no document");
                return Ok((response(&[], vec![error]), Vec::new()));
            }
            Err(error) => return Ok((response(&[], vec![error]), Vec::new())),
        };
        let ours = self.home();
        let mut of_each: Vec<(Asked<'_>, Vec<DocumentRequest>)> = Vec::new();
        let mut answers = Vec::new();
        for request in requests {
            match asked(request.home.as_deref(), false, &self.settings.communities, &ours) {
                Ok(all) => {
                    for asked in all {
                        match of_each.iter_mut().find(|(known, _)| *known == asked) {
                            Some((_, requests)) => requests.push(request.clone()),
                            None => of_each.push((asked, vec![request.clone()])),
                        }
                    }
                }
                Err(error) => {
                    let community = request.home.clone().unwrap_or_default();
                    answers.push(Answered { community, answer: Err(error) });
                }
            }
        }
        let one = async |(asked, requests): (Asked<'_>, Vec<DocumentRequest>)| {
            let body = request_of(&requests);
            match asked {
                Asked::Ours => {
                    let (answer, parts) = self.retrieve_document_set(registry, &body, Some(&ours)).await?;
                    let parts =
                        parts.into_iter().map(|(id, _, chunk)| Passing { content_id: Some(id), chunk });
                    let answer = Ok(answer);
                    Ok::<_, Fault>((
                        Answered { community: ours.clone(), answer },
                        parts.collect::<Vec<Passing>>(),
                    ))
                }
                Asked::Other(community) => {
                    let outgoing = Outgoing {
                        address: &community.retrieve,
                        action: "urn:ihe:iti:2007:CrossGatewayRetrieve",
                        body,
                        is_multipart: true,
                        assertion: incoming.assertion.as_deref(),
                    };
                    let answer = self.ask_community(registry.fhir.caller, "ITI-39", outgoing).await;
                    let (answer, parts) = match answer {
                        Ok(incoming) => (Ok(incoming.envelope.body), incoming.parts),
                        Err(why) => (Err(why), Vec::new()),
                    };
                    Ok((self.answered(community, answer), parts))
                }
            }
        };
        let mut documents = Vec::new();
        for done in join_all(of_each.into_iter().map(one)).await {
            let (mut answered, passing) = done?;
            let missing = match &mut answered.answer {
                Ok(answer) => number_parts(answer, passing, &mut documents),
                Err(_) => 0,
            };
            if missing > 0 {
                let context = format!("the bytes of {missing} documents did not come with the answer");
                let error = RegistryError::new(ErrorCode::Repository, context).at(&answered.community);
                answers.push(Answered { community: answered.community.clone(), answer: Err(error) });
            }
            answers.push(answered);
        }
        Ok((consolidated_retrieval(answers), documents))
    }
}

/// Writes a request for documents.
fn request_of(requests: &[DocumentRequest]) -> Element {
    let text = |local: &str, text: &str| Element::new(XDSB, local).with_text(text);
    let document = |request: &DocumentRequest| {
        Element::new(XDSB, "DocumentRequest")
            .with_children(request.home.as_deref().map(|home| text("HomeCommunityId", home)))
            .with_child(text("RepositoryUniqueId", &request.repository))
            .with_child(text("DocumentUniqueId", &request.document))
    };
    Element::new(XDSB, "RetrieveDocumentSetRequest").with_children(requests.iter().map(document))
}

/// Gives the documents of an answer the ids that they have in ours; leaves out
/// those whose bytes did not come, and returns how many.
fn number_parts(answer: &mut Element, mut passing: Vec<Passing>, parts: &mut Parts) -> usize {
    let mut missing = 0;
    let mut kept = Vec::with_capacity(answer.children.len());
    for node in std::mem::take(&mut answer.children) {
        let Node::Element(mut document) = node else { continue };
        if !document.is(XDSB, "DocumentResponse") {
            kept.push(Node::Element(document));
            continue;
        }
        let media_type = document.text_of(XDSB, "mimeType").unwrap_or_default();
        let holder = document.children.iter_mut().find_map(|node| match node {
            Node::Element(element) if element.is(XDSB, "Document") => Some(element),
            _ => None,
        });
        let mut chunk = |holder: &Element| match included(holder) {
            Some(id) => {
                let at = passing.iter().position(|part| part.content_id.as_deref() == Some(&*id));
                at.map(|at| passing.swap_remove(at).chunk)
            }
            None => base64::decode(&holder.text()).map(|bytes| Chunk::Bytes(bytes.into())),
        };
        let Some((holder, chunk)) = holder.and_then(|holder| chunk(holder).map(|chunk| (holder, chunk)))
        else {
            missing += 1;
            continue;
        };
        let id = content_id(parts.len());
        holder.children = vec![Node::Element(include(&id))];
        parts.push((id, media_type, chunk));
        kept.push(Node::Element(document));
    }
    answer.children = kept;
    missing
}
