//! What forms of values stand for: `code` for each `system|code` that has been
//! stored, so that a value has one row however it may be asked for.

use std::collections::HashMap;

use fhir_model::outcome::Issue;

use super::condition::{Condition, SpanRange};
use super::error::SearchError;
use super::parse::Query;
use super::render::render_forms;
use crate::index::row::EqualHash;
use crate::storage::Reads;

/// Values that the forms of one search may stand for.
const VALUES_MAX: usize = 50_000;

/// Replaces the forms in the condition of a search by what they stand for.
///
/// # Errors
/// `too-costly` when they stand for too many values; an issue of the storage.
pub(super) fn resolve(data: &mut impl Reads, query: &mut Query) -> Result<(), Issue> {
    let mut forms: Vec<EqualHash> = Vec::new();
    query.condition.contains(&mut |part| {
        match part {
            Condition::EqualForm(some) => forms.extend(some),
            Condition::SpanForm(range) => forms.push(range.hash),
            _ => {}
        }
        false
    });
    if forms.is_empty() {
        return Ok(());
    }
    let known = load(data, &forms)?;
    let of = |form: &EqualHash| known.get(form).map_or(&[][..], Vec::as_slice);
    let condition = std::mem::replace(&mut query.condition, Condition::always());
    query.condition = condition.resolve(&mut |part| {
        Ok::<_, Issue>(match part {
            Condition::EqualForm(some) => one_of(some.iter().flat_map(of).copied().collect()),
            Condition::SpanForm(range) => {
                let hashes = of(&range.hash).iter();
                Condition::any(hashes.map(|&hash| Condition::Span(SpanRange { hash, ..range })))
            }
            part => part,
        })
    })?;
    let paired: Vec<EqualHash> = query.hints.values.iter().flat_map(of).copied().collect();
    query.hints.values.extend(paired);
    Ok(())
}

fn load(data: &mut impl Reads, forms: &[EqualHash]) -> Result<HashMap<EqualHash, Vec<EqualHash>>, Issue> {
    let rows = data.integer_pairs(&render_forms(forms, VALUES_MAX as u64 + 1))?;
    if rows.len() > VALUES_MAX {
        let why = format!("its values stand for more than {VALUES_MAX} others; say the system too");
        return Err(SearchError::TooCostly { why }.into());
    }
    let mut known: HashMap<EqualHash, Vec<EqualHash>> = HashMap::new();
    for (form, hash) in rows {
        known.entry(EqualHash(form)).or_default().push(EqualHash(hash));
    }
    Ok(known)
}

fn one_of(mut hashes: Vec<EqualHash>) -> Condition {
    hashes.sort_unstable();
    hashes.dedup();
    if hashes.is_empty() { Condition::never() } else { Condition::Equal(hashes) }
}
