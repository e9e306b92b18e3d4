//! String parameters: found by their beginning, whatever case and accents.
//!
//! Names and addresses are indexed part by part: `name=ross` finds the family
//! name Rossi, `name=maria` a given name.
//!
//! `phonetic` parameters find what sounds alike instead: each word searched
//! for must sound like some word of the value.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#string>

use fhir_model::fhirpath::Value;
use fhir_model::fold::fold;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;

use super::{
    Collector, Predicate, TextComparison, TextMatch, ValueError, malformed, no_modifier, phonetic, unescape,
};
use crate::index::row::{BranchCode, EqualHash};
use crate::search::registry::{Branch, Definition};

/// How many words are compared by their sound; the rest of a search is left out.
const WORDS_MAX: usize = 16;

/// Puts a string, a name or an address into the index.
pub(super) fn index(branch: &Branch, value: &Value<'_>, out: &mut Collector) {
    let before = out.rows.texts.len();
    for_each_part(value, &mut |part| {
        out.equal(branch.code, "exact", &[part]);
        let folded = fold(part);
        if branch.is_phonetic {
            phonetic::for_each_sound(&folded, |sound| out.equal(branch.code, phonetic::FORM, &[sound]));
        }
        out.text(branch.code, folded);
    });
    if out.rows.texts.len() == before {
        out.skip(branch.code);
    }
}

/// Calls `each` with every text that a value is made of.
pub(super) fn for_each_part(value: &Value<'_>, each: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => each(text),
        Value::Element(element) => match element.ty() {
            ty::HUMAN_NAME | ty::ADDRESS => {
                element.children().filter(|c| is_part(*c)).filter_map(Element::value).for_each(each);
            }
            _ => {
                if let Some(text) = element.value() {
                    each(text);
                }
            }
        },
        _ => {}
    }
}

fn is_part(child: Element<'_>) -> bool {
    !matches!(child.name_id(), Some(name::ID | name::EXTENSION | name::USE | name::TYPE | name::PERIOD))
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    let wanted = unescape(text);
    let branches: Vec<BranchCode> = definition.branches.iter().map(|b| b.branch).collect();
    let comparison = match modifier {
        Some("exact") => {
            return Ok(Predicate::Equal(
                branches.iter().map(|b| EqualHash::of(*b, "exact", &[&wanted])).collect(),
            ));
        }
        // `:text` on a string means the same as `:contains` here.
        Some("contains" | "text") => TextComparison::Contains,
        modifier => {
            no_modifier(modifier, Kind::String)?;
            TextComparison::Starts
        }
    };
    let folded = fold(&wanted);
    if folded.is_empty() {
        return Err(malformed(text, "text to search for"));
    }
    if definition.is_phonetic() && comparison == TextComparison::Starts {
        return sounds_like(&branches, &folded).ok_or_else(|| malformed(text, "a word to search for"));
    }
    Ok(Predicate::Text(TextMatch { branches, comparison, folded }))
}

/// Asks that each word sounds like a word of the value.
fn sounds_like(branches: &[BranchCode], folded: &str) -> Option<Predicate> {
    let mut words = Vec::new();
    phonetic::for_each_sound(folded, |sound| {
        let hashes = branches.iter().map(|b| EqualHash::of(*b, phonetic::FORM, &[sound])).collect();
        words.push(Predicate::Equal(hashes));
    });
    words.truncate(WORDS_MAX);
    (!words.is_empty()).then_some(Predicate::All(words))
}
