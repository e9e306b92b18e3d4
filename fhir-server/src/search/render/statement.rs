//! A statement in the making: binds, lists, and what is checked of a row.

use fhir_model::schema::TypeId;

use super::super::condition::{Condition, SpanRange, TextComparison, TextMatch};
use super::super::page::SortValue;
use crate::index::row::{BranchCode, EqualHash, Link, TypeCode};
use crate::storage::{Bind, RenderedSql};

/// The row that a condition is checked of.
pub(super) struct Row {
    pub(super) key: String,
    /// The alias of its row in `resource`, where the statement reads that.
    pub(super) resource: Option<String>,
}

impl Row {
    pub(super) fn keyed(key: impl Into<String>) -> Row {
        Row { key: key.into(), resource: None }
    }

    pub(super) fn whole(alias: &str) -> Row {
        Row { key: format!("{alias}.key"), resource: Some(alias.to_owned()) }
    }
}

/// A statement in the making.
#[derive(Default)]
pub(super) struct Sql {
    text: String,
    binds: Vec<Bind>,
    aliases: usize,
    /// Whether the text hardly comes again.
    is_rare: bool,
}

impl Sql {
    pub(super) fn finish(self) -> RenderedSql {
        RenderedSql { sql: self.text, binds: self.binds, is_rare: self.is_rare }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn column(&mut self, prefix: &str, at: usize) {
        self.text.push_str(prefix);
        self.text.push_str(&at.to_string());
    }

    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.text.push('?');
        self.binds.push(Bind::Integer(value));
    }

    pub(super) fn text(&mut self, value: &str) {
        self.text.push('?');
        self.binds.push(Bind::Text(value.to_owned()));
    }

    pub(super) fn value(&mut self, value: &SortValue) {
        match value {
            SortValue::Integer(number) => self.integer(*number),
            SortValue::Text(text) => self.text(text),
            SortValue::Missing => self.push("NULL"),
        }
    }

    pub(super) fn type_code(&mut self, of: TypeId) {
        self.integer(i64::from(TypeCode::of(of).0));
    }

    pub(super) fn json(&mut self, values: impl Iterator<Item = i64>) {
        let mut list = String::from("[");
        for (at, value) in values.enumerate() {
            if at > 0 {
                list.push(',');
            }
            list.push_str(&value.to_string());
        }
        list.push(']');
        self.text.push('?');
        self.binds.push(Bind::Text(list));
    }

    /// `=?`, `IN (?,..)` padded to a power of two, or a JSON array past sixteen.
    pub(super) fn among(&mut self, values: impl ExactSizeIterator<Item = i64>) {
        match values.len() {
            0 => self.push("IN ()"),
            1 => {
                self.push("=");
                values.for_each(|v| self.integer(v));
            }
            count @ 2..=16 => {
                self.push("IN (");
                let mut last = 0;
                for (at, value) in values.enumerate() {
                    self.push(if at == 0 { "" } else { "," });
                    self.integer(value);
                    last = value;
                }
                for _ in count..count.next_power_of_two() {
                    self.push(",");
                    self.integer(last);
                }
                self.push(")");
            }
            _ => {
                self.push("IN (SELECT value FROM json_each(");
                self.json(values);
                self.push("))");
            }
        }
    }

    pub(super) fn of_types(&mut self, types: &Option<Vec<TypeId>>, column: &str) {
        match types.as_deref() {
            None => {}
            Some([one]) => {
                self.push(&format!(" AND {column}="));
                self.type_code(*one);
            }
            Some(many) => {
                // The sign keeps the statement on the order of the keys.
                self.push(&format!(" AND +{column} "));
                self.among(many.iter().map(|t| i64::from(TypeCode::of(*t).0)));
            }
        }
    }

    pub(super) fn and_all(&mut self, conditions: &[Condition], row: &Row) {
        for condition in conditions {
            self.push(" AND ");
            self.condition(condition, row);
        }
    }

