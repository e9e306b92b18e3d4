//! Which records take part in the index of patients, and are tied.

use std::sync::Arc;

use fhir_model::schema::name;
use fhir_model::tree::Resource;
use ihe_adapters::pix::domains::{Domains, Kind};
use serde_json::Value;

use super::Matcher;
use super::evidence::{Evidence, identifiers, identifiers_of};
use super::matched::Matched;

/// Which records take part in the index, and by what they are compared.
pub struct Index {
    domains: Arc<Domains>,
    pub(super) evidence: Box<dyn Evidence>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("domains", &self.domains).finish_non_exhaustive()
    }
}

impl Index {
    /// Makes the index of records that have identifiers of these domains, which a matcher compares.
    pub fn new(domains: Arc<Domains>, matcher: Matcher) -> Index {
        let evidence = Box::new(Matched::new(matcher, Arc::clone(&domains)));
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
