//! What this server is by MHD and mCSD, in its CapabilityStatement.
//!
//! Spec: MHD 4.2, CapabilityStatements IHE.MHD.*; mCSD 4.0, IHE.mCSD.*

use fhir_model::schema::ty;

use crate::capabilities::{Guide, Operation};

/// MHD.
pub const MHD: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd",
    instantiates: &[
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified",
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate",
        "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentResponder",
    ],
    operations: &[Operation {
        on: Some(ty::DOCUMENT_REFERENCE),
        name: super::generate_metadata::OPERATION,
        definition: "https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata",
    }],
    supported_profiles: &[],
    messages: &[],
};

/// mCSD, which is nothing but FHIR.
pub const MCSD: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/mCSD/ImplementationGuide/ihe.iti.mcsd",
    instantiates: &[
        "https://profiles.ihe.net/ITI/mCSD/CapabilityStatement/IHE.mCSD.Directory",
        "https://profiles.ihe.net/ITI/mCSD/CapabilityStatement/IHE.mCSD.Directory.Update",
    ],
    operations: &[],
    supported_profiles: &[],
    messages: &[],
};
