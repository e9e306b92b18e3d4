//! The types of search parameters: one file each, which owns the grammar of
//! its values, what it puts into the index, and what a search asks of it.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#ptypes>

pub mod composite;
pub mod date;
pub mod number;
pub mod phonetic;
pub mod quantity;
pub mod reference;
pub mod special;
pub mod string;
pub mod token;
pub mod uri;

use fhir_model::fhirpath::Value;
use fhir_model::interaction::ResourceKey;
use fhir_model::schema::TypeId;
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::registry::{Branch, BranchUse, Definition};
use crate::index::row::{BranchCode, EqualHash, Form, IndexRows, Link, Span, Text};
use crate::search::codes::Codes;

/// What must hold of the index rows of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// It has one of these values.
    Equal(Vec<EqualHash>),
    /// It has a value of which one of these is a form.
    EqualForm(Vec<EqualHash>),
    /// It refers to one of these.
    Link(Vec<Link>),
    /// It refers to anything along one of these branches.
    Linked(Vec<BranchCode>),
    /// It has an interval like this.
    Span(SpanRange),
    /// It has an interval like this under a hash of which the given one is a form.
    SpanForm(SpanRange),
    /// It has text like this.
    Text(TextMatch),
    /// It does not hold.
    Not(Box<Predicate>),
    /// One of these holds; none does when there is none.
    Any(Vec<Predicate>),
    /// All of these hold.
    All(Vec<Predicate>),
}

/// Bounds of an interval in the index; all of them belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanRange {
    /// The branch, and for quantities the unit.
    pub hash: EqualHash,
    /// The least and the greatest lower end.
    pub low: (i64, i64),
    /// The least and the greatest upper end.
    pub high: (i64, i64),
}

impl SpanRange {
    fn holds(&self, span: &Span) -> bool {
        span.hash == self.hash
            && (self.low.0..=self.low.1).contains(&span.low)
            && (self.high.0..=self.high.1).contains(&span.high)
    }
}

/// Any interval end will do.
const ANY: (i64, i64) = (i64::MIN, i64::MAX);

/// How text compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextComparison {
    /// It starts so.
    Starts,
    /// It contains this.
    Contains,
    /// There is any text at all.
    Exists,
}

/// Folded text to compare with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextMatch {
    /// The branches whose text is meant.
    pub branches: Vec<BranchCode>,
    /// How it compares.
    pub comparison: TextComparison,
    /// What it is compared with.
    pub folded: String,
}

impl Predicate {
    /// Tells whether it holds of a resource's rows: what the statements that
    /// are rendered from it must agree with.
    pub fn matches(&self, rows: &IndexRows) -> bool {
        match self {
            Predicate::Equal(hashes) => hashes.iter().any(|h| rows.equal.binary_search(h).is_ok()),
            Predicate::EqualForm(forms) => {
                let of_form = rows.forms.iter().filter(|f| forms.contains(&f.form));
                of_form.into_iter().any(|f| rows.equal.binary_search(&f.hash).is_ok())
            }
            Predicate::Link(links) => links.iter().any(|l| rows.links.binary_search(l).is_ok()),
            Predicate::Linked(branches) => rows.links.iter().any(|l| branches.contains(&l.branch)),
            Predicate::Span(range) => rows.spans.iter().any(|s| range.holds(s)),
            Predicate::SpanForm(range) => {
                let of_form = rows.forms.iter().filter(|f| f.form == range.hash);
                let mut ranges = of_form.map(|f| SpanRange { hash: f.hash, ..*range });
                ranges.any(|range| rows.spans.iter().any(|s| range.holds(s)))
            }
            Predicate::Text(wanted) => rows.texts.iter().any(|t| {
                wanted.branches.contains(&t.branch)
                    && match wanted.comparison {
                        TextComparison::Starts => t.folded.starts_with(&wanted.folded),
                        TextComparison::Contains => t.folded.contains(&wanted.folded),
                        TextComparison::Exists => true,
                    }
            }),
            Predicate::Not(inner) => !inner.matches(rows),
            Predicate::Any(parts) => parts.iter().any(|p| p.matches(rows)),
            Predicate::All(parts) => parts.iter().all(|p| p.matches(rows)),
        }
    }
}

