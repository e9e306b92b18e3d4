//! Who is behind a message: assertions of a token service, rightly and wrongly
//! made, and those that an attacker puts together (ITI-40).

use std::sync::Arc;

use ihe_adapters::xua::{Policy, Trust, TrustedKeys, user};
use jiff::Timestamp;
use tests::Server;
use tests::token_service::{Claims, EXCLUSIVE, TokenService};

use super::peer::*;

const US: &str = "https://lanterna.example/xds";
const AUTHN_PASSWORD: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";

fn trust(of: &TokenService) -> Trust {
    let mut keys = TrustedKeys::default();
    keys.add(&of.certificate).expect("a certificate");
    Trust {
        keys: Arc::new(keys),
        audiences: vec![US.to_owned()],
        skew_seconds: 60,
        is_required: false,
        policy: Policy::default(),
    }
}

fn judged(text: &str, trust: &Trust) -> String {
    match user(Some(text), trust, Timestamp::now()) {
        Ok(Some(user)) => format!("{} {}", user.id, user.issuer),
        Ok(None) => "nobody".to_owned(),
        Err(fault) => fault.reason,
    }
}

#[test]
fn what_is_asserted_rightly_is_believed() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    let all = Claims {
        roles: vec![("221", "Medical doctor"), ("222", "Nurse")],
        purposes: vec!["TREAT", "ETREAT"],
        contexts: vec!["urn:oasis:names:tc:SAML:2.0:ac:classes:X509", AUTHN_PASSWORD],
        attributes: vec![
            ("urn:oasis:names:tc:xspa:1.0:subject:subject-id", "Anna Rossi"),
            ("urn:oasis:names:tc:xspa:1.0:subject:organization", "Ospedale San Martino"),
            ("urn:oasis:names:tc:xspa:1.0:subject:organization-id", "urn:oid:2.999.1"),
            ("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:2.999.2"),
            ("urn:oasis:names:tc:xspa:1.0:subject:npi", "1234567890"),
            (
                "urn:ihe:iti:xua:2017:subject:provider-identifier",
                "<id xmlns='urn:hl7-org:v3' root='2.999.3' extension='77'/>",
            ),
            ("urn:ihe:iti:bppc:2007:docid", "urn:oid:2.999.4"),
            ("urn:x:something-else", "x"),
        ],
        ..Claims::of("anna", US)
    };
    let who = user(Some(&sts.assertion(&all)), &trust, Timestamp::now()).expect("believed").expect("a user");
    assert_eq!((who.id.as_str(), who.name.as_deref()), ("anna", Some("Anna Rossi")));
    assert_eq!(who.organization_id.as_deref(), Some("urn:oid:2.999.1"));
    assert_eq!(who.home_community.as_deref(), Some("urn:oid:2.999.2"));
    assert_eq!(who.provider_ids, ["1234567890", "2.999.3|77"]);
    let codes: Vec<&str> = who.roles.iter().chain(&who.purposes).map(|c| c.code.as_str()).collect();
    assert_eq!(codes, ["221", "222", "TREAT", "ETREAT"]);
    assert_eq!(who.roles[0].system.as_deref(), Some("urn:oid:2.16.840.1.113883.2.9.6.2.7"));
    assert_eq!(who.consents, ["urn:oid:2.999.4"]);
    // Clocks differ.
    for (not_before, not_on_or_after) in [(30, 300), (-300, -30)] {
        let claims = Claims { not_before, not_on_or_after: Some(not_on_or_after), ..Claims::of("anna", US) };
        assert_eq!(judged(&sts.assertion(&claims), &trust), "anna https://sts.example");
    }
    assert_eq!(user(None, &trust, Timestamp::now()).map(|user| user.is_none()), Ok(true));
    let required = Trust { is_required: true, ..trust };
    assert!(user(None, &required, Timestamp::now()).is_err());
}

