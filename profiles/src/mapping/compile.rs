//! Resolves a map once: imports, groups, types, concept maps and expressions.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#imports>

use std::collections::HashMap;

use fhir_model::fhirpath::Expression;
use fhir_model::schema::TypeId;

use super::ast::{Argument, Dependent, Function, Group, Map, Rule, Source, Target, TypeMode, UsesMode};
use super::compiled::{
    Compiled, CompiledArgument, CompiledDependent, CompiledGroup, CompiledInput, CompiledMap, CompiledRule,
    CompiledSource, CompiledTarget, CompiledTransform,
};
use super::concept_map::{CodeTable, Oids};
use super::error::{MapError, Place};
use super::imports::{resolve_imports, stored_maps};
use crate::definitions::Definitions;

/// The name of the map, group and rule that is at hand.
struct Scope<'m> {
    map: &'m Map,
    number: usize,
    group: &'m Group,
}

struct Compiler<'m, 'd> {
    maps: Vec<&'m Map>,
    /// The maps that each map imports, directly.
    imports: Vec<Vec<usize>>,
    /// The groups of all maps, each with the number of its map.
    groups: Vec<(usize, &'m Group)>,
    definitions: &'d Definitions,
    tables: Vec<Result<CodeTable, String>>,
    problems: Vec<MapError>,
    table_of: HashMap<(usize, String), usize>,
}

impl Compiled {
    /// Compiles a map. Maps it imports are looked for among `others`, then
    /// among the StructureMaps of `definitions`.
    ///
    /// # Errors
    /// What cannot be resolved, with map, group, rule and line: an import, a
    /// group, a type, FHIRPath.
    pub fn new(main: &Map, others: &[Map], definitions: &Definitions) -> Result<Compiled, MapError> {
        let stored = stored_maps(main, others, definitions)?;
        let mut candidates: Vec<&Map> = others.iter().collect();
        candidates.extend(stored.iter());
        let (maps, imports) = resolve_imports(main, &candidates)?;
        let mut groups: Vec<(usize, &Group)> = Vec::new();
        for (number, map) in maps.iter().copied().enumerate() {
            groups.extend(map.groups.iter().map(|group| (number, group)));
        }
        let mut compiler = Compiler {
            maps,
            imports,
            groups,
            definitions,
            tables: Vec::new(),
            problems: Vec::new(),
            table_of: HashMap::new(),
        };
        compiler.compile()
    }
}

impl<'m> Compiler<'m, '_> {
    fn compile(&mut self) -> Result<Compiled, MapError> {
        let mut groups = Vec::new();
        for (number, group) in self.groups.clone() {
            let Some(map) = self.maps.get(number).copied() else { continue };
            groups.push(self.group(&Scope { map, number, group })?);
        }
        for group in &groups {
            self.check_extends(&groups, group)?;
        }
        let maps = (0..self.maps.len())
            .map(|number| CompiledMap {
                name: self.map_name(number),
                by_types: self
                    .reachable(number)
                    .into_iter()
                    .filter(|at| groups.get(*at).is_some_and(|g| g.type_mode != TypeMode::None))
                    .collect(),
            })
            .collect();
        let tables = std::mem::take(&mut self.tables);
        let problems = std::mem::take(&mut self.problems);
        Ok(Compiled { maps, groups, tables, problems, oids: Oids::of(self.definitions) })
    }

    fn map_name(&self, number: usize) -> String {
        self.maps
            .get(number)
            .map(|m| if m.name.is_empty() { m.url.clone() } else { m.name.clone() })
            .unwrap_or_default()
    }

    /// Returns the groups that a map can use: its own, then those of the maps
    /// it imports, nearest first.
    fn reachable(&self, map: usize) -> Vec<usize> {
        let mut order = vec![map];
        let mut at = 0;
        while let Some(number) = order.get(at).copied() {
            for import in self.imports.get(number).into_iter().flatten() {
                if !order.contains(import) {
                    order.push(*import);
                }
            }
            at += 1;
        }
        let of_map = |map: usize| (0..self.groups.len()).filter(move |at| self.is_of(*at, map));
        order.into_iter().flat_map(of_map).collect()
    }

