//! The index of patients of the running binary, whatever sources tell, and
//! whatever is merged, taken apart and decided: each door says what a
//! simple model says, after each step, and after the process was killed.
//!
//! - [`model`]: what should be known.
//! - [`sources`]: what happens, told by FHIR.
//! - [`doors`]: where it is asked.
//! - `translations`: pairs of messages that say the same by HL7 v2 and HL7 v3.

mod doors;
#[allow(dead_code)]
mod model;
mod review;
mod sources;
mod translations;

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use tests::{Numbers, Server, repeats};

use doors::{ByFhir, ByHl7v2, ByHl7v3, ByPixm, Door};
use model::{Model, Outcome, PERSONS, RECORDS, Step, fiscal_code, local};
use sources::Sources;

/// How many steps there are between two starts.
const STEPS: usize = 15;

fn settings(folder: &Path) -> String {
    let domain = |oid: &&str| format!("[[identity.domains]]\noid = \"{oid}\"\n");
    let text: String = model::sources().iter().map(domain).collect();
    let path = folder.join("lanterna.toml");
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

/// Returns a port that nobody listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// Makes a step; events come in their order, as the door of FHIR knows no other.
fn step(numbers: &mut Numbers, at: u32) -> Step {
    let mut below = |end: usize| numbers.below(end as u64) as usize;
    let (record, other) = (below(RECORDS), below(RECORDS));
    match below(12) {
        0..5 => {
            let person = Some(below(PERSONS)).filter(|_| below(5) > 0);
            Step::Feed { record, person, at }
        }
        5..8 => Step::Merge { source: record, target: other, at: if below(4) == 0 { 0 } else { at } },
        8..10 => Step::Unmerge { source: record, at },
        _ => Step::Decide { one: record, other, is_same: below(2) == 0 },
    }
}

/// Asks all doors all there is to ask.
fn agree(doors: &[&dyn Door], model: &Model) {
    for identifier in (0..RECORDS).map(local).chain((0..PERSONS).map(fiscal_code)) {
        let expected = model.cross_references(&identifier);
        for door in doors {
            assert_eq!(door.cross_references(&identifier), expected, "{identifier:?} at {}", door.name());
        }
    }
    assert_eq!(model.contradiction(), None);
}

fn run(seed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let data = folder.path().join("data");
    let (mut numbers, mut model, mut ids) = (Numbers::new(seed), Model::default(), Default::default());
    let mut at = 0;
    for round in 0..3 {
        let mllp = free_port();
        let address = format!("127.0.0.1:{mllp}");
        let arguments = ["--config", settings.as_str(), "--mllp", &address];
        let server = Server::start_with(&data, &arguments, &[]);
        let mut sources = Sources::new(server.client(), ids);
        let by_fhir = ByFhir::new(server.client());
        let by_hl7v2 = ByHl7v2::new(mllp);
        let by_hl7v3 = ByHl7v3::new(server.client(), server.origin());
        let by_pixm = ByPixm::new(server.client());
        let doors: [&dyn Door; 4] = [&by_fhir, &by_hl7v2, &by_hl7v3, &by_pixm];
        agree(&doors, &model);
        for _ in 0..STEPS {
            at += 1;
            let step = step(&mut numbers, at);
            let is_refused_before = matches!(step, Step::Feed { record, .. } if model.is_subsumed(record));
            let done = if is_refused_before { Outcome::Refused } else { sources.apply(step) };
            let order = |record: usize| sources.id(record).to_owned();
            assert_eq!(done, model.apply(step, &order), "{step:?}, seed {seed}");
            agree(&doors, &model);
            for record in model.known() {
                let expected = model.merged_with(record).len();
                assert_eq!(sources.observations(record), expected, "observations of {record}, seed {seed}");
            }
        }
        ids = sources.into_ids();
        // What was answered is there, and linked, whatever becomes of the process.
        if round % 2 == 0 { server.kill() } else { assert_eq!(server.terminate(), Some(0)) }
    }
}

#[test]
fn each_door_knows_what_the_model_knows() {
    for seed in 1..=repeats("LANTERNA_IDENTITY_SEEDS", 3) {
        run(seed as u64);
    }
}

#[test]
fn the_operations_are_listed_and_told_of_by_their_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    let client = server.client();
    let statement = client.get("metadata").json();
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let of_patient = resources.iter().find(|resource| resource["type"] == "Patient").expect("Patient");
    let operations = of_patient["operation"].as_array().expect("operations");
    for (name, definition) in [
        ("match", "http://hl7.org/fhir/OperationDefinition/Patient-match"),
        ("match", "https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch"),
        ("merge", "http://hl7.org/fhir/OperationDefinition/Patient-merge"),
        ("unmerge", "urn:lanterna:OperationDefinition:Patient-unmerge"),
        ("link", "urn:lanterna:OperationDefinition:Patient-link"),
        ("person", "urn:lanterna:OperationDefinition:Patient-person"),
        ("ihe-pix", "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix"),
    ] {
        let is_it = |operation: &Value| operation["name"] == name && operation["definition"] == definition;
        assert!(operations.iter().any(is_it), "{name}");
    }
    let of_system = statement["rest"][0]["operation"].as_array().expect("operations");
    assert!(of_system.iter().any(|operation| operation["name"] == "process-message"));
    let supported = of_patient["supportedProfile"].to_string();
    let instantiates = statement["instantiates"].to_string();
    for of in ["IHE.PDQm.Patient\"", "IHE.PIXm.Patient\""] {
        assert!(supported.contains(of), "{supported}");
    }
    for of in ["PatientDemographicsSupplier\"", "PatientDemographicsSupplierMatch\"", "IHE.PIXm.Manager\""] {
        assert!(instantiates.contains(of), "{instantiates}");
    }
    let mut sources = Sources::new(client, Default::default());
    for record in 0..2 {
        assert_eq!(sources.apply(Step::Feed { record, person: None, at: 0 }), Outcome::Done);
    }
    let merge = Step::Merge { source: 0, target: 1, at: 1 };
    assert_eq!(sources.call(merge), (200, String::new()));
    assert_eq!(sources.call(merge), (409, "merged-already".to_owned()));
    assert_eq!(sources.call(Step::Merge { source: 1, target: 1, at: 1 }), (422, "same-patient".to_owned()));
    assert_eq!(sources.call(Step::Unmerge { source: 0, at: 0 }), (409, "outdated".to_owned()));
    assert_eq!(sources.call(Step::Unmerge { source: 0, at: 2 }), (200, String::new()));
}
