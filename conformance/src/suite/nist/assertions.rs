//! The assertions of the toolkit's token service, which is asked for them by the
//! endings of the names of tests: the user stands for what is to be asserted.

use tests::token_service::Claims;

/// What the server allows: the first role, purpose and way of authentication of
/// the token service, not its second.
pub(super) const POLICY: &str = "roles = [\"221\"]\npurposes = [\"TREAT\"]\n\
     authentication = [\"urn:oasis:names:tc:SAML:2.0:ac:classes:X509\"]\n";

/// Returns what is asserted of the user of a plan; `None` when it has none.
/// Plans that look at what became of a submission do so as an ordinary user.
pub(super) fn claims(test: &str, section: &str, audience: &str) -> Option<Claims> {
    let ordinary = Claims::of("nist", audience);
    let ending = test.rsplit_once('_').map(|(_, ending)| ending)?;
    let ending = if section.starts_with("eval") && ending != "valid" { "valid" } else { ending };
    Some(match ending {
        "valid" => ordinary,
        "notyetvalid" => Claims { not_before: 3_600, not_on_or_after: Some(7_200), ..ordinary },
        "unknownaudience" => {
            Claims { audiences: vec!["http://somebody.else.example".to_owned()], ..ordinary }
        }
        "invalidauthnstatement" => Claims { contexts: vec![""], ..ordinary },
        "secondauthncontext" => {
            Claims { contexts: vec!["urn:oasis:names:tc:SAML:2.0:ac:classes:PreviousSession"], ..ordinary }
        }
        "secondrole" => Claims { roles: vec![("222", "Nurse")], ..ordinary },
        "secondpurposeofuse" => Claims { purposes: vec!["ETREAT"], ..ordinary },
        "withauthzconsent" => {
            let attributes = vec![
                ("urn:ihe:iti:bppc:2007:docid", "urn:oid:1.2.3.4"),
                ("urn:ihe:iti:xua:2012:acp", "urn:oid:1.2.3.5"),
            ];
            Claims { attributes, ..ordinary }
        }
        _ => return None,
    })
}
