//! How HL7 v2 names identifiers: CX, and its assigning authority.
//!
//! Spec: ITI TF-2 appendix E, HL7 v2.5 section 2.A.14 (CX), 2.A.36 (HD)

use std::sync::Arc;

use super::Identifier;
use super::domains::{Authority, Domain, DomainError, Domains, Kind};
use crate::wire::hl7v2::compose::{subcomponents, written_components};
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::escape;
use crate::wire::hl7v2::message::Message;
use crate::wire::hl7v2::part::Part;

/// An assigning authority as a message has it: namespace, universal id, and its type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hd(pub [String; 3]);

impl Hd {
    /// Reads the component that holds one.
    pub fn of(component: Part<'_>) -> Hd {
        Hd([1, 2, 3].map(|at| component.subcomponent(at).value().unwrap_or_default().trim().to_owned()))
    }

    /// Returns it as domains are looked for.
    pub fn authority(&self) -> Authority<'_> {
        let [namespace, universal_id, universal_id_type] = &self.0;
        Authority { namespace, universal_id, universal_id_type }
    }
}

/// Returns the domain of the identifiers that a sender gives without saying of which they are.
pub fn domain_of_sender(message: &Message, domains: &Domains) -> Option<Arc<Domain>> {
    let name = |field| message.header(field).component(1).value().unwrap_or_default();
    domains.of_source(&format!("{}|{}", name(3), name(4)))
}

/// Returns the domain that a message means: the one that is named, or that of the sender.
///
/// # Errors
/// When none is known by that name, or none is named.
pub fn domain(authority: &Hd, message: &Message, domains: &Domains) -> Result<Arc<Domain>, DomainError> {
    match domains.named(authority.authority()) {
        Err(DomainError::Missing) => domain_of_sender(message, domains).ok_or(DomainError::Missing),
        named => named,
    }
}

/// Writes an identifier with all that its authority is known by.
pub fn cx(identifier: &Identifier, type_code: Option<&str>, domains: &Domains, by: &Delimiters) -> String {
    let known = domains.by_system(&identifier.system);
    let authority = match known.as_deref() {
        Some(domain) if !domain.oid.is_empty() => [domain.name.as_str(), &domain.oid, "ISO"],
        Some(domain) => [domain.name.as_str(), &domain.uri, "URI"],
        None => match identifier.system.strip_prefix("urn:oid:") {
            Some(oid) => ["", oid, "ISO"],
            None => ["", &identifier.system, "URI"],
        },
    };
    let is_local = known.as_ref().is_some_and(|domain| domain.kind == Kind::Local);
    let type_code = type_code.unwrap_or(if is_local { "PI" } else { "" });
    let parts = [
        escape::encode(&identifier.value, by),
        String::new(),
        String::new(),
        subcomponents(&authority, by),
        escape::encode(type_code, by),
    ];
    written_components(&parts, by)
}

/// Puts those of one domain together, in the order in which their domains come first.
pub fn grouped(identifiers: Vec<Identifier>) -> Vec<Identifier> {
    let mut systems: Vec<&str> = Vec::new();
    for identifier in &identifiers {
        if !systems.contains(&identifier.system.as_str()) {
            systems.push(&identifier.system);
        }
    }
    let mut grouped = Vec::with_capacity(identifiers.len());
    for system in systems {
        grouped.extend(identifiers.iter().filter(|of| of.system == system).cloned());
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_all_names_of_its_authority() {
        let domain = |name: &str, oid: &str, uri: &str| Domain {
            name: name.into(),
            oid: oid.into(),
            uri: uri.into(),
            aliases: Vec::new(),
            kind: Kind::Local,
            sources: vec![format!("APP|{name}")],
        };
        let configured = vec![domain("SIO", "1.2.3", "http://sio.example"), domain("LIS", "", "urn:lis")];
        let domains = Domains::new(configured).expect("set up");
        for (system, value, expected) in [
            ("http://sio.example", "a&b", r"a\T\b^^^SIO&1.2.3&ISO^PI"),
            ("urn:lis", "7", "7^^^LIS&urn:lis&URI^PI"),
            ("urn:oid:2.16.840.1.113883.2.9.4.3.2", "CF", "CF^^^CF&2.16.840.1.113883.2.9.4.3.2&ISO"),
            ("urn:oid:1.9", "7", "7^^^&1.9&ISO"),
            ("http://x.example", "7", "7^^^&http://x.example&URI"),
        ] {
            let identifier = Identifier::new(system, value);
            assert_eq!(cx(&identifier, None, &domains, &Delimiters::default()), expected);
        }
        let message = Message::parse("MSH|^~\\&|APP|SIO|||||QBP|1|P|2.5\r").expect("a message");
        let of = |namespace: &str| {
            let authority = Hd([namespace.to_owned(), String::new(), String::new()]);
            domain_system(&authority, &message, &domains)
        };
        assert_eq!(of(""), Ok("http://sio.example".to_owned()));
        assert_eq!(of("LIS"), Ok("urn:lis".to_owned()));
        assert_eq!(of("RIS"), Err(DomainError::Unknown));
    }

    fn domain_system(authority: &Hd, message: &Message, domains: &Domains) -> Result<String, DomainError> {
        super::domain(authority, message, domains).map(|domain| domain.system())
    }

    #[test]
    fn identifiers_of_a_domain_stand_together() {
        let of = |all: &[(&str, &str)]| -> Vec<Identifier> {
            all.iter().map(|(system, value)| Identifier::new(*system, *value)).collect()
        };
        let mixed = of(&[("b", "1"), ("a", "2"), ("b", "3"), ("a", "4")]);
        assert_eq!(grouped(mixed), of(&[("b", "1"), ("b", "3"), ("a", "2"), ("a", "4")]));
    }
}
