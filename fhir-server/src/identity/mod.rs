//! Who is who: which records of patients are one person.
//!
//! A *record* is what one source knows of somebody: a Patient. The *person* is
//! all records that are tied by `Patient.link`. Nothing else holds persons, so
//! whoever reads Patients sees what is known of identity, with its history.
//!
//! - [`links`]: a tie between two records, as it stands in `Patient.link`.
//! - [`held`]: records and what is decided of them, changed in one transaction.
//! - [`review`]: what somebody decides, or has decided.
//! - [`merging`]: one record takes the place of another, and gives it back.
//! - [`settings`]: who assigns identifiers.
//! - [`survivorship`]: what holds of a person, out of his records.
//!
//! Spec: <https://hl7.org/fhir/R4/patient.html#links>, ITI TF-1 5

pub(crate) mod held;
pub(crate) mod links;
pub(crate) mod merging;
pub(crate) mod refusal;
pub(crate) mod review;
pub mod settings;
pub(crate) mod survivorship;

#[cfg(test)]
mod tests {
    mod asking;
    mod merging;
}
