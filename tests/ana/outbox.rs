//! What has to reach ANA reaches it, once, in the order of each patient.

use std::collections::{BTreeMap, BTreeSet};

use conformance::peer::ana::Behaviour;
use serde_json::json;
use tests::Numbers;

use super::*;

/// Orders many choices by transactions: `each` for each patient, in order. The practitioner's code
/// says which one it is.
fn order_many(client: &Client, patients: &[String], each: usize) {
    let mut entries = Vec::new();
    for number in 0..each {
        for patient in patients {
            let code = if number == 0 { "choose-practitioner" } else { "change-practitioner" };
            let task = task(code, patient, Some(&format!("M{number:05}")), "");
            entries.push(json!({ "resource": task, "request": { "method": "POST", "url": "Task" } }));
        }
    }
    for entries in entries.chunks(100) {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        let answer = client.json("POST", "", &[], &bundle).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
}

/// Checks that each order was noted once, and those of a patient in their order.
fn check_noted(region: &Region, patients: usize, each: usize) {
    let mut of_patients: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for noted in region.peer.noted() {
        assert!(ids.insert(noted.id), "a message was processed twice");
        of_patients.entry(noted.person).or_default().push(noted.practitioner);
    }
    let expected: Vec<String> = (0..each).map(|number| format!("M{number:05}")).collect();
    assert_eq!(of_patients.len(), patients);
    for (person, noted) in of_patients {
        assert!(noted == expected, "{person}: {noted:?}");
    }
    // What came again came with the same id.
    let mut by_order: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for message in region.peer.received().iter().filter(|m| m.contains("SceltaMedicoRichiesta")) {
        let part = |name: &str| {
            let rest = message.split(name).nth(1).unwrap_or_default();
            rest.split_once('>').map_or("", |(_, text)| text).split('<').next().unwrap_or_default().to_owned()
        };
        let order = (part("identificativo"), part("codiceFiscaleMedico"));
        by_order.entry(order).or_default().insert(part("idMessaggio"));
    }
    assert_eq!(by_order.len(), patients * each);
    assert!(by_order.values().all(|ids| ids.len() == 1), "an order was sent with two ids");
}

fn patients(region: &Region, client: &Client, count: usize) -> Vec<String> {
    (0..count).map(|number| known_patient(region, client, number)).collect()
}

#[test]
fn what_was_processed_and_not_answered_is_done_once() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let patients = patients(&region, &client, 2);
    // The first two messages are processed, and the answers never come.
    region.peer.behave(|xml, before| match before {
        _ if xml.contains("Variazioni") => Behaviour::Good,
        before if before % 3 == 0 => Behaviour::SilentAfterwards,
        before if before % 3 == 1 => Behaviour::BrokenAfterwards,
        _ => Behaviour::Good,
    });
    let orders =
        patients.iter().map(|patient| order(&client, "choose-practitioner", patient, Some("M00000"), ""));
    for task in orders.collect::<Vec<_>>() {
        ended(&client, &task, "completed");
    }
    check_noted(&region, 2, 1);
    let sent = region.peer.received().iter().filter(|m| m.contains("SceltaMedico")).count();
    assert!(sent > 2, "{sent} messages: none came again");
    assert!(metric(&server, "lanterna_outbox_failures_total") >= 1.0);
}

#[test]
fn who_is_away_is_let_rest_and_gets_everything_when_back() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let patients = patients(&region, &client, 10);
    region.peer.go_away();
    order_many(&client, &patients, 10);
    eventually("the circuit is open", || metric(&server, "lanterna_outbox_circuits_open") == 1.0);
    eventually("all wait", || metric(&server, "lanterna_outbox_waiting") == 100.0);
    region.peer.come_back();
    eventually("all were sent", || metric(&server, "lanterna_outbox_waiting") == 0.0);
    check_noted(&region, 10, 10);
    assert_eq!(total(&client, "Task?status=completed"), 100);
    assert_eq!(metric(&server, "lanterna_outbox_circuits_open"), 0.0);
    assert_eq!(metric(&server, "lanterna_outbox_given_up_total"), 0.0);
}

