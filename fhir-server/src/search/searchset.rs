//! Rows to Bundle: stored bodies are put behind one another as they are, with
//! version and time in their place. Nothing is parsed.
//!
//! Spec: <https://hl7.org/fhir/R4/bundle.html#searchset>

use fhir_model::json::write::write_escaped;
use fhir_model::outcome::{Issue, operation_outcome_json};

use crate::storage::{StorageError, StoredResource};

/// The extension that grades a match.
const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";

/// How well a resource matches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// From 0 to 1.
    pub score: f64,
    /// A code of `match-grade`.
    ///
    /// Spec: <https://hl7.org/fhir/R4/extension-match-grade.html>
    pub grade: &'static str,
}

/// A searchset in the making.
#[derive(Debug, Default)]
pub struct Searchset<'s> {
    /// The base of the server's URLs, without a trailing slash.
    pub base: &'s str,
    /// How many resources match, where known.
    pub total: Option<u64>,
    /// Relations and URLs.
    pub links: Vec<(&'static str, String)>,
    /// The matches of this page.
    pub matches: &'s [StoredResource],
    /// How well each of them matches, where that is told.
    pub scores: &'s [Scored],
    /// What they include.
    pub included: &'s [StoredResource],
    /// What the caller should know.
    pub issues: &'s [Issue],
}

impl Searchset<'_> {
    /// Writes the Bundle as JSON.
    ///
    /// # Errors
    /// When a stored body is damaged.
    pub fn to_json(&self) -> Result<Vec<u8>, StorageError> {
        let mut out = Vec::with_capacity(self.bytes_expected());
        out.extend_from_slice(br#"{"resourceType":"Bundle","type":"searchset""#);
        if let Some(total) = self.total {
            out.extend_from_slice(br#","total":"#);
            out.extend_from_slice(total.to_string().as_bytes());
        }
        for (at, (relation, url)) in self.links.iter().enumerate() {
            out.extend_from_slice(if at == 0 { br#","link":["#.as_slice() } else { b"," });
            out.extend_from_slice(br#"{"relation":""#);
            out.extend_from_slice(relation.as_bytes());
            out.extend_from_slice(br#"","url":"#);
            write_escaped(url, &mut out);
            out.push(b'}');
        }
        if !self.links.is_empty() {
            out.push(b']');
        }
        let mut opening = br#","entry":["#.as_slice();
        for (mode, list) in [("match", self.matches), ("include", self.included)] {
            let scores = self.scores.iter().filter(|_| mode == "match").map(Some);
            for (found, scored) in list.iter().zip(scores.chain(std::iter::repeat(None))) {
                out.extend_from_slice(opening);
                opening = b",";
                self.entry(found, mode, scored, &mut out)?;
            }
        }
        if !self.issues.is_empty() {
            out.extend_from_slice(opening);
            opening = b",";
            out.extend_from_slice(br#"{"resource":"#);
            out.extend_from_slice(&operation_outcome_json(self.issues));
            out.extend_from_slice(br#","search":{"mode":"outcome"}}"#);
        }
        if opening.len() == 1 {
            out.push(b']');
        }
        out.push(b'}');
        Ok(out)
    }

    fn entry(
        &self,
        found: &StoredResource,
        mode: &str,
        scored: Option<&Scored>,
        out: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        out.extend_from_slice(br#"{"fullUrl":""#);
        write_url_inner(self.base, out);
        out.push(b'/');
        out.extend_from_slice(found.key.resource_type.name().as_bytes());
        out.push(b'/');
        out.extend_from_slice(found.key.id.as_str().as_bytes());
        out.extend_from_slice(br#"","resource":"#);
        found.write_json(out)?;
        out.extend_from_slice(br#","search":{"#);
        if let Some(Scored { grade, .. }) = scored {
            out.extend_from_slice(br#""extension":[{"url":""#);
            out.extend_from_slice(MATCH_GRADE.as_bytes());
            out.extend_from_slice(br#"","valueCode":""#);
            out.extend_from_slice(grade.as_bytes());
            out.extend_from_slice(br#""}],"#);
        }
        out.extend_from_slice(br#""mode":""#);
        out.extend_from_slice(mode.as_bytes());
        out.push(b'"');
        if let Some(Scored { score, .. }) = scored {
            out.extend_from_slice(format!(r#","score":{score:.6}"#).as_bytes());
        }
        out.extend_from_slice(b"}}");
        Ok(())
    }

    /// About how long the Bundle gets; bodies may lie compressed.
    fn bytes_expected(&self) -> usize {
        /// A resource of common size, with the braces, names and quotes around it.
        const ENTRY_BYTES: usize = 1536;
        let links: usize = self.links.iter().map(|(_, url)| url.len() + 64).sum();
        256 + ENTRY_BYTES * (self.matches.len() + self.included.len()) + links + 256 * self.issues.len()
    }
}

/// Writes a base URL between quotes that stand already.
fn write_url_inner(base: &str, out: &mut Vec<u8>) {
    if base.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.extend_from_slice(base.as_bytes());
        return;
    }
    let mut quoted = Vec::with_capacity(base.len() + 8);
    write_escaped(base, &mut quoted);
    let inner = quoted.len().saturating_sub(1);
    out.extend_from_slice(quoted.get(1..inner).unwrap_or_default());
}

/// Writes a parameter as it stands in a URL.
pub(crate) fn write_parameter(url: &mut String, name: &str, value: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    percent_encode(url, name);
    url.push('=');
    percent_encode(url, value);
}

/// Writes a text as it stands in a URL, or in another place that has its letters.
pub(crate) fn percent_encode(url: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            // Legal in a query, and readable: tokens, chains and lists stay as written.
            b':' | b',' | b'/' | b'*' | b'$' | b'!' | b'(' | b')' => url.push(char::from(byte)),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
                url.push('%');
                url.push(char::from(DIGITS[usize::from(byte >> 4)]));
                url.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_model::outcome::IssueType;

    #[test]
    fn what_stands_around_the_entries() {
        let issues = [Issue::warning(IssueType::NotSupported).text("nobody knows \"x\"")];
        let set = Searchset {
            base: "http://localhost/fhir",
            total: Some(7),
            links: vec![("self", "http://localhost/fhir/Patient?a=b".to_owned())],
            issues: &issues,
            ..Searchset::default()
        };
        let json = set.to_json().expect("no bodies");
        let bundle: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
        assert_eq!(bundle["total"], 7);
        assert_eq!(bundle["entry"][0]["search"]["mode"], "outcome");
        assert!(fhir_model::json::read(json).is_ok());
        let empty = Searchset { base: "b", ..Searchset::default() };
        assert_eq!(
            empty.to_json().ok().as_deref(),
            Some(br#"{"resourceType":"Bundle","type":"searchset"}"#.as_slice())
        );
    }

    #[test]
    fn parameters_are_encoded() {
        let mut url = "http://h/Patient".to_owned();
        write_parameter(&mut url, "name:exact", "a b&c=d%é|x,y");
        write_parameter(&mut url, "_count", "2");
        assert_eq!(url, "http://h/Patient?name:exact=a%20b%26c%3Dd%25%C3%A9%7Cx,y&_count=2");
    }
}
