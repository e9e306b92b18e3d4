//! What rules are applied to: the items that a source gives, filtered, checked and logged.
//!
//! Spec: <https://hl7.org/fhir/R4/mapping-language.html#source>

use fhir_model::fhirpath::{Expression, Value};
use fhir_model::schema::{NameId, TypeId, ty};

use super::ast::{InputMode, SourceListMode};
use super::compiled::{CompiledRule, CompiledSource};
use super::error::TransformErrorKind;
use super::run::{Item, Outcome, Run};

impl<'m, 's> Run<'m, 's, '_> {
    /// Returns the items that a source gives.
    pub(super) fn items(
        &mut self,
        rule: &CompiledRule,
        source: &'m CompiledSource,
    ) -> Outcome<Vec<Item<'s>>> {
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
        for item in &items {
            self.log(rule, source, item)?;
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
        let values = self.evaluate_for(condition, source, item)?;
        Ok(match values.as_slice() {
            [] => false,
            [Item::Primitive(ty::BOOLEAN, text)] => &**text == "true",
            [Item::Source(Value::Element(element))] if element.ty() == ty::BOOLEAN => {
                element.value() == Some("true")
            }
            _ => true,
        })
    }

    /// Evaluates FHIRPath on an item of a source, which its variable means already.
    fn evaluate_for(
        &mut self,
        expression: &Expression,
        source: &'m CompiledSource,
        item: &Item<'s>,
    ) -> Outcome<Vec<Item<'s>>> {
        self.step()?;
        let variables = self.variables.len();
        if let Some(name) = &source.variable {
            self.bind(name, InputMode::Source, item.clone());
        }
        let values = self.evaluate(expression, Some(item));
        self.variables.truncate(variables);
        values
    }

    fn log(&mut self, rule: &CompiledRule, source: &'m CompiledSource, item: &Item<'s>) -> Outcome<()> {
        let Some(log) = source.log.as_ref().filter(|_| self.options.log.is_some()) else { return Ok(()) };
        let values = self.evaluate_for(log, source, item)?;
        let text = values.iter().filter_map(|v| self.text_of(v)).collect::<Vec<_>>().join(", ");
        let place = self.place(self.group, Some(rule));
        if let Some(sink) = &mut self.options.log {
            sink(&place, &text);
        }
        Ok(())
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
