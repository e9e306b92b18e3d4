//! From a plan to SQL with binds. The only file of the search that knows
//! tables. No value ever stands in the text: values are binds, and lists are
//! padded to few lengths or passed as one JSON array, so that the texts stay few
//! and their prepared statements are found again.

mod statement;

use fhir_model::schema::TypeId;

use super::condition::SpanRange;
use super::page::SortValue;
use super::plan::{Access, Driver, Order, Plan, Position, SORT_TEXT_CHARS, SortBy, SortKey, Source, Stream};
use crate::index::row::{BranchCode, EqualHash};
use crate::storage::{RESOURCE_COLUMNS, RenderedSql};
use statement::{Row, Sql, by_branch, span_bounds, starts, updated_between};

/// What of the matches a statement is to give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted<'p> {
    /// Keys in the order of the plan; for a sorted plan, with a JSON array of
    /// the values of the sort keys.
    Rows {
        /// Only rows after this position.
        after: Option<&'p Position>,
        /// In the opposite order.
        reversed: bool,
        /// Rows at most.
        limit: u64,
        /// Only resources not changed after this instant.
        unchanged_since: Option<i64>,
    },
    /// For an ordered driver: the keys of matches that have no value to order by.
    Unvalued {
        /// Only rows after this key.
        after: Option<i64>,
        /// In the opposite order.
        reversed: bool,
        /// Rows at most.
        limit: u64,
        /// Only resources not changed after this instant.
        unchanged_since: Option<i64>,
    },
    /// The number of matches.
    Count,
    /// The number of matches, counted up to this many.
    CountTo(u64),
    /// Keys of matches that existed at an instant and were changed after it, in no order.
    ChangedSince {
        /// The instant.
        since: i64,
        /// Rows at most.
        limit: u64,
    },
}

/// Writes the statement that answers a plan.
pub fn render(plan: &Plan, wanted: Wanted<'_>) -> RenderedSql {
    let mut sql = Sql::default();
    match wanted {
        Wanted::Rows { after, reversed, limit, unchanged_since } => {
            let page = Page { after, reversed, limit, unchanged_since };
            match &plan.order {
                Order::Newest => newest(&mut sql, plan, &page),
                Order::By(keys) => match (&plan.driver, keys.as_slice()) {
                    (Driver::Ordered, [key]) => ordered(&mut sql, plan, key, &page),
                    _ => sorted(&mut sql, plan, keys, &page),
                },
            }
        }
        Wanted::Unvalued { after, reversed, limit, unchanged_since } => {
            unvalued(&mut sql, plan, &Page { after: None, reversed, limit, unchanged_since }, after);
        }
        Wanted::Count => {
            sql.push("SELECT count(*) FROM (");
            candidates(&mut sql, plan, None);
            sql.push(")");
        }
        Wanted::CountTo(limit) => {
            sql.push("SELECT count(*) FROM (SELECT 1 FROM (");
            candidates(&mut sql, plan, None);
            sql.push(") LIMIT ");
            sql.integer(limit as i64);
            sql.push(")");
        }
        Wanted::ChangedSince { since, limit } => {
            sql.push("SELECT c.key FROM (");
            candidates(&mut sql, plan, Some(Changed::After(since)));
            sql.push(") c LIMIT ");
            sql.integer(limit as i64);
        }
    }
    sql.finish()
}

/// Writes the statement that gives a page of an unsorted plan with its bodies.
pub fn render_resources(plan: &Plan, after: Option<&Position>, reversed: bool, limit: u64) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT ");
    sql.push(RESOURCE_COLUMNS);
    sql.push(" FROM (");
    newest(&mut sql, plan, &Page { after, reversed, limit, unchanged_since: None });
    sql.push(") k CROSS JOIN resource ON resource.key=k.key");
    sql.finish()
}

