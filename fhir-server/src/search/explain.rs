//! Tells how a search is answered: conditions, what was counted, what drives,
//! and the statements. Values stand in it as the caller wrote them or as
//! hashes; nothing of any resource does.

use std::fmt::Write;

use super::condition::{Condition, TextComparison, TextMatch};
use super::parse::Query;
use super::plan::{Access, Driver, Order, Plan, Source, Stream};
use super::render::{Wanted, render};

/// Writes the plan of a search as text.
pub fn explain(query: &Query, plan: &Plan) -> String {
    let mut out = String::new();
    let types = match &plan.types {
        None => "all types".to_owned(),
        Some(types) => types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", "),
    };
    let mut put = |line: String| {
        out.push_str(&line);
        out.push('\n');
    };
    put(format!("plan: {types}"));
    for (name, value) in &query.kept {
        put(format!("  given    {name} = {value}"));
    }
    for warning in &query.warnings {
        put(format!("  left out {}", warning.diagnostics));
    }
    for probe in &plan.probes {
        let more = if probe.is_cut { "at least " } else { "" };
        put(format!("  counted  condition {}: {more}{} rows", probe.term + 1, probe.rows));
    }
    put(format!("  driver   {}", driver(&plan.driver)));
    for check in &plan.checks {
        put(format!("  and      {}", condition(check)));
    }
    let order = match &plan.order {
        Order::Newest => "newest first".to_owned(),
        Order::By(keys) => {
            let names: Vec<&str> = keys.iter().map(|k| k.name.as_str()).collect();
            format!("{}, then newest first", names.join(", "))
        }
    };
    put(format!("  page     {} rows, {order}", query.page_size));
    let limit = u64::from(query.page_size) + 1;
    let statement = render(plan, Wanted::Rows { after: None, reversed: false, limit, unchanged_since: None });
    put(format!("  sql      {}", statement.sql));
    out
}

fn driver(driver: &Driver) -> String {
    match driver {
        Driver::Nothing => "nothing can match".to_owned(),
        Driver::Walk => "walk all, newest first".to_owned(),
        Driver::Ordered => "walk in the order of the sort".to_owned(),
        Driver::Streams(streams) => {
            let parts: Vec<String> = streams
                .iter()
                .map(|stream| match stream {
                    Stream::Equal(hash) => format!("equal {}", hex(hash.0)),
                    Stream::Link(link) => format!("link {} along {}", hex(link.target.0), link.branch.0),
                    Stream::Pair(pair) => format!("pair {} with {}", hex(pair.focus.0), hex(pair.value.0)),
                })
                .collect();
            format!("in key order: {}", parts.join(" or "))
        }
        Driver::Gather(access) => format!("gather: {}", access_text(access)),
    }
}

fn access_text(access: &Access) -> String {
    let mut text = match &access.source {
        Source::Equal(hashes) => format!("equal, {} values", hashes.len()),
        Source::Link(links) => format!("link, {} references", links.len()),
        Source::Span(range) => format!("span low {} high {}", bounds(range.low), bounds(range.high)),
        Source::Text(branch, folded) => format!("text along {} starts with {folded:?}", branch.0),
        Source::Id(ids) => format!("{} ids", ids.len()),
        Source::Keys(keys) => format!("{} resources found by reading", keys.len()),
        Source::Updated { low, high } => format!("changed {}", bounds((*low, *high))),
        Source::Union(parts) => parts.iter().map(access_text).collect::<Vec<_>>().join(" or "),
        Source::Chain { targets, .. } => {
            let parts: Vec<String> =
                targets.iter().map(|(of, access)| format!("{of} by {}", access_text(access))).collect();
            format!("what refers to ({})", parts.join(" or "))
        }
        Source::Has { from, .. } => format!("what is referred to from ({})", access_text(from)),
    };
    for check in &access.checks {
        let _ = write!(text, " and {}", condition(check));
    }
    text
}

fn condition(of: &Condition) -> String {
    let list = |parts: &[Condition], word: &str| {
        let parts: Vec<String> = parts.iter().map(condition).collect();
        format!("({})", parts.join(word))
    };
    match of {
        Condition::All(parts) if parts.is_empty() => "anything".to_owned(),
        Condition::Any(parts) if parts.is_empty() => "nothing".to_owned(),
        Condition::All(parts) => list(parts, " and "),
        Condition::Any(parts) => list(parts, " or "),
        Condition::Not(inner) => format!("not {}", condition(inner)),
        Condition::Equal(hashes) => match hashes.as_slice() {
            [one] => format!("equal {}", hex(one.0)),
            many => format!("equal, {} values", many.len()),
        },
        Condition::EqualForm(forms) => format!("equal to what {} forms stand for", forms.len()),
        Condition::SpanForm(range) => {
            format!("span of what a form stands for, low {} high {}", bounds(range.low), bounds(range.high))
        }
        Condition::Link(links) => match links.as_slice() {
            [one] => format!("link {} along {}", hex(one.target.0), one.branch.0),
            many => format!("link, {} references", many.len()),
        },
        Condition::Linked(branches) => format!("any link along {} branches", branches.len()),
        Condition::Span(range) => format!("span low {} high {}", bounds(range.low), bounds(range.high)),
        Condition::Text(text) => text_text(text),
        Condition::Id(ids) => format!("one of {} ids", ids.len()),
        Condition::Updated { low, high } => format!("changed {}", bounds((*low, *high))),
        Condition::Type(types) => format!("of {} types", types.len()),
        Condition::Chain(chain) => {
            let parts: Vec<String> =
                chain.targets.iter().map(|(to, inner)| format!("{to} with {}", condition(inner))).collect();
            format!("refers to ({})", parts.join(" or "))
        }
        Condition::Has(has) => format!("is referred to from ({})", condition(&has.condition)),
        Condition::Keys(keys) => format!("one of {} resources found by reading", keys.len()),
        Condition::Scan(_) => "found by reading bodies".to_owned(),
    }
}

fn text_text(text: &TextMatch) -> String {
    let how = match text.comparison {
        TextComparison::Starts => "starts with",
        TextComparison::Contains => "contains",
        TextComparison::Ends => "ends with",
        TextComparison::Is => "is",
        TextComparison::Exists => return "has text".to_owned(),
    };
    format!("text {how} {:?}", text.folded)
}

fn bounds((low, high): (i64, i64)) -> String {
    let end = |value: i64| match value {
        i64::MIN | i64::MAX => "open".to_owned(),
        other => other.to_string(),
    };
    format!("[{}, {}]", end(low), end(high))
}

fn hex(value: i64) -> String {
    format!("{value:016x}")
}
