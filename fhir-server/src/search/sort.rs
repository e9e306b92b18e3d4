//! `_sort`: by what matches are ordered.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#sort>

use fhir_model::schema::TypeId;
use fhir_model::search_parameter::SearchParameterType;

use super::error::SearchError;
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
        let by = match code {
            "_lastUpdated" => SortBy::Updated,
            "_id" => SortBy::Id,
            _ => by_definition(name, code, types, definitions)?,
        };
        keys.push(SortKey { name: name.to_owned(), by, descending });
    }
    Ok(keys)
}

fn by_definition(
    name: &str,
    code: &str,
    types: &[TypeId],
    definitions: &Definitions,
) -> Result<SortBy, SearchError> {
    let (mut spans, mut texts): (Vec<EqualHash>, Vec<BranchCode>) = (Vec::new(), Vec::new());
    let unusable = |why: String| SearchError::Unusable { name: format!("_sort={name}"), why };
    for &of in types {
        let definition = definitions.find(of, code).ok_or_else(|| SearchError::UnknownParameter {
            name: format!("_sort={name}"),
            on: of.name().to_owned(),
        })?;
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
        (false, true) => Ok(SortBy::Span(spans)),
        (true, false) => Ok(SortBy::Text(texts)),
        _ => Err(unusable(format!("`{code}` does not order all of the types searched"))),
    }
}

/// The intervals that having a value at all asks for.
fn span_hashes(present: Predicate) -> Vec<EqualHash> {
    match present {
        Predicate::Span(range) => vec![range.hash],
        Predicate::Any(parts) | Predicate::All(parts) => parts.into_iter().flat_map(span_hashes).collect(),
        Predicate::Equal(_)
        | Predicate::Link(_)
        | Predicate::Linked(_)
        | Predicate::Text(_)
        | Predicate::Not(_) => Vec::new(),
    }
}
