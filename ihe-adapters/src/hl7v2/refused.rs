//! Why a message is not taken: what is wrong, and where, as ERR tells it.
//!
//! Spec: HL7 v2.5.1 section 2.15.5, table 0357

use super::place::Place;

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A segment that has to be there is not, or one too many is.
    SegmentSequence,
    /// A field that has to be there is not.
    RequiredField,
    /// A value is not of its data type.
    DataType,
    /// A value is in none of its tables.
    TableValue,
    /// The message type is not supported.
    MessageType,
    /// The event is not supported.
    EventCode,
    /// An identifier of an assigning authority that is not known here.
    UnknownKey,
}

impl Fault {
    /// Returns its code in table 0357.
    pub fn code(self) -> &'static str {
        match self {
            Fault::SegmentSequence => "100",
            Fault::RequiredField => "101",
            Fault::DataType => "102",
            Fault::TableValue => "103",
            Fault::MessageType => "200",
            Fault::EventCode => "201",
            Fault::UnknownKey => "204",
        }
    }
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {text}")]
pub struct Refused {
    /// What is wrong.
    pub fault: Fault,
    /// Where; a field of 0 is the whole segment.
    pub place: Place,
    /// For a reader: nothing of what stands in the message.
    pub text: &'static str,
}

impl Refused {
    /// Says what is wrong at a place.
    pub fn new(fault: Fault, place: Place, text: &'static str) -> Refused {
        Refused { fault, place, text }
    }

    /// Says that a segment is missing, or is there too often.
    pub fn segment(name: &str, text: &'static str) -> Refused {
        Refused::new(Fault::SegmentSequence, Place::field(name, 0), text)
    }
}
