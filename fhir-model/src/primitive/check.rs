//! The grammar of each primitive type.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#primitive>

use crate::primitive::{date, id};
use crate::schema::{TypeId, ty};

/// Tells whether `text` is a value of the primitive type.
pub fn is_valid(of: TypeId, text: &str) -> bool {
    match of {
        ty::STRING | ty::MARKDOWN | ty::XHTML => !text.is_empty(),
        ty::BOOLEAN => text == "true" || text == "false",
        ty::CODE => is_code(text),
        ty::URI | ty::URL | ty::CANONICAL => is_uri(text),
        ty::ID => id::is_id(text),
        ty::DATE_TIME => date::PartialDate::parse(text).is_some_and(|d| d.is_date_time()),
        ty::DATE => date::PartialDate::parse(text).is_some_and(|d| !d.has_time()),
        ty::INSTANT => date::PartialDate::parse(text).is_some_and(|d| d.is_instant()),
        ty::TIME => date::is_time(text),
        ty::DECIMAL => is_decimal(text),
        ty::INTEGER => is_integer(text),
        ty::POSITIVE_INT => is_integer(text) && !text.starts_with(['-', '0']),
        ty::UNSIGNED_INT => is_integer(text) && !text.starts_with('-'),
        ty::BASE64_BINARY => is_base64(text),
        ty::OID => is_oid(text),
        ty::UUID => text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
        _ => true,
    }
}

/// One or more words, single spaces between them.
fn is_code(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace)
        && !text.as_bytes().windows(2).any(|w| w[0].is_ascii_whitespace() && w[1].is_ascii_whitespace())
}

fn is_uri(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_whitespace)
}

/// A JSON number of at most 18 significant digits' worth is what the
/// specification asks for; more are kept as written.
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|e| is_digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A signed 32-bit integer without leading zeros.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    is_digits(digits) && (text == "0" || !digits.starts_with('0')) && text.parse::<i32>().is_ok()
}

fn is_base64(text: &str) -> bool {
    let (mut count, mut padding) = (0usize, 0usize);
    for b in text.bytes() {
        match b {
            b' ' | b'\n' | b'\r' | b'\t' => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        count += 1;
    }
    count > 0 && count.is_multiple_of(4) && padding <= 2
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else { return false };
    arcs.starts_with(['0', '1', '2'])
        && arcs.contains('.')
        && arcs.split('.').all(|arc| is_digits(arc) && (arc == "0" || !arc.starts_with('0')))
}

/// Tells whether `text` is the 36 characters of a UUID.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammars() {
        for (of, good, bad) in [
            (ty::BOOLEAN, &["true", "false"][..], &["TRUE", "1", ""][..]),
            (ty::CODE, &["a", "a b", "final"], &["", " a", "a ", "a  b"]),
            (ty::URI, &["http://x", "urn:uuid:1", "a|1"], &["", "a b"]),
            (
                ty::DECIMAL,
                &["0", "-0.10", "1.0E+2", "1e-7", "123456789012345678901234567890"],
                &["01", ".5", "1.", "1e", "+1", "--1"],
            ),
            (ty::INTEGER, &["0", "-5", "2147483647"], &["2147483648", "01", "1.0", "-0"]),
            (ty::POSITIVE_INT, &["1"], &["0", "-1"]),
            (ty::UNSIGNED_INT, &["0", "7"], &["-1"]),
            (
                ty::BASE64_BINARY,
                &["AAAA", "AA==", "AAA=\nAAAA".split('\n').next().unwrap_or("")],
                &["A", "AA=A", "A%AA", "===="],
            ),
            (ty::OID, &["urn:oid:1.2.840.0"], &["1.2.3", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1"]),
            (
                ty::UUID,
                &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
                &["c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:1"],
            ),
            (
                ty::DATE,
                &["2024", "2024-02", "2024-02-29"],
                &["2023-02-29", "24", "2024-13", "2024-02-29T00:00:00Z"],
            ),
            (
                ty::DATE_TIME,
                &["2024", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00.123+01:00"],
                &["2024-02-29T10:00:00", "2024-02-29T10:00Z", "2024-02-29T25:00:00Z"],
            ),
            (ty::INSTANT, &["2015-02-07T13:28:17.239+02:00"], &["2015-02-07", "2015-02-07T13:28Z"]),
            (ty::TIME, &["10:00:00", "23:59:59.5"], &["24:00:00", "10:00", "10:00:00Z"]),
        ] {
            for text in good {
                assert!(is_valid(of, text), "{of} {text}");
            }
            for text in bad {
                assert!(!is_valid(of, text), "{of} {text}");
            }
        }
    }
}
