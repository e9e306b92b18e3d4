//! Settings: a flag counts before the environment, that before the file, that
//! before the default.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use fhir_model::schema::TypeId;
use ihe_adapters::atna::Recorder;
use ihe_adapters::gateway::callbacks::Callbacks;
use ihe_adapters::gateway::{Images, messages, schemas};
use ihe_adapters::pix::domains::{Domains, SetupError};
use ihe_adapters::wire::schema::{SchemaProblem, Schemas};
use ihe_adapters::xca::initiating_gateway::Community;
use ihe_adapters::xds::code_lists::CodeLists;
use ihe_adapters::xds::values::is_oid;
use ihe_adapters::xua::{OneTime, Policy, Trust, TrustedKeys};
use jiff::Timestamp;
use serde::Deserialize;

use crate::alignment::settings::{AnaFile, AnaSettings};
use crate::audit::AuditRepository;
use crate::clock::{ClockWatch, TimeFile};
use crate::documents::settings::{self as documents, Bucket, DocumentsFile};
use crate::identity::Matcher;
use crate::identity::settings::{self as identity, IdentityFile, SurvivorshipError};
use crate::identity::survivorship::Survivorship;
use crate::identity::weights::WeightsError;
use crate::interaction::recording::Recorded;
use crate::interaction::validation::{Mode, Validation};
use crate::limits::Limits;
use crate::mllp::settings::{Hl7v2File, MllpAddress, MllpSettings};
use crate::outbox::Patience;
use crate::outbox::settings::OutboxFile;
use crate::subscribers::settings::{SubscriberError, SubscriberFile, SubscriberSettings, subscribers};
use crate::tls::{self, TlsFile};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the settings file `{path}` cannot be read: {why}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// What is no database.
    #[error("`{0}` is no database: leave --database out, or give sqlite:FOLDER")]
    Database(String),
    /// What is no OID.
    #[error(
        "ids of repositories, communities and authorities are OIDs such as 1.3.6.1.4.1.99999.1, and `{0}` is none"
    )]
    Oid(String),
    /// Code lists that cannot be read.
    #[error("[xds] codes: {0}")]
    Codes(String),
    /// Subscribers that cannot be told.
    #[error("[[subscribers]]: {0}")]
    Subscribers(#[from] SubscriberError),
    /// Domains of identifiers that cannot be told apart.
    #[error("[[identity.domains]]: {0}")]
    Domains(#[from] SetupError),
    /// XML schemas that cannot be used.
    #[error("[soap] schemas: {0}")]
    Schemas(#[from] SchemaProblem),
    /// What is no audit repository.
    #[error("[audit]: `{0}` is no repository such as tls://host:6514, tcp://host:601 or udp://host:514")]
    AuditRepository(String),
    /// Assertions that cannot be believed or refused.
    #[error("[xua]: {0}")]
    Xua(String),
    /// What is no address of a service.
    #[error("`{0}` is no address such as https://host/xca/query")]
    Address(String),
    /// What is no origin.
    #[error("[peers] callbacks: `{0}` is no origin such as https://host:8443, nor `*`")]
    Origin(String),
    /// A community that is in the directory twice.
    #[error("[[xca.communities]]: the community {0} is there twice")]
    CommunityTwice(String),
    /// A database that this build does not have.
    #[error(
        "this version does not have PostgreSQL yet: leave --database out for SQLite in the data folder, or give sqlite:FOLDER"
    )]
    Postgres,
    /// A validation setting for what is no resource type.
    #[error("[validation]: `{0}` is no resource type of FHIR R4, nor `default`")]
    Validation(String),
    /// Servers that cannot be asked for the time.
    #[error("[time]: {0}")]
    Time(String),
    /// What cannot be asked of ANA.
    #[error("[ana]: {0}")]
    Ana(String),
    /// What is no place of documents.
    #[error("[documents]: {0}")]
    Documents(String),
    /// Weights by which nobody can be matched.
    #[error("[identity] weights: {0}")]
    Weights(#[from] WeightsError),
    /// Rules by which nobody's word would count.
    #[error("[identity.survivorship]: {0}")]
    Survivorship(#[from] SurvivorshipError),
    /// What is no time zone.
    #[error("[hl7v2]: `{0}` is no time zone such as Europe/Rome")]
    TimeZone(String),
    /// A code system of messages without a name or a URI.
    #[error("[[hl7v2.code_systems]] `{0}`: it needs a name, and a URI such as https://example.org/codes")]
    CodeSystem(String),
    /// The certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Settings that may come as flags or from the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArguments {
    /// Settings file [default: lanterna.toml, if it is there]
    #[arg(long, global = true, env = "LANTERNA_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Folder of the data; made where there is none [default: lanterna-data]
    #[arg(long, global = true, env = "LANTERNA_DATA", value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Database: `sqlite:FOLDER` [default: SQLite in the data folder]
    #[arg(long, global = true, env = "LANTERNA_DATABASE", value_name = "URL")]
    pub database: Option<String>,
    /// Base of the URLs in answers, where a proxy stands before the server
    #[arg(long, global = true, env = "LANTERNA_BASE", value_name = "URL")]
    pub base: Option<String>,
    /// What is logged: error, warn, info, debug, trace [default: info]
    #[arg(long, global = true, env = "LANTERNA_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
    /// How it is logged: text or json [default: text]
    #[arg(long, global = true, env = "LANTERNA_LOG_FORMAT", value_name = "FORMAT")]
    pub log_format: Option<String>,
}

/// Settings of `serve` alone.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArguments {
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, env = "LANTERNA_LISTEN", value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// TLS certificate chain, PEM
    #[arg(long, env = "LANTERNA_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, env = "LANTERNA_TLS_KEY", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Address to listen on for HL7 v2 by MLLP, or `off` [default: 127.0.0.1:2575]
    #[arg(long, env = "LANTERNA_MLLP", value_name = "ADDRESS")]
    pub mllp: Option<MllpAddress>,
    /// Origin from which browsers may call; may be given several times; `*` for all
    #[arg(long, env = "LANTERNA_CORS_ORIGIN", value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// Threads that serve [default: one for each core]
    #[arg(long, env = "LANTERNA_WORKERS", value_name = "NUMBER")]
    pub workers: Option<usize>,
}

/// The settings file: every key may be left out; one that is not known is an error.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsFile {
    /// As `--listen`.
    pub listen: Option<SocketAddr>,
    /// As `--data`.
    pub data: Option<PathBuf>,
    /// As `--database`.
    pub database: Option<String>,
    /// As `--base`.
    pub base: Option<String>,
    /// As `--workers`.
    pub workers: Option<usize>,
    /// As `--cors-origin`.
    pub cors_origins: Option<Vec<String>>,
    /// How the server shows itself, and whom it lets in.
    pub tls: TlsFile,
    /// What is logged, and how.
    pub log: LogFile,
    /// Limits by name.
    pub limits: LimitsFile,
    /// What validation of writes leads to: `default`, and by resource type.
    pub validation: HashMap<String, Mode>,
    /// Who is who.
    pub identity: IdentityFile,
    /// Document sharing.
    pub xds: XdsFile,
    /// What SOAP messages have to be like.
    pub soap: SoapFile,
    /// Sharing with other communities.
    pub xca: XcaFile,
    /// How others are asked.
    pub peers: PeersFile,
    /// Who is believed of users.
    pub xua: XuaFile,
    /// What is recorded.
    pub audit: AuditFile,
    /// Where images are.
    pub images: Option<ImagesFile>,
    /// Where documents are.
    pub documents: DocumentsFile,
    /// Who knows the time.
    pub time: TimeFile,
    /// How what has to reach others is sent.
    pub outbox: OutboxFile,
    /// The national registry of assisted persons.
    pub ana: AnaFile,
    /// Where messages of HL7 v2 come in, and what of them is taken.
    pub hl7v2: Hl7v2File,
    /// Who is told by HL7 v2 of what changes.
    pub subscribers: Vec<SubscriberFile>,
}

