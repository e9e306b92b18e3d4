//! Definitions: what must hold together in a CodeSystem, ValueSet or
//! SearchParameter that invariants do not say.
//!
//! Spec: <https://hl7.org/fhir/R4/codesystem.html>, <https://hl7.org/fhir/R4/valueset.html>,
//! <https://hl7.org/fhir/R4/searchparameter.html>

use std::collections::HashSet;

use fhir_model::fhirpath::Expression;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Element;

use super::{Rule, Run, uri};

/// The properties of concepts that the specification defines, and their types.
const KNOWN_PROPERTIES: &[(&str, &str)] = &[
    ("http://hl7.org/fhir/concept-properties#inactive", "boolean"),
    ("http://hl7.org/fhir/concept-properties#notSelectable", "boolean"),
    ("http://hl7.org/fhir/concept-properties#deprecationDate", "dateTime"),
    ("http://hl7.org/fhir/concept-properties#parent", "code"),
    ("http://hl7.org/fhir/concept-properties#child", "code"),
];

impl<'r> Run<'_, 'r> {
    /// Checks a definition.
    pub(super) fn definition(&mut self, definition: Element<'r>) {
        match definition.ty() {
            ty::CODE_SYSTEM => self.code_system(definition),
            ty::VALUE_SET => self.value_set(definition),
            ty::SEARCH_PARAMETER => self.search_parameter(definition),
            ty::STRUCTURE_DEFINITION => self.structure_definition(definition),
            _ => {}
        }
    }

    fn wrong(&mut self, at: Element<'r>, reason: String) {
        self.error(at, Rule::Definition { reason });
    }

    fn code_system(&mut self, system: Element<'r>) {
        let content = system.child(name::CONTENT);
        if system.child(name::SUPPLEMENTS).is_some() {
            if let Some(content) = content.filter(|c| c.value() != Some("supplement")) {
                self.wrong(
                    content,
                    "a code system that supplements another has the content 'supplement'".to_owned(),
                );
            }
            self.supplement(system);
        }
        let (mut codes, mut uris) = (HashSet::new(), HashSet::new());
        for property in system.children_named(name::PROPERTY) {
            let code = property.text_of(name::CODE).unwrap_or_default();
            if !codes.insert(code) {
                self.error(
                    property,
                    Rule::Duplicate { what: "the property".to_owned(), value: code.to_owned() },
                );
            }
            let Some(uri) = property.text_of(name::URI) else { continue };
            if !uris.insert(uri) {
                self.error(
                    property,
                    Rule::Duplicate { what: "the property".to_owned(), value: uri.to_owned() },
                );
            }
            let Some((_, of)) = KNOWN_PROPERTIES.iter().find(|(known, _)| *known == uri) else { continue };
            let stated = property.text_of(name::TYPE).unwrap_or_default();
            if stated != *of {
                self.wrong(property, format!("the property {uri} has the type {of}, not {stated}"));
            }
        }
    }

    /// A supplement has no codes that its code system does not have.
    fn supplement(&mut self, system: Element<'r>) {
        let Some(base) = system.text_of(name::SUPPLEMENTS) else { return };
        let Some(base) = self.validator.terminology.code_system(base).filter(|b| b.is_complete()) else {
            return;
        };
        let mut waiting: Vec<Element<'r>> = system.children_named(name::CONCEPT).collect();
        while let Some(concept) = waiting.pop() {
            waiting.extend(concept.children_named(name::CONCEPT));
            let code = concept.text_of(name::CODE).unwrap_or_default();
            if base.concept(code).is_none() {
                self.wrong(
                    concept,
                    format!(
                        "the code '{code}' is not in the code system {} that is supplemented",
                        base.url()
                    ),
                );
            }
        }
    }

    fn value_set(&mut self, value_set: Element<'r>) {
        let Some(compose) = value_set.child(name::COMPOSE) else { return };
        let parts = compose.children_named(name::INCLUDE).chain(compose.children_named(name::EXCLUDE));
        for part in parts {
            let Some(system) = part.text_of(name::SYSTEM) else { continue };
            if !uri::is_absolute(system) {
                self.error(part, Rule::NotAbsolute { url: system.to_owned() });
                continue;
            }
            for filter in part.children_named(name::FILTER) {
                self.filter(system, filter);
            }
        }
    }

    /// The value of a filter must be one that the property can have.
    fn filter(&mut self, system: &str, filter: Element<'r>) {
        let (Some(property), Some(value)) = (filter.text_of(name::PROPERTY), filter.text_of(name::VALUE))
        else {
            return;
        };
        let operator = filter.text_of(name::OP).unwrap_or_default();
        if operator == "exists" {
            if !matches!(value, "true" | "false") {
                self.wrong(filter, format!("a filter by `exists` is true or false, not '{value}'"));
            }
            return;
        }
        if operator == "regex" || operator == "in" || operator == "not-in" {
            return;
        }
        let definitions = self.validator.profiles.definitions();
        let stated = definitions.resource(ty::CODE_SYSTEM, system).and_then(|r| {
            let properties = r.root();
            let mut properties = properties.children_named(name::PROPERTY);
            properties
                .find(|p| p.text_of(name::CODE) == Some(property))?
                .text_of(name::TYPE)
                .map(str::to_owned)
        });
        let is_boolean =
            matches!(property, "inactive" | "notSelectable") || stated.as_deref() == Some("boolean");
        if is_boolean {
            if !matches!(value, "true" | "false") {
                self.wrong(filter, format!("the property '{property}' is true or false, not '{value}'"));
            }
            return;
        }
        let is_code =
            matches!(property, "concept" | "code" | "parent" | "child") || stated.as_deref() == Some("code");
        if is_code
            && let Some(codes) = self.validator.terminology.code_system(system).filter(|s| s.is_complete())
            && codes.concept(value).is_none()
        {
            self.wrong(filter, format!("'{value}' is not a code of {system}"));
        }
    }

    /// The expression fits its types; what is derived narrows what it derives from.
    fn search_parameter(&mut self, parameter: Element<'r>) {
        let bases: Vec<&str> = parameter.children_named(name::BASE).filter_map(|b| b.value()).collect();
        if let Some(expression) = parameter.child(name::EXPRESSION)
            && let Some(text) = expression.value()
        {
            match Expression::parse(text) {
                Err(error) => self.wrong(expression, format!("`{text}` is not FHIRPath: {error}")),
                Ok(parsed) => {
                    let types: Vec<TypeId> = bases.iter().filter_map(|b| TypeId::named(b)).collect();
                    let failed = types.iter().find_map(|of| parsed.check(*of).err());
                    if let Some(error) = failed {
                        self.wrong(
                            expression,
                            format!("`{text}` does not fit {}: {error}", bases.join(", ")),
                        );
                    }
                }
            }
        }
        if parameter.text_of(name::TYPE) == Some("composite")
            && parameter.children_named(name::COMPONENT).count() < 2
        {
            self.wrong(parameter, "a composite parameter has two components or more".to_owned());
        }
        let Some(base_url) = parameter.text_of(name::DERIVED_FROM) else { return };
        let definitions = self.validator.profiles.definitions();
        let Some(base) = definitions.resource(ty::SEARCH_PARAMETER, base_url).cloned() else { return };
        let stated = |e: Element<'_>| e.text_of(name::TYPE).map(str::to_owned);
        if stated(parameter) != stated(base.root()) {
            let reason = format!(
                "the type {} is not that of {base_url}, {}",
                stated(parameter).unwrap_or_default(),
                stated(base.root()).unwrap_or_default()
            );
            self.wrong(parameter, reason);
        }
        let base_types: Vec<&str> =
            base.root().children_named(name::BASE).filter_map(|b| b.value()).collect();
        for own in bases.iter().filter(|own| !base_types.contains(own)) {
            self.wrong(parameter, format!("{own} is not among the types of {base_url}"));
        }
    }
}