#[test]
fn what_does_not_count_is_refused() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    let ordinary = Claims::of("anna", US);
    let xpath = "<ds:Transform Algorithm='http://www.w3.org/TR/1999/REC-xpath-19991116'>\
                 <ds:XPath>not(ancestor-or-self::node()[local-name()='AttributeStatement'])</ds:XPath></ds:Transform>";
    for (claims, expected) in [
        (Claims { not_on_or_after: Some(-61), ..ordinary.clone() }, "confirmed no more"),
        (Claims { not_on_or_after: None, ..ordinary.clone() }, "for ever"),
        (Claims { not_before: 120, ..ordinary.clone() }, "does not count yet"),
        (Claims::of("anna", "https://other.example"), "for somebody else"),
        (
            Claims { audiences: vec![US.into(), "https://other.example".into()], ..ordinary.clone() },
            "for somebody else",
        ),
        (Claims { audiences: vec![], ..ordinary.clone() }, "no AudienceRestriction"),
        (Claims { contexts: vec![""], ..ordinary.clone() }, "not how its user"),
        (Claims { contexts: vec![], ..ordinary.clone() }, "no AuthnStatement"),
        (Claims { user: String::new(), ..ordinary.clone() }, "no NameID"),
        (
            Claims { confirmation: "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches", ..ordinary.clone() },
            "only `bearer`",
        ),
        (Claims { transform: xpath, ..ordinary.clone() }, "other ways than the whole"),
        (Claims { digest: "http://www.w3.org/2000/09/xmldsig#sha1", ..ordinary.clone() }, "the hash"),
        (
            Claims { signature: "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1", ..ordinary.clone() },
            "the way of signing",
        ),
    ] {
        let is = judged(&sts.assertion(&claims), &trust);
        assert!(is.contains(expected), "{expected}: {is}");
    }
    assert!(judged(&TokenService::new().assertion(&ordinary), &trust).contains("trusted keys"));
    assert!(judged("<a/>", &trust).contains("no Assertion"));
}

#[test]
fn a_policy_allows_what_it_lists() {
    let sts = TokenService::new();
    let of = |policy: Policy| Trust { policy, ..trust(&sts) };
    let list = |one: &str| vec![one.to_owned()];
    let good = sts.assertion(&Claims {
        attributes: vec![("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:2.999.2")],
        ..Claims::of("anna", US)
    });
    let system = "urn:oid:2.16.840.1.113883.2.9.6.2.7";
    for (policy, expected) in [
        (Policy { roles: list("221"), purposes: list("TREAT"), ..Policy::default() }, "anna"),
        (Policy { roles: list(&format!("{system}|221")), ..Policy::default() }, "anna"),
        (Policy { issuers: list("https://sts.example"), ..Policy::default() }, "anna"),
        (Policy { communities: list("urn:oid:2.999.2"), ..Policy::default() }, "anna"),
        (Policy { roles: list("urn:oid:1.2|221"), ..Policy::default() }, "the role"),
        (Policy { roles: list("222"), ..Policy::default() }, "the role"),
        (Policy { purposes: list("ETREAT"), ..Policy::default() }, "purpose"),
        (Policy { issuers: list("https://other.example"), ..Policy::default() }, "Issuer"),
        (Policy { contexts: list(AUTHN_PASSWORD), ..Policy::default() }, "authenticated"),
        (Policy { communities: list("urn:oid:2.999.3"), ..Policy::default() }, "community"),
    ] {
        let is = judged(&good, &of(policy.clone()));
        assert!(is.contains(expected), "{policy:?}: {is}");
    }
}

#[test]
fn what_an_attacker_makes_of_an_assertion_is_refused() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    let good = sts.assertion(&Claims::of("anna", US));
    assert_eq!(judged(&good, &trust), "anna https://sts.example");
    let signature =
        &good[good.find("<ds:Signature ").expect("begins")..good.find("</ds:Signature>").expect("ends")];
    let signature = format!("{signature}</ds:Signature>");
    let unsigned = good.replace(&signature, "");
    let evil = |id: &str| unsigned.replace(">anna<", ">evil<").replace("ID='_1'", &format!("ID='{id}'"));
    let begin_end =
        |outer: &str, inside: &str| outer.replace("</saml:Assertion>", &format!("{inside}</saml:Assertion>"));
    for (name, text) in [
        ("not signed", unsigned.clone()),
        ("another user", good.replace(">anna<", ">evil<")),
        ("another audience", good.replace("<saml:Issuer>https://sts.example", "<saml:Issuer>https://other.example")),
        ("a role more", good.replace("code='221'", "code='1'")),
        ("wrapped: the signed one inside another of the same id", begin_end(&evil("_1"), &good)),
        ("wrapped: the signed one inside another of its own id", begin_end(&evil("_2"), &good)),
        (
            "wrapped: the signature moved up, the signed one beside it",
            begin_end(&evil("_2").replace("<saml:Subject>", &format!("{signature}<saml:Subject>")), &unsigned),
        ),
        (
            "wrapped: the signed one in an object of the signature",
            evil("_2").replace(
                "<saml:Subject>",
                &format!(
                    "{}<saml:Subject>",
                    signature.replace("</ds:Signature>", &format!("<ds:Object>{unsigned}</ds:Object></ds:Signature>"))
                ),
            ),
        ),
        ("two signatures", good.replace("<saml:Subject>", &format!("{signature}<saml:Subject>"))),
        ("a reference to something else", good.replace("URI='#_1'", "URI='#_9'")),
        (
            "a key of its own",
            TokenService::new().assertion(&Claims::of("evil", US)).replace(
                "</ds:Signature>",
                "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>",
            ),
        ),
        ("an entity", format!("<!DOCTYPE a [<!ENTITY e 'evil'>]>{}", good.replace(">anna<", ">&e;<"))),
        ("no assertion at all", "<saml:Assertion xmlns:saml='urn:oasis:names:tc:SAML:2.0:assertion'/>".to_owned()),
    ] {
        let is = judged(&text, &trust);
        assert!(is.contains("assertion"), "{name}: {is}");
    }
    // A comment does not end a name, and is no part of what is signed.
    assert_eq!(judged(&good.replace(">anna<", ">an<!-- -->na<"), &trust), "anna https://sts.example");
}

