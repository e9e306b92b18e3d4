//! Who assigns identifiers of patients: assigning authorities, each known by a
//! namespace (HL7 v2), an OID (HL7 v3, XDS) and a URI (FHIR).
//!
//! Spec: ITI TF-2 3.8.4.1.2, appendix E; HL7 v2.5.1 section 2.A.33 (HD)

use std::collections::HashMap;
use std::sync::Arc;

use crate::xds::values::is_oid;

/// How far the identifiers of a domain reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A source gives them to its records: one person may have several.
    Local,
    /// They name a person: two records that have the same one are of one
    /// person, unless something speaks against it.
    Person,
}

/// A domain of identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// The namespace id by which HL7 v2 messages call it; may be empty.
    pub name: String,
    /// The OID; may be empty where there is a URI.
    pub oid: String,
    /// The URI that stands as `Identifier.system`; empty for `urn:oid:` and the OID.
    pub uri: String,
    /// Other URIs that mean the same.
    pub aliases: Vec<String>,
    /// How far its identifiers reach.
    pub kind: Kind,
    /// The senders (`application|facility` of HL7 v2) whose identifiers without
    /// an assigning authority are of this domain.
    pub sources: Vec<String>,
}

impl Domain {
    /// Makes the domain of an OID that nobody configured.
    fn of_oid(oid: &str) -> Domain {
        let (name, uri, aliases, sources) = Default::default();
        Domain { name, oid: oid.to_owned(), uri, aliases, kind: Kind::Local, sources }
    }

    /// Makes the domain of a URI that nobody configured.
    fn of_uri(uri: &str) -> Domain {
        let (name, oid, aliases, sources) = Default::default();
        Domain { name, oid, uri: uri.to_owned(), aliases, kind: Kind::Local, sources }
    }

    /// Returns what stands as `Identifier.system`.
    pub fn system(&self) -> String {
        if self.uri.is_empty() { format!("urn:oid:{}", self.oid) } else { self.uri.clone() }
    }

    /// Returns all that may stand as `Identifier.system`, each once.
    pub fn systems(&self) -> Vec<String> {
        let mut systems = self.aliases.clone();
        systems.push(self.system());
        if !self.oid.is_empty() {
            systems.push(format!("urn:oid:{}", self.oid));
        }
        systems.sort_unstable();
        systems.dedup();
        systems
    }
}

/// How a message names an assigning authority (HD of HL7 v2, root of HL7 v3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Authority<'m> {
    /// The namespace id; may be empty.
    pub namespace: &'m str,
    /// The universal id; may be empty.
    pub universal_id: &'m str,
    /// Of which kind that is: `ISO`, `URI` ...; may be empty.
    pub universal_id_type: &'m str,
}

impl<'m> Authority<'m> {
    /// Makes the one that an OID names.
    pub fn of_oid(oid: &'m str) -> Authority<'m> {
        Authority { namespace: "", universal_id: oid, universal_id_type: "ISO" }
    }

    /// Tells whether nothing is named.
    pub fn is_empty(&self) -> bool {
        self.namespace.is_empty() && self.universal_id.is_empty()
    }
}

/// Why a domain is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nobody is named.
    #[error("no assigning authority is named")]
    Missing,
    /// None of that name is known.
    #[error("the assigning authority is not known here")]
    Unknown,
    /// Namespace and universal id name two that are not the same.
    #[error("namespace and universal id name two assigning authorities that are not the same")]
    Contradictory,
}

/// Why domains cannot be set up so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Neither OID nor URI.
    #[error("the domain `{0}` has neither `oid` nor `uri`")]
    Nameless(String),
    /// No OID.
    #[error("`{0}` is no OID")]
    Oid(String),
    /// Two have the same name, OID, URI or source.
    #[error("`{0}` stands for two domains")]
    Twice(String),
}

/// The arc under which Italy's domains of identifiers are.
const ITALY: &str = "2.16.840.1.113883.2.9.4.3.";

/// The national domains: name, end of the OID, URI that means the same.
///
/// Source: the OIDs of the schematrons of FSE 2.0, the profiles of HL7 Italia.
const NATIONAL: &[(&str, &str, &[&str])] = &[
    ("CF", "2", &["http://hl7.it/sid/codiceFiscale"]),
    ("TEAM", "7", &[]),
    ("TEAM_ESTERA", "3", &[]),
    ("ANA", "15", &[]),
    ("ANPR", "16", &[]),
    ("STP", "17", &["http://hl7.it/sid/stp"]),
    ("ENI", "18", &["http://hl7.it/sid/eni"]),
];