/// The section `[images]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagesFile {
    /// The address of a DICOMweb service.
    pub url: String,
    /// The `Authorization` by which it is asked.
    pub authorization: Option<String>,
    /// The OID by which manifests name it.
    pub repository_unique_id: Option<String>,
}

/// The section `[audit]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuditFile {
    /// Whether anything is recorded as AuditEvents.
    pub record: bool,
    /// What of FHIR is recorded.
    pub fhir: Recorded,
    /// How this server is called in what it records.
    pub source_id: String,
    /// The site.
    pub enterprise_site: Option<String>,
    /// Where AuditEvents are sent to as audit messages: `tls://host:6514`,
    /// `tcp://host:port` or `udp://host:514`.
    pub repository: Option<String>,
}

impl Default for AuditFile {
    fn default() -> AuditFile {
        AuditFile {
            record: true,
            fhir: Recorded::default(),
            source_id: "lanterna".to_owned(),
            enterprise_site: None,
            repository: None,
        }
    }
}

/// The section `[xua]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XuaFile {
    /// Certificates of those who assert, PEM; without any, nobody is asked.
    pub trusted: Vec<PathBuf>,
    /// The URIs that stand for this server, besides that of its community.
    pub audiences: Vec<String>,
    /// By how many seconds clocks may differ.
    pub skew_seconds: Option<u32>,
    /// Whether a message without an assertion is refused.
    pub required: bool,
    /// Who may assert; everybody who is trusted where there is none.
    pub issuers: Vec<String>,
    /// How users may have been authenticated, as classes of SAML.
    pub authentication: Vec<String>,
    /// In which roles one may ask: `code`, or `system|code`.
    pub roles: Vec<String>,
    /// To which purposes, likewise.
    pub purposes: Vec<String>,
    /// The OIDs of the communities that may ask.
    pub communities: Vec<String>,
}

