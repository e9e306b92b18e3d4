//! Where it is asked who is called so, and where sources tell of their patients.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::xml::{Element, Limits};
use serde_json::Value;
use tests::mllp::MllpClient;
use tests::{Client, Server};

use super::samples;
use super::told::{Told, by_fhir, by_hl7v2, by_hl7v3};
use crate::doors::{ByHl7v2, ByHl7v3, ByPixm, Door};
use crate::free_port;
use crate::model::Identifier;

const V3: &str = "urn:hl7-org:v3";

/// A server with its doors.
pub(super) struct Doors {
    server: Server,
    mllp: u16,
    client: RefCell<MllpClient>,
    asked: RefCell<u32>,
}

/// What is asked by demographics, as each wire has it.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// QPD-3.
    pub(super) hl7v2: String,
    /// The parameter list.
    pub(super) hl7v3: String,
    /// The parameters of the search.
    pub(super) fhir: String,
}

impl Doors {
    /// Starts a server on a folder; `domains`: name and OID of those that are set up.
    pub(super) fn open(folder: &Path, domains: &[(&str, &str)]) -> Doors {
        let settings = folder.join("lanterna.toml");
        let domain = |(name, oid): &(&str, &str)| {
            format!("[[identity.domains]]\nname = \"{name}\"\noid = \"{oid}\"\n")
        };
        std::fs::write(&settings, domains.iter().map(domain).collect::<String>()).expect("written");
        let (settings, mllp) = (settings.display().to_string(), free_port());
        let address = format!("127.0.0.1:{mllp}");
        let arguments = ["--config", settings.as_str(), "--mllp", &address];
        let server = Server::start_with(&folder.join("data"), &arguments, &[]);
        let client = RefCell::new(MllpClient::connect(mllp).expect("a connection"));
        Doors { server, mllp, client, asked: RefCell::new(0) }
    }

    /// Returns a client of FHIR.
    pub(super) fn fhir(&self) -> Client {
        self.server.client()
    }

    /// Returns the door of ITI-9.
    pub(super) fn by_hl7v2(&self) -> ByHl7v2 {
        ByHl7v2::new(self.mllp)
    }

    /// Returns the door of ITI-45.
    pub(super) fn by_hl7v3(&self) -> ByHl7v3 {
        ByHl7v3::new(self.server.client(), self.server.origin())
    }

    /// Sends a message of HL7 v2, and returns the answer.
    pub(super) fn hl7v2(&self, message: &str) -> Message {
        self.client.borrow_mut().ask(message)
    }

