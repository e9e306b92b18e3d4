//! The message that answers one.
//!
//! Spec: PMIR 2:3.93.4.2.2, profile IHE.PMIR.MessageHeader.Response

use fhir_model::interaction::Performed;
use jiff::Timestamp;
use serde_json::json;

use super::message::Message;

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
