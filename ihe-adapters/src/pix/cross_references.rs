//! By which identifiers somebody is known elsewhere: the question of ITI-9,
//! ITI-45 and ITI-83.
//!
//! Spec: ITI TF-2 3.9.4.1.3, 3.45.4.1.3, PIXm 2:3.83.4.1.3

use fhir_model::schema::ty;

use super::domains::{DomainError, Kind};
use super::persons::{Person, TIES, is_subsumed};
use super::refusal::Refusal;
use super::{Identifier, PatientIndex, RECORDS_MAX, identifiers};
use crate::fhir_client::{Found, Page, code_token};

/// An identifier by which somebody is known, and the record that has it.
#[derive(Debug, Clone)]
pub struct CrossReference {
    /// The identifier.
    pub identifier: Identifier,
    /// The Patient that has it.
    pub record: Found,
}

impl PatientIndex<'_> {
    /// Returns the other identifiers of whoever has this one, those of each
    /// record together. `wanted`: systems whose identifiers are asked for;
    /// none for all. The identifier that was asked with is not among them.
    ///
    /// # Errors
    /// [`Refusal::Domain`], [`Refusal::WantedDomain`] (known neither by
    /// configuration nor by any record), [`Refusal::UnknownIdentifier`].
    pub async fn cross_references(
        &self,
        identifier: &Identifier,
        wanted: &[String],
    ) -> Result<Vec<CrossReference>, Refusal> {
        let person = self.person(identifier, wanted).await?;
        let mut all: Vec<CrossReference> = Vec::new();
        for record in &person.records {
            for found in identifiers(record.root()) {
                let is_wanted = wanted.is_empty() || wanted.contains(&found.system);
                let is_new = found != *identifier && all.iter().all(|other| other.identifier != found);
                if is_wanted && is_new {
                    all.push(CrossReference { identifier: found, record: record.clone() });
                }
            }
        }
        Ok(all)
    }

    /// Returns the person who has an identifier, once it is clear that all
    /// domains are known.
    pub(crate) async fn person(&self, identifier: &Identifier, wanted: &[String]) -> Result<Person, Refusal> {
        // Plain FHIR may have stored identifiers of domains that are not of the index.
        self.domains.by_system(&identifier.system).ok_or(DomainError::Unknown)?;
        let (found, tied) = self.found_with(identifier).await?;
        if found.is_empty() && !self.knows(&identifier.system).await? {
            return Err(Refusal::Domain(DomainError::Unknown));
        }
        for (at, system) in wanted.iter().enumerate() {
            if !self.knows(system).await? {
                return Err(Refusal::WantedDomain(at));
            }
        }
        if found.is_empty() {
            return Err(Refusal::UnknownIdentifier);
        }
        let persons = self.persons_among(&found, tied).await?;
        // Several records may have an identifier of a person; of a record only one.
        let records = persons.into_iter().flat_map(|person| person.records).collect();
        Ok(Person { records })
    }

    /// Returns the records that have an identifier and count, the newest first.
    ///
    /// # Errors
    /// When FHIR cannot be asked.
    pub async fn records_with(&self, identifier: &Identifier) -> Result<Vec<Found>, Refusal> {
        Ok(self.found_with(identifier).await?.0)
    }

    /// As [`PatientIndex::records_with`], with all that are tied to those, or have the identifier
    /// and do not count.
    async fn found_with(&self, identifier: &Identifier) -> Result<(Vec<Found>, Vec<Found>), Refusal> {
        let token = identifier.token();
        let asked = [("identifier", token.as_str()), TIES[0], TIES[1]];
        let Page { matches, included, .. } = self.fhir.search_with(ty::PATIENT, &asked, RECORDS_MAX).await?;
        let counts = |record: &&Found| {
            !is_subsumed(record.root()) && identifiers(record.root()).any(|other| other == *identifier)
        };
        let found = matches.iter().filter(counts).cloned().collect();
        Ok((found, matches.into_iter().chain(included).collect()))
    }

    /// Tells whether a domain is known: it is configured, or, where none are, somebody has
    /// an identifier of it.
    ///
    /// # Errors
    /// When FHIR cannot be asked.
    pub async fn knows(&self, system: &str) -> Result<bool, Refusal> {
        let Some(domain) = self.domains.by_system(system) else { return Ok(false) };
        if self.domains.known().contains(&domain) {
            return Ok(true);
        }
        debug_assert!(domain.kind == Kind::Local);
        let of_system = format!("{}|", code_token(system));
        let some = self.fhir.first_page(ty::PATIENT, &[("identifier", &of_system), ("_count", "1")]).await?;
        Ok(!some.is_empty())
    }
}
