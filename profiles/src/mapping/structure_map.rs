//! StructureMap resources: the other form of a map.
//!
//! Spec: <https://hl7.org/fhir/R4/structuremap.html>

use fhir_model::schema::{NameId, name, ty};
use fhir_model::tree::{Element, Resource};

use super::ast::{
    Argument, CodeMap, CodeMapElement, Dependent, Function, Group, Input, InputMode, Map, Rule, Source,
    SourceListMode, Target, TargetListMode, Transform, TypeMode, Uses, UsesMode,
};
use super::error::{MapError, Place};

/// How deep rules may be nested.
const DEPTH_MAX: usize = 64;

impl Map {
    /// Takes over a StructureMap.
    ///
    /// # Errors
    /// Where it lacks what every map has, or says something no map can.
    pub fn from_resource(resource: &Resource) -> Result<Map, MapError> {
        let root = resource.root();
        let mut map = Map {
            url: text(root, name::URL).unwrap_or_default(),
            name: text(root, name::NAME).unwrap_or_default(),
            ..Map::default()
        };
        let reader = Reader { map: if map.name.is_empty() { map.url.clone() } else { map.name.clone() } };
        if resource.resource_type() != ty::STRUCTURE_MAP {
            return Err(reader.error("", "", format!("a {} is no map", resource.resource_type())));
        }
        for element in [name::TITLE, name::STATUS, name::DESCRIPTION, name::VERSION] {
            if let Some(value) = text(root, element) {
                map.metadata.push((element.as_str().to_owned(), value));
            }
        }
        for uses in root.children_named(name::STRUCTURE) {
            let mode = uses.text_of(name::MODE).and_then(UsesMode::of);
            map.uses.push(Uses {
                url: text(uses, name::URL).unwrap_or_default(),
                alias: text(uses, name::ALIAS),
                mode: mode.ok_or_else(|| reader.error("", "", "a structure without a mode"))?,
            });
        }
        map.imports =
            root.children_named(name::IMPORT).filter_map(|i| i.value()).map(str::to_owned).collect();
        for contained in root.children_named(name::CONTAINED).filter(|c| c.ty() == ty::CONCEPT_MAP) {
            map.code_maps.push(code_map(contained));
        }
        for group in root.children_named(name::GROUP) {
            map.groups.push(reader.group(group)?);
        }
        if map.groups.is_empty() {
            return Err(reader.error("", "", "a map without groups"));
        }
        Ok(map)
    }
}

fn text(of: Element<'_>, element: NameId) -> Option<String> {
    of.text_of(element).map(str::to_owned)
}

/// Takes over a contained ConceptMap.
fn code_map(map: Element<'_>) -> CodeMap {
    let mut out = CodeMap { id: text(map, name::ID).unwrap_or_default(), ..CodeMap::default() };
    for group in map.children_named(name::GROUP) {
        let system = |of| text(group, of).unwrap_or_default();
        for element in group.children_named(name::ELEMENT) {
            for target in element.children_named(name::TARGET) {
                out.elements.push(CodeMapElement {
                    source_system: system(name::SOURCE),
                    source: text(element, name::CODE).unwrap_or_default(),
                    equivalence: equivalence(target.text_of(name::EQUIVALENCE)),
                    target_system: system(name::TARGET),
                    target: text(target, name::CODE),
                });
            }
        }
        if group.child(name::UNMAPPED).is_some_and(|u| u.text_of(name::MODE) == Some("provided")) {
            out.unmapped.push(system(name::TARGET));
        }
    }
    out
}

fn equivalence(code: Option<&str>) -> &'static str {
    const CODES: [&str; 10] = [
        "relatedto",
        "equivalent",
        "equal",
        "wider",
        "subsumes",
        "narrower",
        "specializes",
        "inexact",
        "unmatched",
        "disjoint",
    ];
    CODES.into_iter().find(|known| Some(*known) == code).unwrap_or("relatedto")
}

struct Reader {
    map: String,
}

impl Reader {
    fn error(&self, group: &str, rule: &str, problem: impl Into<String>) -> MapError {
        let (group, rule) = (group.to_owned(), rule.to_owned());
        MapError::at(Place { map: self.map.clone(), group, rule, line: 0 }, problem)
    }

