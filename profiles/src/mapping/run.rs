//! Runs a compiled map.
//!
//! A group's variables are a stack: a rule adds its own, and they go when it
//! ends. Every rule, item and group call is a step, and steps, nesting and
//! output are limited: a map that loops ends in an error.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#execution>

use std::rc::Rc;
use std::time::{Duration, Instant as Moment};

use fhir_model::fhirpath::{External, Value};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::TypeId;
use fhir_model::tree::{NodeId, Resource};

use super::ast::{InputMode, TypeMode};
use super::cda::CdaDocument;
use super::compiled::{Compiled, CompiledArgument, CompiledGroup, CompiledRule};
use super::error::{Place, TransformError, TransformErrorKind};
use super::nesting::{Measure, Nesting};

/// Bounds on a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest number of steps: rules applied, items taken, groups called.
    pub steps_max: u64,
    /// How deep rules and groups may be nested.
    pub depth_max: usize,
    /// The greatest number of elements made.
    pub elements_max: usize,
    /// The greatest length of all text made, in bytes.
    pub text_bytes_max: usize,
    /// The longest time it may take.
    pub duration_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps_max: 2_000_000,
            depth_max: 256,
            elements_max: 1_000_000,
            text_bytes_max: 256 << 20,
            duration_max: Duration::from_secs(30),
        }
    }
}

/// Takes what `log` reports, with where.
pub type Log<'o> = &'o mut dyn FnMut(&Place, &str);

/// How a transform is done.
#[derive(Default)]
pub struct Options<'o> {
    /// Makes UUIDs, and ids of created resources; random ones without.
    pub uuid: Option<&'o mut dyn FnMut() -> String>,
    /// The instant of `now()`; the clock without.
    pub now: Option<Instant>,
    /// Takes what `log` reports.
    pub log: Option<Log<'o>>,
    /// Bounds.
    pub limits: Limits,
}

