//! Queries by parameter, and their answers.
//!
//! A query that cannot be read is rejected ([`Rejected`]), with a general
//! acknowledgement. Every other one is answered ([`Response`]): with what was
//! found, or with what is wrong with what it asks.
//!
//! Spec: HL7 v2.5 chapter 5: QBP, RSP, QPD, RCP, QAK, DSC, QIP

use super::acknowledgement::{self, Acknowledging, Code, answer_header};
use super::location::Location;
use super::message::Message;
use super::part::Part;
use super::problem::{Condition, Problem};
use super::segment::Segment;

/// Why a query is no query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(pub Problem);

impl Rejected {
    /// Acknowledges the query so.
    pub fn acknowledge(&self, query: &Message, acknowledging: &Acknowledging<'_>) -> Message {
        let problems = std::slice::from_ref(&self.0);
        acknowledgement::acknowledge(query, acknowledging, Code::ApplicationReject, problems)
    }
}

/// A query.
#[derive(Debug, Clone, Copy)]
pub struct Query<'m> {
    /// The whole message.
    pub message: &'m Message,
    /// What it asks: QPD.
    pub asked: &'m Segment,
    /// How many records are wanted at once: RCP-2.
    pub quantity: Option<usize>,
}

impl<'m> Query<'m> {
    /// Reads a query.
    ///
    /// # Errors
    /// When a segment or a field is missing without which it cannot be answered.
    pub fn of(message: &'m Message) -> Result<Query<'m>, Rejected> {
        let asked = message.segment("QPD").ok_or_else(|| missing("QPD"))?;
        for (field, what) in [(1, "the name of the query"), (2, "the tag of the query")] {
            if asked.part(field).component(1).value().is_none() {
                let problem = Problem::error(Condition::RequiredField, format!("{what} is missing"));
                return Err(Rejected(problem.at(Location::field("QPD", field))));
            }
        }
        let control = message.segment("RCP").ok_or_else(|| missing("RCP"))?;
        let priority = control.part(1);
        if !(priority.is_empty() || priority.is_null() || priority.text() == "I") {
            let problem = Problem::error(Condition::TableValue, "queries are answered at once only: `I`");
            return Err(Rejected(problem.at(Location::field("RCP", 1))));
        }
        Ok(Query { message, asked, quantity: quantity(control.part(2))? })
    }

    /// Returns the continuation pointer: where to go on, as the answer before said.
    pub fn pointer(&self) -> Option<String> {
        self.message.segment("DSC")?.part(1).value()
    }

    /// Returns the parameters of a field that has them as names with values,
    /// each with the number of its repetition.
    ///
    /// # Errors
    /// When one has no name of the form `@PID.5.1`, or a value is longer than `value_max`.
    pub fn parameters(&self, field: usize, value_max: usize) -> Result<Vec<Parameter>, Problem> {
        let mut parameters = Vec::new();
        for (at, repetition) in self.asked.part(field).repetitions().enumerate() {
            let location = Location::field("QPD", field).in_repetition(at + 1);
            if repetition.is_empty() {
                continue;
            }
            let name = repetition.component(1).value().unwrap_or_default();
            let read = Parameter::of(&name, at + 1);
            let mut parameter = read.ok_or_else(|| {
                let text = "a parameter is named after a field, such as @PID.5.1";
                Problem::error(Condition::DataType, text).at(location.clone())
            })?;
            // What says nothing asks for nothing.
            let Some(value) = repetition.component(2).value() else { continue };
            if value.len() > value_max {
                let text = format!("a value is longer than {value_max} bytes");
                return Err(Problem::error(Condition::ValueTooLong, text).at(location));
            }
            parameter.value = value;
            parameters.push(parameter);
        }
        Ok(parameters)
    }
}

fn missing(segment: &str) -> Rejected {
    let problem = Problem::error(Condition::SegmentSequence, format!("a query has a {segment}"));
    Rejected(problem.at(Location::segment(segment)))
}

/// Reads how many records are wanted: `50^RD`.
fn quantity(field: Part<'_>) -> Result<Option<usize>, Rejected> {
    let refused = |condition, component, text: &str| {
        Err(Rejected(Problem::error(condition, text).at(Location::component("RCP", 2, component))))
    };
    let Some(number) = field.component(1).value() else { return Ok(None) };
    let number = match number.trim().parse::<usize>() {
        Ok(number) if number > 0 => number,
        _ => return refused(Condition::DataType, 1, "how many records are wanted is a number above 0"),
    };
    match field.component(2).value().as_deref() {
        None | Some("RD") => Ok(Some(number)),
        Some(_) => refused(Condition::TableValue, 2, "only records are counted: `RD`"),
    }
}

/// A parameter: the place in a message whose value is asked for, and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The segment: `PID`.
    pub segment: String,
    /// The field.
    pub field: usize,
    /// The component; 1 where none is told.
    pub component: usize,
    /// The sub-component; 1 where none is told.
    pub subcomponent: usize,
    /// The value.
    pub value: String,
    /// The repetition of the field of the query in which it stands.
    pub repetition: usize,
}

