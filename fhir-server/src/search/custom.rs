//! Custom search parameters: SearchParameter resources that are stored here
//! become parameters that can be searched by.
//!
//! The rule, for a SearchParameter that is stored, whatever the way:
//!
//! - With a URL of the specification (`http://hl7.org/fhir/SearchParameter/...`)
//!   it is stored as data; the standard parameter stays as this server has it.
//! - With status `active` it has to be usable, or is refused with 422.
//! - With status `draft` it is used where it can be; one that cannot is stored
//!   as data, and the answer says why.
//! - With another status (`retired`, `unknown`) it is stored as data.
//!
//! A custom parameter may take the place of a standard one of the same code and
//! type. What the specification builds on standard parameters (compartments,
//! `_list`) goes on with those. Of several custom ones of the same code, the
//! one that was first stored last stands. Taking one away brings back the one
//! that it replaced.
//!
//! The definitions change when the write is durable, on the writer's thread
//! ([`Activation::committed`]): no later write is stored with older ones.
//! `index/reindex.rs` indexes what was stored before; until that is done a
//! search by the parameter is an error, or under lenient handling a warning.
//!
//! Spec: <https://hl7.org/fhir/R4/searchparameter.html>

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::{Issue, IssueType, Reason, Severity};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Resource;

use super::Search;
use super::registry::{DefinitionError, Definitions, ParameterSource};
use crate::identity;
use crate::index::row::signature;
use crate::storage::{
    Effect, Reads, StoredParameter, StoredResource, WriteUnit, resource_numbered, stored_parameters,
};

/// Where the URLs of standard parameters begin.
const STANDARD_URLS: &str = "http://hl7.org/fhir/SearchParameter/";
/// How many custom parameters there may be.
const CUSTOM_MAX: usize = 1000;

/// Whether all resources are indexed for a parameter; copies share it.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Tells whether they are.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A custom parameter as it is defined.
#[derive(Debug, Clone)]
pub struct CustomDefinition {
    /// The number of the SearchParameter.
    pub number: i64,
    /// The version that says so.
    pub version: u32,
    /// What it says.
    pub source: ParameterSource,
}

/// A custom parameter in use.
#[derive(Debug)]
pub struct CustomParameter {
    /// The number of the SearchParameter.
    pub number: i64,
    /// The types for which the index holds something that it would not hold without.
    pub types: Vec<TypeId>,
    /// Since when it is to.
    pub requested: i64,
    definition: CustomDefinition,
    signature: i64,
    readiness: Readiness,
}

impl CustomParameter {
    /// Makes one of a definition; `parts` tell what it takes from resources.
    pub(super) fn new(
        definition: &CustomDefinition,
        types: Vec<TypeId>,
        parts: &[String],
        readiness: Readiness,
    ) -> CustomParameter {
        CustomParameter {
            number: definition.number,
            types,
            requested: 0,
            definition: definition.clone(),
            signature: signature(parts),
            readiness,
        }
    }

    /// Tells whether all resources are indexed for it.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// Says that all resources are indexed for it.
    pub fn set_ready(&self) {
        self.readiness.set();
    }
}

/// What a change of SearchParameters leads to, once it is durable.
#[derive(Debug)]
pub struct Activated {
    definitions: Arc<Definitions>,
    /// What is to be said of the SearchParameters changed.
    pub remarks: Vec<(ResourceKey, Issue)>,
}

/// A SearchParameter that may not be stored.
#[derive(Debug)]
pub struct Refused {
    /// Which one; `None` when the storage failed.
    pub key: Option<Box<ResourceKey>>,
    /// Why.
    pub issue: Issue,
}

impl<E: Into<Issue>> From<E> for Refused {
    fn from(error: E) -> Refused {
        Refused { key: None, issue: error.into() }
    }
}

/// Keeps the search parameters in step with the SearchParameters stored.
#[derive(Debug)]
pub struct Activation {
    search: Arc<Search>,
    /// What the last job that changed SearchParameters made; in use when it is durable.
    next: Mutex<Option<Arc<Definitions>>>,
}

impl Activation {
    /// Makes the one of a search.
    pub fn new(search: Arc<Search>) -> Activation {
        Activation { search, next: Mutex::new(None) }
    }

