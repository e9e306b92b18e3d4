//! The signature of an assertion: by a key that we trust, of all of it, and by
//! nothing that could leave a part out.
//!
//! Spec: SAML 2.0 Core 5.4, <https://www.w3.org/TR/xmldsig-core1/>

use bergshamra::keys::loader::load_x509_cert_pem;
use bergshamra::{DsigContext, KeysManager, VerifyResult};

use super::Refused;
use crate::wire::namespaces::{DSIG, SAML};
use crate::wire::xml::Element;

/// The ways of signing that are accepted; none by SHA-1, none by a shared secret.
const SIGNATURES: &[&str] = &[
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
    "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
    "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
    "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
];
/// The hashes that are accepted.
const DIGESTS: &[&str] = &[
    "http://www.w3.org/2001/04/xmlenc#sha256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "http://www.w3.org/2001/04/xmlenc#sha512",
];
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// What may be done with an assertion before it is hashed: nothing that takes
/// more away than the signature itself.
const TRANSFORMS: &[&str] = &[
    ENVELOPED,
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    "http://www.w3.org/2006/12/xml-c14n11",
];

/// The keys of those who may assert.
pub struct TrustedKeys {
    context: DsigContext,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read, or has a key of a kind that is not known.
    #[error("no certificate that can be used: {0}")]
    Certificate(String),
    /// There is none.
    #[error("the file holds no certificate")]
    Empty,
}

impl Default for TrustedKeys {
    /// Nobody is trusted.
    fn default() -> TrustedKeys {
        TrustedKeys { context: DsigContext::new(KeysManager::new()) }
    }
}

impl TrustedKeys {
    /// Trusts the keys of the certificates in a text, PEM. That a certificate is
    /// still good is not asked: it counts as long as it is listed.
    ///
    /// # Errors
    /// When one of them cannot be used, or there is none.
    pub fn add(&mut self, certificates: &str) -> Result<(), TrustError> {
        const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
        const END: &str = "-----END CERTIFICATE-----";
        let keys = &mut self.context.keys_manager;
        let before = keys.len();
        for rest in certificates.split(BEGIN).skip(1) {
            let body = rest.split(END).next().unwrap_or_default();
            let pem = format!("{BEGIN}{body}{END}\n");
            let key = load_x509_cert_pem(pem.as_bytes())
                .map_err(|error| TrustError::Certificate(error.to_string()))?;
            keys.add_key(key);
        }
        if keys.len() == before { Err(TrustError::Empty) } else { Ok(()) }
    }
}

/// Verifies the signature of an assertion. `text`: the assertion and nothing
/// else; `assertion`: the same, read.
///
/// # Errors
/// When it is not signed as a whole by somebody whom we trust.
pub(super) fn verify(text: &str, assertion: &Element, keys: &TrustedKeys) -> Result<(), Refused> {
    check_form(assertion)?;
    let refused = |why: String| Refused::Signature(why);
    match bergshamra::verify(&keys.context, text) {
        Ok(VerifyResult::Valid { references, .. }) if references.len() == 1 => Ok(()),
        Ok(VerifyResult::Valid { references, .. }) => {
            Err(refused(format!("it is of {} things", references.len())))
        }
        Ok(VerifyResult::Invalid { .. }) => {
            Err(refused("it is not by one of the trusted keys, or the assertion was changed".to_owned()))
        }
        Err(error) => Err(refused(error.to_string().chars().take(200).collect())),
    }
}

/// Checks that a signature is one of the whole assertion, however it is verified.
fn check_form(assertion: &Element) -> Result<(), Refused> {
    let refused = |why: &str| Err(Refused::Signature(why.to_owned()));
    let mut signatures = Vec::new();
    let mut ids = Vec::new();
    let mut assertions = 0;
    visit(assertion, &mut |element| {
        if element.is(DSIG, "Signature") {
            signatures.push(element);
        }
        assertions += usize::from(element.is(SAML, "Assertion"));
        let of_id = element.attributes.iter().filter(|a| a.local.eq_ignore_ascii_case("id"));
        ids.extend(of_id.map(|a| a.value.as_str()));
    });
    let Some(id) = assertion.attribute("ID").filter(|id| !id.is_empty()) else {
        return refused("the assertion has no ID");
    };
    if ids.iter().filter(|other| **other == id).count() != 1 {
        return refused("another element has the ID of the assertion");
    }
    let signature = match signatures.as_slice() {
        [] => return refused("the assertion is not signed"),
        [one] if assertions == 1 => one,
        _ => return refused("more than one signature, or an assertion in the assertion"),
    };
    if !assertion.elements().any(|child| std::ptr::eq(child, *signature)) {
        return refused("the signature does not stand in the assertion itself");
    }
    let Some(info) = signature.child(DSIG, "SignedInfo") else { return refused("it has no SignedInfo") };
    let algorithm =
        |of: Option<&Element>| of.and_then(|of| of.attribute("Algorithm")).unwrap_or_default().to_owned();
    let method = algorithm(info.child(DSIG, "SignatureMethod"));
    if !SIGNATURES.contains(&method.as_str()) {
        let method: String = method.chars().take(100).collect();
        return refused(&format!("the way of signing `{method}` is not accepted"));
    }
    let references: Vec<&Element> = info.children_named(DSIG, "Reference").collect();
    let [reference] = references.as_slice() else { return refused("it does not refer to one thing") };
    let uri = reference.attribute("URI");
    if !(uri == Some("") || uri.and_then(|uri| uri.strip_prefix('#')) == Some(id)) {
        return refused("it is not of the assertion that it stands in");
    }
    let digest = algorithm(reference.child(DSIG, "DigestMethod"));
    if !DIGESTS.contains(&digest.as_str()) {
        let digest: String = digest.chars().take(100).collect();
        return refused(&format!("the hash `{digest}` is not accepted"));
    }
    let transforms = reference.child(DSIG, "Transforms");
    let transforms: Vec<String> = transforms
        .into_iter()
        .flat_map(|all| all.children_named(DSIG, "Transform"))
        .map(|transform| algorithm(Some(transform)))
        .collect();
    let is_plain = transforms.iter().all(|transform| TRANSFORMS.contains(&transform.as_str()));
    if !is_plain || transforms.len() > 2 || !transforms.iter().any(|transform| transform == ENVELOPED) {
        return refused("it takes the assertion by other ways than the whole of it");
    }
    Ok(())
}

fn visit<'e>(element: &'e Element, found: &mut impl FnMut(&'e Element)) {
    found(element);
    for child in element.elements() {
        visit(child, found);
    }
}
