//! What can go wrong with ANA: whose fault it is, and whether to try again.

use crate::outbox::Failure;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Who wanted it: what was asked cannot be had.
    Caller,
    /// This server's, or its settings'.
    Ours,
    /// ANA's, or the network's.
    Ana,
}

/// What ANA refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It knows nobody by the identifier.
    UnknownPerson,
    /// The identifier is none.
    InvalidIdentifier,
    /// There is no such practitioner, or not any more.
    NoPractitioner,
    /// The practitioner takes nobody more.
    PractitionerFull,
    /// Another region assists the person.
    NotOfThisRegion,
    /// It is so already.
    AlreadySo,
    /// The person died.
    Deceased,
    /// The message is not as it has to be.
    Malformed,
    /// Who asks may not, or is not known.
    NotAuthorized,
    /// It failed with the message.
    Failed,
    /// It cannot work now.
    Unavailable,
    /// A code that is not known here.
    Other,
}

/// What is known of a refusal: its code in the messages, what it is, whose fault, and in words.
struct Row {
    code: &'static str,
    refusal: Refusal,
    whose: Whose,
    text: &'static str,
}

/// The codes are assumed.
const REFUSALS: &[Row] = &[
    row("A001", Refusal::UnknownPerson, Whose::Caller, "ANA knows nobody by this identifier"),
    row("A002", Refusal::InvalidIdentifier, Whose::Caller, "ANA does not take the identifier for one"),
    row("A003", Refusal::NoPractitioner, Whose::Caller, "ANA knows no such practitioner in service"),
    row("A004", Refusal::PractitionerFull, Whose::Caller, "the practitioner takes no more patients"),
    row("A005", Refusal::NotOfThisRegion, Whose::Caller, "another region assists the person"),
    row("A006", Refusal::AlreadySo, Whose::Caller, "the choice is so already"),
    row("A007", Refusal::Deceased, Whose::Caller, "the person died"),
    row("A090", Refusal::Malformed, Whose::Ours, "ANA does not understand the message"),
    row("A091", Refusal::NotAuthorized, Whose::Ours, "ANA does not let this server in"),
    row("A098", Refusal::Failed, Whose::Ana, "ANA failed with the message"),
    row("A099", Refusal::Unavailable, Whose::Ana, "ANA cannot work now"),
    row("", Refusal::Other, Whose::Caller, "ANA refused by a code that is not known here"),
];

const fn row(code: &'static str, refusal: Refusal, whose: Whose, text: &'static str) -> Row {
    Row { code, refusal, whose, text }
}

impl Refusal {
    /// Returns the refusal of a code.
    pub fn of_code(code: &str) -> Refusal {
        REFUSALS.iter().find(|row| row.code == code).map_or(Refusal::Other, |row| row.refusal)
    }

    /// Makes the fault, with what ANA told.
    pub fn told(self, told: String) -> AnaFault {
        AnaFault::Refused(self, told)
    }

    fn row(self) -> &'static Row {
        REFUSALS.iter().find(|row| row.refusal == self).unwrap_or(&REFUSALS[REFUSALS.len() - 1])
    }
}

/// Why ANA gave no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnaFault {
    /// It could not be reached: nothing was sent.
    #[error("ANA cannot be reached")]
    Unreachable,
    /// No answer came in time: what was asked may be done.
    #[error("ANA did not answer within {0} s")]
    TooSlow(u64),
    /// The connection broke after the message was sent.
    #[error("the connection to ANA broke")]
    Broken,
    /// It answered by HTTP, without a message.
    #[error("ANA answered with the HTTP status {0} and no message")]
    Status(u16),
    /// It answered with a SOAP fault: what was wrong, and whether it says that it is ours.
    #[error("ANA answered with a fault: {0}")]
    Fault(String, Whose),
    /// Its answer cannot be read.
    #[error("the answer of ANA cannot be read: {0}")]
    Unreadable(String),
    /// It refused.
    #[error("{}{}", .0.row().text, after_colon(.1))]
    Refused(Refusal, String),
}

fn after_colon(told: &str) -> String {
    if told.is_empty() { String::new() } else { format!(": {told}") }
}

impl AnaFault {
    /// Returns whose fault it is.
    pub fn whose(&self) -> Whose {
        match self {
            AnaFault::Unreachable | AnaFault::TooSlow(_) | AnaFault::Broken | AnaFault::Unreadable(_) => {
                Whose::Ana
            }
            AnaFault::Status(401 | 403) => Whose::Ours,
            AnaFault::Status(_) => Whose::Ana,
            AnaFault::Fault(_, whose) => *whose,
            AnaFault::Refused(refusal, _) => refusal.row().whose,
        }
    }

    /// Tells what it means to a message of the outbox.
    pub fn failure(&self) -> Failure {
        let told = self.to_string();
        match self {
            // Nothing was done, and it is not for the message.
            AnaFault::Unreachable
            | AnaFault::Status(401 | 403 | 404 | 429 | 503)
            | AnaFault::Refused(Refusal::NotAuthorized | Refusal::Unavailable, _) => {
                Failure::Unavailable(told)
            }
            AnaFault::TooSlow(_)
            | AnaFault::Broken
            | AnaFault::Status(_)
            | AnaFault::Unreadable(_)
            | AnaFault::Fault(_, Whose::Ana)
            | AnaFault::Refused(Refusal::Failed, _) => Failure::Unanswered(told),
            AnaFault::Fault(_, Whose::Ours | Whose::Caller)
            | AnaFault::Refused(
                Refusal::UnknownPerson
                | Refusal::InvalidIdentifier
                | Refusal::NoPractitioner
                | Refusal::PractitionerFull
                | Refusal::NotOfThisRegion
                | Refusal::AlreadySo
                | Refusal::Deceased
                | Refusal::Malformed
                | Refusal::Other,
                _,
            ) => Failure::Refused(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_one_refusal() {
        for row in REFUSALS {
            assert_eq!(Refusal::of_code(row.code), row.refusal);
            assert_eq!(row.refusal.row().code, row.code);
        }
        assert_eq!(Refusal::of_code("Z"), Refusal::Other);
    }

    #[test]
    fn a_fault_says_whose_it_is_and_what_to_do() {
        let refused = |refusal: Refusal| refusal.told("x".to_owned());
        for (fault, whose, is_final) in [
            (AnaFault::Unreachable, Whose::Ana, false),
            (AnaFault::TooSlow(3), Whose::Ana, false),
            (AnaFault::Status(500), Whose::Ana, false),
            (AnaFault::Status(401), Whose::Ours, false),
            (refused(Refusal::NotAuthorized), Whose::Ours, false),
            (refused(Refusal::Failed), Whose::Ana, false),
            (refused(Refusal::Malformed), Whose::Ours, true),
            (refused(Refusal::PractitionerFull), Whose::Caller, true),
            (AnaFault::Fault("x".to_owned(), Whose::Ours), Whose::Ours, true),
        ] {
            assert_eq!(fault.whose(), whose, "{fault}");
            assert_eq!(matches!(fault.failure(), Failure::Refused(_)), is_final, "{fault}");
        }
        let text = refused(Refusal::NoPractitioner).to_string();
        assert_eq!(text, "ANA knows no such practitioner in service: x");
    }
}