/// The section `[xca]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XcaFile {
    /// The other communities that are asked.
    pub communities: Vec<CommunityFile>,
}

/// A section `[[xca.communities]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommunityFile {
    /// Its OID.
    pub home_community_id: String,
    /// Where its responding gateway takes ITI-38.
    pub query: String,
    /// Where its responding gateway takes ITI-39.
    pub retrieve: String,
    /// Where its responding gateway takes ITI-55; without it, it is not asked for patients.
    pub xcpd: Option<String>,
    /// The OID of who assigns the identifiers by which it knows patients.
    pub assigning_authority: Option<String>,
}

/// The section `[peers]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeersFile {
    /// Authorities that are trusted besides those of the system, PEM.
    pub authorities: Option<PathBuf>,
    /// The certificate chain by which this server shows itself, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// How long one waits for an answer, in seconds.
    pub answer_seconds_max: Option<u64>,
    /// Where others may have answers and notifications sent to.
    pub callbacks: Vec<String>,
}

/// The section `[xds]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct XdsFile {
    /// The OID of the document repository; made and kept with the data where
    /// there is none.
    pub repository_unique_id: Option<String>,
    /// The OID of the community; made and kept with the data where there is none.
    pub home_community_id: Option<String>,
    /// The OID of who assigns the identifiers of patients.
    pub affinity_domain: Option<String>,
    /// A file of the codes that the affinity domain allows.
    pub codes: Option<PathBuf>,
}

/// The section `[soap]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoapFile {
    /// A folder of XML schemas by which messages have to be valid.
    pub schemas: Option<PathBuf>,
}

/// The section `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogFile {
    /// As `--log`.
    pub level: Option<String>,
    /// As `--log-format`.
    pub format: Option<String>,
}