    fn series(&mut self, parts: &[Condition], word: &str, empty: &str, row: &Row) {
        if parts.is_empty() {
            return self.push(empty);
        }
        self.push("(");
        for (at, part) in parts.iter().enumerate() {
            self.push(if at == 0 { "" } else { word });
            self.condition(part, row);
        }
        self.push(")");
    }

    fn condition(&mut self, condition: &Condition, row: &Row) {
        let key = &row.key;
        match condition {
            Condition::All(parts) => self.series(parts, " AND ", "1", row),
            Condition::Any(parts) => self.series(parts, " OR ", "0", row),
            Condition::Not(inner) => {
                self.push("NOT ");
                self.condition(inner, row);
            }
            Condition::Equal(hashes) => {
                self.push("EXISTS(SELECT 1 FROM equal WHERE hash ");
                self.among(hashes.iter().map(|h: &EqualHash| h.0));
                self.push(&format!(" AND key={key})"));
            }
            Condition::Link(links) => self.linked_to(links, key),
            Condition::Linked(branches) => {
                self.push(&format!("EXISTS(SELECT 1 FROM link WHERE key={key} AND branch "));
                self.among(branches.iter().map(|b| i64::from(b.0)));
                self.push(")");
            }
            Condition::Span(range) => {
                self.push(&format!("EXISTS(SELECT 1 FROM span WHERE key={key} AND hash="));
                self.integer(range.hash.0);
                span_bounds(self, range);
                self.push(")");
            }
            Condition::Text(text) => self.text_like(text, key),
            Condition::Id(_) | Condition::Updated { .. } | Condition::Type(_) => {
                self.of_resource(condition, row)
            }
            Condition::Chain(chain) => {
                let (l, x) = (self.alias(), self.alias());
                self.push(&format!(
                    "EXISTS(SELECT 1 FROM link {l} CROSS JOIN resource {x} ON {x}.ref={l}.target"
                ));
                self.push(&format!(" AND {x}.deleted=0 WHERE {l}.key={key} AND {l}.branch "));
                self.among(chain.branches.iter().map(|b| i64::from(b.0)));
                self.push(" AND (");
                for (at, (target, inner)) in chain.targets.iter().enumerate() {
                    self.push(if at == 0 { "" } else { " OR " });
                    self.push(&format!("({x}.type="));
                    self.type_code(*target);
                    self.push(" AND ");
                    self.condition(inner, &Row::whole(&x));
                    self.push(")");
                }
                self.push(if chain.targets.is_empty() { "0))" } else { "))" });
            }
            Condition::Has(has) => {
                let l = self.alias();
                let reference = match &row.resource {
                    Some(alias) => format!("{alias}.ref"),
                    None => format!("(SELECT ref FROM resource WHERE key={key})"),
                };
                self.push(&format!(
                    "EXISTS(SELECT 1 FROM link {l} WHERE {l}.target={reference} AND {l}.branch "
                ));
                self.among(has.branches.iter().map(|b| i64::from(b.0)));
                self.push(" AND ");
                self.condition(&has.condition, &Row::keyed(format!("{l}.key")));
                self.push(")");
            }
            Condition::Keys(keys) => {
                self.push(&format!("{key} IN (SELECT value FROM json_each("));
                self.json(keys.iter().copied());
                self.push("))");
            }
            // Resolved before the plan; what is left unresolved matches nothing.
            Condition::Scan(_) | Condition::EqualForm(_) | Condition::SpanForm(_) => self.push("0"),
        }
    }

    fn linked_to(&mut self, links: &[Link], key: &str) {
        let groups = by_branch(links);
        self.push("(");
        for (at, (branch, targets)) in groups.into_iter().enumerate() {
            self.push(if at == 0 { "" } else { " OR " });
            self.push(&format!("EXISTS(SELECT 1 FROM link WHERE key={key} AND branch="));
            self.integer(i64::from(branch.0));
            self.push(" AND target ");
            self.among(targets.into_iter());
            self.push(")");
        }
        self.push(")");
    }

