//! Authenticate Node (ITI-19): who a node is, as its certificate says. That it is
//! this node was proved when the connection was made, by TLS.
//!
//! Spec: ITI TF-2 3.19, RFC 5280, RFC 4514

use fhir_model::interaction::Node;
use fhir_model::primitive::hexadecimal;
use ring::digest::{SHA256, digest};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// Tells which node a certificate is of. `certificate`: DER.
pub fn node(certificate: &[u8]) -> Node {
    let mut sha256 = [0; 32];
    sha256.copy_from_slice(digest(&SHA256, certificate).as_ref());
    // TLS reads certificates less strictly: of one that cannot be read here the hash is known.
    let subject = Certificate::from_der(certificate).map(|read| read.tbs_certificate.subject.to_string());
    Node { subject: subject.unwrap_or_default(), sha256, certificate: certificate.to_vec() }
}

/// Writes by which hash a node is known: `sha256:` and the hash of its certificate.
pub fn fingerprint(node: &Node) -> String {
    format!("sha256:{}", hexadecimal::encode(&node.sha256))
}

/// Tells whether a certificate counts at a time, in seconds since 1970.
pub fn is_valid_at(certificate: &[u8], seconds: u64) -> bool {
    Certificate::from_der(certificate).is_ok_and(|read| {
        let validity = read.tbs_certificate.validity;
        let (since, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        (since.as_secs()..=until.as_secs()).contains(&seconds)
    })
}

/// Returns the public key of a certificate, as its SubjectPublicKeyInfo, DER.
pub(crate) fn public_key(certificate: &[u8]) -> Option<Vec<u8>> {
    Certificate::from_der(certificate).ok()?.tbs_certificate.subject_public_key_info.to_der().ok()
}
