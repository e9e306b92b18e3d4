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

    /// Returns the format of a media type, in lower case and without
    /// parameters, and whether the type says that it is FHIR.
    fn of_media_type(media_type: &str) -> Option<(Format, bool)> {
        match media_type {
            "application/fhir+json" | "application/json+fhir" => Some((Format::Json, true)),
            "application/fhir+xml" | "application/xml+fhir" => Some((Format::Xml, true)),
            "json" | "application/json" | "text/json" => Some((Format::Json, false)),
            "xml" | "application/xml" | "text/xml" => Some((Format::Xml, false)),
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

/// Says what a body is by its `Content-Type`; `None` for what is no FHIR, or
/// FHIR of another version.
pub(super) fn content(content_type: &str) -> Option<Content> {
    let media_type = MediaType::parse(content_type);
    match media_type.essence.as_str() {
        "application/json-patch+json" => Some(Content::JsonPatch),
        "application/x-www-form-urlencoded" => Some(Content::Form),
        other if media_type.is_r4 => Format::of_media_type(other).map(|(f, _)| Content::Resource(f)),
        _ => None,
    }
}

/// Tells whether a media type names a format without saying that it is FHIR:
/// such bytes may as well be what a Binary carries.
pub(super) fn is_generic(content_type: &str) -> bool {
    let media_type = MediaType::parse(content_type);
    matches!(Format::of_media_type(&media_type.essence), Some((_, false)))
}

/// Tells whether two media types name the same kind of bytes.
pub(super) fn is_same_kind(one: &str, other: &str) -> bool {
    MediaType::parse(one).essence == MediaType::parse(other).essence
}

/// Says that the media type of a body is not understood.
pub(super) fn unsupported(content_type: &str) -> Issue {
    let given: String = content_type.chars().take(100).collect();
    let text = if given.is_empty() {
        "the body needs a Content-Type: application/fhir+json or application/fhir+xml".to_owned()
    } else {
        format!(
            "`{given}` is not understood here; send application/fhir+json or application/fhir+xml, FHIR version 4.0"
        )
    };
    Issue::error(IssueType::NotSupported)
        .because(Reason::UnsupportedMediaType)
        .at("http.content-type")
        .text(text)
}

/// What a caller takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Accepted {
    /// FHIR in this format, said so.
    Fhir(Format),
    /// This format by a media type that does not say FHIR; kept in lower case.
    Generic(Format, String),
    /// Anything, or no word about it.
    Any,
    /// Nothing that this server writes, though perhaps what a Binary carries.
    Other,
}

impl Accepted {
    /// Returns the format for resources; `None` when there is none to the caller's taste.
    pub(super) fn format(&self) -> Option<Format> {
        match self {
            Accepted::Fhir(format) | Accepted::Generic(format, _) => Some(*format),
            Accepted::Any => Some(Format::Json),
            Accepted::Other => None,
        }
    }

    fn of(media_type: &str) -> Accepted {
        match Format::of_media_type(media_type) {
            Some((format, true)) => Accepted::Fhir(format),
            Some((format, false)) => Accepted::Generic(format, media_type.to_owned()),
            None => Accepted::Other,
        }
    }
}

/// Chooses by `_format` before `Accept`, of which there may be several lines.
pub(super) fn accepted<'h>(format: Option<&str>, accept: impl Iterator<Item = &'h str>) -> Accepted {
    if let Some(format) = format {
        // In a URL the `+` of a media type may have become a space.
        let media_type = MediaType::parse(&format.trim().replace("fhir ", "fhir+"));
        return match Format::of_media_type(&media_type.essence) {
            _ if media_type.essence == "text/html" || media_type.essence == "html" => {
                Accepted::Fhir(Format::Json)
            }
            Some((format, _)) if media_type.is_r4 => Accepted::Fhir(format),
            _ => Accepted::Other,
        };
    }
    let mut best: Option<(u16, Accepted)> = None;
    let mut is_given = false;
    for range in accept.flat_map(|line| line.split(',')).filter(|range| !range.trim().is_empty()) {
        is_given = true;
        let media_type = MediaType::parse(range);
        let choice = match media_type.essence.as_str() {
            // What browsers ask for; they show JSON.
            "*/*" | "application/*" | "text/*" | "text/html" | "application/xhtml+xml" => Accepted::Any,
            other => Accepted::of(other),
        };
        let is_usable = choice != Accepted::Other && media_type.quality > 0 && media_type.is_r4;
        if is_usable && best.as_ref().is_none_or(|(quality, _)| media_type.quality > *quality) {
            best = Some((media_type.quality, choice));
        }
    }
    match best {
        Some((_, choice)) => choice,
        None if is_given => Accepted::Other,
        None => Accepted::Any,
    }
}

