//! Refusals as HL7 v2 tells them: ERR with code and place.
//!
//! Spec: ITI TF-2 3.9.4.2.2.6, HL7 v2.5 table 0357

use fhir_model::outcome::{IssueType, Reason};

use super::domains::DomainError;
use super::refusal::Refusal;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::problem::{Condition, Problem};

/// Where a message says what a refusal may be about.
#[derive(Debug, Clone)]
pub struct Places {
    /// The field of the identifier that it is about: CX.
    pub identifier: Location,
    /// The field that names the domains that are wanted, each in a repetition.
    pub wanted: Location,
}

/// Writes a refusal.
pub fn problem(refusal: &Refusal, places: &Places) -> Problem {
    let component = |component| Location { component: Some(component), ..places.identifier.clone() };
    let (condition, location) = match refusal {
        Refusal::Domain(DomainError::Contradictory) => (Condition::DataType, Some(component(4))),
        Refusal::Domain(_) => (Condition::UnknownKey, Some(component(4))),
        Refusal::WantedDomain(at) => {
            (Condition::UnknownKey, Some(places.wanted.clone().in_repetition(at + 1)))
        }
        Refusal::UnknownIdentifier | Refusal::Subsumed => (Condition::UnknownKey, Some(component(1))),
        Refusal::Ambiguous => (Condition::DuplicateKey, Some(component(1))),
        Refusal::NoIdentifier | Refusal::EmptyQuestion => {
            (Condition::RequiredField, Some(places.identifier.clone()))
        }
        Refusal::Merge(_) => (Condition::DuplicateKey, Some(places.identifier.clone())),
        Refusal::Fhir(issue) => match (issue.code, issue.reason) {
            (IssueType::Conflict | IssueType::LockError, _) => (Condition::Locked, None),
            (IssueType::Value | IssueType::Invalid | IssueType::Structure, _) => (Condition::DataType, None),
            (_, Reason::Unprocessable) => (Condition::DataType, None),
            _ => (Condition::Internal, None),
        },
    };
    let problem = Problem::error(condition, refusal.to_string());
    location.into_iter().fold(problem, Problem::at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_model::outcome::Issue;

    #[test]
    fn each_refusal_has_its_place() {
        let places = Places { identifier: Location::field("QPD", 3), wanted: Location::field("QPD", 4) };
        let contradictory = Refusal::Domain(DomainError::Contradictory);
        for (refusal, condition, place) in [
            (Refusal::UnknownIdentifier, Condition::UnknownKey, Some("QPD-3.1")),
            (Refusal::Subsumed, Condition::UnknownKey, Some("QPD-3.1")),
            (Refusal::Domain(DomainError::Unknown), Condition::UnknownKey, Some("QPD-3.4")),
            (contradictory, Condition::DataType, Some("QPD-3.4")),
            (Refusal::WantedDomain(1), Condition::UnknownKey, Some("QPD-4(2)")),
            (Refusal::Ambiguous, Condition::DuplicateKey, Some("QPD-3.1")),
            (Refusal::EmptyQuestion, Condition::RequiredField, Some("QPD-3")),
            (Refusal::Fhir(Issue::fatal(IssueType::Exception)), Condition::Internal, None),
            (Refusal::Fhir(Issue::error(IssueType::Conflict)), Condition::Locked, None),
        ] {
            let told = problem(&refusal, &places);
            let location = told.locations.first().map(Location::to_string);
            assert_eq!((told.condition, location.as_deref()), (condition, place), "{refusal:?}");
        }
    }
}
