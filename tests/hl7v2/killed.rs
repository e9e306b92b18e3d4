//! kill -9 under a load of ten senders: what was acknowledged is stored, in its
//! order, and nothing is applied twice.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tests::mllp::{MllpClient, code};
use tests::{Numbers, repeats};

use super::{Running, adt, identifier};
use ihe_adapters::wire::hl7v2::message::Message;

const SENDERS: usize = 10;

/// What a sender knows.
#[derive(Debug, Default, Clone)]
struct Sender {
    /// How many of its messages were acknowledged.
    acknowledged: u64,
}

/// Writes the message of a number: each changes the same patient.
fn message(sender: usize, number: u64) -> String {
    let at = format!("20260102{:02}{:02}{:02}+0100", number / 3600 % 24, number / 60 % 60, number % 60);
    adt("A31", &number.to_string(), &at, &format!("p{sender}"), &format!("N{number}"))
        .replace("|SIO|H1|", &format!("|SIO{sender}|H1|"))
}

/// Sends until the server is gone; what was not acknowledged is sent again first.
fn send(port: u16, sender: usize, state: &Mutex<Sender>, is_over: &AtomicBool) {
    let Ok(mut client) = MllpClient::connect(port) else { return };
    while !is_over.load(Ordering::Relaxed) {
        let number = state.lock().expect("lock").acknowledged + 1;
        let Ok(answer) = client.send(message(sender, number).as_bytes()) else { return };
        let answer = Message::read(&answer).expect("a message");
        assert_eq!(
            (code(&answer).as_str(), answer.value("MSA", 2, 1)),
            ("AA", Some(number.to_string())),
            "{}",
            answer.write()
        );
        state.lock().expect("lock").acknowledged = number;
    }
}

/// Checks what is stored of each sender: the versions of its patient, in order.
fn check(running: &Running, senders: &[Mutex<Sender>]) {
    for (number, sender) in senders.iter().enumerate() {
        let acknowledged = sender.lock().expect("lock").acknowledged;
        let found =
            running.server.client().get(&format!("Patient?{}", identifier(&format!("p{number}")))).json();
        let Some(id) = found["entry"][0]["resource"]["id"].as_str() else {
            assert_eq!(acknowledged, 0, "sender {number}: what was acknowledged is not there");
            continue;
        };
        let mut names = Vec::new();
        let mut next = Some(format!("Patient/{id}/_history?_count=1000"));
        while let Some(page) = next {
            let history = running.server.client().get(&page).json();
            let entries = history["entry"].as_array().cloned().unwrap_or_default();
            names.extend(
                entries
                    .iter()
                    .map(|e| e["resource"]["name"][0]["family"].as_str().unwrap_or_default().to_owned()),
            );
            let links = history["link"].as_array().cloned().unwrap_or_default();
            next = links
                .iter()
                .find(|l| l["relation"] == "next")
                .and_then(|l| l["url"].as_str())
                .map(str::to_owned);
        }
        names.reverse();
        // One more may be stored than was acknowledged: the answer was lost.
        let stored = names.len() as u64;
        assert!(
            stored == acknowledged || stored == acknowledged + 1,
            "sender {number}: {stored} of {acknowledged}"
        );
        let expected: Vec<String> = (1..=stored).map(|n| format!("N{n}")).collect();
        assert_eq!(names, expected, "sender {number}: in order, each once");
    }
}

fn run(folder: &Path, senders: &[Mutex<Sender>], milliseconds: u64) -> Running {
    let running = Running::start(folder, "");
    check(&running, senders);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for (number, sender) in senders.iter().enumerate() {
            let (port, is_over) = (running.mllp, &is_over);
            scope.spawn(move || send(port, number, sender, is_over));
        }
        std::thread::sleep(Duration::from_millis(milliseconds));
        running.server.kill_now();
        is_over.store(true, Ordering::Relaxed);
    });
    running
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_nothing_is_applied_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let senders: Vec<Mutex<Sender>> = (0..SENDERS).map(|_| Mutex::default()).collect();
    let kills = repeats("LANTERNA_MLLP_KILLS", 6);
    let mut numbers = Numbers::new(7);
    for _ in 0..kills {
        drop(run(folder.path(), &senders, 300 + numbers.below(700)));
    }
    let running = Running::start(folder.path(), "");
    check(&running, &senders);
    let all: u64 = senders.iter().map(|sender| sender.lock().expect("lock").acknowledged).sum();
    println!("{all} messages of {SENDERS} senders acknowledged over {kills} kills");
    assert!(all > 0);
}
