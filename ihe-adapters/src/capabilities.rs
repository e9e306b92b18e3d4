//! What this server is by the guides of IHE, as its CapabilityStatement tells:
//! one row a guide.

use fhir_model::schema::TypeId;

use crate::{mhd, pdqm, pixm, pmir};

/// An operation that is performed here.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The type that it is called on; `None` for the system.
    pub on: Option<TypeId>,
    /// Its name without `$`.
    pub name: &'static str,
    /// The canonical URL of its definition.
    pub definition: &'static str,
}

/// What this server is by a guide.
#[derive(Debug, Clone, Copy)]
pub struct Guide {
    /// The canonical URL of the guide.
    pub url: &'static str,
    /// The canonical URLs of the requirements that are met.
    pub instantiates: &'static [&'static str],
    /// The operations that are performed by it.
    pub operations: &'static [Operation],
    /// The profiles of resources that are taken and given.
    pub supported_profiles: &'static [(TypeId, &'static str)],
    /// The messages that are taken (`receiver`) and sent (`sender`): the canonical URLs of their
    /// definitions.
    pub messages: &'static [(&'static str, &'static str)],
}

/// The guides.
pub const GUIDES: &[Guide] = &[
    mhd::capabilities::MHD,
    mhd::capabilities::MCSD,
    pixm::capabilities::GUIDE,
    pdqm::capabilities::GUIDE,
    pmir::capabilities::GUIDE,
];
