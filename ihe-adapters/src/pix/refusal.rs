//! Why the index does not do what was asked: told once, and mapped once by each
//! wire.

use fhir_model::outcome::{Issue, IssueType, Reason};

use super::domains::DomainError;

/// Why something was not done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Refusal {
    /// The domain of the identifier that it is about is not known.
    #[error("{0}")]
    Domain(DomainError),
    /// A domain for which identifiers are wanted is not known: which, counted from 0.
    #[error("the domain asked for is not known here")]
    WantedDomain(usize),
    /// Nobody has the identifier.
    #[error("no patient is known by this identifier")]
    UnknownIdentifier,
    /// Whoever had the identifier was merged into another.
    #[error("the patient of this identifier was merged into another")]
    Subsumed,
    /// Several have the identifier.
    #[error("more than one patient has this identifier")]
    Ambiguous,
    /// A record without an identifier of a domain that is known.
    #[error("the patient has no identifier of a domain that is known here")]
    NoIdentifier,
    /// The one who is to be merged away: why not.
    #[error("{0}")]
    Merge(String),
    /// Nothing to look for.
    #[error("the question says nothing that could be looked for")]
    EmptyQuestion,
    /// FHIR refused it, or failed.
    #[error("{}", .0.diagnostics)]
    Fhir(Issue),
}

impl From<Issue> for Refusal {
    fn from(issue: Issue) -> Refusal {
        Refusal::Fhir(issue)
    }
}

impl From<DomainError> for Refusal {
    fn from(error: DomainError) -> Refusal {
        Refusal::Domain(error)
    }
}

impl From<Refusal> for Issue {
    /// As FHIR says it.
    fn from(refusal: Refusal) -> Issue {
        let text = refusal.to_string();
        let (code, reason) = match refusal {
            Refusal::Fhir(issue) => return issue,
            Refusal::Domain(_) | Refusal::WantedDomain(_) => (IssueType::CodeInvalid, None),
            Refusal::UnknownIdentifier | Refusal::Subsumed => (IssueType::NotFound, None),
            Refusal::Ambiguous => (IssueType::MultipleMatches, None),
            Refusal::NoIdentifier | Refusal::EmptyQuestion => (IssueType::Required, None),
            Refusal::Merge(_) => (IssueType::BusinessRule, Some(Reason::Unprocessable)),
        };
        let issue = Issue::error(code);
        let issue = match reason {
            Some(reason) => issue.because(reason),
            None => issue,
        };
        issue.text(text)
    }
}
