//! `$expand`: the codes of a value set.
//!
//! Spec: <https://hl7.org/fhir/R4/valueset-operation-expand.html>

use std::collections::HashSet;

use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::code_system::{CodeSystem, ConceptId, Words};
use super::error::TerminologyError;
use super::value_set::{Component, ValueSet};
use super::{DEPTH_MAX, Terminology};

/// The greatest number of codes that are looked at.
const CODES_MAX: usize = 2_000_000;

/// The greatest number of codes that are listed at once.
pub const LISTED_MAX: usize = 100_000;

/// How a value set is expanded.
#[derive(Debug, Clone, Default)]
pub struct Expand {
    /// Only codes whose code or display has every word of this, capitals apart.
    pub filter: Option<String>,
    /// How many codes to pass over.
    pub offset: usize,
    /// How many to list; all without.
    pub count: Option<usize>,
    /// Only codes that may be used.
    pub active_only: bool,
    /// Whether further displays are listed.
    pub include_designations: bool,
    /// The language of displays, BCP 47.
    pub display_language: Option<String>,
}

/// A code of an expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its code system.
    pub system: String,
    /// The version of the code system, where it says one.
    pub version: Option<String>,
    /// The code.
    pub code: String,
    /// What it is called.
    pub display: Option<String>,
    /// Whether it is no longer to be used.
    pub is_inactive: bool,
    /// Whether it only groups others.
    pub is_abstract: bool,
    /// Further displays: language and text.
    pub designations: Vec<(Option<String>, String)>,
}

/// The codes of a value set.
#[derive(Debug, Clone, Default)]
pub struct Expansion {
    /// How many there are, apart from offset and count.
    pub total: usize,
    /// Those listed.
    pub entries: Vec<Entry>,
}

impl Terminology {
    /// Lists the codes of a value set that is known. Words of the filter are
    /// looked for before anything is made of a code: of a large code system
    /// most have none of them.
    ///
    /// # Errors
    /// When it, or what it draws on, is not known; when it is too large.
    pub fn expand(&self, canonical: &str, how: &Expand) -> Result<Expansion, TerminologyError> {
        let value_set = self
            .value_set(canonical)
            .ok_or_else(|| TerminologyError::NotFound(format!("the value set {canonical}")))?;
        self.expand_value_set(&value_set, canonical, how)
    }

    /// Lists the codes of a value set that was given.
    ///
    /// # Errors
    /// As [`Terminology::expand`].
    pub fn expand_value_set(
        &self,
        value_set: &ValueSet,
        called: &str,
        how: &Expand,
    ) -> Result<Expansion, TerminologyError> {
        let words = how.filter.as_deref().map(Words::of).unwrap_or_default();
        let mut all = self.codes(value_set, called, &words, DEPTH_MAX)?;
        all.retain(|entry| !how.active_only || !entry.is_inactive);
        let total = all.len();
        let count = how.count.unwrap_or(usize::MAX);
        if count.min(total.saturating_sub(how.offset)) > LISTED_MAX {
            return Err(TerminologyError::TooCostly(LISTED_MAX));
        }
        let mut entries: Vec<Entry> = all.into_iter().skip(how.offset).take(count).collect();
        for entry in &mut entries {
            if let Some(language) = &how.display_language {
                let of_language = |d: &&(Option<String>, String)| {
                    d.0.as_deref().is_some_and(|l| l == language || l.split('-').next() == Some(language))
                };
                if let Some((_, display)) = entry.designations.iter().find(of_language) {
                    entry.display = Some(display.clone());
                }
            }
            if !how.include_designations {
                entry.designations.clear();
            }
        }
        Ok(Expansion { total, entries })
    }

