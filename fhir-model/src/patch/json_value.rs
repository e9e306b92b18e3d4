//! JSON for JSON Patch: numbers are kept as they were written (serde_json
//! makes `1E22` a `1e+22`) and compared by value.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use crate::json::pretty::string_len;
use crate::json::write::write_escaped;

/// A JSON value.
#[derive(Debug, Clone)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    /// The members in their order; no name stands there twice.
    Object(Vec<(String, Json)>),
}

/// Finds a member of an object by its name.
pub(super) fn position(members: &[(String, Json)], name: &str) -> Option<usize> {
    members.iter().position(|(known, _)| known == name)
}

impl Json {
    /// Parses a document.
    pub(super) fn parse(document: &[u8]) -> serde_json::Result<Json> {
        let value: Value = serde_json::from_slice(document)?;
        Ok(Json::with_numbers(value, &mut numbers(document).into_iter()))
    }

    /// Takes a value over; each number gets the text that stands next in
    /// `written` so long as it is the same number: behind a name that an
    /// object repeats, of which the last counts, it may not be.
    fn with_numbers<'w>(value: Value, written: &mut impl Iterator<Item = &'w str>) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Number(number) => {
                let number = number.as_str();
                let text = written.next().filter(|text| is_same_number(text, number));
                Json::Number(text.unwrap_or(number).to_owned())
            }
            Value::String(text) => Json::String(text),
            Value::Array(items) => {
                Json::Array(items.into_iter().map(|item| Json::with_numbers(item, written)).collect())
            }
            Value::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|(name, member)| (name, Json::with_numbers(member, written)))
                    .collect(),
            ),
        }
    }

    /// Writes the value.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Json::Number(text) => out.extend_from_slice(text.as_bytes()),
            Json::String(text) => write_escaped(text, out),
            Json::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                for (at, (name, member)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    write_escaped(name, out);
                    out.push(b':');
                    member.write(out);
                }
                out.push(b'}');
            }
        }
    }

    /// Returns how many lists and objects lie within each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Json::Array(items) => 1 + items.iter().map(Json::depth).max().unwrap_or(0),
            Json::Object(members) => 1 + members.iter().map(|(_, m)| m.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// Returns roughly how many bytes the value takes.
    pub(super) fn bytes(&self) -> usize {
        const NODE: usize = 32;
        NODE + match self {
            Json::String(text) | Json::Number(text) => text.len(),
            Json::Array(items) => items.iter().map(Json::bytes).sum(),
            Json::Object(members) => members.iter().map(|(name, m)| name.len() + m.bytes()).sum(),
            Json::Null | Json::Bool(_) => 0,
        }
    }

    /// Takes out lists and objects that hold nothing.
    pub(super) fn drop_empty(&mut self) {
        let is_empty = |value: &Json| match value {
            Json::Array(items) => items.is_empty(),
            Json::Object(members) => members.is_empty(),
            _ => false,
        };
        match self {
            Json::Array(items) => {
                items.iter_mut().for_each(Json::drop_empty);
                items.retain(|item| !is_empty(item));
            }
            Json::Object(members) => {
                members.iter_mut().for_each(|(_, member)| member.drop_empty());
                members.retain(|(_, member)| !is_empty(member));
            }
            _ => {}
        }
    }
}

impl PartialEq for Json {
    /// Equal as RFC 6902 has it: numbers by value, objects whatever their order.
    fn eq(&self, other: &Json) -> bool {
        match (self, other) {
            (Json::Null, Json::Null) => true,
            (Json::Bool(a), Json::Bool(b)) => a == b,
            (Json::Number(a), Json::Number(b)) => is_same_number(a, b),
            (Json::String(a), Json::String(b)) => a == b,
            (Json::Array(a), Json::Array(b)) => a == b,
            (Json::Object(a), Json::Object(b)) => {
                let b: HashMap<&str, &Json> = b.iter().map(|(name, value)| (name.as_str(), value)).collect();
                a.len() == b.len()
                    && a.iter().all(|(name, value)| b.get(name.as_str()).is_some_and(|b| *b == value))
            }
            _ => false,
        }
    }
}

/// Returns the numbers of a well-formed document in their order.
fn numbers(document: &[u8]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = document;
    while let Some((byte, after)) = rest.split_first() {
        let len = match byte {
            b'"' => string_len(after) + 1,
            b'-' | b'0'..=b'9' => {
                let is_part = |b: &&u8| matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let len = rest.iter().take_while(is_part).count();
                found.extend(rest.get(..len).and_then(|number| std::str::from_utf8(number).ok()));
                len
            }
            _ => 1,
        };
        rest = rest.get(len..).unwrap_or_default();
    }
    found
}

/// Tells whether two numbers of JSON have the same value.
fn is_same_number(a: &str, b: &str) -> bool {
    a == b || Decimal::of(a).is_some_and(|a| Decimal::of(b) == Some(a))
}

/// A number by its value: `0.digits` times ten to the `exponent`.
#[derive(PartialEq, Eq)]
struct Decimal<'t> {
    is_negative: bool,
    digits: Cow<'t, str>,
    exponent: i128,
}

impl Decimal<'_> {
    fn of(text: &str) -> Option<Decimal<'_>> {
        let (is_negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let leading = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { is_negative: false, digits: Cow::Borrowed(""), exponent: 0 });
        }
        let exponent = i128::from(exponent) + whole.len() as i128 - leading as i128;
        Some(Decimal { is_negative, digits: Cow::Owned(digits), exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_value() {
        for (a, b, equal) in [
            ("1", "1.0", true),
            ("0.10", "1e-1", true),
            ("100", "1E2", true),
            ("0", "-0.0", true),
            ("1", "-1", false),
            ("1", "10", false),
            ("0.1", "0.01", false),
            ("12345678901234567890.1", "12345678901234567890.10", true),
            ("1e99999999999999999999", "1e99999999999999999999", true),
            ("1e99999999999999999999", "2e99999999999999999999", false),
        ] {
            assert_eq!(is_same_number(a, b), equal, "{a} {b}");
        }
    }

    #[test]
    fn documents_come_back_as_written() {
        for document in [
            r#"{"a":[1E22,-0.10,"1E5\"7",{"1":2e-1}],"b":null,"c":true,"d":1.0}"#,
            "1E+5",
            r#"["é\n"]"#,
            "[[],{}]",
        ] {
            let mut out = Vec::new();
            Json::parse(document.as_bytes()).expect("json").write(&mut out);
            assert_eq!(String::from_utf8_lossy(&out), document);
        }
        let mut out = Vec::new();
        Json::parse(br#"{"a":1E2,"a":[2E2,3E2],"b":4E2}"#).expect("json").write(&mut out);
        let kept: Value = serde_json::from_slice(&out).expect("json");
        assert_eq!(kept, serde_json::from_str::<Value>(r#"{"a":[2e2,3e2],"b":4e2}"#).expect("json"));
    }
}