macro_rules! limits_file {
    ($($name:ident: $kind:ty,)*) => {
        /// The section `[limits]`: see [`Limits`].
        #[derive(Debug, Clone, Default, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct LimitsFile {
            $(#[allow(missing_docs)] pub $name: Option<$kind>,)*
        }

        impl LimitsFile {
            fn limits(&self) -> Limits {
                let mut limits = Limits::default();
                $(if let Some(value) = self.$name { limits.$name = value; })*
                limits
            }
        }
    };
}

limits_file! {
    body_bytes_max: usize,
    bodies_bytes_max: usize,
    bundle_entries_max: usize,
    url_bytes_max: usize,
    parameters_max: usize,
    connections_max: usize,
    running_max: usize,
    waiting_max: usize,
    waiting_seconds_max: u64,
    head_seconds_max: u64,
    body_seconds_max: u64,
    body_grace_seconds: u64,
    body_rate_min: u64,
    read_seconds_max: u64,
    idle_seconds_max: u64,
    drain_seconds_max: u64,
    key_days: u64,
}

/// The settings as they count.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder of the data.
    pub data: PathBuf,
    /// Base of the URLs in answers.
    pub base: Option<String>,
    /// What is logged.
    pub log_level: String,
    /// Whether logs are JSON.
    pub log_json: bool,
    /// The limits.
    pub limits: Limits,
    /// What validation of writes leads to.
    pub validation: Validation,
    /// What tells who is the same person.
    pub matcher: Matcher,
    /// Whose word counts where records of a person differ.
    pub(crate) survivorship: Survivorship,
    /// The rest of the file, for `serve`.
    file: SettingsFile,
}

/// The settings of `serve` as they count.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where it listens for HL7 v2.
    pub mllp: Option<MllpSettings>,
    /// What of HL7 v2 is taken.
    pub messages: messages::Settings,
    /// Certificate and key.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Origins from which browsers may call.
    pub cors_origins: Vec<String>,
    /// Threads that serve.
    pub workers: usize,
    /// Who assigns identifiers of patients.
    pub domains: Arc<Domains>,
    /// Whether a message by PMIR may take back that patients were merged.
    pub may_unmerge: bool,
    /// Document sharing.
    pub xds: XdsFile,
    /// The codes that the affinity domain allows.
    pub code_lists: Option<Arc<CodeLists>>,
    /// What SOAP messages have to be valid by.
    pub schemas: Option<Schemas>,
    /// The other communities that are asked.
    pub communities: Vec<Community>,
    /// How others are asked.
    pub peers: PeersFile,
    /// Where others may have messages sent to.
    pub callbacks: Callbacks,
    /// Who is believed of users.
    pub trust: Option<Trust>,
    /// How this server is called in what it records; `None` when it does not.
    pub recorder: Option<Recorder>,
    /// What of FHIR it records.
    pub recorded: Recorded,
    /// Where AuditEvents are sent to.
    pub audit_repository: Option<AuditRepository>,
    /// Where images are.
    pub images: Option<Images>,
    /// Where documents are; `None` for the folder of the data.
    pub documents: Option<Bucket>,
    /// Asks by how much the clock is off.
    pub clock: Option<Arc<ClockWatch>>,
    /// How patient the outbox is.
    pub patience: Patience,
    /// The national registry of assisted persons.
    pub ana: Option<AnaSettings>,
    /// Who is told by HL7 v2 of what changes.
    pub subscribers: Vec<SubscriberSettings>,
}

impl Settings {
    /// Returns what is set of the index of patients.
    pub fn identity(&self) -> &IdentityFile {
        &self.file.identity
    }