    /// Sends a message of HL7 v3, and returns the one of the answer.
    pub(super) fn hl7v3(&self, door: &str, message: &Element) -> Element {
        let action = if message.local == "QUQI_IN000003UV01" { "_Continue" } else { "" };
        let envelope = format!(
            "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
             xmlns:a='http://www.w3.org/2005/08/addressing'><s:Header><a:Action>urn:hl7-org:v3:{}{action}\
             </a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body>{}</s:Body></s:Envelope>",
            message.local,
            message.to_xml()
        );
        let path = format!("{}/{door}", self.server.origin());
        let headers = [("content-type", "application/soap+xml")];
        let answer =
            self.server.client().send("POST", &path, &headers, envelope.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let envelope = Element::parse(&answer.body, &Limits::default()).expect("an envelope");
        let body = envelope.elements().find(|part| part.local == "Body").expect("a body");
        body.elements().next().expect("a message").clone()
    }

    /// Tells by a message of HL7 v2; returns the code of the acknowledgement, and that of the error.
    pub(super) fn tell_by_hl7v2(&self, message: &str) -> (bool, String) {
        let answer = self.hl7v2(message);
        let is_taken = answer.value("MSA", 1, 1).as_deref() == Some("AA");
        // Before version 2.5 it stands behind the place.
        let code = answer.value("ERR", 3, 1).or_else(|| answer.value("ERR", 1, 4)).filter(|_| !is_taken);
        let code = code.unwrap_or_default();
        (is_taken, code.split('&').next().unwrap_or_default().to_owned())
    }

    /// Tells by a message of HL7 v3; returns as [`Doors::tell_by_hl7v2`].
    pub(super) fn tell_by_hl7v3(&self, message: &Element) -> (bool, String) {
        let answer = self.hl7v3("pix/v3", message);
        let acknowledgement = answer.child(V3, "acknowledgement").expect("an acknowledgement");
        let code = |of: &Element, local: &str| {
            of.child(V3, local).and_then(|code| code.attribute("code")).unwrap_or_default().to_owned()
        };
        let is_taken = code(acknowledgement, "typeCode") == "CA";
        let detail = acknowledgement.child(V3, "acknowledgementDetail").filter(|_| !is_taken);
        (is_taken, detail.map(|detail| code(detail, "code")).unwrap_or_default())
    }

    /// Asks a question of HL7 v2: ITI-21.
    pub(super) fn persons_by_hl7v2(&self, message: &str) -> Vec<Told> {
        let answer = self.hl7v2(message);
        assert!(matches!(answer.value("QAK", 2, 1).as_deref(), Some("OK" | "NF")), "{}", answer.write());
        sorted(answer.segments("PID").map(by_hl7v2).collect())
    }

    /// Asks a question of HL7 v3: ITI-47, and all pages of its answer.
    pub(super) fn persons_by_hl7v3(&self, message: &Element) -> Vec<Told> {
        let mut told = Vec::new();
        let mut answer = self.hl7v3("pdq/v3", message);
        loop {
            let act = answer.child(V3, "controlActProcess").expect("an act");
            let ack = act.child(V3, "queryAck").expect("an acknowledgement of the query");
            let code = ack.child(V3, "queryResponseCode").and_then(|code| code.attribute("code"));
            assert!(matches!(code, Some("OK" | "NF")), "{}", answer.to_xml());
            told.extend(samples::patients(&answer).iter().map(by_hl7v3));
            let rest = ack.child(V3, "resultRemainingQuantity").and_then(|rest| rest.attribute("value"));
            if rest.is_none_or(|rest| rest == "0") {
                return sorted(told);
            }
            let query = ack.child(V3, "queryId").expect("an id");
            answer = self.hl7v3("pdq/v3", &samples::continuation(message, query));
        }
    }

    /// Searches for Patients: ITI-78.
    pub(super) fn persons_by_fhir(&self, parameters: &str) -> Vec<Told> {
        let found = self.fhir().get(&format!("Patient?{parameters}"));
        assert_eq!(found.status, 200, "{}", found.json());
        let found = found.json();
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        // Who was merged into another is told by FHIR as such.
        let is_replaced = |entry: &&Value| {
            let links = entry["resource"]["link"].as_array();
            links.is_some_and(|links| links.iter().any(|link| link["type"] == "replaced-by"))
        };
        let matches =
            entries.iter().filter(|entry| entry["search"]["mode"] == "match" && !is_replaced(entry));
        sorted(matches.map(|entry| by_fhir(&entry["resource"])).collect())
    }

    /// Asks the same at the three doors, and returns who is told at each.
    pub(super) fn persons(&self, question: &Question) -> [(&'static str, Vec<Told>); 3] {
        let number = *self.asked.borrow();
        *self.asked.borrow_mut() = number + 1;
        let hl7v2 = format!(
            "MSH|^~\\&|CONSUMER|H1|LANTERNA|LIGURIA|20260102030405||QBP^Q22^QBP_Q21|q{number}|P|2.5\r\
             QPD|IHE PDQ Query|q{number}|{}\rRCP|I\r",
            question.hl7v2
        );
        let hl7v3 = samples::query("PRPA_IN201305UV02", &question.hl7v3);
        [
            ("ITI-21", self.persons_by_hl7v2(&hl7v2)),
            ("ITI-47", self.persons_by_hl7v3(&hl7v3)),
            ("ITI-78", self.persons_by_fhir(&question.fhir)),
        ]
    }

    /// Asks the doors of PIX by which identifiers somebody is known, and whether they agree.
    pub(super) fn cross_references(&self, asked: &Identifier) -> Option<BTreeSet<Identifier>> {
        let (by_hl7v2, by_hl7v3) = (self.by_hl7v2(), self.by_hl7v3());
        let doors: [&dyn Door; 3] = [&by_hl7v2, &by_hl7v3, &ByPixm::new(self.fhir())];
        let told = doors.map(|door| (door.name(), door.cross_references(asked)));
        for (name, one) in &told {
            assert_eq!(*one, told[0].1, "{asked:?} at {name}, and at {}", told[0].0);
        }
        told.into_iter().next().and_then(|(_, told)| told)
    }
}

fn sorted(mut persons: Vec<Told>) -> Vec<Told> {
    persons.sort();
    persons
}
