//! The message that answers one.
//!
//! Spec: PMIR 2:3.93.4.2.2, profile IHE.PMIR.MessageHeader.Response

use fhir_model::interaction::Performed;
use fhir_model::schema::{name, ty};
use fhir_model::{json as wire, xml};
use jiff::Timestamp;
use serde_json::json;

use super::message::Message;
use crate::outbox::Failure;

/// The event of the answer.
const EVENT: &str = "urn:ihe:iti:pmir:2019:patient-feed-response";
const DEFINITION: &str =
    "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition.Response";

/// Writes the answer to a message that was done. `base`: that of this server.
pub(super) fn response(message: &Message, base: &str) -> Performed {
    let id = uuid::Uuid::new_v4().to_string();
    let header = json!({
        "resourceType": "MessageHeader",
        "id": id,
        "eventUri": EVENT,
        "source": { "name": "Lanterna", "endpoint": format!("{base}/${}", super::message::OPERATION) },
        "response": { "identifier": message.id, "code": "ok" },
        "definition": DEFINITION,
    });
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": Timestamp::now().to_string(),
        "entry": [{ "fullUrl": format!("urn:uuid:{id}"), "resource": header }],
    });
    Performed::json(bundle.to_string())
}

/// Reads how a message was taken, of an answer that says that it was; what is no message of
/// an answer says nothing else.
///
/// # Errors
/// What the answer says otherwise.
pub(crate) fn taken(answer: &[u8]) -> Result<(), Failure> {
    let is_xml = answer.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
    let read = if is_xml { xml::read(answer).ok() } else { wire::read(answer.to_vec()).ok() };
    let code = read.as_ref().and_then(|bundle| {
        let mut entries = bundle.root().children_named(name::ENTRY);
        let header =
            entries.find_map(|e| e.child(name::RESOURCE).filter(|r| r.ty() == ty::MESSAGE_HEADER))?;
        header.child(name::RESPONSE)?.text_of(name::CODE)
    });
    match code {
        Some("fatal-error") => Err(Failure::Refused("it was refused: fatal-error".to_owned())),
        Some("transient-error") => {
            Err(Failure::Unanswered("it cannot be taken now: transient-error".to_owned()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_how_a_message_was_taken() {
        let answer = |code: &str| {
            let header = json!({ "resourceType": "MessageHeader", "eventUri": EVENT, "source": { "endpoint": "urn:x" },
                "response": { "identifier": "1", "code": code } });
            json!({ "resourceType": "Bundle", "type": "message", "entry": [{ "resource": header }] })
                .to_string()
        };
        let as_xml = |text: &str| xml::to_xml(&wire::read(text.to_owned()).expect("a Bundle"));
        for (code, expected) in [("ok", Ok(())), ("fatal-error", Err(true)), ("transient-error", Err(false))]
        {
            let text = answer(code);
            for bytes in [text.clone().into_bytes(), as_xml(&text)] {
                let told = taken(&bytes).map_err(|failure| matches!(failure, Failure::Refused(_)));
                assert_eq!(told, expected, "{code}");
            }
        }
        assert_eq!((taken(b""), taken(b"accepted")), (Ok(()), Ok(())));
    }
}
