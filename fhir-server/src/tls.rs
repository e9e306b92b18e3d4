//! TLS of this server: how it shows itself, and which nodes it lets in (IHE
//! ATNA, Authenticate Node).
//!
//! A node is let in when an authority that is named vouches for its certificate,
//! or when its very certificate is named. Neither asks what stands in it. A
//! connection is authenticated anew each time: none is resumed.
//!
//! Spec: ITI TF-2 3.19, BCP 195

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ihe_adapters::atna::node::is_valid_at;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use serde::Deserialize;

use crate::config::ConfigError;

/// The section `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsFile {
    /// Certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Private key, PEM.
    pub key: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub clients: Option<Clients>,
    /// Authorities that vouch for the certificates of clients, PEM.
    pub client_authorities: Option<PathBuf>,
    /// Certificates of clients that count without an authority, PEM.
    pub client_certificates: Option<PathBuf>,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clients {
    /// Who shows none is not let in.
    Required,
    /// Who shows none is let in as nobody; who shows one that does not count is not.
    Optional,
}

/// Makes the settings of TLS by which clients are let in; TLS 1.2 or later.
///
/// # Errors
/// When certificates or keys cannot be used, or do not go together.
pub fn server(file: &TlsFile) -> Result<Option<ServerConfig>, ConfigError> {
    let (certificate, key) = match (&file.certificate, &file.key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) if *file == TlsFile::default() => return Ok(None),
        (None, None) => {
            return Err(ConfigError::Tls("clients can show certificates when the server has one".to_owned()));
        }
        _ => {
            return Err(ConfigError::Tls(
                "a certificate needs its key, and a key its certificate".to_owned(),
            ));
        }
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let nodes = nodes(file, &provider)?;
    let asks = nodes.is_some();
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(certificate, &error))?;
    let builder = match nodes {
        Some(nodes) => builder.with_client_cert_verifier(Arc::new(nodes)),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| failed(certificate, &error))?;
    if asks {
        // A session that is resumed would not be asked whether its certificate still counts.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(Some(config))
}

/// Reads certificates, PEM.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| failed(path, &error))?;
    if read.is_empty() { Err(failed(path, &"it holds no certificate")) } else { Ok(read) }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::Tls(format!("`{}`: {why}", path.display()))
}

/// Whom clients may be.
#[derive(Debug)]
struct Nodes {
    /// Asks the authorities, where there are any.
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    /// The certificates that count by themselves.
    named: Vec<CertificateDer<'static>>,
    is_required: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

fn nodes(file: &TlsFile, provider: &Arc<CryptoProvider>) -> Result<Option<Nodes>, ConfigError> {
    let mut nodes = Nodes {
        authorities: None,
        named: Vec::new(),
        is_required: file.clients != Some(Clients::Optional),
        algorithms: provider.signature_verification_algorithms,
    };
    if let Some(path) = &file.client_authorities {
        let mut roots = RootCertStore::empty();
        for authority in certificates(path)? {
            roots.add(authority).map_err(|error| failed(path, &error))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        nodes.authorities = Some(verifier.build().map_err(|error| failed(path, &error))?);
    }
    if let Some(path) = &file.client_certificates {
        nodes.named = certificates(path)?;
    }
    match (nodes.authorities.is_some() || !nodes.named.is_empty(), file.clients) {
        (true, _) => Ok(Some(nodes)),
        (false, None) => Ok(None),
        (false, Some(_)) => Err(ConfigError::Tls(
            "`clients` needs to know whom to let in: name `client_authorities` or `client_certificates`"
                .to_owned(),
        )),
    }
}

impl Nodes {
    fn verify(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.named.iter().any(|named| named == certificate) {
            return match is_valid_at(certificate, now.as_secs()) {
                true => Ok(ClientCertVerified::assertion()),
                false => Err(CertificateError::Expired.into()),
            };
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_client_cert(certificate, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }
}

impl ClientCertVerifier for Nodes {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.authorities {
            // With the names of authorities a client would keep one back that counts by itself.
            Some(authorities) if self.named.is_empty() => authorities.root_hint_subjects(),
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify(certificate, intermediates, now);
        if let Err(error) = &verified {
            tracing::warn!(%error, "a node was not let in: its certificate does not count");
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
