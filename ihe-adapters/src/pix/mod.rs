//! The patient index, as the wires see it: one index behind HL7 v2, HL7 v3 and
//! FHIR.
//!
//! There is no store of persons beside FHIR. What one source knows of somebody
//! is a *record*: a Patient whose key is the identifier that the source gave.
//! The *person* is all records that are tied by `Patient.link`: `seealso`
//! between records of one person, `replaced-by` where one was merged into
//! another. A record that is replaced is *subsumed*: its identifiers are not
//! known any more, and what was tied to it stays tied.
//!
//! - [`domains`]: who assigns identifiers, by namespace, OID or URI.
//! - [`records`]: what a source tells of its records.
//! - `told`: a record as a source tells of it by FHIR.
//! - `links`: two records are of one person, or are not, as a source says.
//! - [`merges`]: one record is merged into another, and that is taken back.
//! - [`changes`]: what a message tells of several records, as a whole.
//! - `held`: records as they become by one message, stored in one transaction.
//! - [`persons`]: which records are one person.
//! - [`cross_references`]: by which identifiers somebody is known elsewhere.
//! - [`demographics`]: who is known by such a name, birth date and the like.
//! - `groups`: races and ethnic groups, whichever wire tells them.
//! - [`refusal`]: why something is not done, told once for all wires.
//! - [`cx`], [`problem`]: identifiers and refusals as HL7 v2 writes them.
//! - [`pix_query`]: ITI-9; [`update_notification`]: ITI-10.
//!
//! Spec: ITI TF-1 5 (PIX), 8 (PDQ), ITI TF-2 3.8, 3.9, 3.21

pub mod changes;
pub mod cross_references;
pub mod cx;
pub mod demographics;
pub mod domains;
pub(crate) mod groups;
pub(crate) mod held;
mod links;
pub mod merges;
pub mod persons;
pub mod pix_query;
pub mod problem;
pub mod records;
pub mod refusal;
#[cfg(test)]
pub(crate) mod stored;
pub(crate) mod told;
pub mod update_notification;

use fhir_model::schema::name;
use fhir_model::tree::Element;

use crate::atna::Recording;
use crate::fhir_client::{Fhir, token};
use domains::Domains;

/// How many records are looked at for one question.
const RECORDS_MAX: usize = 10_000;

/// The index on behalf of one caller.
#[derive(Clone, Copy)]
pub struct PatientIndex<'a> {
    /// Where records are.
    pub fhir: Fhir<'a>,
    /// Who assigns identifiers.
    pub domains: &'a Domains,
    /// What is recorded of what is done, where it changes something.
    pub(crate) recording: Option<&'a Recording<'a>>,
}

impl<'a> PatientIndex<'a> {
    /// Makes the index over FHIR; nothing is recorded of what is done.
    pub fn new(fhir: Fhir<'a>, domains: &'a Domains) -> PatientIndex<'a> {
        PatientIndex { fhir, domains, recording: None }
    }
}

/// An identifier of a record: who assigned it, as FHIR says it, and the value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identifier {
    /// `Identifier.system`: the [`domains::Domain::system`] of its domain.
    pub system: String,
    /// `Identifier.value`.
    pub value: String,
}

impl Identifier {
    /// Makes one.
    pub fn new(system: impl Into<String>, value: impl Into<String>) -> Identifier {
        Identifier { system: system.into(), value: value.into() }
    }

    /// Writes it as a search looks for it.
    pub fn token(&self) -> String {
        token(&self.system, &self.value)
    }
}

/// Returns the identifiers of a record that are in use, in their order.
pub fn identifiers(patient: Element<'_>) -> impl Iterator<Item = Identifier> + '_ {
    let in_use = |identifier: &Element<'_>| identifier.text_of(name::USE) != Some("old");
    patient.children_named(name::IDENTIFIER).filter(in_use).filter_map(|identifier| {
        Some(Identifier::new(identifier.text_of(name::SYSTEM)?, identifier.text_of(name::VALUE)?))
    })
}
