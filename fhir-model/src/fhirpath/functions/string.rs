//! Functions on text. Places are counted in characters.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#string-manipulation>

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::value::{Collection, Value};
use crate::primitive::{base64, hexadecimal};

/// The greatest size of a compiled regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 4 << 20;
/// The greatest length of a regular expression, in bytes.
const PATTERN_LENGTH_MAX: usize = 4096;

type Result<T> = std::result::Result<T, EvaluateError>;

pub(super) fn call<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: Call<'_, 'r>) -> Result<Collection<'r>> {
    if call.function == Function::Join {
        return join(evaluator, &call);
    }
    let Some(text) = text_of(single(&call.input, call.function.name())?, call.function.name())? else {
        return Ok(Collection::new());
    };
    evaluator.check_text(text.len())?;
    let owned = |text: String| Ok(of_value(Some(Value::String(text.into()))));
    match call.function {
        Function::Upper => owned(text.to_uppercase()),
        Function::Lower => owned(text.to_lowercase()),
        Function::Trim => owned(text.trim().to_owned()),
        Function::Length => Ok(of_value(Some(Value::Integer(text.chars().count() as i64)))),
        Function::ToChars => {
            evaluator.check_items(text.len())?;
            Ok(text.chars().map(|c| Value::String(c.to_string().into())).collect())
        }
        Function::Substring => substring(evaluator, &call, &text),
        _ => with_argument(evaluator, &call, &text),
    }
}

/// Returns the text of an item: a String's, or a primitive element's as it is written.
fn text_of<'r>(item: Option<&Value<'r>>, what: &'static str) -> Result<Option<Cow<'r, str>>> {
    match item {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Element(element)) if element.definition().is_primitive() => {
            Ok(element.value().map(Cow::Borrowed))
        }
        Some(Value::External(node)) if node.text().is_some() => Ok(node.text().map(Cow::Borrowed)),
        Some(other) => Err(EvaluateError::Type { what, given: other.type_name() }),
    }
}

/// The functions whose first argument is a text, without which there is no result.
fn with_argument<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    text: &str,
) -> Result<Collection<'r>> {
    let Some(argument) = evaluator.text_argument(call, 0)? else { return Ok(Collection::new()) };
    let argument = argument.as_ref();
    let place = |at: Option<usize>| {
        let before = at.and_then(|at| text.get(..at));
        Value::Integer(before.map_or(-1, |before| before.chars().count() as i64))
    };
    let value = match call.function {
        Function::IndexOf => Some(place(text.find(argument))),
        Function::LastIndexOf => Some(place(text.rfind(argument))),
        Function::StartsWith => Some(Value::Boolean(text.starts_with(argument))),
        Function::EndsWith => Some(Value::Boolean(text.ends_with(argument))),
        Function::Contains => Some(Value::Boolean(text.contains(argument))),
        Function::Matches => pattern(call, argument, false, |found| Value::Boolean(found.is_match(text)))?,
        Function::MatchesFull => pattern(call, argument, true, |found| Value::Boolean(found.is_match(text)))?,
        Function::Replace | Function::ReplaceMatches => {
            let Some(with) = evaluator.text_argument(call, 1)? else { return Ok(Collection::new()) };
            Some(replaced(evaluator, call, text, argument, &with)?)
        }
        Function::Split => {
            let parts: Collection<'r> =
                text.split(argument).map(|part| Value::String(part.to_owned().into())).collect();
            evaluator.check_items(parts.len())?;
            return Ok(parts);
        }
        Function::Encode => encoded(text, argument).map(|text| Value::String(text.into())),
        Function::Decode => decoded(text, argument).map(|text| Value::String(text.into())),
        Function::Escape => escaped(text, argument).map(|text| Value::String(text.into())),
        _ => unescaped(text, argument).map(|text| Value::String(text.into())),
    };
    Ok(of_value(value))
}

fn substring<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    text: &str,
) -> Result<Collection<'r>> {
    let Some(start) = evaluator.integer_argument(call, 0)? else { return Ok(Collection::new()) };
    let length = match call.arguments.len() {
        1 => None,
        _ => evaluator.integer_argument(call, 1)?,
    };
    let Some(start) = usize::try_from(start).ok().filter(|start| *start < text.chars().count()) else {
        return Ok(Collection::new());
    };
    let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    let part: String = text.chars().skip(start).take(length).collect();
    Ok(of_value(Some(Value::String(part.into()))))
}

