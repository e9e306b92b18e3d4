//! What went wrong, where, and whose fault it is: the values behind an
//! OperationOutcome.
//!
//! An [`Issue`] is made once, where the problem is known. Each wire maps it
//! once: HTTP in `fhir-server/src/rest/outcome.rs`, the others in their own
//! fault file. The text is for the caller: never SQL, paths or patient data.
//!
//! Spec: <https://hl7.org/fhir/R4/operationoutcome.html>

use std::fmt;

use crate::json::write::write_escaped;

/// Severity of an [`Issue`].
///
/// Spec: <https://hl7.org/fhir/R4/valueset-issue-severity.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Nothing wrong; told for the reader's sake.
    Information,
    /// Processed, but the caller should look.
    Warning,
    /// Not processed.
    Error,
    /// Not processed, and checking stopped here.
    Fatal,
}

impl Severity {
    /// Returns the code of the severity.
    pub fn code(self) -> &'static str {
        match self {
            Severity::Information => "information",
            Severity::Warning => "warning",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

macro_rules! issue_types {
    ($($(#[$doc:meta])* $variant:ident = $code:literal,)*) => {
        /// The kind of an [`Issue`]; the HTTP status derives from it.
        ///
        /// Spec: <https://hl7.org/fhir/R4/valueset-issue-type.html>
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum IssueType { $($(#[$doc])* $variant,)* }

        impl IssueType {
            /// Every issue type, in the specification's order.
            pub const ALL: &'static [IssueType] = &[$(IssueType::$variant,)*];

            /// Returns the code of the issue type.
            pub fn code(self) -> &'static str {
                match self { $(IssueType::$variant => $code,)* }
            }
        }
    };
}

issue_types! {
    /// Content invalid against the specification.
    Invalid = "invalid",
    /// A structural problem: wrong nesting, wrong JSON type, unknown element.
    Structure = "structure",
    /// A required element is missing.
    Required = "required",
    /// An element's value is invalid.
    Value = "value",
    /// An invariant failed.
    Invariant = "invariant",
    /// The caller is not allowed, or not known.
    Security = "security",
    /// Who calls is not known.
    Login = "login",
    /// The session has expired.
    Expired = "expired",
    /// The caller is known and may not do this.
    Forbidden = "forbidden",
    /// Something was withheld.
    Suppressed = "suppressed",
    /// Processing failed for a reason on this server's side of the content.
    Processing = "processing",
    /// The interaction, parameter, operation or format is not supported.
    NotSupported = "not-supported",
    /// It exists already.
    Duplicate = "duplicate",
    /// More than one match where one was needed.
    MultipleMatches = "multiple-matches",
    /// The thing asked for does not exist.
    NotFound = "not-found",
    /// The thing asked for was deleted.
    Deleted = "deleted",
    /// The content is larger than this server takes.
    TooLong = "too-long",
    /// A code is not valid.
    CodeInvalid = "code-invalid",
    /// An extension is not acceptable here.
    Extension = "extension",
    /// The answer would cost more than this server spends.
    TooCostly = "too-costly",
    /// A business rule forbids it.
    BusinessRule = "business-rule",
    /// A version conflict.
    Conflict = "conflict",
    /// Transient: try again later.
    Transient = "transient",
    /// A lock could not be had in time.
    LockError = "lock-error",
    /// A store that this server needs is not there.
    NoStore = "no-store",
    /// An unexpected internal error.
    Exception = "exception",
    /// Took too long.
    Timeout = "timeout",
    /// Results may be incomplete.
    Incomplete = "incomplete",
    /// Throttled: too many requests.
    Throttled = "throttled",
    /// Information only.
    Informational = "informational",
}

/// A finer reason than [`IssueType`], where HTTP distinguishes more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No finer reason.
    None,
    /// `If-Match` or a condition did not hold (412).
    PreconditionFailed,
    /// A version-aware update came without `If-Match` (428).
    PreconditionRequired,
    /// The media type of the body is not understood (415).
    UnsupportedMediaType,
    /// No acceptable representation (406).
    NotAcceptable,
    /// What is asked for is not given to who asks (403).
    Forbidden,
    /// The method is not allowed here (405).
    MethodNotAllowed,
    /// The content parsed, but breaks a rule of FHIR or of this server (422).
    Unprocessable,
    /// Storage is full (507).
    InsufficientStorage,
    /// The URL is longer than this server takes (414).
    UriTooLong,
    /// The caller sent too slowly (408).
    RequestTimeout,
}

/// One problem, told so that the caller can mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: IssueType,
    /// A finer reason for the HTTP status.
    pub reason: Reason,
    /// What is wrong in the codes of a protocol, such as `XDSUnknownPatientId`.
    pub detail: Option<&'static str>,
    /// What is wrong and what to do, for the caller; empty when the code says all.
    pub diagnostics: String,
    /// Where: a FHIRPath location such as `Patient.name[0].given`, or a
    /// header or parameter such as `http.if-match`.
    pub expression: Vec<String>,
    /// Seconds after which a retry may succeed.
    pub retry_after_seconds: Option<u32>,
    /// Further issues found in the same request.
    pub others: Vec<Issue>,
}

impl Issue {
    fn new(severity: Severity, code: IssueType) -> Issue {
        Issue {
            severity,
            code,
            reason: Reason::None,
            detail: None,
            diagnostics: String::new(),
            expression: Vec::new(),
            retry_after_seconds: None,
            others: Vec::new(),
        }
    }

    /// Makes an issue of severity error.
    pub fn error(code: IssueType) -> Issue {
        Issue::new(Severity::Error, code)
    }

    /// Makes an issue of severity fatal.
    pub fn fatal(code: IssueType) -> Issue {
        Issue::new(Severity::Fatal, code)
    }

    /// Makes an issue of severity warning.
    pub fn warning(code: IssueType) -> Issue {
        Issue::new(Severity::Warning, code)
    }

    /// Makes an issue of severity information.
    pub fn information(code: IssueType) -> Issue {
        Issue::new(Severity::Information, code)
    }

    /// Sets the text for the caller.
    pub fn text(mut self, diagnostics: impl Into<String>) -> Issue {
        self.diagnostics = diagnostics.into();
        self
    }

    /// Adds a location.
    pub fn at(mut self, expression: impl Into<String>) -> Issue {
        self.expression.push(expression.into());
        self
    }

    /// Sets the finer reason.
    pub fn because(mut self, reason: Reason) -> Issue {
        self.reason = reason;
        self
    }

    /// Says what is wrong in the codes of a protocol.
    pub fn detailed(mut self, detail: &'static str) -> Issue {
        self.detail = Some(detail);
        self
    }

    /// Says that a retry may succeed after so many seconds.
    pub fn retry_after_seconds(mut self, seconds: u32) -> Issue {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds another issue found in the same request.
    pub fn and(mut self, other: Issue) -> Issue {
        self.others.push(other);
        self
    }

    /// Writes the issue, with the others, as an OperationOutcome in JSON.
    pub fn to_operation_outcome_json(&self) -> Vec<u8> {
        operation_outcome_json(std::iter::once(self).chain(&self.others))
    }
}

impl fmt::Display for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity.code(), self.code.code())?;
        for expression in &self.expression {
            write!(f, " at {expression}")?;
        }
        if !self.diagnostics.is_empty() {
            write!(f, ": {}", self.diagnostics)?;
        }
        Ok(())
    }
}

impl std::error::Error for Issue {}

/// Writes issues as one OperationOutcome in JSON.
pub fn operation_outcome_json<'a>(issues: impl IntoIterator<Item = &'a Issue>) -> Vec<u8> {
    let mut out = br#"{"resourceType":"OperationOutcome","issue":["#.to_vec();
    for (index, issue) in issues.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"severity":""#);
        out.extend_from_slice(issue.severity.code().as_bytes());
        out.extend_from_slice(br#"","code":""#);
        out.extend_from_slice(issue.code.code().as_bytes());
        out.push(b'"');
        if let Some(detail) = issue.detail {
            out.extend_from_slice(br#","details":{"coding":[{"code":"#);
            write_escaped(detail, &mut out);
            out.extend_from_slice(b"}]}");
        }
        if !issue.diagnostics.is_empty() {
            out.extend_from_slice(br#","diagnostics":"#);
            write_escaped(&issue.diagnostics, &mut out);
        }
        if !issue.expression.is_empty() {
            out.extend_from_slice(br#","expression":["#);
            for (index, expression) in issue.expression.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_escaped(expression, &mut out);
            }
            out.push(b']');
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}
