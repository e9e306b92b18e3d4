//! Messages of HL7 v2, each a new patient, against creates of the same by FHIR.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ihe_adapters::wire::mllp::{Deframer, Framed, frame};

use crate::bench::child::Child;
use crate::bench::client::send;
use crate::bench::load::{Cycle, Round, compare, run};
use crate::bench::{Bench, BenchError};

/// The longest acknowledgement.
const ANSWER_BYTES_MAX: usize = 64 << 10;
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

/// Sends messages on one connection for a time; returns how long each took, in microseconds.
fn send_messages(
    address: SocketAddr,
    (run, connection): (usize, usize),
    time: Duration,
) -> Result<Vec<u32>, BenchError> {
    let failed = BenchError::io;
    let mut stream = TcpStream::connect(address).map_err(failed("connecting by MLLP"))?;
    stream.set_nodelay(true).map_err(failed("connecting by MLLP"))?;
    let (mut deframer, mut buffer) = (Deframer::new(ANSWER_BYTES_MAX), vec![0; ANSWER_BYTES_MAX]);
    let (begin, mut took) = (Instant::now(), Vec::new());
    while begin.elapsed() < time {
        let sent = Instant::now();
        stream.write_all(&message(run, connection, took.len())).map_err(failed("sending a message"))?;
        let answer = loop {
            match deframer.next_message() {
                Framed::Message(answer) => break answer,
                Framed::Refused(flaw) => return Err(BenchError::Wrong(flaw.to_string())),
                Framed::Incomplete => {}
            }
            let count = stream.read(&mut buffer).map_err(failed("waiting for an acknowledgement"))?;
            if count == 0 {
                return Err(BenchError::Response("the connection ended"));
            }
            deframer.push(buffer.get(..count).unwrap_or_default());
        };
        let answer = String::from_utf8_lossy(&answer);
        if !answer.contains("\rMSA|AA|") {
            return Err(BenchError::Wrong(answer.replace('\r', " ")));
        }
        took.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(took)
}

/// Sends on several connections, a thread each.
fn run_messages(
    address: SocketAddr,
    run: usize,
    connections: usize,
    time: Duration,
) -> Result<Round, BenchError> {
    let begin = Instant::now();
    let sent: Result<Vec<Vec<u32>>, BenchError> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|connection| scope.spawn(move || send_messages(address, (run, connection), time)))
            .collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or(Err(BenchError::Response("a connection's thread ended")))
        };
        threads.into_iter().map(ended).collect()
    });
    let micros = sent?.concat();
    Ok(Round::of(micros.len() as u64, begin.elapsed(), micros))
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
            runs.set(runs.get() + 1);
            run_messages(mllp, runs.get(), connections, time)
        },
        |time| run(server.address, connections, time, &|n| Box::new(Cycle::new(&creates, n, 201))),
    )?;
    let what = format!("HL7 v2 messages (ADT^A28), durable and recorded, {connections} connections");
    bench.figure("messages", &what, ours.rate, "/s", None);
    bench.figure("messages", "the same patients created by FHIR", creates.rate, "/s", None);
    bench.figure("messages", "messages to a create", ours.rate / creates.rate.max(1e-9), "", None);
    Ok(())
}
