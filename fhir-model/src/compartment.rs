//! Compartments as values: which resources belong to a patient, an encounter...
//!
//! Spec: <https://hl7.org/fhir/R4/compartmentdefinition.html>

use crate::generated::compartments::COMPARTMENTS;
use crate::schema::TypeId;

/// A compartment.
#[derive(Debug)]
pub struct Compartment {
    /// The type of the resource that it is about.
    pub focus: TypeId,
    /// The types whose resources may belong to it.
    pub members: &'static [Membership],
}

/// How resources of one type belong to a compartment.
#[derive(Debug)]
pub struct Membership {
    /// The type.
    pub member: TypeId,
    /// The search parameters of which one must reference the focus;
    /// `{def}` means that the resource itself may be the focus.
    pub parameters: &'static [&'static str],
}

/// Returns the compartments of the specification.
pub fn compartments() -> &'static [Compartment] {
    COMPARTMENTS
}

/// Finds the compartment about resources of a type.
pub fn compartment_of(focus: TypeId) -> Option<&'static Compartment> {
    COMPARTMENTS.iter().find(|c| c.focus == focus)
}
