//! The two views that a writing interaction has of the data: a snapshot to
//! decide on beforehand, and the writer's own, on which it is decided for good.

use std::collections::HashSet;
use std::sync::Arc;

use fhir_model::interaction::{Criteria, Interaction, Performed, ResourceKey, Target};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use fhir_model::tree::Resource;

use super::prepare::Preparer;
use super::read;
use crate::identity::candidates::{Identified, Wanted};
use crate::identity::survivorship::Survivorship;
use crate::identity::{Features, Index};
use crate::knowledge::Known;
use crate::search::Search;
use crate::storage::{Operation, Reader, Reads, Store, StoredResource, WriteUnit, Written};

/// What conditions are decided on.
pub(crate) trait View {
    /// Returns the current version, which may be a deletion.
    fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, Issue>;

    /// Returns up to `limit` resources that match.
    fn matches(&mut self, of: TypeId, criteria: &Criteria, limit: usize) -> Result<Vec<ResourceKey>, Issue>;

    /// Returns the definitions that this server knows.
    fn knowledge(&mut self) -> Result<Arc<Known>, Issue>;

    /// Returns who of those stored may be a person.
    fn identify(&mut self, asked: &Features, wanted: &Wanted) -> Result<Identified, Issue>;

    /// Returns how the best that is known of a person is found.
    fn survivorship(&self) -> Survivorship;

    /// Returns the base of the URLs in answers.
    fn base(&self) -> &str;

    /// Performs an interaction that changes nothing.
    fn read(&mut self, interaction: &Interaction) -> Result<Performed, Issue>;
}

/// Makes an id for a new resource: random, so that it tells nothing and cannot be guessed.
pub(crate) fn fresh_id() -> ResourceId {
    let text = uuid::Uuid::new_v4().to_string();
    // A UUID is 36 characters of the grammar of ids.
    ResourceId::parse(&text).unwrap_or_else(fresh_id)
}

/// Returns the one resource that matches, or none.
///
/// # Errors
/// 412 when more than one matches.
pub(crate) fn at_most_one(
    view: &mut dyn View,
    of: TypeId,
    criteria: &Criteria,
    deleted: &HashSet<ResourceKey>,
) -> Result<Option<ResourceKey>, Issue> {
    let mut found = view.matches(of, criteria, 2 + deleted.len())?;
    found.retain(|key| !deleted.contains(key));
    if found.len() > 1 {
        return Err(Issue::error(IssueType::MultipleMatches)
            .because(Reason::PreconditionFailed)
            .text("the criteria match more than one resource; make them more specific"));
    }
    Ok(found.pop())
}

/// Returns the resource that a patch is for.
///
/// # Errors
/// 404 when the criteria match nothing, 412 when they match more than one.
pub(crate) fn existing(
    view: &mut dyn View,
    of: TypeId,
    target: &Target,
    deleted: &HashSet<ResourceKey>,
) -> Result<ResourceKey, Issue> {
    match target {
        Target::Id(id) => Ok(ResourceKey { resource_type: of, id: id.clone() }),
        Target::Criteria(criteria) => at_most_one(view, of, criteria, deleted)?
            .ok_or_else(|| Issue::error(IssueType::NotFound).text(format!("no {of} matches the criteria"))),
    }
}

/// Returns the current version.
///
/// # Errors
/// 404 when there never was one, 410 when it was deleted.
pub(crate) fn current_or_gone(view: &mut dyn View, key: &ResourceKey) -> Result<StoredResource, Issue> {
    let current = view.current(key)?.ok_or_else(|| read::not_found(key))?;
    if current.deleted { Err(read::gone(key, current.version)) } else { Ok(current) }
}

/// A snapshot that conditions are looked at before the writer decides.
pub(crate) struct Snapshot<'s> {
    pub(crate) reader: &'s mut Reader,
    pub(crate) search: &'s Search,
    pub(crate) base: &'s str,
}

/// The writer's view, and the changes it can make.
pub(crate) struct Unit<'u, 'w> {
    pub(crate) unit: &'u mut WriteUnit<'w>,
    pub(crate) search: &'u Search,
    pub(crate) base: &'u str,
    pub(crate) preparer: &'u Preparer<'u>,
}

