//! The doors of HL7 v3: who is who (PIXV3), who is called so (PDQV3), and who
//! is known elsewhere (XCPD).
//!
//! Spec: ITI TF-2 3.44 to 3.47, 3.55, 3.56

use fhir_model::interaction::Caller;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::audit::Received;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::transactions::Transaction;
use super::{Answer, Door, Gateway, response};
use crate::atna::Recording;
use crate::atna::hl7v3::of_patient;
use crate::fhir_client::Fhir;
use crate::pdqv3::demographics_query::{self, Supplier};
use crate::pix::PatientIndex;
use crate::pixv3::identity_feed::{DUPLICATES_RESOLVED, merged, patient_identity_feed};
use crate::pixv3::pix_query::{self, pix_query};
use crate::wire::hl7v3::acknowledgement::{
    ACCEPT_ACKNOWLEDGEMENT, AcknowledgementType, Detail, accept_acknowledgement, acknowledged,
};
use crate::wire::hl7v3::message::{Problem, Transmission};
use crate::wire::namespaces::{HL7_V3, XCPD};
use crate::wire::schema::Invalid;
use crate::wire::soap::{Addressing, Fault, ReplyTo};
use crate::wire::xml::Element;
use crate::xca::initiating_gateway::Community;
use crate::xcpd::initiating_gateway::{Discovered, merged as merged_answers, question};
use crate::xcpd::patient_discovery::{self, RespondingGateway, is_deferred, not_deferred};

const ACKNOWLEDGED: &str = "urn:hl7-org:v3:MCCI_IN000002UV01";
const DISCOVERY: &str = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery";
const DEFERRED_DISCOVERY: &str = "urn:hl7-org:v3:PRPA_IN201305UV02:Deferred:CrossGatewayPatientDiscovery";
const DEFERRED_ANSWER: &str = "urn:hl7-org:v3:PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery";

pub(super) const TRANSACTIONS: &[Transaction] = &[
    Transaction {
        door: Door::CrossReferences,
        name: "ITI-44",
        action: "urn:hl7-org:v3:PRPA_IN201301UV02",
        answer: ACKNOWLEDGED,
        body: (HL7_V3, "PRPA_IN201301UV02"),
    },
    Transaction {
        door: Door::CrossReferences,
        name: "ITI-44",
        action: "urn:hl7-org:v3:PRPA_IN201302UV02",
        answer: ACKNOWLEDGED,
        body: (HL7_V3, "PRPA_IN201302UV02"),
    },
    Transaction {
        door: Door::CrossReferences,
        name: "ITI-44",
        action: "urn:hl7-org:v3:PRPA_IN201304UV02",
        answer: ACKNOWLEDGED,
        body: (HL7_V3, DUPLICATES_RESOLVED),
    },
    Transaction {
        door: Door::CrossReferences,
        name: "ITI-45",
        action: "urn:hl7-org:v3:PRPA_IN201309UV02",
        answer: "urn:hl7-org:v3:PRPA_IN201310UV02",
        body: (HL7_V3, "PRPA_IN201309UV02"),
    },
    Transaction {
        door: Door::Demographics,
        name: "ITI-47",
        action: "urn:hl7-org:v3:PRPA_IN201305UV02",
        answer: "urn:hl7-org:v3:PRPA_IN201306UV02",
        body: (HL7_V3, "PRPA_IN201305UV02"),
    },
    Transaction {
        door: Door::Demographics,
        name: "ITI-47",
        action: "urn:hl7-org:v3:QUQI_IN000003UV01_Continue",
        answer: "urn:hl7-org:v3:PRPA_IN201306UV02",
        body: (HL7_V3, demographics_query::CONTINUATION),
    },
    Transaction {
        door: Door::Demographics,
        name: "ITI-47",
        action: "urn:hl7-org:v3:QUQI_IN000003UV01_Cancel",
        answer: ACKNOWLEDGED,
        body: (HL7_V3, demographics_query::CONTINUATION),
    },
    Transaction {
        door: Door::PatientDiscovery,
        name: "ITI-55",
        action: DISCOVERY,
        answer: "urn:hl7-org:v3:PRPA_IN201306UV02:CrossGatewayPatientDiscovery",
        body: (HL7_V3, "PRPA_IN201305UV02"),
    },
    Transaction {
        door: Door::PatientDiscovery,
        name: "ITI-55",
        action: DEFERRED_DISCOVERY,
        answer: ACKNOWLEDGED,
        body: (HL7_V3, "PRPA_IN201305UV02"),
    },
    Transaction {
        door: Door::PatientDiscovery,
        name: "ITI-47",
        action: "urn:hl7-org:v3:PRPA_IN201305UV02",
        answer: "urn:hl7-org:v3:PRPA_IN201306UV02",
        body: (HL7_V3, "PRPA_IN201305UV02"),
    },
    Transaction {
        door: Door::PatientDiscovery,
        name: "ITI-56",
        action: "urn:ihe:iti:2009:PatientLocationQuery",
        answer: "urn:ihe:iti:2009:PatientLocationQueryResponse",
        body: (XCPD, "PatientLocationQueryRequest"),
    },
];

