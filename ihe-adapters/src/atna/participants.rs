//! Who takes part in an event: the two sides, the user, who records it; and
//! how it ended.
//!
//! Spec: <https://hl7.org/fhir/R4/auditevent.html>, DICOM PS3.15 A.5.2, IHE BALP 3:5.7.4

use std::net::IpAddr;

use fhir_model::interaction::{Node, User, UserCode};
use serde_json::{Value, json};

use super::node::fingerprint;
use super::{DCM, Recorder};

/// A code: system, code, meaning.
pub(super) type Code = (&'static str, &'static str, &'static str);

/// The parts of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) sender: Code,
    pub(super) receiver: Code,
}

const SOURCE: Code = (DCM, "110153", "Source Role ID");
const DESTINATION: Code = (DCM, "110152", "Destination Role ID");
/// An application.
pub(super) const APPLICATION: Code = (DCM, "110150", "Application");

/// Data go from who is asked to who asks.
pub(super) const GIVES: Roles = Roles { sender: DESTINATION, receiver: SOURCE };
/// Data, or what is asked for, go from who asks to who is asked.
pub(super) const TAKES: Roles = Roles { sender: SOURCE, receiver: DESTINATION };
/// Nothing goes anywhere: who asks has something done to what the other keeps.
pub(super) const KEEPS: Roles = Roles {
    sender: APPLICATION,
    receiver: ("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian"),
};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done, all or some of it.
    Success,
    /// It was refused.
    MinorFailure,
    /// It could not be performed.
    SeriousFailure,
}

impl Outcome {
    pub(super) fn code(self) -> &'static str {
        match self {
            Outcome::Success => "0",
            Outcome::MinorFailure => "4",
            Outcome::SeriousFailure => "8",
        }
    }
}

/// Says in an AuditEvent how it ended, and why.
pub fn ended(audit: &mut Value, outcome: Outcome, why: Option<&str>) {
    audit["outcome"] = json!(outcome.code());
    if let Some(why) = why.filter(|why| !why.trim().is_empty()) {
        audit["outcomeDesc"] = json!(why);
    }
}

/// Says who records.
pub(super) fn source(recorder: &Recorder) -> Value {
    let mut source = json!({
        "observer": { "identifier": { "value": recorder.source_id } },
        "type": [{ "system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "4",
                   "display": "Application Server" }],
    });
    if let Some(site) = &recorder.enterprise_site {
        source["site"] = json!(site);
    }
    source
}

/// Makes a participant.
pub(super) fn agent(role: Code, id: &str, is_requestor: bool) -> Value {
    json!({
        "type": coded(role),
        "who": { "identifier": { "value": id } },
        "requestor": is_requestor,
    })
}

/// Makes the participant who is asked, by its URL.
pub(super) fn server(role: Code, url: &str) -> Value {
    let mut server = agent(role, url, false);
    server["network"] = json!({ "address": host_of(url), "type": "1" });
    server
}

/// Writes a code as a concept.
pub(super) fn coded((system, code, display): Code) -> Value {
    json!({ "coding": [{ "system": system, "code": code, "display": display }] })
}

/// Says from where somebody asks.
pub(super) fn network(address: Option<IpAddr>) -> Value {
    match address {
        Some(address) => json!({ "address": address.to_string(), "type": "2" }),
        None => json!({ "address": "unknown", "type": "5" }),
    }
}

/// Returns the host of a URL.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    }
}

/// Says of a participant as which node it was authenticated.
pub(super) fn authenticated(agent: &mut Value, node: Option<&Node>) {
    let Some(node) = node else { return };
    agent["altId"] = json!(fingerprint(node));
    if !node.subject.is_empty() {
        agent["name"] = json!(node.subject);
    }
}

/// Makes the participant of a user, as an assertion tells of him.
pub(super) fn user(user: &User) -> Value {
    let mut of_user = json!({
        "type": { "coding": [{ "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes",
                               "code": "UserSamlAgent", "display": "User SAML Agent participant" }] },
        "who": { "identifier": { "system": user.issuer, "value": user.id } },
        "requestor": true,
    });
    if let Some(name) = &user.name {
        of_user["name"] = json!(name);
    }
    if !user.assertion.is_empty() {
        of_user["policy"] = json!([user.assertion]);
    }
    for (element, list) in [("role", &user.roles), ("purposeOfUse", &user.purposes)] {
        let codes = codes(list);
        if !codes.is_empty() {
            of_user[element] = Value::Array(codes);
        }
    }
    of_user
}

/// Writes the codes that are said of a user.
pub(super) fn codes(codes: &[UserCode]) -> Vec<Value> {
    let concept = |code: &UserCode| {
        let mut coding = json!({ "code": code.code });
        if let Some(system) = &code.system {
            coding["system"] = json!(system);
        }
        if let Some(display) = &code.display {
            coding["display"] = json!(display);
        }
        json!({ "coding": [coding] })
    };
    codes.iter().map(concept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_told() {
        for (url, host) in
            [("https://a.b:8443/x", "a.b"), ("http://a/x", "a"), ("a", "a"), ("http://[::1]:80/", "[::1]")]
        {
            assert_eq!(host_of(url), host);
        }
    }
}
