//! ATNA (ITI-20): what was done, by whom, to what of whom.
//!
//! Each transaction and interaction becomes an AuditEvent, stored as every other resource; an
//! audit repository gets it as a DICOM audit message by syslog.
//!
//! - [`node`] tells which node a certificate is of.
//! - [`event`] makes AuditEvents of transactions, [`interaction`] of what FHIR is asked.
//! - [`participants`] tells who takes part.
//! - [`dicom`] writes an AuditEvent, whoever made it, as an audit message.
//! - [`syslog`] frames it.
//!
//! Spec: ITI TF-2 3.19, 3.20, IHE BALP, DICOM PS3.15 A.5, RFC 5424, RFC 5425

pub mod dicom;
pub mod event;
pub(crate) mod hl7v3;
pub mod interaction;
pub mod node;
pub mod participants;
pub mod syslog;

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

/// The codes of DICOM.
pub(crate) const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
/// The codes of IHE transactions.
pub(crate) const IHE_TRANSACTIONS: &str = "urn:ihe:event-type-code";
/// What an object of an event is: a person, a thing of a system.
pub(crate) const ENTITY_TYPES: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
/// Which part an object has in it.
pub(crate) const OBJECT_ROLES: &str = "http://terminology.hl7.org/CodeSystem/object-role";
/// The codes of RFC 3881.
pub(crate) const RFC_3881: &str = "urn:ietf:rfc:3881";
/// The nodes of document metadata.
pub(crate) const XDS_METADATA: &str = "urn:ihe:iti:xds:metadata";

/// Returns the entry of a transaction that stores an AuditEvent.
pub(crate) fn entry(event: &Value) -> Value {
    json!({ "resource": event, "request": { "method": "POST", "url": "AuditEvent" } })
}

/// An AuditEvent that is stored with what it tells of, in one transaction.
#[derive(Debug)]
pub(crate) struct Recording<'e> {
    event: &'e Value,
    is_stored: AtomicBool,
}

impl<'e> Recording<'e> {
    /// Makes one of an AuditEvent of what will have been done.
    pub(crate) fn new(event: &'e Value) -> Recording<'e> {
        Recording { event, is_stored: AtomicBool::new(false) }
    }

    /// Returns the entry of the transaction that stores it.
    pub(crate) fn entry(&self) -> Value {
        entry(self.event)
    }

    /// Notes that the transaction was performed.
    pub(crate) fn stored(&self) {
        self.is_stored.store(true, Ordering::Relaxed);
    }

    /// Tells whether it was.
    pub(crate) fn is_stored(&self) -> bool {
        self.is_stored.load(Ordering::Relaxed)
    }
}

/// How this server is called in what it records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorder {
    /// The system that records: a name that the site gives it.
    pub source_id: String,
    /// The site.
    pub enterprise_site: Option<String>,
}
