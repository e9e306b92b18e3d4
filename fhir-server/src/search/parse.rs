//! From the words of a search to what they mean: conditions over the index,
//! order, page, includes. Nothing is asked of the stores.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html>

use fhir_model::interaction::{Handling, Scope, SearchRequest};
use fhir_model::outcome::{Issue, Severity};
use fhir_model::schema::{TypeId, resource_types};

use super::condition::Condition;
use super::error::SearchError;
use super::include::Include;
use super::limits::SearchLimits;
use super::meaning::Meaning;
use super::page::{CURSOR_PARAMETER, Cursor, fingerprint};
use super::parameter::{QueryContext, split_unescaped};
use super::plan::{Hints, Order, SortKey};
use super::registry::Definitions;
use super::sort;

/// Whether the Bundle tells how many resources match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Total {
    /// When it is known anyway.
    #[default]
    Cheap,
    /// No.
    None,
    /// Roughly.
    Estimate,
    /// Exactly.
    Accurate,
}

/// A search, understood.
#[derive(Debug, Clone)]
pub struct Query {
    /// The types searched; `None` for all.
    pub types: Option<Vec<TypeId>>,
    /// What must hold of a match.
    pub condition: Condition,
    /// In which order matches are shown.
    pub order: Order,
    /// Matches of a page.
    pub page_size: u32,
    /// Whether only the number of matches is wanted.
    pub counts_only: bool,
    /// Whether the Bundle tells how many there are.
    pub total: Total,
    /// Which references are followed.
    pub includes: Vec<Include>,
    /// Where the page begins.
    pub cursor: Option<Cursor>,
    /// The path of the search below the base, such as `/Patient`.
    pub path: String,
    /// The parameters that were understood, as written.
    pub kept: Vec<(String, String)>,
    /// Tells this search from others, whatever the page.
    pub fingerprint: u64,
    /// What is known of the values of the condition.
    pub hints: Hints,
    /// What was passed over, for the Bundle's OperationOutcome.
    pub warnings: Vec<Issue>,
}

/// Understands a search.
///
/// # Errors
/// All that is wrong with it, in one [`Issue`]. Under lenient handling,
/// unknown and unusable parameters become warnings instead.
pub fn parse(
    request: &SearchRequest,
    definitions: &Definitions,
    limits: &SearchLimits,
    context: QueryContext<'_>,
) -> Result<Query, Issue> {
    let mut reading = Reading::new(request, definitions, limits, context)?;
    for (name, value) in &request.parameters {
        let understood = reading.parameter(name, value);
        reading.settle(name, value, understood)?;
    }
    reading.finish(request)
}

/// A search that is being read.
struct Reading<'r> {
    definitions: &'r Definitions,
    limits: &'r SearchLimits,
    handling: Handling,
    types: Vec<TypeId>,
    is_system: bool,
    /// Whether `_type` chooses the types.
    has_type_parameter: bool,
    meaning: Meaning<'r>,
    conditions: Vec<Condition>,
    sort: Vec<SortKey>,
    page_size: Option<u32>,
    summarizes_count: bool,
    total: Option<Total>,
    includes: Vec<Include>,
    cursor: Option<String>,
    kept: Vec<(String, String)>,
    warnings: Vec<Issue>,
    refused: Vec<SearchError>,
}