fn join<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let separator = match call.arguments.len() {
        0 => Cow::Borrowed(""),
        _ => evaluator.text_argument(call, 0)?.unwrap_or_default(),
    };
    let mut out = String::new();
    let mut is_first = true;
    for item in &call.input {
        let Some(text) = text_of(Some(item), "join")? else { continue };
        if !is_first {
            out.push_str(&separator);
        }
        is_first = false;
        out.push_str(&text);
        evaluator.check_text(out.len())?;
    }
    if is_first { Ok(Collection::new()) } else { Ok(of_value(Some(Value::String(out.into())))) }
}

/// Compiles a pattern, once where it is a literal, and uses it.
fn pattern<'r>(
    call: &Call<'_, 'r>,
    text: &str,
    full: bool,
    answer: impl Fn(&Regex) -> Value<'r>,
) -> Result<Option<Value<'r>>> {
    let compile = || {
        if text.len() > PATTERN_LENGTH_MAX {
            return None;
        }
        let anchored = if full { Cow::Owned(format!("^(?:{text})$")) } else { Cow::Borrowed(text) };
        RegexBuilder::new(&anchored).dot_matches_new_line(true).size_limit(PATTERN_BYTES_MAX).build().ok()
    };
    let is_literal = matches!(call.arguments.first(), Some(crate::fhirpath::ast::Node::Literal(_)));
    let found = if is_literal { call.pattern.0.get_or_init(compile).clone() } else { compile() };
    match found {
        Some(found) => Ok(Some(answer(&found))),
        None => Err(EvaluateError::Pattern(text.to_owned())),
    }
}

fn replaced<'r>(
    evaluator: &Evaluator<'_, 'r, '_>,
    call: &Call<'_, 'r>,
    text: &str,
    what: &str,
    with: &str,
) -> Result<Value<'r>> {
    if call.function == Function::Replace {
        let found = text.matches(what).count();
        evaluator.check_text(text.len().saturating_add(found.saturating_mul(with.len())))?;
        return Ok(Value::String(text.replace(what, with).into()));
    }
    // Each character could be replaced: the result may be far longer than what it is made of.
    evaluator.check_text((text.len() + 1).saturating_mul(with.len() + 1))?;
    // An empty pattern replaces nothing.
    if what.is_empty() {
        return Ok(Value::String(text.to_owned().into()));
    }
    let replaced =
        pattern(call, what, false, |found| Value::String(found.replace_all(text, with).into_owned().into()))?;
    Ok(replaced.unwrap_or_else(|| Value::String(text.to_owned().into())))
}

fn encoded(text: &str, format: &str) -> Option<String> {
    match format {
        "base64" => Some(base64::encode(text.as_bytes())),
        "urlbase64" => Some(base64::encode(text.as_bytes()).replace('+', "-").replace('/', "_")),
        "hex" => Some(hexadecimal::encode(text.as_bytes())),
        _ => None,
    }
}

fn decoded(text: &str, format: &str) -> Option<String> {
    let bytes = match format {
        "base64" => base64::decode(text)?,
        "urlbase64" => base64::decode(&text.replace('-', "+").replace('_', "/"))?,
        "hex" => {
            let nibbles: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
            let nibbles = nibbles.filter(|nibbles| nibbles.len().is_multiple_of(2))?;
            nibbles
                .chunks(2)
                .filter_map(|pair| u8::try_from(pair.first()? * 16 + pair.last()?).ok())
                .collect()
        }
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

/// What HTML writes in place of a character.
const HTML: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];

fn escaped(text: &str, target: &str) -> Option<String> {
    match target {
        "html" => {
            Some(HTML.iter().fold(text.to_owned(), |text, (plain, written)| text.replace(plain, written)))
        }
        "json" => {
            let quoted = serde_json::to_string(text).ok()?;
            quoted.strip_prefix('"')?.strip_suffix('"').map(str::to_owned)
        }
        _ => None,
    }
}

fn unescaped(text: &str, target: &str) -> Option<String> {
    match target {
        // The ampersand comes last, so that what it gives is not read again.
        "html" => Some(
            HTML.iter().rev().fold(text.to_owned(), |text, (plain, written)| text.replace(written, plain)),
        ),
        "json" => serde_json::from_str(&format!("\"{}\"", quotes_escaped(text))).ok(),
        _ => None,
    }
}

/// Puts a backslash before each quote that has none.
fn quotes_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut is_escaped = false;
    for c in text.chars() {
        if c == '"' && !is_escaped {
            out.push('\\');
        }
        is_escaped = c == '\\' && !is_escaped;
        out.push(c);
    }
    out
}
