//! `_sort`: by what matches are ordered.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#sort>

use fhir_model::schema::{NameId, TypeId, ty};
use fhir_model::search_parameter::SearchParameterType;

use super::error::{SearchError, ready};
use super::limits::SearchLimits;
use super::parameter::{self, Predicate};
use super::plan::{SortBy, SortKey};
use super::registry::Definitions;
use crate::index::row::{BranchCode, EqualHash};

/// Reads the value of `_sort`: parameters, each with `-` for descending.
///
/// # Errors
/// [`SearchError::UnknownParameter`], or [`SearchError::Unusable`] for what
/// no index orders.
pub(crate) fn parse(
    value: &str,
    types: &[TypeId],
    definitions: &Definitions,
    limits: &SearchLimits,
) -> Result<Vec<SortKey>, SearchError> {
    let mut keys = Vec::new();
    for name in value.split(',') {
        if keys.len() >= limits.sort_keys_max {
            return Err(SearchError::TooMany { what: "sort keys", limit: limits.sort_keys_max });
        }
        let name = name.trim();
        let (code, descending) = name.strip_prefix('-').map_or((name, false), |code| (code, true));
        let (by, is_single) = match code {
            "_lastUpdated" => (SortBy::Updated, true),
            "_id" => (SortBy::Id, true),
            _ => by_definition(name, code, types, definitions)?,
        };
        keys.push(SortKey { name: name.to_owned(), by, descending, is_single });
    }
    Ok(keys)
}

fn by_definition(
    name: &str,
    code: &str,
    types: &[TypeId],
    definitions: &Definitions,
) -> Result<(SortBy, bool), SearchError> {
    let (mut spans, mut texts): (Vec<EqualHash>, Vec<BranchCode>) = (Vec::new(), Vec::new());
    let unusable = |why: String| SearchError::Unusable { name: format!("_sort={name}"), why };
    // Several paths may each give a value.
    let mut is_single = true;
    for &of in types {
        let definition = definitions.find(of, code).ok_or_else(|| SearchError::UnknownParameter {
            name: format!("_sort={name}"),
            on: of.name().to_owned(),
        })?;
        let definition = ready(definition, &format!("_sort={name}"), of)?;
        let of_type = definitions.index_of(of);
        is_single &= definition.branches.len() == 1;
        is_single &= definition.branches.iter().all(|used| {
            let branch = of_type.and_then(|t| t.branches.iter().find(|b| b.code == used.branch));
            branch.is_some_and(|b| occurs_once(b.expression.text()))
        });
        match definition.kind {
            SearchParameterType::Date | SearchParameterType::Number | SearchParameterType::Quantity => {
                spans.extend(span_hashes(parameter::present(definition)));
            }
            SearchParameterType::String | SearchParameterType::Uri => {
                texts.extend(definition.branches.iter().map(|b| b.branch));
            }
            SearchParameterType::Token
            | SearchParameterType::Reference
            | SearchParameterType::Composite
            | SearchParameterType::Special => {
                return Err(unusable(format!(
                    "matches cannot be sorted by `{code}`: only dates, numbers, quantities, strings, URIs, _id and _lastUpdated order them"
                )));
            }
        }
    }
    match (spans.is_empty(), texts.is_empty()) {
        (false, true) => Ok((SortBy::Span(spans), is_single)),
        (true, false) => Ok((SortBy::Text(texts), is_single)),
        _ => Err(unusable(format!("`{code}` does not order all of the types searched"))),
    }
}

/// The intervals that having a value at all asks for.
pub(super) fn span_hashes(present: Predicate) -> Vec<EqualHash> {
    match present {
        Predicate::Span(range) => vec![range.hash],
        Predicate::Any(parts) | Predicate::All(parts) => parts.into_iter().flat_map(span_hashes).collect(),
        Predicate::Equal(_)
        | Predicate::EqualForm(_)
        | Predicate::SpanForm(_)
        | Predicate::Link(_)
        | Predicate::Linked(_)
        | Predicate::Text(_)
        | Predicate::Not(_) => Vec::new(),
    }
}

/// Tells whether a path such as `Observation.effective` leads to one value at most.
pub(super) fn occurs_once(path: &str) -> bool {
    let mut steps = path.split('.');
    let Some(mut of) = steps.next().and_then(TypeId::named) else { return false };
    for step in steps {
        let element = NameId::of(step).and_then(|name| of.definition().element(name));
        let Some(element) = element.filter(|e| e.max == 1) else { return false };
        match element.types {
            [one] => of = *one,
            // A choice ends the path, or what follows is looked up in vain.
            _ => of = ty::ELEMENT,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_occurs_once() {
        for (path, expected) in [
            ("Observation.effective", true),
            ("Patient.birthDate", true),
            ("Encounter.period", true),
            ("Observation.component.value", false),
            ("Patient.name.period", false),
            ("Goal.target.due", false),
            ("Observation.nothing", false),
            ("Patient.deceased.exists()", false),
            ("", false),
        ] {
            assert_eq!(occurs_once(path), expected, "{path}");
        }
    }
}
