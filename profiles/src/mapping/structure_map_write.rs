//! Writes a map as a StructureMap resource, with its concept maps contained.
//!
//! Spec: <https://hl7.org/fhir/R4/structuremap.html>

use fhir_model::primitive::check;
use fhir_model::schema::{TypeId, ty};
use fhir_model::tree::{NodeId, Resource};

use super::ast::{Argument, CodeMap, Dependent, Function, Group, Map, Rule, Source, Target, Transform};
use super::error::{MapError, Place};

/// The variable that stands for the unnamed ones of `src.a -> tgt.b`.
const UNNAMED: &str = "vvv";

impl Map {
    /// Writes the map as a StructureMap.
    ///
    /// # Errors
    /// Where it says what R4's StructureMap cannot: a default value that is an
    /// expression, a group called with a literal, a name that is no `id`.
    pub fn to_resource(&self) -> Result<Resource, MapError> {
        let mut writer = Writer {
            map: self,
            out: Resource::new(ty::STRUCTURE_MAP),
            place: Place::default(),
            problem: None,
        };
        let root = writer.out.root_id();
        writer.value(root, "url", &self.url);
        writer.value(root, "name", &self.name);
        let has_status = self.metadata.iter().any(|(name, _)| name == "status");
        if !has_status {
            writer.value(root, "status", "draft");
        }
        for (name, value) in &self.metadata {
            if matches!(name.as_str(), "title" | "status" | "description" | "version") {
                writer.value(root, name, value);
            }
        }
        for code_map in &self.code_maps {
            writer.code_map(root, code_map);
        }
        for uses in &self.uses {
            let node = writer.element(root, "structure");
            writer.value(node, "url", &uses.url);
            writer.value(node, "mode", uses.mode.code());
            writer.option(node, "alias", uses.alias.as_deref());
        }
        for import in &self.imports {
            writer.value(root, "import", import);
        }
        for group in &self.groups {
            writer.group(root, group)?;
        }
        if let Some(problem) = writer.problem {
            return Err(problem);
        }
        let mut out = writer.out;
        super::target::finish(&mut out);
        Ok(out)
    }
}

/// Makes an `id` of the name of a rule, to which nothing refers: any text in the language.
fn made_id(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    name.chars().map(plain).take(64).collect()
}

struct Writer<'m> {
    map: &'m Map,
    out: Resource,
    /// The group and rule at hand.
    place: Place,
    /// The first value that the resource cannot have.
    problem: Option<MapError>,
}