    /// Brings flags, environment and file together.
    ///
    /// # Errors
    /// When the file cannot be read, or names a database that is not there.
    pub fn of(arguments: &SettingsArguments) -> Result<Settings, ConfigError> {
        let file = match &arguments.config {
            Some(path) => read_file(path)?,
            None if Path::new("lanterna.toml").exists() => read_file(Path::new("lanterna.toml"))?,
            None => SettingsFile::default(),
        };
        let mut data =
            arguments.data.clone().or_else(|| file.data.clone()).unwrap_or_else(|| "lanterna-data".into());
        if let Some(url) = arguments.database.as_ref().or(file.database.as_ref()) {
            if url.starts_with("postgres:") || url.starts_with("postgresql:") {
                return Err(ConfigError::Postgres);
            }
            // The rest of the URL may hold a password: only its scheme is told.
            let folder = url.strip_prefix("sqlite:").ok_or_else(|| {
                ConfigError::Database(url.split("://").next().unwrap_or_default().to_owned())
            })?;
            data = PathBuf::from(folder.trim_start_matches("//"));
        }
        let base = arguments.base.clone().or_else(|| file.base.clone());
        Ok(Settings {
            data,
            base: base.map(|b| b.trim_end_matches('/').to_owned()),
            log_level: arguments
                .log
                .clone()
                .or_else(|| file.log.level.clone())
                .unwrap_or_else(|| "info".to_owned()),
            log_json: arguments.log_format.as_ref().or(file.log.format.as_ref()).is_some_and(|f| f == "json"),
            limits: file.limits.limits(),
            validation: validation(&file.validation)?,
            matcher: Matcher::new(identity::weights(file.identity.weights.as_deref())?),
            survivorship: file.identity.survivorship.survivorship(&file.identity.domains()?)?,
            file,
        })
    }

    /// Brings the settings of `serve` together.
    ///
    /// # Errors
    /// When certificate or key cannot be used.
    pub fn serve(&self, arguments: &ServeArguments) -> Result<ServeSettings, ConfigError> {
        let default_listen = SocketAddr::from(([127, 0, 0, 1], 8080));
        let mut tls = self.file.tls.clone();
        if arguments.tls_certificate.is_some() || arguments.tls_key.is_some() {
            (tls.certificate, tls.key) = (arguments.tls_certificate.clone(), arguments.tls_key.clone());
        }
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let cors_origins = match arguments.cors_origin.is_empty() {
            true => self.file.cors_origins.clone().unwrap_or_default(),
            false => arguments.cors_origin.clone(),
        };
        let xds = self.file.xds.clone();
        let oids = [&xds.repository_unique_id, &xds.home_community_id, &xds.affinity_domain];
        for oid in oids.into_iter().flatten() {
            if !is_oid(oid) {
                return Err(ConfigError::Oid(oid.clone()));
            }
        }
        let code_lists = xds.codes.as_deref().map(code_lists).transpose()?.map(Arc::new);
        let domains = self.domains()?;
        Ok(ServeSettings {
            code_lists,
            domains: Arc::clone(&domains),
            may_unmerge: self.file.identity.unmerge_by_message,
            schemas: self.file.soap.schemas.as_deref().map(schemas::open).transpose()?,
            xds,
            communities: communities(&self.file.xca)?,
            peers: self.file.peers.clone(),
            callbacks: Callbacks::parse(&self.file.peers.callbacks).map_err(ConfigError::Origin)?,
            trust: trust(&self.file.xua)?,
            images: self.file.images.clone().map(images).transpose()?,
            clock: ClockWatch::of(&self.file.time)?.map(Arc::new),
            documents: documents::bucket(&self.file.documents, |name| std::env::var(name).ok())?,
            patience: self.file.outbox.patience(),
            ana: self.ana()?,
            subscribers: subscribers(&self.file.subscribers, &domains, &self.file.hl7v2.sender())?,
            recorder: self.recorder(),
            recorded: self.file.audit.fhir,
            audit_repository: self.file.audit.repository.as_deref().map(audit_repository).transpose()?,
            listen: arguments.listen.or(self.file.listen).unwrap_or(default_listen),
            mllp: self.file.hl7v2.listener(arguments.mllp)?,
            messages: self.file.hl7v2.messages()?,
            tls: tls::server(&tls)?.map(Arc::new),
            cors_origins,
            workers: arguments.workers.or(self.file.workers).unwrap_or(cores).max(1),
        })
    }
}