    /// Brings the definitions, and what is known of merges, in step with what
    /// is stored, before anything is served; returns the definitions.
    ///
    /// # Errors
    /// When the database fails.
    pub fn start(&self, unit: &mut WriteUnit<'_>) -> Result<Arc<Definitions>, Issue> {
        self.search.merges().start(unit)?;
        identity::start(unit)?;
        let noted = unit.unknown_parameters(|unit, stored| {
            note(unit, &stored, &stored.resource()?).map(|_| ()).map_err(Refused::from)
        });
        noted.and_then(|()| self.activate(unit, &[])).map(|a| a.definitions).map_err(|refused| refused.issue)
    }

    /// Puts definitions in use.
    pub fn set(&self, definitions: Arc<Definitions>) {
        self.search.set_definitions(definitions);
    }

    /// Notes what to put in use when the job is durable: the last thing that it does.
    pub fn prepare(&self, activated: &Activated) {
        let next = Some(Arc::clone(&activated.definitions));
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Puts in use what jobs prepared that are durable now. Returns whether
    /// there was anything. To be called on the writer's thread for each commit.
    pub fn committed(&self, effects: &[Effect]) -> bool {
        let is_about = |effect: &Effect| effect.key.resource_type == ty::SEARCH_PARAMETER;
        if !effects.iter().any(is_about) {
            return false;
        }
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        next.into_iter().map(|definitions| self.set(definitions)).count() > 0
    }

    /// Decides in the writer what becomes of SearchParameters that a job has
    /// changed, and asks for the indexing that it takes.
    ///
    /// # Errors
    /// When one is active and cannot be used, and when the database fails.
    pub fn activate(&self, unit: &mut WriteUnit<'_>, changed: &[ResourceKey]) -> Result<Activated, Refused> {
        let mut remarks = Vec::new();
        let mut written: Vec<(&ResourceKey, i64, bool)> = Vec::new();
        for key in changed {
            let Some(stored) = unit.current(key)? else { continue };
            if stored.deleted {
                unit.remove_parameter(stored.number)?;
                continue;
            }
            let resource = stored.resource()?;
            let is_active = resource.root().text_of(name::STATUS) == Some("active");
            written.push((key, stored.number, is_active));
            match note(unit, &stored, &resource)? {
                Noted::Used => {}
                Noted::Data(why) => remarks.push((key.clone(), remark(why))),
                Noted::Unusable(error) if is_active => {
                    return Err(Refused { key: Some(Box::new(key.clone())), issue: unusable(&error) });
                }
                Noted::Unusable(error) => remarks.push((key.clone(), left_out(&error))),
            }
        }
        let rows = stored_parameters(unit)?;
        if rows.len() > CUSTOM_MAX && !changed.is_empty() {
            let text = format!("there may be {CUSTOM_MAX} custom search parameters; retire or delete others");
            let issue = Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).text(text);
            return Err(Refused { key: changed.first().cloned().map(Box::new), issue });
        }
        let before = self.search.definitions();
        let mut custom = Vec::new();
        for row in &rows {
            custom.extend(definition_of(unit, &before, row)?);
        }
        let known = before.custom().iter().map(|c| (c.number, c.definition.version));
        if rows.len() == custom.len() && custom.iter().map(|c| (c.number, c.version)).eq(known) {
            return Ok(Activated { definitions: before, remarks });
        }
        let (mut definitions, refused) = self.search.standard().with_custom(&custom);
        for (at, error) in refused {
            let Some(number) = custom.get(at).map(|c| c.number) else { continue };
            match written.iter().find(|(_, n, _)| *n == number) {
                Some((key, _, true)) => {
                    return Err(Refused { key: Some(Box::new((*key).clone())), issue: unusable(&error) });
                }
                Some((key, _, false)) => remarks.push(((*key).clone(), left_out(&error))),
                None => tracing::warn!(%error, "a custom search parameter is not in use"),
            }
        }
        request(unit, &before, &mut definitions, &rows)?;
        for (key, number, _) in written {
            let custom = definitions.custom().iter().find(|c| c.number == number);
            if custom.is_some_and(|c| !c.is_ready()) {
                let text = "the parameter can be searched by when the resources stored so far are indexed";
                remarks.push((key.clone(), remark(text)));
            }
        }
        Ok(Activated { definitions: Arc::new(definitions), remarks })
    }
}

