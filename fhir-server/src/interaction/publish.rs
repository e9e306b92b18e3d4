//! Definitions of installed packages as resources: they can be read, searched
//! and referred to as any other.
//!
//! A package that is installed or removed is noticed while the server runs. A
//! definition keeps the id that it has in its package; where two have the same,
//! the newest version keeps it and the others get one of their own, and so does
//! one whose id is taken by a resource of somebody else. What somebody changed
//! is theirs from then on: it is neither changed nor removed, and stands before
//! the package's. Each write notes in its own transaction that the resource is
//! a package's, so that a crash leaves nothing in doubt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fhir_model::interaction::{
    Caller, DeleteRequest, Interaction, Performed, ResourceKey, Target, UpdateRequest,
};
use fhir_model::outcome::{Issue, IssueType, Severity};
use fhir_model::primitive::hexadecimal;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use futures_util::StreamExt;
use profiles::definitions::{Definition, compare_versions};
use profiles::package::store::Store as PackageStore;

use super::entry::Method;
use super::perform::{Server, Within, blocking};
use super::prepare::set_id;
use super::transaction::Transaction;
use super::unit::{Unit, View};
use crate::storage::published;

/// How often is looked whether a package was installed or removed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After a failure it is tried again after so long.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// A folder that changed so lately may have changed again since, within the
/// grain of its clock.
const SETTLED_AFTER: Duration = Duration::from_secs(1);
/// How many definitions are stored at once: enough to share a commit.
const AT_ONCE: usize = 16;
/// The setting that says which packages are published, and by which rules.
const PUBLISHED: &str = "packages_published";
const RULES: &str = "1";
/// Definitions of the specification itself, which come first for an id.
const SPECIFICATION: &str = "http://hl7.org/fhir/";

/// A definition, and the ids that it may have: the first that is free is taken.
struct Wanted {
    definition: Arc<Definition>,
    ids: Vec<ResourceId>,
}

/// Says that the resource is the definition of a package.
struct Publishing(ResourceKey);

/// Says that the resource is it no longer.
struct Withdrawing(ResourceKey);

/// What publishing came to.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    refused: u64,
    withdrawn: u64,
}

impl Within for Publishing {
    const IS_VALIDATED: bool = false;

    fn before(&self, unit: &mut Unit<'_, '_>) -> Result<(), Issue> {
        match unit.current(&self.0)? {
            Some(current) if !current.deleted && !unit.unit.is_published(&current)? => Err(taken(&self.0)),
            _ => Ok(()),
        }
    }

    fn after(&self, unit: &mut Unit<'_, '_>, _: &[(Method, Performed)]) -> Result<(), Issue> {
        match unit.current(&self.0)? {
            Some(current) => Ok(unit.unit.note_published(&current)?),
            None => Ok(()),
        }
    }
}

impl Within for Withdrawing {
    const IS_VALIDATED: bool = false;

    fn before(&self, unit: &mut Unit<'_, '_>) -> Result<(), Issue> {
        Publishing(self.0.clone()).before(unit)
    }

    fn after(&self, unit: &mut Unit<'_, '_>, _: &[(Method, Performed)]) -> Result<(), Issue> {
        match unit.current(&self.0)? {
            Some(current) => Ok(unit.unit.forget_published(current.number)?),
            None => Ok(()),
        }
    }
}

/// Says that somebody else has a resource of this id.
fn taken(key: &ResourceKey) -> Issue {
    let text = format!("{}/{} is no definition of a package", key.resource_type, key.id);
    Issue::error(IssueType::Conflict).text(text)
}

