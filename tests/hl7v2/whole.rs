//! A message is applied as a whole or not at all, also when it merges, and also when the
//! server is killed in the midst of it.

use std::path::Path;

use serde_json::Value;
use tests::mllp::{MllpClient, code};
use tests::{Numbers, repeats};

use super::{Running, adt, birth_date, header, identifier};
use ihe_adapters::wire::hl7v2::message::Message;

const AT: &str = "20260102030405+0100";
const LATER: &str = "20260103030405+0100";

/// A group of a message: how the survivor is, and who was merged into him.
fn group(survivor: &str, family: &str, subsumed: &str) -> String {
    let of = |patient: &str| format!("{patient}^^^SIO&1.2.3&ISO");
    let born = birth_date(survivor);
    format!("PID|1||{}||{family}^{survivor}||{born}|M\rMRG|{}\r", of(survivor), of(subsumed))
}

/// A visit by its number.
fn visit(number: &str) -> String {
    format!("PV1|1|I{}{number}^^^SIO&1.2.3&ISO\r", "|".repeat(17))
}

fn a40(control_id: &str, groups: &[String]) -> String {
    let start = header("ADT^A40^ADT_A39", control_id, "");
    format!("{start}EVN||{LATER}\r{}", groups.concat())
}

fn feed(client: &mut MllpClient, patients: &[&str]) {
    for patient in patients {
        let answer = client.ask(&adt("A28", &format!("f{patient}"), AT, patient, "ROSSI"));
        assert_eq!(code(&answer), "AA", "{}", answer.write());
    }
}

fn patient(running: &Running, of: &str) -> Value {
    running.one(&format!("Patient?{}", identifier(of)))
}

/// Into whom somebody was merged, as a reference.
fn replaced_by(patient: &Value) -> Option<String> {
    let links = patient["link"].as_array().into_iter().flatten();
    let mut replaced = links.filter(|link| link["type"] == "replaced-by");
    replaced.find_map(|link| link["other"]["reference"].as_str().map(str::to_owned))
}

fn place(patient: &Value) -> String {
    format!("Patient/{}", patient["id"].as_str().expect("an id"))
}

#[test]
fn a_message_with_several_merges_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    feed(&mut client, &["p1", "p2", "p3", "p4"]);
    // A chain, and one more who is merged into the same.
    let groups = [group("p2", "BIANCHI", "p1"), group("p3", "VERDI", "p2"), group("p3", "VERDI", "p4")];
    let message = a40("m1", &groups);
    let answer = client.ask(&message);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    let [p1, p2, p3, p4] = ["p1", "p2", "p3", "p4"].map(|of| patient(&running, of));
    assert_eq!(replaced_by(&p1), Some(place(&p2)));
    assert_eq!(replaced_by(&p2), Some(place(&p3)));
    assert_eq!(replaced_by(&p4), Some(place(&p3)));
    assert_eq!((replaced_by(&p3), &p3["name"][0]["family"]), (None, &Value::from("VERDI")));
    assert_eq!(p2["name"][0]["family"], "BIANCHI");
    // It is one message: one answer, one event, which tells of all.
    assert_eq!(client.ask(&message).write(), answer.write());
    let found = running.server.client().get("AuditEvent?_count=10").json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    let events: Vec<String> = entries.iter().map(|event| event["resource"]["entity"].to_string()).collect();
    let names = |event: &&String| [&p1, &p2, &p3, &p4].iter().all(|of| event.contains(&place(of)));
    assert_eq!(events.iter().filter(names).count(), 1, "{events:?}");
}

#[test]
fn what_is_refused_in_one_group_undoes_the_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    feed(&mut client, &["p1", "p2", "p3"]);
    let before = ["p1", "p2", "p3"].map(|of| patient(&running, of));
    for (number, (groups, place)) in [
        // Nobody is known by the second.
        ([group("p2", "BIANCHI", "p1"), group("p3", "VERDI", "p9")], "MRG^2^1"),
        // Who was merged away takes nobody's place.
        ([group("p2", "BIANCHI", "p1"), group("p1", "VERDI", "p3")], "MRG^2^1"),
        // A circle.
        ([group("p2", "BIANCHI", "p1"), group("p1", "VERDI", "p2")], "MRG^2^1"),
        ([group("p9", "BIANCHI", "p1"), group("p3", "VERDI", "p2")], "MRG^1^1"),
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!("{}{}", a40(&format!("w{number}"), &groups), visit(&format!("v{number}")));
        let answer = client.ask(&message);
        assert_eq!(code(&answer), "AE", "{}", answer.write());
        let told = answer.segment("ERR").expect("ERR").part(2).text().to_owned();
        assert!(told.starts_with(place), "{place}: {}", answer.write());
    }
    assert_eq!(["p1", "p2", "p3"].map(|of| patient(&running, of)), before);
    assert_eq!(running.count("Encounter"), 0);
}

