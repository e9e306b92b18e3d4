//! The patient index by HL7 v2 and HL7 v3, beside FHIR searches for the same
//! patients: cross references (ITI-9, ITI-45) and demographics (ITI-21,
//! ITI-47), with and without what is recorded of them.

use std::net::SocketAddr;
use std::rc::Rc;

use ihe_adapters::wire::mllp::frame;

use super::documents::post;
use crate::bench::child::Child;
use crate::bench::client::{Wire, get, send};
use crate::bench::load::{Cycle, Exchange, Round, by_turns, each, run_by};
use crate::bench::{Bench, BenchError};

/// Persons, of whom each has a record of two sources.
const PERSONS: usize = 2_000;
/// Persons of one transaction.
const AT_ONCE: usize = 100;
const HOSPITAL: &str = "1.3.6.1.4.1.99999.41";
const LABORATORY: &str = "1.3.6.1.4.1.99999.42";
/// The settings: what is asked is not recorded, or it is.
const SETTINGS: [(&str, &str); 2] = [
    ("not recorded", "[hl7v2]\nmllp = \"127.0.0.1:0\"\n[audit]\nrecord = false\n"),
    ("recorded", "[hl7v2]\nmllp = \"127.0.0.1:0\"\n"),
];

/// Writes the two records of a person, tied, as entries of a transaction.
fn entries(person: usize) -> String {
    let record = |source: &str, authority: &str, other: &str| {
        format!(
            r#"{{"request":{{"method":"PUT","url":"Patient/{source}{person}"}},"resource":{{"resourceType":"Patient",
            "id":"{source}{person}","identifier":[{{"system":"urn:oid:{authority}","value":"{person}"}}],
            "name":[{{"family":"Family{person}","given":["Given{person}"]}}],"gender":"female","birthDate":"1970-02-03",
            "link":[{{"other":{{"reference":"Patient/{other}{person}"}},"type":"seealso"}}]}}}}"#
        )
    };
    [record("h", HOSPITAL, "l"), record("l", LABORATORY, "h")].join(",")
}

fn message(interaction: &str, parameters: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action>urn:hl7-org:v3:{interaction}</a:Action>\
         <a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body><{interaction} xmlns=\"urn:hl7-org:v3\" \
         ITSVersion=\"XML_1.0\"><id root=\"1.2.3\"/><controlActProcess><queryByParameter><queryId root=\"1.2.4\"/>\
         <parameterList>{parameters}</parameterList></queryByParameter></controlActProcess></{interaction}>\
         </s:Body></s:Envelope>"
    )
}

fn soap(address: SocketAddr, path: &str, message: &str) -> Vec<u8> {
    post(address, path, "application/soap+xml; charset=UTF-8", message.as_bytes())
}

/// Writes a query of HL7 v2.
fn query(event: &str, person: usize, asked: &str) -> Vec<u8> {
    let text = format!(
        "MSH|^~\\&|BENCH|H1|LANTERNA|R|20260102030405||QBP^{event}^QBP_Q21|{person}|P|2.5\r\
         QPD|IHE Query|{person}|{asked}\rRCP|I\r"
    );
    frame(text.as_bytes())
}

/// A load: what it is called, by which wire, and how a person is asked for.
type Load = (&'static str, Wire, fn(SocketAddr, usize) -> Vec<u8>);

const LOADS: [Load; 6] = [
    ("cross references, ITI-9", Wire::Mllp, |_, person| {
        query("Q23", person, &format!("{person}^^^&{HOSPITAL}&ISO"))
    }),
    ("cross references, ITI-45", Wire::Http, |address, person| {
        let id = format!(
            "<patientIdentifier><value root=\"{HOSPITAL}\" extension=\"{person}\"/></patientIdentifier>"
        );
        soap(address, "/pix/v3", &message("PRPA_IN201309UV02", &id))
    }),
    ("FHIR searches by identifier, with links", Wire::Http, |address, person| {
        let links = "_include:iterate=Patient:link&_revinclude:iterate=Patient:link";
        get(address, &format!("/fhir/Patient?identifier=urn:oid:{HOSPITAL}%7C{person}&{links}"))
    }),
    ("demographics, ITI-21", Wire::Mllp, |_, person| {
        query("Q22", person, &format!("@PID.5.1^Family{person}~@PID.5.2^Given{person}~@PID.7^19700203"))
    }),
    ("demographics, ITI-47", Wire::Http, |address, person| {
        let asked = format!(
            "<livingSubjectBirthTime><value value=\"19700203\"/></livingSubjectBirthTime><livingSubjectName><value>\
             <given>Given{person}</given><family>Family{person}</family></value></livingSubjectName>"
        );
        soap(address, "/pdq/v3", &message("PRPA_IN201305UV02", &asked))
    }),
    ("FHIR searches by name and birth date", Wire::Http, |address, person| {
        let asked = format!("family=Family{person}&given=Given{person}&birthdate=1970-02-03");
        get(address, &format!("/fhir/Patient?{asked}"))
    }),
];

/// A server of a setting, and the requests of each load.
struct Side {
    server: Child,
    mllp: SocketAddr,
    setting: &'static str,
    requests: Vec<Rc<[Vec<u8>]>>,
}

fn side(bench: &Bench<'_>, number: usize, (setting, text): (&'static str, &str)) -> Result<Side, BenchError> {
    let folder = bench.folder.join(format!("patients-{number}"));
    let server = Child::start_with(&folder, text)?;
    let address = server.address;
    let mllp = server.mllp.ok_or(BenchError::Response("it does not say where it takes HL7 v2"))?;
    let persons: Vec<usize> = (0..PERSONS).collect();
    let transactions = persons.chunks(AT_ONCE).map(|persons| {
        let entries: Vec<String> = persons.iter().map(|person| entries(*person)).collect();
        let entries = entries.join(",");
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
        send(address, "POST", "/fhir", &bundle)
    });
    each(address, &transactions.collect::<Vec<Vec<u8>>>(), |_, answer| answer.expect(200))?;
    let requests = LOADS.iter().map(|(_, _, request)| persons.iter().map(|n| request(address, *n)).collect());
    Ok(Side { requests: requests.collect(), server, mllp, setting })
}

/// Measures all loads by turns, on a server of each setting.
pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let connections = bench.options.connections;
    for (number, setting) in SETTINGS.into_iter().enumerate() {
        let side = side(bench, number, setting)?;
        let exchange = |load: usize| {
            let requests = &side.requests[load];
            move |n: usize| Box::new(Cycle::new(requests, n, 200)) as Box<dyn Exchange>
        };
        let mut turns: Vec<_> = (0..LOADS.len())
            .map(|load| {
                let (exchange, wire) = (exchange(load), LOADS[load].1);
                let address = if wire == Wire::Mllp { side.mllp } else { side.server.address };
                move |time| run_by(wire, address, connections, time, &exchange)
            })
            .collect();
        let rounds = by_turns(bench.options.time, &mut turns)?;
        for ((load, _, _), Round { rate, .. }) in LOADS.iter().zip(rounds) {
            bench.figure("patients", &format!("{load}, {}", side.setting), rate, "/s", None);
        }
    }
    Ok(())
}