/// What becomes of a SearchParameter.
enum Noted {
    /// It defines a parameter.
    Used,
    /// It is stored as data, and this is why.
    Data(&'static str),
    /// It would define a parameter, and cannot be used.
    Unusable(DefinitionError),
}

/// Notes whether a SearchParameter defines a parameter of its own.
fn note(unit: &mut WriteUnit<'_>, stored: &StoredResource, resource: &Resource) -> Result<Noted, Issue> {
    let root = resource.root();
    let is_standard = root.text_of(name::URL).is_some_and(|url| url.starts_with(STANDARD_URLS));
    let noted = match root.text_of(name::STATUS) {
        _ if is_standard => Noted::Data("stored as data: the standard parameter stays as it is"),
        Some("active" | "draft") => match ParameterSource::of(resource) {
            Ok(_) => Noted::Used,
            Err(error) => Noted::Unusable(error),
        },
        _ => Noted::Data("stored as data: by its status it is not to be used"),
    };
    match noted {
        Noted::Used => unit.add_parameter(stored.number)?,
        Noted::Data(_) | Noted::Unusable(_) => unit.remove_parameter(stored.number)?,
    }
    Ok(noted)
}

/// Returns what a stored SearchParameter defines, as it was understood before
/// where that is known.
fn definition_of(
    unit: &mut WriteUnit<'_>,
    before: &Definitions,
    row: &StoredParameter,
) -> Result<Option<CustomDefinition>, Issue> {
    let known = before.custom().iter().find(|c| c.number == row.number);
    if let Some(known) = known.filter(|c| c.definition.version == row.version) {
        return Ok(Some(known.definition.clone()));
    }
    let Some(stored) = resource_numbered(unit, row.number)? else { return Ok(None) };
    match ParameterSource::of(&stored.resource()?) {
        Ok(source) => Ok(Some(CustomDefinition { number: row.number, version: row.version, source })),
        Err(error) => {
            // This version of the program asks more of it than the one that took it.
            tracing::warn!(%error, "a custom search parameter is not in use");
            Ok(None)
        }
    }
}

/// Notes what the custom parameters take from resources, and asks for the
/// indexing of all types for which that is not what it was.
fn request(
    unit: &mut WriteUnit<'_>,
    before: &Definitions,
    definitions: &mut Definitions,
    rows: &[StoredParameter],
) -> Result<(), Issue> {
    let mut stale: BTreeSet<TypeId> = BTreeSet::new();
    let was = |number: i64| before.custom().iter().find(|c| c.number == number);
    for row in rows {
        let now = definitions.custom_mut().iter_mut().find(|c| c.number == row.number);
        // What is not in use now has to be indexed when it comes back.
        let signature = now.as_ref().map_or(0, |c| c.signature);
        let mut row = *row;
        if row.signature != signature {
            stale.extend(was(row.number).into_iter().flat_map(|c| &c.types));
            stale.extend(now.as_ref().into_iter().flat_map(|c| &c.types));
            let is_indexed = now.as_ref().is_none_or(|c| c.types.is_empty());
            row = StoredParameter { signature, requested: unit.now().0, is_indexed, ..row };
            unit.put_parameter(&row)?;
        }
        if let Some(custom) = now {
            custom.requested = row.requested;
            if row.is_indexed {
                custom.set_ready();
            }
        }
    }
    // What is gone leaves its rows in the index: they are taken out.
    let gone = before.custom().iter().filter(|c| rows.iter().all(|row| row.number != c.number));
    stale.extend(gone.flat_map(|c| &c.types));
    for of in stale {
        let requested = unit.now().0;
        unit.request_reindex(of, requested)?;
    }
    Ok(())
}

fn remark(text: &str) -> Issue {
    Issue::information(IssueType::Informational).text(text)
}

fn left_out(error: &DefinitionError) -> Issue {
    let mut issue = unusable(error);
    issue.severity = Severity::Warning;
    issue.diagnostics.push_str("; the draft is stored, and not searched by");
    issue
}

fn unusable(error: &DefinitionError) -> Issue {
    let at = match error {
        DefinitionError::Expression { .. } | DefinitionError::Collision { .. } => {
            "SearchParameter.expression"
        }
        DefinitionError::Component { .. } => "SearchParameter.component.definition",
        DefinitionError::Unusable { .. } => "SearchParameter",
    };
    Issue::error(IssueType::BusinessRule).because(Reason::Unprocessable).at(at).text(error.to_string())
}
