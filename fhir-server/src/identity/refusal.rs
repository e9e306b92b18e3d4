//! Why records are not merged, taken apart or linked: told once, with a code
//! that adapters can tell apart.

use fhir_model::outcome::{Issue, IssueType, Reason};

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Both are the same record.
    #[error("both are the same patient")]
    Same,
    /// There is no such patient.
    #[error("`{0}`: there is no such patient")]
    Unknown(&'static str),
    /// It was deleted.
    #[error("`{0}`: this patient was deleted")]
    Deleted(&'static str),
    /// Several have the identifiers.
    #[error("`{0}`: more than one patient has these identifiers")]
    Ambiguous(&'static str),
    /// It was merged into the same one before.
    #[error("{source_patient} was merged into {target_patient} before")]
    MergedAlready {
        /// The one that was merged away.
        source_patient: String,
        /// The one that is left.
        target_patient: String,
    },
    /// It was merged into another.
    #[error("`{parameter}`: this patient was merged into {into}, who takes his place")]
    Subsumed {
        /// Which parameter names it.
        parameter: &'static str,
        /// Into whom.
        into: String,
    },
    /// The target was merged, over others, into the source.
    #[error("the target was merged into the source: a merge would close a circle")]
    Circle,
    /// There is no such merge.
    #[error("these patients are not merged")]
    NotMerged,
    /// The same two were merged or taken apart later.
    #[error("these two were merged or taken apart later, {0}: what is told is older")]
    Outdated(String),
    /// Somebody decided that they are not one.
    #[error("{0} and {1} were decided to be different persons: decide otherwise first")]
    Different(String, String),
    /// They are one by what was decided or merged.
    #[error("these patients are one by decisions or merges between them: take those back first")]
    Tied,
    /// What is decided about has another version by now.
    #[error("`{0}`: this is not the current version: look at it again before you decide")]
    Changed(&'static str),
    /// Too many records are tied together.
    #[error("more than {0} records are one person: this cannot be looked through")]
    TooMany(usize),
}

/// The codes of refusals, and how HTTP tells them.
impl From<Refusal> for Issue {
    fn from(refusal: Refusal) -> Issue {
        let (code, reason, detail) = match &refusal {
            Refusal::Same => (IssueType::BusinessRule, Reason::None, "same-patient"),
            Refusal::Unknown(_) => (IssueType::NotFound, Reason::Unprocessable, "unknown-patient"),
            Refusal::Deleted(_) => (IssueType::Deleted, Reason::Unprocessable, "deleted-patient"),
            Refusal::Ambiguous(_) => (IssueType::MultipleMatches, Reason::Unprocessable, "ambiguous-patient"),
            Refusal::MergedAlready { .. } => (IssueType::Conflict, Reason::None, "merged-already"),
            Refusal::Subsumed { .. } => (IssueType::Conflict, Reason::None, "subsumed-patient"),
            Refusal::Circle => (IssueType::Conflict, Reason::None, "circle"),
            Refusal::NotMerged => (IssueType::Conflict, Reason::None, "not-merged"),
            Refusal::Outdated(_) => (IssueType::Conflict, Reason::None, "outdated"),
            Refusal::Different(..) => (IssueType::Conflict, Reason::None, "decided-different"),
            Refusal::Tied => (IssueType::Conflict, Reason::None, "tied"),
            Refusal::Changed(_) => (IssueType::Conflict, Reason::None, "changed"),
            Refusal::TooMany(_) => (IssueType::TooCostly, Reason::Unprocessable, "too-many-records"),
        };
        let parameter = match &refusal {
            Refusal::Unknown(parameter) | Refusal::Deleted(parameter) | Refusal::Ambiguous(parameter) => {
                Some(*parameter)
            }
            Refusal::Subsumed { parameter, .. } | Refusal::Changed(parameter) => Some(*parameter),
            _ => None,
        };
        let issue = Issue::error(code).because(reason).detailed(detail).text(refusal.to_string());
        match parameter {
            Some(parameter) => issue.at(parameter),
            None => issue,
        }
    }
}