/// Writes the statement that gives the versions that were current at an
/// instant, of resources that were changed after it.
pub fn render_versions_at(keys: &[i64], instant: i64) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT version.key,resource.type_name,resource.id,version.version,version.updated,");
    sql.push("version.operation,version.deleted,version.hole,version.body FROM json_each(");
    sql.json(keys.iter().copied());
    sql.push(
        ") j CROSS JOIN resource ON resource.key=j.value CROSS JOIN version ON version.key=resource.key",
    );
    sql.push(" WHERE version.deleted=0 AND version.version=");
    sql.push("(SELECT max(v.version) FROM version v WHERE v.key=resource.key AND v.updated<=");
    sql.integer(instant);
    sql.push(")");
    sql.finish()
}

/// Writes the statement that gives resources by their keys, in no order.
pub fn render_by_keys(keys: &[i64]) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT ");
    sql.push(RESOURCE_COLUMNS);
    sql.push(" FROM json_each(");
    sql.json(keys.iter().copied());
    sql.push(") j CROSS JOIN resource ON resource.key=j.value AND resource.deleted=0");
    sql.finish()
}

/// Writes the statement that tells what these forms stand for: form and hash.
pub fn render_forms(forms: &[EqualHash], limit: u64) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT form, hash FROM form WHERE form ");
    sql.among(forms.iter().map(|form| form.0));
    sql.push(" LIMIT ");
    sql.integer(limit as i64);
    sql.finish()
}

/// Writes the statement that finds who is replaced by whom: all that have the
/// marker, by their links along the branch.
pub fn render_merges(marker: EqualHash, branch: BranchCode) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT r.ref, l.target FROM equal e CROSS JOIN resource r ON r.key=e.key AND r.deleted=0 ");
    sql.push("CROSS JOIN link l ON l.key=e.key AND l.branch=");
    sql.integer(branch.0.into());
    sql.push(" WHERE e.hash=");
    sql.integer(marker.0);
    sql.finish()
}

/// Writes the statement that finds the hashes under which resources are referred to.
pub fn render_references(keys: &[i64]) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT ref FROM resource WHERE key ");
    sql.among(keys.iter().copied());
    sql.finish()
}

/// Writes the statement that counts the rows of a source up to a limit.
pub fn render_probe(access: &Access, limit: u64) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT count(*) FROM (SELECT 1 FROM (");
    access_sql(&mut sql, access);
    sql.push(") LIMIT ");
    sql.integer(limit as i64);
    sql.push(")");
    sql.finish()
}

/// Writes the statement that finds what the resources with these keys refer
/// to along the branches (any, when there are none): keys of resources here.
pub fn render_included(
    keys: &[i64],
    branches: &[BranchCode],
    target: Option<TypeId>,
    limit: u64,
) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT DISTINCT x.key FROM json_each(");
    sql.json(keys.iter().copied());
    sql.push(") j CROSS JOIN link l ON l.key=j.value");
    if !branches.is_empty() {
        sql.push(" AND l.branch ");
        sql.among(branches.iter().map(|b| i64::from(b.0)));
    }
    sql.push(" CROSS JOIN resource x ON x.ref=l.target AND x.deleted=0");
    if let Some(target) = target {
        sql.push(" AND x.type=");
        sql.type_code(target);
    }
    sql.push(" LIMIT ");
    sql.integer(limit as i64);
    sql.finish()
}

/// Writes the statement that finds what refers to the resources with these
/// keys along the branches: keys.
pub fn render_revincluded(keys: &[i64], branches: &[BranchCode], limit: u64) -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT DISTINCT l.key FROM json_each(");
    sql.json(keys.iter().copied());
    sql.push(") j CROSS JOIN resource x ON x.key=j.value CROSS JOIN link l ON l.target=x.ref AND l.branch ");
    sql.among(branches.iter().map(|b| i64::from(b.0)));
    sql.push(" LIMIT ");
    sql.integer(limit as i64);
    sql.finish()
}

/// Writes the statement that tells the latest instant of a change.
pub fn render_now() -> RenderedSql {
    let mut sql = Sql::default();
    sql.push("SELECT coalesce(max(updated),0) FROM resource");
    sql.finish()
}

struct Page<'p> {
    after: Option<&'p Position>,
    reversed: bool,
    limit: u64,
    unchanged_since: Option<i64>,
}

