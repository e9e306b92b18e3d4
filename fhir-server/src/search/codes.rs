//! `:in`, `:not-in`, `:above` and `:below` of tokens: the codes that they mean,
//! told by the terminology that this server knows.
//!
//! They are found before the search is parsed, and only when a search has such
//! a modifier: to the others terminology is of no concern.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#token>

use std::collections::HashMap;

use profiles::terminology::Terminology;
use profiles::terminology::code_system::{CodeSystem, ConceptId};
use profiles::terminology::expand::Expand;

use super::parameter::{split_unescaped, unescape};

/// The modifiers.
const MODIFIERS: &[&str] = &["in", "not-in", "above", "below"];

/// The codes that modifiers mean: by modifier and value, as the alternatives
/// of a search, or why they cannot be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Codes(HashMap<(String, String), Result<String, String>>);

/// Returns what of a search asks for codes: modifier and value.
pub(super) fn asked(parameters: &[(String, String)]) -> Vec<(&'static str, &str)> {
    let of = |(name, value): &'_ (String, String)| {
        let modifier = name.rsplit_once(':')?.1;
        MODIFIERS.iter().find(|m| **m == modifier).map(|m| (*m, value.len()))
    };
    parameters.iter().filter_map(|p| of(p).map(|(modifier, _)| (modifier, p.1.as_str()))).collect()
}

impl Codes {
    /// Finds the codes; at most `limit` for each.
    pub(super) fn find(terminology: &Terminology, asked: &[(&'static str, &str)], limit: usize) -> Codes {
        let found = asked.iter().map(|(modifier, value)| {
            let alternatives = match *modifier {
                "in" | "not-in" => of_value_set(terminology, value, limit),
                _ => related(terminology, value, *modifier == "above", limit),
            };
            (((*modifier).to_owned(), (*value).to_owned()), alternatives.map(|all| all.join(",")))
        });
        Codes(found.collect())
    }

    /// Returns what a modifier with a value means, as alternatives of a search;
    /// `None` when the modifier is not one of these.
    pub(super) fn of(&self, modifier: &str, value: &str) -> Option<Result<&str, &str>> {
        if !MODIFIERS.contains(&modifier) {
            return None;
        }
        let found = self.0.get(&(modifier.to_owned(), value.to_owned()));
        Some(match found {
            Some(Ok(alternatives)) => Ok(alternatives),
            Some(Err(why)) => Err(why),
            None => Err("value sets are not looked at here"),
        })
    }
}

fn of_value_set(terminology: &Terminology, value: &str, limit: usize) -> Result<Vec<String>, String> {
    let how = Expand { count: Some(limit + 1), ..Expand::default() };
    let expansion = terminology.expand(&unescape(value), &how).map_err(|error| error.to_string())?;
    if expansion.total > limit {
        return Err(format!("the value set has more than {limit} codes, too many for a search"));
    }
    Ok(expansion.entries.iter().map(|entry| token(&entry.system, &entry.code)).collect())
}

/// The codes above or below one, itself included.
fn related(terminology: &Terminology, value: &str, above: bool, limit: usize) -> Result<Vec<String>, String> {
    let mut all = Vec::new();
    for part in split_unescaped(value, ',') {
        let parts: Vec<String> = split_unescaped(part, '|').into_iter().map(unescape).collect();
        let [system, code] = parts.as_slice() else {
            return Err("`system|code` is needed: the hierarchy is that of a code system".to_owned());
        };
        let held = terminology
            .code_system(system)
            .ok_or_else(|| format!("the code system {system} is not known here"))?;
        let concept =
            held.concept(code).ok_or_else(|| format!("the code system {system} has no code '{code}'"))?;
        walk(&held, concept, above, limit, &mut all)?;
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn walk(
    held: &CodeSystem,
    from: ConceptId,
    above: bool,
    limit: usize,
    all: &mut Vec<String>,
) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        if !seen.insert(at) {
            continue;
        }
        if seen.len() > limit {
            return Err(format!("that are more than {limit} codes, too many for a search"));
        }
        all.push(token(held.url(), held.code(at)));
        waiting.extend(if above { held.parents(at) } else { held.children(at) });
    }
    Ok(())
}

/// Writes a token as a search has it.
fn token(system: &str, code: &str) -> String {
    let mut out = String::with_capacity(system.len() + code.len() + 1);
    for (at, part) in [system, code].into_iter().enumerate() {
        if at > 0 {
            out.push('|');
        }
        for c in part.chars() {
            if matches!(c, ',' | '|' | '$' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_model::json;
    use profiles::definitions::Definitions;

    use super::*;

    #[test]
    fn modifiers_mean_codes() {
        let mut definitions = Definitions::new();
        for definition in [
            r#"{"resourceType":"CodeSystem","url":"http://c","status":"active","content":"complete",
                "concept":[{"code":"a","concept":[{"code":"b"},{"code":"c,d"}]},{"code":"e"}]}"#,
            r#"{"resourceType":"ValueSet","url":"http://v","status":"active","compose":{"include":[{"system":"http://c",
                "filter":[{"property":"concept","op":"descendent-of","value":"a"}]}]}}"#,
        ] {
            assert!(definitions.add_resource(json::read(definition).expect("a definition")));
        }
        let terminology = Terminology::new(Arc::new(definitions));
        for (modifier, value, limit, expected) in [
            ("in", "http://v", 10, Ok(r"http://c|b,http://c|c\,d")),
            ("not-in", "http://v", 10, Ok(r"http://c|b,http://c|c\,d")),
            ("in", "http://v", 1, Err("the value set has more than 1 codes, too many for a search")),
            ("in", "http://w", 10, Err("the value set http://w is not known here")),
            ("above", "http://c|b", 10, Ok("http://c|a,http://c|b")),
            ("below", "http://c|a", 10, Ok(r"http://c|a,http://c|b,http://c|c\,d")),
            ("below", "http://c|z", 10, Err("the code system http://c has no code 'z'")),
            ("below", "z", 10, Err("`system|code` is needed: the hierarchy is that of a code system")),
        ] {
            let codes = Codes::find(&terminology, &[(modifier, value)], limit);
            assert_eq!(codes.of(modifier, value), Some(expected), "{modifier} {value}");
        }
        assert_eq!(Codes::default().of("text", "x"), None);
        let name = |n: &str| (n.to_owned(), "x".to_owned());
        assert_eq!(asked(&[name("code:in"), name("code"), name("subject.gender:not-in")]).len(), 2);
    }
}
