//! Who the patient of a submission is, here and in the affinity domain.
//!
//! Spec: MHD 4.2, 2:3.65.4.1.2.2

use std::collections::HashMap;

use fhir_model::outcome::Issue;
use fhir_model::reference::Literal;
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};

use crate::fhir_client::{Found, decoded, token};
use crate::xds::registry::Registry;
use crate::xds::values::Cx;

/// A patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// `Patient/[id]`.
    pub(super) place: String,
    /// The identifier by which documents of his are registered, if he has one.
    pub(super) cx: Option<Cx>,
}

impl Person {
    fn of(registry: &Registry<'_>, patient: Element<'_>) -> Option<Person> {
        let place = format!("Patient/{}", patient.text_of(name::ID)?);
        Some(Person { place, cx: registry.identifier_of(patient) })
    }
}

/// Finds patients, each once.
pub(super) struct Patients<'r> {
    registry: &'r Registry<'r>,
    /// By what they are referred to.
    known: HashMap<String, Option<Person>>,
}

impl<'r> Patients<'r> {
    pub(super) fn new(registry: &'r Registry<'r>) -> Patients<'r> {
        Patients { registry, known: HashMap::new() }
    }

    /// Notes a patient who comes with the submission.
    pub(super) fn comes(&mut self, person: Person) {
        self.known.insert(person.place.clone(), Some(person));
    }

    /// Finds the patient at a place.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub(super) async fn at(&mut self, place: &str) -> Result<Option<Person>, Issue> {
        let Some(literal) = Literal::parse(place) else { return Ok(None) };
        let found = self.registry.fhir.read(ty::PATIENT, literal.key.id.as_str()).await?;
        Ok(found.and_then(|patient| Person::of(self.registry, patient.root())))
    }

    /// Finds the registered patient that a resource sent is, by his identifiers.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub(super) async fn same_as(&mut self, sent: &Resource) -> Result<Option<Person>, Issue> {
        for identifier in sent.root().children_named(name::IDENTIFIER) {
            if let Some(found) = self.identified(identifier).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Finds whom a subject is; `None` when nobody here is.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub(super) async fn find(&mut self, subject: Element<'_>) -> Result<Option<Person>, Issue> {
        let Some(reference) = subject.text_of(name::REFERENCE) else {
            return match subject.child(name::IDENTIFIER) {
                Some(identifier) => self.identified(identifier).await,
                None => Ok(None),
            };
        };
        if let Some(known) = self.known.get(reference) {
            return Ok(known.clone());
        }
        let literal = Literal::parse(reference);
        let is_patient = literal.is_some_and(|l| l.base.is_none() && l.key.resource_type == ty::PATIENT);
        let person = match reference.strip_prefix("Patient?").and_then(decoded) {
            _ if is_patient => self.at(reference).await?,
            Some(criteria) => {
                let criteria: Vec<(&str, &str)> =
                    criteria.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let found = one(self.registry.fhir.first_page(ty::PATIENT, &criteria).await?);
                found.and_then(|patient| Person::of(self.registry, patient.root()))
            }
            None => None,
        };
        self.known.insert(reference.to_owned(), person.clone());
        Ok(person)
    }

    async fn identified(&mut self, identifier: Element<'_>) -> Result<Option<Person>, Issue> {
        let (Some(system), Some(value)) = (identifier.text_of(name::SYSTEM), identifier.text_of(name::VALUE))
        else {
            return Ok(None);
        };
        let token = token(system, value);
        if let Some(known) = self.known.get(&token) {
            return Ok(known.clone());
        }
        let found = one(self.registry.fhir.first_page(ty::PATIENT, &[("identifier", &token)]).await?);
        let person = found.and_then(|patient| Person::of(self.registry, patient.root()));
        self.known.insert(token, person.clone());
        Ok(person)
    }
}

/// Several are nobody in particular.
fn one(mut found: Vec<Found>) -> Option<Found> {
    if found.len() > 1 { None } else { found.pop() }
}
