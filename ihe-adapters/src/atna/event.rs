//! Transactions as AuditEvents.
//!
//! Spec: the sections "Security Considerations" of the transactions in ITI TF-2;
//! ITI TF-2 3.40.4.2 for users; <https://hl7.org/fhir/R4/auditevent.html>

use std::net::IpAddr;

use fhir_model::interaction::{Caller, Node, User};
use fhir_model::primitive::base64;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::participants::{
    APPLICATION, GIVES, Outcome, TAKES, agent, authenticated, codes, network, server, source, user,
};
use super::{DCM, ENTITY_TYPES, IHE_TRANSACTIONS, OBJECT_ROLES, RFC_3881, Recorder, XDS_METADATA};
use crate::italy::ana::ANA;
use crate::wire::ebrim::RegistryObject;
use crate::wire::namespaces::{HL7_V3, LCM, QUERY, RIM, WSNT, XCPD, XDSB, XDSI};
use crate::wire::xml::Element;
use crate::xds::check::patient_id;
use crate::xds::registry::stored_query::PATIENT_PARAMETERS;
use crate::xds::values::Cx;
use crate::xds::vocabulary::{SUBMISSION_SET_NODE, document_entry, submission_set};

/// What is said of a kind of transaction.
struct Kind {
    transaction: &'static str,
    title: &'static str,
    /// The event: a code of DICOM, and its meaning.
    event: (&'static str, &'static str),
    action: &'static str,
    /// Whether the data go from this server to who asks.
    gives: bool,
}

const QUERIED: (&str, &str) = ("110112", "Query");
const IMPORTED: (&str, &str) = ("110107", "Import");
const EXPORTED: (&str, &str) = ("110106", "Export");
const TRANSFERRED: (&str, &str) = ("110104", "DICOM Instances Transferred");
const ORDER_RECORD: (&str, &str) = ("110109", "Order Record");
const PATIENT_RECORD: (&str, &str) = ("110110", "Patient Record");

const KINDS: &[Kind] = &[
    kind("ITI-18", "Registry Stored Query", QUERIED, "E", false),
    kind("ITI-38", "Cross Gateway Query", QUERIED, "E", false),
    kind("ITI-51", "Multi-Patient Stored Query", QUERIED, "E", false),
    kind("ITI-41", "Provide and Register Document Set-b", IMPORTED, "C", false),
    kind("ITI-42", "Register Document Set-b", IMPORTED, "C", false),
    kind("ITI-65", "Provide Document Bundle", IMPORTED, "C", false),
    kind("ITI-105", "Simplified Publish", IMPORTED, "C", false),
    kind("ITI-106", "Generate Metadata", IMPORTED, "C", false),
    kind("ITI-61", "Register On-Demand Document Entry", IMPORTED, "C", false),
    kind("ITI-57", "Update Document Set", IMPORTED, "U", false),
    kind("ITI-92", "Restricted Update Document Set", IMPORTED, "U", false),
    kind("ITI-62", "Remove Metadata", PATIENT_RECORD, "D", false),
    kind("ITI-86", "Remove Documents", PATIENT_RECORD, "D", false),
    kind("ITI-93", "Mobile Patient Identity Feed", PATIENT_RECORD, "E", false),
    kind("ITI-43", "Retrieve Document Set", EXPORTED, "R", true),
    kind("ITI-39", "Cross Gateway Retrieve", EXPORTED, "R", true),
    kind("ITI-52", "Document Metadata Subscribe", QUERIED, "C", false),
    kind("ITI-53", "Document Metadata Notify", EXPORTED, "R", false),
    kind("ITI-54", "Document Metadata Publish", IMPORTED, "C", false),
    kind("ITI-44", "Patient Identity Feed", PATIENT_RECORD, "C", false),
    kind("ITI-45", "PIX Query", QUERIED, "E", false),
    kind("ITI-46", "PIX Update Notification", PATIENT_RECORD, "U", false),
    kind("ITI-47", "Patient Demographics Query", QUERIED, "E", false),
    kind("ITI-55", "Cross Gateway Patient Discovery", QUERIED, "E", false),
    kind("ITI-56", "Patient Location Query", QUERIED, "E", false),
    kind("ITI-9", "PIX Query", QUERIED, "E", false),
    kind("ITI-21", "Patient Demographics Query", QUERIED, "E", false),
    kind("ITI-22", "Patient Demographics and Visit Query", QUERIED, "E", false),
    kind("ITI-8", "Patient Identity Feed", PATIENT_RECORD, "U", false),
    kind("ITI-30", "Patient Identity Management", PATIENT_RECORD, "U", false),
    kind("ITI-31", "Patient Encounter Management", PATIENT_RECORD, "U", false),
    kind("LAB-1", "Placer Order Management", ORDER_RECORD, "U", false),
    kind("LAB-3", "Order Results Management", PATIENT_RECORD, "U", false),
    kind("RAD-2", "Placer Order Management", ORDER_RECORD, "U", false),
    kind("RAD-4", "Procedure Scheduled", ORDER_RECORD, "U", false),
    kind("RAD-48", "Appointment Notification", PATIENT_RECORD, "U", false),
    kind("MDM", "HL7 v2 Medical Document Management", IMPORTED, "C", false),
    kind("VXU", "HL7 v2 Vaccination Record Update", PATIENT_RECORD, "U", false),
    kind("RDE", "HL7 v2 Pharmacy Order", ORDER_RECORD, "U", false),
    kind("RAS", "HL7 v2 Pharmacy Administration", PATIENT_RECORD, "U", false),
    kind("ITI-10", "PIX Update Notification", PATIENT_RECORD, "R", false),
    kind("RAD-69", "Retrieve Imaging Document Set", EXPORTED, "R", true),
    kind("RAD-107", "WADO-RS Retrieve", TRANSFERRED, "R", true),
    kind("RAD-108", "Store Instances Over the Web", TRANSFERRED, "C", false),
    kind("ANA-verificaAssistito", "Verify a person with ANA", QUERIED, "E", false),
    kind("ANA-sceltaMedico", "Choice of a practitioner to ANA", EXPORTED, "R", false),
    kind("ANA-variazioni", "Variations of ANA", QUERIED, "E", false),
    kind("RAD-129", "QIDO-RS Query", QUERIED, "E", false),
];

