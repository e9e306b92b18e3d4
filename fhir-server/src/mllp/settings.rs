//! The section `[hl7v2]`: where messages of HL7 v2 come in, and what of them is taken.

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use ihe_adapters::gateway::messages::inbox::Patience;
use ihe_adapters::gateway::messages::{self, Keep};
use ihe_adapters::hl7v2::code_systems::{CodeSystem, CodeSystems};
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::config::ConfigError;
use crate::tls::{self, TlsFile};

/// Where messages come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MllpAddress {
    /// Nowhere.
    Off,
    /// By MLLP at an address.
    Listen(SocketAddr),
}

impl FromStr for MllpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<MllpAddress, String> {
        if text == "off" {
            return Ok(MllpAddress::Off);
        }
        let address = text.parse();
        address
            .map(MllpAddress::Listen)
            .map_err(|_| format!("`{text}` is no address such as 127.0.0.1:2575, nor `off`"))
    }
}

impl TryFrom<String> for MllpAddress {
    type Error = String;

    fn try_from(text: String) -> Result<MllpAddress, String> {
        text.parse()
    }
}

/// The section `[hl7v2]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hl7v2File {
    /// As `--mllp`.
    pub mllp: MllpAddress,
    /// How the server shows itself there, and whom it lets in.
    pub tls: TlsFile,
    /// How this server is called: in MSH-3 of what it tells, and of answers to messages that
    /// name no receiver.
    pub application: String,
    /// Of which facility it is: in MSH-4 of what it tells.
    pub facility: String,
    /// The processing ids (MSH-11) that are taken.
    pub processing_ids: Vec<String>,
    /// The zone of times that say none.
    pub time_zone: String,
    /// Which messages are kept as they came.
    pub keep: KeepFile,
    /// The code systems that only this region has.
    pub code_systems: Vec<CodeSystemFile>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Seconds in which a message that has begun must arrive whole.
    pub message_seconds_max: u64,
    /// Seconds that a connection may idle between messages.
    pub idle_seconds_max: u64,
    /// How often a message that was taken over fails before it is set aside.
    pub failures_max: u32,
    /// Seconds for which it fails before it is.
    pub failing_seconds_max: u64,
}

/// A section `[[hl7v2.code_systems]]`: a code system that only this region has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeSystemFile {
    /// What messages call it.
    pub name: String,
    /// The URI that it has in FHIR.
    pub uri: String,
    /// The senders that mean it by this name; none for all.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Which messages are kept as they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepFile {
    /// Those of which something has no place in FHIR here.
    Unmapped,
    /// All.
    All,
    /// None.
    None,
}

impl Default for Hl7v2File {
    fn default() -> Hl7v2File {
        Hl7v2File {
            mllp: MllpAddress::Listen(SocketAddr::from(([127, 0, 0, 1], 2575))),
            tls: TlsFile::default(),
            application: "LANTERNA".to_owned(),
            facility: String::new(),
            processing_ids: vec!["P".to_owned()],
            time_zone: "Europe/Rome".to_owned(),
            keep: KeepFile::Unmapped,
            code_systems: Vec::new(),
            connections_max: 1_000,
            message_bytes_max: 16 << 20,
            message_seconds_max: 60,
            idle_seconds_max: 3_600,
            failures_max: Patience::default().failures_max,
            failing_seconds_max: Patience::default().seconds_max,
        }
    }
}

/// How the listener is set up.
#[derive(Debug, Clone)]
pub struct MllpSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate and key, for TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Connections at once.
    pub connections_max: usize,
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Seconds in which a message that has begun must arrive whole.
    pub message_seconds_max: u64,
    /// Seconds that a connection may idle between messages.
    pub idle_seconds_max: u64,
}

impl Hl7v2File {
    /// Returns how the listener is set up, where there is to be one.
    ///
    /// # Errors
    /// When certificate or key cannot be used.
    pub fn listener(&self, flag: Option<MllpAddress>) -> Result<Option<MllpSettings>, ConfigError> {
        let MllpAddress::Listen(listen) = flag.unwrap_or(self.mllp) else { return Ok(None) };
        Ok(Some(MllpSettings {
            listen,
            tls: tls::server(&self.tls)?.map(Arc::new),
            connections_max: self.connections_max,
            message_bytes_max: self.message_bytes_max,
            message_seconds_max: self.message_seconds_max,
            idle_seconds_max: self.idle_seconds_max,
        }))
    }

    /// Returns whom messages are from that are sent to others: MSH-3 and MSH-4.
    pub fn sender(&self) -> [String; 2] {
        [self.application.clone(), self.facility.clone()]
    }

    /// Returns what is taken of messages.
    ///
    /// # Errors
    /// When there is no such time zone, or a code system has no name or no URI.
    pub fn messages(&self) -> Result<messages::Settings, ConfigError> {
        let zone = TimeZone::get(&self.time_zone);
        let zone = zone.map_err(|_| ConfigError::TimeZone(self.time_zone.clone()))?;
        let keep = match self.keep {
            KeepFile::Unmapped => Keep::Unmapped,
            KeepFile::All => Keep::All,
            KeepFile::None => Keep::None,
        };
        let (application, processing_ids) = (self.application.clone(), self.processing_ids.clone());
        let patience = Patience { failures_max: self.failures_max, seconds_max: self.failing_seconds_max };
        let code_systems = self.code_systems()?;
        Ok(messages::Settings { application, processing_ids, time_zone: zone, keep, code_systems, patience })
    }

    fn code_systems(&self) -> Result<CodeSystems, ConfigError> {
        let made = |file: &CodeSystemFile| {
            let CodeSystemFile { name, uri, sources } = file.clone();
            let is_whole = !name.is_empty() && uri.contains(':') && !uri.contains(char::is_whitespace);
            is_whole
                .then_some(CodeSystem { name, uri, sources })
                .ok_or_else(|| ConfigError::CodeSystem(file.name.clone()))
        };
        Ok(CodeSystems::new(self.code_systems.iter().map(made).collect::<Result<_, _>>()?))
    }
}
