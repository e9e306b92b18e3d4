//! ITI-62: removes documents, packages and associations from the registry, all
//! that are named or none.
//!
//! What is removed is deleted by FHIR: its history remains for those who may
//! see it. Nothing that stays may refer to what goes, and nothing that stays
//! may be left that nothing refers to.
//!
//! Spec: Remove Metadata and Documents supplement, 3.62.4.1.3

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fhir_model::outcome::Issue;
use serde_json::json;

use super::plan::{Plan, Planned, json_of, now};
use super::write::write;
use super::{OBJECTS, Registered, Registry};
use crate::wire::ebrim::RegistryObject;
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::namespaces::RIM;
use crate::wire::xml::Element;
use crate::xds::fhir::remove_associations;
use crate::xds::values::{dtm_to_date_time, is_uuid_urn};
use crate::xds::vocabulary::FOLDER_NODE;

/// How many objects one request may remove.
const OBJECTS_REMOVED_MAX: usize = 1_000;

/// Reads which objects a `RemoveObjectsRequest` names.
///
/// # Errors
/// When it asks for what is not offered: to find objects by a query, or to
/// remove less than all of them; or when it names nothing, or too much.
pub(crate) fn objects_named(request: &Element) -> Result<Vec<String>, RegistryError> {
    let wrong = |context: String| Err(RegistryError::new(ErrorCode::Registry, context));
    if request.child(RIM, "AdhocQuery").is_some() {
        return wrong("objects are removed by their ids, not by an AdhocQuery".to_owned());
    }
    if request.attribute("deletionScope").is_some() {
        return wrong("objects are removed whole: leave deletionScope out".to_owned());
    }
    let Some(list) = request.child(RIM, "ObjectRefList") else {
        return wrong("the request has no ObjectRefList".to_owned());
    };
    let mut ids: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for id in list.children_named(RIM, "ObjectRef").map(|of| of.attribute("id").unwrap_or_default()) {
        if seen.insert(id) {
            ids.push(id.to_owned());
        }
    }
    match ids.len() {
        0 => wrong("the request names no object".to_owned()),
        1..=OBJECTS_REMOVED_MAX => Ok(ids),
        many => wrong(format!("{many} objects at once: {OBJECTS_REMOVED_MAX} are taken")),
    }
}

/// Removes the objects of these ids.
///
/// # Errors
/// All that is wrong with it; nothing is removed then.
pub(crate) async fn remove(registry: &Registry<'_>, ids: &[String]) -> Result<(), Vec<RegistryError>> {
    write(registry, async || plan(registry, ids).await).await
}

async fn plan(registry: &Registry<'_>, ids: &[String]) -> Planned {
    let removal = Removal::find(registry, ids).await?;
    let mut faults = removal.unresolved(ids);
    if faults.is_empty() {
        faults = removal.referred_to();
        faults.extend(removal.left_alone(registry).await?);
    }
    if faults.is_empty() { Ok(Ok(removal.into_plan()?)) } else { Ok(Err(faults)) }
}

/// What is to be removed, and what is around it.
#[derive(Default)]
struct Removal {
    /// Documents and packages that go, by their ids.
    objects: BTreeMap<String, Arc<Registered>>,
    /// Associations that go, by their ids.
    associations: BTreeMap<String, RegistryObject>,
    /// What was looked at, by its id: documents and packages that go, and the
    /// sources of associations with them or with associations that go.
    around: BTreeMap<String, Arc<Registered>>,
}

impl Removal {
    /// Finds what the ids are of.
    async fn find(registry: &Registry<'_>, ids: &[String]) -> Result<Removal, Issue> {
        let mut removal = Removal::default();
        for id in ids.iter().filter(|id| is_uuid_urn(id)) {
            match registry.by_uuid(id, OBJECTS).await? {
                Some(found) => {
                    let found = Arc::new(found);
                    removal.objects.insert(id.clone(), Arc::clone(&found));
                    removal.look_at(registry.sources_of_associations_to(&found).await?);
                    removal.around.insert(id.clone(), found);
                }
                None => removal.look_at(registry.with_association(id).await?),
            }
        }
        // Those that came by FHIR have ids that stand nowhere: they are known by what is around.
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let named = removal.all().filter(|association| ids.contains(association.id.as_str()));
        let associations = named.map(|association| (association.id.clone(), association.clone())).collect();
        removal.associations = associations;
        Ok(removal)
    }

