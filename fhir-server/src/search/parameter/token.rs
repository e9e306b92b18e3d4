//! Token parameters: codes with or without system, identifiers, booleans.
//!
//! Codes compare case-sensitively, as most code systems do. A `code` element
//! has the system of its required binding, where that is one.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#token>

use fhir_model::fhirpath::Value;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;

use super::string::fold;
use super::{
    Collector, Predicate, TextComparison, TextMatch, ValueError, malformed, no_modifier, split_unescaped,
    unescape,
};
use crate::index::row::{BranchCode, EqualHash};
use crate::search::registry::{Branch, Definition};

const EXPECTED: &str = "a token: `code`, `system|code`, `|code` or `system|`";

/// What makes the branch of a token's text.
const TEXT_VARIANT: &str = "token-text";

/// A token in a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'r> {
    pub(super) system: Option<&'r str>,
    pub(super) code: Option<&'r str>,
}

/// Calls `token` with each token of a value, and `text` with each text that
/// tells its meaning.
pub(super) fn for_each_token<'r>(
    value: &'r Value<'_>,
    token: &mut impl FnMut(Token<'r>),
    text: &mut impl FnMut(&'r str),
) {
    match value {
        Value::Boolean(value) => {
            token(Token { system: None, code: Some(if *value { "true" } else { "false" }) });
        }
        Value::String(value) => token(Token { system: None, code: Some(value) }),
        Value::Element(element) => of_element(*element, token, text),
        _ => {}
    }
}

fn of_element<'r>(element: Element<'r>, token: &mut impl FnMut(Token<'r>), text: &mut impl FnMut(&'r str)) {
    match element.ty() {
        ty::CODEABLE_CONCEPT => {
            if let Some(told) = element.text_of(name::TEXT) {
                text(told);
            }
            for coding in element.children_named(name::CODING) {
                of_element(coding, token, text);
            }
        }
        ty::CODING => {
            token(Token { system: element.text_of(name::SYSTEM), code: element.text_of(name::CODE) });
            if let Some(display) = element.text_of(name::DISPLAY) {
                text(display);
            }
        }
        ty::IDENTIFIER => {
            token(Token { system: element.text_of(name::SYSTEM), code: element.text_of(name::VALUE) });
            let kind = element.child(name::TYPE);
            if let Some(told) = kind.and_then(|t| t.text_of(name::TEXT)) {
                text(told);
            }
        }
        ty::CONTACT_POINT => token(Token { system: None, code: element.text_of(name::VALUE) }),
        ty::QUANTITY => {
            token(Token { system: element.text_of(name::SYSTEM), code: element.text_of(name::CODE) })
        }
        ty::RANGE | ty::REFERENCE => {}
        _ => {
            let system = element.property().and_then(|p| p.element.binding).and_then(|b| b.system);
            let system = system.filter(|_| element.ty() == ty::CODE);
            if let Some(code) = element.value() {
                token(Token { system, code: Some(code) });
            }
        }
    }
}

impl<'r> Token<'r> {
    /// Calls `each` with every form under which the token is found: the form's
    /// name and its parts.
    pub(super) fn forms(self, mut each: impl FnMut(&'static str, &[&'r str])) {
        match (self.system, self.code) {
            (Some(system), Some(code)) => {
                each("system|code", &[system, code]);
                each("code", &[code]);
                each("system|", &[system]);
            }
            (None, Some(code)) => {
                each("|code", &[code]);
                each("code", &[code]);
            }
            (Some(system), None) => each("system|", &[system]),
            (None, None) => {}
        }
    }
}

/// Puts a value into the index.
pub(super) fn index(branch: &Branch, value: &Value<'_>, out: &mut Collector) {
    let before = out.rows.equal.len();
    let mut texts: smallvec::SmallVec<[&str; 4]> = smallvec::SmallVec::new();
    for_each_token(
        value,
        &mut |token| {
            token.forms(|form, parts| {
                let hash = EqualHash::of(branch.code, form, parts);
                out.rows.equal.push(hash);
                if branch.is_paired && form != "system|" {
                    out.paired.push(hash);
                }
            });
        },
        &mut |text| texts.push(text),
    );
    // What has no code may still say what it means.
    out.skipped += usize::from(out.rows.equal.len() == before && texts.is_empty());
    for text in texts {
        out.text(text_branch(branch.code), fold(text));
    }
    of_type(branch.code, value, out);
    out.present(branch.code);
}

/// Indexes an identifier by its type: `system|code|value`.
fn of_type(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    let Some(identifier) = value.element().filter(|e| e.ty() == ty::IDENTIFIER) else { return };
    let (Some(kind), Some(value)) = (identifier.child(name::TYPE), identifier.text_of(name::VALUE)) else {
        return;
    };
    for coding in kind.children_named(name::CODING) {
        if let (Some(system), Some(code)) = (coding.text_of(name::SYSTEM), coding.text_of(name::CODE)) {
            out.equal(branch, "of-type", &[system, code, value]);
        }
    }
}

/// Returns the branch under which the text of a branch's tokens stands.
fn text_branch(branch: BranchCode) -> BranchCode {
    branch.variant(TEXT_VARIANT)
}

/// A token searched for: a form and its parts.
pub(super) fn parse(text: &str) -> Option<(&'static str, Vec<String>)> {
    let parts: Vec<String> = split_unescaped(text, '|').into_iter().map(unescape).collect();
    let form = match parts.as_slice() {
        [code] if !code.is_empty() => "code",
        [system, code] if !system.is_empty() && !code.is_empty() => "system|code",
        [system, code] if system.is_empty() && !code.is_empty() => "|code",
        [system, code] if !system.is_empty() && code.is_empty() => "system|",
        _ => return None,
    };
    Some((form, parts.into_iter().filter(|p| !p.is_empty()).collect()))
}

/// Returns the hash of a token searched for, under a branch.
pub(super) fn hash(branch: BranchCode, form: &str, parts: &[String]) -> EqualHash {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    EqualHash::of(branch, form, &parts)
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    let branches = definition.branches.iter().map(|b| b.branch);
    match modifier {
        Some("text") => {
            let folded = fold(&unescape(text));
            if folded.is_empty() {
                return Err(malformed(text, "text to search for"));
            }
            let branches = branches.map(text_branch).collect();
            Ok(Predicate::Text(TextMatch { branches, comparison: TextComparison::Starts, folded }))
        }
        Some("of-type") => {
            let parts: Vec<String> = split_unescaped(text, '|').into_iter().map(unescape).collect();
            if parts.len() != 3 || parts.iter().any(String::is_empty) {
                return Err(malformed(text, "`system|code|value`"));
            }
            Ok(Predicate::Equal(branches.map(|b| hash(b, "of-type", &parts)).collect()))
        }
        modifier => {
            no_modifier(modifier, Kind::Token)?;
            let (form, parts) = parse(text).ok_or_else(|| malformed(text, EXPECTED))?;
            Ok(Predicate::Equal(branches.map(|b| hash(b, form, &parts)).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (text, form, parts) in [
            ("male", "code", vec!["male"]),
            ("http://x|a", "system|code", vec!["http://x", "a"]),
            ("|a", "|code", vec!["a"]),
            ("http://x|", "system|", vec!["http://x"]),
            (r"a\|b", "code", vec!["a|b"]),
        ] {
            let parsed = parse(text);
            let expected = (form, parts.into_iter().map(str::to_owned).collect());
            assert_eq!(parsed, Some(expected), "{text}");
        }
        for text in ["", "|", "a|b|c"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
