//! Code systems that only a region or a sender has, and their URIs.
//!
//! Spec: HL7 v2.5.1 table 0396 (`L` and `99zzz` are local), HL7 v2-to-FHIR, CWE

/// Begins the URIs of code systems that nobody set up: of who uses them.
const LOCAL: &str = "urn:lanterna:hl7v2:code-system:";

/// A code system that only this region has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeSystem {
    /// What messages call it (CWE.3): `99LIS`.
    pub name: String,
    /// The URI that it has in FHIR.
    pub uri: String,
    /// The senders that mean it by this name, `application|facility`; none for all.
    pub sources: Vec<String>,
}

/// The code systems of this region.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeSystems {
    all: Vec<CodeSystem>,
}

impl CodeSystems {
    /// Takes what is set up.
    pub fn new(all: Vec<CodeSystem>) -> CodeSystems {
        CodeSystems { all }
    }

    /// Returns the URI of what a sender calls so, where it is set up: what is said of the
    /// sender counts before what is said of all.
    pub fn uri(&self, name: &str, sender: &str) -> Option<&str> {
        let named = || self.all.iter().filter(|system| system.name == name);
        let of_sender = named().find(|system| system.sources.iter().any(|source| source == sender));
        let found = of_sender.or_else(|| named().find(|system| system.sources.is_empty()));
        found.map(|system| system.uri.as_str())
    }
}

/// Makes the URI of what a sender (`application|facility`) calls so, and nobody set up:
/// always the same, and another for each sender, since `L` is nobody's in particular.
pub(super) fn local(name: &str, sender: &str) -> String {
    let encoded = |part: &str| {
        let mut text = String::new();
        // What is empty has to be something between two colons.
        fhir_model::percent::encode(if part.is_empty() { "-" } else { part }, &mut text);
        text.replace(':', "%3A")
    };
    let parts: Vec<String> = sender.split('|').chain([name]).map(encoded).collect();
    format!("{LOCAL}{}", parts.join(":"))
}

/// Tells whether a URI is one that [`local`] made.
pub(super) fn is_local(uri: &str) -> bool {
    uri.starts_with(LOCAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_a_sender_counts_first() {
        let system = |uri: &str, sources: &[&str]| CodeSystem {
            name: "99LIS".to_owned(),
            uri: uri.to_owned(),
            sources: sources.iter().map(|source| (*source).to_owned()).collect(),
        };
        let all = CodeSystems::new(vec![system("urn:all", &[]), system("urn:h1", &["LIS|H1"])]);
        assert_eq!(all.uri("99LIS", "LIS|H1"), Some("urn:h1"));
        assert_eq!(all.uri("99LIS", "LIS|H2"), Some("urn:all"));
        assert_eq!(all.uri("99RIS", "LIS|H1"), None);
    }

    #[test]
    fn local_systems_are_of_their_sender() {
        let uri = local("99 LIS:1", "LIS|H 1");
        assert_eq!(uri, "urn:lanterna:hl7v2:code-system:LIS:H%201:99%20LIS%3A1");
        assert!(is_local(&uri) && !is_local("http://loinc.org"));
        assert_eq!(local("L", "|"), "urn:lanterna:hl7v2:code-system:-:-:L");
    }
}