    fn group(&self, group: Element<'_>) -> Result<Group, MapError> {
        let name = text(group, name::NAME).unwrap_or_default();
        let mut inputs = Vec::new();
        for input in group.children_named(name::INPUT) {
            let mode = input.text_of(name::MODE).and_then(InputMode::of);
            inputs.push(Input {
                name: text(input, name::NAME).unwrap_or_default(),
                type_name: text(input, name::TYPE),
                mode: mode.ok_or_else(|| self.error(&name, "", "an input without a mode"))?,
            });
        }
        let mut rules = Vec::new();
        for rule in group.children_named(name::RULE) {
            rules.push(self.rule(&name, rule, 0)?);
        }
        Ok(Group {
            extends: text(group, name::EXTENDS),
            type_mode: group.text_of(name::TYPE_MODE).and_then(TypeMode::of).unwrap_or(TypeMode::None),
            inputs,
            rules,
            line: 0,
            name,
        })
    }

    fn rule(&self, group: &str, rule: Element<'_>, depth: usize) -> Result<Rule, MapError> {
        let name = text(rule, name::NAME).unwrap_or_default();
        if depth > DEPTH_MAX {
            return Err(self.error(group, &name, format!("rules nested deeper than {DEPTH_MAX} levels")));
        }
        let mut out = Rule { name, ..Rule::default() };
        out.sources = rule.children_named(name::SOURCE).map(source).collect();
        if out.sources.is_empty() {
            return Err(self.error(group, &out.name, "a rule without a source"));
        }
        for element in rule.children_named(name::TARGET) {
            out.targets.push(self.target(group, &out.name, element)?);
        }
        for inner in rule.children_named(name::RULE) {
            out.rules.push(self.rule(group, inner, depth + 1)?);
        }
        for dependent in rule.children_named(name::DEPENDENT) {
            let variables = dependent.children_named(name::VARIABLE).filter_map(|v| v.value());
            out.dependents.push(Dependent {
                group: text(dependent, name::NAME).unwrap_or_default(),
                arguments: variables.map(|v| Argument::Variable(v.to_owned())).collect(),
            });
        }
        Ok(out)
    }

    fn target(&self, group: &str, rule: &str, target: Element<'_>) -> Result<Target, MapError> {
        let transform = match target.text_of(name::TRANSFORM) {
            None => None,
            Some(code) => {
                let function = Function::of(code)
                    .ok_or_else(|| self.error(group, rule, format!("unknown transform function `{code}`")))?;
                let parameters: Vec<Element<'_>> = target.children_named(name::PARAMETER).collect();
                let last = parameters.len().saturating_sub(1);
                let arguments = parameters.into_iter().enumerate().filter_map(|(at, parameter)| {
                    parameter_of(parameter, function == Function::Evaluate && at == last)
                });
                Some(Transform { function, arguments: arguments.collect() })
            }
        };
        let modes = target.children_named(name::LIST_MODE).filter_map(|m| m.value());
        Ok(Target {
            context: text(target, name::CONTEXT),
            element: text(target, name::ELEMENT),
            transform,
            variable: text(target, name::VARIABLE),
            list_modes: modes.filter_map(TargetListMode::of).collect(),
            list_rule: text(target, name::LIST_RULE_ID),
        })
    }
}

fn parameter_of(parameter: Element<'_>, is_expression: bool) -> Option<Argument> {
    let value = parameter.child(name::VALUE)?;
    let text = value.value()?.to_owned();
    Some(match value.ty() {
        _ if is_expression => Argument::Expression(text),
        ty::ID => Argument::Variable(text),
        ty::BOOLEAN => Argument::Boolean(text == "true"),
        ty::INTEGER => Argument::Integer(text),
        ty::DECIMAL => Argument::Decimal(text),
        _ => Argument::Text(text),
    })
}

fn source(source: Element<'_>) -> Source {
    let default = source.child(name::DEFAULT_VALUE).and_then(|value| {
        let text = value.value()?.to_owned();
        Some(match value.ty() {
            ty::BOOLEAN => Argument::Boolean(text == "true"),
            ty::INTEGER => Argument::Integer(text),
            ty::DECIMAL => Argument::Decimal(text),
            _ => Argument::Text(text),
        })
    });
    Source {
        context: text(source, name::CONTEXT).unwrap_or_default(),
        element: text(source, name::ELEMENT),
        type_name: text(source, name::TYPE),
        min: source.text_of(name::MIN).and_then(|m| m.parse().ok()),
        max: source.text_of(name::MAX).and_then(|m| m.parse().ok()),
        default,
        list_mode: source.text_of(name::LIST_MODE).and_then(SourceListMode::of),
        variable: text(source, name::VARIABLE),
        condition: text(source, name::CONDITION),
        check: text(source, name::CHECK),
        log: text(source, name::LOG_MESSAGE),
    }
}
