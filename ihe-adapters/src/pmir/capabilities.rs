//! What this server is by PMIR, in its CapabilityStatement.
//!
//! Spec: PMIR 1.5, CapabilityStatement IHE.PMIR.PatientIdentityRegistry

use fhir_model::schema::ty;

use super::message::OPERATION;
use crate::capabilities::{Guide, Operation};

/// The message that patients are told by.
const FEED: &str = "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition";

/// PMIR: patients are taken in by messages, and told to those who subscribed.
pub const GUIDE: Guide = Guide {
    url: "https://profiles.ihe.net/ITI/PMIR/ImplementationGuide/ihe.iti.pmir",
    instantiates: &[
        "https://profiles.ihe.net/ITI/PMIR/CapabilityStatement/IHE.PMIR.PatientIdentityRegistry",
        "https://profiles.ihe.net/ITI/PMIR/CapabilityStatement/IHE.PMIR.PatientIdentityConsumer",
    ],
    operations: &[Operation {
        on: None,
        name: OPERATION,
        definition: "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
    }],
    supported_profiles: &[(
        ty::SUBSCRIPTION,
        "https://profiles.ihe.net/ITI/PMIR/StructureDefinition/IHE.PMIR.Subscription",
    )],
    messages: &[("receiver", FEED), ("sender", FEED)],
};