impl Predicate {
    /// The same of intervals under hashes of which the given ones are forms.
    fn of_forms(self) -> Predicate {
        let all = |parts: Vec<Predicate>| parts.into_iter().map(Predicate::of_forms).collect();
        match self {
            Predicate::Span(range) => Predicate::SpanForm(range),
            Predicate::Not(inner) => Predicate::Not(Box::new(inner.of_forms())),
            Predicate::Any(parts) => Predicate::Any(all(parts)),
            Predicate::All(parts) => Predicate::All(all(parts)),
            other => other,
        }
    }
}

/// What is wrong with a value of a search.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not in the grammar of the parameter's type.
    #[error("`{given}` is not {expected}")]
    Malformed {
        /// The value, cut to a length that can be told.
        given: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The modifier does not go with the parameter.
    #[error("modifier `:{modifier}` does not go with a {kind} parameter")]
    Modifier {
        /// The modifier.
        modifier: String,
        /// The type of the parameter.
        kind: &'static str,
    },
}

fn malformed(given: &str, expected: &'static str) -> ValueError {
    ValueError::Malformed { given: given.chars().take(100).collect(), expected }
}

/// What a search knows besides its words.
#[derive(Debug, Clone, Copy)]
pub struct QueryContext<'q> {
    /// The bases under which this server is known.
    pub bases: &'q [String],
    /// Microseconds since 1970: what `ap` is measured from.
    pub now_micros: i64,
    /// The codes that modifiers such as `:in` mean.
    pub codes: &'q Codes,
}

/// Turns one alternative of a search into what it asks of the index.
///
/// `text` is one alternative, with its escapes; `modifier` without its colon.
/// `:missing`, `:not` and chains are taken off before.
///
/// # Errors
/// When the value is not in the grammar of the type, or the modifier not its.
pub fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
    context: QueryContext<'_>,
) -> Result<Predicate, ValueError> {
    match definition.kind {
        Kind::Number => number::predicate(definition, modifier, text),
        Kind::Date => date::predicate(definition, modifier, text, context),
        Kind::String => string::predicate(definition, modifier, text),
        Kind::Token => token::predicate(definition, modifier, text),
        Kind::Reference => reference::predicate(definition, modifier, text, context),
        Kind::Composite => composite::predicate(definition, modifier, text, context),
        Kind::Quantity => quantity::predicate(definition, modifier, text),
        Kind::Uri => uri::predicate(definition, modifier, text),
        Kind::Special => special::predicate(definition, modifier, text),
    }
}

/// Returns what `:missing=false` asks: that there is any value.
///
/// Values that give no row of their type (a Reference without a reference, a
/// Timing without dates, a token without a system) give one that says that
/// there is a value. The systems of tokens and the combinations of composites
/// are what having a value is a form of.
pub fn present(definition: &Definition) -> Predicate {
    let (filtered, all): (Vec<BranchUse>, Vec<BranchUse>) =
        definition.branches.iter().partition(|used| used.target.is_some());
    let mut any: Vec<Predicate> = Vec::new();
    if !all.is_empty() {
        any.extend(rows_of(definition.kind, all.iter().map(|used| used.branch).collect()));
    }
    for used in filtered {
        let Some(target) = used.target else { continue };
        let others_only = EqualHash::of(used.branch, OTHER_TARGETS, &[target.name()]);
        any.push(Predicate::All(vec![
            Predicate::Any(rows_of(definition.kind, vec![used.branch])),
            Predicate::Not(Box::new(Predicate::Equal(vec![others_only]))),
        ]));
    }
    match any.len() {
        1 => any.swap_remove(0),
        _ => Predicate::Any(any),
    }
}

