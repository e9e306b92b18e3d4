//! The sample queries and answers of others: the same question has an answer
//! of the same status and shape here.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::patient_demographics_query;
use crate::pix::pix_query;
use crate::pix::stored::Stored;
use crate::wire::hl7v2::acknowledgement::Acknowledging;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::part::Part;
use crate::wire::hl7v2::segment::Segment;

/// Where the answers are.
const FOLDERS: &[&str] = &[
    "hl7v3/ipf/translation/pixquery/v2",
    "hl7v3/ipf/translation/pdq/v2",
    "fhir/ipf/pixpdq/src/test/resources/pixquery/v2",
    "fhir/ipf/pixpdq/src/test/resources/pdqquery/v2",
    "hl7v2/ipf/commons/ihe/hl7v2/src/test/resources",
];

/// Answers that depart from the specification or from their own question, and how.
const DEPARTING: &[(&str, &str)] = &[
    ("translation/pixquery/v2/ok-2_Response.hl7", "the identifier that was asked with is told again"),
    ("translation/pixquery/v2/ok-4_Response.hl7", "the identifier that was asked with is told again"),
    ("translation/pdq/v2/PDQ_Maximal_Query_Response.hl7", "the patient has another name than was asked for"),
];

/// Returns the answers among the samples.
fn answers() -> Vec<(PathBuf, Message)> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe");
    let files = FOLDERS.iter().flat_map(|folder| std::fs::read_dir(base.join(folder)).into_iter().flatten());
    let mut answers = Vec::new();
    for path in files.flatten().map(|file| file.path()) {
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let Ok(message) = Message::read(&bytes) else { continue };
        if message.header(9).text().starts_with("RSP^K2") {
            answers.push((path, message));
        }
    }
    answers.sort_by(|one, other| one.0.cmp(&other.0));
    answers
}

/// Returns the identifiers of a field: value, namespace, OID.
fn identifiers(segment: &Segment, field: usize) -> Vec<[String; 3]> {
    let text = |part: Part<'_>| part.value().unwrap_or_default();
    let repetitions = segment.part(field).repetitions().filter(|repetition| !repetition.is_empty());
    let authority = |of: Part<'_>, at| text(of.component(4).subcomponent(at));
    repetitions.map(|of| [text(of.component(1)), authority(of, 1), authority(of, 2)]).collect()
}

/// Makes the records that an answer tells of, and the domains that it names.
fn stored(answer: &Message) -> Stored {
    let query = answer.segment("QPD").expect("the query");
    let is_pix = answer.header(9).component(2).text() == "K23";
    let mut named: Vec<[String; 3]> = answer.segments("PID").flat_map(|pid| identifiers(pid, 3)).collect();
    named.extend(identifiers(query, if is_pix { 3 } else { 8 }));
    named.extend(identifiers(query, if is_pix { 4 } else { 99 }));
    // A domain has one name and one OID, whichever of them a message has; some samples have a
    // name with several.
    let mut domains: Vec<(String, String)> = Vec::new();
    for [_, name, oid] in &named {
        let known = domains
            .iter_mut()
            .find(|(n, o)| (!name.is_empty() && n == name) || (!oid.is_empty() && o == oid));
        match known {
            Some((_, known)) if known.is_empty() => known.clone_from(oid),
            Some(_) => {}
            None => domains.push((name.clone(), oid.clone())),
        }
    }
    for (at, (_, oid)) in domains.iter_mut().enumerate().filter(|(_, (_, oid))| oid.is_empty()) {
        *oid = format!("1.2.99.{}", at + 1);
    }
    let system = |of: &[String; 3]| -> String {
        let [_, name, oid] = of;
        let known = domains.iter().find(|(n, o)| if oid.is_empty() { n == name } else { o == oid });
        format!("urn:oid:{}", known.map_or(oid.as_str(), |(_, oid)| oid))
    };
    let json_of = |of: &[String; 3]| json!({ "system": system(of), "value": of[0] });
    let mut resources = Vec::new();
    for (at, pid) in answer.segments("PID").enumerate() {
        let mut all: Vec<Value> = identifiers(pid, 3).iter().map(json_of).collect();
        if is_pix {
            all.extend(identifiers(query, 3).iter().map(json_of));
        }
        let (birth, sex) = (pid.part(7).text(), pid.part(8).text());
        let names = pid.part(5).repetitions().filter_map(|name| {
            let given = name.component(2).value();
            Some(json!({ "family": name.component(1).value()?, "given": given.into_iter().collect::<Vec<_>>() }))
        });
        let address = pid.part(11);
        resources.push(json!({
            "resourceType": "Patient", "id": format!("p{at:02}"), "identifier": all, "name": names.collect::<Vec<Value>>(),
            "birthDate": birth.get(..8).map(|d| format!("{}-{}-{}", &d[..4], &d[4..6], &d[6..])),
            "gender": match sex { "F" => "female", "M" => "male", _ => "unknown" },
            "address": [{ "city": address.component(3).value(), "country": address.component(6).value() }],
        }));
    }
    if resources.is_empty() && answer.value("MSA", 1, 1).as_deref() == Some("AA") {
        let all: Vec<Value> = identifiers(query, 3).iter().map(json_of).collect();
        resources.push(json!({ "resourceType": "Patient", "id": "p", "identifier": all }));
    }
    let domains: Vec<(&str, &str)> =
        domains.iter().map(|(name, oid)| (name.as_str(), oid.as_str())).collect();
    Stored::new(Value::Array(resources), &domains)
}

