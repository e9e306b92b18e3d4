//! PMIR: one server subscribes to the patients of another (ITI-94), which tells it of them (ITI-93).

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Client, Server};

use crate::consumer::WAIT;

const OID: &str = "1.3.6.1.4.1.99999.1";

/// Starts a server that may send messages to where it is told to.
fn start(folder: &Path, callbacks: &str) -> Server {
    let settings = format!(
        "[peers]\ncallbacks = [{callbacks}]\n[outbox]\npause_seconds = 0.1\npause_seconds_max = 0.2\n"
    );
    let file = folder.join("settings.toml");
    std::fs::write(&file, settings).expect("written");
    Server::start_with(&folder.join("data"), &["--config", &file.display().to_string()], &[])
}

fn base(client: &Client) -> String {
    let statement = client.get("metadata").json();
    statement["implementation"]["url"].as_str().expect("a base").to_owned()
}

fn origin(client: &Client) -> String {
    base(client).trim_end_matches("/fhir").to_owned()
}

fn subscription(endpoint: &str, criteria: &str, payload: &str) -> Value {
    json!({
        "resourceType": "Subscription", "status": "requested", "reason": "patients", "criteria": criteria,
        "contact": [{ "system": "phone", "value": "010" }],
        "channel": { "type": "message", "endpoint": endpoint, "payload": payload },
    })
}

fn patient(id: &str, family: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "active": true,
        "identifier": [{ "system": format!("urn:oid:{OID}"), "value": id }],
        "name": [{ "family": family }], "gender": "female", "birthDate": "1980-02-29",
    })
}

fn put(client: &Client, resource: &Value) {
    let place = format!(
        "{}/{}",
        resource["resourceType"].as_str().expect("type"),
        resource["id"].as_str().expect("id")
    );
    let stored = client.json("PUT", &place, &[], resource).expect("an answer");
    assert!(stored.status < 300, "{}", stored.json());
}

/// Waits until something is so.
fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn status(client: &Client, id: &str) -> String {
    let resource = client.get(&format!("Subscription/{id}")).json();
    resource["status"].as_str().unwrap_or_default().to_owned()
}

fn subscribe(client: &Client, asked: &Value) -> String {
    let made = client.create(asked);
    assert_eq!(made.status, 201, "{}", made.json());
    let id = made.id();
    wait_for("the subscription is in use", || status(client, &id) == "active");
    id
}

fn family(client: &Client, id: &str) -> Value {
    client.get(&format!("Patient/{id}")).json()["name"][0]["family"].clone()
}

/// Returns how many versions of a Patient there are.
fn versions(client: &Client, id: &str) -> usize {
    client.get(&format!("Patient/{id}/_history")).json()["entry"].as_array().map_or(0, Vec::len)
}

#[test]
fn a_server_follows_the_patients_of_another() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let consumer = start(there.path(), "");
    let taking = consumer.client();
    let registry = start(here.path(), &format!("\"{}\"", origin(&taking)));
    let client = registry.client();
    put(&client, &patient("before", "Nobody"));
    for (payload, prefix) in [("application/fhir+json", "j"), ("application/fhir+xml", "x")] {
        let endpoint = format!("{}/$process-message", base(&taking));
        let id = subscribe(&client, &subscription(&endpoint, "Patient", payload));
        let (a, b) = (format!("{prefix}-a"), format!("{prefix}-b"));
        put(&client, &patient(&a, "Rossi"));
        put(&client, &patient(&b, "Verdi"));
        put(&client, &patient(&a, "Bianchi"));
        wait_for("the patient is there as he is", || family(&taking, &a) == "Bianchi");
        wait_for("the other is there", || family(&taking, &b) == "Verdi");
        let named = |name: &str, id: &str| json!({ "name": name, "valueReference": { "reference": format!("Patient/{id}") } });
        let merge = json!({ "resourceType": "Parameters", "parameter": [named("source-patient", &b), named("target-patient", &a)] });
        let merged = client.json("POST", "Patient/$merge", &[], &merge).expect("an answer");
        assert_eq!(merged.status, 200, "{}", merged.json());
        wait_for("the merge is there", || {
            let told = taking.get(&format!("Patient/{b}")).json();
            let link = &told["link"][0];
            link["type"] == "replaced-by"
                && link["other"]["reference"] == format!("Patient/{a}")
                && told["active"] == false
        });
        let gone = format!("{prefix}-gone");
        put(&client, &patient(&gone, "Neri"));
        wait_for("it is there before it goes", || taking.get(&format!("Patient/{gone}")).status == 200);
        client.send("DELETE", &format!("Patient/{gone}"), &[], &[]).expect("deleted");
        wait_for("it is gone", || taking.get(&format!("Patient/{gone}")).status == 410);
        // Who does not want to know any more is told nothing.
        client.send("DELETE", &format!("Subscription/{id}"), &[], &[]).expect("deleted");
    }
    assert_eq!(taking.get("Patient/before").status, 404, "what was there before is not told");
    put(&client, &patient("after", "Nobody"));
    let events = client.get("AuditEvent?subtype=ITI-93&_summary=count").json();
    assert!(events["total"].as_u64() >= Some(10), "{events}");
    let asked = client.get("AuditEvent?subtype=ITI-94&_summary=count").json();
    assert_eq!(asked["total"], 2);
    let subscribed = subscribe(
        &client,
        &subscription(
            &base(&taking),
            &format!("Patient?identifier=urn:oid:{OID}%7Cone"),
            "application/fhir+json",
        ),
    );
    put(&client, &patient("two", "Nobody"));
    put(&client, &patient("one", "Rossi"));
    wait_for("who is meant is there", || taking.get("Patient/one").status == 200);
    assert_eq!((taking.get("Patient/two").status, taking.get("Patient/after").status), (404, 404));
    // Off and on again: what happens in between is not told.
    let switch = |status: &str| {
        let mut resource = client.get(&format!("Subscription/{subscribed}")).json();
        resource["status"] = json!(status);
        put(&client, &resource);
    };
    switch("off");
    put(&client, &patient("one", "Bruno"));
    switch("requested");
    wait_for("it is in use again", || status(&client, &subscribed) == "active");
    let mut last = patient("one", "Bruno");
    last["gender"] = json!("other");
    put(&client, &last);
    wait_for("he is told again", || taking.get("Patient/one").json()["gender"] == "other");
    assert_eq!(versions(&taking, "one"), 2, "created, and changed once");
}

