//! What this server is by PDQm, in its CapabilityStatement.
//!
//! Spec: PDQm 3.1, CapabilityStatements IHE.PDQm.PatientDemographicsSupplier and
//! IHE.PDQm.PatientDemographicsSupplierMatch (Match Operation Option), OperationDefinition PDQmMatch

use fhir_model::schema::ty;

use crate::capabilities::{Guide, Operation};

/// PDQm.
pub const GUIDE: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/PDQm/ImplementationGuide/ihe.iti.pdqm",
    instantiates: &[
        "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
        "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch",
    ],
    // ITI-119. The server performs it as FHIR's own operation, whose definition stands beside this one.
    operations: &[Operation {
        on: Some(ty::PATIENT),
        name: "match",
        definition: "https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch",
    }],
    supported_profiles: &[(
        ty::PATIENT,
        "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient",
    )],
    messages: &[],
};
