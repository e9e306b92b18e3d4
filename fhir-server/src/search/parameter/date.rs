//! Date parameters: intervals of microseconds in UTC, both ends included.
//!
//! A date without a time zone is read as UTC. A Period without an end goes on
//! for ever; a Timing covers all its events.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#date>

use fhir_model::fhirpath::Value;
use fhir_model::primitive::date::PartialDate;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;

use super::{Collector, PLAIN, Predicate, Prefix, QueryContext, ValueError, compare, malformed, no_modifier};
use crate::index::row::{BranchCode, EqualHash};
use crate::search::registry::Definition;

const EXPECTED: &str =
    "a date such as 2024, 2024-02-29 or 2024-02-29T10:00:00Z, with or without a prefix such as `ge`";

/// Puts a date or an interval of dates into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    match bounds(value) {
        Some((low, high)) => out.span(EqualHash::of(branch, PLAIN, &[]), low, high),
        None => out.skip(branch),
    }
}

/// Returns the first and the last microsecond of a value.
pub(super) fn bounds(value: &Value<'_>) -> Option<(i64, i64)> {
    match value {
        Value::Date(date) | Value::DateTime(date) => Some(closed(date.interval())),
        Value::Element(element) => match element.ty() {
            ty::PERIOD => period(*element),
            ty::TIMING => timing(*element),
            _ => parsed(element.value()?),
        },
        _ => None,
    }
}

fn closed((low, high): (i64, i64)) -> (i64, i64) {
    (low, high - 1)
}

fn parsed(text: &str) -> Option<(i64, i64)> {
    PartialDate::parse(text).map(|d| closed(d.interval()))
}

fn period(period: Element<'_>) -> Option<(i64, i64)> {
    let start = period.text_of(name::START).and_then(parsed);
    let end = period.text_of(name::END).and_then(parsed);
    if start.is_none() && end.is_none() {
        return None;
    }
    Some((start.map_or(i64::MIN, |s| s.0), end.map_or(i64::MAX, |e| e.1)))
}

fn timing(timing: Element<'_>) -> Option<(i64, i64)> {
    let events = timing.children_named(name::EVENT).filter_map(|e| e.value().and_then(parsed));
    let bounds =
        timing.child(name::REPEAT).and_then(|r| r.child(name::BOUNDS)).filter(|b| b.ty() == ty::PERIOD);
    let outer = bounds.and_then(period);
    events.chain(outer).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// Returns what a date searched for, with its prefix, asks of the intervals under `hash`.
///
/// # Errors
/// When it is no date.
pub(super) fn asks(hash: EqualHash, text: &str, now_micros: i64) -> Result<Predicate, ValueError> {
    let (prefix, rest) = Prefix::split(text);
    // In a URL `+` means a space, and is often written for itself before a zone.
    let rest = rest.trim_end().replace(' ', "+");
    let date = PartialDate::parse(&rest).ok_or_else(|| malformed(text, EXPECTED))?;
    let interval = closed(date.interval());
    // About: a tenth of the time between then and now, either way.
    let distance = now_micros.saturating_sub(interval.0).saturating_abs() / 10;
    let about = (interval.0.saturating_sub(distance), interval.1.saturating_add(distance));
    Ok(compare(hash, prefix, interval, interval, about))
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
    context: QueryContext<'_>,
) -> Result<Predicate, ValueError> {
    no_modifier(modifier, Kind::Date)?;
    let of_branch = |branch| asks(EqualHash::of(branch, PLAIN, &[]), text, context.now_micros);
    let parts: Result<Vec<Predicate>, ValueError> =
        definition.branches.iter().map(|b| of_branch(b.branch)).collect();
    Ok(Predicate::Any(parts?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fhir_model::primitive::instant::Instant;

    /// The table of the specification's section on prefixes, and around it.
    #[test]
    fn prefixes() {
        let now = Instant::parse("2024-06-01T00:00:00Z").map_or(0, |i| i.0);
        for (query, start, end, expected) in [
            ("2013-01-14", "2013-01-14T00:00:00Z", "2013-01-14T10:00:00Z", true),
            ("2013-01-14", "2013-01-15T00:00:00Z", "2013-01-15T00:00:00Z", false),
            ("ne2013-01-14", "2013-01-15T00:00:00Z", "2013-01-15T00:00:00Z", true),
            ("ne2013-01-14", "2013-01-14T00:00:00Z", "2013-01-14T10:00:00Z", false),
            ("lt2013-01-14T10:00:00Z", "2013-01-14", "2013-01-14", true),
            ("gt2013-01-14T10:00:00Z", "2013-01-14", "2013-01-14", true),
            ("ge2013-03-14", "2013-01-21", "", true),
            ("le2013-03-14", "2013-01-21", "", true),
            ("ge2013-03-14", "2013-01-21", "2013-03-14T12:00:00Z", true),
            ("ge2013-03-14", "2013-01-21", "2013-03-13", false),
            ("le2013-03-14", "2013-03-14T12:00:00Z", "2013-03-20", true),
            ("le2013-03-14", "2013-03-15", "2013-03-20", false),
            ("ge2013-03-14T00:00:00+01:00", "2013-03-13T23:00:00Z", "2013-03-13T23:00:00Z", true),
            ("ge2013-03-14T00:00:00 01:00", "2013-03-13T23:00:00Z", "2013-03-13T23:00:00Z", true),
            ("sa2013-03-14", "2013-03-15", "", true),
            ("sa2013-03-14", "2013-01-21", "", false),
            ("eb2013-03-14", "", "2013-01-21", true),
            ("eb2013-03-14", "2013-01-21", "", false),
            ("2013", "2013-03", "2013-03", true),
            ("2013-03", "2013", "2013", false),
            ("ap2024-05-31", "2024-05-31", "2024-05-31", true),
            ("ap2004-06-01", "2006-01-01", "2006-01-01", true),
            ("ap2004-06-01", "2007-01-01", "2007-01-01", false),
        ] {
            let hash = EqualHash(1);
            let predicate = asks(hash, query, now).expect("date");
            let low = parsed(start).map_or(i64::MIN, |b| b.0);
            let high = parsed(end).map_or(i64::MAX, |b| b.1);
            let mut collector = Collector::default();
            collector.span(hash, low, high);
            assert_eq!(predicate.matches(&collector.rows), expected, "{query} against {start}..{end}");
        }
        for bad in ["", "ge", "x2013", "2013-13", "13-01-2013", "2013-01-14T"] {
            assert!(asks(EqualHash(1), bad, now).is_err(), "{bad}");
        }
    }
}
