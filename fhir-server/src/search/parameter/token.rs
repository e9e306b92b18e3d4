//! Token parameters: codes with or without system, identifiers, booleans.
//!
//! Codes compare case-sensitively, as most code systems do. A `code` element
//! has the system of its required binding, where that is one.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#token>

use fhir_model::fhirpath::Value;
use fhir_model::fold::fold;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;
use smallvec::{SmallVec, smallvec};

use super::{
    ANY_VALUE, Collector, Predicate, TextComparison, TextMatch, ValueError, malformed, no_modifier,
    split_unescaped, unescape,
};
use crate::index::row::{BranchCode, EqualHash};
use crate::search::registry::{Branch, Definition};

const EXPECTED: &str = "a token: `code`, `system|code`, `|code` or `system|`";

/// The form of a code whatever its system: never stored, always asked for as a form.
pub(super) const CODE: &str = "code";

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

/// A form's name and parts.
pub(super) type TokenForm<'r> = (&'static str, SmallVec<[&'r str; 2]>);

impl<'r> Token<'r> {
    /// Returns the form under which a code is stored and that under which it
    /// may be asked for besides: each with its parts.
    pub(super) fn forms(self) -> Option<[TokenForm<'r>; 2]> {
        let code = self.code?;
        let stored = match self.system {
            Some(system) => ("system|code", smallvec![system, code]),
            None => ("|code", smallvec![code]),
        };
        Some([stored, (CODE, smallvec![code])])
    }

    /// Puts the token into the index, and returns the hash of its code.
    pub(super) fn store(self, branch: BranchCode, out: &mut Collector) -> Option<EqualHash> {
        if let Some(system) = self.system {
            let hash = EqualHash::of(branch, "system|", &[system]);
            out.rows.equal.push(hash);
            out.form(EqualHash::of(branch, ANY_VALUE, &[]), hash);
        }
        let [(stored, parts), (also, code)] = self.forms()?;
        let hash = EqualHash::of(branch, stored, &parts);
        out.rows.equal.push(hash);
        out.form(EqualHash::of(branch, also, &code), hash);
        Some(hash)
    }
}

/// Puts a value into the index.
pub(super) fn index(branch: &Branch, value: &Value<'_>, out: &mut Collector) {
    let before = out.rows.equal.len();
    let mut has_system = true;
    let mut texts: SmallVec<[&str; 4]> = SmallVec::new();
    for_each_token(
        value,
        &mut |token| {
            let hash = token.store(branch.code, out);
            out.paired.extend(hash.filter(|_| branch.is_paired));
            has_system &= token.system.is_some();
        },
        &mut |text| texts.push(text),
    );
    let has_tokens = out.rows.equal.len() > before;
    // What has no code may still say what it means.
    out.skipped += usize::from(!has_tokens && texts.is_empty());
    for text in texts {
        out.text(text_branch(branch.code), fold(text));
    }
    of_type(branch.code, value, out);
    // Otherwise the system tells that there is a value.
    if !(has_tokens && has_system) {
        out.present(branch.code);
    }
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
        [code] if !code.is_empty() => CODE,
        [system, code] if !system.is_empty() && !code.is_empty() => "system|code",
        [system, code] if system.is_empty() && !code.is_empty() => "|code",
        [system, code] if !system.is_empty() && code.is_empty() => "system|",
        _ => return None,
    };
    Some((form, parts.into_iter().filter(|p| !p.is_empty()).collect()))
}

/// Returns what a token searched for asks of the index, under one of these branches.
pub(super) fn among(branches: impl Iterator<Item = BranchCode>, form: &str, parts: &[String]) -> Predicate {
    let parts: SmallVec<[&str; 4]> = parts.iter().map(String::as_str).collect();
    let hashes = branches.map(|branch| EqualHash::of(branch, form, &parts)).collect();
    if form == CODE { Predicate::EqualForm(hashes) } else { Predicate::Equal(hashes) }
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
            Ok(among(branches, "of-type", &parts))
        }
        modifier => {
            no_modifier(modifier, Kind::Token)?;
            let (form, parts) = parse(text).ok_or_else(|| malformed(text, EXPECTED))?;
            Ok(among(branches, form, &parts))
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