impl Settings {
    /// Returns how this server is called in what it records; `None` when it does not.
    pub fn recorder(&self) -> Option<Recorder> {
        self.file.audit.record.then(|| Recorder {
            source_id: self.file.audit.source_id.clone(),
            enterprise_site: self.file.audit.enterprise_site.clone(),
        })
    }

    /// Returns who assigns identifiers.
    ///
    /// # Errors
    /// When two domains cannot be told apart.
    pub fn domains(&self) -> Result<Arc<Domains>, ConfigError> {
        Ok(Arc::new(self.file.identity.domains()?))
    }

    /// Returns how ANA is asked; `None` when it has no address.
    ///
    /// # Errors
    /// When it cannot be asked so.
    pub fn ana(&self) -> Result<Option<AnaSettings>, ConfigError> {
        AnaSettings::of(&self.file.ana, &self.file.peers)
    }
}

fn code_lists(path: &Path) -> Result<CodeLists, ConfigError> {
    let failed = |why: String| ConfigError::Codes(format!("`{}`: {why}", path.display()));
    let xml = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    CodeLists::parse(&xml).map_err(|error| failed(error.to_string()))
}

fn images(file: ImagesFile) -> Result<Images, ConfigError> {
    let ImagesFile { url, authorization, repository_unique_id } = file;
    if let Some(oid) = repository_unique_id.as_ref().filter(|oid| !is_oid(oid)) {
        return Err(ConfigError::Oid(oid.clone()));
    }
    if !is_address(&url) {
        return Err(ConfigError::Address(url));
    }
    Ok(Images { url: url.trim_end_matches('/').to_owned(), authorization, repository_unique_id })
}

/// Tells whether a text is an address to which requests can be sent.
pub(crate) fn is_address(text: &str) -> bool {
    reqwest::Url::parse(text).is_ok_and(|url| url.scheme().starts_with("http"))
}

fn audit_repository(address: &str) -> Result<AuditRepository, ConfigError> {
    AuditRepository::parse(address).ok_or_else(|| ConfigError::AuditRepository(address.to_owned()))
}

/// By how many seconds clocks may differ where nothing is set.
const SKEW_SECONDS: u32 = 60;

fn trust(file: &XuaFile) -> Result<Option<Trust>, ConfigError> {
    if file.trusted.is_empty() {
        return match file.required {
            true => Err(ConfigError::Xua(
                "`required` needs somebody to believe: name certificates in `trusted`".to_owned(),
            )),
            false => Ok(None),
        };
    }
    let mut keys = TrustedKeys::default();
    for path in &file.trusted {
        let failed = |why: String| ConfigError::Xua(format!("`{}`: {why}", path.display()));
        let certificates = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        keys.add(&certificates).map_err(|error| failed(error.to_string()))?;
    }
    Ok(Some(Trust {
        keys: Arc::new(keys),
        audiences: file.audiences.clone(),
        skew_seconds: file.skew_seconds.unwrap_or(SKEW_SECONDS),
        is_required: file.required,
        one_time: Arc::new(OneTime::since(Timestamp::now())),
        policy: Policy {
            issuers: file.issuers.clone(),
            contexts: file.authentication.clone(),
            roles: file.roles.clone(),
            purposes: file.purposes.clone(),
            communities: file.communities.iter().map(|id| format!("urn:oid:{id}")).collect(),
        },
    }))
}

