//! Runs a search: plan, statements, includes, Bundle. With `rows` and
//! `included`, the only stage that touches the stores.

use std::sync::{Arc, PoisonError, RwLock};

use diesel::Connection as _;
use fhir_model::interaction::{Criteria, Handling, Performed, ResourceKey, Scope, SearchRequest};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::TypeId;

use super::codes::{self, Codes};
use super::condition::Condition;
use super::forms;
use super::included::included;
use super::limits::SearchLimits;
use super::merges::Merges;
use super::page::{CURSOR_PARAMETER, Cursor, Direction};
use super::parameter::QueryContext;
use super::parse::{Query, Total, parse};
use super::plan::{Access, Order, Plan, Position, Question, plan};
use super::registry::Definitions;
use super::render::{Wanted, render, render_by_keys, render_probe, render_resources};
use super::rows::Page;
use super::scan;
use super::searchset::{Searchset, write_parameter};
use crate::identity::Matcher;
use crate::identity::survivorship::Survivorship;
use crate::knowledge::Knowledge;
use crate::storage::{Connection, Reads, RenderedSql, StorageError, StoredResource};

/// Matches of a page that is answered where it is asked for.
const QUICK_PAGE_MAX: u32 = 50;
/// Rows counted for `_total=estimate`.
const ESTIMATE_ROWS: u64 = 10_000;

/// Answers searches: the search parameters, and how much one search may ask for.
#[derive(Debug)]
pub struct Search {
    standard: Arc<Definitions>,
    definitions: RwLock<Arc<Definitions>>,
    bases: Vec<String>,
    limits: SearchLimits,
    knowledge: Arc<Knowledge>,
    merges: Merges,
    matcher: Matcher,
    survivorship: Survivorship,
}

impl Search {
    /// Makes a search over the standard parameters. `bases` are the URLs under which
    /// this server is known: references to them are to resources here.
    pub fn new(definitions: Arc<Definitions>, bases: Vec<String>, limits: SearchLimits) -> Search {
        let knowledge = Arc::new(Knowledge::new(None));
        let standard = Arc::clone(&definitions);
        let merges = Merges::default();
        let (definitions, matcher) = (RwLock::new(definitions), Matcher::default());
        let survivorship = Survivorship::default();
        Search { standard, definitions, bases, limits, knowledge, merges, matcher, survivorship }
    }

    /// Sets what tells who is the same person.
    pub fn with_matcher(mut self, matcher: Matcher) -> Search {
        self.matcher = matcher;
        self
    }

    /// Returns what tells who is the same person.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// Sets how the best that is known of a person is found.
    pub(crate) fn with_survivorship(mut self, survivorship: Survivorship) -> Search {
        self.survivorship = survivorship;
        self
    }

    /// Returns how the best that is known of a person is found.
    pub(crate) fn survivorship(&self) -> &Survivorship {
        &self.survivorship
    }

    /// Sets what knows the definitions of this server.
    pub fn with_knowledge(mut self, knowledge: Knowledge) -> Search {
        self.knowledge = Arc::new(knowledge);
        self
    }

    /// Returns what knows the definitions of this server.
    pub fn knowledge(&self) -> &Arc<Knowledge> {
        &self.knowledge
    }

    /// Returns which patients are merged.
    pub fn merges(&self) -> &Merges {
        &self.merges
    }

    /// Returns the standard parameters.
    pub fn standard(&self) -> Arc<Definitions> {
        Arc::clone(&self.standard)
    }

