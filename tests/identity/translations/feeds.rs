//! What sources tell: the same by both wires, at the three doors.

use std::collections::{BTreeMap, BTreeSet};

use super::doors::{Doors, Question};
use super::samples::{are_there, feed_by_hl7v2, feed_by_hl7v3, hl7v2, hl7v3, patients, pids};
use super::told::{Told, by_hl7v2};

/// The wire by which a source told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Hl7V2,
    Hl7V3,
}
use By::{Hl7V2, Hl7V3};

/// A pair of messages.
struct Pair {
    /// The message of HL7 v2, below the folder of the pairs.
    hl7v2: &'static str,
    /// That of HL7 v3.
    hl7v3: &'static str,
    /// The domains that are set up: name and OID. Where there are none, all that have an OID are admitted.
    domains: &'static [(&'static str, &'static str)],
    /// What was told before, by either wire.
    before: Option<(&'static str, &'static str)>,
    /// What only one of them says of a person, who is known by the identifier.
    differs: &'static [(By, &'static str, &'static [&'static str])],
}

const SSN: &str = "2.16.840.1.113883.4.1";

/// The domains of the feed that names one of them by its name alone.
const FEED_DOMAINS: &[(&str, &str)] = &[
    ("HIMSS2005", "1.3.6.1.4.1.21367.2005.1.1"),
    ("", "1.2.3.4.5.1000"),
    ("domain2", "1.2.3.4.5.2000"),
    ("", "1.2.3"),
    ("", SSN),
];

const REGISTERED: (&str, &str) =
    ("pixfeed/v2/PIX_FEED_REG_Maximal_Request", "pixfeed/v3/PIX_FEED_REG_Maximal_Request");
const REVISED: (&str, &str) =
    ("pixfeed/v2/PIX_FEED_REV_Maximal_Request", "pixfeed/v3/PIX_FEED_REV_Maximal_Request");
const MARY: &str = "PIX10515W3@1.3.6.1.4.1.21367.2005.1.1";
const HANS: &str = "79471@2.16.840.1.113883.3.37.4.1.1.2.411.1";

/// HL7 v2 has two names where HL7 v3 has one.
const MARY_BY_V2: &[&str] = &["name of birth DEAN |  |  |", "name | ANNE |  |"];
/// The number of the account is an identifier in HL7 v3, that of the social security has no authority
/// in PID-19, and HL7 v2 does not tell of the mother.
const MARY_BY_V3: &[&str] = &[
    "identifier 100-09-123456@1.2.3",
    "identifier 100-09-1234@2.16.840.1.113883.4.1",
    "mother JOHN",
    "name of birth DEAN | ANNE |  |",
];
/// The number of the social security.
const HANS_BY_V3: &[&str] = &["identifier 123-11-1234@2.16.840.1.113883.4.1"];
/// That it is not known is said by HL7 v2, and by HL7 v3 it is left out.
const UNMARRIED: &[&str] = &["marital U"];

const fn pair((hl7v2, hl7v3): (&'static str, &'static str)) -> Pair {
    Pair { hl7v2, hl7v3, domains: &[], before: None, differs: &[] }
}

/// Messages of sources.
const FEEDS: &[Pair] = &[
    Pair {
        domains: FEED_DOMAINS,
        differs: &[(Hl7V2, MARY, MARY_BY_V2), (Hl7V3, MARY, MARY_BY_V3)],
        ..pair(REGISTERED)
    },
    Pair {
        domains: FEED_DOMAINS,
        differs: &[(Hl7V2, MARY, MARY_BY_V2), (Hl7V3, MARY, MARY_BY_V3)],
        ..pair(REVISED)
    },
    Pair {
        domains: FEED_DOMAINS,
        before: Some(REGISTERED),
        // What HL7 v2 leaves empty stays; what HL7 v3 leaves out is not so any more.
        differs: &[
            (Hl7V2, MARY, MARY_BY_V2),
            (Hl7V2, MARY, &["citizen US", "dead false"]),
            (Hl7V3, MARY, MARY_BY_V3),
        ],
        ..pair(REVISED)
    },
    Pair {
        differs: &[(Hl7V2, "306563@2.16.840.1.113883.3.37.4.1.1.2.1.1", UNMARRIED)],
        ..pair(("pixsource/v2/A01", "pixsource/v3/A01_Response"))
    },
    Pair {
        differs: &[(Hl7V2, "306563@2.16.840.1.113883.3.37.4.1.1.2.1.1", UNMARRIED)],
        ..pair(("pixsource/v2/A01_with_BR", "pixsource/v3/A01_with_BR_Response"))
    },
    Pair {
        differs: &[
            (Hl7V2, "305090@2.16.840.1.113883.3.37.4.1.1.2.1.1", UNMARRIED),
            (
                Hl7V3,
                "305090@2.16.840.1.113883.3.37.4.1.1.2.1.1",
                &["identifier 123-4567-890@2.16.840.1.113883.4.1"],
            ),
        ],
        ..pair(("pixsource/v2/A04", "pixsource/v3/A04_Response"))
    },
    pair(("pixsource/v2/A08", "pixsource/v3/A08_Response")),
];