    fn is_of(&self, group: usize, map: usize) -> bool {
        self.groups.get(group).is_some_and(|(of, _)| *of == map)
    }

    fn find_group(&self, map: usize, name: &str) -> Option<(usize, &'m Group)> {
        let named = |at: usize| self.groups.get(at).filter(|(_, g)| g.name == name).map(|(_, g)| (at, *g));
        self.reachable(map).into_iter().find_map(named)
    }

    fn check_extends(&self, groups: &[CompiledGroup], group: &CompiledGroup) -> Result<(), MapError> {
        let mut at = group.extends;
        for _ in 0..=groups.len() {
            let Some(next) = at else { return Ok(()) };
            at = groups.get(next).and_then(|g| g.extends);
        }
        let place = Place {
            map: self.map_name(group.map),
            group: group.name.clone(),
            line: group.line,
            ..Place::default()
        };
        Err(MapError::at(place, "the group extends itself"))
    }

    fn group(&mut self, scope: &Scope<'m>) -> Result<CompiledGroup, MapError> {
        let group = scope.group;
        let extends = match &group.extends {
            None => None,
            Some(name) => Some(self.called_group(scope, None, name)?.0),
        };
        let inputs = group
            .inputs
            .iter()
            .map(|input| CompiledInput {
                name: input.name.clone(),
                mode: input.mode,
                type_name: input.type_name.as_deref().map(|name| resolve_type(scope.map, name)),
            })
            .collect();
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            rules.push(self.rule(scope, rule)?);
        }
        Ok(CompiledGroup {
            map: scope.number,
            name: group.name.clone(),
            extends,
            type_mode: group.type_mode,
            inputs,
            rules,
            line: group.line,
        })
    }

    /// Finds a group that is called or extended.
    fn called_group(
        &self,
        scope: &Scope<'m>,
        rule: Option<&Rule>,
        name: &str,
    ) -> Result<(usize, &'m Group), MapError> {
        self.find_group(scope.number, name)
            .ok_or_else(|| scope.error(rule, format!("group `{name}` is not defined")))
    }

    /// Finds the group that a rule calls. Official maps call groups that are
    /// not there, in rules that few documents reach: the error comes then.
    fn dependent_group(
        &self,
        scope: &Scope<'m>,
        rule: &Rule,
        dependent: &Dependent,
    ) -> Result<usize, MapError> {
        let (group, called) = self.called_group(scope, Some(rule), &dependent.group)?;
        if called.inputs.len() == dependent.arguments.len() {
            return Ok(group);
        }
        let (wanted, given) = (called.inputs.len(), dependent.arguments.len());
        let problem = format!("group `{}` takes {wanted} arguments, not {given}", called.name);
        Err(scope.error(Some(rule), problem))
    }

    fn rule(&mut self, scope: &Scope<'m>, rule: &'m Rule) -> Result<CompiledRule, MapError> {
        let mut sources = Vec::with_capacity(rule.sources.len());
        for source in &rule.sources {
            sources.push(self.source(scope, rule, source)?);
        }
        let mut targets = Vec::with_capacity(rule.targets.len());
        for target in &rule.targets {
            targets.push(self.target(scope, rule, target)?);
        }
        let mut rules = Vec::with_capacity(rule.rules.len());
        for inner in &rule.rules {
            rules.push(self.rule(scope, inner)?);
        }
        let mut dependents = Vec::with_capacity(rule.dependents.len());
        for dependent in &rule.dependents {
            let group = self.dependent_group(scope, rule, dependent);
            if let Err(problem) = &group {
                self.problems.push(problem.clone());
            }
            let group = group.map_err(|error| error.problem);
            let arguments = dependent.arguments.iter();
            let arguments = arguments.map(|a| scope.argument(rule, a)).collect::<Result<_, _>>()?;
            dependents.push(CompiledDependent { group, arguments });
        }
        let is_create = |target: &Target| {
            target.variable.is_some()
                && target
                    .transform
                    .as_ref()
                    .is_some_and(|t| t.function == Function::Create && t.arguments.is_empty())
        };
        let named = rule.rules.is_empty()
            && rule.dependents.is_empty()
            && matches!((rule.sources.as_slice(), rule.targets.as_slice()),
                ([source], [target]) if source.variable.is_some() && is_create(target));
        Ok(CompiledRule {
            name: rule.name.clone(),
            line: rule.line,
            sources,
            targets,
            rules,
            dependents,
            by_types: rule.is_simple() || named,
        })
    }

    fn source(
        &mut self,
        scope: &Scope<'m>,
        rule: &Rule,
        source: &Source,
    ) -> Result<CompiledSource, MapError> {
        let parse = |text: &Option<String>| text.as_deref().map(|t| scope.expression(rule, t)).transpose();
        Ok(CompiledSource {
            context: source.context.clone(),
            element: source.element.clone(),
            type_name: source.type_name.as_deref().map(|name| resolve_type(scope.map, name)),
            min: source.min,
            max: source.max,
            default: source.default.as_ref().map(|a| scope.argument(rule, a)).transpose()?,
            list_mode: source.list_mode,
            variable: source.variable.clone(),
            condition: parse(&source.condition)?,
            check: parse(&source.check)?,
            log: parse(&source.log)?,
        })
    }

    fn target(
        &mut self,
        scope: &Scope<'m>,
        rule: &Rule,
        target: &Target,
    ) -> Result<CompiledTarget, MapError> {
        let transform = match &target.transform {
            None => None,
            Some(transform) => Some(self.transform(scope, rule, transform)?),
        };
        let mut path: Vec<String> =
            target.element.iter().flat_map(|e| e.split('.')).map(str::to_owned).collect();
        let element = path.pop();
        Ok(CompiledTarget {
            context: target.context.clone(),
            path,
            element,
            transform,
            variable: target.variable.clone(),
            list_modes: target.list_modes.clone(),
            list_rule: target.list_rule.clone(),
        })
    }

    fn transform(
        &mut self,
        scope: &Scope<'m>,
        rule: &Rule,
        transform: &super::ast::Transform,
    ) -> Result<CompiledTransform, MapError> {
        let function = transform.function;
        let (least, most) = arity(function);
        // `copy` of nothing named copies what the rule is applied to.
        let copied = match (function, rule.sources.as_slice()) {
            (Function::Copy, [Source { variable: Some(variable), .. }]) => {
                vec![Argument::Variable(variable.clone())]
            }
            _ => Vec::new(),
        };
        let arguments = if transform.arguments.is_empty() { &copied } else { &transform.arguments };
        let given = arguments.len();
        if given < least || given > most {
            let problem = format!("`{}` takes {least} to {most} arguments, not {given}", function.code());
            return Err(scope.error(Some(rule), problem));
        }
        let literal = |at: usize| match arguments.get(at) {
            Some(Argument::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let named = match function {
            Function::Create => literal(0),
            Function::Cast => literal(1),
            _ => None,
        };
        let ty = match named {
            None => None,
            Some(name) => Some(
                TypeId::named(&resolve_type(scope.map, name))
                    .ok_or_else(|| scope.error(Some(rule), format!("there is no type `{name}`")))?,
            ),
        };
        let table = match (function, literal(1)) {
            (Function::Translate, Some(url)) => self.table(scope, url),
            _ => None,
        };
        let arguments = arguments.iter();
        let arguments = arguments.map(|a| scope.argument(rule, a)).collect::<Result<_, _>>()?;
        Ok(CompiledTransform { function, arguments, ty, table })
    }

    /// Finds the concept map that a rule names; `None` for the one of OIDs.
    fn table(&mut self, scope: &Scope<'m>, url: &str) -> Option<usize> {
        if url == super::concept_map::OID_TO_URI {
            return None;
        }
        let key = (scope.number, url.to_owned());
        if let Some(known) = self.table_of.get(&key) {
            return Some(*known);
        }
        let (of_map, id) = url.split_once('#').unwrap_or((url, ""));
        let map = match of_map {
            "" => Some(scope.map),
            of_map => self.maps.iter().copied().find(|m| m.url == of_map),
        };
        let table = match map.and_then(|m| m.code_maps.iter().find(|c| c.id == id)) {
            Some(found) => Ok(CodeTable::of_map(found)),
            None => match self.definitions.resource(fhir_model::schema::ty::CONCEPT_MAP, url) {
                Some(resource) => Ok(CodeTable::of_resource(resource)),
                None => Err(format!("the concept map `{url}` is not known")),
            },
        };
        self.tables.push(table);
        self.table_of.insert(key, self.tables.len() - 1);
        Some(self.tables.len() - 1)
    }
}

impl Scope<'_> {
    fn error(&self, rule: Option<&Rule>, problem: impl Into<String>) -> MapError {
        let place = Place {
            map: self.map.name.clone(),
            group: self.group.name.clone(),
            rule: rule.map(|r| r.name.clone()).unwrap_or_default(),
            line: rule.map_or(self.group.line, |r| r.line),
        };
        MapError::at(place, problem)
    }

    fn expression(&self, rule: &Rule, text: &str) -> Result<Expression, MapError> {
        Expression::parse_for_external(text)
            .map_err(|error| self.error(Some(rule), format!("FHIRPath `{text}`: {error}")))
    }

    fn argument(&self, rule: &Rule, argument: &Argument) -> Result<CompiledArgument, MapError> {
        use fhir_model::schema::ty;
        Ok(match argument {
            Argument::Variable(name) => CompiledArgument::Variable(name.clone()),
            Argument::Text(text) => CompiledArgument::Literal(ty::STRING, text.clone()),
            Argument::Boolean(value) => CompiledArgument::Literal(ty::BOOLEAN, value.to_string()),
            Argument::Integer(text) => CompiledArgument::Literal(ty::INTEGER, text.clone()),
            Argument::Decimal(text) => CompiledArgument::Literal(ty::DECIMAL, text.clone()),
            Argument::Expression(text) => CompiledArgument::Expression(self.expression(rule, text)?),
        })
    }
}

