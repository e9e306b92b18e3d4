//! ETags and HTTP dates.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#concurrency>

use fhir_model::interaction::VersionId;
use fhir_model::outcome::Issue;
use fhir_model::primitive::instant::Instant;
use jiff::tz::TimeZone;

use crate::interaction::entry::version_of_etag;

/// Parses `If-Match`.
///
/// # Errors
/// 412 when it names no version of this server.
pub(super) fn if_match(header: &str) -> Result<VersionId, Issue> {
    version_of_etag(header)
}

/// Parses `If-None-Match` of a read: the first version in it. What is no
/// version of this server matches nothing.
pub(super) fn if_none_match(header: &str) -> Option<VersionId> {
    header.split(',').find_map(|etag| version_of_etag(etag).ok())
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
}
