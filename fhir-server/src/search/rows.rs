//! The rows of one page: which resources, in the order of the search as it
//! was when the first page was made. See `docs/adr/0004-paging.md`.

use std::cmp::Ordering;

use fhir_model::outcome::{Issue, IssueType};

use super::execute::{Run, by_keys, number};
use super::page::{Direction, SortValue};
use super::parse::Query;
use super::plan::{Driver, Order, Plan, Position, SortBy, SortKey};
use super::render::{Wanted, render, render_now, render_resources};
use super::then;
use crate::storage::{Connection, Reads, StoredResource};

/// Bodies fetched at once.
pub(super) const FETCH_ROWS: usize = 500;

/// One page of matches.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) found: Vec<StoredResource>,
    /// Where each row stands, beside `found`.
    pub(super) positions: Vec<Position>,
    /// The instant of the first page; zero where the order cannot change.
    pub(super) since: i64,
    pub(super) has_next: bool,
    pub(super) has_previous: bool,
}

impl Run<'_> {
    /// Fetches the page that the cursor asks for.
    pub(super) fn page(
        &self,
        data: &mut Connection,
        plan: &Plan,
        issues: &mut Vec<Issue>,
    ) -> Result<Page, Issue> {
        let query = self.query;
        let reversed = query.is_backward();
        let wanted = query.page_size as usize;
        let since = match (&query.cursor, &plan.order) {
            (Some(cursor), _) => cursor.since,
            (None, Order::Newest) => 0,
            (None, Order::By(_)) => number(data, &render_now())?,
        };
        let (mut found, mut positions, mut is_cut);
        if plan.order == Order::Newest && wanted <= FETCH_ROWS {
            // The common page is one statement.
            let after = query.position();
            found = data.resources(&render_resources(plan, after.as_ref(), reversed, wanted as u64 + 1))?;
            found.sort_by_key(|f| if reversed { f.number } else { -f.number });
            is_cut = found.len() > wanted;
            found.truncate(wanted);
            positions =
                found.iter().map(|f| Position { values: Vec::new(), key: f.number }).collect::<Vec<_>>();
        } else {
            positions = self.rows(data, plan, since, wanted as u64 + 1, issues)?;
            is_cut = positions.len() > wanted;
            positions.truncate(wanted);
            found = self.bodies(data, &positions)?;
            if found.len() < positions.len() {
                is_cut = true;
                positions.truncate(found.len());
            }
        }
        if reversed {
            positions.reverse();
            found.reverse();
        }
        let (has_next, has_previous) =
            if reversed { (true, is_cut) } else { (is_cut, query.cursor.is_some()) };
        Ok(Page { found, positions, since, has_next, has_previous })
    }

    /// Fetches bodies up to the bytes that a page may have.
    fn bodies(&self, data: &mut Connection, positions: &[Position]) -> Result<Vec<StoredResource>, Issue> {
        let mut found: Vec<StoredResource> = Vec::with_capacity(positions.len());
        let mut bytes = 0;
        for chunk in positions.chunks(FETCH_ROWS) {
            let keys: Vec<i64> = chunk.iter().map(|p| p.key).collect();
            let part = by_keys(data, &keys)?;
            bytes += part.iter().map(StoredResource::body_bytes).sum::<usize>();
            found.extend(part);
            if bytes > self.limits.page_bytes_max {
                break;
            }
        }
        Ok(found)
    }

    /// The rows of the page in the direction of the cursor, as many as asked.
    fn rows(
        &self,
        data: &mut Connection,
        plan: &Plan,
        since: i64,
        limit: u64,
        issues: &mut Vec<Issue>,
    ) -> Result<Vec<Position>, Issue> {
        let reversed = self.query.is_backward();
        let after = self.query.position();
        let Order::By(keys) = &plan.order else {
            let wanted = Wanted::Rows { after: after.as_ref(), reversed, limit, unchanged_since: None };
            let keys = data.integers(&render(plan, wanted))?;
            return Ok(keys.into_iter().map(|key| Position { values: Vec::new(), key }).collect());
        };
        let unchanged_since = after.as_ref().map(|_| since);
        let mut rows = sorted_rows(data, plan, after.as_ref(), reversed, limit, unchanged_since)?;
        let Some(after) = after else { return Ok(rows) };
        // What was changed since the first page keeps the place that it had then.
        let wanted = Wanted::ChangedSince { since, limit: self.limits.changed_max as u64 + 1 };
        let mut changed = data.integers(&render(plan, wanted))?;
        if changed.len() > self.limits.changed_max {
            changed.truncate(self.limits.changed_max);
            issues.push(Issue::warning(IssueType::Incomplete).text(
                "so many of the matches were changed since the first page that some may be missing; \
                 search again for a complete answer",
            ));
        }
        if !changed.is_empty() {
            let then = then::sort_values(data, &changed, since, keys, self)?;
            rows.extend(then.into_iter().map(|(key, values)| Position { values, key }));
            let compare = |a: &Position, b: &Position| {
                let order = compare_positions(keys, a, b);
                if reversed { order.reverse() } else { order }
            };
            rows.retain(|row| compare(&after, row).is_lt());
            rows.sort_by(compare);
            rows.truncate(limit as usize);
        }
        Ok(rows)
    }
}

