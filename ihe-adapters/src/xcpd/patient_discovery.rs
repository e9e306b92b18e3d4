//! ITI-55, Cross Gateway Patient Discovery, at the responding gateway.
//!
//! Somebody is told of when he is found, alone or with few others; where more
//! match, it is told what else should be said of him.
//!
//! Spec: ITI TF-2 3.55

use fhir_model::outcome::IssueType;

use crate::hl7v3::{Identified, identifier, instance_identifier, patient_element, with_degree};
use crate::pdqv3::question::{Asked, as_json, find};
use crate::pix::demographics::Match;
use crate::pix::refusal::Refusal;
use crate::pix::{Identifier, PatientIndex};
use crate::pixv3::refusal::is_ours;
use crate::wire::hl7v3::acknowledgement::{
    ACKNOWLEDGEMENT_DETAILS, AcknowledgementType, Detail, accept_acknowledgement, acknowledgement,
};
use crate::wire::hl7v3::at;
use crate::wire::hl7v3::coded::Coded;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::{Problem, Transmission, location};
use crate::wire::hl7v3::query::{QueryAck, QueryByParameter};
use crate::wire::hl7v3::registration::{Issue, control_act, reason, registration};
use crate::wire::xml::Element;
use crate::xca::initiating_gateway::Community;

/// What else may be said of somebody: the parameter, and the code that asks for it.
const MORE: &[(&str, &str)] = &[
    ("livingSubjectAdministrativeGender", "LivingSubjectAdministrativeGenderRequested"),
    ("patientAddress", "PatientAddressRequested"),
    ("patientTelecom", "PatientTelecomRequested"),
    ("livingSubjectBirthPlaceName", "LivingSubjectBirthPlaceNameRequested"),
    ("livingSubjectBirthPlaceAddress", "LivingSubjectBirthPlaceAddressRequested"),
    ("mothersMaidenName", "MothersMaidenNameRequested"),
];
/// The system of these codes.
const MORE_CODES: &str = "1.3.6.1.4.1.19376.1.2.27.1";
/// The system of codes that say whether a community tells where data are.
const LOCATOR_CODES: &str = "1.3.6.1.4.1.19376.1.2.27.2";
/// The system of codes that say what is wrong.
const PROBLEM_CODES: &str = "1.3.6.1.4.1.19376.1.2.27.3";

/// The greatest number of persons of whom is told: more are not one who is asked for.
const MATCHES_MAX: usize = 5;

/// What a community is that answers.
pub struct RespondingGateway<'g> {
    /// Its index.
    pub index: PatientIndex<'g>,
    /// The OID of the community.
    pub home: &'g str,
    /// The OID of who assigns the identifiers by which documents are found.
    pub affinity_domain: Option<&'g str>,
    /// The other communities that are known.
    pub communities: &'g [Community],
}

