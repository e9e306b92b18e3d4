//! The MLLP door: the bytes of a message of HL7 v2 come in, those of its
//! acknowledgement go out. What a message leads to stands in one table.
//!
//! A message is performed at most once: under a key of its sender and MSH-10,
//! which the transaction of what it says has as well. In enhanced mode it is
//! taken over first ([`inbox`]), and performed after those before it.
//!
//! - `header`: what MSH has to say.
//! - `table`: what messages there are, and what performs them.
//! - `feed`: messages that tell something; `groups`: those that tell of several patients.
//! - `kept`: messages kept as they came.
//! - `queue`: messages that were taken over.
//!
//! Spec: HL7 v2.5.1 section 2.9, ITI TF-2 appendix C

mod feed;
mod groups;
mod header;
pub mod inbox;
mod kept;
mod queue;
mod table;

use std::sync::Arc;

use bytes::Bytes;
use fhir_model::interaction::{Caller, Once};
use fhir_model::outcome::{Issue, IssueType, Severity};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ring::digest::{Context, SHA256};

use super::Gateway;
use crate::fhir_client::Fhir;
use crate::hl7v2::code_systems::CodeSystems;
use crate::pix::PatientIndex;
use crate::source;
use crate::wire::hl7v2::acknowledgement::{Acknowledging, Code, Mode, acknowledge, reject};
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::problem::{Condition, Problem};
use crate::wire::mllp::Flaw;
use header::Header;
use inbox::Patience;
use table::Performs;
#[cfg(test)]
pub(crate) use table::message_transactions;

/// What is taken of messages.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How this server is called in MSH-3 where a message names no receiver.
    pub application: String,
    /// The processing ids that are taken.
    pub processing_ids: Vec<String>,
    /// The zone of times that say none.
    pub time_zone: TimeZone,
    /// Which messages are kept as they came.
    pub keep: Keep,
    /// The code systems that only this region has.
    pub code_systems: CodeSystems,
    /// When a message that was taken over and fails is set aside.
    pub patience: Patience,
}

/// Which messages are kept as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those of which something is in no resource.
    Unmapped,
    /// All.
    All,
    /// None.
    None,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            application: "LANTERNA".to_owned(),
            processing_ids: vec!["P".to_owned()],
            time_zone: TimeZone::UTC,
            keep: Keep::Unmapped,
            code_systems: CodeSystems::default(),
            patience: Patience::default(),
        }
    }
}

/// What becomes of a message that came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// What is answered at once, if anything is.
    pub answer: Option<Vec<u8>>,
    /// Whose queue it is in, when it was taken over.
    pub sender: Option<String>,
}

/// How a message was answered.
struct Answered {
    code: Code,
    bytes: Vec<u8>,
    /// Why it failed by the fault of this server, upon which the same may go well later.
    failed: Option<String>,
}

impl Answered {
    fn with(code: Code, bytes: Vec<u8>) -> Answered {
        Answered { code, bytes, failed: None }
    }
}

/// Who answers, when, under which id.
struct Answering {
    control_id: String,
    at: Timestamp,
}

impl Answering {
    fn now() -> Answering {
        // MSH-10 has 20 characters up to version 2.6.
        let control_id = uuid::Uuid::new_v4().simple().to_string().chars().take(20).collect();
        Answering { control_id, at: Timestamp::now() }
    }

    fn by<'a>(&'a self, settings: &'a Settings) -> Acknowledging<'a> {
        Acknowledging { control_id: &self.control_id, at: self.at, application: &settings.application }
    }
}