/// Makes the question of an answer.
fn question(answer: &Message) -> Message {
    let event = if answer.header(9).component(2).text() == "K23" { "Q23" } else { "Q22" };
    let header = format!(
        "MSH|^~\\&|A|B|C|D|||QBP^{event}^QBP_Q21|{}|P|2.5\r",
        answer.value("MSA", 2, 1).unwrap_or_default()
    );
    let query = answer.segment("QPD").expect("the query").text();
    Message::parse(&format!("{header}{query}\rRCP|I\r")).expect("a question")
}

/// Tells what is compared: status, place of the error, and how many patients with how many
/// identifiers.
fn shape(answer: &Message) -> String {
    let value = |segment: &str, field| answer.segment(segment).map(|s| s.part(field).text().to_owned());
    let code = answer.value("ERR", 3, 1);
    let ids = |pid| identifiers(pid, 3).into_iter().map(|[value, ..]| value).collect::<Vec<String>>();
    let patients: Vec<Vec<String>> = answer.segments("PID").map(ids).collect();
    let name = answer.segment("PID").map(|pid| pid.part(5).text().starts_with("~^^^^^^S"));
    let status = (value("MSA", 1), value("QAK", 2), value("ERR", 2), code);
    let query = value("QPD", 3);
    format!("{:?} {status:?} {query:?} {name:?} {patients:?}", answer.header(9).text())
}

#[tokio::test]
async fn the_same_question_has_the_same_answer() {
    let answers = answers();
    let mut compared = 0;
    for (path, expected) in &answers {
        let question = question(expected);
        let is_pix = expected.header(9).component(2).text() == "K23";
        let stored = stored(expected);
        let index = stored.index();
        let answered = match is_pix {
            true => pix_query::answer(&index, &question).await,
            false => patient_demographics_query::answer(&index, &question).await,
        };
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        let acknowledging = Acknowledging { control_id: "9", at, application: "LANTERNA" };
        let answer = answered.expect("an answer").message(&question, &acknowledging);
        let departs = DEPARTING.iter().find(|(name, _)| path.ends_with(name));
        match departs {
            Some((name, why)) => {
                assert_ne!(shape(&answer), shape(expected), "{name} does not depart");
                println!("{name} departs: {why}");
            }
            None => assert_eq!(shape(&answer), shape(expected), "{}", path.display()),
        }
        compared += 1;
    }
    println!("{compared} answers compared");
    assert!(compared > 0 || answers.is_empty());
}
