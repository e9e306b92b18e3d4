//! The header `Idempotency-Key`: a write that is sent again is performed once.
//!
//! Spec: draft-ietf-httpapi-idempotency-key-header

use actix_web::HttpRequest;
use bytes::Bytes;
use fhir_model::interaction::{Caller, Once};
use fhir_model::outcome::{Issue, IssueType};
use ihe_adapters::atna::node::fingerprint;
use ring::digest::{Context, SHA256};

/// Its name.
pub(super) const HEADER: &str = "idempotency-key";

/// The longest key that is taken.
const LENGTH_MAX: usize = 255;

/// Reads the key of a request that writes.
///
/// # Errors
/// When it is no key.
pub(super) fn once(key: &str, request: &HttpRequest, body: &Bytes) -> Result<Once, Issue> {
    // A string of RFC 8941; some leave the quotes away.
    let key = key.trim();
    let key = key.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(key);
    if !(1..=LENGTH_MAX).contains(&key.len()) {
        let text = format!("a key has 1 to {LENGTH_MAX} characters");
        return Err(Issue::error(IssueType::Value).at("http.idempotency-key").text(text));
    }
    let mut hashed = Context::new(&SHA256);
    for part in [request.method().as_str().as_bytes(), request.uri().to_string().as_bytes(), body] {
        hashed.update(&(part.len() as u64).to_be_bytes());
        hashed.update(part);
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(hashed.finish().as_ref());
    Ok(Once { key: key.to_owned(), fingerprint, answer: Bytes::new() })
}

/// Makes a key one of its caller: others may use the same.
pub(super) fn of_caller(once: Once, caller: &Caller) -> Once {
    let node = caller.node.as_deref().map(fingerprint).unwrap_or_default();
    let user = caller.user.as_deref().map_or("", |user| &user.id);
    Once { key: format!("http|{node}|{user}|{}", once.key), ..once }
}
