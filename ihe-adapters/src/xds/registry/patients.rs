//! Who objects are of: patients by their identifiers, and those that were
//! merged.
//!
//! A merge is said by FHIR: a Patient that has a `link` to another by which it
//! is `replaced-by`. From then on the identifiers of the one are not known any
//! more, and what is registered of him is of the other; what is stored stays
//! as it is. Searches of FHIR follow merges, so that a question about the one
//! who is left finds the objects of all.
//!
//! Spec: ITI TF-2 3.8.4.2.4, 3.18.4.1.2.3.9, 3.42.4.1.3.3

use std::collections::HashMap;

use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::Issue;
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};

use super::{OBJECTS_MAX, Registered, Registry};
use crate::fhir_client::{Found, token};
use crate::wire::ebrim::RegistryObject;
use crate::xds::check::{patient_id, set_patient_id};
use crate::xds::fhir::read_cx;
use crate::xds::values::Cx;

/// How many merges one after the other are followed.
const MERGES_MAX: usize = 100;

/// Who the subject of a resource is.
#[derive(Debug, Clone, Default)]
struct Subject {
    /// His identifier in the affinity domain.
    cx: Option<Cx>,
    /// Whether he is another than the one that the resource names.
    is_merged: bool,
}

impl Registry<'_> {
    /// Finds a patient of the affinity domain: `Patient/[id]`. One that was
    /// merged into another is not known any more.
    pub(crate) async fn patient(&self, cx: &Cx) -> Result<Option<String>, Issue> {
        if let Some(known) = self.known_patients.and_then(|patients| patients.known(cx)) {
            return Ok(known);
        }
        let found = self.patients_with(cx).await?;
        let known = found.iter().find(|patient| survivor(patient.root()).is_none());
        let place = known.and_then(|patient| Some(format!("Patient/{}", patient.id()?)));
        if let Some(patients) = self.known_patients {
            patients.know(cx, place.clone());
        }
        Ok(place)
    }

    /// Returns the identifier that another authority gave to a patient.
    pub(crate) async fn identifier_by(&self, cx: &Cx, authority: &str) -> Result<Option<Cx>, Issue> {
        let found = self.patients_with(cx).await?;
        let mut all = found.iter().flat_map(|patient| identifiers(patient.root()));
        Ok(all.find(|other| other.authority == authority))
    }

    async fn patients_with(&self, cx: &Cx) -> Result<Vec<Found>, Issue> {
        let token = token(&cx.system(), &cx.id);
        let mut found = self.fhir.search(ty::PATIENT, &[("identifier", &token)], OBJECTS_MAX).await?;
        found.retain(|patient| identifiers(patient.root()).contains(cx));
        Ok(found)
    }

    /// Says of which patient objects are: of those that only refer to a
    /// resource, and of those whose patient was merged into another.
    pub(super) async fn with_patients(&self, mut all: Vec<Registered>) -> Result<Vec<Registered>, Issue> {
        let mut known: HashMap<ResourceKey, Subject> = HashMap::new();
        for registered in &mut all {
            let Some(key) = subject_of(registered.resource.root()) else { continue };
            let subject = match known.get(&key) {
                Some(subject) => subject.clone(),
                None => self.subject(&key).await?,
            };
            known.insert(key, subject.clone());
            let Some(cx) = &subject.cx else { continue };
            if patient_id(&registered.object).is_some() {
                if subject.is_merged {
                    set_patient_id(&mut registered.object, cx.to_string());
                }
                continue;
            }
            let resource = registered.resource.clone();
            if let Some(complete) = self.registered(resource, Some(&cx.to_string())) {
                *registered = complete;
            }
        }
        Ok(all)
    }

    /// Tells who a Patient is now.
    async fn subject(&self, key: &ResourceKey) -> Result<Subject, Issue> {
        let mut patient = self.fhir.read(ty::PATIENT, key.id.as_str()).await?;
        let mut merges = 0;
        while let Some(next) = patient.as_ref().and_then(|patient| survivor(patient.root())) {
            merges += 1;
            // In a circle nobody is left.
            if merges > MERGES_MAX {
                return Ok(Subject::default());
            }
            patient = self.fhir.read(ty::PATIENT, next.id.as_str()).await?;
        }
        let cx = patient.as_ref().and_then(|patient| self.identifier_of(patient.root()));
        Ok(Subject { cx, is_merged: merges > 0 })
    }

    /// Returns the identifier by which documents of a patient are registered.
    pub(crate) fn identifier_of(&self, patient: Element<'_>) -> Option<Cx> {
        let is_of_domain = |cx: &Cx| self.affinity_domain.is_none_or(|domain| cx.authority == domain);
        identifiers(patient).into_iter().find(is_of_domain)
    }

    /// Sees a resource as the object that it is, with what its patient is known by, and those by
    /// whom he was replaced; `None` when it is none.
    pub(crate) async fn with_known_patients(
        &self,
        resource: Resource,
    ) -> Result<Option<(RegistryObject, Vec<Cx>)>, Issue> {
        let Some(registered) = self.registered(resource.into(), None) else { return Ok(None) };
        let mut known = Vec::new();
        let mut next = subject_of(registered.resource.root());
        for _ in 0..MERGES_MAX {
            let Some(key) = next else { break };
            let patient = self.fhir.read(ty::PATIENT, key.id.as_str()).await?;
            known.extend(patient.iter().flat_map(|patient| identifiers(patient.root())));
            next = patient.as_ref().and_then(|patient| survivor(patient.root()));
        }
        let complete = self.with_patients(vec![registered]).await?.pop();
        Ok(complete.map(|registered| (registered.object, known)))
    }
}

/// Says of an object that it is of the patient who was asked for, when it
/// names one who was merged into him. `place`: where he is.
pub(super) fn take_over(object: &mut RegistryObject, resource: Element<'_>, place: &str, cx: &str) {
    let is_another = |key: ResourceKey| place.strip_prefix("Patient/") != Some(key.id.as_str());
    if subject_of(resource).is_some_and(is_another) {
        set_patient_id(object, cx.to_owned());
    }
}

/// Returns the Patient that a resource is about.
fn subject_of(resource: Element<'_>) -> Option<ResourceKey> {
    patient_named(resource.child(name::SUBJECT)?)
}

fn patient_named(reference: Element<'_>) -> Option<ResourceKey> {
    let literal = Literal::parse(reference.text_of(name::REFERENCE)?)?;
    Some(literal.key).filter(|key| key.resource_type == ty::PATIENT)
}

/// Returns by whom a patient is replaced. A link that only says an identifier
/// is none that searches follow.
fn survivor(patient: Element<'_>) -> Option<ResourceKey> {
    let mut links = patient.children_named(name::LINK);
    let replaced = links.find(|link| link.text_of(name::TYPE) == Some("replaced-by"))?;
    patient_named(replaced.child(name::OTHER)?)
}

/// Returns the identifiers of a patient that have an OID for who assigned
/// them, without those that are not in use any more.
fn identifiers(patient: Element<'_>) -> Vec<Cx> {
    let identifiers = patient.children_named(name::IDENTIFIER);
    identifiers
        .filter(|identifier| identifier.text_of(name::USE) != Some("old"))
        .filter_map(read_cx)
        .collect()
}
