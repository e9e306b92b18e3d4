//! The same question by demographics at three doors: who is told is the same.

use std::path::Path;

use tests::mllp::{MllpClient, code};
use tests::{Client, Server};

use super::free_port;

/// The domain whose identifiers the question of IPF asks for.
const DOMAIN: &str = "1.3.6.1.4.1.21367.2005.1.2";

fn feed(client: &mut MllpClient, id: &str, name: &str, born: &str, sex: &str) {
    let message = format!(
        "MSH|^~\\&|SIO|H1|LANTERNA|LIGURIA|20260102030405||ADT^A28^ADT_A05|{id}|P|2.5\rEVN||20260102030405\r\
         PID|1||{id}^^^&{DOMAIN}&ISO||{name}||{born}|{sex}|||3443 North Arctic Avenue^^Some City\rPV1|1|N\r"
    );
    let answer = client.ask(&message);
    assert_eq!(code(&answer), "AA", "{}", answer.write());
}

/// Returns what stands between two texts, each time.
fn between<'t>(text: &'t str, begin: &'t str, end: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(begin).skip(1).filter_map(move |rest| rest.split(end).next())
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

fn by_hl7v2(client: &mut MllpClient, question: &str) -> Vec<String> {
    let answer = client.ask(question);
    let written = answer.write();
    assert_eq!(answer.value("QAK", 2, 1).as_deref(), Some("OK"), "{written}");
    let patients = written.split('\r').filter(|segment| segment.starts_with("PID|"));
    sorted(patients.filter_map(|segment| Some(segment.split('|').nth(3)?.split('^').next()?.to_owned())))
}

fn by_hl7v3(client: &Client, origin: &str, question: &str) -> Vec<String> {
    let message = question.rsplit_once("-->").map_or(question, |(_, message)| message);
    let envelope = format!(
        "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
         xmlns:a='http://www.w3.org/2005/08/addressing'><s:Header><a:Action>urn:hl7-org:v3:PRPA_IN201305UV02\
         </a:Action><a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body>{message}</s:Body></s:Envelope>"
    );
    let headers = [("content-type", "application/soap+xml")];
    let answer =
        client.send("POST", &format!("{origin}/pdq/v3"), &headers, envelope.as_bytes()).expect("an answer");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert_eq!(answer.status, 200, "{text}");
    let patients = between(&text, "<hl7:patient ", "<hl7:custodian");
    let ids = patients.flat_map(|patient| between(patient, "<hl7:id ", ">"));
    let of_domain = ids.filter(|id| id.contains(&format!("root=\"{DOMAIN}\"")));
    sorted(of_domain.filter_map(|id| Some(between(id, "extension=\"", "\"").next()?.to_owned())))
}

fn by_fhir(client: &Client) -> Vec<String> {
    let question = format!(
        "Patient?family=Heidi&given=MARY&birthdate=1940-01-01&gender=female&address=3443%20North%20Arctic%20Avenue\
         &address-city=Some%20City&active:not=false&identifier=urn:oid:{DOMAIN}%7C"
    );
    let found = client.get(&question).json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    let ids = entries.iter().filter_map(|entry| entry["resource"]["identifier"][0]["value"].as_str());
    sorted(ids.map(str::to_owned))
}

#[test]
fn the_same_question_at_three_doors_gives_the_same_persons() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/hl7v3/ipf/translation/pdq");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let (Some(v2), Some(v3)) = (read("v2/PDQ_Maximal_Query.hl7"), read("v3/PDQ_Maximal_Query.xml")) else {
        println!("absent, the questions of others are not asked: {}", folder.display());
        return;
    };
    let data = tempfile::tempdir().expect("a folder");
    let mllp = free_port();
    let server = Server::start_with(data.path(), &["--mllp", &format!("127.0.0.1:{mllp}")], &[]);
    let mut client = MllpClient::connect(mllp).expect("a connection");
    for (id, name, born, sex) in [
        ("M1", "Heidi^MARY", "19400101", "F"),
        ("M2", "Heidi^MARY", "19400102", "F"),
        ("M3", "Heidi^MARCO", "19400101", "M"),
        ("M4", "Heide^MARY", "19400101", "F"),
    ] {
        feed(&mut client, id, name, born, sex);
    }
    let expected = vec!["M1".to_owned()];
    assert_eq!(by_hl7v2(&mut client, v2.trim_end_matches('\n')), expected);
    assert_eq!(by_hl7v3(&server.client(), &server.origin(), &v3), expected);
    assert_eq!(by_fhir(&server.client()), expected);
}
