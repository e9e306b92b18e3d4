//! Why the index does not do what was asked, as an acknowledgement says it.
//!
//! Spec: ITI TF-2 3.45.4.2.3, 3.47.4.2.3; HL7 v2.5 table 0357

use fhir_model::outcome::IssueType;

use crate::pix::refusal::Refusal;
use crate::wire::hl7v3::acknowledgement::{Detail, MESSAGE_ERRORS};
use crate::wire::hl7v3::coded::Coded;

/// What a refusal is: a code of HL7, and what it means.
type Code = (&'static str, &'static str);

const UNKNOWN_KEY: Code = ("204", "Unknown Key Identifier");
const DUPLICATE_KEY: Code = ("205", "Duplicate Key Identifier");
const MISSING: Code = ("101", "Required field missing");
const INTERNAL: Code = ("207", "Application internal error");

fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::Domain(_) | Refusal::WantedDomain(_) | Refusal::UnknownIdentifier | Refusal::Subsumed => {
            UNKNOWN_KEY
        }
        Refusal::Ambiguous => DUPLICATE_KEY,
        Refusal::NoIdentifier | Refusal::EmptyQuestion => MISSING,
        Refusal::Merge(_) | Refusal::Fhir(_) => INTERNAL,
    }
}

/// Says why something is not done, and where in the message it is asked for.
pub(crate) fn detail(refusal: &Refusal, locations: Vec<String>) -> Detail {
    let (code, display) = code(refusal);
    let code = Coded { display_name: Some(display.to_owned()), ..Coded::new(code, MESSAGE_ERRORS) };
    Detail::error(code, refusal.to_string(), locations)
}

/// Says that a domain is not known.
pub(crate) fn unknown_domain(location: String) -> Detail {
    detail(&Refusal::WantedDomain(0), vec![location])
}

/// Tells whether it is not the fault of who asks, who may try again.
pub(crate) fn is_ours(refusal: &Refusal) -> bool {
    use IssueType::{Exception, Incomplete, LockError, NoStore, Throttled, Timeout, Transient};
    matches!(refusal, Refusal::Fhir(issue) if matches!(
        issue.code,
        Exception | Incomplete | LockError | NoStore | Throttled | Timeout | Transient
    ))
}
