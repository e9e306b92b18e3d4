//! XUA (ITI-40): who is behind a request, as somebody whom we trust asserts it
//! by SAML 2.0.
//!
//! An assertion is cut out of the message as it stands, and from then on only
//! that text counts: its signature is verified, and it is read, so that what was
//! signed is what is believed.
//!
//! Spec: ITI TF-2 3.40, SAML 2.0 Core, WSS SAML Token Profile 1.1

mod assertion;
mod holder_of_key;
mod one_time;
mod signature;

use std::fmt;
use std::sync::Arc;

use fhir_model::interaction::{Node, User};
use jiff::Timestamp;

use crate::wire::namespaces::{SAML, WSSE};
use crate::wire::soap::{Envelope, Fault, Security, Subcode};

pub use one_time::OneTime;
pub use signature::{TrustError, TrustedKeys};

/// Whom we believe, and what.
#[derive(Clone)]
pub struct Trust {
    /// The keys of those who assert.
    pub keys: Arc<TrustedKeys>,
    /// The URIs that stand for us: an assertion has to be for one of them.
    pub audiences: Vec<String>,
    /// By how many seconds clocks may differ.
    pub skew_seconds: u32,
    /// Whether a request without an assertion is refused.
    pub is_required: bool,
    /// What an assertion has to say, besides.
    pub policy: Policy,
    /// The assertions for one use that were used.
    pub one_time: Arc<OneTime>,
}

/// What may be asserted; an empty list allows everything, also nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// Who may assert.
    pub issuers: Vec<String>,
    /// How users may have been authenticated, as classes of SAML.
    pub contexts: Vec<String>,
    /// In which roles one may ask: `code`, or `system|code`.
    pub roles: Vec<String>,
    /// To which purposes, likewise.
    pub purposes: Vec<String>,
    /// Which communities may ask, `urn:oid:...`.
    pub communities: Vec<String>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("audiences", &self.audiences)
            .field("skew_seconds", &self.skew_seconds)
            .field("is_required", &self.is_required)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Why an assertion is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not as it has to be.
    #[error("the assertion is not usable: {0}")]
    Invalid(String),
    /// It is not signed by somebody whom we trust.
    #[error("the signature of the assertion is not accepted: {0}")]
    Signature(String),
    /// It does not count: not now, not here, or not for who sent it.
    #[error("the assertion does not count: {0}")]
    Condition(String),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        let security = match refused {
            Refused::Invalid(_) => Security::InvalidSecurityToken,
            Refused::Signature(_) => Security::FailedCheck,
            Refused::Condition(_) => Security::FailedAuthentication,
        };
        Fault::sender(refused.to_string()).of_kind(Subcode::Security(security))
    }
}

/// Where an assertion stands in a message.
pub(crate) fn path(envelope_namespace: &str) -> [(&str, &str); 4] {
    [
        (envelope_namespace, "Envelope"),
        (envelope_namespace, "Header"),
        (WSSE, "Security"),
        (SAML, "Assertion"),
    ]
}

/// Tells how many assertions a message has.
pub(crate) fn count(envelope: &Envelope) -> usize {
    let headers = envelope.headers.iter().filter(|header| header.is(WSSE, "Security"));
    headers.flat_map(|security| security.children_named(SAML, "Assertion")).count()
}

/// Tells who is behind a message. `assertion`: as it stands in it, if there is
/// one; `node`: who sent it, as it was authenticated; `now`: the time by which it
/// has to count.
///
/// # Errors
/// When it is not believed, or missing and required.
pub fn user(
    assertion: Option<&str>,
    node: Option<&Node>,
    trust: &Trust,
    now: Timestamp,
) -> Result<Option<User>, Fault> {
    let Some(text) = assertion else {
        if trust.is_required {
            let reason = "the message says not who is behind it: a Security header with one SAML 2.0 Assertion is needed";
            return Err(Fault::sender(reason).of_kind(Subcode::Security(Security::InvalidSecurity)));
        }
        return Ok(None);
    };
    let element = assertion::parse(text)?;
    signature::verify(text, &element, &trust.keys)?;
    Ok(Some(assertion::read(&element, node, trust, now)?))
}