/// Tells whether a transaction is one of these.
pub(super) fn is_of(transaction: &Transaction) -> bool {
    [HL7_V3, XCPD].contains(&transaction.body.0)
}

/// Refuses a message that its schema does not allow, as its transaction answers.
pub(super) fn refusal(transaction: &Transaction, message: &Element, invalid: &[Invalid]) -> Answer {
    let detail = |invalid: &Invalid| {
        let text = format!("not valid by the schema: {}", invalid.what);
        Detail::from(Problem { text, location: invalid.place.clone() })
    };
    let details: Vec<Detail> = invalid.iter().map(detail).collect();
    let body = match transaction.name {
        "ITI-44" => {
            let asked = Transmission::of(message);
            accept_acknowledgement(&asked, AcknowledgementType::CommitError, &details)
        }
        "ITI-45" => pix_query::refused(message, details),
        "ITI-55" => patient_discovery::refused(message, details),
        _ => demographics_query::refused(message, details),
    };
    answer(transaction, body)
}

/// Makes an answer; one that only acknowledges has the action of that, whatever was asked.
fn answer(transaction: &Transaction, body: Element) -> Answer {
    let action = if body.is(HL7_V3, ACCEPT_ACKNOWLEDGEMENT) { ACKNOWLEDGED } else { transaction.answer };
    Answer { action, body, parts: Vec::new(), is_multipart: false, transaction: transaction.name }
}

impl Gateway {
    /// Performs a message of these doors.
    ///
    /// # Errors
    /// A fault, where its answer has no place for what is wrong.
    pub(super) async fn perform_for_patients(
        &self,
        transaction: &Transaction,
        caller: &Caller,
        incoming: &Incoming,
        recording: Option<&Recording<'_>>,
    ) -> Result<Answer, Fault> {
        let body = &incoming.envelope.body;
        let fhir = Fhir { api: &*self.api, caller };
        let index = PatientIndex { fhir, domains: &self.settings.domains, recording };
        let ours = self.settings.home_community_id.as_str();
        let answered = match (transaction.door, transaction.name) {
            (_, "ITI-44") => {
                let done = patient_identity_feed(&index, body).await;
                self.record_merged(caller, incoming, &done).await;
                done
            }
            (_, "ITI-45") => pix_query(&index, body, ours).await,
            (Door::Demographics, _) => {
                let user = caller.user.as_ref().map(|user| user.id.as_str());
                Supplier { index, continuations: &self.continuations, ours, user }.perform(body).await
            }
            (_, "ITI-47") => self.discover_everywhere(index, incoming).await,
            (_, "ITI-56") => self.responding_gateway(index).locate(body).await?,
            _ if transaction.action == DEFERRED_DISCOVERY || is_deferred(body) => {
                self.discover_later(index, incoming).await
            }
            _ => self.responding_gateway(index).discover(body).await,
        };
        Ok(answer(transaction, answered))
    }

