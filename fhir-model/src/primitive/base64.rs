//! The `base64Binary` type, as bytes.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#base64Binary>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Decodes base64; white space between the digits means nothing.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|b| b.is_ascii_whitespace()) {
        let dense: String = text.split_ascii_whitespace().collect();
        return STANDARD.decode(dense).ok();
    }
    STANDARD.decode(text).ok()
}

/// Encodes bytes as base64 with padding.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for bytes in [&b""[..], b"a", b"ab", b"abc", b"\0\xff"] {
            assert_eq!(decode(&encode(bytes)).as_deref(), Some(bytes));
        }
        assert_eq!(decode("YW\nJj").as_deref(), Some(&b"abc"[..]));
        assert_eq!(decode("YQ"), None);
    }
}
