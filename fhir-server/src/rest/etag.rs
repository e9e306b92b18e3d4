//! ETags and HTTP dates.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#concurrency>

use fhir_model::interaction::VersionId;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::instant::Instant;
use jiff::tz::TimeZone;
use smallvec::SmallVec;

use crate::interaction::entry::version_of_etag;

/// Parses `If-Match`: the one version that must be current.
///
/// # Errors
/// 412 when it names no version of this server; 400 for `*` and for several
/// versions, which an update here cannot be made to depend on.
pub(super) fn if_match(header: &str) -> Result<VersionId, Issue> {
    let mut versions = header.split(',').map(str::trim).filter(|etag| !etag.is_empty());
    let several = || {
        Issue::error(IssueType::NotSupported)
            .at("http.if-match")
            .text("`If-Match` takes one version here, as in `W/\"1\"`")
    };
    let first = versions.next().unwrap_or("");
    if first == "*" {
        return Err(several());
    }
    let version = version_of_etag(first).map_err(|issue| issue.at("http.if-match"))?;
    for other in versions {
        if version_of_etag(other)? != version {
            return Err(several());
        }
    }
    Ok(version)
}

/// What `If-None-Match` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoneMatch {
    /// `*`: whatever there is.
    Any,
    /// Versions of this server; others match nothing.
    Versions(SmallVec<[VersionId; 2]>),
}

impl NoneMatch {
    /// Parses the header.
    pub(super) fn parse(header: &str) -> NoneMatch {
        if header.trim() == "*" {
            return NoneMatch::Any;
        }
        NoneMatch::Versions(header.split(',').filter_map(|etag| version_of_etag(etag).ok()).collect())
    }

    /// Tells whether a version is named.
    pub(super) fn names(&self, version: VersionId) -> bool {
        match self {
            NoneMatch::Any => true,
            NoneMatch::Versions(versions) => versions.contains(&version),
        }
    }
}

/// Parses `If-Modified-Since`: an HTTP date. What is none is ignored, as HTTP says.
pub(super) fn if_modified_since(header: &str) -> Option<Instant> {
    let parsed = jiff::fmt::rfc2822::parse(header).ok()?;
    Some(Instant(parsed.timestamp().as_microsecond()))
}

/// Writes an HTTP date.
pub(super) fn http_date(instant: Instant) -> String {
    let timestamp = jiff::Timestamp::from_microsecond(instant.0).unwrap_or_default();
    TimeZone::UTC.to_datetime(timestamp).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip_to_the_second() {
        let instant = Instant(1_795_439_144_999_999);
        let text = http_date(instant);
        assert_eq!(text, "Mon, 23 Nov 2026 13:05:44 GMT");
        assert_eq!(if_modified_since(&text), Some(Instant(1_795_439_144_000_000)));
        assert_eq!(if_modified_since("yesterday"), None);
    }

    #[test]
    fn versions_that_must_be_current() {
        for (header, expected) in [
            ("W/\"3\"", Ok(VersionId(3))),
            ("\"3\"", Ok(VersionId(3))),
            ("W/\"3\", W/\"3\"", Ok(VersionId(3))),
            ("W/\"3\", W/\"4\"", Err(IssueType::NotSupported)),
            ("*", Err(IssueType::NotSupported)),
            ("W/\"x\"", Err(IssueType::Conflict)),
            ("3", Err(IssueType::Conflict)),
            ("", Err(IssueType::Conflict)),
        ] {
            assert_eq!(if_match(header).map_err(|i| i.code), expected, "{header}");
        }
    }

    #[test]
    fn versions_that_the_caller_has() {
        for (header, version, expected) in [
            ("W/\"1\"", 1, true),
            ("W/\"1\"", 2, false),
            ("\"x\", W/\"1\",W/\"2\"", 2, true),
            ("*", 9, true),
            ("1", 1, false),
            ("", 1, false),
        ] {
            assert_eq!(NoneMatch::parse(header).names(VersionId(version)), expected, "{header}");
        }
    }
}
