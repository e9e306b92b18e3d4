//! kill -9 during a load of concurrent writers: what was acknowledged is
//! there after the restart, with its version; of a transaction, all or nothing.
//!
//! `LANTERNA_KILL_CYCLES` says how often (8 without it).

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Client, Numbers, Server, repeats};

const WRITERS: usize = 16;
const SYSTEM: &str = "urn:test:operation";

/// What a writer was told.
#[derive(Debug)]
enum Told {
    /// `Type/id`, and the version acknowledged.
    Version(String, String),
    /// A transaction of a Patient and two Observations, by operation.
    Transaction(String),
}

fn patient(operation: &str, name: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": operation}], "name": [{"family": name}]})
}

fn transaction(operation: &str) -> Value {
    let observation = |number: u8| {
        json!({"request": {"method": "POST", "url": "Observation"}, "resource": {
            "resourceType": "Observation", "status": "final", "code": {"text": number.to_string()},
            "identifier": [{"system": SYSTEM, "value": operation}], "subject": {"reference": "urn:uuid:p"}}})
    };
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        observation(1),
        {"fullUrl": "urn:uuid:p", "request": {"method": "POST", "url": "Patient"}, "resource": patient(operation, "T")},
        observation(2)]})
}

/// Writes until told to stop; every acknowledgement goes into the ledger.
fn write(client: &Client, prefix: &str, stop: &AtomicBool, ledger: &Mutex<Vec<Told>>) {
    let note = |told| ledger.lock().expect("ledger").push(told);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let operation = format!("{prefix}-{number}");
        let told = match number % 3 {
            0 => client
                .json("POST", "", &[], &transaction(&operation))
                .map(|answer| (answer.status == 200).then_some(Told::Transaction(operation))),
            _ => client.json("POST", "Patient", &[], &patient(&operation, "A")).map(|answer| {
                let id = answer.id();
                (answer.status == 201).then(|| Told::Version(format!("Patient/{id}"), "1".to_owned()))
            }),
        };
        match told {
            Ok(Some(Told::Version(path, version))) => {
                note(Told::Version(path.clone(), version));
                let mut changed = patient("updated", "B");
                changed["id"] = json!(path.trim_start_matches("Patient/"));
                if let Ok(answer) = client.json("PUT", &path, &[], &changed)
                    && answer.status == 200
                {
                    note(Told::Version(path, "2".to_owned()));
                }
            }
            Ok(Some(told)) => note(told),
            Ok(None) => panic!("a write was refused without reason"),
            Err(_) => return,
        }
    }
}

fn count(client: &Client, of: &str, operation: &str) -> u64 {
    let answer = client.get(&format!("{of}?identifier={SYSTEM}|{operation}&_summary=count"));
    answer.json()["total"].as_u64().unwrap_or(u64::MAX)
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().expect("folder");
    let mut numbers = Numbers::new(7);
    let (mut acknowledged, mut transactions) = (0, 0);
    for cycle in 0..repeats("LANTERNA_KILL_CYCLES", 8) {
        let server = Server::start(folder.path());
        let ledger = Mutex::new(Vec::new());
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (client, ledger, stop) = (server.client(), &ledger, &stop);
                scope.spawn(move || write(&client, &format!("c{cycle}w{writer}"), stop, ledger));
            }
            std::thread::sleep(Duration::from_millis(50 + numbers.below(450)));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        let server = Server::start(folder.path());
        let client = server.client();
        for told in ledger.into_inner().expect("ledger") {
            match told {
                Told::Version(path, version) => {
                    let answer = client.get(&format!("{path}/_history/{version}"));
                    assert_eq!(answer.status, 200, "cycle {cycle}: {path} version {version} was lost");
                    acknowledged += 1;
                }
                Told::Transaction(operation) => {
                    assert_eq!(count(&client, "Patient", &operation), 1, "cycle {cycle}: {operation}");
                    transactions += 1;
                }
            }
        }
        // No transaction is there in part, acknowledged or not.
        for writer in 0..WRITERS {
            for number in (0..).step_by(3) {
                let operation = format!("c{cycle}w{writer}-{number}");
                let (patients, observations) =
                    (count(&client, "Patient", &operation), count(&client, "Observation", &operation));
                assert_eq!(observations, patients * 2, "cycle {cycle}: {operation} is there in part");
                if patients == 0 {
                    break;
                }
            }
        }
        assert_eq!(server.terminate(), Some(0));
        let checked = std::process::Command::new(tests::binary())
            .arg("check")
            .arg("--data")
            .arg(folder.path())
            .output();
        let checked = checked.expect("checked");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
    println!("{acknowledged} versions and {transactions} transactions acknowledged, all there");
    assert!(acknowledged > 0 && transactions > 0);
}
