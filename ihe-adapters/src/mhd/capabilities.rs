//! What this server is by the guides of IHE, in its CapabilityStatement.
//!
//! Spec: MHD 4.2, CapabilityStatements IHE.MHD.*; mCSD 4.0, IHE.mCSD.*

use fhir_model::schema::{TypeId, ty};

/// An operation that is performed here: on which type, its name without `$`, and
/// the canonical URL of its definition.
pub const OPERATIONS: &[(TypeId, &str, &str)] = &[(
    ty::DOCUMENT_REFERENCE,
    super::generate_metadata::OPERATION,
    "https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata",
)];

/// The canonical URLs of the requirements that it meets.
pub const INSTANTIATES: &[&str] = &[
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified",
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate",
    "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentResponder",
    "https://profiles.ihe.net/ITI/mCSD/CapabilityStatement/IHE.mCSD.Directory",
    "https://profiles.ihe.net/ITI/mCSD/CapabilityStatement/IHE.mCSD.Directory.Update",
];

/// The guides that these stand in.
pub const IMPLEMENTATION_GUIDES: &[&str] = &[
    "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd",
    "https://profiles.ihe.net/ITI/mCSD/ImplementationGuide/ihe.iti.mcsd",
];
