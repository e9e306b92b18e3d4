//! What consumers ask: the same by both wires, as it is, and by FHIR.

use std::collections::BTreeSet;

use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::xml::Element;

use super::doors::Doors;
use super::samples::{are_there, feed_by_hl7v2, feed_by_hl7v3, hl7v2, hl7v3, patients, pids};
use super::told::Told;
use crate::doors::{ByHl7v2, ByHl7v3, ByPixm, Door, Unknown};
use crate::model::Identifier;

/// What of HL7 v2 asks the same as a message of HL7 v3.
enum ByV2 {
    /// The message that stands beside it.
    Message(&'static str),
    /// QPD-3 of the answer that stands beside it.
    OfAnswer(&'static str),
    /// QPD-3 of our own; where there are several, who answers to one of them is meant.
    Parameters(&'static [&'static str]),
}

/// A question by demographics.
struct Question {
    hl7v3: &'static str,
    hl7v2: ByV2,
    /// Searches; where there are several, who is found by one of them is meant.
    fhir: &'static [&'static str],
    /// Whom there are to be found: fields of PID, and the answer whose patients there are as well.
    seeds: &'static [&'static str],
    answer: Option<&'static str>,
    /// Who is to be found, by an identifier.
    expected: &'static [&'static str],
}

const HEIDI: &[&str] = &[
    "PID|1||M1^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||Heidi^MARY||19400101|F|||3443 North Arctic Avenue^^Some City",
    "PID|1||M2^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||Heidi^MARY||19400102|F|||3443 North Arctic Avenue^^Some City",
    "PID|1||M3^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||Heidi^MARCO||19400101|M|||3443 North Arctic Avenue^^Some City",
    "PID|1||M4^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||Heide^MARY||19400101|F|||3443 North Arctic Avenue^^Some City",
    "PID|1||M5^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||Heidi^ANNA||19400101|F|||3443 North Arctic Avenue^^Some City",
    "PID|1||M6^^^&1.3.6.1.4.1.21367.2005.1.3&ISO||Heidi^MARY||19400101|F|||3443 North Arctic Avenue^^Some City",
];

const MOORE: &[&str] = &[
    "PID|1||C1^^^&1.2.3.4.5&ISO||MOORE^CHIP||19510707|M",
    "PID|1||C2^^^&1.2.3.4.5&ISO||MOORE^CHAP||19510708|M",
    "PID|1||C3^^^&1.2.3.4.5&ISO||MOORER^CHIP||19510709|M",
];

/// All questions of the pairs. PDQ.xml has no message of HL7 v2 beside it; it names a given and a family
/// name apart, which are alternatives by ITI TF-2 3.47.4.1.2.2 (IPF asks for both at once).
const QUESTIONS: &[Question] = &[
    Question {
        hl7v3: "pdq/v3/PDQ_Maximal_Query",
        hl7v2: ByV2::Message("pdq/v2/PDQ_Maximal_Query"),
        fhir: &["family:exact=Heidi&given:exact=MARY&birthdate=1940-01-01&gender=female\
                 &address=3443%20North%20Arctic%20Avenue&address-city=Some%20City&identifier=urn:oid:1.3.6.1.4.1.21367.2005.1.2%7C"],
        seeds: HEIDI,
        answer: None,
        expected: &["M1"],
    },
    Question {
        hl7v3: "pdq/v3/PDQ",
        hl7v2: ByV2::Parameters(&[
            "@PID.5.1^Heidi~@PID.7^19400101~@PID.8^F~@PID.11.1^3443 North Arctic Avenue~@PID.11.3^Some City|||||^^^&1.3.6.1.4.1.21367.2005.1.2&ISO",
            "@PID.5.2^MARY~@PID.7^19400101~@PID.8^F~@PID.11.1^3443 North Arctic Avenue~@PID.11.3^Some City|||||^^^&1.3.6.1.4.1.21367.2005.1.2&ISO",
        ]),
        fhir: &[
            "family:exact=Heidi&birthdate=1940-01-01&gender=female&address-city=Some%20City&identifier=urn:oid:1.3.6.1.4.1.21367.2005.1.2%7C",
            "given:exact=MARY&birthdate=1940-01-01&gender=female&address-city=Some%20City&identifier=urn:oid:1.3.6.1.4.1.21367.2005.1.2%7C",
        ],
        seeds: HEIDI,
        answer: None,
        expected: &["M1", "M4", "M5"],
    },
    Question {
        hl7v3: "pdq/v3/PDQ_ID_Query",
        hl7v2: ByV2::Message("pdq/v2/PDQ_ID_Query"),
        fhir: &[
            "identifier=urn:oid:1.2.3.4%7CPDQ113XX03&identifier=urn:oid:1.2.3.4.5%7CPDQ113XX04&identifier=urn:oid:1.2.3%7CACC001",
        ],
        // The account is asked for as an account by HL7 v2, and as an identifier by HL7 v3.
        seeds: &[
            "PID|1||PDQ113XX03^^^&1.2.3.4&ISO~PDQ113XX04^^^&1.2.3.4.5&ISO~ACC001^^^&1.2.3&ISO||VERDI^ANNA||19600101|F||||||||||ACC001^^^&1.2.3&ISO",
            "PID|1||PDQ113XX03^^^&1.2.3.5&ISO~PDQ113XX04^^^&1.2.3.4.6&ISO||BIANCHI^UGO||19610101|M||||||||||ACC001^^^&1.2.4&ISO",
        ],
        answer: None,
        expected: &["PDQ113XX03"],
    },
    Question {
        hl7v3: "pdq/v3/PDQ_with_PID4",
        hl7v2: ByV2::OfAnswer("pdq/v2/PDQ_with_PID4_Response"),
        fhir: &["birthdate=1980-01-31"],
        seeds: HEIDI,
        answer: Some("PDQ_with_PID4_Response"),
        expected: &["78007", "PDQ113XX0001"],
    },
    Question {
        hl7v3: "pdq/v3/PDQ_connectathon2011_namespaces_issue",
        hl7v2: ByV2::Parameters(&["@PID.5.1^MOORE~@PID.5.2^CHIP"]),
        fhir: &["family:exact=MOORE&given:exact=CHIP"],
        seeds: MOORE,
        answer: Some("PDQ_connectathon2011_namespaces_issue_Response"),
        expected: &["C1"],
    },
    Question {
        hl7v3: "pdq/v3/PDQ_unused_global_namespace_issue",
        hl7v2: ByV2::Parameters(&["@PID.5.1^MOORE~@PID.5.2^CHIP"]),
        fhir: &["family:exact=MOORE&given:exact=CHIP"],
        seeds: MOORE,
        answer: Some("PDQ_unused_global_namespace_issue_Response"),
        expected: &["C1"],
    },
];

