//! Code systems that are grammars: languages, media types, units, subdivisions.
//!
//! Spec: <https://hl7.org/fhir/R4/terminologies-systems.html>

/// The greatest length of a unit.
const UNIT_BYTES_MAX: usize = 200;

/// Tells whether a code is one of a system that is a grammar; `None` for
/// systems that are not, and where the grammar does not decide.
pub fn is_code(system: &str, code: &str) -> Option<bool> {
    match system {
        "urn:ietf:bcp:47" => Some(is_language(code)),
        "urn:ietf:bcp:13" | "urn:ietf:rfc:3986-mime" => Some(is_media_type(code)),
        "http://unitsofmeasure.org" => Some(is_unit(code)),
        "urn:iso:std:iso:3166:-2" => may_be(is_subdivision(code)),
        "http://unstats.un.org/unsd/methods/m49/m49.htm" => may_be(is_area(code)),
        _ => None,
    }
}

/// What has the form of a code may be one; what has not is none.
fn may_be(has_form: bool) -> Option<bool> {
    (!has_form).then_some(false)
}

/// A unit of measure.
///
/// Spec: <https://ucum.org/ucum>
fn is_unit(code: &str) -> bool {
    code.len() <= UNIT_BYTES_MAX && octofhir_ucum::validate(code).is_ok()
}

/// A part of a country: its code, and up to three letters or digits.
fn is_subdivision(code: &str) -> bool {
    let is_part = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    code.split_once('-')
        .is_some_and(|(country, part)| isocountry::CountryCode::for_alpha2(country).is_ok() && is_part(part))
}

/// An area of the world, in three digits.
fn is_area(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit())
}

/// Tells whether a code is in a value set that is all of a grammar.
pub fn is_in_value_set(value_set: &str, code: &str) -> Option<bool> {
    match value_set {
        "http://hl7.org/fhir/ValueSet/all-languages" => Some(is_language(code)),
        "http://hl7.org/fhir/ValueSet/mimetypes" | "http://www.rfc-editor.org/bcp/bcp13.txt" => {
            Some(is_media_type(code))
        }
        _ => None,
    }
}

/// A language tag: letters, then subtags of letters and digits.
///
/// Spec: <https://www.rfc-editor.org/info/bcp47>
fn is_language(code: &str) -> bool {
    let mut parts = code.split('-');
    let primary = parts.next().unwrap_or_default();
    let is_private = primary.eq_ignore_ascii_case("x") || primary.eq_ignore_ascii_case("i");
    let is_primary = (2..=8).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_alphabetic());
    (is_primary || is_private && code.len() > 2)
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A media type, with parameters or without.
///
/// Spec: <https://www.rfc-editor.org/info/rfc6838>
fn is_media_type(code: &str) -> bool {
    let (essence, _) = code.split_once(';').unwrap_or((code, ""));
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
    };
    // FHIR itself speaks of `json` and `xml` alone.
    match essence.trim().split_once('/') {
        Some((kind, sub)) => is_name(kind) && is_name(sub),
        None => matches!(essence.trim(), "xml" | "json" | "ttl" | "html" | "text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        for (system, code, valid) in [
            ("urn:ietf:bcp:47", "it", true),
            ("urn:ietf:bcp:47", "de-CH", true),
            ("urn:ietf:bcp:47", "x-mine", true),
            ("urn:ietf:bcp:47", "it_IT", false),
            ("urn:ietf:bcp:47", "", false),
            ("http://unitsofmeasure.org", "mm[Hg]", true),
            ("http://unitsofmeasure.org", "10*9/L", true),
            ("http://unitsofmeasure.org", "{score}", true),
            ("http://unitsofmeasure.org", "mmHg", false),
            ("http://unitsofmeasure.org", "", false),
            ("urn:iso:std:iso:3166:-2", "Liguria", false),
            ("urn:iso:std:iso:3166:-2", "ZZ-42", false),
            ("urn:ietf:bcp:13", "text/plain", true),
            ("urn:ietf:bcp:13", "application/fhir+json; fhirVersion=4.0", true),
            ("urn:ietf:bcp:13", "plain text", false),
            ("urn:ietf:bcp:13", "[%payload%]", false),
        ] {
            assert_eq!(is_code(system, code), Some(valid), "{system} {code}");
        }
        for (system, code) in [("http://loinc.org", "1-8"), ("urn:iso:std:iso:3166:-2", "IT-42")] {
            assert_eq!(is_code(system, code), None, "{system} {code}");
        }
    }
}
