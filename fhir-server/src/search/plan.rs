//! From a condition to how it will be answered: what drives, what is checked
//! for each candidate, in which order. A plan is a plain value that prints
//! (`explain`) and is turned into SQL by `render` alone.
//!
//! The driver is the narrowest condition, as probed; when none is narrow, the
//! resources are walked newest first and each is checked.

use fhir_model::schema::TypeId;

use super::condition::{Condition, SpanRange, TextComparison, TextMatch};
use super::page::SortValue;
use crate::index::row::{BranchCode, EqualHash, Link, Pair, TargetHash};

/// How a search will be answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The types searched; `None` for all.
    pub types: Option<Vec<TypeId>>,
    /// Where candidates come from.
    pub driver: Driver,
    /// What is checked of each candidate.
    pub checks: Vec<Condition>,
    /// In which order they are shown.
    pub order: Order,
    /// What was counted to choose the driver.
    pub probes: Vec<Probe>,
}

/// Where candidates come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Driver {
    /// There are none.
    Nothing,
    /// All resources of the types, newest first.
    Walk,
    /// Index ranges that are in the order of the keys; they are merged, and
    /// no more is read than is shown.
    Streams(Vec<Stream>),
    /// Keys that are gathered and then ordered.
    Gather(Access),
    /// The index range that is in the order of the one sort key; resources
    /// without a value come after it.
    Ordered,
}

/// An index range in the order of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The resources with a value.
    Equal(EqualHash),
    /// The resources that refer to something.
    Link(Link),
    /// The resources with a value and a link.
    Pair(Pair),
}

/// A source of keys, and what is checked of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Access {
    /// Where the keys come from.
    pub source: Source,
    /// What is checked of each.
    pub checks: Vec<Condition>,
}

impl Plan {
    /// Tells whether a page is the first rows of index ranges.
    pub fn is_range(&self) -> bool {
        let is_by_key = match &self.driver {
            Driver::Streams(_) | Driver::Walk | Driver::Nothing => true,
            Driver::Gather(access) => matches!(access.source, Source::Id(_)) && access.checks.is_empty(),
            Driver::Ordered => false,
        };
        is_by_key && self.order == Order::Newest && self.checks.is_empty()
    }
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Values.
    Equal(Vec<EqualHash>),
    /// References.
    Link(Vec<Link>),
    /// Intervals.
    Span(SpanRange),
    /// Text that starts so, along one branch.
    Text(BranchCode, String),
    /// Named resources.
    Id(Vec<TargetHash>),
    /// Known keys.
    Keys(Vec<i64>),
    /// Resources changed in this interval.
    Updated {
        /// The first instant.
        low: i64,
        /// The last instant.
        high: i64,
    },
    /// Several sources.
    Union(Vec<Access>),
    /// What refers to resources found first.
    Chain {
        /// Along which branches.
        branches: Vec<BranchCode>,
        /// The resources referred to.
        targets: Vec<(TypeId, Access)>,
    },
    /// What resources found first refer to.
    Has {
        /// Along which branches.
        branches: Vec<BranchCode>,
        /// The referring resources.
        from: Box<Access>,
    },
}

/// In which order matches are shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Newest first: by key.
    Newest,
    /// By values, then newest first.
    By(Vec<SortKey>),
}

/// One sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// The parameter as the caller wrote it.
    pub name: String,
    /// What the rows are ordered by.
    pub by: SortBy,
    /// Greatest first.
    pub descending: bool,
    /// Whether a resource has at most one value of it.
    pub is_single: bool,
}

/// What rows are ordered by.
#[derive(Debug, Clone, PartialEq)]
pub enum SortBy {
    /// The last change.
    Updated,
    /// The logical id.
    Id,
    /// The lower ends of these intervals: the least, or the greatest when descending.
    Span(Vec<EqualHash>),
    /// The folded text along these branches: the first, or the last when descending.
    Text(Vec<BranchCode>),
}

/// How many rows a source was seen to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The place of the condition among those of the search.
    pub term: usize,
    /// The rows counted.
    pub rows: u64,
    /// Whether counting stopped there.
    pub is_cut: bool,
}

/// The characters of a text that count for the order: cursors carry them.
pub const SORT_TEXT_CHARS: usize = 100;