/// Returns the name of a type that a map writes as an alias, a URL or a name.
fn resolve_type(map: &Map, name: &str) -> String {
    let of_mode = |mode: fn(UsesMode) -> bool| {
        map.uses.iter().find(|u| mode(u.mode) && u.alias.as_deref() == Some(name)).map(|u| u.url.as_str())
    };
    let url = of_mode(|_| true).unwrap_or(name);
    let tail = url.rsplit('/').next().unwrap_or(url);
    let tail = tail.split('|').next().unwrap_or(tail);
    match tail {
        // Profiles of Quantity that stand in type lists.
        "SimpleQuantity" | "MoneyQuantity" => "Quantity".to_owned(),
        _ => tail.to_owned(),
    }
}

/// Returns the least and the greatest number of arguments of a function.
fn arity(function: Function) -> (usize, usize) {
    match function {
        Function::Create => (0, 2),
        Function::Copy | Function::Reference | Function::Pointer => (1, 1),
        Function::Truncate => (2, 2),
        Function::Escape => (2, 3),
        Function::Cast | Function::Evaluate => (1, 2),
        Function::Append => (1, 64),
        Function::Translate => (2, 3),
        Function::DateOp => (1, 8),
        Function::Uuid => (0, 0),
        Function::Cc => (1, 3),
        Function::C => (2, 3),
        Function::Qty => (1, 4),
        Function::Id => (2, 3),
        Function::Cp => (1, 2),
    }
}
