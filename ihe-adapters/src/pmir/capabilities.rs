//! What this server is by PMIR, in its CapabilityStatement.
//!
//! Spec: PMIR 1.5, CapabilityStatement IHE.PMIR.PatientIdentityRegistry

use super::message::OPERATION;
use crate::capabilities::{Guide, Operation};

/// PMIR. As a registry one has subscribers as well (ITI-94), which this server
/// has not: it takes messages in.
pub const GUIDE: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/PMIR/ImplementationGuide/ihe.iti.pmir",
    instantiates: &["https://profiles.ihe.net/ITI/PMIR/CapabilityStatement/IHE.PMIR.PatientIdentityConsumer"],
    operations: &[Operation {
        on: None,
        name: OPERATION,
        definition: "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
    }],
    supported_profiles: &[],
    messages: &["https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition"],
};
