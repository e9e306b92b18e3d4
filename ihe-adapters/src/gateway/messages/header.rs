//! What MSH has to say, lest a message is refused for it.
//!
//! Spec: HL7 v2.5.1 section 2.9.2.2, 2.15.9

use super::Settings;
use super::table::{self, Row};
use crate::source::of_sender;
use crate::wire::hl7v2::acknowledgement::{Mode, VersionId};
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::{Condition, Problem};

/// The longest MSH-10, and names of senders: longer ones are no keys.
const KEY_LENGTH_MAX: usize = 199;
/// The newest version that there is: later ones say what nobody here knows.
const NEWEST: VersionId = VersionId(2, 9, 1);

/// The header of a message that is taken.
#[derive(Debug, Clone)]
pub(super) struct Header {
    /// Who sent it: `application|facility`.
    pub(super) sender: String,
    /// The same, as `meta.source` says it.
    pub(super) source: String,
    /// MSH-10.
    pub(super) control_id: String,
    /// How it is to be acknowledged.
    pub(super) mode: Mode,
    /// What it leads to.
    pub(super) row: &'static Row,
}

impl Header {
    /// Reads the header of a message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn of(message: &Message, settings: &Settings) -> Result<Header, Problem> {
        let version = required(message, 12, "the version")?;
        let known = VersionId::parse(&version).filter(|version| *version <= NEWEST);
        if known.is_none() {
            return Err(at(12, Condition::VersionId, "messages of version 2 are taken, up to 2.9.1"));
        }
        let kind = required(message, 9, "the message type")?;
        let trigger = message.header(9).component(2).value().unwrap_or_default();
        let row = table::row(&kind, &trigger)?;
        let control_id = required(message, 10, "the control id")?;
        let processing_id = required(message, 11, "the processing id")?;
        if !settings.processing_ids.contains(&processing_id) {
            let text = "messages for this kind of processing are not taken here";
            return Err(at(11, Condition::ProcessingId, text));
        }
        let mode = Mode::of(message)
            .map_err(|field| at(field, Condition::TableValue, "it is one of AL, NE, ER and SU"))?;
        let name = |field: usize| message.header(field).component(1).value().unwrap_or_default();
        let sender = format!("{}|{}", name(3), name(4));
        let source = of_sender(&name(3), &name(4));
        for (field, text) in [(10, &control_id), (3, &sender)] {
            if text.len() > KEY_LENGTH_MAX {
                let text = format!("it has at most {KEY_LENGTH_MAX} bytes");
                return Err(at(field, Condition::ValueTooLong, &text));
            }
        }
        Ok(Header { sender, source, control_id, mode, row })
    }
}

fn required(message: &Message, field: usize, what: &str) -> Result<String, Problem> {
    let value = message.header(field).component(1).value();
    value.ok_or_else(|| at(field, Condition::RequiredField, &format!("{what} is missing")))
}

fn at(field: usize, condition: Condition, text: &str) -> Problem {
    Problem::error(condition, text).at(Location::field("MSH", field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_refused_where_they_are_wrong() {
        let good = ["A", "B", "C", "D", "2024", "", "ADT^A01", "7", "P", "2.5", "", "", "AL", "NE"];
        let of = |changed: usize, value: &str| {
            let mut fields = good.map(str::to_owned);
            if let Some(field) = changed.checked_sub(3).and_then(|at| fields.get_mut(at)) {
                value.clone_into(field);
            }
            let message = Message::parse(&format!("MSH|^~\\&|{}\rPID|\r", fields.join("|"))).expect("valid");
            Header::of(&message, &Settings::default())
        };
        let header = of(0, "").expect("good");
        assert_eq!((header.sender.as_str(), header.control_id.as_str()), ("A|B", "7"));
        let long = "x".repeat(200);
        for (field, value, condition, place) in [
            (9, "", Condition::RequiredField, "MSH-9"),
            (9, "XYZ^A01", Condition::MessageType, "MSH-9.1"),
            (9, "ADT^X99", Condition::EventCode, "MSH-9.2"),
            (9, "ADT", Condition::EventCode, "MSH-9.2"),
            (10, "", Condition::RequiredField, "MSH-10"),
            (10, &long, Condition::ValueTooLong, "MSH-10"),
            (3, &long, Condition::ValueTooLong, "MSH-3"),
            (11, "", Condition::RequiredField, "MSH-11"),
            (11, "T", Condition::ProcessingId, "MSH-11"),
            (12, "", Condition::RequiredField, "MSH-12"),
            (12, "3.0", Condition::VersionId, "MSH-12"),
            (12, "2.10", Condition::VersionId, "MSH-12"),
            (15, "XX", Condition::TableValue, "MSH-15"),
            (16, "XX", Condition::TableValue, "MSH-16"),
        ] {
            let problem = of(field, value).expect_err(place);
            let found = problem.locations.first().map(Location::to_string).unwrap_or_default();
            assert_eq!((problem.condition, found.as_str()), (condition, place), "{value}");
        }
    }
}