/// A position that a page begins after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The sort values of the row.
    pub values: Vec<SortValue>,
    /// Its key.
    pub key: i64,
}

/// Below this many rows a source is narrow: no other is looked for.
const NARROW: u64 = 500;
/// Above this many rows a source is not gathered when an ordered range or a walk will do.
const WIDE: u64 = 8_000;
/// Ranges merged in one statement at most.
const STREAMS_MAX: usize = 8;

/// Sources gathered in one statement at most.
const UNION_MAX: usize = 64;

/// What the planner is told about a search.
#[derive(Debug, Clone)]
pub struct Question {
    /// The types searched; `None` for all.
    pub types: Option<Vec<TypeId>>,
    /// What must hold.
    pub condition: Condition,
    /// In which order.
    pub order: Order,
    /// Whether every match will be visited anyway, as for a count.
    pub visits_all: bool,
    /// What is known of its values.
    pub hints: Hints,
}

/// What is known of the values of a search from the definitions: what the
/// index has in pairs of patient and value, and what occurs once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Intervals of which a resource has at most one.
    pub single: Vec<EqualHash>,
    /// Links to patients.
    pub links: Vec<Link>,
    /// Values.
    pub values: Vec<EqualHash>,
}

impl Question {
    /// Tells whether an index range is in the order of the sort.
    fn is_ordered_by_index(&self) -> bool {
        match (&self.order, self.types.as_deref()) {
            (Order::By(keys), Some([_])) if !self.visits_all => match keys.as_slice() {
                [key] => match &key.by {
                    SortBy::Updated => true,
                    SortBy::Span(hashes) => hashes.len() == 1,
                    SortBy::Text(_) | SortBy::Id => false,
                },
                _ => false,
            },
            _ => false,
        }
    }
}

/// Makes the plan. `probe` counts the rows of a source up to a limit.
///
/// # Errors
/// Whatever `probe` fails with.
pub fn plan<E>(
    question: &Question,
    mut probe: impl FnMut(&Access, u64) -> Result<u64, E>,
) -> Result<Plan, E> {
    let terms: Vec<Condition> = match &question.condition {
        Condition::All(parts) => parts.clone(),
        single => vec![single.clone()],
    };
    let terms = merge_spans(terms, &question.hints);
    let mut made = Plan {
        types: question.types.clone(),
        driver: Driver::Walk,
        checks: Vec::new(),
        order: question.order.clone(),
        probes: Vec::new(),
    };
    if question.condition.is_never() || terms.iter().any(Condition::is_never) {
        made.driver = Driver::Nothing;
        return Ok(made);
    }
    let choice = match paired(&terms, &question.hints) {
        Some((streams, used)) => Choice { driver: Driver::Streams(streams), used },
        None => choose(question, &terms, &mut made.probes, &mut probe)?,
    };
    made.driver = choice.driver;
    made.checks = terms
        .iter()
        .enumerate()
        .filter(|(at, _)| !choice.used.contains(at))
        .map(|(_, t)| t.clone())
        .collect();
    let walks = matches!(made.driver, Driver::Walk | Driver::Ordered);
    if !walks
        && !question.condition.names_its_type()
        && let Some(types) = &question.types
    {
        made.checks.insert(0, Condition::Type(types.clone()));
    }
    Ok(made)
}

struct Choice {
    driver: Driver,
    used: Vec<usize>,
}

/// Intervals merged from several conditions at most.
const MERGED_MAX: usize = 8;

/// Puts conditions on the same single interval together: `date=ge2020&date=lt2021`
/// is one range.
fn merge_spans(terms: Vec<Condition>, hints: &Hints) -> Vec<Condition> {
    let mut merged: Vec<Condition> = Vec::with_capacity(terms.len());
    for term in terms {
        let found = spans_of(&term, hints).and_then(|new| {
            merged.iter().enumerate().find_map(|(at, before)| {
                let old = spans_of(before, hints).filter(|old| old[0].hash == new[0].hash)?;
                (old.len() * new.len() <= MERGED_MAX).then(|| (at, meet(&old, &new)))
            })
        });
        match found {
            Some((at, both)) => merged[at] = Condition::any(both.into_iter().map(Condition::Span)),
            None => merged.push(term),
        }
    }
    merged
}

