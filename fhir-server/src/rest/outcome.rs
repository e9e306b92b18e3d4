//! From an issue to an HTTP status: the one place.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#Status-Codes>

use fhir_model::outcome::{Issue, IssueType, Reason};

/// Returns the HTTP status of an issue, with its reason phrase.
pub fn status_line(issue: &Issue) -> (u16, &'static str) {
    let code = status(issue);
    (code, phrase(code))
}

/// Returns the HTTP status of an issue.
pub fn status(issue: &Issue) -> u16 {
    match issue.reason {
        Reason::PreconditionFailed => 412,
        Reason::PreconditionRequired => 428,
        Reason::UnsupportedMediaType => 415,
        Reason::NotAcceptable => 406,
        Reason::Forbidden => 403,
        Reason::MethodNotAllowed => 405,
        Reason::Unprocessable => 422,
        Reason::InsufficientStorage => 507,
        Reason::UriTooLong => 414,
        Reason::RequestTimeout => 408,
        Reason::None => by_type(issue.code),
    }
}

fn by_type(code: IssueType) -> u16 {
    match code {
        IssueType::Invalid
        | IssueType::Structure
        | IssueType::Required
        | IssueType::Value
        | IssueType::NotSupported
        | IssueType::CodeInvalid
        | IssueType::Extension
        | IssueType::Duplicate => 400,
        IssueType::Invariant | IssueType::BusinessRule => 422,
        IssueType::Security | IssueType::Login | IssueType::Expired => 401,
        IssueType::Forbidden | IssueType::Suppressed => 403,
        IssueType::NotFound => 404,
        IssueType::Conflict | IssueType::LockError => 409,
        IssueType::Deleted => 410,
        IssueType::MultipleMatches => 412,
        IssueType::TooLong => 413,
        IssueType::TooCostly => 422,
        IssueType::Throttled => 429,
        IssueType::Transient => 503,
        IssueType::Timeout => 504,
        IssueType::NoStore => 507,
        IssueType::Processing | IssueType::Exception | IssueType::Incomplete | IssueType::Informational => {
            500
        }
    }
}

fn phrase(code: u16) -> &'static str {
    match code {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        507 => "Insufficient Storage",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_issue_type_is_a_failure_with_a_phrase() {
        for code in IssueType::ALL {
            let (status, phrase) = status_line(&Issue::error(*code));
            assert!((400..600).contains(&status), "{code:?}");
            assert!(
                status == 500 || phrase != "Internal Server Error",
                "{code:?} has no phrase for {status}"
            );
        }
    }
}