/// What the rows of any value along the branches are.
fn rows_of(kind: Kind, branches: Vec<BranchCode>) -> Vec<Predicate> {
    let marked = branches.iter().map(|b| EqualHash::of(*b, PRESENT, &[])).collect();
    let any_span = |form: &str| -> Vec<Predicate> {
        let hashes = branches.iter().map(|b| EqualHash::of(*b, form, &[]));
        hashes.map(|hash| Predicate::Span(SpanRange { hash, low: ANY, high: ANY })).collect()
    };
    let form_of_any = |b: &BranchCode| EqualHash::of(*b, ANY_VALUE, &[]);
    let mut out = match kind {
        Kind::Token => vec![Predicate::EqualForm(branches.iter().map(form_of_any).collect())],
        Kind::Composite => {
            let hashes = branches.iter().map(form_of_any);
            let spans = hashes.map(|hash| Predicate::SpanForm(SpanRange { hash, low: ANY, high: ANY }));
            let equal = Predicate::EqualForm(branches.iter().map(form_of_any).collect());
            spans.chain([equal]).collect()
        }
        Kind::Number | Kind::Date | Kind::Quantity => any_span(PLAIN),
        Kind::Special => any_span(special::LATITUDE),
        Kind::Reference => vec![Predicate::Linked(branches)],
        Kind::String | Kind::Uri => {
            let (comparison, folded) = (TextComparison::Exists, String::new());
            vec![Predicate::Text(TextMatch { branches, comparison, folded })]
        }
    };
    out.push(Predicate::Equal(marked));
    out
}

/// The form under which a branch says that it has a value.
const PRESENT: &str = "present";
/// The form that stands for any value of a branch.
const ANY_VALUE: &str = "any";
/// The form under which a branch says that it has references, but none to a type.
const OTHER_TARGETS: &str = "other-targets";
/// The form of intervals without a unit.
const PLAIN: &str = "plain";

/// Gathers the rows of a resource.
#[derive(Debug, Default)]
pub struct Collector {
    /// The rows so far.
    pub rows: IndexRows,
    /// The references to resources here, by branch.
    pub references: Vec<(BranchCode, ResourceKey)>,
    /// The tokens that are paired with the patient.
    pub paired: Vec<EqualHash>,
    /// How many values could not be indexed.
    pub skipped: usize,
}

impl Collector {
    fn equal(&mut self, branch: BranchCode, form: &str, value: &[&str]) {
        self.rows.equal.push(EqualHash::of(branch, form, value));
    }

    /// Notes that `form` may be asked for and `hash` be meant.
    fn form(&mut self, form: EqualHash, hash: EqualHash) {
        self.rows.forms.push(Form { form, hash });
    }

    /// Notes that a branch has a value that gives no row of its type.
    fn present(&mut self, branch: BranchCode) {
        self.equal(branch, PRESENT, &[]);
    }

    /// Notes a value that could not be indexed.
    fn skip(&mut self, branch: BranchCode) {
        self.skipped += 1;
        self.present(branch);
    }

    fn span(&mut self, hash: EqualHash, low: i64, high: i64) {
        self.rows.spans.push(Span { hash, low, high });
    }

    fn text(&mut self, branch: BranchCode, folded: String) {
        if !folded.is_empty() {
            self.rows.texts.push(Text { branch, folded });
        }
    }
}

/// Puts a value of a branch into the index.
pub fn index(branch: &Branch, value: &Value<'_>, bases: &[String], out: &mut Collector) {
    match branch.kind {
        Kind::Number => number::index(branch.code, value, out),
        Kind::Date => date::index(branch.code, value, out),
        Kind::String => string::index(branch, value, out),
        Kind::Token => token::index(branch, value, out),
        Kind::Reference => reference::index(branch.code, value, bases, out),
        Kind::Composite => composite::index(branch, value, bases, out),
        Kind::Quantity => quantity::index(branch.code, value, out),
        Kind::Uri => uri::index(branch.code, value, out),
        Kind::Special => special::index(branch.code, value, out),
    }
}

