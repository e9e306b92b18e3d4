//! Where an answer goes on: a pointer that says behind which record, and of
//! which query. The server keeps nothing for it, and a query goes on after a
//! restart, on another node, and whatever was stored meanwhile.
//!
//! Spec: ITI TF-2 3.21.4.1.2.6, HL7 v2.5 section 2.10.2

use ring::digest::{SHA256, digest};

use crate::pix::demographics::Position;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::hl7v2::query::Query;

/// So many bytes tell a query from others.
const OF_QUERY: usize = 8;
/// The fields that say what is asked.
const ASKED: std::ops::RangeInclusive<usize> = 3..=8;
/// What stands between the parts of a pointer. Ids have dots: that of the record is the last.
const BETWEEN: char = '.';

/// Writes the pointer to what comes behind a position.
pub fn pointer(query: &Query<'_>, position: &Position) -> String {
    let Position { cursor: (name, value), record } = position;
    format!("{}{BETWEEN}{name}{BETWEEN}{value}{BETWEEN}{record}", of_query(query))
}

/// Returns the position behind which the answer goes on; `None` at the beginning.
///
/// # Errors
/// When the pointer is not one of this query.
pub fn position(query: &Query<'_>) -> Result<Option<Position>, Problem> {
    let Some(pointer) = query.pointer() else { return Ok(None) };
    let unknown = || {
        let problem = Problem::error(Condition::UnknownKey, "the pointer is not one of this query");
        problem.at(Location::field("DSC", 1))
    };
    let mut parts = pointer.splitn(4, BETWEEN).map(str::to_owned);
    let [Some(of), Some(name), Some(value), Some(record)] = std::array::from_fn(|_| parts.next()) else {
        return Err(unknown());
    };
    if of != of_query(query) || record.is_empty() {
        return Err(unknown());
    }
    Ok(Some(Position { cursor: (name, value), record }))
}

fn of_query(query: &Query<'_>) -> String {
    let mut asked = Vec::new();
    for field in ASKED {
        asked.extend_from_slice(query.asked.part(field).text().as_bytes());
        asked.push(0);
    }
    let digest = digest(&SHA256, &asked);
    digest.as_ref().iter().take(OF_QUERY).map(|byte| format!("{byte:02x}")).collect()
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
        assert_eq!(position(&query), Ok(None));
        let cursor = ("_cursor".to_owned(), "AQ-_x".to_owned());
        for expected in [
            Position { cursor, record: "0f5b-1.2".to_owned() },
            Position { record: "7".to_owned(), ..Position::default() },
        ] {
            let pointer = pointer(&query, &expected);
            let again = message("2", "@PID.5.1^ROSSI", &pointer);
            assert_eq!(position(&Query::of(&again).expect("a query")), Ok(Some(expected)));
            let wrong = message("1", "@PID.5.1^BIANCHI", &pointer);
            assert!(position(&Query::of(&wrong).expect("a query")).is_err());
        }
        let of = of_query(&query);
        for pointer in
            [of.clone(), format!("{of}..."), format!("{of}.a.b"), "10".to_owned(), "\u{e9}".to_owned()]
        {
            let wrong = message("1", "@PID.5.1^ROSSI", &pointer);
            let problem = position(&Query::of(&wrong).expect("a query")).expect_err(&pointer);
            assert_eq!(problem.condition, Condition::UnknownKey, "{pointer}");
        }
    }
}
