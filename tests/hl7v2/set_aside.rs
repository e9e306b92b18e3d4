//! A message that was taken over and cannot be performed by the fault of this server holds
//! up those behind it for a while, is set aside, and is performed when an operator says so.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::mllp::code;

use super::acknowledgement::{asking, wait_for};
use super::{Running, identifier};

/// Messages are kept as they came, and set aside when they failed once.
const SETTINGS: &str = "[hl7v2]\nkeep = \"all\"\nfailures_max = 1\nfailing_seconds_max = 0\n";

fn lanterna(folder: &Path, arguments: &[&str]) -> String {
    let data = folder.join("data").display().to_string();
    let mut command = Command::new(tests::binary());
    let output = command.args(arguments).args(["--data", &data, "--log", "error"]).output().expect("run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A number of `/metrics`.
fn metric(running: &Running, name: &str) -> Option<String> {
    let place = format!("{}/metrics", running.server.origin());
    let answer = running.server.client().send("GET", &place, &[], &[]).expect("metrics");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

#[test]
fn a_message_that_fails_is_set_aside_and_performed_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), SETTINGS);
    let mut client = running.connect();
    assert_eq!(code(&client.ask(&asking("AL|NE", "1", "p1"))), "CA");
    wait_for(&running, "p1");
    // Larger documents go to a folder, which is away now; small ones do not.
    let (documents, away) = (folder.path().join("data/documents"), folder.path().join("away"));
    if documents.exists() {
        std::fs::rename(&documents, &away).expect("renamed");
    }
    std::fs::write(&documents, "no folder").expect("written");
    let large = format!("{}ZXX|{}\r", asking("AL|NE", "2", "p2"), "x".repeat(100_000));
    assert_eq!(code(&client.ask(&large)), "CA");
    let mut other = running.connect();
    assert_eq!(code(&other.ask(&asking("AL|NE", "3", "p3"))), "CA");
    // The one behind it goes on when it is set aside.
    wait_for(&running, "p3");
    assert_eq!(running.count(&format!("Patient?{}", identifier("p2"))), 0);
    assert_eq!(metric(&running, "lanterna_hl7v2_set_aside").as_deref(), Some("1"));
    assert_eq!(metric(&running, "lanterna_hl7v2_waiting").as_deref(), Some("0"));
    let listed: serde_json::Value =
        serde_json::from_str(&lanterna(folder.path(), &["inbox", "list", "--json"])).expect("one message");
    assert_eq!((&listed["sender"], &listed["failures"]), (&"SIO|H1".into(), &1.into()));
    assert!(listed["why"].as_str().is_some_and(|why| why.contains("could not be stored")), "{listed}");
    let number = listed["number"].to_string();
    assert!(lanterna(folder.path(), &["inbox", "show", &number]).contains("|p2^^^SIO"));
    // It survives a kill, and is not tried by itself.
    running.server.kill_now();
    std::fs::remove_file(&documents).expect("removed");
    if away.exists() {
        std::fs::rename(&away, &documents).expect("renamed");
    }
    let running = Running::start(folder.path(), SETTINGS);
    assert_eq!(running.count(&format!("Patient?{}", identifier("p2"))), 0);
    let told = lanterna(folder.path(), &["inbox", "retry", &number]);
    assert!(told.contains("1 messages are to be performed"), "{told}");
    wait_for(&running, "p2");
    let begin = Instant::now();
    while metric(&running, "lanterna_hl7v2_set_aside").as_deref() != Some("0") {
        assert!(begin.elapsed() < Duration::from_secs(30), "it is set aside still");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(lanterna(folder.path(), &["inbox", "list"]), "");
}
