//! How this server asks others: whom it trusts, and how it shows itself.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::{ConfigError, PeersFile};
use crate::tls::certificates;

/// How long one waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may stand still.
const READ: Duration = Duration::from_secs(60);

/// Makes the client by which others are asked. Redirections are not followed:
/// what is sent is for whom it was addressed to.
///
/// # Errors
/// When certificates or keys cannot be used.
pub fn client(peers: &PeersFile) -> Result<reqwest::Client, ConfigError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(peers)?)
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("lanterna/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ConfigError::Tls(error.to_string()))
}

/// Makes the settings of TLS by which others are asked.
///
/// # Errors
/// When certificates or keys cannot be used.
pub fn tls(peers: &PeersFile) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    // A machine without authorities trusts those that are named.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &peers.authorities {
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|error| ConfigError::Tls(format!("`{}`: {error}", path.display())))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Tls(error.to_string()))?
        .with_root_certificates(roots);
    let (certificate, key) = match (&peers.certificate, &peers.key) {
        (None, None) => return Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            let why = "[peers]: a certificate needs its key, and a key its certificate";
            return Err(ConfigError::Tls(why.to_owned()));
        }
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| ConfigError::Tls(format!("`{}`: {error}", key.display())))?;
    let made = builder.with_client_auth_cert(chain, key);
    made.map_err(|error| ConfigError::Tls(format!("`{}`: {error}", certificate.display())))
}