const fn kind(
    transaction: &'static str,
    title: &'static str,
    event: (&'static str, &'static str),
    action: &'static str,
    gives: bool,
) -> Kind {
    Kind { transaction, title, event, action, gives }
}

/// Tells whether a transaction changes what is registered.
pub(crate) fn changes(transaction: &str) -> bool {
    let kind = KINDS.iter().find(|kind| kind.transaction == transaction);
    kind.is_some_and(|kind| ["C", "U", "D"].contains(&kind.action))
}

/// Which part this server has in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is asked.
    Asked,
    /// It asks somebody else.
    Asks,
}

/// What happened.
#[derive(Debug, Clone)]
pub struct Happened<'h> {
    /// Which part this server has in it.
    pub part: Part,
    /// The transaction: `ITI-18` ...
    pub transaction: &'h str,
    /// When.
    pub at: Timestamp,
    /// Who sent the message: its `wsa:ReplyTo` or `wsa:From`, if it says so.
    pub sender: Option<&'h str>,
    /// From where.
    pub sender_address: Option<IpAddr>,
    /// As which node it was authenticated.
    pub sender_node: Option<&'h Node>,
    /// Where it came to: a URL.
    pub receiver: &'h str,
    /// The user behind it.
    pub user: Option<&'h User>,
}

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objects {
    /// Patients, as `id^^^&oid&ISO`; empty for one who is known by his place alone.
    pub patients: Vec<String>,
    /// Unique ids of submission sets.
    pub submission_sets: Vec<String>,
    /// Documents: unique id, repository, community.
    pub documents: Vec<(String, Option<String>, Option<String>)>,
    /// UIDs of studies.
    pub studies: Vec<String>,
    /// UUIDs of registered objects.
    pub registered: Vec<String>,
    /// A stored query: its id, the community it is for, and the request.
    pub query: Option<(String, Option<String>, String)>,
    /// A FHIR message: the id of its header, and its event.
    pub message: Option<(String, &'static str)>,
}

/// How many objects of a kind are told: messages may name thousands.
const OBJECTS_MAX: usize = 200;

impl Objects {
    /// Tells what a message is about.
    pub fn of(body: &Element) -> Objects {
        if [HL7_V3, XCPD].contains(&&*body.namespace) {
            return super::hl7v3::objects(body);
        }
        let mut objects = Objects::default();
        let submission = match body.child(LCM, "SubmitObjectsRequest") {
            Some(inside) => inside,
            None => body,
        };
        let list = submission.child(RIM, "RegistryObjectList").or_else(|| published(body));
        if let Some(list) = list {
            objects.submitted(list);
        }
        let filter = body.child(WSNT, "Filter").unwrap_or(body);
        if (body.is(QUERY, "AdhocQueryRequest") || body.is(WSNT, "Subscribe"))
            && let Some(query) = filter.child(RIM, "AdhocQuery")
        {
            objects.patients.extend(patients_of(query).take(OBJECTS_MAX));
            let id = query.attribute("id").unwrap_or_default().to_owned();
            objects.query = Some((id, query.attribute("home").map(str::to_owned), body.to_xml()));
        }
        let documents = body.children_named(XDSB, "DocumentRequest").map(|document| {
            let text = |local: &str| document.text_of(XDSB, local).filter(|text| !text.is_empty());
            let unique_id = text("DocumentUniqueId").unwrap_or_default();
            (unique_id, text("RepositoryUniqueId"), text("HomeCommunityId"))
        });
        objects.documents.extend(documents.take(OBJECTS_MAX));
        let studies = body.children_named(XDSI, "StudyRequest");
        let uids = studies.filter_map(|study| study.attribute("studyInstanceUID").map(str::to_owned));
        objects.studies.extend(uids.take(OBJECTS_MAX));
        let refs = body.child(RIM, "ObjectRefList").into_iter().flat_map(Element::elements);
        let ids = refs.filter_map(|of| of.attribute("id").map(str::to_owned));
        objects.registered.extend(ids.take(OBJECTS_MAX));
        objects
    }

    /// Tells whether the query is one that the registry has stored.
    fn is_stored_query(&self) -> bool {
        self.query.as_ref().is_some_and(|(id, _, _)| id.starts_with("urn:uuid:"))
    }

    /// Tells what a notification of an object is about.
    pub fn told(object: &RegistryObject) -> Objects {
        let mut objects = Objects::default();
        objects.patients.extend(patient_id(object).map(str::to_owned));
        objects.submission_sets.extend(object.identifier(submission_set::UNIQUE_ID).map(str::to_owned));
        if let Some(unique_id) = object.identifier(document_entry::UNIQUE_ID) {
            let repository = object.slot_value("repositoryUniqueId").map(str::to_owned);
            objects.documents.push((unique_id.to_owned(), repository, object.home.clone()));
        }
        objects
    }

    fn submitted(&mut self, list: &Element) {
        for object in list.elements() {
            let ids = object.children_named(RIM, "ExternalIdentifier").filter_map(|id| {
                Some((id.attribute("identificationScheme")?, id.attribute("value")?.to_owned()))
            });
            for (scheme, value) in ids {
                match scheme {
                    submission_set::UNIQUE_ID => self.submission_sets.push(value),
                    submission_set::PATIENT_ID | document_entry::PATIENT_ID
                        if !self.patients.contains(&value) && self.patients.len() < OBJECTS_MAX =>
                    {
                        self.patients.push(value);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Returns the list of what a message publishes.
fn published(body: &Element) -> Option<&Element> {
    let message = body.child(WSNT, "NotificationMessage")?.child(WSNT, "Message")?;
    message.child(LCM, "SubmitObjectsRequest")?.child(RIM, "RegistryObjectList")
}

fn patients_of(query: &Element) -> impl Iterator<Item = String> {
    let of_patient =
        |slot: &&Element| slot.attribute("name").is_some_and(|name| PATIENT_PARAMETERS.contains(&name));
    let slots = query.children_named(RIM, "Slot").filter(of_patient);
    let values = slots.flat_map(|slot| slot.children_named(RIM, "ValueList")).flat_map(Element::elements);
    values.flat_map(|value| {
        let text = value.text();
        let parts =
            text.trim_matches(['(', ')']).split(',').map(|part| part.trim().trim_matches('\'').to_owned());
        parts.filter(|part| !part.is_empty()).collect::<Vec<String>>()
    })
}

/// Writes an AuditEvent of what succeeds; [`ended`](super::participants::ended) says where it does not.
/// `places`: the patients that are known here, as
/// `Patient/[id]`, in the order of the objects.
pub fn audit_event(
    happened: &Happened<'_>,
    objects: &Objects,
    places: &[Option<String>],
    recorder: &Recorder,
) -> Value {
    let kind = KINDS.iter().find(|kind| kind.transaction == happened.transaction);
    let (event, action, gives) = match (kind, happened.part) {
        // What another gives out comes in here.
        (Some(kind), Part::Asks) if kind.gives => (IMPORTED, "C", true),
        (Some(kind), _) => (kind.event, kind.action, kind.gives),
        (None, _) => (IMPORTED, "E", false),
    };
    let title = kind.map_or(happened.transaction, |kind| kind.title);
    let mut audit = json!({
        "resourceType": "AuditEvent",
        "type": { "system": DCM, "code": event.0, "display": event.1 },
        "subtype": [{ "system": system_of(happened.transaction), "code": happened.transaction, "display": title }],
        "action": action,
        "recorded": happened.at.to_string(),
        "outcome": Outcome::Success.code(),
        "agent": agents(happened, gives),
        "source": source(recorder),
    });
    let purposes = happened.user.map(|user| codes(&user.purposes)).unwrap_or_default();
    if !purposes.is_empty() {
        audit["purposeOfEvent"] = Value::Array(purposes);
    }
    let entities = entities(happened.transaction, title, objects, places);
    if !entities.is_empty() {
        audit["entity"] = Value::Array(entities);
    }
    prune(&mut audit);
    audit
}

/// Returns whose code the name of a transaction is.
fn system_of(transaction: &str) -> &'static str {
    if transaction.starts_with("ANA-") { ANA } else { IHE_TRANSACTIONS }
}

/// Takes out what is empty: messages leave much out, and FHIR has no empty
/// values. Tells whether anything is left.
pub(super) fn prune(value: &mut Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => {
            items.retain_mut(prune);
            !items.is_empty()
        }
        Value::Object(members) => {
            members.retain(|_, value| prune(value));
            !members.is_empty()
        }
        _ => true,
    }
}

/// Writes the AuditEvent of a user who was not believed.
///
/// Spec: DICOM PS3.15 A.5.3.11
pub fn not_authenticated(
    at: Timestamp,
    caller: &Caller,
    receiver: &str,
    why: &str,
    recorder: &Recorder,
) -> Value {
    let mut client = agent(APPLICATION, "unknown", true);
    client["network"] = network(caller.address);
    authenticated(&mut client, caller.node.as_deref());
    let server = server(TAKES.receiver, receiver);
    json!({
        "resourceType": "AuditEvent",
        "type": { "system": DCM, "code": "110114", "display": "User Authentication" },
        "subtype": [{ "system": DCM, "code": "110122", "display": "Login" }],
        "action": "E",
        "recorded": at.to_string(),
        "outcome": Outcome::MinorFailure.code(),
        "outcomeDesc": why,
        "agent": [client, server],
        "source": source(recorder),
    })
}

/// Writes the AuditEvent of this application's start or end.
///
/// Spec: DICOM PS3.15 A.5.3.1
pub fn application_activity(at: Timestamp, is_start: bool, recorder: &Recorder) -> Value {
    let (code, display) =
        if is_start { ("110120", "Application Start") } else { ("110121", "Application Stop") };
    json!({
        "resourceType": "AuditEvent",
        "type": { "system": DCM, "code": "110100", "display": "Application Activity" },
        "subtype": [{ "system": DCM, "code": code, "display": display }],
        "action": "E",
        "recorded": at.to_string(),
        "outcome": Outcome::Success.code(),
        "agent": [agent(APPLICATION, &recorder.source_id, false)],
        "source": source(recorder),
    })
}

fn agents(happened: &Happened<'_>, gives: bool) -> Value {
    let roles = if gives { GIVES } else { TAKES };
    let sender_id = happened.sender.unwrap_or("unknown");
    let process = json!(std::process::id().to_string());
    let mut receiver = server(roles.receiver, happened.receiver);
    let mut sender = match happened.part {
        Part::Asked => {
            receiver["altId"] = process;
            let mut sender = agent(roles.sender, sender_id, false);
            sender["network"] = network(happened.sender_address);
            authenticated(&mut sender, happened.sender_node);
            sender
        }
        Part::Asks => {
            let mut sender = server(roles.sender, sender_id);
            sender["altId"] = process;
            sender
        }
    };
    sender["requestor"] = json!(happened.user.is_none());
    let mut agents = vec![sender, receiver];
    agents.extend(happened.user.map(user));
    Value::Array(agents)
}

/// Makes an object. `id_type`: what its identifier is: system, code, meaning.
fn entity(kind: &str, role: (&str, &str), id: Value, id_type: (&str, &str, &str)) -> Value {
    let mut identifier = id;
    let (system, code, display) = id_type;
    identifier["type"] = json!({ "coding": [{ "system": system, "code": code, "display": display }] });
    json!({
        "what": { "identifier": identifier },
        "type": { "system": ENTITY_TYPES, "code": kind },
        "role": { "system": OBJECT_ROLES, "code": role.0, "display": role.1 },
    })
}

/// The type of objects that are persons.
const PERSON: &str = "1";

fn patient_entity(patient: &str) -> Value {
    let id = match Cx::parse(patient) {
        Some(cx) => json!({ "system": cx.system(), "value": cx.id }),
        None => json!({ "value": patient }),
    };
    entity(PERSON, ("1", "Patient"), id, (RFC_3881, "2", "Patient Number"))
}

/// Adds the patients of whom an answer tells to what is recorded of it.
pub(crate) fn add_patients(audit: &mut Value, patients: &[String]) {
    if patients.is_empty() {
        return;
    }
    let more = patients.iter().take(OBJECTS_MAX).map(|patient| patient_entity(patient));
    match audit["entity"].as_array_mut() {
        Some(entities) => entities.extend(more),
        None => audit["entity"] = more.collect(),
    }
}

fn detail(kind: &str, text: &str) -> Value {
    json!({ "type": kind, "valueString": text })
}

fn entities(transaction: &str, title: &str, objects: &Objects, places: &[Option<String>]) -> Vec<Value> {
    const THING: &str = "2";
    let mut all = Vec::new();
    for (at, patient) in objects.patients.iter().enumerate() {
        let mut of_patient = patient_entity(patient);
        if patient.is_empty() {
            of_patient["what"] = json!({});
        }
        if let Some(place) = places.get(at).and_then(Option::as_ref) {
            of_patient["what"]["reference"] = json!(place);
        }
        all.push(of_patient);
    }
    if let Some((id, home, request)) = &objects.query {
        let is_stored = objects.is_stored_query();
        let id_type = (IHE_TRANSACTIONS, transaction, if is_stored { "Stored Query" } else { title });
        let mut of_query = entity(THING, ("24", "Query"), json!({ "value": id }), id_type);
        of_query["query"] = json!(base64::encode(request.as_bytes()));
        let mut details = vec![detail("QueryEncoding", "UTF-8")];
        let of_home = if is_stored { "urn:ihe:iti:xca:2010:homeCommunityId" } else { "ihe:homeCommunityID" };
        details.extend(home.as_deref().map(|home| detail(of_home, home)));
        of_query["detail"] = Value::Array(details);
        all.push(of_query);
    }
    if let Some((id, event)) = &objects.message {
        // The header itself is not stored.
        let what = json!({ "type": "MessageHeader", "identifier": { "value": id } });
        let kind = json!({ "system": "http://hl7.org/fhir/resource-types", "code": "MessageHeader" });
        all.push(json!({ "what": what, "type": kind, "name": event }));
    }
    for unique_id in &objects.submission_sets {
        let id_type = (XDS_METADATA, SUBMISSION_SET_NODE, "submission set classificationNode");
        all.push(entity(THING, ("20", "Job"), json!({ "value": unique_id }), id_type));
    }
    for (unique_id, repository, home) in &objects.documents {
        let id_type = (RFC_3881, "9", "Report Number");
        let mut document = entity(THING, ("3", "Report"), json!({ "value": unique_id }), id_type);
        let details: Vec<Value> = [("Repository Unique Id", repository), ("ihe:homeCommunityID", home)]
            .iter()
            .filter_map(|(kind, text)| Some(detail(kind, text.as_ref()?)))
            .collect();
        if !details.is_empty() {
            document["detail"] = Value::Array(details);
        }
        all.push(document);
    }
    for study in &objects.studies {
        let id_type = (DCM, "110180", "Study Instance UID");
        all.push(entity(THING, ("3", "Report"), json!({ "value": study }), id_type));
    }
    for uuid in &objects.registered {
        let id_type =
            ("urn:ihe:iti:2017:ObjectRef", "registry object reference", "registry object reference");
        all.push(entity(THING, ("3", "Report"), json!({ "value": uuid }), id_type));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::messages::message_transactions;
    use crate::gateway::transaction_names;

    #[test]
    fn every_transaction_is_audited_as_what_it_is() {
        for name in transaction_names().chain(message_transactions()) {
            assert!(KINDS.iter().any(|kind| kind.transaction == name), "{name}");
        }
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let mut value = json!({ "a": "", "b": [{ "c": " " }, { "d": "x", "e": {} }], "f": true });
        assert!(prune(&mut value));
        assert_eq!(value, json!({ "b": [{ "d": "x" }], "f": true }));
        assert!(!prune(&mut json!({ "a": [""] })));
    }
}
