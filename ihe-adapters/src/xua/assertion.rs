//! What an assertion says: of whom, for whom, until when.
//!
//! Spec: ITI TF-2 3.40.4.1.2, SAML 2.0 Core 2.3 to 2.7

use fhir_model::interaction::{Node, User, UserCode};
use jiff::{SignedDuration, Timestamp};

use super::holder_of_key::is_holder;
use super::{Policy, Refused, Trust};
use crate::wire::namespaces::{HL7_V3, SAML};
use crate::wire::xml::{Element, Limits};

/// How long an assertion may be.
const BYTES_MAX: usize = 256 << 10;
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

/// Names of attributes; the first of each is the one of the framework.
const SUBJECT_ID: &[&str] =
    &["urn:oasis:names:tc:xspa:1.0:subject:subject-id", "urn:oasis:names:tc:xacml:1.0:subject:subject-id"];
const ORGANIZATION: &[&str] = &["urn:oasis:names:tc:xspa:1.0:subject:organization"];
const ORGANIZATION_ID: &[&str] = &["urn:oasis:names:tc:xspa:1.0:subject:organization-id"];
const HOME_COMMUNITY: &[&str] =
    &["urn:ihe:iti:xca:2010:homeCommunityId", "urn:nhin:names:saml:homeCommunityId"];
const NPI: &[&str] = &["urn:oasis:names:tc:xspa:1.0:subject:npi"];
const PROVIDER: &[&str] = &["urn:ihe:iti:xua:2017:subject:provider-identifier"];
const ROLE: &[&str] = &["urn:oasis:names:tc:xacml:2.0:subject:role"];
const PURPOSE: &[&str] = &["urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"];
const PATIENT: &[&str] = &[
    "urn:oasis:names:tc:xacml:2.0:resource:resource-id",
    "urn:oasis:names:tc:xacml:1.0:resource:resource-id",
];
const CONSENT: &[&str] = &["urn:ihe:iti:bppc:2007:docid"];
const CONSENT_POLICY: &[&str] = &["urn:ihe:iti:xua:2012:acp"];

/// Reads an assertion as a document.
///
/// # Errors
/// When it is none, or too long.
pub(super) fn parse(text: &str) -> Result<Element, Refused> {
    let limits = Limits { bytes_max: BYTES_MAX, elements_max: 5_000, ..Limits::default() };
    let element = Element::parse(text.as_bytes(), &limits).map_err(|error| invalid(error.to_string()))?;
    if element.is(SAML, "Assertion") { Ok(element) } else { Err(invalid("no Assertion of SAML 2.0")) }
}

fn invalid(why: impl Into<String>) -> Refused {
    Refused::Invalid(why.into())
}

/// Tells who it is of; its signature was verified.
///
/// # Errors
/// When it lacks what it has to have, or does not count here and now.
pub(super) fn read(
    assertion: &Element,
    node: Option<&Node>,
    trust: &Trust,
    now: Timestamp,
) -> Result<User, Refused> {
    if assertion.attribute("Version") != Some("2.0") {
        return Err(invalid("its Version is not 2.0"));
    }
    let times = Times { now, skew: SignedDuration::from_secs(i64::from(trust.skew_seconds)) };
    times.is_past(assertion, "IssueInstant", "it is issued in the future")?;
    let issuer = text(assertion, "Issuer").ok_or_else(|| invalid("it has no Issuer"))?;
    let subject = assertion.child(SAML, "Subject").ok_or_else(|| invalid("it has no Subject"))?;
    let id = text(subject, "NameID").ok_or_else(|| invalid("its Subject has no NameID"))?;
    confirm(subject, node, &times)?;
    conditions(assertion, trust, &times)?;
    authentication(assertion, &times)?;
    let attributes = Attributes(assertion);
    let user = User {
        id,
        issuer,
        assertion: assertion.attribute("ID").unwrap_or_default().to_owned(),
        name: attributes.texts(SUBJECT_ID).into_iter().next(),
        organization: attributes.texts(ORGANIZATION).into_iter().next(),
        organization_id: attributes.texts(ORGANIZATION_ID).into_iter().next(),
        home_community: attributes.texts(HOME_COMMUNITY).into_iter().next(),
        provider_ids: [attributes.texts(NPI), attributes.ids(PROVIDER)].concat(),
        roles: attributes.codes(ROLE, "Role"),
        purposes: attributes.codes(PURPOSE, "PurposeOfUse"),
        patient: attributes.texts(PATIENT).into_iter().next(),
        consents: [attributes.texts(CONSENT), attributes.texts(CONSENT_POLICY)].concat(),
    };
    let statements = assertion.children_named(SAML, "AuthnStatement");
    let contexts = statements.filter_map(|statement| {
        let context = statement.child(SAML, "AuthnContext")?;
        text(context, "AuthnContextClassRef")
    });
    allowed(&trust.policy, &user, contexts)?;
    use_up(assertion, &user, trust, &times)?;
    Ok(user)
}

