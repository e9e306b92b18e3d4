//! What FHIR was asked, as AuditEvents: RESTful interactions by the patterns of
//! BALP, transactions of MHD by those of MHD. Those of PIXm and PDQm are
//! interactions that say besides which transaction they are.
//!
//! Each patient has an event of his own, so that who may see what was done with
//! his data does not see whose data came with them; only an answer about many is
//! one event. No content of resources stands in it.
//!
//! Spec: IHE BALP 3:5.7.3, IHE MHD 2:3.65.5.1, 2:3.66.5.1, 2:3.67.5.1, 2:3.68.5.1,
//! IHE PIXm 2:3.83.5.1, 2:3.104.5.1, IHE PDQm 2:3.78.5.1, 2:3.119.5.1

use fhir_model::interaction::Caller;
use fhir_model::primitive::base64;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::participants::{
    Code, GIVES, KEEPS, Outcome, Roles, TAKES, agent, authenticated, ended, network, server, source, user,
};
use super::{DCM, ENTITY_TYPES, IHE_TRANSACTIONS, OBJECT_ROLES, Recorder};
use crate::pix::Identifier;

/// The code systems of what is asked by REST.
const EVENT_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const INTERACTIONS: &str = "http://hl7.org/fhir/restful-interaction";
/// The code system of the object that is the id of a request.
const BALP_OBJECTS: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";

/// Up to so many patients have an event each.
const PATIENTS_APART_MAX: usize = 10;
/// How many objects an event has; more make further events.
const OBJECTS_MAX: usize = 200;
/// How much is told of why something failed, in characters.
const WHY_MAX: usize = 300;
/// How much is told of a query, in bytes.
const QUERY_BYTES_MAX: usize = 1 << 15;

/// What is said of a kind of interaction.
struct Kind {
    code: &'static str,
    event: Code,
    /// The code system and meaning of the code.
    system: &'static str,
    title: &'static str,
    action: &'static str,
    roles: Roles,
    /// The part that what was accessed has: a code, and its meaning.
    role: (&'static str, &'static str),
}

const REST: Code = (EVENT_TYPES, "rest", "Restful Operation");
const RESOURCE: (&str, &str) = ("4", "Domain Resource");
const REPORT: (&str, &str) = ("3", "Report");
const JOB: (&str, &str) = ("20", "Job");

/// The transactions that are interactions as well, and their meanings.
const TRANSACTIONS: &[(&str, &str)] = &[
    ("ITI-78", "Mobile Patient Demographics Query"),
    ("ITI-83", "Mobile Patient Identifier Cross-reference Query"),
    ("ITI-94", "Subscribe to Patient Updates"),
    ("ITI-104", "Patient Identity Feed FHIR"),
    ("ITI-119", "Patient Demographics Match"),
];

const KINDS: &[Kind] = &[
    rest("read", "R", GIVES),
    rest("vread", "R", GIVES),
    rest("history-instance", "R", GIVES),
    rest("history-type", "R", GIVES),
    rest("history-system", "R", GIVES),
    rest("search", "E", TAKES),
    rest("search-type", "E", TAKES),
    rest("search-system", "E", TAKES),
    rest("operation", "E", TAKES),
    rest("transaction", "E", TAKES),
    rest("create", "C", TAKES),
    rest("update", "U", TAKES),
    rest("patch", "U", TAKES),
    rest("delete", "D", KEEPS),
    mhd("ITI-65", "Provide Document Bundle", ("110107", "Import"), "C", (TAKES, JOB)),
    mhd("ITI-66", "Find Document Lists", ("110112", "Query"), "E", (TAKES, REPORT)),
    mhd("ITI-67", "Find Document References", ("110112", "Query"), "E", (TAKES, REPORT)),
    mhd("ITI-68", "Retrieve Document", ("110106", "Export"), "R", (GIVES, REPORT)),
];

const fn rest(code: &'static str, action: &'static str, roles: Roles) -> Kind {
    Kind { code, event: REST, system: INTERACTIONS, title: code, action, roles, role: RESOURCE }
}

const fn mhd(
    code: &'static str,
    title: &'static str,
    event: (&'static str, &'static str),
    action: &'static str,
    (roles, role): (Roles, (&'static str, &'static str)),
) -> Kind {
    let event = (DCM, event.0, event.1);
    Kind { code, event, system: IHE_TRANSACTIONS, title, action, roles, role }
}

