//! The section `[identity]` of the settings: the index of patients.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ihe_adapters::pix::domains::{Domain, Domains, Kind, SetupError};
use serde::Deserialize;

use super::weights::{Weights, WeightsError};
use super::{Index, Matcher};

/// The section `[identity]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityFile {
    /// Who assigns identifiers of patients.
    pub domains: Vec<DomainFile>,
    /// Whether a message by PMIR may take back that patients were merged.
    pub unmerge_by_message: bool,
    /// Whether records are tied that are of one person.
    pub link: Linking,
    /// A file of weights; what it does not say is built in.
    pub weights: Option<PathBuf>,
}

/// Whether records are tied by this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linking {
    /// Those of sources are.
    #[default]
    On,
    /// Nobody's are, but by whoever calls operations.
    Off,
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
    /// Returns the index of the records that are tied; `None` where none are.
    ///
    /// # Errors
    /// As [`IdentityFile::domains`].
    pub fn index(&self, matcher: &Matcher) -> Result<Option<Index>, SetupError> {
        Ok(match self.link {
            Linking::On => Some(Index::new(Arc::new(self.domains()?), matcher.clone())),
            Linking::Off => None,
        })
    }

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

/// Reads the weights that are set.
///
/// # Errors
/// When the file cannot be read, or what it says cannot be used.
pub fn weights(file: Option<&Path>) -> Result<Weights, WeightsError> {
    let Some(path) = file else { return Weights::built_in() };
    let text = std::fs::read_to_string(path)
        .map_err(|error| WeightsError::Form(format!("`{}` cannot be read: {error}", path.display())))?;
    Weights::parse(&text)
}
