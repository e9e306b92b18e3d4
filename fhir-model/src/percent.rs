//! Percent-encoding: texts as they stand in URLs.
//!
//! Spec: <https://www.rfc-editor.org/rfc/rfc3986#section-2.1>

/// Decodes `%xx`; `+` is itself, as in a path. `None` when an escape is no
/// escape, or the bytes are not UTF-8.
pub fn decode(text: &str) -> Option<String> {
    decoded(text, b'+')
}

/// As [`decode`], where `+` is a blank, as in a query or form.
pub fn decode_form(text: &str) -> Option<String> {
    decoded(text, b' ')
}

fn decoded(text: &str, plus: u8) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => out.push(plus),
            b'%' => {
                let digits = text.get(at..at + 2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                out.push(u8::from_str_radix(digits?, 16).ok()?);
                at += 2;
            }
            other => out.push(*other),
        }
    }
    String::from_utf8(out).ok()
}

/// Writes a name or value of a query so that [`decode_form`] reads it back.
/// What is legal there and makes tokens and lists readable stays as it is.
pub fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b'$'
            | b'*'
            | b','
            | b':'
            | b'/' => {
                out.push(char::from(byte));
            }
            other => {
                out.push('%');
                out.push(char::from(HEX[usize::from(other >> 4)]));
                out.push(char::from(HEX[usize::from(other & 15)]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        for text in ["", "a+b c", "1|2,3", "à%&=#?", "\u{1f600}"] {
            let mut encoded = String::new();
            encode(text, &mut encoded);
            assert_eq!(decode_form(&encoded).as_deref(), Some(text), "{encoded}");
        }
        for (text, path, form) in [
            ("a+b%7C", Some("a+b|"), Some("a b|")),
            ("%C3%A0", Some("à"), Some("à")),
            ("%C3", None, None),
            ("%zz", None, None),
            ("%4", None, None),
            ("%+1", None, None),
        ] {
            assert_eq!((decode(text).as_deref(), decode_form(text).as_deref()), (path, form), "{text}");
        }
    }
}
