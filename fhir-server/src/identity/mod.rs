//! Who is who: which records of patients are one person.
//!
//! A *record* is what one source knows of somebody: a Patient. The *person* is
//! all records that are tied by `Patient.link`. Nothing else holds persons, so
//! whoever reads Patients sees what is known of identity, with its history.
//!
//! **Who is the same.** What counts of a Patient ([`features`]) is packed and stored in the transaction of the write, with
//! the keys of the blocks in which others are looked for ([`blocking`]). Who is asked about is
//! compared with the members of its blocks alone ([`candidates`]), field by field ([`compare`]); each
//! agreement or disagreement has a weight ([`weights`]), and their sum is what speaks for one person (Fellegi and
//! Sunter). Above one threshold two are linked, above another they are reviewed; some things only people
//! decide, whatever the sum ([`rules`]). No body of a resource is read for any of this.
//!
//! **What follows.** `participation`: which records take part. `linker` follows changes and ties
//! records, `examine` says which, by what speaks for it (`evidence`, `matched`). `links` are ties as they
//! stand in `Patient.link`; `held`: records and decisions, changed in one transaction. `review`: what
//! somebody is asked, and `review_page` shows it; `deciding`: what he says; `merging`: one record takes the place of
//! another, and gives it back; `survivorship`: what holds of a person, out of his records.
//!
//! Spec: <https://doi.org/10.1080/01621459.1969.10501049>, <https://hl7.org/fhir/R4/patient.html#links>, ITI TF-1 5

pub mod blocking;
pub mod candidates;
pub mod commonness;
pub mod compare;
mod compare_names;
pub(crate) mod deciding;
pub(crate) mod evidence;
pub(crate) mod examine;
pub mod features;
mod given_names;
pub(crate) mod held;
pub(crate) mod linker;
pub(crate) mod links;
pub(crate) mod matched;
pub mod matching;
pub(crate) mod merging;
pub mod names;
mod packing;
pub(crate) mod participation;
pub(crate) mod refusal;
pub(crate) mod review;
pub(crate) mod review_page;
pub mod rules;
pub mod settings;
pub mod similarity;
pub(crate) mod survivorship;
pub mod weights;

use fhir_model::schema::ty;
use fhir_model::tree::Resource;

use crate::index::row::{IndexRows, PersonRow};
use crate::storage::WriteUnit;

pub use candidates::Candidate;
pub use features::Features;
pub use matching::{Decision, Grade, Matcher};
pub use participation::Index;

/// Says by which making of features and blocks a database is indexed.
const INDEXED: &str = "persons_indexed";
/// The making of features and blocks: to be raised whenever it changes.
const MAKING: &str = "1";

/// Puts into the index what is compared of a Patient, and where it is looked for.
pub fn index(patient: &Resource, rows: &mut IndexRows) {
    if patient.resource_type() != ty::PATIENT {
        return;
    }
    let features = Features::of(patient);
    rows.equal.extend(blocking::stored(&features));
    rows.names.extend(features.name_hashes());
    rows.persons.push(PersonRow(features.pack()));
}

/// Asks that Patients be indexed anew that were stored before the index held this.
///
/// # Errors
/// When the database fails.
pub fn start(unit: &mut WriteUnit<'_>) -> Result<(), fhir_model::outcome::Issue> {
    if unit.setting(INDEXED)?.as_deref() == Some(MAKING) {
        return Ok(());
    }
    if crate::storage::Reads::count(unit, Some(ty::PATIENT))? > 0 {
        let requested = unit.now().0;
        unit.request_reindex(ty::PATIENT, requested)?;
    }
    unit.set(INDEXED, MAKING)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    mod asking;
    mod linking;
    mod merging;
    mod property;
    mod reviewing;
    mod whole;
}