impl Writer<'_> {
    /// Adds an element of the type that its property has; what no type has is not written.
    fn element(&mut self, parent: NodeId, name: &str) -> NodeId {
        self.element_of(parent, name, None)
    }

    fn element_of(&mut self, parent: NodeId, name: &str, of: Option<TypeId>) -> NodeId {
        match self.out.element(parent).definition().property(name, 0) {
            Some((_, property)) => self.out.add(parent, property, of.unwrap_or(property.ty)),
            None => parent,
        }
    }

    fn value(&mut self, parent: NodeId, name: &str, value: &str) {
        if let Some((_, property)) = self.out.element(parent).definition().property(name, 0)
            && !value.is_empty()
        {
            if !check::is_valid(property.ty, value) && self.problem.is_none() {
                let place = Place { map: self.map.name.clone(), ..self.place.clone() };
                self.problem = Some(MapError::at(place, format!("`{value}` is no {}", property.ty)));
            }
            self.out.add_value(parent, property, value);
        }
    }

    fn option(&mut self, parent: NodeId, name: &str, value: Option<&str>) {
        self.value(parent, name, value.unwrap_or_default());
    }

    fn error(&self, group: &Group, rule: &Rule, problem: &str) -> MapError {
        let (group, rule_name) = (group.name.clone(), rule.name.clone());
        let place = Place { map: self.map.name.clone(), group, rule: rule_name, line: rule.line };
        MapError::at(place, problem)
    }

    fn code_map(&mut self, root: NodeId, code_map: &CodeMap) {
        let node = self.element_of(root, "contained", Some(ty::CONCEPT_MAP));
        self.value(node, "id", &code_map.id);
        self.value(node, "status", "draft");
        let mut groups: Vec<(&str, &str, NodeId)> = Vec::new();
        for element in &code_map.elements {
            let (source, target) = (element.source_system.as_str(), element.target_system.as_str());
            let group = match groups.iter().find(|(s, t, _)| *s == source && *t == target) {
                Some((.., group)) => *group,
                None => {
                    let group = self.element(node, "group");
                    self.value(group, "source", source);
                    self.value(group, "target", target);
                    if code_map.unmapped.iter().any(|system| system == source || system == target) {
                        let unmapped = self.element(group, "unmapped");
                        self.value(unmapped, "mode", "provided");
                    }
                    groups.push((source, target, group));
                    group
                }
            };
            let line = self.element(group, "element");
            self.value(line, "code", &element.source);
            let to = self.element(line, "target");
            self.option(to, "code", element.target.as_deref());
            self.value(to, "equivalence", element.equivalence);
        }
    }

    fn group(&mut self, root: NodeId, group: &Group) -> Result<(), MapError> {
        self.place = Place { group: group.name.clone(), line: group.line, ..Place::default() };
        let node = self.element(root, "group");
        self.value(node, "name", &group.name);
        self.option(node, "extends", group.extends.as_deref());
        self.value(node, "typeMode", group.type_mode.code());
        for input in &group.inputs {
            let to = self.element(node, "input");
            self.value(to, "name", &input.name);
            self.option(to, "type", input.type_name.as_deref());
            self.value(to, "mode", input.mode.code());
        }
        group.rules.iter().try_for_each(|rule| self.rule(node, group, rule))
    }

    fn rule(&mut self, parent: NodeId, group: &Group, rule: &Rule) -> Result<(), MapError> {
        self.place.rule.clone_from(&rule.name);
        self.place.line = rule.line;
        let node = self.element(parent, "rule");
        self.value(node, "name", &made_id(&rule.name));
        let unnamed = rule.is_simple().then_some(UNNAMED);
        for source in &rule.sources {
            self.source(node, group, rule, source, unnamed)?;
        }
        for target in &rule.targets {
            self.target(node, target, unnamed);
        }
        for inner in &rule.rules {
            self.rule(node, group, inner)?;
        }
        for Dependent { group: called, arguments } in &rule.dependents {
            let to = self.element(node, "dependent");
            self.value(to, "name", called);
            for argument in arguments {
                let Argument::Variable(name) = argument else {
                    return Err(self.error(group, rule, "a StructureMap calls groups with variables only"));
                };
                self.value(to, "variable", name);
            }
        }
        Ok(())
    }

    fn source(
        &mut self,
        parent: NodeId,
        group: &Group,
        rule: &Rule,
        source: &Source,
        unnamed: Option<&str>,
    ) -> Result<(), MapError> {
        let node = self.element(parent, "source");
        self.value(node, "context", &source.context);
        if let Some(min) = source.min {
            self.value(node, "min", &min.to_string());
            self.value(node, "max", &source.max.map_or("*".to_owned(), |max| max.to_string()));
        }
        self.option(node, "type", source.type_name.as_deref());
        match &source.default {
            None => {}
            Some(Argument::Text(text)) => self.value(node, "defaultValueString", text),
            Some(Argument::Boolean(value)) => self.value(node, "defaultValueBoolean", &value.to_string()),
            Some(Argument::Integer(text)) => self.value(node, "defaultValueInteger", text),
            Some(Argument::Decimal(text)) => self.value(node, "defaultValueDecimal", text),
            Some(Argument::Expression(_) | Argument::Variable(_)) => {
                return Err(self.error(group, rule, "a StructureMap has literals for default values only"));
            }
        }
        self.option(node, "element", source.element.as_deref());
        self.option(node, "listMode", source.list_mode.map(|mode| mode.code()));
        self.option(node, "variable", source.variable.as_deref().or(unnamed));
        self.option(node, "condition", source.condition.as_deref());
        self.option(node, "check", source.check.as_deref());
        self.option(node, "logMessage", source.log.as_deref());
        Ok(())
    }

    fn target(&mut self, parent: NodeId, target: &Target, unnamed: Option<&str>) {
        let node = self.element(parent, "target");
        if let Some(context) = &target.context {
            self.value(node, "context", context);
            self.value(node, "contextType", "variable");
        }
        self.option(node, "element", target.element.as_deref());
        self.option(node, "variable", target.variable.as_deref().or(unnamed));
        for mode in &target.list_modes {
            self.value(node, "listMode", mode.code());
        }
        self.option(node, "listRuleId", target.list_rule.as_deref());
        let implied = Transform { function: Function::Create, arguments: Vec::new() };
        let Some(transform) = target.transform.as_ref().or(unnamed.map(|_| &implied)) else { return };
        self.value(node, "transform", transform.function.code());
        for argument in &transform.arguments {
            let to = self.element(node, "parameter");
            match argument {
                Argument::Variable(name) => self.value(to, "valueId", name),
                Argument::Text(text) | Argument::Expression(text) => self.value(to, "valueString", text),
                Argument::Boolean(value) => self.value(to, "valueBoolean", &value.to_string()),
                Argument::Integer(text) => self.value(to, "valueInteger", text),
                Argument::Decimal(text) => self.value(to, "valueDecimal", text),
            }
        }
    }
}
