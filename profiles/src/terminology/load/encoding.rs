//! What the bytes of a field mean: UTF-8, else Windows-1252, of which
//! ISO-8859-1 is a part; and UTF-8 that was taken for Windows-1252 and encoded
//! once more is repaired.
//!
//! It is decided for each field, as tables were put together from several.

use super::error::Finding;

/// What Windows-1252 has from 0x80 to 0x9F; the five it leaves open stay controls.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Decodes a field, and says what had to be done.
pub fn decode(bytes: &[u8]) -> (String, Option<Finding>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => match unmangled(text) {
            Some(repaired) => (repaired, Some(Finding::Mangled)),
            None => (text.to_owned(), None),
        },
        Err(_) => (bytes.iter().map(|byte| of_byte(*byte)).collect(), Some(Finding::Windows1252)),
    }
}

fn of_byte(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from(byte),
    }
}

fn to_byte(c: char) -> Option<u8> {
    match HIGH.iter().position(|high| *high == c) {
        Some(at) => u8::try_from(at + 0x80).ok(),
        None => u8::try_from(u32::from(c)).ok(),
    }
}

/// Undoes a second encoding: the bytes that the characters stand for in
/// Windows-1252 are UTF-8 themselves, which they are not by chance.
fn unmangled(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Vec<u8> = text.chars().map(to_byte).collect::<Option<_>>()?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_field_is_read_in_its_encoding() {
        for (bytes, text, finding) in [
            (&b"plain"[..], "plain", None),
            ("perché".as_bytes(), "perché", None),
            ("À".as_bytes(), "À", None),
            ("10 µg – €".as_bytes(), "10 µg – €", None),
            (b"perch\xe9", "perché", Some(Finding::Windows1252)),
            (b"\x93t\xe0\x94 \x80", "“tà” €", Some(Finding::Windows1252)),
            ("perchÃ©".as_bytes(), "perché", Some(Finding::Mangled)),
            ("lâ€™ora".as_bytes(), "l’ora", Some(Finding::Mangled)),
            ("à Ã©".as_bytes(), "à Ã©", None),
        ] {
            assert_eq!(decode(bytes), (text.to_owned(), finding), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let (text, _) = decode(&bytes);
            prop_assert_eq!(text.is_empty(), bytes.is_empty());
        }

        #[test]
        fn what_was_mangled_is_what_it_was(text in "[a-z àèéìòù]{0,20}") {
            let mangled: String = text.bytes().map(of_byte).collect();
            prop_assert_eq!(decode(mangled.as_bytes()).0, text);
        }
    }
}
