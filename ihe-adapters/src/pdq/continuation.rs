//! Where an answer goes on: a pointer that says behind which record, and of
//! which query. The server keeps nothing for it, and a query goes on after a
//! restart, on another node, and whatever was stored meanwhile.
//!
//! Spec: ITI TF-2 3.21.4.1.2.6, HL7 v2.5 section 2.10.2

use ring::digest::{SHA256, digest};

use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::hl7v2::query::Query;

/// So many bytes tell a query from others.
const OF_QUERY: usize = 8;
/// The fields that say what is asked.
const ASKED: std::ops::RangeInclusive<usize> = 3..=8;

/// Writes the pointer to what comes behind a record.
pub fn pointer(query: &Query<'_>, record: &str) -> String {
    hexadecimal(&of_query(query)) + &hexadecimal(record.as_bytes())
}

/// Returns the record behind which the answer goes on; `None` at the beginning.
///
/// # Errors
/// When the pointer is not one of this query.
pub fn record(query: &Query<'_>) -> Result<Option<String>, Problem> {
    let Some(pointer) = query.pointer() else { return Ok(None) };
    let unknown = || {
        let problem = Problem::error(Condition::UnknownKey, "the pointer is not one of this query");
        problem.at(Location::field("DSC", 1))
    };
    let bytes = bytes(&pointer).ok_or_else(unknown)?;
    let (of, record) = bytes.split_at_checked(OF_QUERY).ok_or_else(unknown)?;
    if of != of_query(query) || record.is_empty() {
        return Err(unknown());
    }
    std::str::from_utf8(record).map(|record| Some(record.to_owned())).map_err(|_| unknown())
}

fn of_query(query: &Query<'_>) -> Vec<u8> {
    let mut asked = Vec::new();
    for field in ASKED {
        asked.extend_from_slice(query.asked.part(field).text().as_bytes());
        asked.push(0);
    }
    digest(&SHA256, &asked).as_ref().iter().copied().take(OF_QUERY).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hl7v2::message::Message;

    fn message(tag: &str, asked: &str, pointer: &str) -> Message {
        let text = format!(
            "MSH|^~\\&|A|B|C|D|||QBP^Q22^QBP_Q21|7|P|2.5\rQPD|PDQ|{tag}|{asked}\rRCP|I|2^RD\rDSC|{pointer}|I\r"
        );
        Message::parse(&text).expect("a message")
    }

    #[test]
    fn a_pointer_goes_on_with_its_query_alone() {
        let first = message("1", "@PID.5.1^ROSSI", "");
        let query = Query::of(&first).expect("a query");
        assert_eq!(record(&query), Ok(None));
        let pointer = pointer(&query, "0f5b-é");
        assert!(pointer.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        let again = message("2", "@PID.5.1^ROSSI", &pointer);
        assert_eq!(record(&Query::of(&again).expect("a query")), Ok(Some("0f5b-é".to_owned())));
        let only_query = &pointer[..OF_QUERY * 2];
        for (asked, pointer) in [
            ("@PID.5.1^BIANCHI", pointer.as_str()),
            ("@PID.5.1^ROSSI", "10"),
            ("@PID.5.1^ROSSI", "xyz"),
            ("@PID.5.1^ROSSI", "\u{e9}\u{e9}"),
            ("@PID.5.1^ROSSI", only_query),
        ] {
            let wrong = message("1", asked, pointer);
            let problem = record(&Query::of(&wrong).expect("a query")).expect_err(pointer);
            assert_eq!(problem.condition, Condition::UnknownKey, "{pointer}");
        }
    }
}
