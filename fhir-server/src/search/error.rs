//! What can be wrong with a search, and what the caller is told.

use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::TypeId;
use thiserror::Error;

use super::registry::Definition;

/// After so many seconds it pays to ask again whether a parameter is indexed.
const INDEXED_AFTER_SECONDS: u32 = 10;

/// Returns a definition by which may be searched.
///
/// # Errors
/// [`SearchError::BeingIndexed`], never silently fewer matches.
pub(super) fn ready<'d>(
    definition: &'d Definition,
    name: &str,
    on: TypeId,
) -> Result<&'d Definition, SearchError> {
    match definition.is_ready() {
        true => Ok(definition),
        false => Err(SearchError::BeingIndexed { name: name.to_owned(), on: on.name().to_owned() }),
    }
}

/// A search that cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SearchError {
    /// No such parameter on the types searched.
    #[error("search parameter `{name}` is not defined for {on}")]
    UnknownParameter {
        /// The parameter as the caller wrote it.
        name: String,
        /// The types searched.
        on: String,
    },
    /// The parameter is new, and not all resources are indexed for it yet.
    #[error(
        "search parameter `{name}` is being indexed for {on}: until that is done, matches would be missed"
    )]
    BeingIndexed {
        /// The parameter as the caller wrote it.
        name: String,
        /// The type searched.
        on: String,
    },
    /// The parameter exists and cannot be used so.
    #[error("{why}")]
    Unusable {
        /// The parameter as the caller wrote it.
        name: String,
        /// What is not possible.
        why: String,
    },
    /// The value is not one of the parameter's.
    #[error("{why}")]
    BadValue {
        /// The parameter as the caller wrote it.
        name: String,
        /// What is wrong with the value.
        why: String,
    },
    /// A `_filter` that breaks the grammar.
    #[error("_filter breaks the grammar at byte {at}: expected {expected}")]
    BadFilter {
        /// Bytes from the beginning.
        at: usize,
        /// What could have stood there.
        expected: String,
    },
    /// A cursor that is not of this search.
    #[error("the page link is damaged or belongs to another search; start again from the first page")]
    BadCursor,
    /// A limit was passed.
    #[error("a search may have at most {limit} {what}")]
    TooMany {
        /// What is limited, in the plural.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The answer would cost more than this server spends.
    #[error("{why}")]
    TooCostly {
        /// What makes it costly, and how to narrow the search.
        why: String,
    },
}

impl From<SearchError> for Issue {
    fn from(error: SearchError) -> Issue {
        let text = error.to_string();
        match error {
            SearchError::UnknownParameter { name, .. } => {
                Issue::error(IssueType::NotSupported).text(text).at(format!("http.{name}"))
            }
            SearchError::BeingIndexed { name, .. } => Issue::error(IssueType::Transient)
                .text(text)
                .at(format!("http.{name}"))
                .retry_after_seconds(INDEXED_AFTER_SECONDS),
            SearchError::Unusable { name, .. } => {
                Issue::error(IssueType::NotSupported).text(text).at(format!("http.{name}"))
            }
            SearchError::BadValue { name, .. } => {
                Issue::error(IssueType::Value).text(text).at(format!("http.{name}"))
            }
            SearchError::BadFilter { .. } => Issue::error(IssueType::Invalid).text(text).at("http._filter"),
            SearchError::BadCursor => Issue::error(IssueType::Invalid)
                .text(text)
                .at(format!("http.{}", super::page::CURSOR_PARAMETER)),
            SearchError::TooMany { .. } | SearchError::TooCostly { .. } => {
                Issue::error(IssueType::TooCostly).text(text)
            }
        }
    }
}

impl SearchError {
    /// Tells whether leaving the parameter out answers the rest of the
    /// search; limits, cursors and failures are never passed over.
    pub fn is_lenient(&self) -> bool {
        match self {
            SearchError::UnknownParameter { .. }
            | SearchError::BeingIndexed { .. }
            | SearchError::Unusable { .. } => true,
            SearchError::BadValue { .. }
            | SearchError::BadFilter { .. }
            | SearchError::BadCursor
            | SearchError::TooMany { .. }
            | SearchError::TooCostly { .. } => false,
        }
    }
}