#[test]
fn what_cannot_be_told_is_refused_or_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let registry = start(folder.path(), "\"http://127.0.0.1:9\"");
    let client = registry.client();
    for (endpoint, criteria, payload) in [
        ("http://10.0.0.1/x", "Patient", "application/fhir+json"),
        ("file:///etc/passwd", "Patient", "application/fhir+json"),
        ("http://127.0.0.1:9/x", "Patient?birthdate=2000", "application/fhir+json"),
        ("http://127.0.0.1:9/x", "Patient", "text/plain"),
    ] {
        let refused = client.create(&subscription(endpoint, criteria, payload));
        assert_eq!(refused.status, 422, "{endpoint} {criteria} {payload}: {}", refused.json());
        assert_eq!(refused.json()["resourceType"], "OperationOutcome");
    }
    // By a transaction nothing is asked before; it is not in use all the same.
    let entry = json!({ "resource": subscription("http://10.0.0.1/x", "Patient", "application/fhir+json"),
        "request": { "method": "POST", "url": "Subscription" } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [entry] });
    let made = client.json("POST", "", &[], &bundle).expect("an answer").json();
    let location = made["entry"][0]["response"]["location"].as_str().expect("a place");
    let id = location
        .split("Subscription/")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .expect("an id")
        .to_owned();
    wait_for("it says that it cannot be", || status(&client, &id) == "error");
    let error = client.get(&format!("Subscription/{id}")).json()["error"].clone();
    assert!(error.as_str().is_some_and(|error| error.contains("callbacks")), "{error}");
    // Who is away: the subscription says so, and nobody else waits.
    let away = subscribe(&client, &subscription("http://127.0.0.1:9/x", "Patient", "application/fhir+json"));
    put(&client, &patient("p", "Rossi"));
    wait_for("it says that it is not reached", || status(&client, &away) == "error");
}

#[test]
fn two_servers_that_subscribe_to_each_other_tell_each_change_once() {
    let (one, two) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (first, second) = (start(one.path(), "\"*\""), start(two.path(), "\"*\""));
    let (a, b) = (first.client(), second.client());
    let to = |client: &Client| {
        subscription(&format!("{}/$process-message", base(client)), "Patient", "application/fhir+json")
    };
    subscribe(&a, &to(&b));
    subscribe(&b, &to(&a));
    put(&a, &patient("p", "Rossi"));
    wait_for("it is there", || family(&b, "p") == "Rossi");
    put(&b, &patient("q", "Verdi"));
    wait_for("it is there as well", || family(&a, "q") == "Verdi");
    put(&a, &patient("last", "Neri"));
    wait_for("what came after is there", || family(&b, "last") == "Neri");
    for (client, id) in [(&a, "p"), (&b, "q")] {
        assert_eq!(versions(client, id), 1, "{id} came back");
    }
}

#[test]
fn a_kill_loses_nothing_and_tells_nothing_under_another_id() {
    let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let consumer = start(there.path(), "");
    let taking = consumer.client();
    let callbacks = format!("\"{}\"", origin(&taking));
    let mut registry = start(here.path(), &callbacks);
    let endpoint = format!("{}/$process-message", base(&taking));
    subscribe(&registry.client(), &subscription(&endpoint, "Patient", "application/fhir+json"));
    for round in 0..3 {
        let client = registry.client();
        for number in 0..8 {
            put(&client, &patient(&format!("p{round}-{number}"), "Rossi"));
        }
        registry.kill();
        registry = start(here.path(), &callbacks);
    }
    let count = || taking.get("Patient?_summary=count").json()["total"].as_u64();
    wait_for("all are there", || count() == Some(24));
    // The messages as the consumer recorded them: ids of one patient are one.
    let events = taking.get("AuditEvent?subtype=ITI-93&_count=500").json();
    let mut ids: std::collections::BTreeMap<String, std::collections::BTreeSet<String>> = Default::default();
    for event in events["entry"].as_array().expect("events") {
        let entities = event["resource"]["entity"].as_array().cloned().unwrap_or_default();
        let named = |of: &str| {
            entities.iter().find_map(|entity| {
                let text = entity["what"].to_string();
                text.contains(of).then_some(text)
            })
        };
        let patient = named("Patient/");
        let message = entities
            .iter()
            .map(|entity| entity["what"]["identifier"]["value"].clone())
            .find(Value::is_string);
        if let (Some(patient), Some(message)) = (patient, message) {
            ids.entry(patient).or_default().insert(message.to_string());
        }
    }
    assert!(ids.len() >= 24, "{} of them are recorded", ids.len());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
}