    fn text_like(&mut self, text: &TextMatch, key: &str) {
        self.push(&format!("EXISTS(SELECT 1 FROM text WHERE key={key} AND branch "));
        self.among(text.branches.iter().map(|b| i64::from(b.0)));
        match text.comparison {
            TextComparison::Starts => starts(self, &text.folded),
            TextComparison::Contains => {
                self.push(" AND instr(folded,");
                self.text(&text.folded);
                self.push(")>0");
            }
            TextComparison::Ends => {
                self.push(" AND substr(folded,-length(");
                self.text(&text.folded);
                self.push("))=");
                self.text(&text.folded);
            }
            TextComparison::Is => {
                self.push(" AND folded=");
                self.text(&text.folded);
            }
            TextComparison::Exists => {}
        }
        self.push(")");
    }

    fn of_resource(&mut self, condition: &Condition, row: &Row) {
        let whole = row.resource.as_ref();
        let prefix = whole.map(|alias| format!("{alias}.")).unwrap_or_default();
        if whole.is_none() {
            self.push(&format!("EXISTS(SELECT 1 FROM resource WHERE key={}", row.key));
        } else {
            self.push("(1");
        }
        match condition {
            Condition::Id(ids) => {
                self.push(&format!(" AND {prefix}ref "));
                self.among(ids.iter().map(|i| i.0));
            }
            Condition::Updated { low, high } => {
                updated_between(self, &format!("{prefix}updated"), *low, *high)
            }
            Condition::Type(types) => {
                self.push(&format!(" AND {prefix}type "));
                self.among(types.iter().map(|t| i64::from(TypeCode::of(*t).0)));
            }
            _ => {}
        }
        self.push(")");
    }
}

pub(super) fn by_branch(links: &[Link]) -> Vec<(BranchCode, Vec<i64>)> {
    let mut groups: Vec<(BranchCode, Vec<i64>)> = Vec::new();
    for link in links {
        match groups.iter_mut().find(|(branch, _)| *branch == link.branch) {
            Some((_, targets)) => targets.push(link.target.0),
            None => groups.push((link.branch, vec![link.target.0])),
        }
    }
    groups
}

pub(super) fn span_bounds(sql: &mut Sql, range: &SpanRange) {
    for (column, (least, greatest)) in [("low", range.low), ("high", range.high)] {
        if least > i64::MIN {
            sql.push(&format!(" AND {column}>="));
            sql.integer(least);
        }
        if greatest < i64::MAX {
            sql.push(&format!(" AND {column}<="));
            sql.integer(greatest);
        }
    }
}

/// The texts that start so are those from it up to what follows all of them.
pub(super) fn starts(sql: &mut Sql, folded: &str) {
    sql.push(" AND folded>=");
    sql.text(folded);
    if let Some(end) = successor(folded) {
        sql.push(" AND folded<");
        sql.text(&end);
    }
}

/// The least text greater than every text that starts so.
fn successor(folded: &str) -> Option<String> {
    let mut chars: Vec<char> = folded.chars().collect();
    while let Some(last) = chars.pop() {
        let next = match last {
            char::MAX => continue,
            '\u{D7FF}' => '\u{E000}',
            other => char::from_u32(u32::from(other) + 1).unwrap_or(char::MAX),
        };
        chars.push(next);
        return Some(chars.into_iter().collect());
    }
    None
}

pub(super) fn updated_between(sql: &mut Sql, column: &str, low: i64, high: i64) {
    if low > i64::MIN {
        sql.push(&format!(" AND {column}>="));
        sql.integer(low);
    }
    if high < i64::MAX {
        sql.push(&format!(" AND {column}<="));
        sql.integer(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_all_that_starts_so() {
        for (text, expected) in [
            ("abc", Some("abd")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{D7FF}", Some("\u{E000}")),
            ("\u{10FFFF}", None),
            ("", None),
        ] {
            assert_eq!(successor(text).as_deref(), expected, "{text}");
        }
    }
}
