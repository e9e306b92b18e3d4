//! Runs a compiled map.
//!
//! A group's variables are a stack: a rule adds its own, and they go when it
//! ends. Every rule, item and group call is a step, and steps, nesting and
//! output are limited: a map that loops ends in an error.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#execution>

use std::rc::Rc;

use fhir_model::fhirpath::{Context, Expression, External, Names, Value};
use fhir_model::primitive::instant::Instant;
use fhir_model::schema::{NameId, TypeId, ty};
use fhir_model::tree::{NodeId, Resource};

use super::ast::{InputMode, SourceListMode, TypeMode};
use super::cda::CdaDocument;
use super::compile::{Compiled, CompiledArgument, CompiledGroup, CompiledRule, CompiledSource};
use super::error::{Place, TransformError, TransformErrorKind};

/// Bounds on a transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The greatest number of steps: rules applied, items taken, groups called.
    pub steps_max: u64,
    /// How deep rules and groups may be nested.
    pub depth_max: usize,
    /// The greatest number of elements made.
    pub elements_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { steps_max: 10_000_000, depth_max: 256, elements_max: 1_000_000 }
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
struct Variable<'m, 's> {
    name: &'m str,
    mode: InputMode,
    item: Item<'s>,
}

/// A transform under way.
pub(super) struct Run<'m, 's, 'o> {
    pub(super) map: &'m Compiled,
    source: Source<'s>,
    pub(super) out: Resource,
    variables: Vec<Variable<'m, 's>>,
    /// Where the variables of the group at hand begin.
    base: usize,
    /// The group at hand.
    group: &'m CompiledGroup,
    /// What rules of the group share.
    shared: Vec<(&'m str, NodeId)>,
    steps: u64,
    depth: usize,
    pub(super) elements: usize,
    options: Options<'o>,
    now: Instant,
}

pub(super) type Outcome<T> = Result<T, TransformErrorKind>;