    fn look_at(&mut self, found: Vec<Registered>) {
        for registered in found {
            self.around.entry(registered.object.id.clone()).or_insert_with(|| Arc::new(registered));
        }
    }

    /// Returns every association that was looked at.
    fn all(&self) -> impl Iterator<Item = &RegistryObject> {
        self.around.values().flat_map(|registered| &registered.associations)
    }

    fn is_removed(&self, id: &str) -> bool {
        self.objects.contains_key(id) || self.associations.contains_key(id)
    }

    fn unresolved(&self, ids: &[String]) -> Vec<RegistryError> {
        let missing = ids.iter().filter(|id| !self.is_removed(id));
        let error = |id: &String| {
            let id: String = id.chars().take(100).collect();
            RegistryError::new(ErrorCode::UnresolvedReference, format!("{id} is not registered")).at(id)
        };
        missing.map(error).collect()
    }

    /// Tells what cannot go since associations that stay end there.
    fn referred_to(&self) -> Vec<RegistryError> {
        let mut by_end: HashMap<&str, Vec<&str>> = HashMap::new();
        for association in self.all().filter(|association| !self.is_removed(&association.id)) {
            let Some(ends) = &association.ends else { continue };
            for end in [&ends.source, &ends.target] {
                by_end.entry(end).or_default().push(&association.id);
            }
        }
        let removed = self.objects.keys().chain(self.associations.keys());
        let referred = removed.filter_map(|id| Some((id, by_end.get(id.as_str())?)));
        let error = |(id, associations): (&String, &Vec<&str>)| {
            let some: Vec<&str> = associations.iter().copied().take(5).collect();
            let context = format!(
                "{id} is an end of {} associations that are not removed, among them {}",
                associations.len(),
                some.join(", ")
            );
            RegistryError::new(ErrorCode::ReferencesExist, context).at(id)
        };
        referred.map(error).collect()
    }

    /// Tells what would stay without any association.
    async fn left_alone(&self, registry: &Registry<'_>) -> Result<Vec<RegistryError>, Issue> {
        let mut ends: Vec<&str> = self
            .associations
            .values()
            .filter_map(|association| association.ends.as_ref())
            .flat_map(|ends| [ends.source.as_str(), ends.target.as_str()])
            .filter(|end| !self.is_removed(end))
            .collect();
        ends.sort_unstable();
        ends.dedup();
        let mut errors = Vec::new();
        for end in ends {
            let associations = match registry.by_uuid(end, OBJECTS).await? {
                Some(object) => registry.associations_of(&object).await?,
                None => {
                    let around = registry.with_association(end).await?;
                    let all = around.into_iter().flat_map(|registered| registered.associations);
                    all.filter(|a| a.ends.as_ref().is_some_and(|ends| ends.target == end)).collect()
                }
            };
            if !associations.is_empty() && associations.iter().all(|a| self.is_removed(&a.id)) {
                let context = format!("{end} would be left without any association");
                errors.push(RegistryError::new(ErrorCode::UnreferencedObject, context).at(end));
            }
        }
        Ok(errors)
    }

    fn into_plan(self) -> Result<Plan, Issue> {
        let mut plan = Plan::default();
        for registered in self.objects.values() {
            plan.delete(registered);
        }
        for (id, source) in &self.around {
            let loses = source.associations.iter().any(|a| self.associations.contains_key(&a.id));
            if self.objects.contains_key(id) || !loses {
                continue;
            }
            let mut value = json_of(source)?;
            remove_associations(&mut value, id, |id| self.associations.contains_key(id));
            if source.object.is_of_node(FOLDER_NODE) {
                value["date"] = json!(dtm_to_date_time(&now()));
            }
            plan.put_changed(source, value);
        }
        Ok(plan)
    }
}