/// The domains that are known, each by all its names.
#[derive(Debug, Clone)]
pub struct Domains {
    all: Vec<Arc<Domain>>,
    by_name: HashMap<String, usize>,
    by_oid: HashMap<String, usize>,
    by_uri: HashMap<String, usize>,
    by_source: HashMap<String, usize>,
    /// Whether others than those that are known are admitted.
    is_open: bool,
}

impl Default for Domains {
    /// The national domains, and every other that has an OID or a URI.
    fn default() -> Domains {
        let (by_name, by_oid, by_uri, by_source) = Default::default();
        let mut domains = Domains { all: Vec::new(), by_name, by_oid, by_uri, by_source, is_open: true };
        domains.add_national();
        domains
    }
}

impl Domains {
    /// Makes them of those that are configured, and the national ones. Where
    /// none are configured, every domain that has an OID or URI is admitted.
    ///
    /// # Errors
    /// When one has no OID and no URI, or two have a name in common.
    pub fn new(configured: Vec<Domain>) -> Result<Domains, SetupError> {
        let (by_name, by_oid, by_uri, by_source) = Default::default();
        let is_open = configured.is_empty();
        let mut domains = Domains { all: Vec::new(), by_name, by_oid, by_uri, by_source, is_open };
        for domain in configured {
            if domain.oid.is_empty() && domain.uri.is_empty() {
                return Err(SetupError::Nameless(domain.name));
            }
            if !domain.oid.is_empty() && !is_oid(&domain.oid) {
                return Err(SetupError::Oid(domain.oid));
            }
            domains.add(domain)?;
        }
        domains.add_national();
        Ok(domains)
    }

    /// Adds the national domains that are not configured otherwise.
    fn add_national(&mut self) {
        for (name, end, aliases) in NATIONAL {
            let mut domain = Domain::of_oid(&format!("{ITALY}{end}"));
            if self.by_oid.contains_key(&domain.oid) {
                continue;
            }
            domain.kind = Kind::Person;
            domain.name = (*name).to_owned();
            // A name that the operator gave to another stays with that.
            if self.by_name.contains_key(*name) {
                domain.name.clear();
            }
            let free = aliases.iter().filter(|uri| !self.by_uri.contains_key(**uri));
            domain.aliases = free.map(|uri| (*uri).to_owned()).collect();
            // What is free by now cannot stand for two.
            let _ = self.add(domain);
        }
    }

    fn add(&mut self, domain: Domain) -> Result<(), SetupError> {
        let at = self.all.len();
        let uris = domain.systems();
        let named = |text: &String| if text.is_empty() { Vec::new() } else { vec![text.clone()] };
        let names: [(&mut HashMap<String, usize>, Vec<String>); 4] = [
            (&mut self.by_name, named(&domain.name)),
            (&mut self.by_oid, named(&domain.oid)),
            (&mut self.by_uri, uris),
            (&mut self.by_source, domain.sources.clone()),
        ];
        for (map, names) in names {
            for name in names {
                if map.insert(name.clone(), at).is_some() {
                    return Err(SetupError::Twice(name));
                }
            }
        }
        self.all.push(Arc::new(domain));
        Ok(())
    }

    /// Returns those that are configured, and the national ones.
    pub fn known(&self) -> &[Arc<Domain>] {
        &self.all
    }

    /// Tells whether others than those that are known are admitted.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Returns the domain that a message names.
    ///
    /// # Errors
    /// When none is named, none is known by that name, or two that differ are named.
    pub fn named(&self, authority: Authority<'_>) -> Result<Arc<Domain>, DomainError> {
        let Authority { namespace, universal_id, universal_id_type } = authority;
        let by_name = self.by_name.get(namespace).and_then(|at| self.all.get(*at));
        if universal_id.is_empty() {
            if namespace.is_empty() {
                return Err(DomainError::Missing);
            }
            // Some senders write the OID where the namespace stands.
            return by_name
                .cloned()
                .or_else(|| is_oid(namespace).then(|| self.by_system(&format!("urn:oid:{namespace}")))?)
                .ok_or(DomainError::Unknown);
        }
        let system = match universal_id_type {
            "URI" | "DNS" | "URL" => universal_id.to_owned(),
            "ISO" | "" if is_oid(universal_id) => format!("urn:oid:{universal_id}"),
            _ => return Err(DomainError::Unknown),
        };
        let domain = self.by_system(&system).ok_or(DomainError::Unknown)?;
        // A namespace that stands for none is only a name to read.
        if by_name.is_some_and(|other| **other != *domain) {
            return Err(DomainError::Contradictory);
        }
        Ok(domain)
    }