impl Parameter {
    /// Reads the name of one.
    fn of(name: &str, repetition: usize) -> Option<Parameter> {
        let mut parts = name.strip_prefix('@')?.split('.');
        let segment = parts.next()?;
        let is_segment = segment.len() == 3 && segment.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let mut numbers = [None::<usize>; 3];
        for number in &mut numbers {
            let Some(part) = parts.next() else { break };
            *number = Some(part.parse().ok().filter(|number| (1..=999).contains(number))?);
        }
        let [field, component, subcomponent] = numbers;
        (is_segment && parts.next().is_none()).then_some(())?;
        Some(Parameter {
            segment: segment.to_owned(),
            field: field?,
            component: component.unwrap_or(1),
            subcomponent: subcomponent.unwrap_or(1),
            value: String::new(),
            repetition,
        })
    }

    /// Returns the place that it names, such as `PID.5.1`.
    pub fn place(&self) -> (&str, usize, usize) {
        (&self.segment, self.field, self.component)
    }
}

/// How a query went; table 0208.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Something was found.
    Found,
    /// Nothing was found.
    NothingFound,
    /// What is asked is in error.
    InError,
}

/// The answer to a query.
#[derive(Debug, Clone)]
pub struct Response {
    /// The message type: `["RSP", "K23", "RSP_K23"]`.
    kind: [&'static str; 3],
    /// How it went.
    pub status: Status,
    /// What is wrong, or to be known.
    pub problems: Vec<Problem>,
    /// What follows the query that is told again.
    found: Vec<Segment>,
}

impl Response {
    /// Makes the answer that tells what was found. `found`: segments for each
    /// record; `pointer`: where the next answer goes on.
    pub fn found(
        query: &Query<'_>,
        kind: [&'static str; 3],
        found: Vec<Segment>,
        pointer: Option<String>,
    ) -> Response {
        let status = if found.is_empty() { Status::NothingFound } else { Status::Found };
        let mut found = found;
        if let Some(pointer) = pointer {
            found.push(Segment::new("DSC", query.message.delimiters()).with(1, &pointer).with(2, "I"));
        }
        Response { kind, status, problems: Vec::new(), found }
    }

    /// Makes the answer that tells what is wrong with what is asked.
    pub fn in_error(kind: [&'static str; 3], problem: Problem) -> Response {
        Response { kind, status: Status::InError, problems: vec![problem], found: Vec::new() }
    }

    /// Tells something that is to be known, too.
    #[must_use]
    pub fn with(mut self, problems: Vec<Problem>) -> Response {
        self.problems.extend(problems);
        self
    }

    /// Returns the code of the acknowledgement that it is.
    pub fn code(&self) -> Code {
        match self.status {
            Status::Found | Status::NothingFound => Code::ApplicationAccept,
            Status::InError => Code::ApplicationError,
        }
    }

    /// Writes it: MSH, MSA, ERR, QAK, QPD and what was found.
    pub fn message(&self, query: &Message, acknowledging: &Acknowledging<'_>) -> Message {
        let mut answer = answer_header(query, acknowledging, &self.kind);
        for segment in acknowledgement::segments(query, self.code(), &self.problems) {
            answer.push(segment);
        }
        let status = match self.status {
            Status::Found => "OK",
            Status::NothingFound => "NF",
            Status::InError => "AE",
        };
        let asked = query.segment("QPD");
        let mut summary = Segment::new("QAK", query.delimiters());
        summary.set_written(1, asked.map_or("", |asked| asked.part(2).text()));
        answer.push(summary.with(2, status));
        let segments = asked.into_iter().chain(&self.found);
        segments.for_each(|segment| answer.push(segment.clone()));
        answer
    }
}

/// Reads a message by which no more answers are wanted to a query (QCN).
///
/// # Errors
/// When it does not say to which.
pub fn cancelled(message: &Message) -> Result<(), Problem> {
    let query = message.segment("QID").ok_or_else(|| missing("QID").0)?;
    for field in [1, 2] {
        if query.part(field).component(1).value().is_none() {
            let problem = Problem::error(Condition::RequiredField, "it is not said which query is cancelled");
            return Err(problem.at(Location::field("QID", field)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(rest: &str) -> Message {
        Message::parse(&format!("MSH|^~\\&|A|B|C|D|||QBP^Q22^QBP_Q21|7|P|2.5\r{rest}")).expect("a message")
    }

    #[test]
    fn a_query_is_read_or_rejected() {
        let whole =
            message("QPD|IHE PDQ Query|tag|@PID.5.1.1^ROSSI~@PID.8~@PID.7^1980\rRCP|I|10^RD\rDSC|p|I\r");
        let query = Query::of(&whole).expect("a query");
        assert_eq!((query.quantity, query.pointer().as_deref()), (Some(10), Some("p")));
        let parameters = query.parameters(3, 10).expect("parameters");
        let places: Vec<_> = parameters.iter().map(|p| (p.place(), p.value.as_str(), p.repetition)).collect();
        assert_eq!(places, [(("PID", 5, 1), "ROSSI", 1), (("PID", 7, 1), "1980", 3)]);
        assert_eq!(query.parameters(3, 4).expect_err("too long").condition, Condition::ValueTooLong);
        for (rest, condition, place) in [
            ("RCP|I\r", Condition::SegmentSequence, "QPD"),
            ("QPD|name|tag\r", Condition::SegmentSequence, "RCP"),
            ("QPD||tag\rRCP|I\r", Condition::RequiredField, "QPD-1"),
            ("QPD|name\rRCP|I\r", Condition::RequiredField, "QPD-2"),
            ("QPD|name|tag\rRCP|D\r", Condition::TableValue, "RCP-1"),
            ("QPD|name|tag\rRCP|I|0^RD\r", Condition::DataType, "RCP-2.1"),
            ("QPD|name|tag\rRCP|I|x\r", Condition::DataType, "RCP-2.1"),
            ("QPD|name|tag\rRCP|I|5^LI\r", Condition::TableValue, "RCP-2.2"),
        ] {
            let of = message(rest);
            let Rejected(problem) = Query::of(&of).expect_err(rest);
            let places: Vec<String> = problem.locations.iter().map(Location::to_string).collect();
            assert_eq!((problem.condition, places), (condition, vec![place.to_owned()]), "{rest}");
        }
        for name in ["PID.5", "@PID", "@PIDX.5", "@PID.0", "@PID.5.1.1.1", "@PID.x", "@PID.5."] {
            let of = message(&format!("QPD|name|tag|{name}^x\rRCP|I\r"));
            let refused = Query::of(&of).expect("a query").parameters(3, 10).expect_err(name);
            assert_eq!(refused.condition, Condition::DataType, "{name}");
        }
    }

    #[test]
    fn a_cancelled_query_is_named() {
        assert_eq!(cancelled(&message("QID|tag|IHE PDQ Query\r")), Ok(()));
        for (rest, place) in [("", "QID"), ("QID||x\r", "QID-1"), ("QID|tag\r", "QID-2")] {
            let problem = cancelled(&message(rest)).expect_err(rest);
            assert_eq!(problem.locations.first().map(Location::to_string).as_deref(), Some(place));
        }
    }

    #[test]
    fn an_answer_tells_the_query_again() {
        let of = message("QPD|name|t\\T\\g|1~2\rRCP|I\r");
        let query = Query::of(&of).expect("a query");
        let at = "2026-01-02T03:04:05Z".parse().expect("time");
        let acknowledging = Acknowledging { control_id: "9", at, application: "LANTERNA" };
        let record = Segment::new("PID", of.delimiters()).with(1, "1");
        let kind = ["RSP", "K22", "RSP_K21"];
        let found = Response::found(&query, kind, vec![record], Some("next".into()));
        let head = "MSH|^~\\&|C|D|A|B|20260102030405+0000||RSP^K22^RSP_K21|9|P|2.5\r";
        assert_eq!(
            found.message(&of, &acknowledging).write(),
            format!("{head}MSA|AA|7\rQAK|t\\T\\g|OK\rQPD|name|t\\T\\g|1~2\rPID|1\rDSC|next|I\r")
        );
        let none = Response::found(&query, kind, Vec::new(), None).message(&of, &acknowledging).write();
        assert_eq!(none, format!("{head}MSA|AA|7\rQAK|t\\T\\g|NF\rQPD|name|t\\T\\g|1~2\r"));
        let problem = Problem::error(Condition::UnknownKey, "who?").at(Location::component("QPD", 3, 1));
        let wrong = Response::in_error(kind, problem.clone()).message(&of, &acknowledging).write();
        let error = "ERR||QPD^1^3^1^1|204^Unknown key identifier^HL70357|E||||who?\r";
        assert_eq!(wrong, format!("{head}MSA|AE|7\r{error}QAK|t\\T\\g|AE\rQPD|name|t\\T\\g|1~2\r"));
        let rejected = Rejected(problem).acknowledge(&of, &acknowledging).write();
        assert_eq!(rejected, format!("{}MSA|AR|7\r{error}", head.replace("RSP^K22^RSP_K21", "ACK^Q22^ACK")));
    }
}
