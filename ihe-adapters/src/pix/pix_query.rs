//! ITI-9, PIX Query: by which identifiers somebody is known elsewhere.
//!
//! Spec: ITI TF-2 3.9

use super::cx::{self, Hd};
use super::domains::DomainError;
use super::problem::{Places, problem};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex};
use crate::wire::hl7v2::compose::repetitions;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::hl7v2::query::{Query, Rejected, Response};
use crate::wire::hl7v2::segment::Segment;

/// The type of the answer.
const KIND: [&str; 3] = ["RSP", "K23", "RSP_K23"];
/// How many domains may be asked for at once.
const DOMAINS_MAX: usize = 1000;

/// Answers QBP^Q23.
///
/// # Errors
/// When it is no query.
pub async fn answer(index: &PatientIndex<'_>, message: &Message) -> Result<Response, Rejected> {
    let query = Query::of(message)?;
    Ok(match found(index, &query).await {
        Ok(found) => Response::found(&query, KIND, found.into_iter().collect(), None),
        Err(problem) => Response::in_error(KIND, problem),
    })
}

async fn found(index: &PatientIndex<'_>, query: &Query<'_>) -> Result<Option<Segment>, Problem> {
    let places = Places { identifier: Location::field("QPD", 3), wanted: Location::field("QPD", 4) };
    let told = |refusal: Refusal| problem(&refusal, &places);
    let identifier = identifier(index, query, &places)?;
    let wanted = Wanted::of(index, query, 4)?;
    let references = index.cross_references(&identifier, &wanted.systems).await;
    let references = references.map_err(|refusal| told(wanted.placed(refusal)))?;
    if references.is_empty() {
        return Ok(None);
    }
    let by = query.message.delimiters();
    let identifiers = cx::grouped(references.into_iter().map(|reference| reference.identifier).collect());
    let written: Vec<String> = identifiers.iter().map(|of| cx::cx(of, None, index.domains, by)).collect();
    let mut segment = Segment::new("PID", by).with(1, "1");
    segment.set_written(3, &repetitions(&written, by));
    segment.set_written(5, &no_name(by.repetition, by.component));
    Ok(Some(segment))
}

/// Writes a name that is none: nothing, and a pseudonym of which only that is told.
fn no_name(repetition: char, component: char) -> String {
    let components = component.to_string().repeat(6);
    format!("{repetition}{components}S")
}

/// Reads whose identifiers are asked for.
fn identifier(index: &PatientIndex<'_>, query: &Query<'_>, places: &Places) -> Result<Identifier, Problem> {
    let field = query.asked.part(3);
    if field.repetitions().filter(|repetition| !repetition.is_empty()).count() > 1 {
        let problem = Problem::error(Condition::DataType, "one patient is asked for at a time");
        return Err(problem.at(Location::field("QPD", 3).in_repetition(2)));
    }
    let Some(value) = field.component(1).value() else {
        let problem = Problem::error(Condition::RequiredField, "the patient is missing who is asked for");
        return Err(problem.at(Location::component("QPD", 3, 1)));
    };
    let domain = cx::domain(&Hd::of(field.component(4)), query.message, index.domains);
    // A domain that is not named is none that is known.
    let domain = domain.map_err(|error| match error {
        DomainError::Missing => DomainError::Unknown,
        other => other,
    });
    let domain = domain.map_err(|error| problem(&Refusal::Domain(error), places))?;
    Ok(Identifier::new(domain.system(), value.trim()))
}

/// The domains from which identifiers are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What stands as `Identifier.system` of each; none for all.
    pub systems: Vec<String>,
    /// In which repetition each is named, counted from 0.
    repetitions: Vec<usize>,
}

impl Wanted {
    /// Reads a field that names domains, each in the fourth component of a repetition.
    ///
    /// # Errors
    /// When one is not known.
    pub fn of(index: &PatientIndex<'_>, query: &Query<'_>, field: usize) -> Result<Wanted, Problem> {
        let mut wanted = Wanted::default();
        let place = Location::field("QPD", field);
        for (at, repetition) in query.asked.part(field).repetitions().enumerate() {
            if repetition.is_empty() {
                continue;
            }
            if wanted.systems.len() == DOMAINS_MAX {
                let text = format!("more than {DOMAINS_MAX} domains are asked for");
                return Err(Problem::error(Condition::ValueTooLong, text).at(place));
            }
            let authority = Hd::of(repetition.component(4));
            let Ok(domain) = index.domains.named(authority.authority()) else {
                let places = Places { identifier: place.clone(), wanted: place };
                return Err(problem(&Refusal::WantedDomain(at), &places));
            };
            wanted.systems.push(domain.system());
            wanted.repetitions.push(at);
        }
        Ok(wanted)
    }

