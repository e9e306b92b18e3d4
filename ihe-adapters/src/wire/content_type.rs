//! Media types with their parameters.
//!
//! Spec: RFC 2045, section 5.1

/// A media type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// Type and subtype, in small letters.
    pub media_type: String,
    /// Its parameters: names in small letters, values without quotes.
    pub parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Parses a header's value; `None` when it has no media type.
    pub fn parse(text: &str) -> Option<ContentType> {
        let (media_type, mut rest) = text.split_once(';').unwrap_or((text, ""));
        let media_type = media_type.trim().to_ascii_lowercase();
        if media_type.split('/').filter(|part| !part.is_empty()).count() != 2 {
            return None;
        }
        let mut parameters = Vec::new();
        while let Some((name, after)) = rest.split_once('=') {
            let after = after.trim_start();
            let (value, more) = match after.strip_prefix('"') {
                Some(quoted) => quoted_value(quoted),
                None => {
                    let (value, more) = after.split_once(';').unwrap_or((after, ""));
                    (value.trim().to_owned(), more)
                }
            };
            parameters.push((name.trim_matches([' ', '\t', ';', '\r', '\n']).to_ascii_lowercase(), value));
            rest = more;
        }
        Some(ContentType { media_type, parameters })
    }

    /// Returns the value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a quoted value up to its end, and returns what comes after the next `;`.
fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '"' => {
                let after = text.get(at + 1..).unwrap_or_default();
                return (value, after.split_once(';').map_or("", |(_, more)| more));
            }
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_quoted_or_not() {
        let parsed = ContentType::parse(
            "Multipart/Related; boundary=\"a;b=\\\"c\"; Type = application/xop+xml;start=<x@y> ; start-info=\"\"",
        )
        .expect("a media type");
        assert_eq!(parsed.media_type, "multipart/related");
        for (name, value) in [
            ("boundary", Some("a;b=\"c")),
            ("type", Some("application/xop+xml")),
            ("start", Some("<x@y>")),
            ("start-info", Some("")),
            ("other", None),
        ] {
            assert_eq!(parsed.parameter(name), value, "{name}");
        }
        for text in ["", "multipart", "/", "a/;b=c", ";boundary=x"] {
            assert_eq!(ContentType::parse(text), None, "{text}");
        }
        assert_eq!(ContentType::parse("text/xml").map(|t| t.parameters), Some(vec![]));
        assert!(ContentType::parse("text/xml; charset=\"").is_some());
    }
}