/// Puts into the index what is said of all values of a branch together.
pub fn index_together(branch: &Branch, values: &[Value<'_>], out: &mut Collector) {
    if !branch.target_filters.is_empty() && !values.is_empty() {
        reference::index_other_targets(branch, values, out);
    }
}

/// A comparison in front of a number, date or quantity.
///
/// Spec: <https://hl7.org/fhir/R4/search.html#prefix>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Less.
    Lt,
    /// Greater or equal.
    Ge,
    /// Less or equal.
    Le,
    /// Starts after.
    Sa,
    /// Ends before.
    Eb,
    /// About.
    Ap,
}

impl Prefix {
    /// Takes a prefix off a value; without one it is [`Prefix::Eq`].
    pub fn split(text: &str) -> (Prefix, &str) {
        for (code, prefix) in [
            ("eq", Prefix::Eq),
            ("ne", Prefix::Ne),
            ("gt", Prefix::Gt),
            ("lt", Prefix::Lt),
            ("ge", Prefix::Ge),
            ("le", Prefix::Le),
            ("sa", Prefix::Sa),
            ("eb", Prefix::Eb),
            ("ap", Prefix::Ap),
        ] {
            if let Some(rest) = text.strip_prefix(code) {
                return (prefix, rest);
            }
        }
        (Prefix::Eq, text)
    }
}

/// Returns what a prefix asks of intervals, for the interval `[low, high]` of
/// the value searched for; `about` is that interval widened.
///
/// Numbers give the value itself as `exact`: only `eq` and `ne` look at its
/// precision. For dates `exact` is the interval.
///
/// `ge` and `le` ask that some of the interval in the resource be at or above
/// (at or below) the value searched for: a stay that ends at noon is found by
/// `ge` that day. The letter of the specification would leave it out, being
/// neither past that day nor within it; servers agree to keep it.
fn compare(
    hash: EqualHash,
    prefix: Prefix,
    (low, high): (i64, i64),
    exact: (i64, i64),
    about: (i64, i64),
) -> Predicate {
    let span = |low, high| Predicate::Span(SpanRange { hash, low, high });
    let above = (exact.1.saturating_add(1), i64::MAX);
    let below = (i64::MIN, exact.0.saturating_sub(1));
    match prefix {
        Prefix::Eq => span((low, i64::MAX), (i64::MIN, high)),
        // Not equal is said of a value: a resource without one does not match.
        Prefix::Ne => Predicate::Any(vec![
            span((i64::MIN, low.saturating_sub(1)), ANY),
            span(ANY, (high.saturating_add(1), i64::MAX)),
        ]),
        Prefix::Gt => span(ANY, above),
        Prefix::Lt => span(below, ANY),
        Prefix::Ge => span(ANY, (exact.0, i64::MAX)),
        Prefix::Le => span((i64::MIN, exact.1), ANY),
        Prefix::Sa => span(above, ANY),
        Prefix::Eb => span(ANY, below),
        Prefix::Ap => span((i64::MIN, about.1), (about.0, i64::MAX)),
    }
}

/// Refuses a modifier where none goes.
fn no_modifier(modifier: Option<&str>, kind: Kind) -> Result<(), ValueError> {
    match modifier {
        None => Ok(()),
        Some(modifier) => Err(ValueError::Modifier { modifier: modifier.to_owned(), kind: kind.code() }),
    }
}

/// Splits at a sign that is not escaped by `\`.
pub fn split_unescaped(text: &str, sign: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut begin = 0;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == sign {
            parts.push(&text[begin..at]);
            begin = at + c.len_utf8();
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// Takes the escapes `\,`, `\$`, `\|` and `\\` away.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next @ (',' | '$' | '|' | '\\'))) => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

/// Returns the target types of a reference parameter's branch.
fn targets_of(definition: &Definition, filtered: Option<TypeId>) -> Vec<TypeId> {
    match filtered {
        Some(target) => vec![target],
        None if definition.targets.is_empty()
            || definition.targets.contains(&fhir_model::schema::ty::RESOURCE) =>
        {
            fhir_model::schema::resource_types().collect()
        }
        None => definition.targets.clone(),
    }
}
