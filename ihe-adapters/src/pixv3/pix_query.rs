//! ITI-45, PIXV3 Query: by which identifiers somebody is known elsewhere.
//!
//! Spec: ITI TF-2 3.45

use serde_json::{Value, json};

use super::refusal::{detail, is_ours, unknown_domain};
use crate::hl7v3::{Identified, identifier, instance_identifier, patient_element};
use crate::pix::PatientIndex;
use crate::pix::cross_references::CrossReference;
use crate::pix::domains::DomainError;
use crate::pix::records::as_json;
use crate::pix::refusal::Refusal;
use crate::wire::hl7v3::acknowledgement::{AcknowledgementType, Detail, acknowledgement};
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::{Problem, Transmission};
use crate::wire::hl7v3::query::{QueryAck, QueryByParameter};
use crate::wire::hl7v3::registration::{control_act, registration};
use crate::wire::xml::Element;

/// What a query asks.
struct Asked {
    id: InstanceIdentifier,
    location: String,
    /// The domains whose identifiers are wanted, with the place of each.
    wanted: Vec<(InstanceIdentifier, String)>,
}

impl Asked {
    fn of(message: &Element, query: &QueryByParameter<'_>) -> Result<Asked, Problem> {
        let of = |(element, place): (&Element, String)| (InstanceIdentifier::of(element), place);
        let mut ids: Vec<_> = query.values("patientIdentifier").into_iter().map(of).collect();
        let path = ["controlActProcess", "queryByParameter", "parameterList", "patientIdentifier"];
        let problem = |text: &str| Problem::new(&message.local, &path, text);
        if ids.len() > 1 {
            return Err(problem("a query is of one identifier"));
        }
        let (id, location) = ids.pop().ok_or_else(|| problem("the query names no identifier"))?;
        if id.extension.is_none() {
            return Err(Problem { text: "the identifier has no extension".to_owned(), location });
        }
        let wanted = query.values("dataSource").into_iter().map(of).collect();
        Ok(Asked { id, location, wanted })
    }
}

/// What is answered: those found, with the Patient who tells the name.
type Found = Option<(Vec<CrossReference>, Value)>;

/// Performs a query. `ours`: the OID of who answers.
pub async fn pix_query(index: &PatientIndex<'_>, message: &Element, ours: &str) -> Element {
    let transmission = Transmission::of(message);
    let query = QueryByParameter::of(message);
    let asked = match (transmission.problem(message), &query) {
        (Some(problem), _) => Err(problem),
        (None, Err(problem)) => Err(problem.clone()),
        (None, Ok(query)) => Asked::of(message, query),
    };
    let found = match asked {
        Ok(asked) => find(index, &asked).await,
        Err(problem) => Err(vec![problem.into()]),
    };
    answer(index, &transmission, query.as_ref().ok(), found, ours)
}

/// Refuses a query.
pub(crate) fn refused(message: &Element, details: Vec<Detail>) -> Element {
    written(&Transmission::of(message), QueryByParameter::of(message).ok().as_ref(), None, details)
}

async fn find(index: &PatientIndex<'_>, asked: &Asked) -> Result<Found, Vec<Detail>> {
    let refused = |refusal: Refusal| vec![detail(&refusal, vec![asked.location.clone()])];
    let of = identifier(&asked.id, index.domains).map_err(|error| refused(error.into()))?;
    let (mut wanted, mut unknown) = (Vec::new(), Vec::new());
    for (source, place) in &asked.wanted {
        match domain(index, source).await {
            Ok(Some(system)) => wanted.push(system),
            Ok(None) => unknown.push(unknown_domain(place.clone())),
            Err(refusal) => return Err(refused(refusal)),
        }
    }
    // Who is asked for is looked up first: where he is not known, that is said.
    let found = index.cross_references(&of, &wanted).await.map_err(|refusal| {
        if is_ours(&refusal) {
            tracing::error!(why = %refusal, "the index cannot be asked");
        }
        refused(refusal)
    });
    let found = match (found, unknown.is_empty()) {
        (found, true) => found?,
        (Ok(_), false) => return Err(unknown),
        (Err(details), false) => return Err(details.into_iter().chain(unknown).collect()),
    };
    let Some(first) = found.first() else { return Ok(None) };
    let patient = as_json(&first.record).map_err(refused)?;
    Ok(Some((found, patient)))
}

/// Returns the system of a domain that is asked for; `None` when it is not known.
pub(crate) async fn domain(
    index: &PatientIndex<'_>,
    source: &InstanceIdentifier,
) -> Result<Option<String>, Refusal> {
    let named = InstanceIdentifier { extension: Some(String::new()), ..source.clone() };
    let system = match identifier(&named, index.domains) {
        Ok(identifier) => identifier.system,
        Err(DomainError::Missing | DomainError::Unknown | DomainError::Contradictory) => return Ok(None),
    };
    Ok(index.knows(&system).await?.then_some(system))
}

fn answer(
    index: &PatientIndex<'_>,
    asked: &Transmission,
    query: Option<&QueryByParameter<'_>>,
    found: Result<Found, Vec<Detail>>,
    ours: &str,
) -> Element {
    let (found, details) = match found {
        Ok(found) => (found, Vec::new()),
        Err(details) => (None, details),
    };
    let subject = found.map(|(references, patient)| {
        let ids = references.iter().map(|of| instance_identifier(&of.identifier, index.domains)).collect();
        let identified = Identified { ids, ..Identified::default() };
        let named = json!({ "name": patient["name"] });
        // Of several sources nobody in particular takes care of him.
        let patient = patient_element(&named, &identified, None);
        registration(patient, &InstanceIdentifier::of_root(ours), None)
    });
    written(asked, query, subject, details)
}

fn written(
    asked: &Transmission,
    query: Option<&QueryByParameter<'_>>,
    subject: Option<Element>,
    details: Vec<Detail>,
) -> Element {
    let (how, response_code) = match (details.is_empty(), &subject) {
        (false, _) => (AcknowledgementType::ApplicationError, "AE"),
        (true, Some(_)) => (AcknowledgementType::ApplicationAccept, "OK"),
        (true, None) => (AcknowledgementType::ApplicationAccept, "NF"),
    };
    let query_id = query.map(|query| query.query_id.clone()).unwrap_or_default();
    let ack = QueryAck { query_id, response_code, quantities: None };
    let act = control_act("PRPA_TE201310UV02")
        .with_children(subject)
        .with_child(ack.to_element())
        .with_children(query.map(QueryByParameter::to_element));
    asked
        .answer("PRPA_IN201310UV02")
        .to_message("NE")
        .with_child(acknowledgement(how, &asked.id, &details))
        .with_child(act)
}