    /// Counts the domain that is not known as the message does.
    pub fn placed(&self, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::WantedDomain(at) => {
                Refusal::WantedDomain(self.repetitions.get(at).copied().unwrap_or(at))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pix::stored::Stored;
    use crate::wire::hl7v2::acknowledgement::Acknowledging;
    use serde_json::{Value, json};

    const OIDS: &[(&str, &str)] = &[("HZLN", "1.2.1"), ("PKLN", "1.2.2"), ("KHKN", "1.2.3")];

    fn patient(id: &str, identifiers: &[(&str, &str)], links: &[(&str, &str)]) -> Value {
        let identifiers: Vec<Value> = identifiers
            .iter()
            .map(|(domain, value)| {
                let (_, oid) = OIDS.iter().find(|(name, _)| name == domain).expect("a domain");
                json!({ "system": format!("urn:oid:{oid}"), "value": value })
            })
            .collect();
        let links: Vec<Value> = links
            .iter()
            .map(|(kind, to)| json!({ "type": kind, "other": { "reference": format!("Patient/{to}") } }))
            .collect();
        json!({ "resourceType": "Patient", "id": id, "identifier": identifiers, "link": links })
    }

    fn stored() -> Stored {
        let records = json!([
            patient("a", &[("HZLN", "1")], &[("seealso", "b")]),
            patient("b", &[("PKLN", "2"), ("KHKN", "9")], &[("seealso", "a"), ("replaces", "c")]),
            patient("c", &[("PKLN", "3")], &[("replaced-by", "b")]),
            patient("d", &[("HZLN", "4")], &[]),
            patient("e", &[("PKLN", "5"), ("HZLN", "6"), ("PKLN", "7")], &[]),
        ]);
        Stored::new(records, OIDS)
    }

    async fn asked(qpd: &str) -> String {
        let text = format!("MSH|^~\\&|HZLN|H|PIX|R|||QBP^Q23^QBP_Q21|7|P|2.5\r{qpd}RCP|I\r");
        let message = Message::parse(&text).expect("a message");
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        let acknowledging = Acknowledging { control_id: "9", at, application: "LANTERNA" };
        let answer = match answer(&stored().index(), &message).await {
            Ok(response) => response.message(&message, &acknowledging),
            Err(rejected) => rejected.acknowledge(&message, &acknowledging),
        };
        answer.write().split_once('\r').map(|(_, rest)| rest.replace('\r', "\n")).expect("segments")
    }

    /// The cases of ITI TF-2 3.9.4.2.2.6, and what is not among them.
    #[tokio::test]
    async fn each_question_has_its_answer() {
        let ok =
            |qpd: &str, ids: &str| format!("MSA|AA|7\nQAK|t|OK\nQPD|PIX|t|{qpd}\nPID|1||{ids}||~^^^^^^S\n");
        let none = |qpd: &str| format!("MSA|AA|7\nQAK|t|NF\nQPD|PIX|t|{qpd}\n");
        let wrong = |qpd: &str, place: &str, code: &str, text: &str| {
            format!("MSA|AE|7\nERR||{place}|{code}^HL70357|E||||{text}\nQAK|t|AE\nQPD|PIX|t|{qpd}\n")
        };
        let unknown = "204^Unknown key identifier";
        let (pk2, kh9) = ("2^^^PKLN&1.2.2&ISO^PI", "9^^^KHKN&1.2.3&ISO^PI");
        let nobody = "no patient is known by this identifier";
        let no_authority = "the assigning authority is not known here";
        let no_domain = "the domain asked for is not known here";
        for (qpd, expected) in [
            // Case 1: by the name of the domain, by its OID, by both, and by that of the sender.
            ("1^^^HZLN|^^^PKLN", ok("1^^^HZLN|^^^PKLN", pk2)),
            ("1^^^&1.2.1&ISO|^^^&1.2.2&ISO", ok("1^^^&1.2.1&ISO|^^^&1.2.2&ISO", pk2)),
            ("1^^^HZLN&1.2.1&ISO", ok("1^^^HZLN&1.2.1&ISO", &format!("{pk2}~{kh9}"))),
            ("1|^^^KHKN~^^^PKLN", ok("1|^^^KHKN~^^^PKLN", &format!("{pk2}~{kh9}"))),
            // Case 2.
            ("4^^^HZLN", none("4^^^HZLN")),
            ("1^^^HZLN|^^^HZLN", none("1^^^HZLN|^^^HZLN")),
            // Case 3; who was merged into another is not known any more.
            ("8^^^HZLN", wrong("8^^^HZLN", "QPD^1^3^1^1", unknown, nobody)),
            ("3^^^PKLN", wrong("3^^^PKLN", "QPD^1^3^1^1", unknown, nobody)),
            // Case 4.
            ("1^^^RIS", wrong("1^^^RIS", "QPD^1^3^1^4", unknown, no_authority)),
            ("1^^^&1.2.9&ISO", wrong("1^^^&1.2.9&ISO", "QPD^1^3^1^4", unknown, no_authority)),
            // Case 5: the domain that is not known is counted as in the message.
            ("1^^^HZLN|~^^^PKLN~^^^RIS", wrong("1^^^HZLN|~^^^PKLN~^^^RIS", "QPD^1^4^3", unknown, no_domain)),
            // Case 6: those of a domain stand together.
            ("5^^^PKLN", ok("5^^^PKLN", "6^^^HZLN&1.2.1&ISO^PI~7^^^PKLN&1.2.2&ISO^PI")),
            ("6^^^HZLN", ok("6^^^HZLN", "5^^^PKLN&1.2.2&ISO^PI~7^^^PKLN&1.2.2&ISO^PI")),
            (
                "1^^^PKLN&1.2.1&ISO",
                wrong(
                    "1^^^PKLN&1.2.1&ISO",
                    "QPD^1^3^1^4",
                    "102^Data type error",
                    "namespace and universal id name two assigning authorities that are not the same",
                ),
            ),
            (
                "^^^HZLN",
                wrong(
                    "^^^HZLN",
                    "QPD^1^3^1^1",
                    "101^Required field missing",
                    "the patient is missing who is asked for",
                ),
            ),
            (
                "1^^^HZLN~2^^^PKLN",
                wrong(
                    "1^^^HZLN~2^^^PKLN",
                    "QPD^1^3^2",
                    "102^Data type error",
                    "one patient is asked for at a time",
                ),
            ),
        ] {
            assert_eq!(asked(&format!("QPD|PIX|t|{qpd}\r")).await, expected, "{qpd}");
        }
        let rejected = "MSA|AR|7\nERR||QPD^1|100^Segment sequence error^HL70357|E||||a query has a QPD\n";
        assert_eq!(asked("").await, rejected);
    }
}
