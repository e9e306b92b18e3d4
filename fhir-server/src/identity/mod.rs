//! Who is who: which records of patients are one person.
//!
//! A *record* is what one source knows of somebody: a Patient. The *person* is
//! all records that are tied by `Patient.link`. Nothing else holds persons, so
//! whoever reads Patients sees what is known of identity, with its history.
//!
//! - [`links`]: a tie between two records, as it stands in `Patient.link`.
//! - [`held`]: records and what is decided of them, changed in one transaction.
//! - [`evidence`]: what speaks for two records being of one person.
//! - [`linker`]: follows changes, and ties records; [`examine`]: which.
//! - [`review`]: what somebody is asked, and has decided.
//! - [`deciding`]: two records are of one person, or are not, as somebody says.
//! - [`merging`]: one record takes the place of another, and gives it back.
//! - [`settings`]: who assigns identifiers.
//! - [`survivorship`]: what holds of a person, out of his records.
//!
//! Spec: <https://hl7.org/fhir/R4/patient.html#links>, ITI TF-1 5

pub(crate) mod deciding;
pub(crate) mod evidence;
pub(crate) mod examine;
pub(crate) mod held;
pub(crate) mod linker;
pub(crate) mod links;
pub(crate) mod merging;
pub(crate) mod refusal;
pub(crate) mod review;
pub mod settings;
pub(crate) mod survivorship;

use std::sync::Arc;

use fhir_model::schema::name;
use fhir_model::tree::Resource;
use ihe_adapters::pix::domains::{Domains, Kind};
use serde_json::Value;

use evidence::{Evidence, Identifiers, identifiers, identifiers_of};

/// Which records take part in the index, and by what they are compared.
pub struct Index {
    domains: Arc<Domains>,
    evidence: Box<dyn Evidence>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("domains", &self.domains).finish_non_exhaustive()
    }
}

impl Index {
    /// Makes the index of records that have identifiers of these domains.
    pub fn new(domains: Arc<Domains>) -> Index {
        let evidence = Box::new(Identifiers { domains: Arc::clone(&domains) });
        Index { domains, evidence }
    }

    /// Tells whether a record takes part: a source gave it an identifier, and
    /// it says something by which others can be found. Where no domains are
    /// set, only who has an identifier of a person does.
    pub(crate) fn takes_part(&self, patient: &Value) -> bool {
        self.counts(&identifiers(patient))
    }

    /// As [`Index::takes_part`], of a resource that is about to be stored; so
    /// does one that is tied to others.
    pub(crate) fn is_about(&self, resource: &Resource) -> bool {
        let identifiers = identifiers_of(resource);
        !identifiers.is_empty() && (self.counts(&identifiers) || resource.root().child(name::LINK).is_some())
    }

    fn counts(&self, identifiers: &[(&str, &str)]) -> bool {
        let is_local = |(system, _): &(&str, &str)| {
            self.domains.by_system(system).is_some_and(|domain| domain.kind == Kind::Local)
        };
        identifiers.iter().any(is_local) && self.evidence.speaks(identifiers)
    }
}

#[cfg(test)]
mod tests {
    mod asking;
    mod linking;
    mod merging;
    mod property;
}
