//! Acknowledgements: in original and in enhanced mode.
//!
//! Spec: HL7 v2.5.1 section 2.9, 2.14.1, 2.15.8

use jiff::Timestamp;

use super::delimiters::Delimiters;
use super::message::Message;
use super::part::Part;
use super::problem::{self, Problem};
use super::segment::Segment;

/// Table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The message was performed.
    ApplicationAccept,
    /// What is in it is in error.
    ApplicationError,
    /// It was rejected, for its kind or because it cannot be performed now.
    ApplicationReject,
    /// It is kept, and will be performed.
    CommitAccept,
    /// It cannot be kept now.
    CommitError,
    /// It will not be taken.
    CommitReject,
}

impl Code {
    /// Returns it as written.
    pub fn code(self) -> &'static str {
        match self {
            Code::ApplicationAccept => "AA",
            Code::ApplicationError => "AE",
            Code::ApplicationReject => "AR",
            Code::CommitAccept => "CA",
            Code::CommitError => "CE",
            Code::CommitReject => "CR",
        }
    }

    /// Tells whether all went well.
    pub fn is_accept(self) -> bool {
        matches!(self, Code::ApplicationAccept | Code::CommitAccept)
    }

    /// Returns what the same is called when a message is taken over.
    #[must_use]
    pub fn of_commit(self) -> Code {
        match self {
            Code::ApplicationAccept => Code::CommitAccept,
            Code::ApplicationError => Code::CommitError,
            Code::ApplicationReject => Code::CommitReject,
            commit => commit,
        }
    }
}

/// When an acknowledgement is wanted; table 0155.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Always.
    Always,
    /// Never.
    Never,
    /// When something is wrong.
    OnError,
    /// When all went well.
    OnSuccess,
}

impl Wanted {
    /// Reads MSH-15 or MSH-16; an empty one of the two wants none.
    fn of(field: Part<'_>) -> Option<Wanted> {
        match field.text() {
            "" | "\"\"" | "NE" => Some(Wanted::Never),
            "AL" => Some(Wanted::Always),
            "ER" => Some(Wanted::OnError),
            "SU" => Some(Wanted::OnSuccess),
            _ => None,
        }
    }

    /// Tells whether it is wanted of how it ended.
    pub fn covers(self, code: Code) -> bool {
        match self {
            Wanted::Always => true,
            Wanted::Never => false,
            Wanted::OnError => !code.is_accept(),
            Wanted::OnSuccess => code.is_accept(),
        }
    }
}

/// How a message wants to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Once, when it was performed.
    Original,
    /// When it was taken over, and when it was performed.
    Enhanced {
        /// MSH-15.
        accept: Wanted,
        /// MSH-16.
        application: Wanted,
    },
}

impl Mode {
    /// Reads MSH-15 and MSH-16; the number of the field that is in no table.
    ///
    /// # Errors
    /// The number of a field whose value is not in its table.
    pub fn of(message: &Message) -> Result<Mode, usize> {
        let (accept, application) = (message.header(15), message.header(16));
        if accept.is_empty() && application.is_empty() {
            return Ok(Mode::Original);
        }
        let accept = Wanted::of(accept).ok_or(15_usize)?;
        let application = Wanted::of(application).ok_or(16_usize)?;
        Ok(Mode::Enhanced { accept, application })
    }
}

/// A version of HL7 v2, such as 2.5.1: its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VersionId(pub u8, pub u8, pub u8);

impl VersionId {
    /// Parses one of version 2.
    pub fn parse(text: &str) -> Option<VersionId> {
        let mut numbers = text.split('.').map(|number| number.parse::<u8>().ok());
        let (major, minor) = (numbers.next()??, numbers.next().unwrap_or(Some(0))?);
        let patch = numbers.next().unwrap_or(Some(0))?;
        (major == 2 && numbers.next().is_none()).then_some(VersionId(major, minor, patch))
    }
}

/// The version in which ERR got a segment for each problem.
const WITH_SEGMENTS: VersionId = VersionId(2, 5, 0);
/// The version in which MSH-9 got a structure.
const WITH_STRUCTURE: VersionId = VersionId(2, 3, 1);