/// Answers, whose patients sources tell of.
const ANSWERS: &[Pair] = &[
    Pair {
        differs: &[(
            Hl7V2,
            "305013@2.16.840.1.113883.3.37.4.1.1.2.2.1",
            &["birth place Racine", "mother Fed"],
        )],
        ..pair(("pdq/v2/PDQ_Maximal_Query_Response", "pdq/v3/PDQ_Maximal_Query_Response"))
    },
    Pair { differs: &[(Hl7V3, HANS, HANS_BY_V3)], ..pair(("pdq/v2/PDQ_Response", "pdq/v3/PDQ_Response")) },
    pair(("pdq/v2/PDQ_with_PID4_Response", "pdq/v3/PDQ_with_PID4_Response")),
    Pair {
        differs: &[(Hl7V3, HANS, HANS_BY_V3)],
        ..pair((
            "pdq/v2/PDQ_connectathon2011_namespaces_issue_Response",
            "pdq/v3/PDQ_connectathon2011_namespaces_issue_Response",
        ))
    },
    Pair {
        differs: &[(Hl7V3, HANS, HANS_BY_V3)],
        ..pair((
            "pdq/v2/PDQ_unused_global_namespace_issue_Response",
            "pdq/v3/PDQ_unused_global_namespace_issue_Response",
        ))
    },
];

/// Returns what of a statement is of a kind.
fn of_kind<'t>(told: &'t Told, kind: &'t str) -> impl Iterator<Item = &'t str> {
    told.iter().filter_map(move |statement| statement.strip_prefix(kind))
}

fn identifiers(told: &Told) -> BTreeSet<(String, String)> {
    let split = of_kind(told, "identifier ").filter_map(|id| id.split_once('@'));
    split
        .filter(|(_, oid)| !oid.is_empty())
        .map(|(value, oid)| (format!("urn:oid:{oid}"), value.to_owned()))
        .collect()
}

/// Asks for somebody by an identifier; who was merged away is not asked for by FHIR.
pub(super) fn by_identifier(system: &str, value: &str) -> Question {
    let oid = system.trim_start_matches("urn:oid:");
    Question {
        hl7v2: format!("@PID.3.1^{value}~@PID.3.4.2^{oid}~@PID.3.4.3^ISO"),
        hl7v3: format!(
            "<livingSubjectId><value root='{oid}' extension='{value}'/><semanticsText>LivingSubject.id\
             </semanticsText></livingSubjectId>"
        ),
        fhir: format!("identifier={system}%7C{value}"),
    }
}

/// Asks for somebody by his identifiers, and by his name and date of birth.
fn questions(told: &Told) -> Vec<Question> {
    let mut all: Vec<Question> = Vec::new();
    all.extend(identifiers(told).iter().map(|(system, value)| by_identifier(system, value)));
    let family =
        of_kind(told, "name ").filter_map(|name| name.split(" | ").next()).find(|name| !name.is_empty());
    let born = of_kind(told, "born ").next();
    if let (Some(family), Some(born)) = (family.filter(|name| !name.starts_with("of birth")), born) {
        let date = format!("{}-{}-{}", &born[..4], &born[4..6], &born[6..8]);
        all.push(Question {
            hl7v2: format!("@PID.5.1^{family}~@PID.7^{born}"),
            hl7v3: format!(
                "<livingSubjectBirthTime><value value='{born}'/><semanticsText>LivingSubject.birthTime</semanticsText>\
                 </livingSubjectBirthTime><livingSubjectName><value><family>{family}</family></value><semanticsText>\
                 LivingSubject.name</semanticsText></livingSubjectName>"
            ),
            fhir: format!("family:exact={family}&birthdate={date}"),
        });
    }
    all
}

/// Asks everything there is to ask of those whom somebody told of, at the three doors of PDQ and
/// the three of PIX; all agree. Returns the persons by the least of their identifiers.
fn persons(doors: &Doors, said: &[Told], name: &str, wrong: &mut Vec<String>) -> BTreeMap<String, Told> {
    let mut known: BTreeMap<String, Told> = BTreeMap::new();
    for told in said {
        for question in questions(told) {
            let [(_, first), others @ ..] = doors.persons(&question);
            if first.is_empty() {
                wrong.push(format!("{name}: nobody is found by {}", question.hl7v2));
            }
            for (door, other) in others {
                if first != other {
                    wrong.push(format!(
                        "{name}: {} at ITI-21 and {door}\n{}",
                        question.hl7v2,
                        difference(&first, &other)
                    ));
                }
            }
            for person in first {
                let key = of_kind(&person, "identifier ").next().unwrap_or_default().to_owned();
                known.insert(key, person);
            }
        }
    }
    for person in known.values() {
        let all = identifiers(person);
        for asked in &all {
            let others: BTreeSet<_> = all.iter().filter(|other| *other != asked).cloned().collect();
            let told = doors.cross_references(asked);
            if told.as_ref() != Some(&others) {
                wrong.push(format!("{name}: {asked:?} is known as {told:?} by PIX, as {others:?} by PDQ"));
            }
        }
    }
    known
}