#[derive(Clone, Copy)]
enum Changed {
    After(i64),
}

/// Keys in their own order; ordered ranges are merged and read no further than shown.
fn newest(sql: &mut Sql, plan: &Plan, page: &Page<'_>) {
    let order = if page.reversed { " ASC LIMIT " } else { " DESC LIMIT " };
    let after = page.after.map(|p| (p.key, page.reversed));
    match &plan.driver {
        Driver::Nothing => {
            sql.push("SELECT key FROM resource WHERE 0");
            return;
        }
        Driver::Walk | Driver::Ordered => {
            walk(sql, plan, after);
            sql.push(" ORDER BY d.key");
        }
        Driver::Streams(streams) => {
            for (at, stream) in streams.iter().enumerate() {
                sql.push(if at == 0 { "" } else { " UNION " });
                stream_sql(sql, stream, after);
                sql.and_all(&plan.checks, &Row::keyed("d.key"));
            }
            sql.push(" ORDER BY 1");
        }
        Driver::Gather(access) => {
            sql.push("SELECT DISTINCT d.key FROM (");
            access_sql(sql, access);
            sql.push(") d WHERE 1");
            bounded(sql, "d.key", after);
            sql.and_all(&plan.checks, &Row::keyed("d.key"));
            sql.push(" ORDER BY 1");
        }
    }
    sql.push(order);
    sql.integer(page.limit as i64);
}

/// All keys that match, each once, in no order.
fn candidates(sql: &mut Sql, plan: &Plan, changed: Option<Changed>) {
    let restrict = |sql: &mut Sql| {
        if let Some(Changed::After(since)) = changed {
            sql.push(" AND d.key<=");
            sql.integer(since);
            sql.push(" AND (SELECT updated FROM resource WHERE key=d.key)>");
            sql.integer(since);
        }
    };
    match &plan.driver {
        Driver::Nothing => sql.push("SELECT key FROM resource WHERE 0"),
        Driver::Walk | Driver::Ordered => {
            if let Some(Changed::After(since)) = changed {
                sql.push("SELECT d.key AS key FROM resource d WHERE d.deleted=0 AND d.updated>");
                sql.integer(since);
                // The sign keeps the statement on the order of `updated`.
                sql.push(" AND +d.key<=");
                sql.integer(since);
                sql.of_types(&plan.types, "d.type");
                sql.and_all(&plan.checks, &Row::whole("d"));
            } else {
                walk(sql, plan, None);
            }
        }
        Driver::Streams(streams) => {
            for (at, stream) in streams.iter().enumerate() {
                sql.push(if at == 0 { "" } else { " UNION " });
                stream_sql(sql, stream, None);
                restrict(sql);
                sql.and_all(&plan.checks, &Row::keyed("d.key"));
            }
        }
        Driver::Gather(access) => {
            sql.push("SELECT DISTINCT d.key AS key FROM (");
            access_sql(sql, access);
            sql.push(") d WHERE 1");
            restrict(sql);
            sql.and_all(&plan.checks, &Row::keyed("d.key"));
        }
    }
}

fn walk(sql: &mut Sql, plan: &Plan, after: Option<(i64, bool)>) {
    sql.push("SELECT d.key AS key FROM resource d WHERE d.deleted=0");
    sql.of_types(&plan.types, "d.type");
    bounded(sql, "d.key", after);
    sql.and_all(&plan.checks, &Row::whole("d"));
}

fn bounded(sql: &mut Sql, key: &str, after: Option<(i64, bool)>) {
    if let Some((after, reversed)) = after {
        sql.push(" AND ");
        sql.push(key);
        sql.push(if reversed { ">" } else { "<" });
        sql.integer(after);
    }
}

fn stream_sql(sql: &mut Sql, stream: &Stream, after: Option<(i64, bool)>) {
    match stream {
        Stream::Equal(hash) => {
            sql.push("SELECT d.key AS key FROM equal d WHERE d.hash=");
            sql.integer(hash.0);
        }
        Stream::Link(link) => {
            sql.push("SELECT d.key AS key FROM link d WHERE d.target=");
            sql.integer(link.target.0);
            sql.push(" AND d.branch=");
            sql.integer(i64::from(link.branch.0));
        }
        Stream::Pair(pair) => {
            sql.push("SELECT d.key AS key FROM pair d WHERE d.focus=");
            sql.integer(pair.focus.0);
            sql.push(" AND d.value=");
            sql.integer(pair.value.0);
        }
    }
    bounded(sql, "d.key", after);
}