/// Who acknowledges, when, under which control id.
#[derive(Debug, Clone)]
pub struct Acknowledging<'a> {
    /// MSH-10 of the acknowledgement.
    pub control_id: &'a str,
    /// MSH-7.
    pub at: Timestamp,
    /// MSH-3 where the message names no receiver.
    pub application: &'a str,
}

/// Makes the header of an answer: that of the message, turned round.
pub fn answer_header(message: &Message, acknowledging: &Acknowledging<'_>, kind: &[&str]) -> Message {
    let delimiters = *message.delimiters();
    let mut answer = Message::new(&delimiters).with_charset(message.charset().unmarked());
    let header = |field: usize| message.header(field).text();
    let own = [(3, 5), (4, 6), (5, 3), (6, 4), (11, 11), (12, 12), (18, 18)];
    let mut segment = Segment::header(&delimiters).with(7, &time(acknowledging.at));
    for (to, from) in own {
        segment.set_written(to, header(from));
    }
    if header(5).is_empty() {
        segment = segment.with(3, acknowledging.application);
    }
    // Of several character sets the first is that of the answer.
    let charset = message.header(18).repetitions().next().map_or("", |first| first.text()).to_owned();
    segment.set_written(18, &charset);
    segment = segment.with_components(9, kind).with(10, acknowledging.control_id);
    trim(&mut segment);
    answer.segments_mut("MSH").for_each(|first| *first = segment.clone());
    answer
}

/// Acknowledges a message.
pub fn acknowledge(
    message: &Message,
    acknowledging: &Acknowledging<'_>,
    code: Code,
    problems: &[Problem],
) -> Message {
    let version = message.header(12).value().and_then(|text| VersionId::parse(&text));
    let version = version.unwrap_or(WITH_SEGMENTS);
    let event = message.header(9).component(2).value().unwrap_or_default();
    let kind: &[&str] = match (version >= WITH_STRUCTURE, event.as_str()) {
        (_, "") => &["ACK"],
        (true, event) => &["ACK", event, "ACK"],
        (false, event) => &["ACK", event],
    };
    let mut answer = answer_header(message, acknowledging, kind);
    for segment in told(message, version, code, problems) {
        answer.push(segment);
    }
    answer
}

/// Returns MSA and ERR of the answer to a message, in the form of its version.
pub fn segments(message: &Message, code: Code, problems: &[Problem]) -> Vec<Segment> {
    let version = message.header(12).value().and_then(|text| VersionId::parse(&text));
    told(message, version.unwrap_or(WITH_SEGMENTS), code, problems)
}

fn told(message: &Message, version: VersionId, code: Code, problems: &[Problem]) -> Vec<Segment> {
    let delimiters = message.delimiters();
    let mut msa = Segment::new("MSA", delimiters).with(1, code.code());
    msa.set_written(2, message.header(10).text());
    if version >= WITH_SEGMENTS {
        let mut all = vec![msa];
        all.extend(problem::segments(problems, delimiters));
        return all;
    }
    match problems.first() {
        // MSA-3 is the only place for words.
        Some(first) => vec![msa.with(3, &first.text), problem::segment_of_old(problems, delimiters)],
        None => vec![msa],
    }
}

/// Rejects bytes that are no message: the header is made up.
pub fn reject(acknowledging: &Acknowledging<'_>, problem: &Problem) -> Message {
    let delimiters = Delimiters::default();
    let mut made_up = Message::new(&delimiters);
    let header = Segment::header(&delimiters).with(11, "P").with(12, "2.5");
    made_up.segments_mut("MSH").for_each(|first| *first = header.clone());
    acknowledge(&made_up, acknowledging, Code::ApplicationReject, std::slice::from_ref(problem))
}

/// Writes a time as of v2: to the second, in UTC.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y%m%d%H%M%S+0000").to_string()
}

/// Takes empty fields off the end.
fn trim(segment: &mut Segment) {
    let separator = segment.delimiters.field;
    let length = segment.text.trim_end_matches(separator).len();
    segment.text.truncate(length);
}