fn sorted_rows(
    data: &mut Connection,
    plan: &Plan,
    after: Option<&Position>,
    reversed: bool,
    limit: u64,
    unchanged_since: Option<i64>,
) -> Result<Vec<Position>, Issue> {
    let valued = |data: &mut Connection, after: Option<&Position>, limit: u64| {
        let wanted = Wanted::Rows { after, reversed, limit, unchanged_since };
        Ok::<_, Issue>(
            data.integers_with_text(&render(plan, wanted))?.into_iter().map(position).collect::<Vec<_>>(),
        )
    };
    if plan.driver != Driver::Ordered {
        return valued(data, after, limit);
    }
    let unvalued = |data: &mut Connection, after: Option<i64>, limit: u64| {
        let wanted = Wanted::Unvalued { after, reversed, limit, unchanged_since };
        let keys = data.integers(&render(plan, wanted))?;
        Ok::<_, Issue>(
            keys.into_iter()
                .map(|key| Position { values: vec![SortValue::Missing], key })
                .collect::<Vec<_>>(),
        )
    };
    let can_miss = match &plan.order {
        Order::By(keys) => keys.iter().any(|k| matches!(k.by, SortBy::Span(_))),
        Order::Newest => false,
    };
    let is_past_values = after.is_some_and(|p| p.values.first() == Some(&SortValue::Missing));
    let mut rows = Vec::new();
    match (reversed, is_past_values) {
        (false, true) => rows = unvalued(data, after.map(|p| p.key), limit)?,
        (false, false) => {
            rows = valued(data, after, limit)?;
            let left = limit.saturating_sub(rows.len() as u64);
            if left > 0 && can_miss {
                rows.extend(unvalued(data, None, left)?);
            }
        }
        (true, true) => {
            rows = unvalued(data, after.map(|p| p.key), limit)?;
            let left = limit.saturating_sub(rows.len() as u64);
            if left > 0 {
                rows.extend(valued(data, None, left)?);
            }
        }
        (true, false) => rows.extend(valued(data, after, limit)?),
    }
    Ok(rows)
}

/// Reads a row of a sorted statement: the key, and the values as a JSON array.
fn position((key, values): (i64, String)) -> Position {
    let values: Vec<serde_json::Value> = serde_json::from_str(&values).unwrap_or_default();
    let value = |value| match value {
        serde_json::Value::String(text) => SortValue::Text(text),
        other => other.as_i64().map_or(SortValue::Missing, SortValue::Integer),
    };
    Position { key, values: values.into_iter().map(value).collect() }
}

/// Compares rows as the statements order them: missing values last, the
/// newest first among equals.
pub(crate) fn compare_positions(keys: &[SortKey], a: &Position, b: &Position) -> Ordering {
    for ((key, a), b) in keys.iter().zip(&a.values).zip(&b.values) {
        let missing = |v: &SortValue| *v == SortValue::Missing;
        let order = missing(a).cmp(&missing(b)).then_with(|| {
            let order = a.cmp(b);
            if key.descending { order.reverse() } else { order }
        });
        if order.is_ne() {
            return order;
        }
    }
    b.key.cmp(&a.key)
}

impl Query {
    fn is_backward(&self) -> bool {
        self.cursor.as_ref().is_some_and(|c| c.direction == Direction::Backward)
    }

    fn position(&self) -> Option<Position> {
        self.cursor.as_ref().map(|c| Position { values: c.values.clone(), key: c.key })
    }
}