/// The questions that stand in answers of HL7 v2, and have no message of HL7 v3 beside them.
const OF_ANSWERS: &[(&str, &str, usize)] = &[
    (
        "PDQ_Response",
        "<patientAddress><value><country>DE</country></value><semanticsText>Patient.address</semanticsText></patientAddress>",
        9,
    ),
    (
        "PDQ_connectathon2011_namespaces_issue_Response",
        "<patientAddress><value><country>DE</country></value><semanticsText>Patient.address</semanticsText></patientAddress>",
        2,
    ),
    (
        "PDQ_unused_global_namespace_issue_Response",
        "<patientAddress><value><country>DE</country></value><semanticsText>Patient.address</semanticsText></patientAddress>",
        2,
    ),
];

fn query(number: usize, asked: &str) -> String {
    format!(
        "MSH|^~\\&|CONSUMER|H1|LANTERNA|LIGURIA|20260102030405||QBP^Q22^QBP_Q21|q{number}|P|2.5\r\
         QPD|IHE PDQ Query|q{number}|{asked}\rRCP|I\r"
    )
}

/// Returns QPD-3 and what follows it.
fn asked_in(message: &str) -> String {
    let message = Message::parse(message).expect("a message");
    message.segment("QPD").expect("a query").text().splitn(4, '|').nth(3).expect("parameters").to_owned()
}

fn seed(doors: &Doors, seeds: &[&str], answer: Option<&str>) {
    for (number, pid) in seeds.iter().enumerate() {
        assert_eq!(doors.tell_by_hl7v2(&feed_by_hl7v2(number, pid)), (true, String::new()), "{pid}");
    }
    for patient in answer.map(|answer| patients(&hl7v3(&format!("pdq/v3/{answer}")))).unwrap_or_default() {
        assert_eq!(doors.tell_by_hl7v3(&feed_by_hl7v3(&patient)), (true, String::new()));
    }
}

/// Puts together who is told by one of several questions.
fn either(all: impl Iterator<Item = Vec<Told>>) -> BTreeSet<Told> {
    all.flatten().collect()
}

fn differ(name: &str, told: &[(&str, BTreeSet<Told>)]) -> Option<String> {
    let (first, rest) = told.split_first()?;
    let other = rest.iter().find(|(_, persons)| *persons != first.1)?;
    Some(format!("{name}: {} {:#?}\n{} {:#?}", first.0, first.1, other.0, other.1))
}