impl<'r> Reading<'r> {
    fn new(
        request: &SearchRequest,
        definitions: &'r Definitions,
        limits: &'r SearchLimits,
        context: QueryContext<'r>,
    ) -> Result<Reading<'r>, SearchError> {
        if request.parameters.len() > limits.parameters_max {
            return Err(SearchError::TooMany { what: "parameters", limit: limits.parameters_max });
        }
        let meaning = Meaning::new(definitions, limits, context);
        let mut reading = Reading {
            definitions,
            limits,
            handling: request.handling,
            types: Vec::new(),
            is_system: false,
            has_type_parameter: matches!(request.scope, Scope::System | Scope::Compartment { .. }),
            meaning,
            conditions: Vec::new(),
            sort: Vec::new(),
            page_size: None,
            summarizes_count: false,
            total: None,
            includes: Vec::new(),
            cursor: None,
            kept: Vec::new(),
            warnings: Vec::new(),
            refused: Vec::new(),
        };
        reading.scope(request)?;
        Ok(reading)
    }

    /// Finds the types searched, and what the scope alone demands.
    fn scope(&mut self, request: &SearchRequest) -> Result<(), SearchError> {
        match &request.scope {
            Scope::System => self.system_types(request)?,
            Scope::Type(of) => self.types = vec![*of],
            Scope::Instance(key) => {
                self.types = vec![key.resource_type];
                self.conditions.push(self.meaning.is_resource(key));
            }
            Scope::Compartment { focus, member } => {
                let members = self.meaning.compartment(focus, *member)?;
                self.types = members.iter().map(|(of, _)| *of).collect();
                let wanted = type_parameter(request)?;
                if let Some(wanted) = wanted {
                    self.types.retain(|of| wanted.contains(of));
                }
                let conditions =
                    members.into_iter().filter(|(of, _)| self.types.contains(of)).map(|(_, c)| c);
                self.conditions.push(Condition::any(conditions));
            }
        }
        Ok(())
    }

    fn system_types(&mut self, request: &SearchRequest) -> Result<(), SearchError> {
        match type_parameter(request)? {
            Some(types) => self.types = types,
            None => {
                self.is_system = true;
                self.types = resource_types().collect();
            }
        }
        Ok(())
    }

    /// Understands one parameter.
    fn parameter(&mut self, name: &str, value: &str) -> Result<(), SearchError> {
        let plain = name.split(':').next().unwrap_or(name);
        let unusable = |why: &str| SearchError::Unusable { name: name.to_owned(), why: why.to_owned() };
        let bad = |why: String| SearchError::BadValue { name: name.to_owned(), why };
        if value.is_empty() && !name.is_empty() {
            return Err(unusable(&format!("parameter `{name}` has no value and was left out")));
        }
        match plain {
            CURSOR_PARAMETER => self.cursor = Some(value.to_owned()),
            "_count" => {
                let count: u32 = value
                    .parse()
                    .map_err(|_| bad(format!("_count must be a whole number from 0, not `{value}`")))?;
                self.page_size = Some(count.min(self.limits.page_size_max));
            }
            "_total" => {
                self.total = Some(match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(bad(format!("_total is none, estimate or accurate, not `{value}`"))),
                });
            }
            "_summary" => match value {
                "count" => self.summarizes_count = true,
                "true" | "false" | "text" | "data" => {}
                _ => {
                    return Err(bad(format!("_summary is true, false, text, data or count, not `{value}`")));
                }
            },
            // What is shown of a resource is decided where it is shown.
            "_elements" | "_format" | "_pretty" => {}
            "_sort" => {
                let keys = sort::parse(value, &self.types, self.definitions, self.limits)?;
                if self.sort.len() + keys.len() > self.limits.sort_keys_max {
                    return Err(SearchError::TooMany { what: "sort keys", limit: self.limits.sort_keys_max });
                }
                self.sort.extend(keys);
            }
            "_include" | "_revinclude" => {
                if self.includes.len() >= self.limits.includes_max {
                    return Err(SearchError::TooMany {
                        what: "_include and _revinclude",
                        limit: self.limits.includes_max,
                    });
                }
                for one in split_unescaped(value, ',') {
                    self.includes.push(Include::parse(name, one, self.definitions)?);
                }
            }
            "_contained" if value == "false" => {}
            "_contained" | "_containedType" => {
                return Err(unusable("contained resources are not searched on their own here"));
            }
            "_query" => return Err(unusable("no named queries are defined here")),
            "_score" => return Err(unusable("matches carry no score here")),
            // Decided with the scope.
            "_type" if name == "_type" && self.has_type_parameter => {}
            _ => {
                let condition = self.meaning.parameter(&self.types, name, value)?;
                self.conditions.push(condition);
            }
        }
        Ok(())
    }

    /// Keeps what was understood; passes over or refuses the rest.
    fn settle(&mut self, name: &str, value: &str, understood: Result<(), SearchError>) -> Result<(), Issue> {
        match understood {
            Ok(()) => {
                if name != CURSOR_PARAMETER {
                    self.kept.push((name.to_owned(), value.to_owned()));
                }
            }
            Err(error) if error.is_lenient() => match self.handling {
                Handling::Lenient => {
                    let mut issue = Issue::from(error);
                    issue.severity = Severity::Warning;
                    self.warnings.push(issue);
                }
                Handling::Strict => self.refused.push(error),
            },
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn finish(mut self, request: &SearchRequest) -> Result<Query, Issue> {
        let mut refused = self.refused.drain(..);
        if let Some(first) = refused.next() {
            return Err(refused.fold(Issue::from(first), |issue, other| issue.and(other.into())));
        }
        drop(refused);
        let condition = Condition::all(self.conditions);
        if condition.terms() > self.limits.terms_max {
            return Err(SearchError::TooMany {
                what: "conditions, chains spelled out",
                limit: self.limits.terms_max,
            }
            .into());
        }
        let path = path(&request.scope);
        let fingerprint = fingerprint(&path, self.kept.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let order = if self.sort.is_empty() { Order::Newest } else { Order::By(self.sort) };
        let cursor = self.cursor.map(|text| Cursor::decode(&text, fingerprint)).transpose()?;
        let expected = match &order {
            Order::Newest => 0,
            Order::By(keys) => keys.len(),
        };
        if cursor.as_ref().is_some_and(|c| c.values.len() != expected) {
            return Err(SearchError::BadCursor.into());
        }
        let page_size = self.page_size.unwrap_or(self.limits.page_size_default);
        Ok(Query {
            types: if self.is_system { None } else { Some(self.types) },
            condition,
            order,
            page_size,
            counts_only: self.summarizes_count || page_size == 0,
            total: self.total.unwrap_or_default(),
            includes: self.includes,
            cursor,
            path,
            kept: self.kept,
            fingerprint,
            hints: self.meaning.into_hints(),
            warnings: self.warnings,
        })
    }
}

/// The types that `_type` names; `None` without it.
fn type_parameter(request: &SearchRequest) -> Result<Option<Vec<TypeId>>, SearchError> {
    let mut types: Option<Vec<TypeId>> = None;
    for (_, value) in request.parameters.iter().filter(|(name, value)| name == "_type" && !value.is_empty()) {
        let mut named = Vec::new();
        for name in value.split(',') {
            named.push(TypeId::resource_named(name.trim()).ok_or_else(|| SearchError::BadValue {
                name: "_type".to_owned(),
                why: format!("`{name}` is not a resource type"),
            })?);
        }
        named.sort_unstable();
        named.dedup();
        types = Some(match types {
            None => named,
            Some(before) => before.into_iter().filter(|t| named.contains(t)).collect(),
        });
    }
    Ok(types)
}

fn path(scope: &Scope) -> String {
    match scope {
        Scope::System => String::new(),
        Scope::Type(of) => format!("/{of}"),
        Scope::Instance(key) => format!("/{}/{}", key.resource_type, key.id.as_str()),
        Scope::Compartment { focus, member } => {
            let member = member.map_or("*", TypeId::name);
            format!("/{}/{}/{member}", focus.resource_type, focus.id.as_str())
        }
    }
}
