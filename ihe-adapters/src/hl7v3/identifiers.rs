//! Identifiers: the root of HL7 v3 and the system of FHIR, by the domains that
//! are known.
//!
//! Spec: ITI TF-2 Appendix E.2

use serde_json::{Map, Value, json};

use crate::pix::Identifier;
use crate::pix::domains::{Authority, DomainError, Domains};
use crate::wire::hl7v3::identifier::InstanceIdentifier;

/// Reads an identifier of a patient.
///
/// # Errors
/// When nobody is named who assigned it, or nobody who is known.
pub fn identifier(id: &InstanceIdentifier, domains: &Domains) -> Result<Identifier, DomainError> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (root, name) = (text(&id.root), text(&id.authority_name));
    let named = match root.is_empty() {
        // What stands beside a root is to be read.
        false => domains.named(Authority::of_oid(&root)),
        true => domains.named(Authority { namespace: &name, ..Authority::default() }),
    }?;
    Ok(Identifier::new(named.system(), text(&id.extension)))
}

/// Writes an identifier: by the OID of its domain, or by a name where that has none.
pub fn instance_identifier(identifier: &Identifier, domains: &Domains) -> InstanceIdentifier {
    let domain = domains.by_system(&identifier.system);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let root = domain.as_ref().and_then(|domain| text(&domain.oid));
    let root = root.or_else(|| identifier.system.strip_prefix("urn:oid:").map(str::to_owned));
    let name = domain.as_ref().and_then(|domain| text(&domain.name));
    // Who has neither OID nor name is told by the URI.
    let name = name.or_else(|| root.is_none().then(|| identifier.system.clone()));
    InstanceIdentifier {
        root,
        extension: Some(identifier.value.clone()),
        authority_name: name,
        null_flavor: None,
    }
}

/// Writes an identifier as FHIR has it, also one of a domain that is not
/// known; `None` when it is none. `assigner`: what who assigned it is called.
pub(super) fn fhir_identifier(
    id: &InstanceIdentifier,
    assigner: Option<&str>,
    domains: &Domains,
) -> Option<Value> {
    if id.is_null() {
        return None;
    }
    let mut written = Map::new();
    let system = match (identifier(id, domains), id.root.as_deref()) {
        (Ok(known), _) => Some(known.system),
        (Err(_), Some(root)) if root.contains('-') => {
            Some(format!("urn:uuid:{}", root.split_whitespace().collect::<String>().to_ascii_lowercase()))
        }
        (Err(_), Some(root)) => Some(format!("urn:oid:{}", root.split_whitespace().collect::<String>())),
        (Err(_), None) => None,
    };
    written.extend(system.map(|system| ("system".to_owned(), json!(system))));
    written.insert("value".to_owned(), json!(id.extension.as_deref()?));
    if let Some(name) = assigner.or(id.authority_name.as_deref()) {
        written.insert("assigner".to_owned(), json!({ "display": name }));
    }
    Some(Value::Object(written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pix::domains::{Domain, Kind};

    fn domains() -> Domains {
        let domain = Domain {
            name: "SIO".to_owned(),
            oid: "1.2.3".to_owned(),
            uri: "https://sio/mrn".to_owned(),
            aliases: Vec::new(),
            kind: Kind::Local,
            sources: Vec::new(),
        };
        Domains::new(vec![domain]).expect("domains")
    }

    fn id(root: &str, extension: &str, name: &str) -> InstanceIdentifier {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        InstanceIdentifier {
            root: text(root),
            extension: text(extension),
            authority_name: text(name),
            null_flavor: None,
        }
    }

    #[test]
    fn an_identifier_is_the_same_by_oid_and_by_name() {
        let domains = domains();
        let expected = Identifier::new("https://sio/mrn", "7");
        for of in [id("1.2.3", "7", ""), id("", "7", "SIO"), id("1.2.3", "7", "what they call it")] {
            assert_eq!(identifier(&of, &domains), Ok(expected.clone()));
        }
        assert_eq!(identifier(&id("1.2.4", "7", ""), &domains), Err(DomainError::Unknown));
        assert_eq!(identifier(&id("", "7", ""), &domains), Err(DomainError::Missing));
        assert_eq!(instance_identifier(&expected, &domains), id("1.2.3", "7", "SIO"));
        let of_nobody = instance_identifier(&Identifier::new("urn:oid:1.9", "7"), &domains);
        assert_eq!(of_nobody, id("1.9", "7", ""));
    }

    #[test]
    fn an_identifier_of_nobody_known_is_kept() {
        let domains = domains();
        let written = fhir_identifier(&id("1.2.4", "7", "X"), None, &domains);
        let expected = json!({ "system": "urn:oid:1.2.4", "value": "7", "assigner": { "display": "X" } });
        assert_eq!(written, Some(expected));
        assert_eq!(fhir_identifier(&id("", "7", ""), None, &domains), Some(json!({ "value": "7" })));
        assert_eq!(fhir_identifier(&id("1.2.3", "", ""), None, &domains), None);
    }
}