/// Checks that a policy allows what is asserted.
fn allowed(policy: &Policy, user: &User, mut contexts: impl Iterator<Item = String>) -> Result<(), Refused> {
    let has = |list: &[String], value: &str| list.is_empty() || list.iter().any(|allowed| allowed == value);
    let has_code = |list: &[String], codes: &[UserCode]| {
        let is_it = |allowed: &String, code: &UserCode| match (&code.system, allowed.rsplit_once('|')) {
            (Some(system), Some((of, allowed))) => system == of && code.code == allowed,
            (None, Some(_)) => false,
            (_, None) => code.code == *allowed,
        };
        list.is_empty() || codes.iter().any(|code| list.iter().any(|allowed| is_it(allowed, code)))
    };
    let community = user.home_community.as_deref().unwrap_or_default();
    for (is_allowed, what) in [
        (has(&policy.issuers, &user.issuer), "its Issuer"),
        (
            policy.contexts.is_empty() || contexts.any(|context| policy.contexts.contains(&context)),
            "the way in which its user was authenticated",
        ),
        (has_code(&policy.roles, &user.roles), "the role of its user"),
        (has_code(&policy.purposes, &user.purposes), "its purpose of use"),
        (has(&policy.communities, community), "the community that asks"),
    ] {
        if !is_allowed {
            return Err(Refused::Condition(format!("the policy of this server does not allow {what}")));
        }
    }
    Ok(())
}

fn text(element: &Element, local: &str) -> Option<String> {
    element.text_of(SAML, local).filter(|text| !text.is_empty())
}

/// The time, and by how much clocks may differ.
struct Times {
    now: Timestamp,
    skew: SignedDuration,
}

impl Times {
    /// Reads a time that an attribute says.
    fn of(&self, element: &Element, attribute: &str) -> Result<Option<Timestamp>, Refused> {
        let Some(text) = element.attribute(attribute) else { return Ok(None) };
        let time = text.trim().parse().map_err(|_| invalid(format!("its {attribute} is no time")))?;
        Ok(Some(time))
    }