/// Says that no acceptable representation exists.
pub(super) fn not_acceptable() -> Issue {
    Issue::error(IssueType::NotSupported)
        .because(Reason::NotAcceptable)
        .at("http.accept")
        .text("resources are to be had as application/fhir+json and application/fhir+xml, FHIR version 4.0")
}

/// A media type or range, taken apart as far as it matters.
struct MediaType {
    /// `type/subtype` in lower case.
    essence: String,
    /// `q` in thousandths.
    quality: u16,
    /// Whether its `fhirVersion`, if there is one, is ours.
    is_r4: bool,
}

impl MediaType {
    fn parse(text: &str) -> MediaType {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or("").to_ascii_lowercase();
        let mut parsed = MediaType { essence, quality: 1000, is_r4: true };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim() {
                "q" | "Q" => parsed.quality = thousandths(value),
                name if name.eq_ignore_ascii_case("fhirversion") => {
                    parsed.is_r4 = matches!(value, "4.0" | "4.0.0" | "4.0.1");
                }
                _ => {}
            }
        }
        parsed
    }
}

/// Reads a quality; what is none counts as 0.
pub(super) fn thousandths(quality: &str) -> u16 {
    match quality.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => (value * 1000.0) as u16,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_taken() {
        use Format::{Json, Xml};
        let html = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (format, accept, expected) in [
            (None, vec![], Some(Json)),
            (None, vec![""], Some(Json)),
            (Some("xml"), vec!["application/fhir+json"], Some(Xml)),
            (Some("application/fhir xml"), vec![], Some(Xml)),
            (Some("application/fhir+json; fhirVersion=4.0"), vec![], Some(Json)),
            (Some("application/fhir+json; fhirVersion=3.0"), vec![], None),
            (Some("text/json"), vec![], Some(Json)),
            (Some("JSON"), vec![], Some(Json)),
            (Some("html"), vec![], Some(Json)),
            (Some("text/turtle"), vec![], None),
            (Some("nothing"), vec!["*/*"], None),
            (None, vec!["*/*"], Some(Json)),
            (None, vec!["*/*;q=0"], None),
            (None, vec!["application/fhir+xml, application/fhir+json;q=0.5"], Some(Xml)),
            (None, vec!["application/fhir+json;q=0.5", "application/fhir+xml"], Some(Xml)),
            (None, vec!["application/fhir+xml;q=0.1, application/json"], Some(Json)),
            (None, vec!["application/fhir+xml;q=0.001, image/png"], Some(Xml)),
            (None, vec!["APPLICATION/FHIR+XML"], Some(Xml)),
            (None, vec!["application/fhir+json; fhirVersion=4.0"], Some(Json)),
            (None, vec!["application/fhir+json; fhirVersion=5.0"], None),
            (None, vec!["application/fhir+xml; fhirVersion=5.0, application/fhir+json"], Some(Json)),
            (None, vec!["application/fhir+json;q=abc"], None),
            (None, vec!["image/png"], None),
            (None, vec![html], Some(Json)),
        ] {
            let chosen = accepted(format, accept.iter().copied()).format();
            assert_eq!(chosen, expected, "{format:?} {accept:?}");
        }
    }

    #[test]
    fn what_bodies_are() {
        use Content::{Form, JsonPatch, Resource};
        for (content_type, expected) in [
            ("application/fhir+json; charset=utf-8", Some(Resource(Format::Json))),
            ("application/fhir+json; fhirVersion=4.0", Some(Resource(Format::Json))),
            ("application/fhir+json; fhirVersion=5.0", None),
            ("text/xml", Some(Resource(Format::Xml))),
            ("application/json-patch+json", Some(JsonPatch)),
            ("Application/X-WWW-Form-Urlencoded;charset=UTF-8", Some(Form)),
            ("image/png", None),
            ("", None),
        ] {
            assert_eq!(content(content_type), expected, "{content_type}");
        }
        assert!(is_generic("application/json;charset=utf-8") && !is_generic("application/fhir+json"));
        assert!(is_same_kind("Text/XML; charset=utf-8", "text/xml"));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read(accept in "\\PC{0,80}", format in proptest::option::of("\\PC{0,40}")) {
            let _ = accepted(format.as_deref(), std::iter::once(accept.as_str()));
            let _ = content(&accept);
        }
    }
}
