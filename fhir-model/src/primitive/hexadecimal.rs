//! Bytes as hexadecimal digits: hashes, as other wires and file names have them.

/// Decodes pairs of digits, large or small; `None` for anything else.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Encodes bytes in small digits.
pub fn encode(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for (bytes, text) in [(&b""[..], ""), (b"\0", "00"), (b"\x01\xff", "01ff")] {
            assert_eq!(encode(bytes), text);
            assert_eq!(decode(text).as_deref(), Some(bytes));
        }
        assert_eq!(decode("Ff").as_deref(), Some(&b"\xff"[..]));
        for wrong in ["0", "0g", "+1", "0è"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
