//! The settings of the patient index.

use ihe_adapters::pix::domains::{Domain, Domains, Kind, SetupError};
use serde::Deserialize;

/// The section `[identity]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityFile {
    /// Who assigns identifiers of patients.
    pub domains: Vec<DomainFile>,
}

/// A section `[[identity.domains]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainFile {
    /// The namespace id by which HL7 v2 messages call it.
    #[serde(default)]
    pub name: String,
    /// The OID.
    #[serde(default)]
    pub oid: String,
    /// What stands as `Identifier.system`; without it, `urn:oid:` and the OID.
    #[serde(default)]
    pub uri: String,
    /// Other URIs that mean the same.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How far its identifiers reach: `local` or `person`.
    #[serde(default)]
    pub kind: DomainKind,
    /// The senders whose identifiers without an assigning authority are of it.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// How far the identifiers of a domain reach, as the settings say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    /// A source gives them to its records.
    #[default]
    Local,
    /// They name a person.
    Person,
}

impl IdentityFile {
    /// Returns who assigns identifiers.
    ///
    /// # Errors
    /// When two domains cannot be told apart, or one has no OID and no URI.
    pub fn domains(&self) -> Result<Domains, SetupError> {
        let domain = |file: &DomainFile| {
            let DomainFile { name, oid, uri, aliases, kind, sources } = file.clone();
            let kind = match kind {
                DomainKind::Local => Kind::Local,
                DomainKind::Person => Kind::Person,
            };
            Domain { name, oid, uri, aliases, kind, sources }
        };
        Domains::new(self.domains.iter().map(domain).collect())
    }
}
