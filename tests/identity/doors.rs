//! Where it is asked by which identifiers somebody is known.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tests::Client;
use tests::mllp::MllpClient;

use super::model::Identifier;

/// A door, whatever its wire.
pub(super) trait Door {
    /// How it is called.
    fn name(&self) -> &'static str;

    /// Returns the other identifiers of whoever has one, those of the systems that are wanted;
    /// of all where there are none.
    fn told(&self, asked: &Identifier, wanted: &[String]) -> Result<BTreeSet<Identifier>, Unknown>;

    /// Returns the other identifiers of whoever has one; `None` when nobody has it.
    fn cross_references(&self, asked: &Identifier) -> Option<BTreeSet<Identifier>> {
        match self.told(asked, &[]) {
            Ok(told) => Some(told),
            Err(Unknown::Patient) => None,
            Err(what) => panic!("{asked:?}: {what:?} at {}", self.name()),
        }
    }
}

/// What is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Nobody has the identifier.
    Patient,
    /// Nobody assigns such identifiers.
    Authority,
    /// Nobody assigns those that are wanted.
    Wanted,
}

/// A search of FHIR, which follows links as they are stored.
pub(super) struct ByFhir {
    client: Client,
}

impl ByFhir {
    /// Asks by a client.
    pub(super) fn new(client: Client) -> ByFhir {
        ByFhir { client }
    }
}

fn links(patient: &Value) -> impl Iterator<Item = (&str, &str)> {
    patient["link"].as_array().into_iter().flatten().filter_map(|link| {
        Some((link["type"].as_str()?, link["other"]["reference"].as_str()?.strip_prefix("Patient/")?))
    })
}

fn is_subsumed(patient: &Value) -> bool {
    links(patient).any(|(tie, _)| tie == "replaced-by")
}

fn identifiers(patient: &Value) -> impl Iterator<Item = Identifier> + '_ {
    patient["identifier"].as_array().into_iter().flatten().filter_map(|identifier| {
        Some((identifier["system"].as_str()?.to_owned(), identifier["value"].as_str()?.to_owned()))
    })
}

impl Door for ByFhir {
    fn name(&self) -> &'static str {
        "FHIR search"
    }

    fn told(&self, asked: &Identifier, wanted: &[String]) -> Result<BTreeSet<Identifier>, Unknown> {
        let (system, value) = asked;
        let path = format!(
            "Patient?identifier={system}|{value}&_include:iterate=Patient:link&_revinclude:iterate=Patient:link"
        );
        let found = self.client.get(&path).json();
        let all: BTreeMap<&str, &Value> = found["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| Some((entry["resource"]["id"].as_str()?, &entry["resource"])))
            .collect();
        let has_it = |patient: &Value| !is_subsumed(patient) && identifiers(patient).any(|one| one == *asked);
        let mut pending: Vec<&str> = all.iter().filter(|(_, p)| has_it(p)).map(|(id, _)| *id).collect();
        if pending.is_empty() {
            return Err(Unknown::Patient);
        }
        // What is found is of several persons where several have the identifier, or had it.
        let mut seen: BTreeSet<&str> = pending.iter().copied().collect();
        while let Some(id) = pending.pop() {
            for (other, patient) in &all {
                let is_tied = links(patient).any(|(_, to)| to == id)
                    || all.get(id).is_some_and(|one| links(one).any(|(_, to)| to == *other));
                if is_tied && seen.insert(other) {
                    pending.push(other);
                }
            }
        }
        let counting = seen.iter().filter_map(|id| all.get(id)).filter(|patient| !is_subsumed(patient));
        let mut found: BTreeSet<Identifier> = counting.flat_map(|patient| identifiers(patient)).collect();
        found.remove(asked);
        found.retain(|(system, _)| wanted.is_empty() || wanted.contains(system));
        Ok(found)
    }
}

/// ITI-9: PIX Query by HL7 v2.
pub(super) struct ByHl7v2 {
    client: RefCell<MllpClient>,
    asked: Cell<u32>,
}