/// What is transformed.
#[derive(Clone, Copy)]
pub enum Source<'s> {
    /// A resource.
    Resource(&'s Resource),
    /// A CDA document.
    Cda(&'s CdaDocument),
}

/// What a variable means.
#[derive(Debug, Clone)]
pub(super) enum Item<'s> {
    /// A part of the source.
    Source(Value<'s>),
    /// A part of the target.
    Target(NodeId),
    /// A primitive value.
    Primitive(TypeId, Rc<str>),
    /// A value made apart, of the type of its root.
    Made(Rc<Resource>),
}

/// A variable.
pub(super) struct Variable<'m, 's> {
    name: &'m str,
    mode: InputMode,
    item: Item<'s>,
}

/// A transform under way.
pub(super) struct Run<'m, 's, 'o> {
    pub(super) map: &'m Compiled,
    pub(super) source: Source<'s>,
    pub(super) out: Resource,
    pub(super) variables: Vec<Variable<'m, 's>>,
    /// Where the variables of the group at hand begin.
    pub(super) base: usize,
    /// The group at hand.
    pub(super) group: &'m CompiledGroup,
    /// What rules of the group share.
    pub(super) shared: Vec<(&'m str, NodeId)>,
    pub(super) steps: u64,
    pub(super) depth: usize,
    pub(super) elements: usize,
    pub(super) nesting: Nesting,
    pub(super) text_bytes: usize,
    pub(super) start: Moment,
    pub(super) options: Options<'o>,
    pub(super) now: Instant,
}

pub(super) type Outcome<T> = Result<T, TransformErrorKind>;

impl Compiled {
    /// Transforms a source into the resource that the first group makes.
    ///
    /// # Errors
    /// What cannot be done, with map, group, rule and line; and limits passed.
    pub fn transform(&self, source: Source<'_>, options: Options<'_>) -> Result<Resource, TransformError> {
        let error = |kind| TransformError { kind, place: Box::default() };
        let Some(group) = self.groups.first() else {
            return Err(error(TransformErrorKind::Map("the map has no group".to_owned())));
        };
        let ([from], [to]) = (&*group.inputs_of(InputMode::Source), &*group.inputs_of(InputMode::Target))
        else {
            let problem = "its first group must have one source and one target".to_owned();
            return Err(error(TransformErrorKind::Map(problem)));
        };
        let named = to.type_name.as_deref().unwrap_or_default();
        let Some(made) = TypeId::resource_named(named) else {
            let problem = format!("the target of its first group is no resource: `{named}`");
            return Err(error(TransformErrorKind::Map(problem)));
        };
        let now = options.now.unwrap_or_else(|| Instant(jiff::Timestamp::now().as_microsecond()));
        let mut run = Run {
            map: self,
            source,
            out: Resource::new(made),
            variables: Vec::with_capacity(64),
            base: 0,
            group,
            shared: Vec::new(),
            steps: 0,
            depth: 0,
            elements: 0,
            nesting: Nesting::default(),
            text_bytes: 0,
            start: Moment::now(),
            options,
            now,
        };
        let root = match source {
            Source::Resource(resource) => Value::Element(resource.root()),
            Source::Cda(document) => Value::External(External::new(document, document.root())),
        };
        let target = run.out.root_id();
        run.bind(&from.name, InputMode::Source, Item::Source(root));
        run.bind(&to.name, InputMode::Target, Item::Target(target));
        run.group(group)?;
        let mut out = run.out;
        super::target::finish(&mut out);
        Ok(out)
    }
}

impl CompiledGroup {
    fn inputs_of(&self, mode: InputMode) -> Vec<&super::compiled::CompiledInput> {
        self.inputs.iter().filter(|i| i.mode == mode).collect()
    }
}

impl<'m, 's> Run<'m, 's, '_> {
    pub(super) fn bind(&mut self, name: &'m str, mode: InputMode, item: Item<'s>) {
        self.variables.push(Variable { name, mode, item });
    }

    /// Finds a variable of the group at hand: a source before a target.
    pub(super) fn variable(&self, name: &str) -> Option<&Item<'s>> {
        self.variable_in(InputMode::Source, name).or_else(|| self.variable_in(InputMode::Target, name))
    }

    pub(super) fn variable_in(&self, mode: InputMode, name: &str) -> Option<&Item<'s>> {
        let of_group = self.variables.get(self.base..).unwrap_or_default();
        of_group.iter().rev().find(|v| v.mode == mode && v.name == name).map(|v| &v.item)
    }

    pub(super) fn step(&mut self) -> Outcome<()> {
        self.steps += 1;
        if self.steps > self.options.limits.steps_max {
            return Err(TransformErrorKind::TooManySteps(self.options.limits.steps_max));
        }
        // Even if each step takes as long as an expression may, this is soon enough.
        if self.steps % 32 != 1 {
            return Ok(());
        }
        let max = self.options.limits.duration_max;
        if self.start.elapsed() > max { Err(TransformErrorKind::TooLong(max)) } else { Ok(()) }
    }

    /// Counts an element that is made.
    pub(super) fn count_element(&mut self) -> Outcome<()> {
        self.elements += 1;
        let max = self.options.limits.elements_max;
        if self.elements > max { Err(TransformErrorKind::TooManyElements(max)) } else { Ok(()) }
    }

    /// Counts text that is made.
    pub(super) fn count_text(&mut self, bytes: usize) -> Outcome<()> {
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        let max = self.options.limits.text_bytes_max;
        if self.text_bytes > max { Err(TransformErrorKind::TooMuchText(max)) } else { Ok(()) }
    }

    /// Counts what is copied into an element.
    pub(super) fn count_copy(&mut self, measure: Measure) -> Outcome<()> {
        self.count_text(measure.text_bytes)?;
        self.elements = self.elements.saturating_add(measure.elements);
        self.count_element()
    }

    /// Makes a UUID.
    pub(super) fn uuid(&mut self) -> String {
        match &mut self.options.uuid {
            Some(make) => make(),
            None => uuid::Uuid::new_v4().to_string(),
        }
    }

    pub(super) fn place(&self, group: &CompiledGroup, rule: Option<&CompiledRule>) -> Box<Place> {
        Box::new(Place {
            map: self.map.maps.get(group.map).map(|m| m.name.clone()).unwrap_or_default(),
            group: group.name.clone(),
            rule: rule.map(|r| r.name.clone()).unwrap_or_default(),
            line: rule.map_or(group.line, |r| r.line),
        })
    }

    /// Runs a group, whose variables are bound; those of the group it extends first.
    fn group(&mut self, group: &'m CompiledGroup) -> Result<(), TransformError> {
        if let Some(extended) = group.extends.and_then(|at| self.map.groups.get(at)) {
            // Inputs go by their place: the extended group may name them otherwise.
            let bound = self.variables.len();
            for (input, own) in extended.inputs.iter().zip(&group.inputs) {
                if input.name != own.name
                    && let Some(item) = self.variable_in(own.mode, &own.name).cloned()
                {
                    self.bind(&input.name, input.mode, item);
                }
            }
            self.group(extended)?;
            self.variables.truncate(bound);
        }
        let caller = std::mem::replace(&mut self.group, group);
        for rule in &group.rules {
            self.rule(rule)?;
        }
        self.group = caller;
        Ok(())
    }

    fn rule(&mut self, rule: &'m CompiledRule) -> Result<(), TransformError> {
        let group = self.group;
        let at = |run: &Self, kind| TransformError { kind, place: run.place(group, Some(rule)) };
        self.depth += 1;
        if self.depth > self.options.limits.depth_max {
            let kind = TransformErrorKind::TooDeep(self.options.limits.depth_max);
            return Err(at(self, kind));
        }
        let variables = self.variables.len();
        self.sources(rule, 0)?;
        self.variables.truncate(variables);
        self.depth -= 1;
        Ok(())
    }

    /// Applies a rule to each combination of the items of its sources.
    fn sources(&mut self, rule: &'m CompiledRule, number: usize) -> Result<(), TransformError> {
        let group = self.group;
        let Some(source) = rule.sources.get(number) else { return self.apply(rule) };
        let items = self
            .items(rule, source)
            .map_err(|kind| TransformError { kind, place: self.place(group, Some(rule)) })?;
        for item in items {
            let variables = self.variables.len();
            self.step().map_err(|kind| TransformError { kind, place: self.place(group, Some(rule)) })?;
            if let Some(name) = &source.variable {
                self.bind(name, InputMode::Source, item.clone());
            }
            if rule.by_types {
                self.bind("", InputMode::Source, item);
            }
            self.sources(rule, number + 1)?;
            self.variables.truncate(variables);
        }
        Ok(())
    }

    /// Makes the targets of a rule, and runs what it holds.
    fn apply(&mut self, rule: &'m CompiledRule) -> Result<(), TransformError> {
        let group = self.group;
        let at = |run: &Self, kind| TransformError { kind, place: run.place(group, Some(rule)) };
        let mut last = None;
        for target in &rule.targets {
            last = self.target(target, rule).map_err(|kind| at(self, kind))?;
            if let (Some(name), Some(item)) = (&target.variable, &last) {
                self.bind(name, InputMode::Target, item.clone());
            }
        }
        for inner in &rule.rules {
            self.rule(inner)?;
        }
        for dependent in &rule.dependents {
            let number = dependent.group.as_ref();
            let number = number.map_err(|problem| at(self, TransformErrorKind::Map(problem.clone())))?;
            let Some(called) = self.map.groups.get(*number) else { continue };
            let mut items = Vec::with_capacity(dependent.arguments.len());
            for (input, argument) in called.inputs.iter().zip(&dependent.arguments) {
                items.push(self.argument_for(input.mode, argument).map_err(|kind| at(self, kind))?);
            }
            self.call(called, items, rule)?;
        }
        if rule.by_types
            && let (Some(from), Some(Item::Target(to))) =
                (self.variable_in(InputMode::Source, "").cloned(), last)
        {
            return self.by_types(rule, from, to);
        }
        Ok(())
    }

    /// Gives a group its inputs and runs it.
    fn call(
        &mut self,
        called: &'m CompiledGroup,
        items: Vec<Item<'s>>,
        rule: &CompiledRule,
    ) -> Result<(), TransformError> {
        let group = self.group;
        self.step().map_err(|kind| TransformError { kind, place: self.place(group, Some(rule)) })?;
        let (base, count) = (self.base, self.variables.len());
        for (input, item) in called.inputs.iter().zip(items) {
            self.bind(&input.name, input.mode, item);
        }
        self.base = count;
        let shared = std::mem::take(&mut self.shared);
        self.group(called)?;
        self.shared = shared;
        self.base = base;
        self.variables.truncate(count);
        Ok(())
    }

    pub(super) fn argument_for(&self, mode: InputMode, argument: &CompiledArgument) -> Outcome<Item<'s>> {
        match argument {
            CompiledArgument::Variable(name) => self
                .variable_in(mode, name)
                .or_else(|| self.variable(name))
                .cloned()
                .ok_or_else(|| TransformErrorKind::UnknownVariable(name.clone())),
            CompiledArgument::Literal(ty, text) => Ok(Item::Primitive(*ty, text.as_str().into())),
            CompiledArgument::Expression(expression) => {
                let values = self.evaluate(expression, None)?;
                values.into_iter().next().ok_or(TransformErrorKind::NoValue("the argument"))
            }
        }
    }

    /// Does with a source and a target what the group for their types says.
    fn by_types(&mut self, rule: &'m CompiledRule, from: Item<'s>, to: NodeId) -> Result<(), TransformError> {
        let group = self.group;
        let target = self.out.element(to).ty();
        let mut at = Some(target);
        while let Some(ty) = at {
            if let Some(called) = self.group_for(&from, Some(ty.name())) {
                return self.call(called, vec![from, Item::Target(to)], rule);
            }
            at = ty.definition().base.filter(|base| !base.definition().is_abstract);
        }
        // Without a group, a value of the same type is taken over.
        let kind = match self.take_over(&from, to) {
            Ok(true) => return Ok(()),
            Ok(false) => {
                TransformErrorKind::NoGroup { from: self.type_name(&from), to: target.name().to_owned() }
            }
            Err(kind) => kind,
        };
        Err(TransformError { kind, place: self.place(group, Some(rule)) })
    }

    /// Finds the group that is the default for the type of an item, and of a
    /// target where one is given.
    pub(super) fn group_for(&self, from: &Item<'s>, to: Option<&str>) -> Option<&'m CompiledGroup> {
        let own = self.map.maps.get(self.group.map)?;
        let mut at = Some(self.type_name(from));
        while let Some(name) = at {
            let fits = |group: &&'m CompiledGroup| {
                let [source, target] = group.inputs.as_slice() else { return false };
                let is_source = source.type_name.as_deref().is_some_and(|t| same_type(t, &name));
                is_source
                    && match to {
                        Some(to) => target.type_name.as_deref() == Some(to),
                        None => group.type_mode == TypeMode::TypeAndTypes,
                    }
            };
            if let Some(found) = own.by_types.iter().filter_map(|at| self.map.groups.get(*at)).find(fits) {
                return Some(found);
            }
            at = match from {
                Item::Source(Value::External(_)) => super::cda_types::base(&name).map(str::to_owned),
                _ => TypeId::named(&name).and_then(|t| t.definition().base).map(|t| t.name().to_owned()),
            };
        }
        None
    }

    /// Returns the name of the type of an item.
    pub(super) fn type_name(&self, item: &Item<'s>) -> String {
        match item {
            Item::Source(Value::Element(element)) => element.ty().name().to_owned(),
            Item::Source(value) => value.type_info().name.to_owned(),
            Item::Target(node) => self.out.element(*node).ty().name().to_owned(),
            Item::Primitive(ty, _) => ty.name().to_owned(),
            Item::Made(made) => made.resource_type().name().to_owned(),
        }
    }

    /// Finds what rules share under a name.
    pub(super) fn shared(&self, name: &str) -> Option<NodeId> {
        self.shared.iter().find(|(shared, _)| *shared == name).map(|(_, node)| *node)
    }

    pub(super) fn share(&mut self, name: &'m str, node: NodeId) {
        self.shared.push((name, node));
    }
}

/// Definitions of CDA write `IVL-TS`, documents `IVL_TS`.
fn same_type(left: &str, right: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    left.bytes().map(plain).eq(right.bytes().map(plain))
}
