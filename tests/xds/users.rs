//! Who is behind a message: assertions of a token service, rightly and wrongly
//! made, and those that an attacker puts together (ITI-40).

use std::sync::Arc;

use fhir_model::interaction::Node;
use fhir_model::primitive::base64;
use ihe_adapters::atna::node::node;
use ihe_adapters::xua::{OneTime, Policy, Trust, TrustedKeys, user};
use jiff::Timestamp;
use tests::Server;
use tests::nodes::NodeIdentity;
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
        one_time: Arc::new(OneTime::since(Timestamp::UNIX_EPOCH)),
    }
}

fn judged(text: &str, trust: &Trust) -> String {
    judged_of(text, None, trust)
}

fn judged_of(text: &str, node: Option<&Node>, trust: &Trust) -> String {
    match user(Some(text), node, trust, Timestamp::now()) {
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
    let who =
        user(Some(&sts.assertion(&all)), None, &trust, Timestamp::now()).expect("believed").expect("a user");
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
    assert_eq!(user(None, None, &trust, Timestamp::now()).map(|user| user.is_none()), Ok(true));
    let required = Trust { is_required: true, ..trust };
    assert!(user(None, None, &required, Timestamp::now()).is_err());
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
            "only `bearer` and",
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

const HOLDER_OF_KEY: &str = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key";

#[test]
fn a_key_is_held_by_who_authenticated_with_it() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    let holders = [
        NodeIdentity::of_kind("p256", 2100, &rcgen::PKCS_ECDSA_P256_SHA256),
        NodeIdentity::of_kind("p384", 2100, &rcgen::PKCS_ECDSA_P384_SHA384),
        NodeIdentity::of_kind("ed25519", 2100, &rcgen::PKCS_ED25519),
    ];
    let other = NodeIdentity::self_signed("other", 2100);
    let encoded = |bytes: &[u8]| base64::encode(bytes);
    let certificate = |of: &NodeIdentity| {
        format!("<d:X509Data><d:X509Certificate>{}\n</d:X509Certificate></d:X509Data>", encoded(&of.der))
    };
    let on_curve = |of: &NodeIdentity, curve: &str| {
        format!(
            "<d:KeyValue><e:ECKeyValue><e:NamedCurve URI='urn:oid:{curve}'/><e:PublicKey>{}</e:PublicKey></e:ECKeyValue></d:KeyValue>",
            encoded(&of.public_key)
        )
    };
    let info = |inside: &str| format!("<d:KeyInfo>{inside}</d:KeyInfo>");
    const P256: &str = "1.2.840.10045.3.1.7";
    const P384: &str = "1.3.132.0.34";
    let name = "<d:X509Data><d:X509SubjectName>CN=p256,O=ASL 3</d:X509SubjectName></d:X509Data>";
    let [p256, p384, ed25519] = &holders;
    for (at, data, sender, is_believed) in [
        (0, info(&certificate(p256)), Some(p256), true),
        (1, info(&certificate(p384)), Some(p384), true),
        (2, info(&certificate(ed25519)), Some(ed25519), true),
        (3, info(&on_curve(p256, P256)), Some(p256), true),
        (4, info(&on_curve(p384, P384)), Some(p384), true),
        // Several keys: one is enough. Several things about one key: all have to be of it.
        (5, info(&certificate(&other)) + &info(&certificate(p256)), Some(p256), true),
        (6, info(&(certificate(p256) + &on_curve(p256, P256) + name)), Some(p256), true),
        (7, info(&(certificate(&other) + &on_curve(p256, P256))), Some(p256), false),
        // Who has another key, or none, holds nothing; nor does a name hold a key.
        (8, info(&certificate(p256)), Some(&other), false),
        (9, info(&certificate(p256)), None, false),
        (10, info(&on_curve(p256, P384)), Some(p256), false),
        (11, info(&on_curve(&other, P256)), Some(p256), false),
        (12, info(name), Some(p256), false),
        (13, info(""), Some(p256), false),
        (14, String::new(), Some(p256), false),
        (15, info("<d:X509Data><d:X509Certificate>AAAA</d:X509Certificate></d:X509Data>"), Some(p256), false),
        (16, info("<d:X509Data><d:X509Certificate/></d:X509Data>"), Some(p256), false),
    ] {
        let data = data
            .replace("<d:KeyInfo>", "<d:KeyInfo xmlns:d='http://www.w3.org/2000/09/xmldsig#' xmlns:e='http://www.w3.org/2009/xmldsig11#'>");
        let claims =
            Claims { confirmation: HOLDER_OF_KEY, confirmation_data: data, ..Claims::of("anna", US) };
        let sender = sender.map(|sender: &NodeIdentity| node(&sender.der));
        let is = judged_of(&sts.assertion(&claims), sender.as_ref(), &trust);
        let expected = if is_believed { "anna " } else { "holder of" };
        assert!(is.contains(expected), "{at}: {is}");
    }
    // A bearer needs no key, whoever sends it.
    let bearer = sts.assertion(&Claims::of("anna", US));
    assert!(judged_of(&bearer, Some(&node(&other.der)), &trust).starts_with("anna"));
}

#[test]
fn a_key_of_rsa_is_held_by_its_numbers() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    // A certificate of RSA, and the numbers of its key as openssl tells them.
    let pem = include_str!("../testdata/rsa-node.pem");
    let modulus = include_str!("../testdata/rsa-node.modulus").trim();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let node = node(&base64::decode(&der).expect("base64"));
    assert_eq!(node.subject, "CN=rsa.example,O=ASL 3");
    let bytes =
        fhir_model::primitive::hexadecimal::decode(&modulus.to_ascii_lowercase()).expect("hexadecimal");
    for (modulus, exponent, is_believed) in
        [(bytes.clone(), "AQAB", true), (bytes.clone(), "Aw==", false), (bytes[1..].to_vec(), "AQAB", false)]
    {
        let data = format!(
            "<d:KeyInfo xmlns:d='http://www.w3.org/2000/09/xmldsig#'><d:KeyValue><d:RSAKeyValue><d:Modulus>{}</d:Modulus>\
             <d:Exponent>{exponent}</d:Exponent></d:RSAKeyValue></d:KeyValue></d:KeyInfo>",
            base64::encode(&modulus)
        );
        let claims =
            Claims { confirmation: HOLDER_OF_KEY, confirmation_data: data, ..Claims::of("anna", US) };
        let is = judged_of(&sts.assertion(&claims), Some(&node), &trust);
        assert_eq!(is.starts_with("anna"), is_believed, "{exponent}: {is}");
    }
}

