//! The section `[identity]` of the settings: the index of patients.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ihe_adapters::pix::domains::{Domain, Domains, Kind, SetupError};
use serde::Deserialize;

use super::survivorship::{Order, Survivorship, is_list};
use super::weights::{Weights, WeightsError};
use super::{Index, Matcher};

/// The section `[identity]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityFile {
    /// Who assigns identifiers of patients.
    pub domains: Vec<DomainFile>,
    /// Whether a message by PMIR may take back that patients were merged.
    pub unmerge_by_message: bool,
    /// Whether records are tied that are of one person.
    pub link: Linking,
    /// A file of weights; what it does not say is built in.
    pub weights: Option<PathBuf>,
    /// Whose word counts where records of a person differ.
    pub survivorship: SurvivorshipFile,
}

/// The section `[identity.survivorship]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SurvivorshipFile {
    /// By what records count, the first thing first.
    pub order: Option<Vec<Order>>,
    /// The domains whose records count before others, the best first.
    pub sources: Vec<String>,
    /// What holds for one element alone, by its name.
    pub elements: BTreeMap<String, ElementFile>,
}

/// What holds for one element.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ElementFile {
    /// As that of the section.
    pub order: Option<Vec<Order>>,
    /// As those of the section.
    pub sources: Option<Vec<String>>,
    /// Whether what all records say holds.
    pub united: Option<bool>,
}

/// Why rules of survivorship cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SurvivorshipError {
    /// What is no domain.
    #[error("`{0}` is no domain of [[identity.domains]]: give a name, an OID or a URI")]
    Domain(String),
    /// What is no element that one record gets from another.
    #[error("`{0}` is no element of a Patient that one record may have and another not")]
    Element(String),
    /// What cannot be united.
    #[error("`{0}` has one value: it cannot be united")]
    United(String),
}

impl SurvivorshipFile {
    /// Returns how the best that is known of a person is found.
    ///
    /// # Errors
    /// When a domain or an element is not known.
    pub(crate) fn survivorship(&self, domains: &Domains) -> Result<Survivorship, SurvivorshipError> {
        let systems = |name: &String| {
            let known = domains.called(name).map(|domain| domain.systems());
            known.ok_or_else(|| SurvivorshipError::Domain(name.clone()))
        };
        let sources = |names: &[String]| names.iter().map(systems).collect::<Result<Vec<_>, _>>();
        let mut survivorship = Survivorship::default();
        if let Some(orders) = &self.order {
            survivorship = Survivorship::of(orders);
        }
        survivorship.trusting(&sources(&self.sources)?);
        for (element, file) in &self.elements {
            let rule = survivorship.of_element(element);
            let rule = rule.ok_or_else(|| SurvivorshipError::Element(element.clone()))?;
            if let Some(orders) = &file.order {
                rule.orders.clone_from(orders);
            }
            if let Some(names) = &file.sources {
                rule.sources = sources(names)?;
            }
            if let Some(is_united) = file.united {
                if is_united && !is_list(element) {
                    return Err(SurvivorshipError::United(element.clone()));
                }
                rule.is_united = is_united;
            }
        }
        Ok(survivorship)
    }
}

/// Whether records are tied by this server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linking {
    /// Those of sources are.
    #[default]
    On,
    /// Nobody's are, but by whoever calls operations.
    Off,
}

/// A section `[[identity.domains]]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainFile {
    /// The namespace id by which HL7 v2 messages call it.
    #[serde(default)]
    pub name: String,
    /// The OID.
    #[serde(default)]
    pub oid: String,
    /// What stands as `Identifier.system`; without it, `urn:oid:` and the OID.
    #[serde(default)]
    pub uri: String,
    /// Other URIs that mean the same.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How far its identifiers reach: `local` or `person`.
    #[serde(default)]
    pub kind: DomainKind,
    /// The senders whose identifiers without an assigning authority are of it.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// How far the identifiers of a domain reach, as the settings say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainKind {
    /// A source gives them to its records.
    #[default]
    Local,
    /// They name a person.
    Person,
}

impl IdentityFile {
    /// Returns the index of the records that are tied; `None` where none are.
    ///
    /// # Errors
    /// As [`IdentityFile::domains`].
    pub fn index(&self, matcher: &Matcher) -> Result<Option<Index>, SetupError> {
        Ok(match self.link {
            Linking::On => Some(Index::new(Arc::new(self.domains()?), matcher.clone())),
            Linking::Off => None,
        })
    }

    /// Returns who assigns identifiers.
    ///
    /// # Errors
    /// When two domains cannot be told apart, or one has no OID and no URI.
    pub fn domains(&self) -> Result<Domains, SetupError> {
        let domain = |file: &DomainFile| {
            let DomainFile { name, oid, uri, aliases, kind, sources } = file.clone();
            let kind = match kind {
                DomainKind::Local => Kind::Local,
                DomainKind::Person => Kind::Person,
            };
            Domain { name, oid, uri, aliases, kind, sources }
        };
        Domains::new(self.domains.iter().map(domain).collect())
    }
}

/// Reads the weights that are set.
///
/// # Errors
/// When the file cannot be read, or what it says cannot be used.
pub fn weights(file: Option<&Path>) -> Result<Weights, WeightsError> {
    let Some(path) = file else { return Weights::built_in() };
    let text = std::fs::read_to_string(path)
        .map_err(|error| WeightsError::Form(format!("`{}` cannot be read: {error}", path.display())))?;
    Weights::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_by_element_and_what_is_none() {
        let domain = DomainFile {
            name: "SIO".to_owned(),
            oid: "1.2.3".to_owned(),
            uri: "https://sio.example.org".to_owned(),
            aliases: Vec::new(),
            kind: DomainKind::Local,
            sources: Vec::new(),
        };
        let domains = IdentityFile { domains: vec![domain], ..IdentityFile::default() }.domains();
        let domains = domains.expect("domains");
        let read = |text: &str| {
            let file: SurvivorshipFile = toml::from_str(text).expect("a section");
            file.survivorship(&domains)
        };
        assert_eq!(read(""), Ok(Survivorship::default()));
        let text = "order = [\"newest\"]\nsources = [\"1.2.3\", \"ANA\"]\n[elements.telecom]\nunited = false\n\
                    [elements.name]\norder = [\"frequent\", \"newest\"]\nsources = []";
        let mut told = read(text).expect("rules");
        let mut of = |element: &str| told.of_element(element).cloned().expect("a rule");
        let sio = vec!["https://sio.example.org".to_owned(), "urn:oid:1.2.3".to_owned()];
        let address = of("address");
        assert_eq!((address.orders, address.sources[0].clone()), (vec![Order::Newest], sio));
        assert_eq!(
            (of("birthDate").orders, of("telecom").is_united),
            (vec![Order::Frequent, Order::Newest], false)
        );
        assert!(of("communication").is_united && of("name").sources.is_empty());
        for (text, expected) in [
            ("sources = [\"1.2.99\"]", SurvivorshipError::Domain("1.2.99".to_owned())),
            ("[elements.identifier]", SurvivorshipError::Element("identifier".to_owned())),
            ("[elements.gender]\nunited = true", SurvivorshipError::United("gender".to_owned())),
        ] {
            assert_eq!(read(text), Err(expected), "{text}");
        }
        assert!(toml::from_str::<SurvivorshipFile>("order = [\"oldest\"]").is_err());
    }
}
