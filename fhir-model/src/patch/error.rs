//! Why a patch was not applied.

use crate::json::ReadError;
use crate::json::read::shortened;
use crate::outcome::{Issue, IssueType, Reason};

/// Why a patch was not applied; the resource stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The document is no patch (400).
    #[error("not a patch: {what}")]
    Malformed {
        /// Where in the document: `[2]`, `Parameters.parameter[2]`.
        at: String,
        /// What is wrong.
        what: String,
    },
    /// The patch would cost more than one may (422).
    #[error("{0}")]
    TooCostly(&'static str),
    /// An operation cannot be applied to this resource (422).
    #[error("`{path}`: {why}")]
    Refused {
        /// Which operation.
        at: String,
        /// The path that it names.
        path: String,
        /// Why it cannot be applied.
        why: Refusal,
    },
    /// What the patch makes of the resource is no resource (422).
    #[error("the patched resource is not valid: {0}")]
    Result(ReadError),
}

/// Why an operation cannot be applied to a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing is there.
    #[error("there is no such element")]
    NotFound,
    /// More than one element is there where one was needed.
    #[error("more than one element is there")]
    ManyMatches,
    /// A `test` did not hold.
    #[error("the element has another value than the one tested for")]
    TestFailed,
    /// The element is there already and does not repeat.
    #[error("the element is there already")]
    AlreadyThere,
    /// The type has no such element.
    #[error("there is no element `{0}` in that type")]
    UnknownElement(String),
    /// The value is not of a type that may stand there.
    #[error("a value of that type may not stand there")]
    WrongType,
    /// The index lies behind the end of the list.
    #[error("the index lies outside of the list")]
    OutOfRange,
    /// The elements that a list operation names are not the one list of one element.
    #[error("the elements are not one list")]
    NotOneList,
    /// The whole resource cannot be deleted or moved by patch.
    #[error("the resource itself cannot be patched away")]
    Root,
    /// The path gives a value that is no element of the resource.
    #[error("the path gives something that is no element of the resource")]
    NoElement,
    /// The path could not be evaluated.
    #[error("{0}")]
    Path(String),
}

impl PatchError {
    /// Makes the error of a document that is no patch.
    pub(super) fn malformed(at: impl Into<String>, what: impl Into<String>) -> PatchError {
        PatchError::Malformed { at: at.into(), what: what.into() }
    }

    /// Makes the error of an operation that cannot be applied.
    pub(super) fn refused(at: impl Into<String>, path: &str, why: Refusal) -> PatchError {
        PatchError::Refused { at: at.into(), path: shortened(path).to_owned(), why }
    }
}

impl From<PatchError> for Issue {
    fn from(error: PatchError) -> Issue {
        let told = error.to_string();
        match error {
            PatchError::Malformed { at, .. } => Issue::error(IssueType::Structure).text(told).at(at),
            PatchError::TooCostly(_) => {
                Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).text(told)
            }
            PatchError::Refused { at, .. } => {
                Issue::error(IssueType::Processing).because(Reason::Unprocessable).text(told).at(at)
            }
            PatchError::Result(error) => {
                let issue = Issue::from(error).because(Reason::Unprocessable);
                Issue { diagnostics: told, ..issue }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_to_the_caller() {
        for (error, code, reason, at, text) in [
            (
                PatchError::malformed("[2]", "no `op`"),
                IssueType::Structure,
                Reason::None,
                &["[2]"][..],
                "not a patch: no `op`",
            ),
            (
                PatchError::refused("[0]", "/gender", Refusal::TestFailed),
                IssueType::Processing,
                Reason::Unprocessable,
                &["[0]"],
                "`/gender`: the element has another value than the one tested for",
            ),
            (
                PatchError::TooCostly("the patch copies too much"),
                IssueType::TooCostly,
                Reason::Unprocessable,
                &[],
                "the patch copies too much",
            ),
            (
                PatchError::Result(
                    crate::json::read(r#"{"resourceType":"Patient","x":1}"#).expect_err("bad"),
                ),
                IssueType::Structure,
                Reason::Unprocessable,
                &["Patient"],
                "the patched resource is not valid: unknown element `x` at Patient (byte 26)",
            ),
        ] {
            let issue = Issue::from(error);
            assert_eq!((issue.code, issue.reason, issue.diagnostics.as_str()), (code, reason, text));
            assert_eq!(issue.expression, at);
        }
    }
}
