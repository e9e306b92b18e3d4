//! Why a question of terminology has no answer.

/// Why a question of terminology has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TerminologyError {
    /// A code system, value set, concept map or code is not known here.
    #[error("{0} is not known here")]
    NotFound(String),
    /// The answer would be larger than allowed.
    #[error("the expansion has more than {0} codes; ask for a part with `filter` or `count`")]
    TooCostly(usize),
    /// A value set includes itself.
    #[error("the value set {0} includes itself, or too many others in each other")]
    Circular(String),
    /// Of a code system only a part is at hand.
    #[error("of the code system {0} only a part is here, so its codes cannot be listed")]
    Incomplete(String),
    /// The question itself is wrong.
    #[error("{0}")]
    Invalid(String),
}
