//! History: versions, newest first.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#history>

use diesel::prelude::*;
use fhir_model::interaction::ResourceKey;
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;

use super::error::StorageError;
use super::reader::{Reader, superseded_columns};
use super::resource::{Row, StoredResource, of_row};
use super::schema;
use crate::index::row::TypeCode;

/// Whose versions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryScope {
    /// Those of one resource.
    Instance(ResourceKey),
    /// Those of one type.
    Type(TypeId),
    /// All.
    System,
}

/// Which versions are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Whose.
    pub scope: HistoryScope,
    /// Only versions stored at or after this: `_since`.
    pub since: Option<Instant>,
    /// Only versions that were current at some time from the first to the
    /// second instant: `_at`.
    pub at: Option<(Instant, Instant)>,
    /// Only versions stored before this: the last `updated` of the page before.
    pub before: Option<Instant>,
    /// How many at most.
    pub limit: usize,
}

impl HistoryQuery {
    /// Makes a query for the newest versions of a scope.
    pub fn newest(scope: HistoryScope, limit: usize) -> HistoryQuery {
        HistoryQuery { scope, since: None, at: None, before: None, limit }
    }

    fn window(&self) -> Window {
        let (at_low, at_high) = self.at.map_or((i64::MIN, i64::MAX), |(low, high)| (low.0, high.0));
        Window {
            low: self.since.map_or(i64::MIN, |i| i.0),
            high: self.before.map_or(i64::MAX, |i| i.0.saturating_sub(1)).min(at_high),
            superseded_after: at_low,
            limit: i64::try_from(self.limit).unwrap_or(i64::MAX),
        }
    }
}

/// The bounds of a query as numbers; `low` and `high` belong to it.
struct Window {
    low: i64,
    high: i64,
    superseded_after: i64,
    limit: i64,
}

/// Builds the query for current versions with a filter of its own.
macro_rules! current_versions {
    ($window:expr $(, $filter:expr)?) => {{
        use schema::resource::dsl as r;
        r::resource
            $(.filter($filter))?
            .filter(r::updated.ge($window.low).and(r::updated.le($window.high)))
            .order(r::updated.desc())
            .limit($window.limit)
            .select((
                r::key, r::type_code, r::id, r::version, r::updated, r::operation, r::deleted, r::hole, r::body,
            ))
    }};
}

/// Builds the query for superseded versions with a filter of its own.
macro_rules! superseded_versions {
    ($window:expr $(, $filter:expr)?) => {{
        use schema::version::dsl as v;
        v::version
            .inner_join(schema::resource::table)
            $(.filter($filter))?
            .filter(v::updated.ge($window.low).and(v::updated.le($window.high)))
            .filter(v::superseded.gt($window.superseded_after))
            .order(v::updated.desc())
            .limit($window.limit)
            .select(superseded_columns())
    }};
}

impl Reader {
    /// Returns versions, newest first. An instance that was never there has none.
    ///
    /// # Errors
    /// When the database fails or a row is damaged.
    pub fn history(&mut self, query: &HistoryQuery) -> Result<Vec<StoredResource>, StorageError> {
        // A version may be superseded between two statements.
        self.snapshot(|reader| reader.history_within(query))
    }

    fn history_within(&mut self, query: &HistoryQuery) -> Result<Vec<StoredResource>, StorageError> {
        let window = query.window();
        let (current, superseded) = match &query.scope {
            HistoryScope::Instance(key) => {
                let Some(head) = self.head(key)? else { return Ok(Vec::new()) };
                let superseded = superseded_versions!(window, schema::version::key.eq(head.key))
                    .load(&mut self.connection);
                (
                    current_versions!(window, schema::resource::key.eq(head.key)).load(&mut self.connection),
                    superseded,
                )
            }
            HistoryScope::Type(resource_type) => {
                let code = TypeCode::of(*resource_type).0;
                let superseded = superseded_versions!(window, schema::version::type_code.eq(code))
                    .load(&mut self.connection);
                (
                    current_versions!(window, schema::resource::type_code.eq(code))
                        .load(&mut self.connection),
                    superseded,
                )
            }
            HistoryScope::System => {
                let superseded = superseded_versions!(window).load(&mut self.connection);
                (current_versions!(window).load(&mut self.connection), superseded)
            }
        };
        let mut rows: Vec<Row> = current.map_err(|e| self.failed(e))?;
        rows.extend(superseded.map_err(|e| self.failed(e))?);
        let mut versions = rows.into_iter().map(of_row).collect::<Result<Vec<_>, _>>()?;
        versions.sort_by_key(|v| std::cmp::Reverse(v.updated));
        versions.truncate(query.limit);
        Ok(versions)
    }
}