impl ByHl7v2 {
    /// Asks at a port of this machine.
    pub(super) fn new(port: u16) -> ByHl7v2 {
        let client = MllpClient::connect(port).expect("a connection");
        ByHl7v2 { client: RefCell::new(client), asked: Cell::new(0) }
    }
}

fn oid(system: &str) -> &str {
    system.strip_prefix("urn:oid:").expect("an OID")
}

impl Door for ByHl7v2 {
    fn name(&self) -> &'static str {
        "ITI-9"
    }

    fn told(&self, (system, value): &Identifier, wanted: &[String]) -> Result<BTreeSet<Identifier>, Unknown> {
        let wanted = wanted.iter().map(|system| format!("^^^&{}&ISO", oid(system)));
        self.asked_by(&format!(
            "{value}^^^&{}&ISO|{}",
            oid(system),
            wanted.collect::<Vec<String>>().join("~")
        ))
    }
}

impl ByHl7v2 {
    /// Asks with QPD-3 and QPD-4 as they are written.
    pub(super) fn asked_by(&self, written: &str) -> Result<BTreeSet<Identifier>, Unknown> {
        let number = self.asked.get();
        self.asked.set(number + 1);
        let query = format!(
            "MSH|^~\\&|CONSUMER|H1|LANTERNA|LIGURIA|20260102030405||QBP^Q23^QBP_Q21|{number}|P|2.5\r\
             QPD|IHE PIX Query|{number}|{written}\rRCP|I\r"
        );
        let answer = self.client.borrow_mut().ask(&query);
        let written = answer.write();
        match answer.value("QAK", 2, 1).as_deref() {
            Some("OK" | "NF") => {}
            Some("AE") => {
                assert_eq!(answer.value("ERR", 3, 1).as_deref(), Some("204"), "{written}");
                let place = |component: usize| answer.value("ERR", 2, component).unwrap_or_default();
                return Err(match (place(3).as_str(), place(5).as_str()) {
                    ("3", "1") => Unknown::Patient,
                    ("3", _) => Unknown::Authority,
                    _ => Unknown::Wanted,
                });
            }
            _ => panic!("{written}"),
        }
        let told = written.split('\r').filter(|segment| segment.starts_with("PID|"));
        let told = told.filter_map(|segment| segment.split('|').nth(3)).flat_map(|field| field.split('~'));
        let identifiers = told.filter(|text| !text.is_empty()).map(|text| {
            let mut parts = text.split('^');
            let id = parts.next().expect("an identifier");
            let authority = parts.nth(2).and_then(|authority| authority.split('&').nth(1));
            (format!("urn:oid:{}", authority.expect("an OID")), id.to_owned())
        });
        Ok(identifiers.collect())
    }
}

/// ITI-45: PIX Query by HL7 v3.
pub(super) struct ByHl7v3 {
    client: Client,
    origin: String,
}

impl ByHl7v3 {
    /// Asks by a client, at the server of an origin.
    pub(super) fn new(client: Client, origin: String) -> ByHl7v3 {
        ByHl7v3 { client, origin }
    }
}

impl Door for ByHl7v3 {
    fn name(&self) -> &'static str {
        "ITI-45"
    }

    fn told(&self, (system, value): &Identifier, wanted: &[String]) -> Result<BTreeSet<Identifier>, Unknown> {
        let wanted = wanted.iter().map(|system| {
            let value = format!("<value root='{}'/>", oid(system));
            format!("<dataSource>{value}<semanticsText>DataSource.id</semanticsText></dataSource>")
        });
        let wanted: String = wanted.collect();
        let device = |role: &str, code: &str, oid: &str| {
            format!(
                "<{role} typeCode='{code}'><device classCode='DEV' determinerCode='INSTANCE'><id root='{oid}'/>\
                 </device></{role}>"
            )
        };
        let (receiver, sender) = (device("receiver", "RCV", "1.2.8"), device("sender", "SND", "1.2.7"));
        let message = format!(
            "<PRPA_IN201309UV02 \
             xmlns='urn:hl7-org:v3' ITSVersion='XML_1.0'><id root='1.2.9' extension='m1'/>\
             <creationTime value='20260102030405'/><interactionId root='2.16.840.1.113883.1.6' \
             extension='PRPA_IN201309UV02'/><processingCode code='P'/><processingModeCode code='T'/>\
             <acceptAckCode code='AL'/>{receiver}{sender}<controlActProcess classCode='CACT' moodCode='EVN'>\
             <code code='PRPA_TE201309UV02' codeSystem='2.16.840.1.113883.1.6'/><queryByParameter>\
             <queryId root='1.2.6' extension='q1'/><statusCode code='new'/><responsePriorityCode code='I'/>\
             <parameterList>{wanted}<patientIdentifier><value root='{}' extension='{value}'/><semanticsText>\
             Patient.id</semanticsText></patientIdentifier></parameterList></queryByParameter></controlActProcess>\
             </PRPA_IN201309UV02>",
            oid(system)
        );
        self.asked_by(&message)
    }
}

