//! Nodes that show themselves by certificates, and authorities that vouch for
//! them: clients of a server that asks for certificates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use crate::Answer;

/// How long one waits for what arrives.
const WAIT: Duration = Duration::from_secs(30);

/// Somebody who vouches for nodes.
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate: String,
    der: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A node, with its key.
pub struct NodeIdentity {
    /// Its certificate, PEM.
    pub certificate: String,
    /// Its key, PEM.
    pub key: String,
    /// Its certificate, DER.
    pub der: CertificateDer<'static>,
    /// Its public key, as certificates hold it.
    pub public_key: Vec<u8>,
    private_key: Vec<u8>,
}

fn parameters(name: &str, until: i32) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, "ASL 3");
    subject.push(DnType::CommonName, name);
    parameters.distinguished_name = subject;
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(until, 1, 1);
    parameters
}

impl Authority {
    /// Makes one with a key of its own.
    pub fn new(name: &str) -> Authority {
        let mut parameters = parameters(name, 2100);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let made = parameters.self_signed(&key).expect("a certificate");
        let der = made.der().clone();
        Authority { certificate: made.pem(), der, issuer: Issuer::new(parameters, key) }
    }

    /// Vouches for a node until the begin of a year.
    pub fn node(&self, name: &str, until: i32) -> NodeIdentity {
        let key = KeyPair::generate().expect("a key");
        let made = parameters(name, until).signed_by(&key, &self.issuer).expect("a certificate");
        NodeIdentity::of(&made, &key)
    }
}

impl NodeIdentity {
    /// Makes a node for which nobody vouches.
    pub fn self_signed(name: &str, until: i32) -> NodeIdentity {
        NodeIdentity::of_kind(name, until, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    /// Makes a node for which nobody vouches, with a kind of key.
    pub fn of_kind(name: &str, until: i32, kind: &'static SignatureAlgorithm) -> NodeIdentity {
        let key = KeyPair::generate_for(kind).expect("a key");
        // As OpenSSL makes them: it may vouch for others.
        let mut parameters = parameters(name, until);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = parameters.self_signed(&key).expect("a certificate");
        NodeIdentity::of(&made, &key)
    }

    fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.private_key.clone()).expect("a key")
    }

    fn of(made: &rcgen::Certificate, key: &KeyPair) -> NodeIdentity {
        NodeIdentity {
            certificate: made.pem(),
            key: key.serialize_pem(),
            der: made.der().clone(),
            public_key: key.public_key_raw().to_vec(),
            private_key: key.serialize_der(),
        }
    }
}

/// A client that speaks TLS, each request on a connection of its own.
#[derive(Clone)]
pub struct SecureClient {
    config: Arc<ClientConfig>,
    port: u16,
}

/// Makes the settings of a client that trusts an authority. `node`: as whom it
/// shows itself; `versions`: of TLS.
///
/// # Panics
/// When it cannot be such a client.
pub fn client_config(
    authority: &Authority,
    node: Option<&NodeIdentity>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots);
    match node {
        Some(node) => {
            builder.with_client_auth_cert(vec![node.der.clone()], node.private_key()).expect("a node")
        }
        None => builder.with_no_client_auth(),
    }
}

impl SecureClient {
    /// Makes one that trusts an authority. `node`: as whom it shows itself;
    /// `versions`: of TLS.
    pub fn new(
        port: u16,
        authority: &Authority,
        node: Option<&NodeIdentity>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> SecureClient {
        SecureClient { config: Arc::new(client_config(authority, node, versions)), port }
    }

    /// Sends a request; `Err` when no whole answer came.
    ///
    /// # Errors
    /// What the connection ended with.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Answer, String> {
        let told = |error: std::io::Error| error.to_string();
        let name = ServerName::try_from("localhost").map_err(|error| error.to_string())?;
        let connection =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(|error| error.to_string())?;
        let socket = TcpStream::connect(("127.0.0.1", self.port)).map_err(told)?;
        socket.set_read_timeout(Some(WAIT)).map_err(told)?;
        let mut stream = StreamOwned::new(connection, socket);
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} /{path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n",
            self.port,
            body.len()
        );
        // Who is not let in is told so while it sends, or when it waits for the answer.
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        match (read, sent) {
            (Err(error), _) | (Ok(0), Err(error)) => return Err(error.to_string()),
            _ => {}
        }
        parsed(&answer).ok_or_else(|| format!("no answer: {}", String::from_utf8_lossy(&answer)))
    }

    /// Gets a path as JSON.
    ///
    /// # Panics
    /// When no whole answer came.
    pub fn json(&self, path: &str) -> serde_json::Value {
        self.send("GET", path, &[], &[]).unwrap_or_else(|error| panic!("GET {path}: {error}")).json()
    }
}

fn parsed(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = answer[end + 4..].to_vec();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse::<usize>().ok()?;
    (body.len() == length).then_some(Answer { status, headers, body })
}