/// Rows by their values, then by key.
fn sorted(sql: &mut Sql, plan: &Plan, keys: &[SortKey], page: &Page<'_>) {
    sql.push("SELECT q.key,json_array(");
    for at in 0..keys.len() {
        sql.column(if at == 0 { "q.v" } else { ",q.v" }, at);
    }
    sql.push(") FROM (SELECT c.key AS key");
    for (at, key) in keys.iter().enumerate() {
        sql.push(",");
        sort_value(sql, key);
        sql.column(" AS v", at);
    }
    sql.push(" FROM (");
    candidates(sql, plan, None);
    sql.push(") c");
    if let Some(since) = page.unchanged_since {
        sql.push(" WHERE (SELECT updated FROM resource WHERE key=c.key)<=");
        sql.integer(since);
    }
    // The limit keeps the values from being computed anew wherever they are named.
    sql.push(" LIMIT -1) q");
    if let Some(position) = page.after {
        sql.push(" WHERE ");
        after_position(sql, keys, position, page.reversed);
    }
    sql.push(" ORDER BY ");
    for (at, key) in keys.iter().enumerate() {
        sql.column("q.v", at);
        sql.push(if page.reversed { " IS NULL DESC," } else { " IS NULL," });
        sql.column("q.v", at);
        sql.push(if key.descending != page.reversed { " DESC," } else { "," });
    }
    sql.push(if page.reversed { "q.key LIMIT " } else { "q.key DESC LIMIT " });
    sql.integer(page.limit as i64);
}

/// Rows along the index range that is in the order of the sort key.
fn ordered(sql: &mut Sql, plan: &Plan, key: &SortKey, page: &Page<'_>) {
    let (value, row) = match &key.by {
        SortBy::Span(hashes) => {
            sql.push("SELECT d.key,json_array(d.low) FROM span d WHERE d.hash ");
            sql.among(hashes.iter().map(|h| h.0));
            // Of several intervals of one resource, only the one it is ordered by.
            let further = if key.descending { '>' } else { '<' };
            if !key.is_single {
                sql.push(&format!(
                    " AND NOT EXISTS(SELECT 1 FROM span o WHERE o.key=d.key AND o.hash=d.hash \
                     AND (o.low{further}d.low OR (o.low=d.low AND o.high>d.high)))"
                ));
            }
            ("d.low", Row::keyed("d.key"))
        }
        SortBy::Updated | SortBy::Id | SortBy::Text(_) => {
            sql.push("SELECT d.key,json_array(d.updated) FROM resource d WHERE d.deleted=0");
            sql.of_types(&plan.types, "d.type");
            ("d.updated", Row::whole("d"))
        }
    };
    unchanged(sql, page, &row);
    let descending = key.descending != page.reversed;
    if let Some(Position { values, key: last }) = page.after
        && let Some(last_value) = values.first()
    {
        // The first comparison finds the place in the index, the second the row.
        let (at_or_past, past) = if descending { ("<=", "<") } else { (">=", ">") };
        sql.push(&format!(" AND {value}{at_or_past}"));
        sql.value(last_value);
        sql.push(&format!(" AND ({value}{past}"));
        sql.value(last_value);
        sql.push(if page.reversed { " OR d.key>" } else { " OR d.key<" });
        sql.integer(*last);
        sql.push(")");
    }
    sql.and_all(&plan.checks, &row);
    sql.push(&format!(" ORDER BY {value}{}", if descending { " DESC" } else { "" }));
    sql.push(if page.reversed { ",d.key LIMIT " } else { ",d.key DESC LIMIT " });
    sql.integer(page.limit as i64);
}

