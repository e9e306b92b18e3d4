//! ANA, the national registry of assisted persons, and the outbox by which it is
//! reached: against a simulated registry that fails in every way.

mod alignment;
mod choices;
mod outbox;
mod variations;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use conformance::peer::ana::{AnaPeer, Person};
use serde_json::{Value, json};
use tests::{Client, Server};

const TAX_CODE: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.2";
const ANA_CODE: &str = "urn:oid:2.16.840.1.113883.2.9.4.3.15";
const HEALTH_AUTHORITY: &str = "urn:oid:2.16.840.1.113883.2.9.4.1.1";
const ANA: &str = "urn:lanterna:ana";

/// A server and its data, and the registry that it asks.
struct Region {
    data: tempfile::TempDir,
    peer: AnaPeer,
}

impl Region {
    /// Makes the data of a region; `settings` is added to those of ANA.
    fn new(settings: &str) -> Region {
        Region::patient_for(4, settings)
    }

    /// As [`Region::new`], where a message is sent so often before it is given up.
    fn patient_for(tries: u32, settings: &str) -> Region {
        let region = Region { data: tempfile::tempdir().expect("a folder"), peer: AnaPeer::start() };
        let text = format!(
            "[outbox]\npause_seconds = 0.05\npause_seconds_max = 0.4\ntries_max = {tries}\n\
             [ana]\nurl = \"{}\"\nalign_at = \"off\"\nvariations_seconds = 1\nanswer_seconds_max = 1.5\n\
             questions_per_second = 1000\n{settings}\n",
            region.peer.url()
        );
        std::fs::write(region.settings(), text).expect("written");
        region
    }

    fn settings(&self) -> PathBuf {
        self.data.path().join("settings.toml")
    }

    fn folder(&self) -> PathBuf {
        self.data.path().join("data")
    }

    fn serve(&self) -> Server {
        Server::start_with(&self.folder(), &["--config", &self.settings().display().to_string()], &[])
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(tests::binary());
        command.args(arguments).arg("--config").arg(self.settings()).arg("--data").arg(self.folder());
        command.args(["--log", "error"]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("run")
    }

    /// Runs a command that ends well, and returns what it says.
    fn told(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

/// Waits until something holds, but not for ever.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    eventually_within(60, what, holds);
}

fn eventually_within(seconds: u64, what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(seconds), "not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn tax_code(number: usize) -> String {
    format!("RSSMRA80A01D{number:03}K")
}

/// A person whom ANA knows, with what the others do not have.
fn person(number: usize) -> Person {
    Person {
        ana: format!("ANA{number}"),
        tax_code: tax_code(number),
        family: "ROSSI".to_owned(),
        given: "MARIO".to_owned(),
        sex: "M".to_owned(),
        birth: "1980-01-01".to_owned(),
        residence: Some(["VIA ROMA 1", "16121", "GENOVA", "GE"].map(str::to_owned)),
        authority: ("070".to_owned(), "103".to_owned()),
        ..Person::default()
    }
}

/// The same as a hospital knows him.
fn patient(number: usize) -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": TAX_CODE, "value": tax_code(number) }],
        "name": [{ "family": "Rossi", "given": ["Mario"] }], "gender": "male", "birthDate": "1980-01-01",
    })
}

/// Creates a patient whom ANA knows; returns his place.
fn known_patient(region: &Region, client: &Client, number: usize) -> String {
    region.peer.know(person(number));
    let created = client.create(&patient(number));
    assert_eq!(created.status, 201);
    format!("Patient/{}", created.id())
}

/// Writes a Task that orders the choice of a practitioner.
fn task(code: &str, patient: &str, practitioner: Option<&str>, from: &str) -> Value {
    let coded = |code: &str| json!({ "coding": [{ "system": ANA, "code": code }] });
    let mut inputs = Vec::new();
    if let Some(practitioner) = practitioner {
        let identifier = json!({ "system": TAX_CODE, "value": practitioner });
        inputs.push(json!({ "type": coded("practitioner"), "valueReference": { "identifier": identifier } }));
    }
    if !from.is_empty() {
        inputs.push(json!({ "type": coded("from"), "valueDate": from }));
    }
    let mut task = json!({
        "resourceType": "Task", "status": "requested", "intent": "order", "code": coded(code),
        "for": { "reference": patient },
    });
    if !inputs.is_empty() {
        task["input"] = json!(inputs);
    }
    task
}

/// Orders a choice; returns the place of the Task.
fn order(client: &Client, code: &str, patient: &str, practitioner: Option<&str>, from: &str) -> String {
    let created = client.create(&task(code, patient, practitioner, from));
    assert_eq!(created.status, 201, "{}", created.json());
    format!("Task/{}", created.id())
}

/// Waits until a Task has a status, and returns it.
fn ended(client: &Client, task: &str, status: &str) -> Value {
    eventually(&format!("{task} is {status}: {}", client.get(task).json()), || {
        client.get(task).json()["status"] == status
    });
    client.get(task).json()
}

fn total(client: &Client, search: &str) -> u64 {
    let separator = if search.contains('?') { '&' } else { '?' };
    let answer = client.get(&format!("{search}{separator}_summary=count"));
    answer.json()["total"].as_u64().unwrap_or_else(|| panic!("{search}: {}", answer.json()))
}

/// Returns a number of /metrics.
fn metric(server: &Server, name: &str) -> f64 {
    let answer = server.client().get(&format!("{}/metrics", server.origin()));
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    line.unwrap_or_else(|| panic!("no {name} in {text}"))
}
