//! Why an expression cannot be compiled or evaluated.

use std::fmt;

use crate::outcome::{Issue, IssueType};

/// Why a text is not an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Where, in bytes from the beginning of the text.
    pub byte: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl ParseError {
    /// Places an error at a byte of the text.
    pub(super) fn at(kind: ParseErrorKind, text: &str, byte: usize) -> ParseError {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        ParseError {
            kind,
            byte: before.len(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).map_or(0, |line| line.chars().count()) + 1,
        }
    }
}

/// The ways in which a text can fail to be an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseErrorKind {
    /// Longer than [`super::LENGTH_MAX`] bytes.
    #[error("longer than {} bytes", super::LENGTH_MAX)]
    TooLong,
    /// Nested deeper than [`super::DEPTH_MAX`].
    #[error("nested deeper than {} levels", super::DEPTH_MAX)]
    TooDeep,
    /// A character that no token begins with.
    #[error("unexpected character `{0}`")]
    UnexpectedCharacter(char),
    /// Another token than the grammar asks for.
    #[error("expected {expected}, found {found}")]
    Expected {
        /// What the grammar asks for.
        expected: &'static str,
        /// What stands there.
        found: String,
    },
    /// A string, delimited identifier or comment without its end.
    #[error("{0} without end")]
    Unterminated(&'static str),
    /// A backslash before something that cannot be escaped.
    #[error("unknown escape in a string")]
    Escape,
    /// A number that is too large to be kept exactly.
    #[error("number out of range")]
    Number,
    /// Not a date, dateTime or time.
    #[error("not a valid date or time")]
    Date,
    /// A function that is not defined.
    #[error("unknown function `{0}`")]
    UnknownFunction(String),
    /// More or fewer arguments than the function takes.
    #[error("`{function}` takes {least} to {most} arguments, not {given}")]
    Arguments {
        /// The function.
        function: &'static str,
        /// How few it takes.
        least: usize,
        /// How many it takes.
        most: usize,
        /// How many there are.
        given: usize,
    },
    /// A type that neither `System` nor `FHIR` has.
    #[error("unknown type `{0}`")]
    UnknownType(String),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.kind, self.line, self.column)
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for Issue {
    fn from(error: ParseError) -> Issue {
        let code = match error.kind {
            ParseErrorKind::TooLong => IssueType::TooLong,
            ParseErrorKind::TooDeep => IssueType::TooCostly,
            ParseErrorKind::UnknownFunction(_) | ParseErrorKind::UnknownType(_) => IssueType::NotSupported,
            ParseErrorKind::UnexpectedCharacter(_)
            | ParseErrorKind::Expected { .. }
            | ParseErrorKind::Unterminated(_)
            | ParseErrorKind::Escape
            | ParseErrorKind::Number
            | ParseErrorKind::Date
            | ParseErrorKind::Arguments { .. } => IssueType::Invalid,
        };
        Issue::error(code).text(format!("the FHIRPath expression is not valid: {error}"))
    }
}

/// Why an expression can give nothing sensible on any value of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A name that none of the possible values has.
    #[error("`{on}` has no element `{name}`")]
    UnknownElement {
        /// The name.
        name: String,
        /// A type that it was looked for on.
        on: &'static str,
    },
    /// A path that begins with another type than it is evaluated on.
    #[error("the path begins with `{name}`, which the focus is not")]
    OtherType {
        /// The type.
        name: &'static str,
    },
    /// Order taken from what has none.
    #[error("{what} needs an order, and the children of an element have none")]
    Unordered {
        /// The function.
        what: &'static str,
    },
    /// Something that can be no condition.
    #[error("the criterion of {function} is no Boolean")]
    NoCondition {
        /// The function.
        function: &'static str,
    },
}

impl From<CheckError> for Issue {
    fn from(error: CheckError) -> Issue {
        let code = match error {
            CheckError::UnknownElement { .. }
            | CheckError::OtherType { .. }
            | CheckError::Unordered { .. }
            | CheckError::NoCondition { .. } => IssueType::Invalid,
        };
        Issue::error(code).text(format!("the FHIRPath expression does not fit: {error}"))
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// Several items where at most one may be.
    #[error("{what} needs a single item, found {count}")]
    NotSingleton {
        /// The function or operator.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// An item of another type than the function works on.
    #[error("{what} does not work on {given}")]
    Type {
        /// The function or operator.
        what: &'static str,
        /// The type of the item.
        given: &'static str,
    },
    /// Operands that do not go together.
    #[error("`{operator}` does not work on {left} and {right}")]
    Operands {
        /// The operator.
        operator: &'static str,
        /// The type of the left operand.
        left: &'static str,
        /// The type of the right operand.
        right: &'static str,
    },
    /// A `%variable` that the context does not define.
    #[error("variable `%{0}` is not defined")]
    UndefinedVariable(String),
    /// An argument that the function cannot work with.
    #[error("{function}: {problem}")]
    Argument {
        /// The function.
        function: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Not a regular expression, or one that is too large.
    #[error("not a usable regular expression: `{0}`")]
    Pattern(String),
    /// A function that needs something the context does not have.
    #[error("{function} needs {needs}, which is not available here")]
    Unavailable {
        /// The function.
        function: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A profile that is not known.
    #[error("profile `{0}` is not known")]
    UnknownProfile(String),
    /// More steps than [`super::Limits::steps_max`].
    #[error("the evaluation takes more than {0} steps")]
    TooManySteps(u64),
    /// More items than [`super::Limits::items_max`].
    #[error("a collection has more than {0} items")]
    TooManyItems(usize),
    /// A string longer than [`super::Limits::text_bytes_max`].
    #[error("a string is longer than {0} bytes")]
    TooLong(usize),
}

impl From<EvaluateError> for Issue {
    fn from(error: EvaluateError) -> Issue {
        let code = match error {
            EvaluateError::NotSingleton { .. }
            | EvaluateError::Type { .. }
            | EvaluateError::Operands { .. }
            | EvaluateError::UndefinedVariable(_)
            | EvaluateError::Argument { .. }
            | EvaluateError::Pattern(_) => IssueType::Invalid,
            EvaluateError::Unavailable { .. } => IssueType::NotSupported,
            EvaluateError::UnknownProfile(_) => IssueType::NotFound,
            EvaluateError::TooManySteps(_) | EvaluateError::TooManyItems(_) | EvaluateError::TooLong(_) => {
                IssueType::TooCostly
            }
        };
        Issue::error(code).text(format!("the FHIRPath expression cannot be evaluated: {error}"))
    }
}