/// The intervals that a condition consists of, all under one hash of which a
/// resource has at most one; never an empty list.
fn spans_of(condition: &Condition, hints: &Hints) -> Option<Vec<SpanRange>> {
    let parts = match condition {
        Condition::Any(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let ranges = parts
        .iter()
        .map(|part| match part {
            Condition::Span(range) => Some(*range),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let first = ranges.first()?.hash;
    (hints.single.contains(&first) && ranges.iter().all(|r| r.hash == first)).then_some(ranges)
}

fn meet(a: &[SpanRange], b: &[SpanRange]) -> Vec<SpanRange> {
    let both = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
    let mut ranges: Vec<SpanRange> = a
        .iter()
        .flat_map(|a| {
            b.iter().map(move |b| SpanRange {
                hash: a.hash,
                low: both(a.low, b.low),
                high: both(a.high, b.high),
            })
        })
        .filter(|r| r.low.0 <= r.low.1 && r.high.0 <= r.high.1 && r.low.0 <= r.high.1)
        .collect();
    ranges.dedup();
    ranges
}

/// A link to a patient together with a value: answered by pairs in one range.
fn paired(terms: &[Condition], hints: &Hints) -> Option<(Vec<Stream>, Vec<usize>)> {
    let (link_at, links) = terms.iter().enumerate().find_map(|(at, term)| match term {
        Condition::Link(links) if links.iter().any(|l| hints.links.contains(l)) => Some((at, links)),
        _ => None,
    })?;
    let (value_at, values) = terms
        .iter()
        .enumerate()
        .filter_map(|(at, term)| match term {
            Condition::Equal(values) if values.iter().all(|v| hints.values.contains(v)) => Some((at, values)),
            _ => None,
        })
        .min_by_key(|(_, values)| values.len())?;
    // A link to anything but a patient has no pairs: then pairs cannot answer.
    if links.len() * values.len() > STREAMS_MAX || !links.iter().all(|l| hints.links.contains(l)) {
        return None;
    }
    let pairs = links.iter().flat_map(|link| {
        let focus = EqualHash::of_link(link.branch, link.target);
        values.iter().map(move |&value| Stream::Pair(Pair { focus, value }))
    });
    Some((pairs.collect(), vec![link_at, value_at]))
}

fn choose<E>(
    question: &Question,
    terms: &[Condition],
    probes: &mut Vec<Probe>,
    probe: &mut impl FnMut(&Access, u64) -> Result<u64, E>,
) -> Result<Choice, E> {
    let mut candidates: Vec<(usize, Access)> =
        terms.iter().enumerate().filter_map(|(at, t)| Some((at, access(t)?))).collect();
    candidates.sort_by_key(|(_, access)| rank(&access.source));
    let must_gather = question.visits_all || question.order != Order::Newest;
    let lone_stream = candidates.len() == 1 && terms_stream(&candidates);
    if let [(at, access)] = candidates.as_slice()
        && (lone_stream || must_gather)
        && !question.is_ordered_by_index()
    {
        return Ok(Choice { driver: driver_of(access.clone()), used: vec![*at] });
    }
    let mut best: Option<(u64, usize, Access)> = None;
    for limit in [NARROW, WIDE] {
        for (at, access) in &candidates {
            let limit = best.as_ref().map_or(limit, |b| b.0.min(limit));
            let rows = probe(access, limit)?;
            let is_cut = rows >= limit;
            probes.retain(|p| p.term != *at);
            probes.push(Probe { term: *at, rows, is_cut });
            if !is_cut {
                best = Some((rows, *at, access.clone()));
                if rows < NARROW / 10 {
                    break;
                }
            }
        }
        if best.is_some() {
            break;
        }
    }
    if let Some((_, at, access)) = best {
        return Ok(Choice { driver: driver_of(access), used: vec![at] });
    }
    let streamed = candidates.iter().find(|(_, access)| streams(&access.source).is_some());
    if question.is_ordered_by_index() {
        return Ok(Choice { driver: Driver::Ordered, used: Vec::new() });
    }
    let wide = if must_gather { streamed.or(candidates.first()) } else { streamed };
    Ok(match wide {
        Some((at, access)) => Choice { driver: driver_of(access.clone()), used: vec![*at] },
        None => Choice { driver: Driver::Walk, used: Vec::new() },
    })
}

fn terms_stream(candidates: &[(usize, Access)]) -> bool {
    candidates.iter().all(|(_, access)| streams(&access.source).is_some())
}

fn driver_of(access: Access) -> Driver {
    match streams(&access.source) {
        Some(streams) if access.checks.is_empty() => Driver::Streams(streams),
        _ => Driver::Gather(access),
    }
}

/// The ranges that a source consists of, where they are in the order of keys.
fn streams(source: &Source) -> Option<Vec<Stream>> {
    match source {
        Source::Equal(hashes) if hashes.len() <= STREAMS_MAX => {
            Some(hashes.iter().map(|&h| Stream::Equal(h)).collect())
        }
        Source::Link(links) if links.len() <= STREAMS_MAX => {
            Some(links.iter().map(|&l| Stream::Link(l)).collect())
        }
        _ => None,
    }
}

/// The order in which sources are looked at when nothing was counted.
fn rank(source: &Source) -> u8 {
    match source {
        Source::Id(_) | Source::Keys(_) => 0,
        Source::Equal(hashes) if hashes.len() == 1 => 1,
        Source::Link(_) => 2,
        Source::Equal(_) => 3,
        Source::Text(..) => 4,
        Source::Has { .. } | Source::Chain { .. } => 5,
        Source::Union(_) => 6,
        Source::Updated { .. } => 7,
        Source::Span(_) => 8,
    }
}

/// How the resources of a condition can be listed, where that is possible.
pub(crate) fn access(condition: &Condition) -> Option<Access> {
    let plain = |source| Some(Access { source, checks: Vec::new() });
    match condition {
        Condition::Equal(hashes) => plain(Source::Equal(hashes.clone())),
        Condition::Link(links) => plain(Source::Link(links.clone())),
        Condition::Span(range) => plain(Source::Span(*range)),
        Condition::Id(ids) => plain(Source::Id(ids.clone())),
        Condition::Keys(keys) => plain(Source::Keys(keys.clone())),
        Condition::Updated { low, high } => plain(Source::Updated { low: *low, high: *high }),
        Condition::Text(text) => text_access(text),
        Condition::Any(parts) if parts.len() <= UNION_MAX => {
            let parts = parts.iter().map(access).collect::<Option<Vec<_>>>()?;
            if parts.is_empty() { None } else { plain(Source::Union(parts)) }
        }
        Condition::All(parts) => {
            let (at, mut chosen) = parts
                .iter()
                .enumerate()
                .filter_map(|(at, p)| Some((at, access(p)?)))
                .min_by_key(|(_, a)| rank(&a.source))?;
            chosen.checks.extend(parts.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, p)| p.clone()));
            Some(chosen)
        }
        Condition::Chain(chain) => {
            let targets = chain
                .targets
                .iter()
                .map(|(target, inner)| Some((*target, access(inner)?)))
                .collect::<Option<Vec<_>>>()?;
            plain(Source::Chain { branches: chain.branches.clone(), targets })
        }
        Condition::Has(has) => {
            let from = Box::new(access(&has.condition)?);
            plain(Source::Has { branches: has.branches.clone(), from })
        }
        Condition::Any(_)
        | Condition::Not(_)
        | Condition::EqualForm(_)
        | Condition::SpanForm(_)
        | Condition::Linked(_)
        | Condition::Type(_)
        | Condition::Scan(_) => None,
    }
}

fn text_access(text: &TextMatch) -> Option<Access> {
    if text.comparison != TextComparison::Starts
        || text.folded.is_empty()
        || text.branches.len() > STREAMS_MAX
    {
        return None;
    }
    let mut parts: Vec<Access> = text
        .branches
        .iter()
        .map(|&branch| Access { source: Source::Text(branch, text.folded.clone()), checks: Vec::new() })
        .collect();
    match parts.len() {
        0 => None,
        1 => Some(parts.swap_remove(0)),
        _ => Some(Access { source: Source::Union(parts), checks: Vec::new() }),
    }
}
