//! ITI-55 at the initiating gateway: the question as another community is
//! asked it, and one answer of those of many.
//!
//! Spec: ITI TF-2 3.55.4.1.2.4, 3.55.4.2.3

use crate::wire::hl7v3::acknowledgement::{AcknowledgementType, Detail, acknowledged, acknowledgement};
use crate::wire::hl7v3::message::{Device, Transmission};
use crate::wire::hl7v3::query::{QueryAck, QueryByParameter, copied};
use crate::wire::hl7v3::registration::control_act;
use crate::wire::hl7v3::{all, at};
use crate::wire::xml::Element;

/// What another community answered, or why it did not.
pub struct Discovered {
    /// The community: `urn:oid:...`.
    pub community: String,
    /// Its answer.
    pub answer: Result<Element, String>,
}

/// Writes a question for another community. `ours`: the OID of this community,
/// by which it may ask back; `theirs`: the OID of theirs.
pub fn question(message: &Element, ours: &str, theirs: &str) -> Element {
    let (us, them) = (Device::new(ours, Some(ours)), Device::new(theirs, Some(theirs)));
    let transmission = Transmission {
        processing_code: Transmission::of(message).processing_code,
        ..Transmission::new("PRPA_IN201305UV02", us, them)
    };
    let act = at(message, &["controlActProcess"]).map(copied);
    transmission.to_message("AL").with_children(act)
}

/// Makes one answer of those of all communities: who was found anywhere, and
/// which communities gave no answer.
pub fn merged(message: &Element, answers: &[Discovered]) -> Element {
    let asked = Transmission::of(message);
    let query = QueryByParameter::of(message).ok();
    let (mut subjects, mut reasons, mut details) = (Vec::new(), Vec::new(), Vec::new());
    let mut has_answer = false;
    for Discovered { community, answer } in answers {
        let warning = |text: String| Detail::warning(text, vec![community.clone()]);
        match answer {
            Ok(answer) => {
                let act = at(answer, &["controlActProcess"]);
                subjects.extend(act.into_iter().flat_map(|act| all(act, "subject")).map(copied));
                reasons.extend(act.into_iter().flat_map(|act| all(act, "reasonOf")).map(copied));
                match acknowledged(answer) {
                    Some((how, _)) if how.is_accept() => has_answer = true,
                    Some((_, texts)) => {
                        let text = texts.first().map(String::as_str).unwrap_or("it says no more");
                        details.push(warning(format!("the community {community} could not answer: {text}")));
                    }
                    None => {
                        details.push(warning(format!("the answer of {community} does not say how it is")))
                    }
                }
            }
            Err(why) => details.push(warning(format!("the community {community} gave no answer: {why}"))),
        }
    }
    let is_error = !has_answer && !details.is_empty();
    let (how, response_code) = match (is_error, subjects.is_empty() && reasons.is_empty()) {
        (true, _) => (AcknowledgementType::ApplicationError, "AE"),
        (false, true) => (AcknowledgementType::ApplicationAccept, "NF"),
        (false, false) => (AcknowledgementType::ApplicationAccept, "OK"),
    };
    let query_id = query.as_ref().map(|query| query.query_id.clone()).unwrap_or_default();
    let ack = QueryAck { query_id, response_code, quantities: None };
    let act = control_act("PRPA_TE201306UV02")
        .with_children(subjects)
        .with_children(reasons)
        .with_child(ack.to_element())
        .with_children(query.as_ref().map(QueryByParameter::to_element));
    asked
        .answer("PRPA_IN201306UV02")
        .to_message("NE")
        .with_child(acknowledgement(how, &asked.id, &details))
        .with_child(act)
}
