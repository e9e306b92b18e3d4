//! Follows the references of a page: what `_include` and `_revinclude` add.

use std::collections::HashSet;

use fhir_model::outcome::{Issue, IssueType};

use super::execute::by_keys;
use super::include::{Include, IncludeDirection};
use super::limits::SearchLimits;
use super::render::{render_included, render_revincluded};
use super::rows::FETCH_ROWS;
use crate::storage::{Connection, Reads, StoredResource};

/// Finds what the matches include, and what that includes, each once.
pub(super) fn included(
    data: &mut Connection,
    includes: &[Include],
    matches: &[StoredResource],
    limits: &SearchLimits,
    issues: &mut Vec<Issue>,
) -> Result<Vec<StoredResource>, Issue> {
    if includes.is_empty() || matches.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen: HashSet<i64> = matches.iter().map(|f| f.number).collect();
    let mut fresh: Vec<i64> = matches.iter().map(|f| f.number).collect();
    let mut all: Vec<i64> = Vec::new();
    let mut is_cut = false;
    for round in 0..=limits.iterations_max {
        let mut next: Vec<i64> = Vec::new();
        for include in includes.iter().filter(|i| round == 0 || i.iterates) {
            // One more than may come, so that cutting is noticed; those already seen come again.
            let room = (limits.included_max + seen.len() + 1) as u64;
            let statement = match include.direction {
                IncludeDirection::Forward => render_included(&fresh, &include.branches, include.target, room),
                IncludeDirection::Reverse => render_revincluded(&fresh, &include.branches, room),
            };
            let mut keys = data.integers(&statement)?;
            keys.sort_unstable_by(|a, b| b.cmp(a));
            for key in keys {
                if all.len() + next.len() >= limits.included_max {
                    is_cut |= !seen.contains(&key);
                } else if seen.insert(key) {
                    next.push(key);
                }
            }
        }
        all.extend(&next);
        fresh = next;
        if fresh.is_empty() || is_cut {
            break;
        }
        if round == limits.iterations_max && includes.iter().any(|i| i.iterates) {
            issues.push(Issue::warning(IssueType::TooCostly).text(format!(
                "included resources were followed {} rounds and no further",
                limits.iterations_max
            )));
        }
    }
    if is_cut {
        issues.push(Issue::warning(IssueType::TooCostly).text(format!(
            "only {} included resources are shown; ask for fewer matches with _count",
            limits.included_max
        )));
    }
    let mut found = Vec::with_capacity(all.len());
    let mut bytes = 0;
    for (at, chunk) in all.chunks(FETCH_ROWS).enumerate() {
        if bytes > limits.page_bytes_max {
            issues.push(Issue::warning(IssueType::TooCostly).text(format!(
                "only {} of {} included resources are shown: they are large; ask for fewer matches with _count",
                at * FETCH_ROWS,
                all.len()
            )));
            break;
        }
        let part = by_keys(data, chunk)?;
        bytes += part.iter().map(|f| f.body_bytes()).sum::<usize>();
        found.extend(part);
    }
    Ok(found)
}