    /// Returns the search parameters.
    pub fn definitions(&self) -> Arc<Definitions> {
        Arc::clone(&self.definitions.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other search parameters in place of those there are.
    pub fn set_definitions(&self, definitions: Arc<Definitions>) {
        *self.definitions.write().unwrap_or_else(PoisonError::into_inner) = definitions;
    }

    /// Answers a search with a searchset Bundle. Blocks on the database.
    /// `base` is the base of the URLs in the answer.
    ///
    /// # Errors
    /// What is wrong with the search, `too-costly`, or an issue of the storage.
    pub fn search(
        &self,
        data: &mut Connection,
        request: &SearchRequest,
        base: &str,
    ) -> Result<Performed, Issue> {
        let definitions = self.definitions();
        let mut query = self.parse(data, request, &definitions)?;
        self.resolve(data, &mut query, &definitions)?;
        let run = self.run(&query, &definitions);
        let bundle = if query.needs_snapshot() {
            data.transaction(|data| run.answer(data, base).map_err(Failed)).map_err(|failed| failed.0)?
        } else {
            run.answer(data, base)?
        };
        Ok(Performed::json(bundle))
    }

    /// Answers a search that takes well below a millisecond, whatever is
    /// stored: rows of an index range as they come, without looking for others
    /// between them. `None` when it is not known to be one.
    ///
    /// # Errors
    /// As [`Search::search`].
    pub fn search_quickly(
        &self,
        data: &mut Connection,
        request: &SearchRequest,
        base: &str,
    ) -> Result<Option<Performed>, Issue> {
        let definitions = self.definitions();
        let mut query = self.parse(data, request, &definitions)?;
        if query.counts_only || query.needs_snapshot() || query.page_size > QUICK_PAGE_MAX {
            return Ok(None);
        }
        if self.merges.asks_for(&query.condition) {
            return Ok(None);
        }
        self.resolve(data, &mut query, &definitions)?;
        let question = Question {
            types: query.types.clone(),
            condition: query.condition.clone(),
            order: Order::Newest,
            visits_all: false,
            hints: query.hints.clone(),
        };
        // What must be counted first may be anything.
        let Ok(plan) = plan(&question, |_, _| Err(())) else { return Ok(None) };
        if !plan.is_range() || query.total == Total::Estimate {
            return Ok(None);
        }
        let run = self.run(&query, &definitions);
        run.answer_by(data, &plan, &query.condition, base).map(|bundle| Some(Performed::json(bundle)))
    }

    /// Finds what a conditional interaction means: at most `limit` resources,
    /// newest first. On the writer's connection it sees what is not yet
    /// committed. Anything not understood is an error, whatever the handling.
    ///
    /// # Errors
    /// What is wrong with the criteria, `too-costly`, or an issue of the storage.
    pub fn matches(
        &self,
        data: &mut Connection,
        of: TypeId,
        criteria: &Criteria,
        limit: usize,
    ) -> Result<Vec<ResourceKey>, Issue> {
        let definitions = self.definitions();
        let request = SearchRequest {
            scope: Scope::Type(of),
            parameters: criteria.0.clone(),
            handling: Handling::Strict,
        };
        let mut query = self.parse(data, &request, &definitions)?;
        if query.condition.is_always() {
            return Err(Issue::error(IssueType::Required)
                .text("the criteria of a conditional interaction must narrow the search"));
        }
        self.resolve(data, &mut query, &definitions)?;
        let run = self.run(&query, &definitions);
        let condition = scan::resolve(data, query.condition.clone(), &self.limits)?;
        let plan = run.plan(data, condition, Order::Newest, false)?;
        let mut found = data.resources(&render_resources(&plan, None, false, limit as u64))?;
        found.sort_by_key(|f| std::cmp::Reverse(f.number));
        Ok(found.into_iter().map(|f| f.key).collect())
    }

    /// Tells how a search would be answered.
    ///
    /// # Errors
    /// What is wrong with the search, or an issue of the storage.
    pub fn explain(&self, data: &mut Connection, request: &SearchRequest) -> Result<String, Issue> {
        let definitions = self.definitions();
        let mut query = self.parse(data, request, &definitions)?;
        self.resolve(data, &mut query, &definitions)?;
        let run = self.run(&query, &definitions);
        let condition = scan::resolve(data, query.condition.clone(), &self.limits)?;
        let order = if query.counts_only { Order::Newest } else { query.order.clone() };
        let plan = run.plan(data, condition, order, query.counts_only)?;
        Ok(super::explain::explain(&query, &plan))
    }

    fn parse(
        &self,
        data: &mut Connection,
        request: &SearchRequest,
        definitions: &Definitions,
    ) -> Result<Query, Issue> {
        let now_micros = jiff::Timestamp::now().as_microsecond();
        let asked = codes::asked(&request.parameters);
        let codes = if asked.is_empty() {
            Codes::default()
        } else {
            let known = self.knowledge.current(data)?;
            Codes::find(&known.terminology, &asked, self.limits.alternatives_max)
        };
        let context = QueryContext { bases: &self.bases, now_micros, codes: &codes };
        parse(request, definitions, &self.limits, context)
    }

    /// Puts what is stored in place of what only stands for it: forms of values, patients that were merged.
    fn resolve(
        &self,
        data: &mut Connection,
        query: &mut Query,
        definitions: &Definitions,
    ) -> Result<(), Issue> {
        forms::resolve(data, query)?;
        self.merges.resolve(data, query, definitions, &self.limits)
    }

    fn run<'r>(&'r self, query: &'r Query, definitions: &'r Definitions) -> Run<'r> {
        Run { query, definitions, bases: &self.bases, limits: &self.limits }
    }
}

/// One search being answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'r> {
    pub(super) query: &'r Query,
    pub(super) definitions: &'r Definitions,
    pub(super) bases: &'r [String],
    pub(super) limits: &'r SearchLimits,
}

