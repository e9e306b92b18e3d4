//! ITI-93 as it is sent: a message that a Patient is new, changed, was merged or deleted.
//!
//! What this server alone knows of a Patient (which records are one person, when a source
//! told something) is not told: links between Patients are told where they are merges.
//!
//! Spec: PMIR 2:3.93.4.1.2

use fhir_model::json;
use fhir_model::outcome::Issue;
use fhir_model::xml;
use jiff::Timestamp;
use serde_json::{Value, json as value};
use uuid::Uuid;

use super::message::{EVENT, OPERATION};
use super::subscription::Payload;

/// The message that it is.
const DEFINITION: &str = "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition";
/// Begins the extensions that are ours.
const OWN: &str = "urn:lanterna:";

/// What became of a Patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    Created,
    Changed,
    Deleted,
}

impl Became {
    /// Returns method and status of the interaction.
    fn interaction(self) -> (&'static str, &'static str) {
        match self {
            Became::Created => ("POST", "201"),
            Became::Changed => ("PUT", "200"),
            Became::Deleted => ("DELETE", "204"),
        }
    }
}

/// Returns the address that messages name as theirs. `base`: that of this server.
pub(crate) fn source(base: &str) -> String {
    format!("{base}/${OPERATION}")
}

/// Returns what of a Patient is told.
pub(crate) fn told_of(patient: &Value) -> Value {
    let mut told = patient.clone();
    let Some(elements) = told.as_object_mut() else { return told };
    elements.remove("meta");
    let is_told_link = |link: &Value| {
        let reference = link["other"]["reference"].as_str().unwrap_or_default();
        match link["type"].as_str() {
            Some("replaced-by") => true,
            Some("seealso") => reference.contains("RelatedPerson/"),
            _ => false,
        }
    };
    if let Some(links) = elements.get_mut("link").and_then(Value::as_array_mut) {
        links.retain(is_told_link);
        // Who was merged away has this one link.
        if let Some(replaced_by) = links.iter().find(|link| link["type"] == "replaced-by").cloned() {
            *links = vec![replaced_by];
        }
        links.iter_mut().filter_map(Value::as_object_mut).for_each(without_own);
    }
    without_own(elements);
    if elements.get("link").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        elements.remove("link");
    }
    told
}

/// Takes the extensions out that are ours.
fn without_own(elements: &mut serde_json::Map<String, Value>) {
    let Some(extensions) = elements.get_mut("extension").and_then(Value::as_array_mut) else { return };
    extensions.retain(|extension| !extension["url"].as_str().is_some_and(|url| url.starts_with(OWN)));
    if extensions.is_empty() {
        elements.remove("extension");
    }
}

/// A message.
#[derive(Debug)]
pub(crate) struct Telling<'t> {
    /// The id of the message: the same however often it is sent.
    pub(crate) id: &'t str,
    /// Where it goes to.
    pub(crate) endpoint: &'t str,
    /// What became of the Patient.
    pub(crate) became: Became,
    /// What is told of him; of one who was deleted what is known last.
    pub(crate) patient: &'t Value,
    /// When it was stored.
    pub(crate) at: Timestamp,
}

