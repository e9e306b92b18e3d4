//! From the bytes of a message to its text, and back to the same bytes.
//!
//! MSH-18 says which characters they are. Where that is not there, or not
//! true, they are UTF-8 when they can be, and Latin-1 when not: every byte is
//! a character of it, so that nothing is lost.
//!
//! Spec: HL7 v2.5.1 section 2.15.9.18, table 0211

use encoding_rs::{
    BIG5, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, SHIFT_JIS, UTF_8,
    WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// In which characters a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    form: Form,
    /// Whether a byte order mark begins it.
    has_mark: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    /// Each byte is the character of its number.
    Latin1,
    Utf16 {
        is_little_endian: bool,
    },
    Table(&'static Encoding),
}

impl Default for Charset {
    fn default() -> Charset {
        Charset { form: Form::Utf8, has_mark: false }
    }
}

/// The names of table 0211, and what they stand for. 8859/1, /9 and /11 are a part of what
/// Windows has under other names, and senders mean that.
const TABLES: &[(&str, &Encoding)] = &[
    ("8859/1", WINDOWS_1252),
    ("8859/2", ISO_8859_2),
    ("8859/3", ISO_8859_3),
    ("8859/4", ISO_8859_4),
    ("8859/5", ISO_8859_5),
    ("8859/6", ISO_8859_6),
    ("8859/7", ISO_8859_7),
    ("8859/8", ISO_8859_8),
    ("8859/9", WINDOWS_1254),
    ("8859/10", ISO_8859_10),
    ("8859/11", WINDOWS_874),
    ("8859/13", ISO_8859_13),
    ("8859/14", ISO_8859_14),
    ("8859/15", ISO_8859_15),
    ("ISO IR14", SHIFT_JIS),
    ("ISO IR87", ISO_2022_JP),
    ("GB 18030-2000", GB18030),
    ("KS X 1001", EUC_KR),
    ("BIG-5", BIG5),
    ("UNICODE", UTF_8),
    ("UNICODE UTF-8", UTF_8),
];

/// Decodes a message.
pub fn decode(bytes: &[u8]) -> (String, Charset) {
    if let Some((text, charset)) = utf16(bytes) {
        return (text, charset);
    }
    let (has_mark, bytes) = match bytes.strip_prefix(b"\xEF\xBB\xBF") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let declared = declared(bytes).and_then(|name| TABLES.iter().find(|(known, _)| *known == name));
    if let Some((_, encoding)) = declared.filter(|(_, encoding)| *encoding != UTF_8) {
        let charset = Charset { form: Form::Table(encoding), has_mark };
        let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
        // What does not come back the same was something else.
        if let Some(text) = text.filter(|text| charset.encode_unmarked(text) == bytes) {
            return (text.into_owned(), charset);
        }
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), Charset { form: Form::Utf8, has_mark }),
        Err(_) => {
            let text = bytes.iter().map(|byte| char::from(*byte)).collect();
            (text, Charset { form: Form::Latin1, has_mark })
        }
    }
}

/// Returns what MSH-18 says first; the header is ASCII up to there in all that
/// table 0211 has but UTF-16.
fn declared(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let separator = *line.strip_prefix(b"MSH")?.first()?;
    let field = line.split(|byte| *byte == separator).nth(17)?;
    let repetition = *line.get(5)?;
    let first = field.split(|byte| *byte == repetition).next()?;
    Some(String::from_utf8_lossy(first).trim().to_ascii_uppercase())
}

/// Decodes UTF-16, which shows by how `MSH` is written in it.
fn utf16(bytes: &[u8]) -> Option<(String, Charset)> {
    let (has_mark, is_little_endian, rest) = match bytes {
        [0xFF, 0xFE, rest @ ..] => (true, true, rest),
        [0xFE, 0xFF, rest @ ..] => (true, false, rest),
        [b'M', 0, b'S', 0, b'H', 0, ..] => (false, true, bytes),
        [0, b'M', 0, b'S', 0, b'H', ..] => (false, false, bytes),
        _ => return None,
    };
    let (pairs, odd) = rest.as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    let from = if is_little_endian { u16::from_le_bytes } else { u16::from_be_bytes };
    let units: Vec<u16> = pairs.iter().map(|pair| from(*pair)).collect();
    let text = String::from_utf16(&units).ok()?;
    Some((text, Charset { form: Form::Utf16 { is_little_endian }, has_mark }))
}

impl Charset {
    /// Writes text in it; what it does not have becomes `?`.
    pub fn encode(&self, text: &str) -> Vec<u8> {
        let mark: &[u8] = match (self.has_mark, self.form) {
            (false, _) => b"",
            (true, Form::Utf16 { is_little_endian: true }) => b"\xFF\xFE",
            (true, Form::Utf16 { is_little_endian: false }) => b"\xFE\xFF",
            (true, _) => b"\xEF\xBB\xBF",
        };
        [mark, &self.encode_unmarked(text)].concat()
    }

    /// Returns it without a byte order mark: what is answered needs none.
    #[must_use]
    pub fn unmarked(self) -> Charset {
        match self.form {
            Form::Utf16 { .. } => self,
            form => Charset { form, has_mark: false },
        }
    }

    fn encode_unmarked(&self, text: &str) -> Vec<u8> {
        match self.form {
            Form::Utf8 => text.as_bytes().to_vec(),
            Form::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect(),
            Form::Utf16 { is_little_endian } => {
                let to = if is_little_endian { u16::to_le_bytes } else { u16::to_be_bytes };
                text.encode_utf16().flat_map(to).collect()
            }
            Form::Table(encoding) => {
                let (bytes, _, is_lossy) = encoding.encode(text);
                if !is_lossy {
                    return bytes.into_owned();
                }
                let has = |c: char| !encoding.encode(c.encode_utf8(&mut [0; 4])).2;
                let known: String = text.chars().map(|c| if has(c) { c } else { '?' }).collect();
                encoding.encode(&known).0.into_owned()
            }
        }
    }
}
