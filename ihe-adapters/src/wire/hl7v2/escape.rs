//! Escape sequences: how delimiters and other characters stand in text.
//!
//! Spec: HL7 v2.5.1 section 2.7.

use super::delimiters::Delimiters;

/// Replaces the escape sequences of a value by what they stand for.
///
/// Formatting and unknown sequences stay as they are.
pub fn decode(text: &str, delimiters: &Delimiters) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = rest.find(delimiters.escape) {
        out.push_str(&rest[..begin]);
        let body = &rest[begin + delimiters.escape.len_utf8()..];
        let Some(end) = body.find(delimiters.escape) else {
            out.push_str(&rest[begin..]);
            return out;
        };
        let sequence = &body[..end];
        let after = &body[end + delimiters.escape.len_utf8()..];
        match decoded(sequence, delimiters) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&rest[begin..rest.len() - after.len()]),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn decoded(sequence: &str, delimiters: &Delimiters) -> Option<String> {
    Some(match sequence {
        "F" => delimiters.field.to_string(),
        "S" => delimiters.component.to_string(),
        "R" => delimiters.repetition.to_string(),
        "T" => delimiters.subcomponent.to_string(),
        "E" => delimiters.escape.to_string(),
        "P" => delimiters.truncation?.to_string(),
        ".br" => "\n".to_owned(),
        _ => {
            let digits = sequence.strip_prefix('X')?;
            if digits.is_empty() || digits.len() % 2 != 0 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            let bytes: Option<Vec<u8>> = (0..digits.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
                .collect();
            String::from_utf8(bytes?).ok()?
        }
    })
}

/// Writes text so that no delimiter, no line end and no end of a frame stands in it.
pub fn encode(text: &str, delimiters: &Delimiters) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let name = match c {
            c if c == delimiters.escape => "E",
            c if c == delimiters.field => "F",
            c if c == delimiters.component => "S",
            c if c == delimiters.repetition => "R",
            c if c == delimiters.subcomponent => "T",
            c if Some(c) == delimiters.truncation => "P",
            c if c < ' ' => &format!("X{:02X}", u32::from(c)),
            c => {
                out.push(c);
                continue;
            }
        };
        out.push(delimiters.escape);
        out.push_str(name);
        out.push(delimiters.escape);
    }
    out
}