    fn responding_gateway<'g>(&'g self, index: PatientIndex<'g>) -> RespondingGateway<'g> {
        RespondingGateway {
            index,
            home: &self.settings.home_community_id,
            affinity_domain: self.settings.affinity_domain.as_deref(),
            communities: &self.settings.communities,
        }
    }

    /// Records of a merge, beside that one patient was changed, that the other went.
    async fn record_merged(&self, caller: &Caller, incoming: &Incoming, done: &Element) {
        let body = &incoming.envelope.body;
        let is_done = acknowledged(done).is_some_and(|(how, _)| how.is_accept());
        let (Some(recorder), true, DUPLICATES_RESOLVED) =
            (&self.settings.recorder, is_done, body.local.as_str())
        else {
            return;
        };
        let Ok((gone, _)) = merged(body) else { return };
        let (door, transaction, at) = (Door::CrossReferences, "ITI-44", Timestamp::now());
        let known_patients = &Default::default();
        let received = Received { door, incoming, transaction, at, known_patients };
        let mut event = self.event_of(caller, &received, &of_patient(&gone), recorder).await;
        event["action"] = "D".into();
        // What was merged is answered all the same, and the failure was logged.
        let _ = self.store(caller, &event).await;
    }

    /// Answers a question at the address that it names, and here that it will be.
    async fn discover_later(&self, index: PatientIndex<'_>, incoming: &Incoming) -> Element {
        let body = &incoming.envelope.body;
        let asked = Transmission::of(body);
        let Some(address) = asked.respond_to.clone() else {
            return not_deferred(
                body,
                "the message does not say where an answer that comes later is sent to: respondTo",
            );
        };
        if !self.settings.callbacks.allow(&address) {
            let why = "answers that come later are sent to addresses that the operator of this server allows";
            return not_deferred(body, why);
        }
        let found = self.responding_gateway(index).discover(body).await;
        let message_id = incoming.envelope.addressing().message_id;
        let addressing =
            Addressing { message_id, reply_to: ReplyTo::Address(address), ..Addressing::default() };
        let later = Answer {
            action: DEFERRED_ANSWER,
            body: found,
            parts: Vec::new(),
            is_multipart: false,
            transaction: "ITI-55",
        };
        let _taken = self.deliver(response(later, incoming.envelope.version, &addressing), &addressing);
        accept_acknowledgement(&asked, AcknowledgementType::CommitAccept, &[])
    }

    /// Asks this community and all others that take such questions, each within its time.
    async fn discover_everywhere(&self, index: PatientIndex<'_>, incoming: &Incoming) -> Element {
        let body = &incoming.envelope.body;
        let ours = async {
            let answer = Ok(self.responding_gateway(index).discover(body).await);
            Discovered { community: self.home(), answer }
        };
        let others = self.settings.communities.iter().filter_map(|community| {
            let address = community.xcpd.as_deref()?;
            Some(self.discover_at(index.fhir.caller, incoming, community, address))
        });
        let (ours, others) = futures_util::future::join(ours, join_all(others)).await;
        merged_answers(body, &std::iter::once(ours).chain(others).collect::<Vec<Discovered>>())
    }

    async fn discover_at(
        &self,
        caller: &Caller,
        incoming: &Incoming,
        community: &Community,
        address: &str,
    ) -> Discovered {
        let ours = &self.settings.home_community_id;
        let outgoing = Outgoing {
            address,
            action: DISCOVERY,
            body: question(&incoming.envelope.body, ours, &community.home_community_id),
            is_multipart: false,
            assertion: incoming.assertion.as_deref(),
        };
        let answer = self.ask_community(caller, "ITI-55", outgoing).await;
        if let Err(why) = &answer {
            tracing::warn!(community = community.home_community_id, %why, "a community gave no answer");
        }
        let answer = answer.map(|incoming| incoming.envelope.body).map_err(|why| why.to_string());
        Discovered { community: community.urn(), answer }
    }
}
