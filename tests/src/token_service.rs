//! A token service of our own: asserts by SAML 2.0 who a user is, rightly and
//! wrongly.

use bergshamra::keys::loader::load_pem_auto;
use bergshamra::{DsigContext, KeysManager};
use jiff::{SignedDuration, Timestamp};

/// Somebody who asserts.
pub struct TokenService {
    /// The certificate by which it is known, PEM.
    pub certificate: String,
    context: DsigContext,
}

/// What is asserted. Times are in seconds from now.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Of whom.
    pub user: String,
    /// For whom; each in a restriction of its own.
    pub audiences: Vec<String>,
    /// Since when.
    pub not_before: i64,
    /// Until when; `None` for ever.
    pub not_on_or_after: Option<i64>,
    /// How the subject is confirmed.
    pub confirmation: &'static str,
    /// What is said with that, as XML.
    pub confirmation_data: String,
    /// Further conditions, as XML.
    pub conditions: &'static str,
    /// The id of the assertion.
    pub id: String,
    /// How the user was authenticated; one statement for each.
    pub contexts: Vec<&'static str>,
    /// Roles: code and text, in a system of the tests.
    pub roles: Vec<(&'static str, &'static str)>,
    /// Purposes of use.
    pub purposes: Vec<&'static str>,
    /// Further attributes: name and value, as XML.
    pub attributes: Vec<(&'static str, &'static str)>,
    /// How it is signed.
    pub signature: &'static str,
    /// How it is hashed.
    pub digest: &'static str,
    /// What is done before it is hashed, besides leaving the signature out.
    pub transform: &'static str,
}

/// ECDSA with SHA-256.
pub const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
/// SHA-256.
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// Exclusive canonicalization.
pub const EXCLUSIVE: &str = "<ds:Transform Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/>";

impl Claims {
    /// What an ordinary physician shows for five minutes.
    pub fn of(user: &str, audience: &str) -> Claims {
        Claims {
            user: user.to_owned(),
            audiences: vec![audience.to_owned()],
            not_before: -1,
            not_on_or_after: Some(300),
            confirmation: "urn:oasis:names:tc:SAML:2.0:cm:bearer",
            confirmation_data: String::new(),
            conditions: "",
            id: "_1".to_owned(),
            contexts: vec!["urn:oasis:names:tc:SAML:2.0:ac:classes:X509"],
            roles: vec![("221", "Medical doctor")],
            purposes: vec!["TREAT"],
            attributes: vec![("urn:oasis:names:tc:xspa:1.0:subject:subject-id", "Anna Rossi")],
            signature: ECDSA_SHA256,
            digest: SHA256,
            transform: EXCLUSIVE,
        }
    }
}

impl Default for TokenService {
    fn default() -> TokenService {
        TokenService::new()
    }
}

impl TokenService {
    /// Makes one with a key of its own.
    pub fn new() -> TokenService {
        let made = rcgen::generate_simple_self_signed(vec!["sts.example".to_owned()]).expect("a certificate");
        let key = load_pem_auto(made.signing_key.serialize_pem().as_bytes(), None).expect("a key");
        let mut keys = KeysManager::new();
        keys.add_key(key);
        TokenService { certificate: made.cert.pem(), context: DsigContext::new_permissive(keys) }
    }

    /// Asserts something.
    pub fn assertion(&self, claims: &Claims) -> String {
        bergshamra::sign(&self.context, &Self::template(claims)).expect("signed")
    }

    /// Writes an assertion that is not signed yet.
    pub fn template(claims: &Claims) -> String {
        let at = |seconds: i64| (Timestamp::now() + SignedDuration::from_secs(seconds)).to_string();
        let until =
            |name: &str| claims.not_on_or_after.map_or_else(String::new, |s| format!(" {name}='{}'", at(s)));
        let audience = |a: &String| {
            format!("<saml:AudienceRestriction><saml:Audience>{a}</saml:Audience></saml:AudienceRestriction>")
        };
        let audiences: String = claims.audiences.iter().map(audience).collect();
        let statement = |context: &&str| {
            format!(
                "<saml:AuthnStatement AuthnInstant='{}'><saml:AuthnContext>{context}</saml:AuthnContext>\
                 </saml:AuthnStatement>",
                at(claims.not_before)
            )
        };
        let class = |context: &&'static str| match *context {
            "" => String::new(),
            class => format!("<saml:AuthnContextClassRef>{class}</saml:AuthnContextClassRef>"),
        };
        let statements: String = claims.contexts.iter().map(class).map(|c| statement(&c.as_str())).collect();
        let attribute = |name: &str, value: &str| {
            format!(
                "<saml:Attribute Name='{name}'><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>"
            )
        };
        let mut attributes: String = claims.attributes.iter().map(|(n, v)| attribute(n, v)).collect();
        for (code, display) in &claims.roles {
            let role = format!(
                "<Role xmlns='urn:hl7-org:v3' code='{code}' codeSystem='2.16.840.1.113883.2.9.6.2.7' displayName='{display}'/>"
            );
            attributes += &attribute("urn:oasis:names:tc:xacml:2.0:subject:role", &role);
        }
        for code in &claims.purposes {
            let purpose = format!(
                "<PurposeOfUse xmlns='urn:hl7-org:v3' code='{code}' codeSystem='2.16.840.1.113883.1.11.20448'/>"
            );
            attributes += &attribute("urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", &purpose);
        }
        format!(
            "<saml:Assertion xmlns:saml='urn:oasis:names:tc:SAML:2.0:assertion' ID='{id}' Version='2.0' IssueInstant='{now}'>\
             <saml:Issuer>https://sts.example</saml:Issuer>{signature}<saml:Subject><saml:NameID>{user}</saml:NameID>\
             <saml:SubjectConfirmation Method='{confirmation}'><saml:SubjectConfirmationData{confirmed_until}>{data}</saml:SubjectConfirmationData>\
             </saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore='{since}'{until}>{audiences}{conditions}\
             </saml:Conditions>{statements}<saml:AttributeStatement>{attributes}</saml:AttributeStatement></saml:Assertion>",
            now = at(claims.not_before.min(0)),
            signature = signature_template(claims),
            user = claims.user,
            id = claims.id,
            confirmation = claims.confirmation,
            data = claims.confirmation_data,
            conditions = claims.conditions,
            confirmed_until = until("NotOnOrAfter"),
            since = at(claims.not_before),
            until = until("NotOnOrAfter"),
        )
    }
}

fn signature_template(claims: &Claims) -> String {
    format!(
        "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'><ds:SignedInfo><ds:CanonicalizationMethod \
         Algorithm='http://www.w3.org/2001/10/xml-exc-c14n#'/><ds:SignatureMethod Algorithm='{}'/>\
         <ds:Reference URI='#{}'><ds:Transforms>\
         <ds:Transform Algorithm='http://www.w3.org/2000/09/xmldsig#enveloped-signature'/>{}</ds:Transforms>\
         <ds:DigestMethod Algorithm='{}'/><ds:DigestValue></ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue></ds:SignatureValue></ds:Signature>",
        claims.signature, claims.id, claims.transform, claims.digest
    )
}
