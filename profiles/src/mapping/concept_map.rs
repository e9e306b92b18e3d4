//! Concept maps as rules use them, and what OIDs mean.
//!
//! Spec: <https://hl7.org/fhir/R4/conceptmap.html>

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};

use super::ast::CodeMap;
use crate::definitions::{Definition, Definitions};

/// The concept map that is none: it turns OIDs into URIs.
pub(super) const OID_TO_URI: &str = "http://hl7.org/fhir/ConceptMap/special-oid2uri";

/// A concept map, to be looked up in.
#[derive(Debug, Default)]
pub(super) struct CodeTable {
    lines: HashMap<String, Vec<Line>>,
    /// Systems whose other codes stay what they are, and a code for all others.
    unmapped: Option<Unmapped>,
}

#[derive(Debug)]
struct Line {
    source_system: String,
    is_match: bool,
    target: Translated,
}

#[derive(Debug)]
enum Unmapped {
    Provided(String),
    Fixed(Translated),
}

/// What a code is translated to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Translated {
    pub(super) system: String,
    pub(super) code: String,
    pub(super) display: Option<String>,
}

impl CodeTable {
    /// Takes over a concept map written in a map.
    pub(super) fn of_map(map: &CodeMap) -> CodeTable {
        let mut table = CodeTable::default();
        for element in &map.elements {
            let Some(target) = &element.target else { continue };
            let target =
                Translated { system: element.target_system.clone(), code: target.clone(), display: None };
            table.add(&element.source_system, &element.source, element.equivalence, target);
        }
        if let Some(system) = map.unmapped.first() {
            table.unmapped = Some(Unmapped::Provided(system.clone()));
        }
        table
    }

    /// Takes over a ConceptMap.
    pub(super) fn of_resource(resource: &Resource) -> CodeTable {
        let mut table = CodeTable::default();
        let text = |element: Element<'_>, of| element.text_of(of).unwrap_or_default().to_owned();
        for group in resource.root().children_named(name::GROUP) {
            let (source, target_system) = (text(group, name::SOURCE), text(group, name::TARGET));
            for element in group.children_named(name::ELEMENT) {
                for target in element.children_named(name::TARGET) {
                    let translated = Translated {
                        system: target_system.clone(),
                        code: text(target, name::CODE),
                        display: target.text_of(name::DISPLAY).map(str::to_owned),
                    };
                    let equivalence = text(target, name::EQUIVALENCE);
                    table.add(&source, &text(element, name::CODE), &equivalence, translated);
                }
            }
            if let Some(unmapped) = group.child(name::UNMAPPED) {
                table.unmapped = match unmapped.text_of(name::MODE) {
                    Some("provided") => Some(Unmapped::Provided(target_system)),
                    Some("fixed") => Some(Unmapped::Fixed(Translated {
                        system: target_system,
                        code: text(unmapped, name::CODE),
                        display: unmapped.text_of(name::DISPLAY).map(str::to_owned),
                    })),
                    _ => None,
                };
            }
        }
        table
    }

    fn add(&mut self, system: &str, code: &str, equivalence: &str, target: Translated) {
        let is_match = matches!(
            equivalence,
            "relatedto" | "equivalent" | "equal" | "wider" | "subsumes" | "inexact" | ""
        );
        let line = Line { source_system: system.to_owned(), is_match, target };
        self.lines.entry(code.to_owned()).or_default().push(line);
    }

    /// Translates a code; without a system, one of any system.
    pub(super) fn translate(&self, system: Option<&str>, code: &str) -> Option<Translated> {
        let lines = self.lines.get(code).map(Vec::as_slice).unwrap_or_default();
        let mut of_code = lines.iter().filter(|line| system.is_none_or(|s| s == line.source_system));
        // A code that stands in the map is not unmapped, even where it means nothing.
        if lines.is_empty() {
            return match self.unmapped.as_ref()? {
                Unmapped::Provided(system) => {
                    Some(Translated { system: system.clone(), code: code.to_owned(), display: None })
                }
                Unmapped::Fixed(target) => Some(target.clone()),
            };
        }
        of_code.find(|line| line.is_match).map(|line| line.target.clone())
    }
}

/// What OIDs mean: the code systems and naming systems that are defined, and
/// those of terminologies that have no definition in FHIR's own packages.
#[derive(Default)]
pub(super) struct Oids {
    definitions: Vec<Arc<Definition>>,
    read: OnceLock<HashMap<String, String>>,
}

#[rustfmt::skip]
const TERMINOLOGIES: &[(&str, &str)] = &[
    ("2.16.840.1.113883.6.1", "http://loinc.org"),
    ("2.16.840.1.113883.6.3", "http://hl7.org/fhir/sid/icd-10"),
    ("2.16.840.1.113883.6.8", "http://unitsofmeasure.org"),
    ("2.16.840.1.113883.6.12", "http://www.ama-assn.org/go/cpt"),
    ("2.16.840.1.113883.6.42", "http://hl7.org/fhir/sid/icd-9"),
    ("2.16.840.1.113883.6.73", "http://www.whocc.no/atc"),
    ("2.16.840.1.113883.6.88", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-cm"),
    ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
    ("2.16.840.1.113883.6.103", "http://hl7.org/fhir/sid/icd-9"),
    ("2.16.840.1.113883.6.104", "http://hl7.org/fhir/sid/icd-9"),
];

impl Oids {
    /// Makes the table of a set of definitions; it is read when first asked.
    pub(super) fn of(definitions: &Definitions) -> Oids {
        let of_type = |wanted| definitions.of_type(wanted).cloned();
        let definitions = of_type(ty::CODE_SYSTEM).chain(of_type(ty::NAMING_SYSTEM)).collect();
        Oids { definitions, read: OnceLock::new() }
    }

    /// Returns the URI of an OID: `urn:oid:` and the OID, where no other is known.
    pub(super) fn uri(&self, oid: &str) -> String {
        if let Some((_, uri)) = TERMINOLOGIES.iter().find(|(known, _)| *known == oid) {
            return (*uri).to_owned();
        }
        let table = self.read.get_or_init(|| {
            let mut table = HashMap::new();
            for definition in &self.definitions {
                add_oids(definition, &mut table);
            }
            table
        });
        table.get(oid).cloned().unwrap_or_else(|| format!("urn:oid:{oid}"))
    }
}

fn add_oids(definition: &Definition, table: &mut HashMap<String, String>) {
    let Some(resource) = definition.resource() else { return };
    for identifier in resource.root().children_named(name::IDENTIFIER) {
        let oid = identifier.text_of(name::VALUE).and_then(|value| value.strip_prefix("urn:oid:"));
        if let Some(oid) = oid {
            table.entry(oid.to_owned()).or_insert_with(|| definition.url().to_owned());
        }
    }
    let ids = || resource.root().children_named(name::UNIQUE_ID);
    let of_type = |wanted: &str| ids().find(|id| id.text_of(name::TYPE) == Some(wanted));
    if let (Some(oid), Some(uri)) = (of_type("oid"), of_type("uri"))
        && let (Some(oid), Some(uri)) = (oid.text_of(name::VALUE), uri.text_of(name::VALUE))
    {
        table.entry(oid.to_owned()).or_insert_with(|| uri.to_owned());
    }
}