/// Rows that have nothing to be ordered by, newest first.
fn unvalued(sql: &mut Sql, plan: &Plan, page: &Page<'_>, after: Option<i64>) {
    walk(sql, plan, after.map(|key| (key, page.reversed)));
    unchanged(sql, page, &Row::whole("d"));
    if let Order::By(keys) = &plan.order {
        for key in keys {
            if let SortBy::Span(hashes) = &key.by {
                sql.push(" AND NOT EXISTS(SELECT 1 FROM span WHERE key=d.key AND hash ");
                sql.among(hashes.iter().map(|h| h.0));
                sql.push(")");
            }
        }
    }
    sql.push(if page.reversed { " ORDER BY d.key LIMIT " } else { " ORDER BY d.key DESC LIMIT " });
    sql.integer(page.limit as i64);
}

fn unchanged(sql: &mut Sql, page: &Page<'_>, row: &Row) {
    let Some(since) = page.unchanged_since else { return };
    match &row.resource {
        Some(alias) => sql.push(&format!(" AND {alias}.updated<=")),
        None => sql.push(&format!(" AND (SELECT updated FROM resource WHERE key={})<=", row.key)),
    }
    sql.integer(since);
}

fn sort_value(sql: &mut Sql, key: &SortKey) {
    let extreme = if key.descending { "max" } else { "min" };
    match &key.by {
        SortBy::Updated => sql.push("(SELECT updated FROM resource WHERE key=c.key)"),
        SortBy::Id => sql.push("(SELECT id FROM resource WHERE key=c.key)"),
        SortBy::Span(hashes) => {
            sql.push("(SELECT ");
            sql.push(extreme);
            sql.push("(low) FROM span WHERE key=c.key AND hash ");
            sql.among(hashes.iter().map(|h| h.0));
            sql.push(")");
        }
        SortBy::Text(branches) => {
            sql.push("(SELECT ");
            sql.push(extreme);
            sql.push("(substr(folded,1,");
            sql.push(&SORT_TEXT_CHARS.to_string());
            sql.push(")) FROM text WHERE key=c.key AND branch ");
            sql.among(branches.iter().map(|b| i64::from(b.0)));
            sql.push(")");
        }
    }
}

/// `(v0, v1, .., key)` stands after the position, missing values last.
fn after_position(sql: &mut Sql, keys: &[SortKey], position: &Position, reversed: bool) {
    sql.push("(");
    for (at, (key, value)) in keys.iter().zip(&position.values).enumerate() {
        let greater = key.descending == reversed;
        match (value, reversed) {
            // Before a missing value stands whatever is there; after it, nothing.
            (SortValue::Missing, true) => {
                sql.column("q.v", at);
                sql.push(" IS NOT NULL OR (");
                sql.column("q.v", at);
                sql.push(" IS NULL AND (");
            }
            (SortValue::Missing, false) => {
                sql.push("0 OR (");
                sql.column("q.v", at);
                sql.push(" IS NULL AND (");
            }
            (value, _) => {
                sql.column("q.v", at);
                sql.push(if greater { ">" } else { "<" });
                sql.value(value);
                if !reversed {
                    sql.column(" OR q.v", at);
                    sql.push(" IS NULL");
                }
                sql.column(" OR (q.v", at);
                sql.push("=");
                sql.value(value);
                sql.push(" AND (");
            }
        }
    }
    sql.push(if reversed { "q.key>" } else { "q.key<" });
    sql.integer(position.key);
    for _ in keys.iter().zip(&position.values) {
        sql.push("))");
    }
    sql.push(")");
}

/// A statement that gives the keys of a source that pass its checks; a key
/// may come more than once.
fn access_sql(sql: &mut Sql, access: &Access) {
    if access.checks.is_empty() {
        return source_sql(sql, &access.source);
    }
    let alias = sql.alias();
    sql.push("SELECT ");
    sql.push(&alias);
    sql.push(".key AS key FROM (");
    source_sql(sql, &access.source);
    sql.push(") ");
    sql.push(&alias);
    sql.push(" WHERE 1");
    sql.and_all(&access.checks, &Row::keyed(format!("{alias}.key")));
}

