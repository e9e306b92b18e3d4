//! What messages tell is stored: in one transaction, once, and not over what is newer.

use serde_json::Value;
use tests::mllp::code;

use super::{Running, adt, header, identifier};

const AT: &str = "20260102030405+0100";

#[test]
fn a_feed_is_stored_and_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "[hl7v2]\nkeep = \"all\"\n");
    let mut client = running.connect();
    let answer = client.ask(&adt("A28", "1", AT, "p1", "ROSSI"));
    assert_eq!(code(&answer), "AA", "{}", answer.write());
    for (field, expected) in [(3, "LANTERNA"), (4, "LIGURIA"), (5, "SIO"), (6, "H1"), (9, "ACK"), (12, "2.5")]
    {
        assert_eq!(answer.value("MSH", field, 1).as_deref(), Some(expected), "MSH-{field}");
    }
    let patient = running.one(&format!("Patient?{}", identifier("p1")));
    assert_eq!(patient["name"][0]["family"], "ROSSI");
    let place = format!("Patient/{}", patient["id"].as_str().expect("an id"));
    let event = running.one("AuditEvent");
    assert_eq!(event["subtype"][0]["code"], "ITI-30");
    assert_eq!(event["outcome"], "0");
    assert_eq!(event["entity"][0]["what"]["reference"], Value::from(place.as_str()), "{event}");
    let provenance = running.one(&format!("Provenance?target={place}"));
    let binary = provenance["entity"][0]["what"]["reference"].as_str().expect("a Binary").to_owned();
    let raw =
        running.server.client().send("GET", &binary, &[("accept", "application/hl7-v2")], &[]).expect("read");
    assert_eq!(raw.body, adt("A28", "1", AT, "p1", "ROSSI").into_bytes());
}

#[test]
fn what_has_no_place_is_kept_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    let odd = format!("{}ZXX|what nobody knows\r", adt("A28", "1", AT, "p1", "ROSSI"));
    assert_eq!(code(&client.ask(&odd)), "AA");
    let provenance = running.one("Provenance");
    let places: Vec<&str> = provenance["extension"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|extension| extension["valueString"].as_str())
        .collect();
    assert!(places.iter().any(|place| place.starts_with("ZXX-1")), "{provenance}");
}

#[test]
fn a_duplicate_is_answered_as_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let first = running.connect().send(adt("A28", "1", AT, "p1", "ROSSI").as_bytes()).expect("answered");
    // Also when it is sent again at another time, on another connection, after others.
    assert_eq!(code(&running.connect().ask(&adt("A31", "2", AT, "p1", "BIANCHI"))), "AA");
    let again = adt("A28", "1", AT, "p1", "ROSSI").replace("|20260102030405|", "|20260102030500|");
    let again = running.connect().send(again.as_bytes()).expect("answered");
    assert_eq!(String::from_utf8_lossy(&first), String::from_utf8_lossy(&again));
    let patient = running.one(&format!("Patient?{}", identifier("p1")));
    assert_eq!(
        (&patient["name"][0]["family"], &patient["meta"]["versionId"]),
        (&"BIANCHI".into(), &"2".into())
    );
    // Another sender has its own numbers.
    let other = adt("A28", "1", AT, "p2", "VERDI").replace("|SIO|H1|", "|LIS|H1|");
    assert_eq!(code(&running.connect().ask(&other)), "AA");
    assert_eq!(running.count("Patient"), 2);
    // The same number for something else is no duplicate, and not lost in silence.
    let answer = running.connect().ask(&adt("A28", "1", AT, "p3", "NERI"));
    assert_eq!((code(&answer).as_str(), answer.value("ERR", 3, 1).as_deref()), ("AE", Some("205")));
    assert_eq!(running.count("Patient"), 2);
}

#[test]
fn a_query_is_answered_and_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[[identity.domains]]\nname = \"SIO\"\noid = \"1.2.3\"\nkind = \"local\"\n\
                    [[identity.domains]]\nname = \"LIS\"\noid = \"1.2.4\"\nkind = \"local\"\n";
    let running = Running::start(folder.path(), settings);
    let mut client = running.connect();
    assert_eq!(code(&client.ask(&adt("A28", "1", AT, "p1", "ROSSI"))), "AA");
    let question = "QPD|IHE PDQ Query|tag|@PID.5.1.1^ROSSI\rRCP|I\r";
    let answer = client.ask(&format!("{}{question}", header("QBP^Q22^QBP_Q21", "q1", "")));
    assert_eq!(
        (code(&answer).as_str(), answer.value("QAK", 2, 1).as_deref()),
        ("AA", Some("OK")),
        "{}",
        answer.write()
    );
    assert_eq!(answer.value("PID", 3, 1).as_deref(), Some("p1"), "{}", answer.write());
    let question = "QPD|IHE PIX Query|tag|p1^^^SIO&1.2.3&ISO\rRCP|I\r";
    let answer = client.ask(&format!("{}{question}", header("QBP^Q23^QBP_Q21", "q2", "")));
    assert_eq!(
        (code(&answer).as_str(), answer.value("QAK", 2, 1).as_deref()),
        ("AA", Some("NF")),
        "{}",
        answer.write()
    );
    // The answer to a query is no acknowledgement: it is there whatever MSH-15 says.
    let answer = client.ask(&format!("{}{question}", header("QBP^Q23^QBP_Q21", "q3", "|||ER")));
    assert_eq!(answer.value("QAK", 2, 1).as_deref(), Some("NF"));
    let cancelled = client.ask(&format!("{}QID|tag|IHE PDQ Query\r", header("QCN^J01^QCN_J01", "q4", "")));
    assert_eq!(code(&cancelled), "AA");
    let recorded = running.server.client().get("AuditEvent?_sort=_lastUpdated").json();
    let kinds: Vec<&str> = recorded["entry"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["resource"]["subtype"][0]["code"].as_str())
        .collect();
    assert_eq!(kinds, ["ITI-30", "ITI-21", "ITI-9", "ITI-9", "ITI-21"]);
}