impl Gateway {
    /// Takes a message: performs it and answers, or, in enhanced mode, takes it over.
    pub async fn receive_message(&self, caller: &Caller, bytes: &[u8]) -> Received {
        let message = match Message::read(bytes) {
            Ok(message) => message,
            Err(error) => {
                let problem = Problem::error(Condition::SegmentSequence, error.to_string());
                return Received { answer: Some(self.rejected(&problem)), sender: None };
            }
        };
        // An acknowledgement of ours wants none.
        if message.header(9).component(1).text() == "ACK" {
            return Received::default();
        }
        let header = match Header::of(&message, &self.settings.messages) {
            Ok(header) => header,
            Err(problem) => return self.refused(&message, problem),
        };
        match (header.mode, header.row.performs, &self.inbox) {
            (Mode::Enhanced { accept, .. }, Performs::Feed, Some(inbox)) => {
                let taken = inbox.take(&header.sender, Bytes::copy_from_slice(bytes)).await;
                let (code, problems) = match &taken {
                    Ok(()) => (Code::CommitAccept, Vec::new()),
                    Err(issue) => (Code::CommitError, vec![of_issue(issue)]),
                };
                let answer = accept.covers(code).then(|| self.acknowledged(&message, code, &problems));
                Received { answer, sender: taken.is_ok().then_some(header.sender) }
            }
            _ => {
                let answered = self.perform_message(caller, &message, &header).await;
                Received { answer: Some(answered.bytes), sender: None }
            }
        }
    }

    /// Performs a message, and answers when what it says is durable.
    async fn perform_message(&self, caller: &Caller, message: &Message, header: &Header) -> Answered {
        let answering = Answering::now();
        let query = match header.row.performs {
            Performs::Feed => return self.perform_once(caller, message, header, &answering).await,
            Performs::Query(query) => query,
        };
        let index = self.index(caller);
        let (code, answer) = query.answer(&index, message, &answering.by(&self.settings.messages)).await;
        let why = (!code.is_accept()).then_some("the query was refused");
        match self.record_message(caller, message, header, why).await {
            Ok(()) => Answered::with(code, answer.to_bytes()),
            Err(_) => {
                let text = "what was asked cannot be recorded, and is not answered";
                self.told(message, vec![Problem::error(Condition::Internal, text)], &answering)
            }
        }
    }

    /// Performs what a message tells, if that was not done before.
    async fn perform_once(
        &self,
        caller: &Caller,
        message: &Message,
        header: &Header,
        answering: &Answering,
    ) -> Answered {
        let keyed = |problems: &[Problem]| {
            let by = answering.by(&self.settings.messages);
            let answer = acknowledge(message, &by, Code::ApplicationAccept, problems).to_bytes();
            let key = format!("hl7v2|{}|{}", header.sender, header.control_id);
            let once = Once { key, fingerprint: fingerprint(message), answer: answer.into() };
            let told_by = source::of_message(&header.source, &header.control_id);
            Caller { once: Some(Arc::new(once)), source: Some(told_by), ..caller.clone() }
        };
        let caller = keyed(&[]);
        match self.api.repeated(&caller).await {
            Ok(None) => {}
            Ok(Some(answer)) => return Answered::with(Code::ApplicationAccept, answer.to_vec()),
            Err(issue) => return self.told(message, vec![of_issue(&issue)], answering),
        }
        match self.feed_message(&caller, message, header, &keyed).await {
            Ok(answer) => Answered::with(Code::ApplicationAccept, answer.to_vec()),
            Err(problem) => {
                // It is refused all the same, and the failure was logged.
                let _ = self.record_message(&caller, message, header, Some(&problem.text)).await;
                self.told(message, vec![problem], answering)
            }
        }
    }

    fn told(&self, message: &Message, problems: Vec<Problem>, answering: &Answering) -> Answered {
        let code = code_of(&problems);
        let bytes = acknowledge(message, &answering.by(&self.settings.messages), code, &problems).to_bytes();
        let failed = problems.iter().find(|problem| may_go_well(problem));
        Answered { code, bytes, failed: failed.map(|problem| problem.text.clone()) }
    }

    fn acknowledged(&self, message: &Message, code: Code, problems: &[Problem]) -> Vec<u8> {
        let answering = Answering::now();
        acknowledge(message, &answering.by(&self.settings.messages), code, problems).to_bytes()
    }

    /// Refuses a message for its header.
    fn refused(&self, message: &Message, problem: Problem) -> Received {
        let code = Code::ApplicationReject;
        let (code, is_wanted) = match Mode::of(message) {
            Ok(Mode::Enhanced { accept, .. }) => (code.of_commit(), accept.covers(code)),
            _ => (code, true),
        };
        Received { answer: is_wanted.then(|| self.acknowledged(message, code, &[problem])), sender: None }
    }