fn communities(file: &XcaFile) -> Result<Vec<Community>, ConfigError> {
    let mut communities: Vec<Community> = Vec::new();
    for file in file.communities.clone() {
        let CommunityFile { home_community_id, query, retrieve, xcpd, assigning_authority } = file;
        for oid in std::iter::once(&home_community_id).chain(&assigning_authority) {
            if !is_oid(oid) {
                return Err(ConfigError::Oid(oid.clone()));
            }
        }
        for address in [&query, &retrieve].into_iter().chain(&xcpd) {
            if !is_address(address) {
                return Err(ConfigError::Address(address.clone()));
            }
        }
        if communities.iter().any(|other| other.home_community_id == home_community_id) {
            return Err(ConfigError::CommunityTwice(home_community_id));
        }
        communities.push(Community { home_community_id, query, retrieve, xcpd, assigning_authority });
    }
    Ok(communities)
}

fn validation(file: &HashMap<String, Mode>) -> Result<Validation, ConfigError> {
    let mut validation = Validation::default();
    for (name, mode) in file {
        match TypeId::resource_named(name) {
            Some(of) => {
                validation.by_type.insert(of, *mode);
            }
            None if name == "default" => validation.default = *mode,
            None => return Err(ConfigError::Validation(name.clone())),
        }
    }
    Ok(validation)
}

fn read_file(path: &Path) -> Result<SettingsFile, ConfigError> {
    let failed = |why: String| ConfigError::File { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?;
    toml::from_str(&text).map_err(|e| failed(told(e.message()).unwrap_or_else(|| e.to_string())))
}

/// Says of a key that is not known which one was meant. The parser's own
/// message is ``unknown field `a`, expected one of `b`, `c` ``.
fn told(message: &str) -> Option<String> {
    let mut quoted = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    let nearest = quoted.min_by_key(|known| distance(&given.to_ascii_lowercase(), known))?;
    Some(format!("`{given}` is no setting; did you mean `{nearest}`?"))
}

/// Counts the letters to insert, take out or change to come from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let value = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = value;
            left = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_annotated_example_says_the_defaults() {
        let text = include_str!("../../docs/lanterna.toml");
        let file: SettingsFile = toml::from_str(text).expect("the example is valid");
        assert_eq!(file.limits.limits(), Limits::default());
        assert!(!format!("{:?}", file.limits).contains("None"), "the example names every limit: {file:?}");
        assert_eq!(file.listen, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        assert_eq!(file.data, Some("lanterna-data".into()));
        assert_eq!((&file.ana, file.outbox.patience()), (&AnaFile::default(), Patience::default()));
    }

    #[test]
    fn unknown_keys_and_databases_are_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.toml");
        for (text, expected) in [
            ("lisen = \"x\"", "`lisen` is no setting; did you mean `listen`?"),
            ("[limits]\nbody_byte_max = 1", "`body_byte_max` is no setting; did you mean `body_bytes_max`?"),
            ("[log]\nLevel = \"x\"", "`Level` is no setting; did you mean `level`?"),
            ("listen = 5", "listen"),
            ("x = = 1", "x = = 1"),
        ] {
            std::fs::write(&path, text).expect("written");
            let error = read_file(&path).expect_err(text).to_string();
            assert!(error.contains(expected) && error.contains("x.toml"), "{error}");
        }
        let arguments = SettingsArguments { database: Some("postgres://x".to_owned()), ..Default::default() };
        assert!(matches!(Settings::of(&arguments), Err(ConfigError::Postgres)));
        let arguments =
            SettingsArguments { database: Some("x://u:secret@h".to_owned()), ..Default::default() };
        let error = Settings::of(&arguments).expect_err("no database").to_string();
        assert!(error.contains("`x`") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_flag_counts_before_the_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("x.toml");
        std::fs::write(&path, "data = \"from-file\"\n[limits]\nbody_bytes_max = 5\n").expect("written");
        let arguments = SettingsArguments { config: Some(path.clone()), ..Default::default() };
        let settings = Settings::of(&arguments).expect("valid");
        assert_eq!((settings.data, settings.limits.body_bytes_max), ("from-file".into(), 5));
        let arguments = SettingsArguments { data: Some("flag".into()), ..arguments };
        assert_eq!(Settings::of(&arguments).expect("valid").data, PathBuf::from("flag"));
    }
}
