//! Lays JSON out over lines for people to read, two spaces a level.
//!
//! Works on the bytes: numbers, strings and the order of properties stay as
//! they were written.

/// Lays out the JSON in `json`, which must be well-formed, as [`to_json`]
/// writes it; other bytes come back laid out somehow, but with nothing lost.
///
/// [`to_json`]: super::to_json
pub fn pretty(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut level = 0usize;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'"' => {
                let len = string_len(rest);
                let (string, after) = rest.split_at(len);
                out.push(b'"');
                out.extend_from_slice(string);
                rest = after;
            }
            b'{' | b'[' => {
                out.push(byte);
                rest = trim_start(rest);
                if let Some((&close @ (b'}' | b']'), after)) = rest.split_first() {
                    out.push(close);
                    rest = after;
                } else {
                    level += 1;
                    new_line(level, &mut out);
                }
            }
            b'}' | b']' => {
                level = level.saturating_sub(1);
                new_line(level, &mut out);
                out.push(byte);
            }
            b',' => {
                out.push(b',');
                new_line(level, &mut out);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    out
}

/// The deepest level that is still indented further.
const INDENT_MAX: usize = 256;

fn new_line(level: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.resize(out.len() + 2 * level.min(INDENT_MAX), b' ');
}

/// Returns the length of the string that begins with `rest`, closing quote included.
pub(crate) fn string_len(rest: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&byte) = rest.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => at += 1,
            _ => {}
        }
    }
    at.min(rest.len())
}

fn trim_start(rest: &[u8]) -> &[u8] {
    let space = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
    rest.get(space..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn laid_out() {
        for (given, expected) in [
            ("{}", "{}"),
            ("[ ]", "[]"),
            ("1.10", "1.10"),
            (r#"{"a":1.10}"#, "{\n  \"a\": 1.10\n}"),
            (
                r#"{"a":[1,{"b":"c,{}[]:\"\\"},null],"d":{}}"#,
                "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c,{}[]:\\\"\\\\\"\n    },\n    null\n  ],\n  \"d\": {}\n}",
            ),
            ("{\n\t\"a\" : \"b c\" }", "{\n  \"a\": \"b c\"\n}"),
        ] {
            assert_eq!(String::from_utf8_lossy(&pretty(given.as_bytes())), expected, "{given}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_laid_out_and_laying_out_again_changes_nothing(bytes: Vec<u8>) {
            let once = pretty(&bytes);
            prop_assert_eq!(pretty(&once), once);
        }
    }
}