    fn rejected(&self, problem: &Problem) -> Vec<u8> {
        let answering = Answering::now();
        reject(&answering.by(&self.settings.messages), problem).to_bytes()
    }

    /// Refuses a frame that is malformed.
    pub fn refuse_frame(&self, flaw: &Flaw) -> Vec<u8> {
        let condition = match flaw {
            Flaw::TooLong(_) => Condition::ValueTooLong,
            Flaw::Outside | Flaw::Unended | Flaw::EndInside => Condition::SegmentSequence,
        };
        self.rejected(&Problem::error(condition, flaw.to_string()))
    }

    /// Answers a message whose handling broke: nothing is said of why.
    pub fn unexpected(&self, bytes: &[u8]) -> Vec<u8> {
        let problem = Problem::error(Condition::Internal, "an unexpected error");
        match Message::read(bytes) {
            Ok(message) => self.acknowledged(&message, Code::ApplicationReject, &[problem]),
            Err(_) => self.rejected(&problem),
        }
    }

    /// Returns the patient index on behalf of a caller.
    fn index<'g>(&'g self, caller: &'g Caller) -> PatientIndex<'g> {
        let fhir = Fhir { api: &*self.api, caller };
        PatientIndex { fhir, domains: &self.settings.domains, recording: None }
    }
}

/// Returns a hash of what a message says; not of when it was sent.
fn fingerprint(message: &Message) -> [u8; 32] {
    let mut hashed = Context::new(&SHA256);
    for segment in message.all() {
        if segment.name() != "MSH" {
            hashed.update(segment.text().as_bytes());
            hashed.update(b"\r");
            continue;
        }
        for (number, field) in segment.parts().filter(|(number, _)| *number != 7) {
            hashed.update(&number.to_be_bytes());
            hashed.update(field.text().as_bytes());
        }
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hashed.finish().as_ref());
    fingerprint
}

/// Returns how a message with such problems is acknowledged.
fn code_of(problems: &[Problem]) -> Code {
    // What is rejected may be taken later, or elsewhere.
    if problems.iter().any(|problem| problem.condition.rejects() || may_go_well(problem)) {
        Code::ApplicationReject
    } else {
        Code::ApplicationError
    }
}

/// Tells whether a problem is of this server, and not of the message.
fn may_go_well(problem: &Problem) -> bool {
    matches!(problem.condition, Condition::Internal | Condition::Locked)
}

/// Tells as a problem what FHIR refused, or where it failed.
fn of_issue(issue: &Issue) -> Problem {
    let condition = match issue.code {
        IssueType::Duplicate => {
            let text = "MSH-10 was used before, for another message of this sender";
            return Problem::error(Condition::DuplicateKey, text).at(Location::field("MSH", 10));
        }
        _ if issue.severity == Severity::Fatal => Condition::Internal,
        IssueType::Conflict | IssueType::LockError => Condition::Locked,
        IssueType::Transient | IssueType::Throttled | IssueType::NoStore | IssueType::Timeout => {
            Condition::Internal
        }
        IssueType::NotFound | IssueType::MultipleMatches => Condition::UnknownKey,
        _ => Condition::DataType,
    };
    Problem::error(condition, issue.diagnostics.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Message {
        Message::parse(text).expect(text)
    }

    #[test]
    fn when_it_was_sent_is_no_part_of_a_message() {
        let first = of("MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5\rPID|1\r");
        let again = of("MSH|^~\\&|A|B|C|D|2025||ADT^A01|1|P|2.5\rPID|1\r");
        let other = of("MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5\rPID|2\r");
        assert_eq!(fingerprint(&first), fingerprint(&again));
        assert_ne!(fingerprint(&first), fingerprint(&other));
    }

    #[test]
    fn what_may_go_well_later_is_rejected() {
        for (issue, code) in [
            (Issue::error(IssueType::Transient), Code::ApplicationReject),
            (Issue::fatal(IssueType::Exception), Code::ApplicationReject),
            (Issue::error(IssueType::Value), Code::ApplicationError),
            (Issue::error(IssueType::Duplicate), Code::ApplicationError),
        ] {
            assert_eq!(code_of(&[of_issue(&issue)]), code, "{issue}");
        }
    }
}
