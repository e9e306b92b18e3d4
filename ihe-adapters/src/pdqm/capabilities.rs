//! What this server is by PDQm, in its CapabilityStatement.
//!
//! Spec: PDQm 3.1, CapabilityStatement IHE.PDQm.PatientDemographicsSupplier

use fhir_model::schema::ty;

use crate::capabilities::Guide;

/// PDQm.
pub const GUIDE: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/PDQm/ImplementationGuide/ihe.iti.pdqm",
    instantiates: &[
        "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
    ],
    operations: &[],
    supported_profiles: &[(
        ty::PATIENT,
        "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient",
    )],
    messages: &[],
};