#[test]
fn messages_are_taken_of_whom_they_may_be() {
    let data = tempfile::tempdir().expect("a folder");
    let sts = TokenService::new();
    let certificate = data.path().join("sts.pem");
    std::fs::write(&certificate, &sts.certificate).expect("written");
    let start = |required: bool| {
        let settings = data.path().join(format!("settings-{required}.toml"));
        let text = format!(
            "[xds]\nhome_community_id = \"2.999.9\"\n[xua]\ntrusted = [{:?}]\naudiences = [\"{US}\"]\nrequired = {required}\n",
            certificate.display().to_string()
        );
        std::fs::write(&settings, text).expect("written");
        let folder = data.path().join(format!("data-{required}"));
        Server::start_with(&folder, &["--config", &settings.display().to_string()], &[])
    };
    let (asks, demands) = (start(false), start(true));
    let send = |server: &Server, security: &str| {
        let parameters = [
            ("$XDSDocumentEntryPatientId", "'P1^^^&amp;1.2.3&amp;ISO'"),
            ("$XDSDocumentEntryStatus", &*format!("('{APPROVED}')")),
        ];
        let body = adhoc_query(FIND_DOCUMENTS, "ObjectRef", &parameters);
        let message = envelope("urn:ihe:iti:2007:RegistryStoredQuery", &body);
        let message = message.replace("</s:Header>", &format!("{security}</s:Header>"));
        let answer = Peer::of(server).post("xds/registry", "application/soap+xml", message.as_bytes());
        (answer.status, text(&answer))
    };
    let header = |inside: &str| {
        format!(
            "<w:Security xmlns:w='http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd' \
             s:mustUnderstand='1'>{inside}</w:Security>"
        )
    };
    let good = sts.assertion(&Claims::of("anna", US));
    // Of the community is of its server; canonicalized with what is declared around it.
    let inclusive = EXCLUSIVE.replace(
        "http://www.w3.org/2001/10/xml-exc-c14n#",
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
    );
    let of_community = sts.assertion(&Claims {
        transform: Box::leak(inclusive.into_boxed_str()),
        ..Claims::of("anna", "urn:oid:2.999.9")
    });
    let expired = sts.assertion(&Claims { not_on_or_after: Some(-100), ..Claims::of("anna", US) });
    for (server, security, status, expected) in [
        (&asks, String::new(), 200, "Success"),
        (&asks, header(""), 200, "Success"),
        (&asks, header(&good), 200, "Success"),
        (&asks, header(&expired), 400, "wsse:FailedAuthentication"),
        (&asks, header(&good.replace(">anna<", ">evil<")), 400, "wsse:FailedCheck"),
        (&asks, header(&format!("{good}{good}")), 400, "several assertions"),
        (&asks, header(&good) + &header(&good), 400, "several assertions"),
        (&demands, String::new(), 400, "wsse:InvalidSecurity"),
        (&demands, header(""), 400, "wsse:InvalidSecurity"),
        (&demands, header(&good), 200, "Success"),
    ] {
        let (is, told) = send(server, &security);
        assert!(is == status && told.contains(expected), "{expected}: {is} {told}");
    }
    // The envelope declares more around the assertion than it was signed with.
    let (status, told) = send(&asks, &header(&of_community));
    assert_eq!(status, 400, "{told}");
}