/// What was asked of FHIR.
#[derive(Debug, Clone)]
pub struct Access<'a> {
    /// The interaction by its code, or the transaction of MHD: `read`, `ITI-67` ...
    pub kind: &'a str,
    /// The transaction that an interaction is besides: `ITI-104` ...
    pub transaction: Option<&'a str>,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub caller: &'a Caller,
    /// By which identifier a patient was asked for, or told of.
    pub identifier: Option<&'a Identifier>,
    /// Whose data: `Patient/[id]`.
    pub patients: Vec<&'a str>,
    /// What was accessed: `[type]/[id]`.
    pub objects: Vec<&'a str>,
    /// What was asked for, where that is no resource by its id: a URL.
    pub query: Option<&'a str>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why so.
    pub why: Option<&'a str>,
}

/// Tells whether there is a kind of this code.
pub fn is_kind(code: &str) -> bool {
    KINDS.iter().any(|kind| kind.code == code)
}

/// Writes the AuditEvents of what was asked; none for what is of no kind.
pub fn audit_events(access: &Access<'_>, recorder: &Recorder) -> Vec<Value> {
    let Some(kind) = KINDS.iter().find(|kind| kind.code == access.kind) else { return Vec::new() };
    let named = access.identifier.map(|identifier| identified(identifier, access.patients.first()));
    let places = access.patients.iter().skip(usize::from(named.is_some()));
    let of_places = places.map(|patient| json!({ "reference": patient }));
    let patients = named.into_iter().chain(of_places);
    let patients = patients.map(|what| object("1", ("1", "Patient"), json!({ "what": what })));
    let objects =
        access.objects.iter().map(|of| object("2", kind.role, json!({ "what": { "reference": of } })));
    // A transaction is one, whoever it is about.
    let count = access.patients.len().max(usize::from(access.identifier.is_some()));
    let is_apart = (1..=PATIENTS_APART_MAX).contains(&count) && kind.code != "transaction";
    let groups: Vec<Vec<Value>> = if is_apart {
        patients.map(|patient| std::iter::once(patient).chain(objects.clone()).collect()).collect()
    } else {
        let all: Vec<Value> = patients.chain(objects).collect();
        match all.is_empty() {
            true => vec![Vec::new()],
            false => all.chunks(OBJECTS_MAX).map(<[Value]>::to_vec).collect(),
        }
    };
    groups.into_iter().map(|entities| event(kind, access, recorder, entities)).collect()
}

fn event(kind: &Kind, access: &Access<'_>, recorder: &Recorder, mut entities: Vec<Value>) -> Value {
    let Access { caller, .. } = access;
    if let Some(query) = access.query {
        let query = base64::encode(clipped(query).as_bytes());
        entities.push(object("2", ("24", "Query"), json!({ "query": query })));
    }
    // The patterns of MHD have no place for it.
    if kind.system == INTERACTIONS {
        let code = json!({ "system": BALP_OBJECTS, "code": "XrequestId" });
        let id = json!({ "identifier": { "value": caller.request_id } });
        entities.push(json!({ "what": id, "type": code }));
    }
    let address = caller.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let mut client = agent(kind.roles.sender, &address, caller.user.is_none());
    client["network"] = network(caller.address);
    authenticated(&mut client, caller.node.as_deref());
    let mut agents = vec![client, server(kind.roles.receiver, &caller.base)];
    agents.extend(caller.user.as_deref().map(user));
    let (system, code, display) = kind.event;
    let mut subtypes = vec![json!({ "system": kind.system, "code": kind.code, "display": kind.title })];
    let transaction = TRANSACTIONS.iter().find(|(code, _)| access.transaction == Some(code));
    subtypes.extend(
        transaction
            .map(|(code, display)| json!({ "system": IHE_TRANSACTIONS, "code": code, "display": display })),
    );
    let mut audit = json!({
        "resourceType": "AuditEvent",
        "type": { "system": system, "code": code, "display": display },
        "subtype": subtypes,
        "action": kind.action,
        "recorded": access.at.to_string(),
        "agent": agents,
        "source": source(recorder),
    });
    let why = access.why.map(|why| why.chars().take(WHY_MAX).collect::<String>());
    ended(&mut audit, access.outcome, why.as_deref());
    if !entities.is_empty() {
        audit["entity"] = Value::Array(entities);
    }
    audit
}

/// Names a patient by an identifier, and by his place where that is known.
fn identified(identifier: &Identifier, place: Option<&&str>) -> Value {
    let mut what = json!({ "identifier": { "system": identifier.system, "value": identifier.value } });
    if let Some(place) = place {
        what["reference"] = json!(place);
    }
    what
}

