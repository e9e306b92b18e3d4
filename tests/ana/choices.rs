//! General practitioners are chosen, changed and revoked.

use serde_json::json;

use super::*;

const LAURA: &str = "BNCLRA70A41D969X";
const PAOLO: &str = "VRDPLA60A01D969Y";

fn practitioner(client: &Client, patient: &str) -> Value {
    client.get(patient).json()["generalPractitioner"][0]["identifier"]["value"].clone()
}

#[test]
fn a_practitioner_is_chosen_changed_and_revoked() {
    let region = Region::new("user = \"liguria\"\npassword = \"secret\"");
    // `liguria:secret`
    region.peer.ask_for("Basic bGlndXJpYTpzZWNyZXQ=");
    let server = region.serve();
    let client = server.client();
    let laura = json!({ "resourceType": "Practitioner", "identifier": [{ "system": TAX_CODE, "value": LAURA }],
                        "name": [{ "family": "Bianchi", "given": ["Laura"] }] });
    let laura = format!("Practitioner/{}", client.create(&laura).id());
    let patient = known_patient(&region, &client, 1);

    let choice = order(&client, "choose-practitioner", &patient, Some(LAURA), "2026-01-10");
    let done = ended(&client, &choice, "completed");
    assert_eq!(done["output"][0]["valueString"], "P1");
    assert_eq!(practitioner(&client, &patient), LAURA);
    // The one who is known here is referred to.
    assert_eq!(client.get(&patient).json()["generalPractitioner"][0]["reference"], json!(laura));

    let choice = order(&client, "change-practitioner", &patient, Some(PAOLO), "2026-03-01");
    ended(&client, &choice, "completed");
    assert_eq!(practitioner(&client, &patient), PAOLO);
    let episodes = |status: &str| {
        let found = client.get(&format!("EpisodeOfCare?patient={patient}&status={status}")).json();
        let entries = found["entry"].as_array().cloned().unwrap_or_default();
        let told = |entry: &Value| {
            let episode = &entry["resource"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let period = [&episode["period"]["start"], &episode["period"]["end"]].map(text);
            (text(&episode["careManager"]["identifier"]["value"]), period)
        };
        entries.iter().map(told).collect::<Vec<_>>()
    };
    let held = |code: &str, start: &str, end: &str| (code.to_owned(), [start.to_owned(), end.to_owned()]);
    assert_eq!(episodes("active"), [held(PAOLO, "2026-03-01", "")]);
    assert_eq!(episodes("finished"), [held(LAURA, "2026-01-10", "2026-02-28")]);

    // Whose choice is revoked need not be said.
    let choice = order(&client, "revoke-practitioner", &patient, None, "2026-06-01");
    ended(&client, &choice, "completed");
    assert_eq!(practitioner(&client, &patient), Value::Null);
    assert_eq!((episodes("active").len(), episodes("finished").len()), (0, 2));

    let noted: Vec<_> = region.peer.noted().into_iter().map(|n| (n.operation, n.practitioner)).collect();
    let expected = [("S", LAURA), ("C", PAOLO), ("R", PAOLO)];
    assert_eq!(noted, expected.map(|(operation, code)| (operation.to_owned(), code.to_owned())));
    assert_eq!(total(&client, &format!("Provenance?target={patient}")), 3);
    assert_eq!(total(&client, &format!("AuditEvent?subtype={ANA}|ANA-sceltaMedico&patient={patient}")), 3);
    assert_eq!(metric(&server, "lanterna_outbox_sent_total"), 3.0);
}

#[test]
fn what_ana_refuses_is_said_and_can_be_sent_again() {
    let region = Region::new("");
    region.peer.practitioners(&[PAOLO]);
    let server = region.serve();
    let client = server.client();
    let patient = known_patient(&region, &client, 1);
    let choice = order(&client, "choose-practitioner", &patient, Some(LAURA), "");
    let rejected = ended(&client, &choice, "rejected");
    let why = rejected["statusReason"]["text"].as_str().unwrap_or_default();
    assert!(why.contains("no such practitioner") && why.contains("medico non in servizio"), "{why}");
    assert_eq!(practitioner(&client, &patient), Value::Null);
    eventually("it is a dead letter", || metric(&server, "lanterna_outbox_dead_letters") == 1.0);

    let listed = region.told(&["outbox", "list", "--dead", "--json"]);
    let letter: Value = serde_json::from_str(listed.trim()).expect("one line of JSON");
    assert_eq!((&letter["destination"], &letter["cause"]), (&json!("ana"), &json!(choice)));
    let number = letter["number"].to_string();
    let shown = region.told(&["outbox", "show", &number]);
    assert!(shown.contains("SceltaMedicoRichiesta") && shown.contains("medico non in servizio"), "{shown}");

    // The practitioner is in service now; the server that runs takes the operator's order.
    assert!(!region.run(&["outbox", "retry", "12345"]).status.success());
    region.peer.practitioners(&[LAURA]);
    let told = region.told(&["outbox", "retry", &number]);
    assert!(told.contains("1 messages are sent again"), "{told}");
    ended(&client, &choice, "completed");
    assert_eq!(practitioner(&client, &patient), LAURA);
    assert_eq!(client.get(&choice).json().get("statusReason"), None);

    // Another is refused, and dropped, without a server.
    let choice = order(&client, "change-practitioner", &patient, Some(PAOLO), "");
    ended(&client, &choice, "rejected");
    eventually("it is a dead letter", || metric(&server, "lanterna_outbox_dead_letters") == 1.0);
    assert_eq!(server.terminate(), Some(0));
    let letter: Value =
        serde_json::from_str(region.told(&["outbox", "list", "--json"]).trim()).expect("JSON");
    let told = region.told(&["outbox", "drop", &letter["number"].to_string()]);
    assert!(told.contains("1 messages are dropped"), "{told}");
    assert_eq!(region.told(&["outbox", "list"]), "");
}

#[test]
fn what_cannot_be_asked_is_rejected_at_once() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let patient = known_patient(&region, &client, 1);
    let unknown = format!("Patient/{}", client.create(&json!({ "resourceType": "Patient" })).id());
    let is_not_sent = [
        (task("choose-practitioner", &patient, None, ""), "no practitioner"),
        (task("revoke-practitioner", &patient, None, ""), "no practitioner"),
        (task("choose-practitioner", &unknown, Some(LAURA), ""), "no identifier"),
        (task("choose-practitioner", "Patient/none", Some(LAURA), ""), "no such patient"),
        (task("choose-practitioner", "Group/1", Some(LAURA), ""), "names no Patient"),
    ];
    for (order, why) in is_not_sent {
        let created = client.create(&order);
        assert_eq!(created.status, 201, "{}", created.json());
        let rejected = ended(&client, &format!("Task/{}", created.id()), "rejected");
        let text = rejected["statusReason"]["text"].as_str().unwrap_or_default().to_owned();
        assert!(text.contains(why), "{text}");
    }
    // What is no order of ours, or not yet, is left alone.
    let mut draft = task("choose-practitioner", &patient, Some(LAURA), "");
    draft["status"] = json!("draft");
    client.create(&draft);
    client.create(&json!({ "resourceType": "Task", "status": "requested", "intent": "order" }));
    let choice = order(&client, "choose-practitioner", &patient, Some(LAURA), "");
    ended(&client, &choice, "completed");
    assert_eq!(region.peer.noted().len(), 1);
}

#[test]
fn what_is_cancelled_is_not_sent() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let patient = known_patient(&region, &client, 1);
    region.peer.go_away();
    let choice = order(&client, "choose-practitioner", &patient, Some(LAURA), "");
    eventually("it waits", || metric(&server, "lanterna_outbox_waiting") == 1.0);
    let mut task = client.get(&choice).json();
    task["status"] = json!("cancelled");
    assert_eq!(client.json("PUT", &choice, &[], &task).map(|answer| answer.status), Ok(200));
    region.peer.come_back();
    eventually("nothing waits", || metric(&server, "lanterna_outbox_waiting") == 0.0);
    assert_eq!(region.peer.noted(), []);
    assert_eq!(client.get(&choice).json()["status"], "cancelled");
}
