//! Whether an item of a questionnaire is enabled by the answers given.
//!
//! Spec: <https://hl7.org/fhir/R4/questionnaire-definitions.html#Questionnaire.item.enableWhen>

use std::cmp::Ordering;

use fhir_model::schema::{name, ty};
use fhir_model::tree::Element;

use super::compare;
use super::questionnaire_response::same_value;

/// Tells whether an item is enabled. `scopes` are the elements of the response
/// that the item's place stands in, from the outermost: an answer is looked
/// for in the nearest of them that has the question.
pub(super) fn is_enabled(asked: Element<'_>, scopes: &[Element<'_>]) -> bool {
    let mut conditions = asked.children_named(name::ENABLE_WHEN).peekable();
    if conditions.peek().is_none() {
        return true;
    }
    match asked.text_of(name::ENABLE_BEHAVIOR) {
        Some("any") => conditions.any(|condition| holds(condition, scopes)),
        _ => conditions.all(|condition| holds(condition, scopes)),
    }
}

fn holds(condition: Element<'_>, scopes: &[Element<'_>]) -> bool {
    let Some(question) = condition.text_of(name::QUESTION) else { return false };
    let answers = answers_to(question, scopes);
    let Some(expected) = condition.child(name::ANSWER) else { return false };
    let order = |given: &Element<'_>| compare(*given, expected);
    match condition.text_of(name::OPERATOR).unwrap_or_default() {
        "exists" => answers.is_empty() == (expected.value() == Some("false")),
        "=" => answers.iter().any(|given| is_equal(*given, expected)),
        "!=" => answers.iter().any(|given| !is_equal(*given, expected)),
        ">" => answers.iter().any(|g| order(g) == Some(Ordering::Greater)),
        "<" => answers.iter().any(|g| order(g) == Some(Ordering::Less)),
        ">=" => answers.iter().any(|g| order(g).is_some_and(Ordering::is_ge)),
        "<=" => answers.iter().any(|g| order(g).is_some_and(Ordering::is_le)),
        _ => false,
    }
}

fn is_equal(given: Element<'_>, expected: Element<'_>) -> bool {
    match given.ty() {
        ty::CODING | ty::REFERENCE => same_value(given, expected),
        _ => same_value(given, expected) || compare(given, expected) == Some(Ordering::Equal),
    }
}

fn answers_to<'r>(question: &str, scopes: &[Element<'r>]) -> Vec<Element<'r>> {
    for scope in scopes.iter().rev() {
        let mut is_there = false;
        let mut answers = Vec::new();
        let mut waiting = vec![*scope];
        while let Some(at) = waiting.pop() {
            let here = at.children_named(name::ITEM).chain(at.children_named(name::ANSWER));
            waiting.extend(here);
            if at.text_of(name::LINK_ID) == Some(question) {
                is_there = true;
                answers.extend(at.children_named(name::ANSWER).filter_map(|a| a.child(name::VALUE)));
            }
        }
        if is_there {
            return answers;
        }
    }
    Vec::new()
}
