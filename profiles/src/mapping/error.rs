//! Why a map cannot be used, and where.

use std::fmt;

use fhir_model::outcome::{Issue, IssueType};

/// Why a map cannot be read or compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapError {
    /// What is wrong.
    pub problem: String,
    /// Where it is wrong.
    pub place: Place,
}

/// A place in a map; what is not known is empty or 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The name or URL of the map.
    pub map: String,
    /// The group.
    pub group: String,
    /// The rule.
    pub rule: String,
    /// The line in the text, from 1.
    pub line: u32,
}

impl MapError {
    /// Makes an error at a line of a text.
    pub(super) fn at_line(line: u32, problem: impl Into<String>) -> MapError {
        MapError { problem: problem.into(), place: Place { line, ..Place::default() } }
    }

    /// Makes an error at a place.
    pub(super) fn at(place: Place, problem: impl Into<String>) -> MapError {
        MapError { problem: problem.into(), place }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("map", &self.map), ("group", &self.group), ("rule", &self.rule)];
        let mut separator = "";
        for (what, name) in parts.into_iter().filter(|(_, name)| !name.is_empty()) {
            write!(f, "{separator}{what} `{name}`")?;
            separator = ", ";
        }
        if self.line > 0 {
            write!(f, "{separator}line {}", self.line)?;
        }
        Ok(())
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

impl std::error::Error for MapError {}

impl From<MapError> for Issue {
    fn from(error: MapError) -> Issue {
        Issue::error(IssueType::Invalid).text(format!("the map is not valid: {error}"))
    }
}

/// Why a transform cannot be done, and where in the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformError {
    /// What is wrong.
    pub kind: TransformErrorKind,
    /// Where in the map.
    pub place: Box<Place>,
}

/// The ways in which a transform can fail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransformErrorKind {
    /// The map is not one that can be run.
    #[error("{0}")]
    Map(String),
    /// A variable that is not defined where it is used.
    #[error("variable `{0}` is not defined here")]
    UnknownVariable(String),
    /// An element that the type does not have.
    #[error("`{on}` has no element `{element}`")]
    UnknownElement {
        /// The type.
        on: &'static str,
        /// The element.
        element: String,
    },
    /// A value of a type that the element cannot have.
    #[error("`{on}.{element}` cannot be a `{given}`")]
    WrongType {
        /// The type that has the element.
        on: &'static str,
        /// The element.
        element: String,
        /// The type of the value.
        given: String,
    },
    /// A value that the primitive type does not have.
    #[error("`{given}` is no {ty}")]
    WrongValue {
        /// The primitive type.
        ty: &'static str,
        /// The value.
        given: String,
    },
    /// Types for which there is no group.
    #[error("there is no group that makes a `{to}` of a `{from}`")]
    NoGroup {
        /// The type of the source.
        from: String,
        /// The type of the target.
        to: String,
    },
    /// Nothing where a value is needed.
    #[error("{0} has no value")]
    NoValue(&'static str),
    /// A function that cannot do what is asked.
    #[error("`{function}`: {problem}")]
    Function {
        /// The function.
        function: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// FHIRPath that has no value on this source.
    #[error("FHIRPath `{text}`: {problem}")]
    Expression {
        /// The expression.
        text: String,
        /// What is wrong.
        problem: String,
    },
    /// A check that does not hold.
    #[error("the check `{0}` does not hold")]
    Check(String),
    /// More or fewer items than the rule allows.
    #[error("`{element}` occurs {count} times, which the rule does not allow")]
    Count {
        /// The element.
        element: String,
        /// How often it occurs.
        count: usize,
    },
    /// More steps than allowed.
    #[error("the transform takes more than {0} steps")]
    TooManySteps(u64),
    /// Nested deeper than allowed.
    #[error("rules and groups are nested deeper than {0}")]
    TooDeep(usize),
    /// Elements nested deeper than allowed.
    #[error("elements of the result are nested deeper than {0}")]
    TooNested(u32),
    /// Longer than allowed.
    #[error("the transform takes longer than {0:?}")]
    TooLong(std::time::Duration),
    /// More text than allowed.
    #[error("the result has more than {0} bytes of text")]
    TooMuchText(usize),
    /// More elements than allowed.
    #[error("the result has more than {0} elements")]
    TooManyElements(usize),
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl std::error::Error for TransformError {}

impl From<TransformError> for Issue {
    fn from(error: TransformError) -> Issue {
        let code = match &error.kind {
            TransformErrorKind::Map(_)
            | TransformErrorKind::UnknownVariable(_)
            | TransformErrorKind::UnknownElement { .. }
            | TransformErrorKind::WrongType { .. }
            | TransformErrorKind::NoGroup { .. }
            | TransformErrorKind::Function { .. }
            | TransformErrorKind::Expression { .. } => IssueType::Processing,
            TransformErrorKind::WrongValue { .. } | TransformErrorKind::NoValue(_) => IssueType::Value,
            TransformErrorKind::Check(_) | TransformErrorKind::Count { .. } => IssueType::BusinessRule,
            TransformErrorKind::TooManySteps(_)
            | TransformErrorKind::TooDeep(_)
            | TransformErrorKind::TooNested(_)
            | TransformErrorKind::TooLong(_)
            | TransformErrorKind::TooMuchText(_)
            | TransformErrorKind::TooManyElements(_) => IssueType::TooCostly,
        };
        Issue::error(code).text(format!("the transform failed: {error}"))
    }
}