impl Compiled {
    /// Transforms a source into the resource that the first group makes.
    ///
    /// # Errors
    /// What cannot be done, with map, group, rule and line; and limits passed.
    pub fn transform(&self, source: Source<'_>, options: Options<'_>) -> Result<Resource, TransformError> {
        let error = |kind| TransformError { kind, place: Place::default() };
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
    fn inputs_of(&self, mode: InputMode) -> Vec<&super::compile::CompiledInput> {
        self.inputs.iter().filter(|i| i.mode == mode).collect()
    }
}

impl<'m, 's> Run<'m, 's, '_> {
    fn bind(&mut self, name: &'m str, mode: InputMode, item: Item<'s>) {
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

    fn step(&mut self) -> Outcome<()> {
        self.steps += 1;
        if self.steps > self.options.limits.steps_max {
            return Err(TransformErrorKind::TooManySteps(self.options.limits.steps_max));
        }
        Ok(())
    }

    /// Counts an element that is made.
    pub(super) fn count_element(&mut self) -> Outcome<()> {
        self.elements += 1;
        let max = self.options.limits.elements_max;
        if self.elements > max { Err(TransformErrorKind::TooManyElements(max)) } else { Ok(()) }
    }

    /// Makes a UUID.
    pub(super) fn uuid(&mut self) -> String {
        match &mut self.options.uuid {
            Some(make) => make(),
            None => uuid::Uuid::new_v4().to_string(),
        }
    }

    fn place(&self, group: &CompiledGroup, rule: Option<&CompiledRule>) -> Place {
        Place {
            map: self.map.maps.get(group.map).map(|m| m.name.clone()).unwrap_or_default(),
            group: group.name.clone(),
            rule: rule.map(|r| r.name.clone()).unwrap_or_default(),
            line: rule.map_or(group.line, |r| r.line),
        }
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

    fn argument_for(&self, mode: InputMode, argument: &CompiledArgument) -> Outcome<Item<'s>> {
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

    /// Returns the items that a source gives.
    fn items(&mut self, rule: &CompiledRule, source: &'m CompiledSource) -> Outcome<Vec<Item<'s>>> {
        let context = self
            .variable(&source.context)
            .cloned()
            .ok_or_else(|| TransformErrorKind::UnknownVariable(source.context.clone()))?;
        let mut items = vec![context];
        for part in source.element.iter().flat_map(|element| element.split('.')) {
            items = items.iter().flat_map(|item| self.children(item, part)).collect();
        }
        if let (true, Some(default)) = (items.is_empty(), &source.default) {
            items.push(self.argument_for(InputMode::Source, default)?);
        }
        if let Some(wanted) = &source.type_name {
            items.retain(|item| self.is_of_type(item, wanted));
        }
        if let Some(condition) = &source.condition {
            let mut taken = Vec::with_capacity(items.len());
            for item in items {
                if self.holds(condition, source, &item)? {
                    taken.push(item);
                }
            }
            items = taken;
        }
        if let Some(check) = &source.check {
            for item in &items {
                if !self.holds(check, source, item)? {
                    return Err(TransformErrorKind::Check(check.text().to_owned()));
                }
            }
        }
        if let Some(log) = &source.log {
            for item in &items {
                self.log(log, rule, item)?;
            }
        }
        let (min, max) = (source.min.unwrap_or(0), source.max.unwrap_or(u32::MAX));
        if (items.len() as u64) < u64::from(min) || items.len() as u64 > u64::from(max) {
            return Err(TransformErrorKind::Count { element: source.full_name(), count: items.len() });
        }
        if let Some(mode) = source.list_mode {
            take_by_mode(&mut items, mode, source)?;
        }
        Ok(items)
    }

    /// Returns the children of an item of that name.
    fn children(&self, item: &Item<'s>, name: &str) -> Vec<Item<'s>> {
        let of_element = |ty: TypeId| name == "value" && ty.definition().is_primitive();
        match item {
            Item::Source(Value::Element(element)) if of_element(element.ty()) => vec![item.clone()],
            Item::Source(Value::Element(element)) => match NameId::of(name) {
                Some(id) => element.children_named(id).map(|e| Item::Source(Value::Element(e))).collect(),
                None => Vec::new(),
            },
            Item::Source(Value::External(node)) => {
                node.children(Some(name)).into_iter().map(|n| Item::Source(Value::External(n))).collect()
            }
            Item::Target(node) if of_element(self.out.element(*node).ty()) => vec![item.clone()],
            Item::Target(node) => match NameId::of(name) {
                Some(id) => {
                    self.out.element(*node).children_named(id).map(|e| Item::Target(e.id())).collect()
                }
                None => Vec::new(),
            },
            Item::Source(_) | Item::Primitive(..) | Item::Made(_) => Vec::new(),
        }
    }

    fn is_of_type(&self, item: &Item<'s>, wanted: &str) -> bool {
        match item {
            Item::Source(Value::External(node)) => node.is_a(wanted),
            other => {
                let own = TypeId::named(&self.type_name(other));
                own.zip(TypeId::named(wanted)).is_some_and(|(own, wanted)| own.is_a(wanted))
            }
        }
    }

    fn holds(
        &mut self,
        condition: &Expression,
        source: &'m CompiledSource,
        item: &Item<'s>,
    ) -> Outcome<bool> {
        self.step()?;
        let variables = self.variables.len();
        if let Some(name) = &source.variable {
            self.bind(name, InputMode::Source, item.clone());
        }
        let values = self.evaluate(condition, Some(item));
        self.variables.truncate(variables);
        Ok(match values?.as_slice() {
            [] => false,
            [Item::Primitive(ty::BOOLEAN, text)] => &**text == "true",
            [Item::Source(Value::Element(element))] if element.ty() == ty::BOOLEAN => {
                element.value() == Some("true")
            }
            _ => true,
        })
    }

    fn log(&mut self, log: &Expression, rule: &CompiledRule, item: &Item<'s>) -> Outcome<()> {
        if self.options.log.is_none() {
            return Ok(());
        }
        let values = self.evaluate(log, Some(item))?;
        let text = values.iter().filter_map(|v| self.text_of(v)).collect::<Vec<_>>().join(", ");
        let place = self.place(self.group, Some(rule));
        if let Some(sink) = &mut self.options.log {
            sink(&place, &text);
        }
        Ok(())
    }

    /// Evaluates FHIRPath, on an item or on nothing.
    pub(super) fn evaluate(
        &self,
        expression: &Expression,
        focus: Option<&Item<'s>>,
    ) -> Outcome<Vec<Item<'s>>> {
        let names = Scope { run: self };
        let resource = match self.source {
            Source::Resource(resource) => resource.root(),
            Source::Cda(_) => self.out.root(),
        };
        let context = Context::new(resource).names(&names).at(self.now);
        let focus: Vec<Value<'_>> = focus.and_then(|item| self.value(item)).into_iter().collect();
        let values = expression.evaluate_on(&context, &focus).map_err(|error| {
            TransformErrorKind::Expression { text: expression.text().to_owned(), problem: error.to_string() }
        })?;
        Ok(values.iter().map(|value| self.item(value)).collect())
    }

    /// Returns an item as FHIRPath sees it.
    fn value<'r>(&'r self, item: &Item<'s>) -> Option<Value<'r>>
    where
        's: 'r,
    {
        Some(match item {
            Item::Source(value) => value.clone(),
            Item::Target(node) => Value::Element(self.out.element(*node)),
            Item::Primitive(ty::BOOLEAN, text) => Value::Boolean(&**text == "true"),
            Item::Primitive(ty::INTEGER | ty::POSITIVE_INT | ty::UNSIGNED_INT, text) => {
                Value::Integer(text.parse().ok()?)
            }
            Item::Primitive(ty::DECIMAL, text) => Value::Decimal(text.parse().ok()?),
            Item::Primitive(_, text) => Value::String(text.to_string().into()),
            // Nothing can be asked of it: its parts are reached once it is put in place.
            Item::Made(_) => return None,
        })
    }

    /// Keeps what FHIRPath gave beyond the evaluation.
    fn item(&self, value: &Value<'_>) -> Item<'s> {
        let primitive = |ty: TypeId, text: String| Item::Primitive(ty, text.into());
        match (value, self.source) {
            (Value::Element(element), _) if std::ptr::eq(element.resource(), &self.out) => {
                Item::Target(element.id())
            }
            (Value::Element(element), Source::Resource(resource))
                if std::ptr::eq(element.resource(), resource) =>
            {
                Item::Source(Value::Element(resource.element(element.id())))
            }
            (Value::External(node), Source::Cda(document)) => {
                Item::Source(Value::External(External::new(document, node.node())))
            }
            (Value::Boolean(_), _) => primitive(ty::BOOLEAN, value.to_string()),
            (Value::Integer(_), _) => primitive(ty::INTEGER, value.to_string()),
            (Value::Decimal(_), _) => primitive(ty::DECIMAL, value.to_string()),
            (Value::Date(_), _) => primitive(ty::DATE, value.to_string()),
            (Value::DateTime(_), _) => primitive(ty::DATE_TIME, value.to_string()),
            (Value::Time(_), _) => primitive(ty::TIME, value.to_string()),
            (Value::Quantity(quantity), _) => Item::Made(Rc::new(super::functions::quantity_of(quantity))),
            _ => primitive(ty::STRING, value.to_string()),
        }
    }

    /// Returns the text of an item that is or has a primitive value.
    pub(super) fn text_of(&self, item: &Item<'s>) -> Option<String> {
        match item {
            Item::Source(Value::Element(element)) => element.value().map(str::to_owned),
            Item::Source(Value::External(node)) => {
                node.text().map(str::to_owned).or_else(|| value_attribute(*node))
            }
            Item::Source(value) => Some(value.to_string()),
            Item::Target(node) => self.out.element(*node).value().map(str::to_owned),
            Item::Primitive(_, text) => Some(text.to_string()),
            Item::Made(_) => None,
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

/// Returns the text of the attribute `value`, which is what such CDA elements say.
fn value_attribute(node: External<'_>) -> Option<String> {
    node.children(Some("value")).first().and_then(|value| value.text()).map(str::to_owned)
}

/// The variables of a run, for FHIRPath.
struct Scope<'a, 'm, 's, 'o> {
    run: &'a Run<'m, 's, 'o>,
}

impl<'a, 's: 'a> Names<'a> for Scope<'a, '_, 's, '_> {
    fn value(&self, name: &str) -> Option<Value<'a>> {
        self.run.value(self.run.variable(name)?)
    }
}

impl CompiledSource {
    fn full_name(&self) -> String {
        match &self.element {
            Some(element) => format!("{}.{element}", self.context),
            None => self.context.clone(),
        }
    }
}

/// Definitions of CDA write `IVL-TS`, documents `IVL_TS`.
fn same_type(left: &str, right: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    left.bytes().map(plain).eq(right.bytes().map(plain))
}

fn take_by_mode(items: &mut Vec<Item<'_>>, mode: SourceListMode, source: &CompiledSource) -> Outcome<()> {
    match mode {
        SourceListMode::First => items.truncate(1),
        SourceListMode::NotFirst => drop(items.drain(..items.len().min(1))),
        SourceListMode::Last => drop(items.drain(..items.len().saturating_sub(1))),
        SourceListMode::NotLast => items.truncate(items.len().saturating_sub(1)),
        SourceListMode::OnlyOne if items.len() > 1 => {
            return Err(TransformErrorKind::Count { element: source.full_name(), count: items.len() });
        }
        SourceListMode::OnlyOne => {}
    }
    Ok(())
}