#[test]
fn identifiers_move_with_the_rest_of_their_message() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    feed(&mut client, &["p1", "p2"]);
    let start = |event: &str, id: &str| format!("{}EVN||{LATER}\r", header(event, id, ""));
    // A47: the record has another number, and another name.
    let id = patient(&running, "p1")["id"].clone();
    let renamed = format!("{}{}", start("ADT^A47", "r1"), group("p7", "NERI", "p1"));
    let answer = client.ask(&renamed);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    assert_eq!(client.ask(&renamed).write(), answer.write());
    let found = patient(&running, "p7");
    assert_eq!((&found["id"], &found["name"][0]["family"]), (&id, &Value::from("NERI")));
    // One version for the message: the number and the name changed together.
    assert_eq!(found["meta"]["versionId"], "2");
    // A43: a number goes over to another record.
    let moved = format!("{}{}", start("ADT^A43", "m1"), group("p2", "GIALLI", "p7"));
    let answer = client.ask(&moved);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    let target = patient(&running, "p2");
    assert_eq!(
        (target["name"][0]["family"].as_str(), target["meta"]["versionId"].as_str()),
        (Some("GIALLI"), Some("2"))
    );
    let numbers = |patient: &Value| -> Vec<(String, bool)> {
        let all = patient["identifier"].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|of| (of["value"].as_str().unwrap_or_default().to_owned(), of["use"] == "old"))
            .collect()
    };
    assert!(numbers(&target).contains(&("p7".to_owned(), false)), "{target}");
    let source = running.server.client().get(&format!("Patient/{}", id.as_str().expect("an id"))).json();
    assert!(numbers(&source).contains(&("p7".to_owned(), true)), "{source}");
    // What cannot move changes nothing.
    let before = patient(&running, "p2");
    let refused = format!("{}{}", start("ADT^A43", "m2"), group("p2", "ROSA", "p9"));
    assert_eq!(code(&client.ask(&refused)), "AE");
    assert_eq!(patient(&running, "p2"), before);
}

/// The message of a pair: another name, a visit, and a merge.
fn merge_of(pair: usize) -> String {
    let groups = [group(&format!("b{pair}"), "NUOVO", &format!("a{pair}"))];
    format!("{}{}", a40(&format!("m{pair}"), &groups), visit(&format!("v{pair}")))
}

/// Whether what a message tells is so: all of it, or nothing.
fn is_applied(running: &Running, pair: usize) -> bool {
    let [subsumed, survivor] = ["a", "b"].map(|of| patient(running, &format!("{of}{pair}")));
    let visits = running.count(&format!("Encounter?identifier=urn:oid:1.2.3%7Cv{pair}"));
    let is_merged = replaced_by(&subsumed) == Some(place(&survivor));
    let is_named = survivor["name"][0]["family"] == "NUOVO";
    let parts = [is_merged, is_named, visits == 1, subsumed["active"] == false];
    assert!(parts.iter().all(|part| *part == parts[0]), "{pair}: {parts:?} {subsumed} {survivor}");
    is_merged
}

/// Sends until the server is gone; returns what was acknowledged.
fn send(port: u16, from: usize, until: usize) -> Vec<String> {
    let Ok(mut client) = MllpClient::connect(port) else { return Vec::new() };
    let mut answers = Vec::new();
    for pair in from..until {
        let Ok(answer) = client.send(merge_of(pair).as_bytes()) else { break };
        let answer = Message::read(&answer).expect("a message");
        assert_eq!(code(&answer), "AA", "{}", answer.write());
        answers.push(answer.write());
    }
    answers
}

fn kill_in_between(folder: &Path, (from, until): (usize, usize), milliseconds: u64) -> Vec<String> {
    let running = Running::start(folder, "");
    let port = running.mllp;
    let sender = std::thread::spawn(move || send(port, from, until));
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    running.server.kill_now();
    sender.join().expect("the sender")
}

#[test]
fn a_kill_leaves_all_of_a_merge_or_nothing() {
    const PAIRS: usize = 400;
    let kills = repeats("LANTERNA_MLLP_KILLS", 5);
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for pair in 0..PAIRS {
        for of in ["a", "b"] {
            let answer =
                client.ask(&adt("A28", &format!("f{of}{pair}"), AT, &format!("{of}{pair}"), "ROSSI"));
            assert_eq!(code(&answer), "AA", "{}", answer.write());
        }
    }
    running.server.kill_now();
    drop(running);
    let mut numbers = Numbers::new(11);
    let mut answers: Vec<String> = Vec::new();
    let mut unanswered = 0;
    for _ in 0..kills {
        answers.extend(kill_in_between(folder.path(), (answers.len(), PAIRS), 20 + numbers.below(150)));
        let running = Running::start(folder.path(), "");
        let next = answers.len();
        for pair in 0..next {
            assert!(is_applied(&running, pair), "{pair} was acknowledged");
        }
        if next < PAIRS {
            // The one that was not answered, and those after it.
            unanswered += usize::from(is_applied(&running, next));
            assert!((next + 1..PAIRS.min(next + 3)).all(|pair| !is_applied(&running, pair)));
        }
        // Sent again, the answer is the same.
        if let Some(last) = answers.last() {
            let mut client = running.connect();
            assert_eq!(client.ask(&merge_of(next - 1)).write(), *last);
        }
    }
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    for pair in answers.len()..(answers.len() + 2).min(PAIRS) {
        let answer = client.ask(&merge_of(pair));
        assert_eq!(code(&answer), "AA", "{}", answer.write());
        assert_eq!(client.ask(&merge_of(pair)).write(), answer.write());
        assert!(is_applied(&running, pair));
    }
    println!(
        "{} merges acknowledged over {kills} kills, {unanswered} stored without an answer",
        answers.len()
    );
    assert!(!answers.is_empty());
}