impl Server {
    /// Stores the definitions of the installed packages as resources, and
    /// again when a package is installed or removed, for as long as it is let.
    pub async fn keep_packages_published(self) {
        let Some(packages) = self.search().knowledge().packages().cloned() else { return };
        let mut seen: Option<Option<SystemTime>> = None;
        loop {
            let changed = packages.changed();
            let is_settled = |at: SystemTime| at.elapsed().is_ok_and(|age| age > SETTLED_AFTER);
            let mut pause = LOOK_EVERY;
            if seen != Some(changed) {
                if seen.is_some() {
                    self.search().knowledge().reload();
                }
                seen = Some(changed.filter(|at| is_settled(*at)));
                if let Err(issue) = self.publish_packages(&packages).await {
                    tracing::warn!(%issue, "the definitions of packages could not be stored; it is tried again");
                    seen = Some(None);
                    pause = RETRY_AFTER;
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Stores the definitions of the installed packages, unless that is done.
    ///
    /// # Errors
    /// When packages or database fail; not when single definitions are refused.
    async fn publish_packages(&self, packages: &PackageStore) -> Result<(), Issue> {
        let store = packages.clone();
        let installed = blocking(move || names(&store)).await?;
        let known = self.store().write(|unit| Ok(unit.setting(PUBLISHED)?)).await?;
        if known.as_deref().unwrap_or(RULES) == installed {
            return Ok(());
        }
        tracing::info!(
            packages = installed.split_whitespace().count() - 1,
            "storing definitions of packages"
        );
        let server = self.clone();
        let bytes_max = self.limits().body_bytes_max;
        let wanted =
            blocking(move || Ok(wanted(server.search().knowledge().installed()?.iter(), bytes_max))).await?;
        let mut tally = Tally::default();
        let mut kept = HashSet::new();
        let mut storing =
            futures_util::stream::iter(wanted).map(|w| self.publish(w)).buffer_unordered(AT_ONCE);
        while let Some(stored) = storing.next().await {
            match stored? {
                Some(key) => _ = kept.insert(key),
                None => tally.refused += 1,
            }
        }
        drop(storing);
        tally.stored = kept.len() as u64;
        let mut reader = self.store().reader()?;
        let before = published(&mut reader)?;
        drop(reader);
        for key in before.into_iter().filter(|key| !kept.contains(key)) {
            tally.withdrawn += u64::from(self.withdraw(key).await?);
        }
        self.store().write(move |unit| Ok(unit.set(PUBLISHED, &installed)?)).await?;
        let Tally { stored, refused, withdrawn } = tally;
        tracing::info!(stored, refused, withdrawn, "definitions of packages are stored as resources");
        Ok(())
    }

    /// Stores a definition under the first of its ids that is free. Returns
    /// the resource; `None` when it was refused.
    async fn publish(&self, wanted: Wanted) -> Result<Option<ResourceKey>, Issue> {
        let Wanted { definition, ids } = wanted;
        let reading = Arc::clone(&definition);
        let Some(resource) = blocking(move || Ok(reading.resource_once())).await? else { return Ok(None) };
        for id in ids {
            let key = ResourceKey { resource_type: definition.resource_type(), id };
            let mut resource = (*resource).clone();
            set_id(&mut resource, key.id.as_str());
            let update = Interaction::Update(UpdateRequest {
                resource_type: key.resource_type,
                target: Target::Id(key.id.clone()),
                resource,
                if_match: None,
                if_none_exist: false,
            });
            let transaction = Transaction::single(update)?;
            match self.transact_within(&caller(), transaction, false, Publishing(key.clone())).await {
                Ok(_) => return Ok(Some(key)),
                Err(issue) if issue.code == IssueType::Conflict => {}
                Err(issue) if issue.severity == Severity::Fatal => return Err(issue),
                Err(issue) => {
                    tracing::warn!(url = definition.url(), %issue, "a definition of a package is not served");
                    return Ok(None);
                }
            }
        }
        tracing::warn!(url = definition.url(), "a definition of a package is not served: its ids are taken");
        Ok(None)
    }

    /// Deletes a resource whose package was removed, unless somebody changed it.
    async fn withdraw(&self, key: ResourceKey) -> Result<bool, Issue> {
        let delete = Interaction::Delete(DeleteRequest {
            resource_type: key.resource_type,
            target: Target::Id(key.id.clone()),
            if_match: None,
        });
        let transaction = Transaction::single(delete)?;
        match self.transact_within(&caller(), transaction, false, Withdrawing(key.clone())).await {
            Ok(_) => return Ok(true),
            Err(issue) if issue.code == IssueType::Conflict => {}
            Err(issue) => return Err(issue),
        }
        let forget = move |unit: &mut crate::storage::WriteUnit<'_>| {
            use crate::storage::Reads;
            match unit.current(&key)? {
                Some(current) => Ok(unit.forget_published(current.number)?),
                None => Ok(()),
            }
        };
        self.store().write(forget).await?;
        Ok(false)
    }
}

/// Who publishes: nobody asked for it by the wire.
fn caller() -> Caller {
    Caller::new("packages", "")
}

/// Names the packages with what they were installed from, and the rules that
/// they are published by.
fn names(packages: &PackageStore) -> Result<String, Issue> {
    let failed = |error| {
        tracing::error!(%error, "the installed packages cannot be listed");
        Issue::fatal(IssueType::Exception).text("the installed packages cannot be listed")
    };
    let mut names = RULES.to_owned();
    for manifest in packages.list().map_err(failed)? {
        let sha256 = packages.sha256(&manifest).unwrap_or_default();
        names.push_str(&format!(" {}#{}={sha256}", manifest.name, manifest.version));
    }
    Ok(names)
}

/// Decides which ids definitions may have.
fn wanted<'d>(definitions: impl Iterator<Item = &'d Arc<Definition>>, bytes_max: usize) -> Vec<Wanted> {
    let mut by_id: HashMap<(TypeId, Option<ResourceId>), Vec<&Arc<Definition>>> = HashMap::new();
    for definition in definitions {
        if definition.size() > bytes_max {
            let (url, size) = (definition.url(), definition.size());
            tracing::warn!(
                url,
                size,
                "a definition of a package is larger than a body may be: it is not served"
            );
            continue;
        }
        let id = definition.id().and_then(ResourceId::parse);
        by_id.entry((definition.resource_type(), id)).or_default().push(definition);
    }
    let mut wanted = Vec::new();
    for ((_, id), mut same) in by_id {
        same.sort_by(|a, b| {
            let rank = |d: &Definition| !d.url().starts_with(SPECIFICATION);
            let version = |d: &Definition| d.version().unwrap_or_default().to_owned();
            let by_url = (rank(a), a.url()).cmp(&(rank(b), b.url()));
            by_url.then_with(|| compare_versions(&version(b), &version(a)))
        });
        for (at, definition) in same.into_iter().enumerate() {
            let own = own_id(id.as_ref(), definition);
            let ids = id.clone().filter(|_| at == 0).into_iter().chain(own).collect();
            wanted.push(Wanted { definition: Arc::clone(definition), ids });
        }
    }
    wanted
}

/// Makes the id of a definition that cannot have the one of its package: what
/// fits of that, and a hash of canonical URL and version.
fn own_id(id: Option<&ResourceId>, definition: &Definition) -> Option<ResourceId> {
    let canonical = format!("{}|{}", definition.url(), definition.version().unwrap_or_default());
    let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    let hash = hexadecimal::encode(digest.as_ref().get(..8).unwrap_or_default());
    let beginning: String = id.map(|id| id.as_str().chars().take(47).collect()).unwrap_or_default();
    ResourceId::parse(if beginning.is_empty() { hash } else { format!("{beginning}-{hash}") }.as_str())
}

#[cfg(test)]
mod tests {
    use fhir_model::schema::ty;

    use super::*;

    fn definition(id: &str, url: &str, version: &str, size: usize) -> Arc<Definition> {
        let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        let json = vec![b' '; size];
        Arc::new(Definition::unread(ty::VALUE_SET, some(id), url.to_owned(), some(version), json))
    }

    #[test]
    fn the_newest_version_keeps_the_id_of_the_package() {
        let definitions = [
            definition("v", "http://a", "1.9", 1),
            definition("v", "http://a", "1.10", 1),
            definition("v", "http://hl7.org/fhir/ValueSet/v", "1.0", 1),
            definition("w", "http://a", "", 1),
            definition("", "http://b", "1", 1),
            definition("no id", "http://c", "1", 1),
            definition("large", "http://d", "1", 11),
        ];
        let mut told: Vec<(String, String, Vec<String>)> = wanted(definitions.iter(), 10)
            .into_iter()
            .map(|w| {
                let ids = w.ids.iter().map(|id| id.as_str().to_owned()).collect();
                let version = w.definition.version().unwrap_or_default().to_owned();
                (w.definition.url().to_owned(), version, ids)
            })
            .collect();
        told.sort();
        let first: Vec<(&str, &str, usize, bool)> = told
            .iter()
            .map(|(url, version, ids)| (url.as_str(), version.as_str(), ids.len(), ids[0] == "v"))
            .collect();
        assert_eq!(
            first,
            [
                ("http://a", "", 2, false),
                ("http://a", "1.10", 1, false),
                ("http://a", "1.9", 1, false),
                ("http://b", "1", 1, false),
                ("http://c", "1", 1, false),
                ("http://hl7.org/fhir/ValueSet/v", "1.0", 2, true),
            ]
        );
        let all: HashSet<&String> = told.iter().flat_map(|(_, _, ids)| ids).collect();
        assert_eq!(all.len(), told.iter().map(|(_, _, ids)| ids.len()).sum::<usize>(), "no id twice");
    }

    #[test]
    fn an_own_id_is_an_id_however_long_the_given_one() {
        let long = "x".repeat(64);
        let made = own_id(ResourceId::parse(&long).as_ref(), &definition(&long, "http://a", "1", 1));
        assert_eq!(made.map(|id| id.as_str().len()), Some(64));
    }
}
