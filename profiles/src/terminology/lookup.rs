//! `$lookup`: what is known of a code, and `$subsumes`: how two are related.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem-operation-lookup.html>,
//! <https://hl7.org/fhir/R4/codesystem-operation-subsumes.html>

use serde_json::{Value, json};

use super::error::TerminologyError;
use super::{CodingRef, Terminology};

/// How one concept is related to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subsumption {
    /// They are the same.
    Equivalent,
    /// The first is above the second.
    Subsumes,
    /// The first is below the second.
    SubsumedBy,
    /// Neither.
    NotSubsumed,
}

impl Subsumption {
    /// Returns the code.
    pub fn code(self) -> &'static str {
        match self {
            Subsumption::Equivalent => "equivalent",
            Subsumption::Subsumes => "subsumes",
            Subsumption::SubsumedBy => "subsumed-by",
            Subsumption::NotSubsumed => "not-subsumed",
        }
    }
}

impl Terminology {
    /// Returns what is known of a code, as Parameters in JSON; only those
    /// `properties` where some are named.
    ///
    /// # Errors
    /// When the code system or the code is not known.
    pub fn lookup(&self, coding: &CodingRef<'_>, properties: &[&str]) -> Result<Value, TerminologyError> {
        let system = self.held(coding.system, coding.version)?;
        let concept = system.concept(coding.code).ok_or_else(|| {
            TerminologyError::NotFound(format!("the code '{}' of {}", shortened(coding.code), system.url()))
        })?;
        let wanted = |property: &str| {
            properties.is_empty() || properties.contains(&property) || properties.contains(&"*")
        };
        let mut out = vec![json!({ "name": "name", "valueString": system.name() })];
        if let Some(version) = system.version() {
            out.push(json!({ "name": "version", "valueString": version }));
        }
        out.push(json!({ "name": "display", "valueString": system.display(concept).unwrap_or(coding.code) }));
        if let Some(definition) = system.definition(concept).filter(|_| wanted("definition")) {
            out.push(json!({ "name": "definition", "valueString": definition }));
        }
        for designation in system.designations(concept).iter().filter(|_| wanted("designation")) {
            let mut part = Vec::new();
            if let Some(language) = &designation.language {
                part.push(json!({ "name": "language", "valueCode": language }));
            }
            part.push(json!({ "name": "value", "valueString": designation.value }));
            out.push(json!({ "name": "designation", "part": part }));
        }
        let mut property = |code: &str, value: (&str, Value)| {
            let mut held = json!({ "name": "value" });
            held[value.0] = value.1;
            out.push(json!({ "name": "property", "part": [{ "name": "code", "valueCode": code }, held] }));
        };
        if wanted("inactive") {
            property("inactive", ("valueBoolean", json!(system.is_inactive(concept))));
        }
        for (code, related) in [("parent", system.parents(concept)), ("child", system.children(concept))] {
            for other in related.iter().filter(|_| wanted(code)) {
                property(code, ("valueCode", json!(system.code(*other))));
            }
        }
        for held in system.properties(concept) {
            if !wanted(&held.code) || matches!(&*held.code, "parent" | "child" | "inactive") {
                continue;
            }
            let value = match held.type_name {
                "boolean" => ("valueBoolean", json!(&*held.value == "true")),
                "integer" => ("valueInteger", json!(held.value.parse::<i64>().unwrap_or(0))),
                "Coding" => ("valueCoding", json!({ "system": held.system, "code": held.value })),
                "code" => ("valueCode", json!(held.value)),
                "dateTime" => ("valueDateTime", json!(held.value)),
                _ => ("valueString", json!(held.value)),
            };
            property(&held.code, value);
        }
        Ok(json!({ "resourceType": "Parameters", "parameter": out }))
    }

    /// Tells how two codes of a code system are related.
    ///
    /// # Errors
    /// When the code system or a code is not known.
    pub fn subsumption(
        &self,
        system: Option<&str>,
        version: Option<&str>,
        first: &str,
        second: &str,
    ) -> Result<Subsumption, TerminologyError> {
        let system = self.held(system, version)?;
        let find = |code: &str| {
            system.concept(code).ok_or_else(|| {
                TerminologyError::NotFound(format!("the code '{}' of {}", shortened(code), system.url()))
            })
        };
        let (first, second) = (find(first)?, find(second)?);
        Ok(match (system.is_a(first, second), system.is_a(second, first)) {
            (true, true) => Subsumption::Equivalent,
            (false, true) => Subsumption::Subsumes,
            (true, false) => Subsumption::SubsumedBy,
            (false, false) => Subsumption::NotSubsumed,
        })
    }

    pub(super) fn held(
        &self,
        system: Option<&str>,
        version: Option<&str>,
    ) -> Result<std::sync::Arc<super::code_system::CodeSystem>, TerminologyError> {
        let system = system
            .ok_or_else(|| TerminologyError::Invalid("a code system is needed: give `system`".to_owned()))?;
        let canonical = match version {
            Some(version) => format!("{system}|{version}"),
            None => system.to_owned(),
        };
        self.code_system(&canonical)
            .ok_or_else(|| TerminologyError::NotFound(format!("the code system {}", shortened(&canonical))))
    }
}

pub(super) fn shortened(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(at, _)| &text[..at])
}