fn difference(one: &[Told], other: &[Told]) -> String {
    let all = |persons: &[Told]| persons.iter().flatten().cloned().collect::<Told>();
    let (a, b) = (all(one), all(other));
    format!(
        "  {} persons, {} persons\n  only the first: {:?}\n  only the second: {:?}",
        one.len(),
        other.len(),
        a.difference(&b).collect::<Vec<_>>(),
        b.difference(&a).collect::<Vec<_>>()
    )
}

fn compare(pair: &Pair, by: [BTreeMap<String, Told>; 2], wrong: &mut Vec<String>) {
    let [mut v2, mut v3] = by;
    for (by, id, statements) in pair.differs {
        let persons = if *by == Hl7V2 { &mut v2 } else { &mut v3 };
        let person = persons.values_mut().find(|person| person.contains(&format!("identifier {id}")));
        for statement in *statements {
            let was_said = person.as_ref().is_some_and(|person| person.contains(*statement));
            if !was_said {
                wrong.push(format!("{}: {by:?} does not say `{statement}` of {id}", pair.hl7v2));
            }
        }
        if let Some(person) = person {
            person.retain(|said| !statements.contains(&said.as_str()));
        }
    }
    let [v2, v3] = [v2, v3].map(|persons| persons.into_values().collect::<BTreeSet<Told>>());
    let [v2, v3] = [v2, v3].map(|persons| persons.into_iter().collect::<Vec<Told>>());
    if v2 != v3 {
        wrong.push(format!("{}: by HL7 v2 and by HL7 v3\n{}", pair.hl7v2, difference(&v2, &v3)));
    }
}

fn check(pairs: &[Pair], tell: impl Fn(&Pair, &Doors, By, &mut Vec<String>) -> Vec<Told>) {
    if !are_there() {
        return;
    }
    let mut wrong = Vec::new();
    for pair in pairs {
        let known = [Hl7V2, Hl7V3].map(|by| {
            let folder = tempfile::tempdir().expect("a folder");
            let doors = Doors::open(folder.path(), pair.domains);
            let name = format!("{} by {by:?}", pair.hl7v2);
            let said = tell(pair, &doors, by, &mut wrong);
            persons(&doors, &said, &name, &mut wrong)
        });
        compare(pair, known, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_sources_tell_is_the_same_by_both_wires() {
    check(FEEDS, |pair, doors, by, wrong| {
        let messages = pair.before.into_iter().chain([(pair.hl7v2, pair.hl7v3)]);
        for (of_v2, of_v3) in messages {
            let taken = match by {
                Hl7V2 => doors.tell_by_hl7v2(&hl7v2(of_v2)),
                Hl7V3 => doors.tell_by_hl7v3(&hl7v3(of_v3)),
            };
            if !taken.0 {
                wrong.push(format!("{of_v2} by {by:?} is refused: {}", taken.1));
            }
        }
        // What both say: who is told of.
        pids(&hl7v2(pair.hl7v2)).iter().map(by_hl7v2).map(named).collect()
    });
}

#[test]
fn the_persons_of_answers_are_the_same_by_both_wires() {
    check(ANSWERS, |pair, doors, by, wrong| {
        let of_v2 = pids(&hl7v2(pair.hl7v2));
        match by {
            Hl7V2 => {
                for (at, pid) in of_v2.iter().enumerate() {
                    let taken = doors.tell_by_hl7v2(&feed_by_hl7v2(at, pid.text()));
                    if !taken.0 {
                        wrong.push(format!("{} {at} by HL7 v2 is refused: {}", pair.hl7v2, taken.1));
                    }
                }
            }
            Hl7V3 => {
                for (at, patient) in patients(&hl7v3(pair.hl7v3)).iter().enumerate() {
                    let taken = doors.tell_by_hl7v3(&feed_by_hl7v3(patient));
                    if !taken.0 {
                        wrong.push(format!("{} {at} by HL7 v3 is refused: {}", pair.hl7v3, taken.1));
                    }
                }
            }
        }
        of_v2.iter().map(by_hl7v2).map(named).collect()
    });
}

/// Leaves what somebody is asked for by.
fn named(told: Told) -> Told {
    told.into_iter()
        .filter(|said| {
            !said.starts_with("identifier") || said.split('@').nth(1).is_some_and(|oid| !oid.is_empty())
        })
        .collect()
}