impl Unit<'_, '_> {
    /// Stores a resource that an operation made or changed, over the version
    /// that was read, where there is one.
    ///
    /// # Errors
    /// When it cannot be stored, or that version is not the current one.
    pub(crate) fn store(
        &mut self,
        resource: Resource,
        key: &ResourceKey,
        before: Option<&StoredResource>,
    ) -> Result<Written, Issue> {
        let (prepared, _) = self.preparer.prepare(resource, key)?;
        Ok(match before {
            Some(before) => self.unit.update(before, prepared, Operation::Update)?,
            None => self.unit.create(prepared, Operation::Create)?,
        })
    }
}

/// What it takes to write beside the gate: for what follows changes.
#[derive(Clone)]
pub(crate) struct Preparing {
    pub(crate) store: Arc<Store>,
    pub(crate) search: Arc<Search>,
    pub(crate) bases: Arc<[String]>,
    pub(crate) index: Arc<Index>,
}

impl Preparing {
    /// Makes what prepares resources; nobody validates them.
    pub(crate) fn preparer(&self) -> Preparer<'_> {
        Preparer {
            definitions: self.search.definitions(),
            bases: &self.bases,
            dictionaries: self.store.dictionaries(),
            gate: None,
            index: Some(&self.index),
            source: None,
        }
    }

    /// Makes the view of the writer.
    pub(crate) fn unit<'u, 'w>(
        &'u self,
        unit: &'u mut WriteUnit<'w>,
        preparer: &'u Preparer<'u>,
    ) -> Unit<'u, 'w> {
        Unit { unit, search: &self.search, base: "", preparer }
    }
}

/// No view at all, for what depends on nothing that is stored.
pub(crate) struct NoView;

impl View for Snapshot<'_> {
    fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, Issue> {
        Ok(self.reader.current(key)?)
    }

    fn matches(&mut self, of: TypeId, criteria: &Criteria, limit: usize) -> Result<Vec<ResourceKey>, Issue> {
        self.search.matches(self.reader.connection(), of, criteria, limit)
    }

    fn knowledge(&mut self) -> Result<Arc<Known>, Issue> {
        self.search.knowledge().current(self.reader)
    }

    fn identify(&mut self, asked: &Features, wanted: &Wanted) -> Result<Identified, Issue> {
        Ok(self.search.matcher().identify(self.reader, asked, wanted)?)
    }

    fn survivorship(&self) -> Survivorship {
        self.search.survivorship().clone()
    }

    fn base(&self) -> &str {
        self.base
    }

    fn read(&mut self, interaction: &Interaction) -> Result<Performed, Issue> {
        read::perform(self.reader, self.search, self.base, interaction)
    }
}

impl View for Unit<'_, '_> {
    fn current(&mut self, key: &ResourceKey) -> Result<Option<StoredResource>, Issue> {
        Ok(self.unit.current(key)?)
    }

    fn matches(&mut self, of: TypeId, criteria: &Criteria, limit: usize) -> Result<Vec<ResourceKey>, Issue> {
        self.search.matches(self.unit.connection(), of, criteria, limit)
    }

    fn knowledge(&mut self) -> Result<Arc<Known>, Issue> {
        self.search.knowledge().current(self.unit)
    }

    fn identify(&mut self, asked: &Features, wanted: &Wanted) -> Result<Identified, Issue> {
        Ok(self.search.matcher().identify(self.unit, asked, wanted)?)
    }

    fn survivorship(&self) -> Survivorship {
        self.search.survivorship().clone()
    }

    fn base(&self) -> &str {
        self.base
    }

    fn read(&mut self, interaction: &Interaction) -> Result<Performed, Issue> {
        read::perform(self.unit, self.search, self.base, interaction)
    }
}

impl View for NoView {
    fn current(&mut self, _: &ResourceKey) -> Result<Option<StoredResource>, Issue> {
        Err(no_view())
    }

    fn matches(&mut self, _: TypeId, _: &Criteria, _: usize) -> Result<Vec<ResourceKey>, Issue> {
        Err(no_view())
    }

    fn knowledge(&mut self) -> Result<Arc<Known>, Issue> {
        Err(no_view())
    }

    fn identify(&mut self, _: &Features, _: &Wanted) -> Result<Identified, Issue> {
        Err(no_view())
    }

    fn survivorship(&self) -> Survivorship {
        Survivorship::default()
    }

    fn base(&self) -> &str {
        ""
    }

    fn read(&mut self, _: &Interaction) -> Result<Performed, Issue> {
        Err(no_view())
    }
}

/// Only a fault of this program leads here: see `Transaction::is_unconditional`.
fn no_view() -> Issue {
    Issue::fatal(IssueType::Exception).text("an unexpected error; nothing was stored")
}