/// Makes an object of what it is in the event.
fn object(kind: &str, (code, display): (&str, &str), mut object: Value) -> Value {
    object["type"] = json!({ "system": ENTITY_TYPES, "code": kind });
    object["role"] = json!({ "system": OBJECT_ROLES, "code": code, "display": display });
    object
}

fn clipped(query: &str) -> &str {
    let end = (0..=query.len().min(QUERY_BYTES_MAX)).rev().find(|at| query.is_char_boundary(*at));
    query.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(kind: &str, patients: usize, objects: usize) -> Vec<Value> {
        let caller = Caller::new("r1", "http://a/fhir");
        let patients: Vec<String> = (0..patients).map(|n| format!("Patient/{n}")).collect();
        let objects: Vec<String> = (0..objects).map(|n| format!("Observation/{n}")).collect();
        let access = Access {
            kind,
            transaction: None,
            identifier: None,
            at: Timestamp::UNIX_EPOCH,
            caller: &caller,
            patients: patients.iter().map(String::as_str).collect(),
            objects: objects.iter().map(String::as_str).collect(),
            query: Some("Observation?a=b"),
            outcome: Outcome::Success,
            why: None,
        };
        audit_events(&access, &Recorder::default())
    }

    #[test]
    fn each_patient_has_an_event_and_many_share_one() {
        for (kind, patients, objects, expected) in [
            ("read", 0, 1, 1),
            ("read", 1, 1, 1),
            ("search-type", 3, 0, 3),
            ("search-type", 11, 0, 1),
            ("search-type", 1_000, 0, 5),
            ("transaction", 3, 10, 1),
            ("transaction", 3, 500, 3),
            ("ITI-67", 2, 0, 2),
            ("nothing", 1, 1, 0),
        ] {
            let events = events(kind, patients, objects);
            assert_eq!(events.len(), expected, "{kind} {patients} {objects}");
            let entities = events.iter().flat_map(|event| event["entity"].as_array().into_iter().flatten());
            let of_type = |code: &str| entities.clone().filter(|e| e["role"]["code"] == code).count();
            if expected > 0 {
                assert_eq!(of_type("1"), patients, "{kind}: every patient once");
                assert_eq!(of_type("24"), expected, "{kind}: what was asked for in each");
            }
        }
    }

    #[test]
    fn the_events_of_mhd_have_only_what_its_patterns_allow() {
        let event = events("ITI-67", 1, 0).remove(0);
        assert_eq!(event["entity"].as_array().map(Vec::len), Some(2));
        assert_eq!(event["subtype"].as_array().map(Vec::len), Some(1));
        let event = events("read", 1, 1).remove(0);
        assert_eq!(event["entity"][3]["what"]["identifier"]["value"], "r1");
    }

    #[test]
    fn a_patient_is_named_by_what_he_was_told_of_by() {
        let caller = Caller::new("r1", "http://a/fhir");
        let identifier = Identifier::new("urn:oid:1.2", "x");
        let access = |patients| Access {
            kind: "update",
            transaction: Some("ITI-104"),
            at: Timestamp::UNIX_EPOCH,
            caller: &caller,
            identifier: Some(&identifier),
            patients,
            objects: Vec::new(),
            query: None,
            outcome: Outcome::Success,
            why: None,
        };
        for (patients, references) in [(vec![], vec![None]), (vec!["Patient/1"], vec![Some("Patient/1")])] {
            let events = audit_events(&access(patients), &Recorder::default());
            assert_eq!(events.len(), references.len());
            for (event, reference) in events.iter().zip(references) {
                let what = &event["entity"][0]["what"];
                assert_eq!(
                    (what["identifier"]["value"].as_str(), what["reference"].as_str()),
                    (Some("x"), reference)
                );
                assert_eq!(
                    (&event["subtype"][0]["code"], &event["subtype"][1]["code"]),
                    (&json!("update"), &json!("ITI-104"))
                );
            }
        }
    }

    #[test]
    fn a_long_query_is_cut_between_characters() {
        let long = "è".repeat(QUERY_BYTES_MAX);
        assert_eq!(clipped(&long).len(), QUERY_BYTES_MAX);
        assert_eq!(clipped(&format!("x{long}")).len(), QUERY_BYTES_MAX - 1);
        assert_eq!(clipped(""), "");
    }
}