fn source_sql(sql: &mut Sql, source: &Source) {
    match source {
        Source::Equal(hashes) => {
            sql.push("SELECT key FROM equal WHERE hash ");
            sql.among(hashes.iter().map(|h| h.0));
        }
        Source::Link(links) => {
            for (at, (branch, targets)) in by_branch(links).into_iter().enumerate() {
                sql.push(if at == 0 { "" } else { " UNION ALL " });
                sql.push("SELECT key FROM link WHERE target ");
                sql.among(targets.into_iter());
                sql.push(" AND branch=");
                sql.integer(i64::from(branch.0));
            }
        }
        Source::Span(range) => span_source(sql, range),
        Source::Text(branch, folded) => {
            sql.push("SELECT key FROM text WHERE branch=");
            sql.integer(i64::from(branch.0));
            starts(sql, folded);
        }
        Source::Id(ids) => {
            sql.push("SELECT key FROM resource WHERE deleted=0 AND ref ");
            sql.among(ids.iter().map(|i| i.0));
        }
        Source::Keys(keys) => {
            sql.push("SELECT key FROM resource WHERE deleted=0 AND key IN (SELECT value FROM json_each(");
            sql.json(keys.iter().copied());
            sql.push("))");
        }
        Source::Updated { low, high } => {
            sql.push("SELECT key FROM resource WHERE deleted=0");
            updated_between(sql, "updated", *low, *high);
        }
        Source::Union(parts) => {
            for (at, part) in parts.iter().enumerate() {
                sql.push(if at == 0 { "" } else { " UNION ALL " });
                sql.push("SELECT key FROM (");
                access_sql(sql, part);
                sql.push(")");
            }
        }
        Source::Chain { branches, targets } => {
            for (at, (target, access)) in targets.iter().enumerate() {
                sql.push(if at == 0 { "" } else { " UNION ALL " });
                let (t, x, l) = (sql.alias(), sql.alias(), sql.alias());
                sql.push(&format!("SELECT {l}.key AS key FROM ("));
                access_sql(sql, access);
                sql.push(&format!(
                    ") {t} CROSS JOIN resource {x} ON {x}.key={t}.key AND {x}.deleted=0 AND {x}.type="
                ));
                sql.type_code(*target);
                sql.push(&format!(" CROSS JOIN link {l} ON {l}.target={x}.ref AND {l}.branch "));
                sql.among(branches.iter().map(|b| i64::from(b.0)));
            }
        }
        Source::Has { branches, from } => {
            let (t, x, l) = (sql.alias(), sql.alias(), sql.alias());
            sql.push(&format!("SELECT {x}.key AS key FROM ("));
            access_sql(sql, from);
            sql.push(&format!(") {t} CROSS JOIN link {l} ON {l}.key={t}.key AND {l}.branch "));
            sql.among(branches.iter().map(|b| i64::from(b.0)));
            sql.push(&format!(" CROSS JOIN resource {x} ON {x}.ref={l}.target AND {x}.deleted=0"));
        }
    }
}

/// Intervals of at most this length are found by their lower end; the others
/// have an index by their upper end. Stands in the migration as well.
const WIDE_SPAN: i64 = 100_000_000_000;

fn span_source(sql: &mut Sql, range: &SpanRange) {
    sql.push("SELECT key FROM span WHERE hash=");
    sql.integer(range.hash.0);
    let least = range.high.0.saturating_sub(WIDE_SPAN);
    if range.low.0 >= least {
        return span_bounds(sql, range);
    }
    // Only the upper end is bounded from below.
    span_bounds(sql, &SpanRange { low: (least, range.low.1), ..*range });
    sql.push(" UNION ALL SELECT key FROM span INDEXED BY span_wide WHERE hash=");
    sql.integer(range.hash.0);
    span_bounds(sql, &SpanRange { low: (i64::MIN, range.low.1.min(least - 1)), ..*range });
    sql.push(&format!(" AND high-low>{WIDE_SPAN}"));
    if range.low.0 > i64::MIN {
        sql.push(" AND low>=");
        sql.integer(range.low.0);
    }
}