#[test]
fn a_message_that_never_goes_is_a_dead_letter_and_goes_when_sent_again() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let patients = patients(&region, &client, 3);
    let poison = tax_code(0);
    region.peer.behave(move |xml, _| if xml.contains(&poison) { Behaviour::Fault } else { Behaviour::Good });
    let dead = order(&client, "choose-practitioner", &patients[0], Some("M00000"), "");
    // Others go past it: that tells that it is the message.
    let mut number = 0;
    eventually("it is given up", || {
        std::thread::sleep(Duration::from_millis(100));
        order(&client, "choose-practitioner", &patients[1], Some("M00001"), "");
        metric(&server, "lanterna_outbox_dead_letters") == 1.0
    });
    let failed = ended(&client, &dead, "failed");
    let why = failed["statusReason"]["text"].as_str().unwrap_or_default();
    assert!(why.contains("errore interno"), "{why}");
    let listed = region.told(&["outbox", "list", "--dead"]);
    assert!(listed.contains(&dead) && listed.contains("dead") && listed.lines().count() == 1, "{listed}");
    let before = region.peer.received();
    let first = before.iter().find(|m| m.contains(&tax_code(0))).expect("it was sent").clone();
    number += before.iter().filter(|m| m.contains(&tax_code(0))).count();
    assert!(number >= 4, "{number} tries");

    region.peer.behave(|_, _| Behaviour::Good);
    let told = region.told(&["outbox", "retry", "--all"]);
    assert!(told.contains("1 messages are sent again"), "{told}");
    ended(&client, &dead, "completed");
    let again = region.peer.received().into_iter().rfind(|m| m.contains(&tax_code(0)));
    assert_eq!(again.as_ref(), Some(&first), "it is the same message");
    assert_eq!(region.peer.noted().iter().filter(|noted| noted.person == tax_code(0)).count(), 1);
}

#[test]
fn nothing_is_lost_or_doubled_over_kills_and_failures() {
    const PATIENTS: usize = 60;
    const EACH: usize = 50;
    // So many failures hit one message by chance, and none is given up for it.
    let region = Region::patient_for(50, "");
    let mut server = region.serve();
    let patients = patients(&region, &server.client(), PATIENTS);
    region.peer.behave(|xml, before| match before % 17 {
        _ if xml.contains("Variazioni") => Behaviour::Good,
        3 => Behaviour::BrokenAfterwards,
        7 => Behaviour::Garbage,
        9 => Behaviour::Status(503),
        11 => Behaviour::Refused("A098"),
        13 => Behaviour::Fault,
        15 if before % 5 == 0 => Behaviour::SilentAfterwards,
        _ => Behaviour::Slow(Duration::from_millis(2)),
    });
    order_many(&server.client(), &patients, EACH);
    let mut numbers = Numbers::new(11);
    let mut most_left = 0.0_f64;
    for cycle in 0..tests::repeats("LANTERNA_KILL_CYCLES", 6) {
        std::thread::sleep(Duration::from_millis(100 + numbers.below(400)));
        server.kill();
        server = region.serve();
        let left = (PATIENTS * EACH) as f64 - total(&server.client(), "Task?status=completed") as f64;
        println!("kill {cycle}: {left} orders left");
        most_left = most_left.max(left);
    }
    assert!(most_left > 0.0, "all was over before the first kill");
    eventually_within(240, "all were sent", || {
        total(&server.client(), "Task?status=completed") == (PATIENTS * EACH) as u64
    });
    assert_eq!(metric(&server, "lanterna_outbox_dead_letters"), 0.0);
    check_noted(&region, PATIENTS, EACH);
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(region.told(&["outbox", "list"]), "");
    region.told(&["check"]);
}
