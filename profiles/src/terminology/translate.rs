//! `$translate`: codes of one system as codes of another, by concept maps.
//!
//! Spec: <https://hl7.org/fhir/R4/conceptmap-operation-translate.html>

use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};
use serde_json::{Value, json};

use super::error::TerminologyError;
use super::{CodingRef, Terminology};

/// What is to be translated, and by what.
#[derive(Debug, Clone, Default)]
pub struct Translate<'a> {
    /// The concept map; without, all that fit are asked.
    pub url: Option<&'a str>,
    /// The value set that the code comes from.
    pub source: Option<&'a str>,
    /// The value set that is wanted.
    pub target: Option<&'a str>,
    /// The code system that is wanted.
    pub target_system: Option<&'a str>,
    /// From target to source.
    pub is_reverse: bool,
}

/// A translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// How good it is: `equivalent`, `wider` ...
    pub equivalence: String,
    /// The code; `None` where the map says that there is none.
    pub concept: Option<(String, String, Option<String>)>,
    /// The concept map.
    pub source: String,
}

impl Match {
    /// Tells whether there is a code that may stand for the one translated.
    pub fn is_translation(&self) -> bool {
        self.concept.is_some() && !matches!(self.equivalence.as_str(), "unmatched" | "disjoint")
    }
}

impl Terminology {
    /// Translates codes.
    ///
    /// # Errors
    /// When the concept map is not known, or no code is given.
    pub fn translate(
        &self,
        codings: &[CodingRef<'_>],
        how: &Translate<'_>,
    ) -> Result<Vec<Match>, TerminologyError> {
        if codings.is_empty() {
            let text = "a code is needed: give `code` with `system`, `coding` or `codeableConcept`";
            return Err(TerminologyError::Invalid(text.to_owned()));
        }
        let mut maps: Vec<std::sync::Arc<Resource>> = match how.url {
            Some(url) => {
                let found = self.definitions.resource(ty::CONCEPT_MAP, url).cloned();
                vec![found.ok_or_else(|| TerminologyError::NotFound(format!("the concept map {url}")))?]
            }
            None => self.definitions.of_type(ty::CONCEPT_MAP).filter_map(|d| d.resource().cloned()).collect(),
        };
        maps.retain(|map| {
            let stated = |end| map.root().children_named(end).find_map(|e| e.value().map(str::to_owned));
            let fits = |end, wanted: Option<&str>| {
                wanted.is_none_or(|wanted| {
                    stated(end).is_none_or(|s| s.split('|').next() == wanted.split('|').next())
                })
            };
            let (source, target) =
                if how.is_reverse { (how.target, how.source) } else { (how.source, how.target) };
            how.url.is_some() || fits(name::SOURCE, source) && fits(name::TARGET, target)
        });
        let mut matches = Vec::new();
        for map in &maps {
            for coding in codings {
                by_map(map, coding, how, &mut matches);
            }
        }
        matches.dedup();
        Ok(matches)
    }
}

fn by_map(map: &Resource, coding: &CodingRef<'_>, how: &Translate<'_>, matches: &mut Vec<Match>) {
    let source = map.root().text_of(name::URL).unwrap_or_default();
    for group in map.root().children_named(name::GROUP) {
        let (from, to) = (group.text_of(name::SOURCE), group.text_of(name::TARGET));
        let (from, to) = if how.is_reverse { (to, from) } else { (from, to) };
        if coding.system.is_some() && from.is_some() && coding.system != from
            || how.target_system.is_some_and(|wanted| to.is_some_and(|to| to != wanted))
        {
            continue;
        }
        let found = matches.len();
        for element in group.children_named(name::ELEMENT) {
            for target in element.children_named(name::TARGET) {
                let (own, other) = if how.is_reverse { (target, element) } else { (element, target) };
                if own.text_of(name::CODE) == Some(coding.code) {
                    matches.push(translation(target, other, to, source));
                }
            }
        }
        if matches.len() == found && !how.is_reverse {
            unmapped(group, coding, to, source, matches);
        }
    }
}

fn translation(target: Element<'_>, other: Element<'_>, system: Option<&str>, source: &str) -> Match {
    let concept = other.text_of(name::CODE).map(|code| {
        (
            system.unwrap_or_default().to_owned(),
            code.to_owned(),
            other.text_of(name::DISPLAY).map(str::to_owned),
        )
    });
    let equivalence = target.text_of(name::EQUIVALENCE).unwrap_or("equivalent").to_owned();
    Match { equivalence, concept, source: source.to_owned() }
}

/// What a group says of codes that it does not list.
fn unmapped(
    group: Element<'_>,
    coding: &CodingRef<'_>,
    to: Option<&str>,
    source: &str,
    matches: &mut Vec<Match>,
) {
    let Some(rule) = group.child(name::UNMAPPED) else { return };
    let concept = match rule.text_of(name::MODE) {
        Some("provided") => Some((coding.code, coding.display)),
        Some("fixed") => rule.text_of(name::CODE).map(|code| (code, rule.text_of(name::DISPLAY))),
        _ => None,
    };
    if let Some((code, display)) = concept {
        let system = to.unwrap_or_default().to_owned();
        matches.push(Match {
            equivalence: "equivalent".to_owned(),
            concept: Some((system, code.to_owned(), display.map(str::to_owned))),
            source: source.to_owned(),
        });
    }
}

/// Returns translations as Parameters in JSON.
pub fn to_parameters(matches: &[Match]) -> Value {
    let result = matches.iter().any(Match::is_translation);
    let mut out = vec![json!({ "name": "result", "valueBoolean": result })];
    if matches.is_empty() {
        out.push(json!({ "name": "message", "valueString": "no concept map at hand has a translation" }));
    }
    for found in matches {
        let mut part = vec![json!({ "name": "equivalence", "valueCode": found.equivalence })];
        if let Some((system, code, display)) = &found.concept {
            let mut coding = json!({ "system": system, "code": code });
            if let Some(display) = display {
                coding["display"] = json!(display);
            }
            part.push(json!({ "name": "concept", "valueCoding": coding }));
        }
        part.push(json!({ "name": "source", "valueUri": found.source }));
        out.push(json!({ "name": "match", "part": part }));
    }
    json!({ "resourceType": "Parameters", "parameter": out })
}