impl Run<'_> {
    fn answer(&self, data: &mut Connection, base: &str) -> Result<Vec<u8>, Issue> {
        let query = self.query;
        let condition = scan::resolve(data, query.condition.clone(), self.limits)?;
        if query.counts_only {
            let issues = &query.warnings;
            let total = self.count(data, &condition, None)?;
            let links = vec![("self", query.url(base, None))];
            let set = Searchset { base, total: Some(total), links, issues, ..Searchset::default() };
            return Ok(set.to_json()?);
        }
        let plan = self.plan(data, condition.clone(), query.order.clone(), false)?;
        self.answer_by(data, &plan, &condition, base)
    }

    /// Answers with a page of what a plan finds.
    fn answer_by(
        &self,
        data: &mut Connection,
        plan: &Plan,
        condition: &Condition,
        base: &str,
    ) -> Result<Vec<u8>, Issue> {
        let query = self.query;
        let mut issues = query.warnings.clone();
        let page = self.page(data, plan, &mut issues)?;
        let included = included(data, &query.includes, &page.found, self.limits, &mut issues)?;
        let total = self.total(data, condition, &page)?;
        let links = links(query, base, &page);
        let matches = &page.found;
        let (included, issues) = (&included, &issues);
        let set = Searchset { base, total, links, matches, included, issues, ..Searchset::default() };
        Ok(set.to_json()?)
    }

    /// Makes the plan, counting in the database where it must.
    pub(super) fn plan(
        &self,
        data: &mut Connection,
        condition: Condition,
        order: Order,
        visits_all: bool,
    ) -> Result<Plan, Issue> {
        let (types, hints) = (self.query.types.clone(), self.query.hints.clone());
        let question = Question { types, condition, order, visits_all, hints };
        plan(&question, |access, limit| probe(data, access, limit))
    }

    fn count(&self, data: &mut Connection, condition: &Condition, limit: Option<u64>) -> Result<u64, Issue> {
        if condition.is_always() {
            // The counters know.
            let mut total = 0;
            match &self.query.types {
                None => total = data.count(None)?,
                Some(types) => {
                    for of in types {
                        total += data.count(Some(*of))?;
                    }
                }
            }
            return Ok(total.max(0) as u64);
        }
        let plan = self.plan(data, condition.clone(), Order::Newest, true)?;
        let wanted = limit.map_or(Wanted::Count, Wanted::CountTo);
        number(data, &render(&plan, wanted)).map(|rows| rows.max(0) as u64)
    }

    fn total(&self, data: &mut Connection, condition: &Condition, page: &Page) -> Result<Option<u64>, Issue> {
        let query = self.query;
        // A page that holds everything has been counted.
        if query.cursor.is_none() && !page.has_next && query.total != Total::None {
            return Ok(Some(page.found.len() as u64));
        }
        match query.total {
            Total::Accurate => self.count(data, condition, None).map(Some),
            Total::Estimate => self.count(data, condition, Some(ESTIMATE_ROWS)).map(Some),
            Total::Cheap if condition.is_always() => self.count(data, condition, None).map(Some),
            Total::Cheap | Total::None => Ok(None),
        }
    }
}

/// Counts the rows of a source up to a limit.
pub(super) fn probe(data: &mut Connection, access: &Access, limit: u64) -> Result<u64, Issue> {
    number(data, &render_probe(access, limit)).map(|rows| rows.max(0) as u64)
}

/// Runs a statement that gives one number.
pub(super) fn number(data: &mut Connection, statement: &RenderedSql) -> Result<i64, Issue> {
    Ok(data.integers(statement)?.first().copied().unwrap_or(0))
}

/// Fetches resources by their keys, in the order of the keys.
pub(super) fn by_keys(data: &mut Connection, keys: &[i64]) -> Result<Vec<StoredResource>, Issue> {
    let mut found = data.resources(&render_by_keys(keys))?;
    let place = |key: i64| keys.iter().position(|k| *k == key);
    if !found.iter().map(|f| f.number).eq(keys.iter().copied()) {
        found.sort_by_cached_key(|f| place(f.number));
    }
    Ok(found)
}

/// An issue on its way through a transaction.
struct Failed(Issue);

impl From<diesel::result::Error> for Failed {
    fn from(error: diesel::result::Error) -> Failed {
        Failed(StorageError::from(error).into())
    }
}

fn links(query: &Query, base: &str, page: &Page) -> Vec<(&'static str, String)> {
    let cursor = |direction: Direction, position: Option<&Position>| {
        position.map(|p| Cursor { direction, since: page.since, values: p.values.clone(), key: p.key })
    };
    let mut links = vec![("self", query.url(base, query.cursor.as_ref()))];
    if page.has_previous || query.cursor.is_some() {
        links.push(("first", query.url(base, None)));
    }
    if page.has_previous
        && let Some(previous) = cursor(Direction::Backward, page.positions.first())
    {
        links.push(("previous", query.url(base, Some(&previous))));
    }
    if page.has_next
        && let Some(next) = cursor(Direction::Forward, page.positions.last())
    {
        links.push(("next", query.url(base, Some(&next))));
    }
    links
}

impl Query {
    /// Tells whether several statements must see one state.
    fn needs_snapshot(&self) -> bool {
        self.order != Order::Newest
            || !self.includes.is_empty()
            || self.total == Total::Accurate
            || self.condition.has_scan()
    }

    /// Returns the URL of the search, or of one of its pages.
    fn url(&self, base: &str, cursor: Option<&Cursor>) -> String {
        let mut url = format!("{base}{}", self.path);
        for (name, value) in &self.kept {
            write_parameter(&mut url, name, value);
        }
        if let Some(cursor) = cursor {
            write_parameter(&mut url, CURSOR_PARAMETER, &cursor.encode(self.fingerprint));
        }
        url
    }
}
