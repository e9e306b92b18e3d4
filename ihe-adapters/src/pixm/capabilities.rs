//! What this server is by PIXm, in its CapabilityStatement.
//!
//! Spec: PIXm 3.1, CapabilityStatement IHE.PIXm.Manager

use fhir_model::schema::ty;

use super::cross_reference_query::OPERATION;
use crate::capabilities::{Guide, Operation};

/// PIXm.
pub const GUIDE: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/PIXm/ImplementationGuide/ihe.iti.pixm",
    instantiates: &["https://profiles.ihe.net/ITI/PIXm/CapabilityStatement/IHE.PIXm.Manager"],
    operations: &[Operation {
        on: Some(ty::PATIENT),
        name: OPERATION,
        definition: "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix",
    }],
    supported_profiles: &[(
        ty::PATIENT,
        "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient",
    )],
    messages: &[],
};
