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
