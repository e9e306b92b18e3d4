//! Where resources stood in the order of a search before they were changed.
//!
//! A page of a sorted search shows each resource where it was when the first
//! page was made. For what was changed since, the version of then is read and
//! indexed again. See `docs/adr/0004-paging.md`.

use fhir_model::outcome::Issue;

use super::execute::Run;
use super::page::SortValue;
use super::plan::{SORT_TEXT_CHARS, SortBy, SortKey};
use super::render::render_versions_at;
use crate::index::extract::extract;
use crate::index::row::IndexRows;
use crate::storage::{Connection, Reads, StoredResource};

/// Tells by what values resources stood in the order at an instant: for each
/// that existed then, its key and values.
pub(crate) fn sort_values(
    data: &mut Connection,
    keys: &[i64],
    instant: i64,
    order: &[SortKey],
    run: &Run<'_>,
) -> Result<Vec<(i64, Vec<SortValue>)>, Issue> {
    let needs_body = order.iter().any(|k| matches!(k.by, SortBy::Span(_) | SortBy::Text(_)));
    let mut values = Vec::with_capacity(keys.len());
    for version in data.resources(&render_versions_at(keys, instant))? {
        let rows = if needs_body {
            extract(run.definitions, &version.resource()?, run.bases)
        } else {
            IndexRows::default()
        };
        values.push((version.number, order.iter().map(|key| value(key, &version, &rows)).collect()));
    }
    Ok(values)
}

/// The value as the statements have it.
fn value(key: &SortKey, version: &StoredResource, rows: &IndexRows) -> SortValue {
    let extreme = |values: Vec<SortValue>| {
        let chosen = if key.descending { values.into_iter().max() } else { values.into_iter().min() };
        chosen.unwrap_or(SortValue::Missing)
    };
    match &key.by {
        SortBy::Updated => SortValue::Integer(version.updated.0),
        SortBy::Id => SortValue::Text(version.key.id.as_str().to_owned()),
        SortBy::Span(hashes) => extreme(
            rows.spans
                .iter()
                .filter(|s| hashes.contains(&s.hash))
                .map(|s| SortValue::Integer(s.low))
                .collect(),
        ),
        SortBy::Text(branches) => extreme(
            rows.texts
                .iter()
                .filter(|t| branches.contains(&t.branch))
                .map(|t| SortValue::Text(t.folded.chars().take(SORT_TEXT_CHARS).collect()))
                .collect(),
        ),
    }
}
