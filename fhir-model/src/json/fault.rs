//! What can be wrong with a document, where, and what reading keeps of it:
//! shared by the readers of JSON and XML.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::outcome::{Issue, IssueType};
use crate::tree::{NodeId, Resource};

/// The greatest depth of elements within each other.
pub const DEPTH_MAX: usize = 100;

/// Why a document is no resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong.
    pub kind: ReadErrorKind,
    /// Where in the resource, as FHIRPath: `Patient.name[0].given[1]`.
    pub location: String,
    /// Where in the document, in bytes from its beginning.
    pub offset: usize,
}

/// The ways in which a document can fail to be a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadErrorKind {
    /// Not UTF-8.
    #[error("not valid UTF-8")]
    Utf8,
    /// Not well-formed JSON or XML.
    #[error("not well-formed: {0}")]
    Syntax(String),
    /// Elements too deep within each other.
    #[error("nested deeper than {DEPTH_MAX} elements")]
    TooDeep,
    /// More text than a resource may hold.
    #[error("longer than a resource may be")]
    TooLong,
    /// The document says no resource type, or one that R4 does not have.
    #[error("{0}")]
    ResourceType(String),
    /// No such element in this type.
    #[error("unknown element `{0}`")]
    UnknownElement(String),
    /// The element stands there twice.
    #[error("element `{0}` stands there twice")]
    Duplicate(String),
    /// In XML, where the order is fixed: an element behind one that it must stand before.
    #[error("element `{element}` must stand before `{before}`")]
    OutOfOrder {
        /// The element that comes too late.
        element: &'static str,
        /// The element that stands before it.
        before: &'static str,
    },
    /// In XML: no such attribute on this element.
    #[error("unknown attribute `{0}`")]
    UnknownAttribute(String),
    /// In XML: something that resources do not hold, such as text between elements.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Another JSON type, or a single value in place of a list.
    #[error("expected {expected}")]
    WrongType {
        /// What should stand there.
        expected: &'static str,
    },
    /// Not in the grammar of the primitive type.
    #[error("not a valid {0}")]
    BadPrimitive(&'static str),
    /// An empty object, array or string, or a `null` that stands for nothing.
    #[error("{0}")]
    Empty(&'static str),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} (byte {})", self.kind, self.location, self.offset)
    }
}

impl std::error::Error for ReadError {}

impl From<ReadError> for Issue {
    fn from(error: ReadError) -> Issue {
        let code = match &error.kind {
            ReadErrorKind::Utf8
            | ReadErrorKind::Syntax(_)
            | ReadErrorKind::TooDeep
            | ReadErrorKind::ResourceType(_)
            | ReadErrorKind::UnknownElement(_)
            | ReadErrorKind::Duplicate(_)
            | ReadErrorKind::OutOfOrder { .. }
            | ReadErrorKind::UnknownAttribute(_)
            | ReadErrorKind::NotAllowed(_)
            | ReadErrorKind::WrongType { .. } => IssueType::Structure,
            ReadErrorKind::TooLong => IssueType::TooLong,
            ReadErrorKind::BadPrimitive(_) | ReadErrorKind::Empty(_) => IssueType::Value,
        };
        let issue = Issue::error(code).text(format!("{} (at byte {})", error.kind, error.offset));
        if error.location.is_empty() { issue } else { issue.at(error.location) }
    }
}

/// The greatest number of faults that are told of one document.
pub const FAULTS_MAX: usize = 1000;

/// A document read to its end, whatever is wrong with it.
#[derive(Debug)]
pub struct Reading {
    /// What could be read; `None` when nothing could.
    pub resource: Option<Resource>,
    /// What is wrong, in the order of the document.
    pub faults: Vec<ReadError>,
    offsets: HashMap<NodeId, u32>,
    /// Where each line begins, in bytes.
    lines: Vec<u32>,
}

impl Reading {
    pub(crate) fn new(
        resource: Option<Resource>,
        faults: Vec<ReadError>,
        offsets: HashMap<NodeId, u32>,
        text: &str,
    ) -> Reading {
        let ends = memchr::memchr_iter(b'\n', text.as_bytes());
        let lines =
            std::iter::once(0).chain(ends.map(|at| u32::try_from(at + 1).unwrap_or(u32::MAX))).collect();
        Reading { resource, faults, offsets, lines }
    }

    /// Returns line and column, from 1, of an element's value; columns count bytes.
    pub fn place(&self, node: NodeId) -> Option<(u32, u32)> {
        self.offsets.get(&node).map(|offset| self.place_of(*offset))
    }

    /// Returns line and column, from 1, of a byte of the document.
    pub fn place_of(&self, offset: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|begin| *begin <= offset).max(1);
        let begin = self.lines.get(line - 1).copied().unwrap_or(0);
        (u32::try_from(line).unwrap_or(u32::MAX), offset.saturating_sub(begin) + 1)
    }
}

/// A failure on its way out; each level adds its part of the path.
pub(crate) struct Failure {
    pub(crate) kind: ReadErrorKind,
    pub(crate) offset: usize,
    pub(crate) path: Vec<String>,
}

impl Failure {
    /// Turns it into the error told to the caller.
    pub(crate) fn into_error(self) -> ReadError {
        let mut path = self.path;
        path.reverse();
        ReadError { kind: self.kind, location: path.concat(), offset: self.offset }
    }
}

pub(crate) type Result2<T> = Result<T, Box<Failure>>;

/// Adds a part to the path of a failure.
pub(crate) trait Within<T> {
    fn within(self, part: impl FnOnce() -> String) -> Result2<T>;
}

impl<T> Within<T> for Result2<T> {
    fn within(self, part: impl FnOnce() -> String) -> Result2<T> {
        self.map_err(|mut failure| {
            failure.path.push(part());
            failure
        })
    }
}

/// What is gathered while reading goes on past faults.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) faults: Vec<Failure>,
    pub(crate) offsets: HashMap<NodeId, u32>,
    /// Elements whose value could not be read, and is missing for that.
    pub(crate) broken: HashSet<NodeId>,
}

/// Takes note of a failure that does not keep reading from going on; gives it
/// back where reading ends at the first.
pub(crate) fn note<T>(collected: &mut Option<Collected>, failed: Result2<T>, instead: T) -> Result2<T> {
    match (failed, collected) {
        (Err(failure), Some(collected)) if collected.faults.len() < FAULTS_MAX => {
            collected.faults.push(*failure);
            Ok(instead)
        }
        (failed, _) => failed,
    }
}

/// Adds a part to the path of a failure, and of the faults gathered since there were `before`.
pub(crate) fn placed<T>(
    collected: &mut Option<Collected>,
    before: usize,
    outcome: Result2<T>,
    part: impl Fn() -> String,
) -> Result2<T> {
    if let Some(collected) = collected {
        for fault in collected.faults.iter_mut().skip(before) {
            fault.path.push(part());
        }
    }
    outcome.within(part)
}

/// Returns how many faults were gathered so far.
pub(crate) fn count(collected: &Option<Collected>) -> usize {
    collected.as_ref().map_or(0, |c| c.faults.len())
}

/// Cuts what a caller sent before it is told back.
pub(crate) fn shortened(text: &str) -> &str {
    match text.char_indices().nth(64) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}