#[test]
fn what_is_for_one_use_is_used_once() {
    let sts = TokenService::new();
    let trust = trust(&sts);
    let once =
        |id: &str| Claims { conditions: "<saml:OneTimeUse/>", id: id.to_owned(), ..Claims::of("anna", US) };
    let first = sts.assertion(&once("_1"));
    assert!(judged(&first, &trust).starts_with("anna"));
    let again = judged(&first, &trust);
    assert!(again.contains("was used"), "{again}");
    assert!(judged(&sts.assertion(&once("_2")), &trust).starts_with("anna"));
    // What is refused for another reason is not used up by that.
    let strict =
        Trust { policy: Policy { roles: vec!["1".to_owned()], ..Policy::default() }, ..trust.clone() };
    let third = sts.assertion(&once("_3"));
    assert!(judged(&third, &strict).contains("the role"));
    assert!(judged(&third, &trust).starts_with("anna"));
    // Others are for as many uses as they count.
    let often = sts.assertion(&Claims::of("anna", US));
    assert!((0..3).all(|_| judged(&often, &trust).starts_with("anna")));
    // A server that started since knows not what was used before.
    let restarted = Trust { one_time: Arc::new(OneTime::since(Timestamp::now())), ..trust };
    let refused = judged(&sts.assertion(&once("_4")), &restarted);
    assert!(refused.contains("before this server started"), "{refused}");
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