impl ByHl7v3 {
    /// Asks with a message as it is written.
    pub(super) fn asked_by(&self, message: &str) -> Result<BTreeSet<Identifier>, Unknown> {
        let message = format!(
            "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
             xmlns:a='http://www.w3.org/2005/08/addressing'><s:Header><a:Action>urn:hl7-org:v3:PRPA_IN201309UV02\
             </a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body>{message}</s:Body></s:Envelope>"
        );
        let headers = [("content-type", "application/soap+xml")];
        let path = format!("{}/pix/v3", self.origin);
        let answer = self.client.send("POST", &path, &headers, message.as_bytes()).expect("an answer");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{text}");
        if text.contains("<hl7:queryResponseCode code=\"AE\"/>") {
            assert!(text.contains("<hl7:code code=\"204\""), "{text}");
            return Err(if text.contains("no patient is known by this identifier") {
                Unknown::Patient
            } else if text.contains("<hl7:location>") && text.contains("hl7:dataSource[") {
                Unknown::Wanted
            } else {
                Unknown::Authority
            });
        }
        let of_id = |id: &str, name: &str| {
            let value = id.split(&format!("{name}=\"")).nth(1)?;
            Some(value.split('"').next()?.to_owned())
        };
        let patients = text.split("<hl7:patient ").skip(1);
        let ids = patients.flat_map(|patient| {
            let patient = patient.split("<hl7:custodian").next().unwrap_or_default();
            let person = patient.split("<hl7:providerOrganization").next().unwrap_or_default();
            person.split("<hl7:id ").skip(1).filter_map(|id| {
                let id = id.split('>').next()?;
                Some((format!("urn:oid:{}", of_id(id, "root")?), of_id(id, "extension")?))
            })
        });
        Ok(ids.collect())
    }
}

/// ITI-83: `$ihe-pix`.
pub(super) struct ByPixm {
    client: Client,
}

impl ByPixm {
    /// Asks by a client.
    pub(super) fn new(client: Client) -> ByPixm {
        ByPixm { client }
    }
}

impl Door for ByPixm {
    fn name(&self) -> &'static str {
        "ITI-83"
    }

    fn told(&self, (system, value): &Identifier, wanted: &[String]) -> Result<BTreeSet<Identifier>, Unknown> {
        let wanted: String = wanted.iter().map(|system| format!("&targetSystem={system}")).collect();
        let answer =
            self.client.get(&format!("Patient/$ihe-pix?sourceIdentifier={system}%7C{value}{wanted}"));
        match answer.status {
            404 => return Err(Unknown::Patient),
            400 => return Err(Unknown::Authority),
            403 => return Err(Unknown::Wanted),
            _ => {}
        }
        let told = answer.json();
        assert_eq!(answer.status, 200, "{told}");
        let parameters = told["parameter"].as_array().cloned().unwrap_or_default();
        let identifiers = parameters.iter().filter(|parameter| parameter["name"] == "targetIdentifier");
        let of = |identifier: &Value, name: &str| identifier[name].as_str().expect("said").to_owned();
        let identifiers = identifiers.map(|parameter| {
            let identifier = &parameter["valueIdentifier"];
            (of(identifier, "system"), of(identifier, "value"))
        });
        Ok(identifiers.collect())
    }
}