    /// Checks that a time, where there is one, has come.
    fn is_past(&self, element: &Element, attribute: &str, why: &str) -> Result<(), Refused> {
        match self.of(element, attribute)? {
            Some(time) if time.duration_since(self.now) > self.skew => {
                Err(Refused::Condition(why.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a time, where there is one, has not come; tells whether there is one.
    fn is_to_come(&self, element: &Element, attribute: &str, why: &str) -> Result<bool, Refused> {
        match self.of(element, attribute)? {
            Some(time) if self.now.duration_since(time) >= self.skew => {
                Err(Refused::Condition(why.to_owned()))
            }
            time => Ok(time.is_some()),
        }
    }
}

/// Checks that who sends it may use it: a bearer may, and the holder of a key by
/// which the node authenticated that sends it.
fn confirm(subject: &Element, node: Option<&Node>, times: &Times) -> Result<(), Refused> {
    let mut confirmations = subject.children_named(SAML, "SubjectConfirmation").peekable();
    if confirmations.peek().is_none() {
        return Err(invalid("its Subject has no SubjectConfirmation"));
    }
    let mut why = Refused::Condition(
        "who sends it is to prove more than having it: only `bearer` and `holder-of-key` are known here"
            .to_owned(),
    );
    for confirmation in confirmations {
        let data = confirmation.child(SAML, "SubjectConfirmationData");
        match (confirmation.attribute("Method"), node) {
            (Some(BEARER), _) => {}
            (Some(HOLDER_OF_KEY), None) => {
                let reason =
                    "it is for the holder of a key: send it over TLS with the certificate of that key";
                why = Refused::Condition(reason.to_owned());
                continue;
            }
            (Some(HOLDER_OF_KEY), Some(node)) => {
                if !data.is_some_and(|data| is_holder(data, node)) {
                    let reason = "it is for the holder of another key than the one of the connection";
                    why = Refused::Condition(reason.to_owned());
                    continue;
                }
            }
            _ => continue,
        }
        let is_confirmed = data.map_or(Ok(()), |data| {
            times.is_past(data, "NotBefore", "its Subject is not confirmed yet")?;
            times.is_to_come(data, "NotOnOrAfter", "its Subject is confirmed no more").map(drop)
        });
        match is_confirmed {
            Ok(()) => return Ok(()),
            Err(refused) => why = refused,
        }
    }
    Err(why)
}

/// Checks when it counts, and for whom.
fn conditions(assertion: &Element, trust: &Trust, times: &Times) -> Result<(), Refused> {
    let conditions = assertion.child(SAML, "Conditions").ok_or_else(|| invalid("it has no Conditions"))?;
    times.is_past(conditions, "NotBefore", "it does not count yet")?;
    if !times.is_to_come(conditions, "NotOnOrAfter", "it has expired")? {
        return Err(invalid("it would count for ever: its Conditions have no NotOnOrAfter"));
    }
    let mut restrictions = conditions.children_named(SAML, "AudienceRestriction").peekable();
    if restrictions.peek().is_none() {
        return Err(invalid("it says not for whom it is: its Conditions have no AudienceRestriction"));
    }
    // Of each restriction one audience has to be us.
    for restriction in restrictions {
        let mut audiences = restriction.children_named(SAML, "Audience").map(Element::text);
        if !audiences.any(|audience| trust.audiences.contains(&audience)) {
            return Err(Refused::Condition("it is for somebody else: no Audience is this server".to_owned()));
        }
    }
    let known = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"];
    match conditions.elements().find(|condition| !known.contains(&&*condition.local)) {
        Some(other) => {
            let name: String = other.local.chars().take(60).collect();
            Err(Refused::Condition(format!("its condition `{name}` is not known here")))
        }
        None => Ok(()),
    }
}

/// Takes an assertion for its one use, if it is for one.
fn use_up(assertion: &Element, user: &User, trust: &Trust, times: &Times) -> Result<(), Refused> {
    let conditions = assertion.child(SAML, "Conditions").ok_or_else(|| invalid("it has no Conditions"))?;
    if conditions.child(SAML, "OneTimeUse").is_none() {
        return Ok(());
    }
    let issued = times.of(assertion, "IssueInstant")?.ok_or_else(|| invalid("it has no IssueInstant"))?;
    let until = times.of(conditions, "NotOnOrAfter")?;
    let until = until.ok_or_else(|| invalid("its Conditions have no NotOnOrAfter"))?;
    let out_of_range = |_| invalid("its times are beyond what can be told");
    let issued = issued.checked_sub(times.skew).map_err(out_of_range)?;
    let until = until.checked_add(times.skew).map_err(out_of_range)?;
    trust.one_time.take((&user.issuer, &user.assertion), issued, until, times.now)
}

/// Checks that somebody was authenticated, and still is.
fn authentication(assertion: &Element, times: &Times) -> Result<(), Refused> {
    let mut statements = assertion.children_named(SAML, "AuthnStatement").peekable();
    if statements.peek().is_none() {
        return Err(invalid("it has no AuthnStatement"));
    }
    for statement in statements {
        if statement.attribute("AuthnInstant").is_none() {
            return Err(invalid("its AuthnStatement has no AuthnInstant"));
        }
        times.is_past(statement, "AuthnInstant", "its user is authenticated in the future")?;
        times.is_to_come(statement, "SessionNotOnOrAfter", "the session of its user has ended")?;
        let context = statement.child(SAML, "AuthnContext");
        let says_how = ["AuthnContextClassRef", "AuthnContextDeclRef"];
        if !context.is_some_and(|context| says_how.iter().any(|local| text(context, local).is_some())) {
            return Err(invalid("its AuthnStatement says not how its user was authenticated"));
        }
    }
    Ok(())
}

/// The attributes of an assertion, in however many statements they stand.
struct Attributes<'a>(&'a Element);

impl<'a> Attributes<'a> {
    fn values(&self, names: &'a [&'a str]) -> impl Iterator<Item = &'a Element> {
        let statements = self.0.children_named(SAML, "AttributeStatement");
        let attributes = statements.flat_map(|statement| statement.children_named(SAML, "Attribute"));
        let named = attributes.filter(|a| a.attribute("Name").is_some_and(|name| names.contains(&name)));
        named.flat_map(|attribute| attribute.children_named(SAML, "AttributeValue"))
    }

    fn texts(&self, names: &'a [&'a str]) -> Vec<String> {
        self.values(names).map(Element::text).filter(|text| !text.is_empty()).collect()
    }

    /// Returns identifiers of HL7 v3: `root`, or `root|extension`.
    fn ids(&self, names: &'a [&'a str]) -> Vec<String> {
        let ids = self.values(names).filter_map(|value| value.child(HL7_V3, "id"));
        ids.filter_map(|id| {
            let root = id.attribute("root")?;
            Some(id.attribute("extension").map_or_else(|| root.to_owned(), |e| format!("{root}|{e}")))
        })
        .collect()
    }

    /// Returns codes of HL7 v3; a plain text is a code of no system.
    fn codes(&self, names: &'a [&'a str], local: &str) -> Vec<UserCode> {
        let code = |value: &Element| match value.elements().find(|element| element.local == local) {
            Some(element) => element.attribute("code").map(|code| UserCode {
                code: code.to_owned(),
                system: element.attribute("codeSystem").map(|system| format!("urn:oid:{system}")),
                display: element.attribute("displayName").map(str::to_owned),
            }),
            None => Some(value.text()).filter(|text| !text.is_empty()).map(|code| UserCode {
                code,
                system: None,
                display: None,
            }),
        };
        self.values(names).filter_map(code).collect()
    }
}