#[test]
fn the_same_question_gives_the_same_persons_at_three_doors() {
    if !are_there() {
        return;
    }
    let mut wrong = Vec::new();
    for question in QUESTIONS {
        let folder = tempfile::tempdir().expect("a folder");
        let doors = Doors::open(folder.path(), &[]);
        seed(&doors, question.seeds, question.answer);
        let by_hl7v2: Vec<String> = match &question.hl7v2 {
            ByV2::Message(name) => vec![hl7v2(name)],
            ByV2::OfAnswer(name) => vec![query(0, &asked_in(&hl7v2(name)))],
            ByV2::Parameters(all) => all.iter().enumerate().map(|(at, asked)| query(at, asked)).collect(),
        };
        let told = [
            ("ITI-21", either(by_hl7v2.iter().map(|message| doors.persons_by_hl7v2(message)))),
            ("ITI-47", either(std::iter::once(doors.persons_by_hl7v3(&hl7v3(question.hl7v3))))),
            ("ITI-78", either(question.fhir.iter().map(|asked| doors.persons_by_fhir(asked)))),
        ];
        wrong.extend(differ(question.hl7v3, &told));
        let is_of = |person: &Told, id: &str| {
            person.iter().any(|said| said.starts_with(&format!("identifier {id}@")))
        };
        let persons = &told[0].1;
        let are_all = question.expected.iter().all(|id| persons.iter().any(|person| is_of(person, id)));
        if persons.len() != question.expected.len() || !are_all {
            wrong.push(format!("{}: {persons:#?} and not {:?}", question.hl7v3, question.expected));
        }
    }
    for (answer, parameters, expected) in OF_ANSWERS {
        let folder = tempfile::tempdir().expect("a folder");
        let doors = Doors::open(folder.path(), &[]);
        seed(&doors, HEIDI, Some(answer));
        let by_hl7v2 = query(0, &asked_in(&hl7v2(&format!("pdq/v2/{answer}"))));
        let told = [
            ("ITI-21", either(std::iter::once(doors.persons_by_hl7v2(&by_hl7v2)))),
            (
                "ITI-47",
                either(std::iter::once(
                    doors.persons_by_hl7v3(&super::samples::query("PRPA_IN201305UV02", parameters)),
                )),
            ),
            ("ITI-78", either(std::iter::once(doors.persons_by_fhir("address-country=DE")))),
        ];
        wrong.extend(differ(answer, &told));
        assert_eq!(told[0].1.len(), *expected, "{answer}");
        assert_eq!(told[0].1.len(), pids(&hl7v2(&format!("pdq/v2/{answer}"))).len(), "{answer}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The domains of the questions for identifiers.
const DOMAINS: &[(&str, &str)] = &[
    ("HZLN", "2.16.840.1.113883.3.37.4.1.1.2.411.1"),
    ("PKLN", "2.16.840.1.113883.3.37.4.1.1.2.511.1"),
    ("KHKN", "2.16.840.1.113883.3.37.4.1.1.2.611.1"),
    ("HIMSS2005", "1.3.6.1.4.1.21367.2005.1.1"),
    ("", "1.3.6.1.4.1.21367.2005.1.2"),
    ("", "1.2.840.114350.1.13.99997.2.3412"),
    ("", "1.2.840.114350.1.13.99998.8734"),
    ("", "2.16.840.1.113883.4.1"),
];

/// The patients that the answers tell of, and one who is known nowhere else.
const KNOWN: &[&str] = &[
    "PID|1||79471^^^HZLN~78912^^^PKLN||Mueller^Hans||19400101|M",
    "PID|1||79234^^^HZLN||Mueller^Joachim||19400102|M",
    "PID|1||PIX10501^^^HIMSS2005~ABC10501^^^&1.3.6.1.4.1.21367.2005.1.2&ISO||ALPHA^ALAN||19380224|M",
];

/// Answers to questions by HL7 v2, which say what was asked; who asks for the domain of the identifier he asks
/// with is told of others alone, not of the same one again as IPF's answers have it. The last has no question.
const BY_HL7V2: &[(&str, Result<&[&str], Unknown>)] = &[
    ("ok-1", Ok(&["78912"])),
    ("ok-2", Ok(&["78912"])),
    ("ok-3", Ok(&["78912"])),
    ("ok-4", Ok(&[])),
    ("nf-1", Ok(&[])),
    ("nf-2", Ok(&[])),
    ("err-1", Err(Unknown::Patient)),
];

/// The question to which err-2 is the answer: domains that nobody knows.
const OF_NOBODY: &str = "79471^^^HZLN|^^^NONEXISTING~^^^&1.2.3.4&ISO";

/// Questions by HL7 v3.
const BY_HL7V3: &[(&str, Result<&[&str], Unknown>)] = &[
    ("NistPixpdq_Mesa10501-04_Example_01", Ok(&["ABC10501"])),
    ("NistPixpdq_Mesa10501-05_Example_01", Err(Unknown::Patient)),
    ("NistPixpdq_Mesa10502-03~UnknownId_Example_01", Err(Unknown::Patient)),
    ("NistPixpdq_Mesa10503-01~UnknownAssigningAuth_Example_01", Err(Unknown::Authority)),
];

/// Returns the system of a domain as a CX names it.
fn system(cx: &str) -> String {
    let authority = cx.split('^').nth(3).unwrap_or_default();
    let (name, oid) = (authority.split('&').next().unwrap_or_default(), authority.split('&').nth(1));
    let known = DOMAINS.iter().find(|(known, _)| !name.is_empty() && *known == name).map(|(_, oid)| *oid);
    format!("urn:oid:{}", oid.or(known).unwrap_or("1.2.3.4.5.6.7.8.9"))
}

/// Reads what QPD-3 and QPD-4 ask.
fn of_hl7v2(asked: &str) -> (Identifier, Vec<String>) {
    let mut fields = asked.split('|');
    let identifier = fields.next().expect("an identifier");
    let value = identifier.split('^').next().unwrap_or_default().to_owned();
    let wanted = fields.next().unwrap_or_default().split('~').filter(|cx| !cx.is_empty()).map(system);
    ((system(identifier), value), wanted.collect())
}

/// Reads what a message of HL7 v3 asks.
fn of_hl7v3(message: &Element) -> (Identifier, Vec<String>) {
    let path = ["controlActProcess", "queryByParameter", "parameterList"];
    let list = path
        .iter()
        .fold(message.clone(), |of, local| of.child("urn:hl7-org:v3", local).expect(local).clone());
    let values = |name: &str| {
        let named: Vec<Element> = list.children_named("urn:hl7-org:v3", name).cloned().collect();
        let value = |of: &Element| of.child("urn:hl7-org:v3", "value").expect("a value").clone();
        named.iter().map(value).collect::<Vec<Element>>()
    };
    let text = |of: &Element, name: &str| of.attribute(name).unwrap_or_default().to_owned();
    let ids = values("patientIdentifier");
    let wanted = values("dataSource").iter().map(|of| format!("urn:oid:{}", text(of, "root"))).collect();
    ((format!("urn:oid:{}", text(&ids[0], "root")), text(&ids[0], "extension")), wanted)
}

type Answered = Result<BTreeSet<Identifier>, Unknown>;

fn check(name: &str, told: [(&str, Answered); 3], expected: Result<&[&str], Unknown>) {
    for (door, answered) in told {
        let values =
            answered.map(|all| all.into_iter().map(|(_, value)| value).collect::<BTreeSet<String>>());
        let expected =
            expected.map(|all| all.iter().map(|of| (*of).to_owned()).collect::<BTreeSet<String>>());
        assert_eq!(values, expected, "{name} at {door}");
    }
}

#[test]
fn the_same_identifiers_are_told_at_three_doors() {
    if !are_there() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let doors = Doors::open(folder.path(), DOMAINS);
    seed(&doors, KNOWN, None);
    let by_hl7v2: ByHl7v2 = doors.by_hl7v2();
    let by_hl7v3: ByHl7v3 = doors.by_hl7v3();
    let by_fhir = ByPixm::new(doors.fhir());
    let questions = BY_HL7V2.iter().map(|(name, expected)| {
        (*name, asked_in(&hl7v2(&format!("pixquery/v2/{name}_Response"))), *expected)
    });
    let of_nobody = ("err-2", OF_NOBODY.to_owned(), Err(Unknown::Wanted));
    for (name, asked, expected) in questions.chain(std::iter::once(of_nobody)) {
        let (identifier, wanted) = of_hl7v2(&asked);
        let told = [
            ("ITI-9", by_hl7v2.asked_by(&asked)),
            ("ITI-45", by_hl7v3.told(&identifier, &wanted)),
            ("ITI-83", by_fhir.told(&identifier, &wanted)),
        ];
        check(name, told, expected);
    }
    for (name, expected) in BY_HL7V3 {
        let message = hl7v3(&format!("pixquery/v3/{name}"));
        let (identifier, wanted) = of_hl7v3(&message);
        let told = [
            ("ITI-9", by_hl7v2.told(&identifier, &wanted)),
            ("ITI-45", by_hl7v3.asked_by(&message.to_xml())),
            ("ITI-83", by_fhir.told(&identifier, &wanted)),
        ];
        check(name, told, *expected);
    }
    // The answer of HL7 v3 has no question beside it: its patient is told of, and asked for by what it answers.
    let answer = hl7v3("pixquery/v3/07_PIXQuery1Response");
    let patient = patients(&answer).pop().expect("a patient");
    assert_eq!(doors.tell_by_hl7v3(&feed_by_hl7v3(&patient)), (true, String::new()));
    let (identifier, wanted) = of_hl7v3(&answer);
    let doors: [&dyn Door; 3] = [&by_hl7v2, &by_hl7v3, &by_fhir];
    let told = doors.map(|door| (door.name(), door.told(&identifier, &wanted)));
    check("07_PIXQuery1Response", told, Ok(&["34827G409", "999-99-4452"]));
}