    /// Returns the domain that a system of FHIR means; `None` when it is not known.
    pub fn by_system(&self, system: &str) -> Option<Arc<Domain>> {
        let known = self.by_uri.get(system).and_then(|at| self.all.get(*at)).cloned();
        known.or_else(|| {
            let made = match system.strip_prefix("urn:oid:") {
                Some(oid) => is_oid(oid).then(|| Domain::of_oid(oid))?,
                None => system.contains(':').then(|| Domain::of_uri(system))?,
            };
            self.is_open.then(|| Arc::new(made))
        })
    }

    /// Returns the domain that an operator means, by its name, OID or URI; `None`
    /// when it is not known.
    pub fn called(&self, name: &str) -> Option<Arc<Domain>> {
        let authority = Authority { namespace: name, ..Authority::default() };
        self.by_system(name).or_else(|| self.named(authority).ok())
    }

    /// Returns the domain of the identifiers that a sender gives without an
    /// assigning authority. `sender`: `application|facility`.
    pub fn of_source(&self, sender: &str) -> Option<Arc<Domain>> {
        self.by_source.get(sender).and_then(|at| self.all.get(*at)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(name: &str, oid: &str, uri: &str) -> Domain {
        let mut domain = Domain::of_oid(oid);
        (domain.name, domain.uri) = (name.into(), uri.into());
        domain
    }

    #[test]
    fn a_domain_is_one_by_each_of_its_names() {
        let mut configured = domain("SIO", "1.2.3", "http://sio.example/mrn");
        configured.sources = vec!["SIO|H1".into()];
        let domains = Domains::new(vec![configured]).expect("set up");
        let by = |namespace, universal_id, universal_id_type| {
            domains.named(Authority { namespace, universal_id, universal_id_type })
        };
        let all = [
            by("SIO", "", ""),
            by("", "1.2.3", "ISO"),
            by("SIO", "1.2.3", "ISO"),
            by("1.2.3", "", ""),
            by("only to read", "1.2.3", "ISO"),
            by("", "http://sio.example/mrn", "URI"),
            domains.by_system("urn:oid:1.2.3").ok_or(DomainError::Unknown),
            domains.of_source("SIO|H1").ok_or(DomainError::Unknown),
        ];
        for found in all {
            assert_eq!(found.map(|domain| domain.system()), Ok("http://sio.example/mrn".to_owned()));
        }
        assert_eq!(by("", "", ""), Err(DomainError::Missing));
        assert_eq!(by("LIS", "", ""), Err(DomainError::Unknown));
        assert_eq!(by("", "1.2.4", "ISO"), Err(DomainError::Unknown));
        assert_eq!(by("CF", "1.2.3", "ISO"), Err(DomainError::Contradictory));
        let cf = by("CF", "", "").expect("national");
        assert_eq!((cf.kind, cf.system().as_str()), (Kind::Person, "urn:oid:2.16.840.1.113883.2.9.4.3.2"));
        assert_eq!(domains.by_system("http://hl7.it/sid/codiceFiscale"), Some(cf));
    }

    #[test]
    fn without_a_list_each_oid_is_a_domain() {
        let domains = Domains::default();
        let found =
            domains.named(Authority { namespace: "X", universal_id: "1.2.9", universal_id_type: "ISO" });
        assert_eq!(
            found.map(|domain| (domain.system(), domain.kind)),
            Ok(("urn:oid:1.2.9".into(), Kind::Local))
        );
        assert_eq!(
            domains.named(Authority { namespace: "X", ..Authority::default() }),
            Err(DomainError::Unknown)
        );
    }

    #[test]
    fn names_stand_for_one_domain() {
        for (configured, expected) in [
            (vec![domain("A", "", "")], SetupError::Nameless("A".into())),
            (vec![domain("A", "1.x", "")], SetupError::Oid("1.x".into())),
            (vec![domain("A", "1.2", ""), domain("A", "1.3", "")], SetupError::Twice("A".into())),
            (vec![domain("A", "1.2", ""), domain("B", "1.2", "")], SetupError::Twice("1.2".into())),
        ] {
            assert_eq!(Domains::new(configured).expect_err("refused"), expected);
        }
        // What the operator says of a national domain counts.
        let domains =
            Domains::new(vec![domain("CODFISC", "2.16.840.1.113883.2.9.4.3.2", "")]).expect("set up");
        assert_eq!(domains.known().iter().filter(|d| d.oid.ends_with(".4.3.2")).count(), 1);
    }
}
