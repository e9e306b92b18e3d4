//! What is wrong with a message, as ERR tells it.
//!
//! Spec: HL7 v2.5.1 section 2.15.5, tables 0357 and 0516

use super::delimiters::Delimiters;
use super::location::Location;
use super::segment::Segment;

/// The codes of table 0357.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing is wrong.
    Accepted,
    /// Segments stand in another order than they should, or one is missing.
    SegmentSequence,
    /// A field that has to be there is not.
    RequiredField,
    /// A value is not of its data type.
    DataType,
    /// A value is in none of its tables.
    TableValue,
    /// A value is longer than this server takes.
    ValueTooLong,
    /// The message type is not supported.
    MessageType,
    /// The event is not supported.
    EventCode,
    /// The processing id is not supported.
    ProcessingId,
    /// The version is not supported.
    VersionId,
    /// A key, such as an identifier, is not known.
    UnknownKey,
    /// A key is in use already.
    DuplicateKey,
    /// The record is in use by somebody else.
    Locked,
    /// Something went wrong here.
    Internal,
}

/// How bad it is; table 0516.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The message was refused for it.
    Error,
    /// The message was taken all the same.
    Warning,
    /// To be known.
    Information,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What.
    pub condition: Condition,
    /// How bad.
    pub severity: Severity,
    /// Where; several places may have the same.
    pub locations: Vec<Location>,
    /// What to tell a reader: nothing of what stands in the message.
    pub text: String,
}

impl Condition {
    /// Returns the code.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Returns its meaning.
    pub fn display(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Condition::Accepted => ("0", "Message accepted"),
            Condition::SegmentSequence => ("100", "Segment sequence error"),
            Condition::RequiredField => ("101", "Required field missing"),
            Condition::DataType => ("102", "Data type error"),
            Condition::TableValue => ("103", "Table value not found"),
            Condition::ValueTooLong => ("104", "Value too long"),
            Condition::MessageType => ("200", "Unsupported message type"),
            Condition::EventCode => ("201", "Unsupported event code"),
            Condition::ProcessingId => ("202", "Unsupported processing id"),
            Condition::VersionId => ("203", "Unsupported version id"),
            Condition::UnknownKey => ("204", "Unknown key identifier"),
            Condition::DuplicateKey => ("205", "Duplicate key identifier"),
            Condition::Locked => ("206", "Application record locked"),
            Condition::Internal => ("207", "Application internal error"),
        }
    }

    /// Tells whether a message is rejected for it (AR), whatever is in it; it
    /// is in error (AE) otherwise.
    pub fn rejects(self) -> bool {
        matches!(
            self,
            Condition::MessageType | Condition::EventCode | Condition::ProcessingId | Condition::VersionId
        )
    }
}

impl Severity {
    /// Returns the code.
    pub fn code(self) -> &'static str {
        match self {
            Severity::Error => "E",
            Severity::Warning => "W",
            Severity::Information => "I",
        }
    }
}

impl Problem {
    /// Makes an error.
    pub fn error(condition: Condition, text: impl Into<String>) -> Problem {
        Problem { condition, severity: Severity::Error, locations: Vec::new(), text: text.into() }
    }

    /// Makes a warning.
    pub fn warning(condition: Condition, text: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(condition, text) }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, location: Location) -> Problem {
        self.locations.push(location);
        self
    }
}

/// Writes problems as of v2.5: a segment each.
pub(super) fn segments(problems: &[Problem], delimiters: &Delimiters) -> Vec<Segment> {
    let segment = |problem: &Problem| {
        let mut segment = Segment::new("ERR", delimiters);
        let repetitions: Vec<String> = problem
            .locations
            .iter()
            .map(|location| {
                let erl = location.as_erl();
                let one = Segment::new("ERR", delimiters)
                    .with_components(2, &erl.iter().map(String::as_str).collect::<Vec<&str>>());
                one.part(2).text().to_owned()
            })
            .collect();
        segment.set_written(2, &repetitions.join(&delimiters.repetition.to_string()));
        segment
            .with_components(3, &[problem.condition.code(), problem.condition.display(), "HL70357"])
            .with(4, problem.severity.code())
            .with(8, &problem.text)
    };
    problems.iter().map(segment).collect()
}

/// Writes problems as before v2.5: one segment, a repetition each.
pub(super) fn segment_of_old(problems: &[Problem], delimiters: &Delimiters) -> Segment {
    let mut repetitions = Vec::new();
    for problem in problems {
        let code = [problem.condition.code(), problem.condition.display(), "HL70357"];
        let code = code.join(&delimiters.subcomponent.to_string());
        let places: Vec<[String; 3]> = match problem.locations.is_empty() {
            true => vec![Default::default()],
            false => problem.locations.iter().map(Location::as_eld).collect(),
        };
        for [name, sequence, field] in places {
            repetitions.push([name, sequence, field, code.clone()].join(&delimiters.component.to_string()));
        }
    }
    let mut segment = Segment::new("ERR", delimiters);
    segment.set_written(1, &repetitions.join(&delimiters.repetition.to_string()));
    segment
}
