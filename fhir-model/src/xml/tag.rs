//! What stands in tags: attributes, names and character references, by the
//! letter of XML 1.0 (the parser below lets some ill-formed tags pass).
//!
//! Spec: <https://www.w3.org/TR/xml/#sec-starttags>

/// The greatest number of attributes of one element.
pub(super) const ATTRIBUTES_MAX: usize = 64;

/// An attribute as written: its value still has its references.
#[derive(Clone, Copy)]
pub(super) struct Attribute<'t> {
    pub(super) name: &'t str,
    pub(super) value: &'t str,
}

/// The attributes in the text of a start tag behind its name.
pub(super) struct Attributes<'t> {
    rest: &'t str,
    count: usize,
}

/// Begins to read the attributes in `text`, what stands in a start tag
/// behind its name.
pub(super) fn attributes(text: &str) -> Attributes<'_> {
    Attributes { rest: text, count: 0 }
}

impl<'t> Iterator for Attributes<'t> {
    type Item = Result<Attribute<'t>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let begin = trim_start(self.rest);
        if begin.is_empty() {
            return None;
        }
        let spaced = begin.len() < self.rest.len();
        self.count += 1;
        let attribute = if !spaced {
            Err("white space is missing before an attribute")
        } else if self.count > ATTRIBUTES_MAX {
            Err("too many attributes")
        } else {
            one(begin)
        };
        Some(attribute.map(|(attribute, rest)| {
            self.rest = rest;
            attribute
        }))
        .inspect(|attribute| {
            if attribute.is_err() {
                self.rest = "";
            }
        })
    }
}

fn one(text: &str) -> Result<(Attribute<'_>, &str), &'static str> {
    let (name, rest) = text.split_once('=').ok_or("an attribute has no value")?;
    let name = name.trim_end_matches(is_space);
    if !is_name(name) {
        return Err("an attribute has no proper name");
    }
    let rest = trim_start(rest);
    let quote = match rest.as_bytes().first() {
        Some(b'"') => '"',
        Some(b'\'') => '\'',
        _ => return Err("an attribute's value is not in quotes"),
    };
    let (value, rest) = rest.get(1..).and_then(|r| r.split_once(quote)).ok_or("a quote is not closed")?;
    if value.contains('<') {
        return Err("`<` in the value of an attribute");
    }
    Ok((Attribute { name, value }, rest))
}

/// Tells whether `c` is white space to XML.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn trim_start(text: &str) -> &str {
    text.trim_start_matches(is_space)
}

/// Tells whether `text` is a name, with at most one prefix.
pub(super) fn is_name(text: &str) -> bool {
    fn is_part(part: &str) -> bool {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '\u{b7}'))
    }
    match text.split_once(':') {
        Some((prefix, local)) => is_part(prefix) && is_part(local),
        None => is_part(text),
    }
}

/// Splits a name into its prefix and the rest.
pub(super) fn prefix(name: &str) -> (Option<&str>, &str) {
    match name.split_once(':') {
        Some((prefix, local)) => (Some(prefix), local),
        None => (None, name),
    }
}

/// Tells whether XML 1.0 can hold the character.
pub(super) fn is_character(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns what a reference means, `name` being what stands between `&` and
/// `;`. Entities other than the five of XML do not exist without a DTD.
pub(super) fn reference(name: &str) -> Option<char> {
    match name {
        "lt" => return Some('<'),
        "gt" => return Some('>'),
        "amp" => return Some('&'),
        "quot" => return Some('"'),
        "apos" => return Some('\''),
        _ => {}
    }
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix('x') {
        Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(digits, 16).ok()?
        }
        None if number.bytes().all(|b| b.is_ascii_digit()) => number.parse().ok()?,
        _ => return None,
    };
    char::from_u32(code).filter(|c| is_character(*c))
}

/// Appends the value of an attribute as XML means it: references resolved,
/// each written white space character a space.
///
/// # Errors
/// What is wrong with it.
pub(super) fn push_value(written: &str, out: &mut String) -> Result<(), &'static str> {
    let mut rest = written;
    while let Some(at) = rest.bytes().position(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        if let Some(after) = special.strip_prefix('&') {
            let (name, after) = after.split_once(';').ok_or("`&` without `;`")?;
            out.push(reference(name).ok_or("an entity that XML does not know without a DTD")?);
            rest = after;
        } else {
            out.push(' ');
            rest = special.strip_prefix("\r\n").unwrap_or(&special[1..]);
        }
    }
    out.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_by_the_letter() {
        for (text, expected) in [
            ("", Ok(vec![])),
            (" ", Ok(vec![])),
            (" value=\"1\"", Ok(vec![("value", "1")])),
            ("\n a = 'x\"y'\tb:c=\"\" ", Ok(vec![("a", "x\"y"), ("b:c", "")])),
            ("a=\"1\"", Err("white space is missing before an attribute")),
            (" a=\"1\"b=\"2\"", Err("white space is missing before an attribute")),
            (" a", Err("an attribute has no value")),
            (" a=1", Err("an attribute's value is not in quotes")),
            (" a=\"1", Err("a quote is not closed")),
            (" a=", Err("an attribute's value is not in quotes")),
            (" 1=\"1\"", Err("an attribute has no proper name")),
            (" a:b:c=\"1\"", Err("an attribute has no proper name")),
            (" a=\"<\"", Err("`<` in the value of an attribute")),
        ] {
            let read: Result<Vec<_>, _> = attributes(text).map(|a| a.map(|a| (a.name, a.value))).collect();
            assert_eq!(read, expected, "{text}");
        }
        assert!(attributes(&" a=\"\"".repeat(ATTRIBUTES_MAX + 1)).any(|a| a.is_err()));
    }

    #[test]
    fn values_as_meant() {
        for (written, meant) in [
            ("a b", Some("a b")),
            ("&lt;&gt;&amp;&quot;&apos;", Some("<>&\"'")),
            ("&#65;&#x42;&#x1F600;", Some("AB😀")),
            ("a\nb\r\nc\rd\te", Some("a b c d e")),
            ("a&#xA;b&#9;c", Some("a\nb\tc")),
            ("&nbsp;", None),
            ("&#0;", None),
            ("&#x;", None),
            ("&#+5;", None),
            ("&#xD800;", None),
            ("&", None),
            ("&amp", None),
        ] {
            let mut out = String::new();
            let result = push_value(written, &mut out);
            assert_eq!(result.is_ok().then_some(out.as_str()), meant, "{written}");
        }
    }
}