/// Why there is no answer.
enum Unanswered {
    /// The message is wrong.
    Wrong(Box<Problem>),
    /// More has to be said: codes.
    More(Vec<&'static str>),
    /// A code that says what is wrong here, and the same in words.
    Failed(&'static str, String),
}

impl From<Refusal> for Unanswered {
    fn from(refusal: Refusal) -> Unanswered {
        let is_busy = matches!(&refusal, Refusal::Fhir(issue) if matches!(
            issue.code,
            IssueType::Throttled | IssueType::Timeout | IssueType::Transient | IssueType::LockError
        ));
        if is_ours(&refusal) {
            tracing::error!(why = %refusal, "the index cannot be asked");
        }
        let code = match &refusal {
            _ if is_busy => "ResponderBusy",
            Refusal::Fhir(issue) if issue.code != IssueType::TooCostly => "InternalError",
            _ => "AnswerNotAvailable",
        };
        Unanswered::Failed(code, refusal.to_string())
    }
}

impl RespondingGateway<'_> {
    /// Performs a question, and returns its answer.
    pub async fn discover(&self, message: &Element) -> Element {
        let transmission = Transmission::of(message);
        let query = match (transmission.problem(message), QueryByParameter::of(message)) {
            (None, Ok(query)) => query,
            (Some(problem), _) | (None, Err(problem)) => {
                return written(&transmission, None, Err(Unanswered::Wrong(Box::new(problem))));
            }
        };
        let found = self.found(message, &query).await;
        written(&transmission, Some(&query), found)
    }

    async fn found(
        &self,
        message: &Element,
        query: &QueryByParameter<'_>,
    ) -> Result<Vec<Element>, Unanswered> {
        let identifiers = self.identifiers(message, query);
        let wrong = |problem| Unanswered::Wrong(Box::new(problem));
        let asked = Asked::of(query, identifiers.clone()).map_err(wrong)?;
        self.is_enough(query, &identifiers).map_err(wrong)?;
        let matches = match find(&self.index, &asked, &[]).await {
            Err(Refusal::Fhir(issue)) if issue.code == IssueType::TooCostly => None,
            found => Some(found?),
        };
        match matches {
            Some(matches) if matches.len() <= MATCHES_MAX => {
                Ok(matches.iter().filter_map(|of| self.subject(of)).collect())
            }
            _ => {
                let unsaid = MORE.iter().filter(|(parameter, _)| query.values(parameter).is_empty());
                let codes: Vec<&'static str> = unsaid.map(|(_, code)| *code).collect();
                match codes.is_empty() {
                    false => Err(Unanswered::More(codes)),
                    true => {
                        let text = "too many persons match all that is said";
                        Err(Unanswered::Failed("AnswerNotAvailable", text.to_owned()))
                    }
                }
            }
        }
    }

    /// Returns the identifiers by which somebody is looked for: not the one
    /// that the community which asks knows him by, and not those of domains of which
    /// nothing is known here.
    fn identifiers(&self, message: &Element, query: &QueryByParameter<'_>) -> Vec<Identifier> {
        let author = at(message, &["controlActProcess", "authorOrPerformer", "assignedDevice", "id"]);
        let theirs = author.map(InstanceIdentifier::of).and_then(|id| id.root);
        let ids = query.values("livingSubjectId").into_iter().map(|(id, _)| InstanceIdentifier::of(id));
        let others = ids.filter(|id| id.extension.is_some() && (theirs.is_none() || id.root != theirs));
        let domains = self.index.domains;
        let known = others.filter_map(|id| identifier(&id, domains).ok());
        // Where every domain is admitted, only those that identify persons are surely shared.
        let shared = known.filter(|id| domains.known().iter().any(|domain| domain.system() == id.system));
        shared.collect()
    }

    /// Checks that the question says what it has to: name and time of birth,
    /// where there is no identifier.
    fn is_enough(&self, query: &QueryByParameter<'_>, identifiers: &[Identifier]) -> Result<(), Problem> {
        if !identifiers.is_empty() {
            return Ok(());
        }
        for required in ["livingSubjectName", "livingSubjectBirthTime"] {
            if query.values(required).is_empty() {
                let text = format!("without an identifier that is shared a question needs `{required}`");
                return Err(Problem { text, location: query.location(required, "value") });
            }
        }
        Ok(())
    }

    /// Writes somebody who was found; `None` when he has no identifier.
    fn subject(&self, of: &Match) -> Option<Element> {
        let domains = self.index.domains;
        let identifiers = of.person.identifiers();
        let affinity = self.affinity_domain.and_then(|oid| domains.by_system(&format!("urn:oid:{oid}")));
        let affinity = affinity.map(|domain| domain.system());
        let first = identifiers.iter().find(|id| affinity.as_ref() == Some(&id.system));
        let first = first.or_else(|| identifiers.first())?;
        let others = identifiers.iter().filter(|id| *id != first);
        let others = others.map(|id| instance_identifier(id, domains)).collect();
        let first = instance_identifier(first, domains);
        let provider = first.root.clone().unwrap_or_else(|| self.home.to_owned());
        let identified = Identified { ids: vec![first], others, missing: Vec::new() };
        let patient = patient_element(&as_json(&of.record), &identified, Some(&provider));
        let locates = !self.locations(&identifiers).is_empty();
        let locates = if locates { "SupportsHealthDataLocator" } else { "NotHealthDataLocator" };
        let custodian = InstanceIdentifier::of_root(self.home);
        Some(registration(with_degree(patient, 100), &custodian, Some(&Coded::new(locates, LOCATOR_CODES))))
    }

    /// Returns the communities that are known to know somebody, with the
    /// identifier by which each does.
    pub(super) fn locations(&self, identifiers: &[Identifier]) -> Vec<(&Community, InstanceIdentifier)> {
        let domains = self.index.domains;
        let known = self.communities.iter().filter_map(|community| {
            let authority = community.assigning_authority.as_deref()?;
            let mut ids = identifiers.iter().map(|id| instance_identifier(id, domains));
            Some((community, ids.find(|id| id.root.as_deref() == Some(authority))?))
        });
        known.collect()
    }
}

/// Refuses a question.
pub(crate) fn refused(message: &Element, details: Vec<Detail>) -> Element {
    let query = QueryByParameter::of(message).ok();
    let act = act(query.as_ref(), Vec::new(), None, "AE");
    let transmission = Transmission::of(message);
    answer(&transmission, AcknowledgementType::ApplicationError, &details, act)
}

/// Refuses a question whose answer is to come later, and why.
pub fn not_deferred(message: &Element, why: &str) -> Element {
    let code = Coded {
        display_name: Some("Unsupported processing mode".to_owned()),
        ..Coded::new("NS250", ACKNOWLEDGEMENT_DETAILS)
    };
    let path = ["controlActProcess", "queryByParameter", "responsePriorityCode"];
    let detail = Detail::error(code, why, vec![location(&message.local, &path)]);
    accept_acknowledgement(&Transmission::of(message), AcknowledgementType::ApplicationError, &[detail])
}

/// Tells whether the answer to a question is to come later.
pub fn is_deferred(message: &Element) -> bool {
    let priority = at(message, &["controlActProcess", "queryByParameter", "responsePriorityCode"]);
    priority.is_some_and(|code| code.attribute("code") == Some("D"))
}

fn act(
    query: Option<&QueryByParameter<'_>>,
    subjects: Vec<Element>,
    issue: Option<Issue<'_>>,
    response_code: &'static str,
) -> Element {
    let query_id = query.map(|query| query.query_id.clone()).unwrap_or_default();
    let ack = QueryAck { query_id, response_code, quantities: None };
    control_act("PRPA_TE201306UV02")
        .with_children(subjects)
        .with_children(issue.map(reason))
        .with_child(ack.to_element())
        .with_children(query.map(QueryByParameter::to_element))
}

fn answer(asked: &Transmission, how: AcknowledgementType, details: &[Detail], act: Element) -> Element {
    asked
        .answer("PRPA_IN201306UV02")
        .to_message("NE")
        .with_child(acknowledgement(how, &asked.id, details))
        .with_child(act)
}

fn written(
    asked: &Transmission,
    query: Option<&QueryByParameter<'_>>,
    found: Result<Vec<Element>, Unanswered>,
) -> Element {
    use AcknowledgementType::{ApplicationAccept, ApplicationError};
    match found {
        Ok(subjects) => {
            let code = if subjects.is_empty() { "NF" } else { "OK" };
            answer(asked, ApplicationAccept, &[], act(query, subjects, None, code))
        }
        Err(Unanswered::More(codes)) => {
            let issue = Issue::Required(&codes, MORE_CODES);
            answer(asked, ApplicationAccept, &[], act(query, Vec::new(), Some(issue), "OK"))
        }
        Err(Unanswered::Failed(code, text)) => {
            let issue = Issue::Managed(code, PROBLEM_CODES);
            let why = Detail { type_code: "E", code: None, text, locations: Vec::new() };
            answer(asked, ApplicationError, &[why], act(query, Vec::new(), Some(issue), "AE"))
        }
        Err(Unanswered::Wrong(problem)) => {
            answer(asked, ApplicationError, &[(*problem).into()], act(query, Vec::new(), None, "AE"))
        }
    }
}