#[test]
fn what_is_older_does_not_overwrite() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), "");
    let mut client = running.connect();
    assert_eq!(code(&client.ask(&adt("A28", "2", "20260103000000+0100", "p1", "NEW"))), "AA");
    let older = adt("A31", "1", "20260102000000+0100", "p1", "OLD");
    let answer = client.ask(&older);
    assert_eq!(code(&answer), "AA");
    assert_eq!(answer.value("ERR", 4, 1).as_deref(), Some("W"), "{}", answer.write());
    assert_eq!(answer.segment("ERR").map(|err| err.part(2).text()), Some("EVN^1^2^1"));
    let patient = running.one(&format!("Patient?{}", identifier("p1")));
    assert_eq!(patient["name"][0]["family"], "NEW");
    // It is answered so again.
    assert_eq!(client.ask(&older).write(), answer.write());
}

#[test]
fn what_cannot_be_stored_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "[[identity.domains]]\nname = \"SIO\"\noid = \"1.2.3\"\nkind = \"local\"\n";
    let running = Running::start(folder.path(), settings);
    let mut client = running.connect();
    let patient = |id: &str| format!("PID|1||{id}||ROSSI^MARIO||19800101|M\r");
    let good = "p1^^^SIO&1.2.3&ISO";
    let with = |kind: &str, rest: String| format!("{}{rest}", header(kind, "1", ""));
    let visit = "PV1|1|N\r";
    let evn = "EVN||20260102\r";
    let cases = [
        ("no identifier", with("ADT^A28", format!("{evn}{}{visit}", patient(""))), "AE", "101", "PID^1^3"),
        (
            "an unknown domain",
            with("ADT^A28", format!("{evn}{}{visit}", patient("p1^^^LIS&1.2.9&ISO"))),
            "AE",
            "204",
            "PID^1^3",
        ),
        ("no PID", with("ADT^A28", format!("{evn}{visit}")), "AE", "100", "PID^1"),
        ("an unknown event", with("ADT^A99", format!("{evn}{}", patient(good))), "AR", "201", "MSH^1^9^1^2"),
        ("an unknown type", with("XYZ^A01", format!("{evn}{}", patient(good))), "AR", "200", "MSH^1^9^1^1"),
        (
            "another version",
            with("ADT^A28", format!("{evn}{}", patient(good))).replace("|2.5\r", "|3.0\r"),
            "AR",
            "203",
            "MSH^1^12^1",
        ),
        (
            "a test",
            with("ADT^A28", format!("{evn}{}", patient(good))).replace("|P|2.5", "|T|2.5"),
            "AR",
            "202",
            "MSH^1^11^1",
        ),
        (
            "no control id",
            with("ADT^A28", format!("{evn}{}", patient(good))).replace("|1|P|", "||P|"),
            "AR",
            "101",
            "MSH^1^10^1",
        ),
        (
            "a merge of nobody",
            with("ADT^A40", format!("{evn}{}MRG|p9^^^SIO&1.2.3&ISO\r", patient(good))),
            "AE",
            "204",
            "MRG^1^1",
        ),
    ];
    for (why, message, expected, condition, place) in cases {
        let answer = client.ask(&message);
        let error = answer.segment("ERR").map(|err| err.part(2).text().to_owned()).unwrap_or_default();
        let found = (code(&answer), answer.value("ERR", 3, 1).unwrap_or_default());
        assert_eq!(found, (expected.to_owned(), condition.to_owned()), "{why}: {}", answer.write());
        assert!(error.starts_with(place), "{why}: {}", answer.write());
        assert_eq!(running.count("Patient"), 0, "{why}");
    }
    // What was read of a header that is taken is recorded, also where it was refused.
    let refused = running.server.client().get("AuditEvent?outcome=4").json();
    assert_eq!(refused["total"], 4, "{refused}");
    // The number is free for who corrects the message.
    let good = with("ADT^A28", format!("{evn}{}{visit}", patient(good)));
    assert_eq!(code(&client.ask(&good)), "AA");
}