    fn codes(
        &self,
        value_set: &ValueSet,
        called: &str,
        words: &Words,
        depth: usize,
    ) -> Result<Vec<Entry>, TerminologyError> {
        if depth == 0 {
            return Err(TerminologyError::Circular(called.to_owned()));
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        if let Some(codes) = value_set.expansion() {
            let mut codes: Vec<_> = codes.iter().collect();
            codes.sort_unstable();
            entries.extend(codes.into_iter().map(|(system, code)| self.entry(system, None, code, None)));
            entries.retain(|e| words.are_of(&e.code, e.display.as_deref()));
            return Ok(entries);
        }
        for component in value_set.include() {
            for entry in self.component(component, called, words, depth)? {
                if entries.len() >= CODES_MAX {
                    return Err(TerminologyError::TooCostly(CODES_MAX));
                }
                let key = (entry.system.clone(), entry.code.clone());
                if !value_set.excludes(self, &entry.system, &entry.code, depth)
                    && (value_set.allows_inactive() || !entry.is_inactive)
                    && seen.insert(key)
                {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    fn component(
        &self,
        component: &Component,
        called: &str,
        words: &Words,
        depth: usize,
    ) -> Result<Vec<Entry>, TerminologyError> {
        let mut entries = match component.system() {
            Some(system) => self.of_system(component, system, words)?,
            None => match component.value_sets().split_first() {
                None => Vec::new(),
                Some((first, _)) => {
                    let value_set = self.value_set(first).ok_or_else(|| {
                        TerminologyError::NotFound(format!("the value set {first}, of {called},"))
                    })?;
                    self.codes(&value_set, first, words, depth - 1)?
                }
            },
        };
        let others = if component.system().is_some() { 0 } else { 1 };
        for value_set in component.value_sets().iter().skip(others) {
            if self.value_set(value_set).is_none() {
                return Err(TerminologyError::NotFound(format!("the value set {value_set}, of {called},")));
            }
            entries.retain(|e| self.contains(value_set, Some(&e.system), &e.code, depth - 1));
        }
        Ok(entries)
    }

    fn of_system(
        &self,
        component: &Component,
        system: &str,
        words: &Words,
    ) -> Result<Vec<Entry>, TerminologyError> {
        let version = component.version();
        if let Some(codes) = component.codes() {
            return Ok(codes
                .iter()
                .map(|(code, display)| self.entry(system, version, code, display.as_deref()))
                .filter(|e| words.are_of(&e.code, e.display.as_deref()))
                .collect());
        }
        let canonical = match version {
            Some(version) => format!("{system}|{version}"),
            None => system.to_owned(),
        };
        let held = self
            .code_system(&canonical)
            .ok_or_else(|| TerminologyError::NotFound(format!("the code system {canonical}")))?;
        if !held.is_complete() {
            return Err(TerminologyError::Incomplete(system.to_owned()));
        }
        if held.len() > CODES_MAX {
            return Err(TerminologyError::TooCostly(CODES_MAX));
        }
        Ok(held
            .concepts()
            .filter(|c| held.has_words(*c, words) && component.filters_hold(&held, *c))
            .map(|c| entry_of(&held, c))
            .collect())
    }

    fn entry(&self, system: &str, version: Option<&str>, code: &str, display: Option<&str>) -> Entry {
        let held = self.code_system(system);
        let known = held.as_ref().and_then(|s| Some(entry_of(s, s.concept(code)?)));
        let mut entry = known.unwrap_or_else(|| Entry {
            system: system.to_owned(),
            version: version.map(str::to_owned),
            code: code.to_owned(),
            display: None,
            is_inactive: false,
            is_abstract: false,
            designations: Vec::new(),
        });
        if let Some(display) = display {
            entry.display = Some(display.to_owned());
        }
        entry
    }
}

fn entry_of(system: &CodeSystem, concept: ConceptId) -> Entry {
    let designations = system.designations(concept).iter();
    Entry {
        system: system.url().to_owned(),
        version: system.version().map(str::to_owned),
        code: system.code(concept).to_owned(),
        display: system.display(concept).map(str::to_owned),
        is_inactive: system.is_inactive(concept),
        is_abstract: system.is_abstract(concept),
        designations: designations
            .map(|d| (d.language.as_deref().map(str::to_owned), d.value.to_string()))
            .collect(),
    }
}

impl Expansion {
    /// Returns the value set with this expansion, as JSON. `timestamp` is the
    /// moment, a FHIR instant; `identifier` names this expansion.
    pub fn to_value_set(
        &self,
        value_set: Option<&Resource>,
        url: &str,
        how: &Expand,
        timestamp: &str,
        identifier: &str,
    ) -> Value {
        let contains: Vec<Value> = self
            .entries
            .iter()
            .map(|entry| {
                let mut value = json!({ "system": entry.system, "code": entry.code });
                if entry.is_abstract {
                    value["abstract"] = json!(true);
                }
                if entry.is_inactive {
                    value["inactive"] = json!(true);
                }
                if let Some(version) = &entry.version {
                    value["version"] = json!(version);
                }
                if let Some(display) = &entry.display {
                    value["display"] = json!(display);
                }
                if !entry.designations.is_empty() {
                    let designations = entry.designations.iter().map(|(language, text)| match language {
                        Some(language) => json!({ "language": language, "value": text }),
                        None => json!({ "value": text }),
                    });
                    value["designation"] = designations.collect();
                }
                value
            })
            .collect();
        let mut parameters = Vec::new();
        if let Some(filter) = &how.filter {
            parameters.push(json!({ "name": "filter", "valueString": filter }));
        }
        if let Some(count) = how.count {
            parameters.push(json!({ "name": "count", "valueInteger": count }));
            parameters.push(json!({ "name": "offset", "valueInteger": how.offset }));
        }
        if how.active_only {
            parameters.push(json!({ "name": "activeOnly", "valueBoolean": true }));
        }
        let mut expansion = json!({ "identifier": identifier, "timestamp": timestamp, "total": self.total, "offset": how.offset });
        if !parameters.is_empty() {
            expansion["parameter"] = parameters.into();
        }
        if !contains.is_empty() {
            expansion["contains"] = contains.into();
        }
        let mut out = value_set
            .and_then(|r| serde_json::from_slice::<Value>(&fhir_model::json::to_json(r)).ok())
            .unwrap_or_else(|| json!({ "resourceType": "ValueSet", "url": url, "status": "active" }));
        if let Some(object) = out.as_object_mut() {
            for needless in ["text", "compose", "contained"] {
                object.remove(needless);
            }
        }
        out["expansion"] = expansion;
        out
    }
}
