//! Messages of HL7 v2, each a new patient, against creates of the same by FHIR.

use std::cell::Cell;
use std::rc::Rc;

use ihe_adapters::wire::mllp::frame;

use crate::bench::child::Child;
use crate::bench::client::{Answer, Wire, send};
use crate::bench::load::{Cycle, Exchange, compare, run, run_by};
use crate::bench::{Bench, BenchError};

/// How many patients are created over and over by FHIR.
const BODIES: usize = 10_000;
/// Connections at most: each is one sender.
const CONNECTIONS_MAX: usize = 16;

/// Writes the message that tells of a new patient. `run`: which of the runs it is of.
fn message(run: usize, connection: usize, number: usize) -> Vec<u8> {
    let id = format!("{run}-{connection}-{number}");
    let text = format!(
        "MSH|^~\\&|BENCH{connection}|H1|LANTERNA|R|20260102030405||ADT^A28^ADT_A05|{id}|P|2.5\r\
         EVN||20260102030405+0100\r\
         PID|1||{id}^^^&1.2.3&ISO||ROSSI{number}^MARIO||19800101|M|||VIA ROMA 1^^GENOVA^^16100^ITA||010{number:07}\r\
         PV1|1|N\r"
    );
    frame(text.as_bytes())
}

/// Writes the same patient as a resource.
fn patient(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Patient","identifier":[{{"system":"urn:oid:1.2.4","value":"{number}"}}],"name":[{{"family":"ROSSI{number}","given":["MARIO"]}}],"gender":"male","birthDate":"1980-01-01","address":[{{"line":["VIA ROMA 1"],"city":"GENOVA","postalCode":"16100","country":"ITA"}}],"telecom":[{{"system":"phone","value":"010{number:07}"}}]}}"#
    )
}

/// A sender, each of whose messages is a new one.
struct Sender {
    run: usize,
    connection: usize,
    number: usize,
    message: Vec<u8>,
}

impl Exchange for Sender {
    fn request(&mut self) -> &[u8] {
        self.message = message(self.run, self.connection, self.number);
        self.number += 1;
        &self.message
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        answer.expect(200)?;
        Ok(1)
    }
}

/// Measures both by turns, on one server that begins empty.
pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let server = Child::start_with(&bench.folder.join("messages"), "[hl7v2]\nmllp = \"127.0.0.1:0\"\n")?;
    let mllp = server.mllp.ok_or(BenchError::Response("it does not say where it takes HL7 v2"))?;
    let connections = bench.options.connections.min(CONNECTIONS_MAX);
    let creates: Rc<[Vec<u8>]> =
        (0..BODIES).map(|n| send(server.address, "POST", "/fhir/Patient", &patient(n))).collect();
    let runs = Cell::new(0);
    let (ours, creates) = compare(
        bench.options.time,
        |time| {
            let run = runs.get();
            runs.set(run + 1);
            run_by(Wire::Mllp, mllp, connections, time, &|connection| {
                Box::new(Sender { run, connection, number: 0, message: Vec::new() })
            })
        },
        |time| run(server.address, connections, time, &|n| Box::new(Cycle::new(&creates, n, 201))),
    )?;
    let what = format!("HL7 v2 messages (ADT^A28), durable and recorded, {connections} connections");
    bench.figure("messages", &what, ours.rate, "/s", None);
    bench.figure("messages", "the same patients created by FHIR", creates.rate, "/s", None);
    bench.figure("messages", "messages to a create", ours.rate / creates.rate.max(1e-9), "", None);
    Ok(())
}
