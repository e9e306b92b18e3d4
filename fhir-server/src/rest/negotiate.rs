//! Which format a caller sends and which it takes.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#mime-type>

use fhir_model::outcome::{Issue, IssueType, Reason};

/// A format of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/fhir+json`
    Json,
    /// `application/fhir+xml`
    Xml,
}

impl Format {
    /// Returns the media type that answers carry.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/fhir+json;charset=utf-8",
            Format::Xml => "application/fhir+xml;charset=utf-8",
        }
    }

    fn of_media_type(media_type: &str) -> Option<Format> {
        match media_type.to_ascii_lowercase().as_str() {
            "json" | "application/json" | "application/fhir+json" | "text/json" | "application/json+fhir" => {
                Some(Format::Json)
            }
            "xml" | "application/xml" | "application/fhir+xml" | "text/xml" | "application/xml+fhir" => {
                Some(Format::Xml)
            }
            _ => None,
        }
    }
}

/// What the body of a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// A resource.
    Resource(Format),
    /// RFC 6902.
    JsonPatch,
    /// Fields of a search.
    Form,
}

/// Says what a body is by its `Content-Type`; `None` for what is no FHIR.
pub(super) fn content(content_type: &str) -> Option<Content> {
    let media_type = content_type.split(';').next().unwrap_or("").trim();
    match media_type.to_ascii_lowercase().as_str() {
        "application/json-patch+json" => Some(Content::JsonPatch),
        "application/x-www-form-urlencoded" => Some(Content::Form),
        other => Format::of_media_type(other).map(Content::Resource),
    }
}

/// Says that the media type of a body is not understood.
pub(super) fn unsupported(content_type: &str) -> Issue {
    let given: String = content_type.chars().take(100).collect();
    Issue::error(IssueType::NotSupported)
        .because(Reason::UnsupportedMediaType)
        .at("http.content-type")
        .text(format!("`{given}` is not understood here; send application/fhir+json or application/fhir+xml"))
}

/// Chooses the format of the answer: `_format` before `Accept`; JSON where
/// the caller does not mind. `None` when `Accept` asks for something else.
pub(super) fn accepted(format: Option<&str>, accept: Option<&str>) -> Option<Format> {
    if let Some(format) = format {
        // In a URL the `+` of a media type may have become a space.
        let media_type = format.split(';').next().unwrap_or("").trim().replace(' ', "+");
        return Format::of_media_type(&media_type);
    }
    let Some(accept) = accept else { return Some(Format::Json) };
    let mut best: Option<(f32, Format)> = None;
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or("");
        let mut quality = 1.0;
        let mut other_version = false;
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                Some(("fhirVersion", value)) => other_version = value != "4.0",
                _ => {}
            }
        }
        let format = match media_type {
            "*/*" | "application/*" | "" | "text/html" | "text/*" => Some(Format::Json),
            other => Format::of_media_type(other),
        };
        if let Some(format) = format
            && quality > 0.0
            && !other_version
            && best.is_none_or(|(q, _)| quality > q)
        {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format)
}

/// Says that no acceptable representation exists.
pub(super) fn not_acceptable() -> Issue {
    Issue::error(IssueType::NotSupported)
        .because(Reason::NotAcceptable)
        .at("http.accept")
        .text("resources are to be had as application/fhir+json and application/fhir+xml, FHIR version 4.0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        use Format::{Json, Xml};
        for (format, accept, expected) in [
            (None, None, Some(Json)),
            (Some("xml"), Some("application/fhir+json"), Some(Xml)),
            (Some("application/fhir xml"), None, Some(Xml)),
            (Some("text/turtle"), None, None),
            (None, Some("*/*"), Some(Json)),
            (None, Some("application/fhir+xml, application/fhir+json;q=0.5"), Some(Xml)),
            (None, Some("application/fhir+xml;q=0.1, application/json"), Some(Json)),
            (None, Some("application/fhir+json; fhirVersion=4.0"), Some(Json)),
            (None, Some("application/fhir+json; fhirVersion=5.0"), None),
            (None, Some("image/png"), None),
            (None, Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Some(Json)),
        ] {
            assert_eq!(accepted(format, accept), expected, "{format:?} {accept:?}");
        }
        assert_eq!(content("application/fhir+json; charset=utf-8"), Some(Content::Resource(Json)));
        assert_eq!(content("image/png"), None);
    }
}