impl Telling<'_> {
    /// Writes it. `base`: that of this server.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, base: &str, payload: Payload) -> Result<Vec<u8>, Issue> {
        let id = self.patient["id"].as_str().unwrap_or_default();
        let (method, status) = self.became.interaction();
        let url = if self.became == Became::Created { "Patient".to_owned() } else { format!("Patient/{id}") };
        let mut patient = self.patient.clone();
        patient["meta"] = value!({ "lastUpdated": self.at.to_string() });
        let history = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:uuid:{}:history", self.id).as_bytes());
        let entry = value!({
            "fullUrl": format!("{base}/Patient/{id}"),
            "resource": patient,
            "request": { "method": method, "url": url },
            "response": { "status": status, "lastModified": self.at.to_string() },
        });
        let header = value!({
            "resourceType": "MessageHeader",
            "id": self.id,
            "eventUri": EVENT,
            "destination": [{ "endpoint": self.endpoint }],
            "source": { "name": "Lanterna", "endpoint": source(base) },
            "focus": [{ "reference": format!("urn:uuid:{history}") }],
            "definition": DEFINITION,
        });
        let bundle = value!({
            "resourceType": "Bundle",
            "type": "message",
            "timestamp": self.at.to_string(),
            "entry": [
                { "fullUrl": format!("urn:uuid:{}", self.id), "resource": header },
                {
                    "fullUrl": format!("urn:uuid:{history}"),
                    "resource": {
                        "resourceType": "Bundle", "id": history.to_string(), "type": "history", "entry": [entry],
                    },
                },
            ],
        });
        match payload {
            Payload::Json => Ok(bundle.to_string().into_bytes()),
            Payload::Xml => Ok(xml::to_xml(&json::read(bundle.to_string()).map_err(Issue::from)?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pmir::message::{Message, Method};

    #[test]
    fn what_is_told_is_what_others_need() {
        let patient = value!({
            "resourceType": "Patient", "id": "7", "meta": { "versionId": "3", "source": "urn:x" },
            "extension": [{ "url": "urn:lanterna:pix:event-time", "valueInstant": "2026-01-02T03:04:05Z" }],
            "name": [{ "family": "Rossi" }],
            "link": [
                { "type": "seealso", "other": { "reference": "Patient/8" } },
                { "type": "replaces", "other": { "reference": "Patient/9" } },
                { "type": "seealso", "other": { "reference": "RelatedPerson/1" } },
                { "type": "replaced-by", "other": { "reference": "Patient/6" },
                  "extension": [{ "url": "urn:lanterna:identity:link", "valueCode": "merge" }] },
            ],
        });
        let told = told_of(&patient);
        let links = value!([{ "type": "replaced-by", "other": { "reference": "Patient/6" } }]);
        let expected =
            value!({ "resourceType": "Patient", "id": "7", "name": [{ "family": "Rossi" }], "link": links });
        assert_eq!(told, expected);
        let mut in_use = patient.clone();
        in_use["link"].as_array_mut().expect("links").pop();
        let links = value!([{ "type": "seealso", "other": { "reference": "RelatedPerson/1" } }]);
        assert_eq!(told_of(&in_use)["link"], links);
        in_use["link"].as_array_mut().expect("links").pop();
        assert!(told_of(&in_use)["link"].is_null());
    }

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let patient = value!({ "resourceType": "Patient", "id": "7", "name": [{ "family": "Rossi" }] });
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        for (became, method, url) in [
            (Became::Created, Method::Put, "Patient"),
            (Became::Changed, Method::Put, "Patient/7"),
            (Became::Deleted, Method::Delete, "Patient/7"),
        ] {
            let telling = Telling { id: "42", endpoint: "https://c.example", became, patient: &patient, at };
            let as_json = telling.write("https://a.example/fhir", Payload::Json).expect("written");
            let as_xml = telling.write("https://a.example/fhir", Payload::Xml).expect("written");
            let bundle = json::read(as_json).expect("a Bundle");
            let same = xml::read(as_xml).expect("a Bundle");
            // XML has an order of elements, JSON has none.
            let [bundle_told, same_told] = [&bundle, &same]
                .map(|bundle| serde_json::from_slice::<Value>(&json::to_json(bundle)).expect("JSON"));
            assert_eq!(bundle_told, same_told);
            let message = Message::of(&bundle).expect("a message");
            assert_eq!(
                (message.id.as_str(), message.source.as_str()),
                ("42", "https://a.example/fhir/$process-message")
            );
            let [change] = message.changes.as_slice() else { panic!("one change") };
            assert_eq!(
                (change.method, change.url.as_str(), change.id(), change.at),
                (method, url, Some("7"), Some(at))
            );
        }
    }
}
