//! What rules make: elements of the target, against the element tables.
//!
//! An element that repeats gets another repetition, one that does not is
//! overwritten; of several values made for a choice the first that says
//! something stays, as in the reference implementation. Types are checked; of primitives, numbers and truths also by
//! their grammar. At the end, elements that were made and never filled go,
//! and the others stand in the specification's order.

use fhir_model::fhirpath::Value;
use fhir_model::primitive::check;
use fhir_model::schema::{JsonForm, NameId, Property, TypeId, TypeKind, name, ty};
use fhir_model::tree::{NodeId, Resource};

use super::ast::{Function, InputMode, TargetListMode};
use super::compiled::{CompiledRule, CompiledTarget};
use super::error::TransformErrorKind;
use super::run::{Item, Outcome, Run};

impl<'m, 's> Run<'m, 's, '_> {
    /// Makes a target of a rule, and returns what its variable means.
    pub(super) fn target(
        &mut self,
        target: &'m CompiledTarget,
        rule: &CompiledRule,
    ) -> Outcome<Option<Item<'s>>> {
        let place = self.place_of(target)?;
        let Some(transform) = &target.transform else {
            let Some(dest) = place else { return Err(TransformErrorKind::NoValue("the target")) };
            let Some(element) = &target.element else { return Ok(Some(Item::Target(dest))) };
            if rule.by_types {
                return self.create(dest, element, None, &target.list_modes).map(Some);
            }
            if let Some(shared) = &target.list_rule {
                if let Some(node) = self.shared(shared) {
                    return Ok(Some(Item::Target(node)));
                }
                let node = self.make(dest, element)?;
                self.share(shared, node);
                return Ok(Some(Item::Target(node)));
            }
            return self.make(dest, element).map(|node| Some(Item::Target(node)));
        };
        if transform.function == Function::Create {
            let (Some(dest), Some(element)) = (place, &target.element) else {
                let problem = "it needs an element to be put in".to_owned();
                return Err(TransformErrorKind::Function { function: "create", problem });
            };
            return self.create(dest, element, transform.ty, &target.list_modes).map(Some);
        }
        let Some(value) = self.compute(transform)? else { return Ok(None) };
        match (place, &target.element) {
            (None, _) => Ok(Some(value)),
            (Some(dest), Some(element)) => self.put(dest, element, &value, &target.list_modes),
            (Some(dest), None) => {
                if self.take_over(&value, dest)? {
                    return Ok(Some(Item::Target(dest)));
                }
                let on = self.out.element(dest).ty().name();
                Err(self.wrong_type(on, "", &value))
            }
        }
    }

    /// Finds the element that a target stands in, making those on the way.
    fn place_of(&mut self, target: &CompiledTarget) -> Outcome<Option<NodeId>> {
        let Some(context) = &target.context else { return Ok(None) };
        match self.variable_in(InputMode::Target, context) {
            Some(Item::Target(node)) => {
                let mut at = *node;
                for part in &target.path {
                    at = self.make(at, part)?;
                }
                Ok(Some(at))
            }
            Some(_) => Err(TransformErrorKind::Map(format!("variable `{context}` is no part of the target"))),
            None => Err(TransformErrorKind::UnknownVariable(context.clone())),
        }
    }

    fn wrong_type(&self, on: &'static str, element: &str, given: &Item<'s>) -> TransformErrorKind {
        let given = self.type_name(given);
        TransformErrorKind::WrongType { on, element: element.to_owned(), given }
    }

    /// Returns the properties that an element name can mean: several for a choice.
    fn properties(&self, dest: NodeId, element: &str) -> Outcome<Vec<&'static Property>> {
        let definition = self.out.element(dest).definition();
        if let Some((_, property)) = definition.property(element, 0) {
            return Ok(vec![property]);
        }
        let found: Vec<&'static Property> = match NameId::of(element) {
            Some(id) => definition.properties.iter().filter(|p| p.element.name_id == id).collect(),
            None => Vec::new(),
        };
        if found.is_empty() {
            return Err(TransformErrorKind::UnknownElement {
                on: definition.name,
                element: element.to_owned(),
            });
        }
        Ok(found)
    }

    /// Makes an element without a value: the one that is there, where it does not repeat.
    fn make(&mut self, dest: NodeId, element: &str) -> Outcome<NodeId> {
        let properties = self.properties(dest, element)?;
        let of = self.out.element(dest);
        if let [property, ..] = properties.as_slice()
            && !property.element.is_array()
            && let Some(there) = of.child(property.element.name_id)
        {
            return Ok(there.id());
        }
        match properties.as_slice() {
            [property] if property.ty != ty::RESOURCE => self.slot(dest, property, property.ty, &[]),
            _ => Err(TransformErrorKind::Map(format!(
                "`{}.{element}` can have several types: the rule must say which",
                of.ty().name()
            ))),
        }
    }

    /// Makes an element of a type, without one of the type that the source leads to.
    fn create(
        &mut self,
        dest: NodeId,
        element: &str,
        wanted: Option<TypeId>,
        modes: &[TargetListMode],
    ) -> Outcome<Item<'s>> {
        let properties = self.properties(dest, element)?;
        let on = self.out.element(dest).ty().name();
        let (property, made) = match (properties.as_slice(), wanted) {
            // Of an element with one type no other can be made, whatever the rule
            // calls it: official maps make a `Quantity` where a `Range` stands.
            ([property], Some(wanted))
                if property.ty != ty::RESOURCE
                    && !property.ty.definition().is_primitive()
                    && !wanted.definition().is_primitive()
                    && wanted.definition().kind != TypeKind::Resource =>
            {
                (*property, property.ty)
            }
            ([property], None) if property.ty != ty::RESOURCE => (*property, property.ty),
            (_, None) => {
                let found = self.type_for_source(&properties);
                found.ok_or_else(|| {
                    TransformErrorKind::Map(format!("no group says of what type `{on}.{element}` is"))
                })?
            }
            (properties, Some(wanted)) => {
                let found = properties
                    .iter()
                    .find(|p| p.ty == wanted)
                    .or_else(|| properties.iter().find(|p| may_stand_for(wanted, p.ty)));
                let property = found.ok_or_else(|| TransformErrorKind::WrongType {
                    on,
                    element: element.to_owned(),
                    given: wanted.name().to_owned(),
                })?;
                (*property, if property.ty == ty::RESOURCE { wanted } else { property.ty })
            }
        };
        // What is made has no parts to overwrite with: those that are there stay.
        let there = self.out.element(dest).child(property.element.name_id);
        let is_kept =
            !property.element.is_array() && !property.element.is_choice && !made.definition().is_primitive();
        if let Some(there) = there.filter(|t| is_kept && t.ty() == made) {
            return Ok(Item::Target(there.id()));
        }
        let node = self.slot(dest, property, made, modes)?;
        if made.definition().is_concrete_resource()
            && let Some((_, id)) = made.definition().property("id", 0)
        {
            let uuid = self.uuid();
            self.out.add_value(node, id, &uuid);
        }
        Ok(Item::Target(node))
    }

    /// Finds the type that groups make of the source at hand.
    fn type_for_source(&self, properties: &[&'static Property]) -> Option<(&'static Property, TypeId)> {
        let from = self.variable_in(InputMode::Source, "")?;
        let by_source = self.group_for(from, None).and_then(|group| group.inputs.get(1));
        if let Some(named) = by_source.and_then(|input| input.type_name.as_deref())
            && let Some(found) = properties.iter().find(|p| p.ty.name() == named)
        {
            return Some((*found, found.ty));
        }
        let fits = |p: &&&'static Property| self.group_for(from, Some(p.ty.name())).is_some();
        properties.iter().find(fits).map(|p| (*p, p.ty))
    }

    /// Makes room for a value: another repetition, or the one place, emptied.
    fn slot(
        &mut self,
        dest: NodeId,
        property: &'static Property,
        made: TypeId,
        modes: &[TargetListMode],
    ) -> Outcome<NodeId> {
        self.count_element()?;
        let depth = self.nesting.below(&self.out, dest)?;
        if !property.element.is_array() && !property.element.is_choice {
            self.out.remove_named(dest, property.element.name_id);
        }
        let node = if property.element.is_array() && modes.contains(&TargetListMode::First) {
            self.out.insert_first(dest, property, made)
        } else {
            self.out.add(dest, property, made)
        };
        self.nesting.keep(node, depth);
        Ok(node)
    }

    /// Puts a value in an element; `None` where the value says nothing.
    fn put(
        &mut self,
        dest: NodeId,
        element: &str,
        value: &Item<'s>,
        modes: &[TargetListMode],
    ) -> Outcome<Option<Item<'s>>> {
        let of = self.out.element(dest);
        if element == "value" && of.definition().is_primitive() {
            return match self.text_of(value) {
                Some(text) => {
                    self.set_primitive(dest, &text)?;
                    Ok(Some(Item::Target(dest)))
                }
                None => Ok(None),
            };
        }
        let properties = self.properties(dest, element)?;
        let Some((property, made)) = self.property_for(dest, &properties, value) else {
            return Err(self.wrong_type(of.ty().name(), element, value));
        };
        if made.definition().is_primitive() && self.text_of(value).is_none_or(|text| text.is_empty()) {
            return match value {
                // A source that has no text has nothing to say here.
                Item::Source(_) | Item::Primitive(..) | Item::Target(_) => Ok(None),
                Item::Made(_) => Err(self.wrong_type(of.ty().name(), element, value)),
            };
        }
        // The value may lie in what is overwritten.
        let value = match value {
            Item::Target(node) => self.lifted(*node)?,
            other => other.clone(),
        };
        let node = self.slot(dest, property, made, modes)?;
        if self.take_over(&value, node)? {
            return Ok(Some(Item::Target(node)));
        }
        let on = self.out.element(dest).ty().name();
        Err(self.wrong_type(on, element, &value))
    }

    /// Returns a part of the target as a value of its own.
    fn lifted(&mut self, node: NodeId) -> Outcome<Item<'s>> {
        let element = self.out.element(node);
        if let Some(text) = element.value().filter(|_| element.definition().is_primitive()) {
            return Ok(Item::Primitive(element.ty(), text.into()));
        }
        let root = self.out.root_id();
        let measure = self.nesting.measure(&self.out, root, self.out.element(node))?;
        self.count_copy(measure)?;
        Ok(Item::Made(self.out.extract(node).into()))
    }

    /// Finds under which property a value can stand, and with what type.
    fn property_for(
        &self,
        dest: NodeId,
        properties: &[&'static Property],
        value: &Item<'s>,
    ) -> Option<(&'static Property, TypeId)> {
        let given = TypeId::named(&self.type_name(value));
        match properties {
            [property] if property.ty == ty::RESOURCE => {
                given.filter(|t| t.definition().kind == TypeKind::Resource).map(|t| (*property, t))
            }
            [property] => Some((*property, property.ty)),
            several => {
                let exact = several.iter().find(|p| Some(p.ty) == given);
                let text = self.text_of(value);
                let fits = |p: &&Property| {
                    p.ty.definition().is_primitive()
                        && text.as_deref().is_some_and(|text| check::is_valid(p.ty, text))
                };
                let there = several
                    .first()
                    .and_then(|p| self.out.element(dest).child(p.element.name_id))
                    .and_then(|child| child.property());
                let there = there.filter(|p| fits(p)).filter(|_| exact.is_none_or(|p| p.ty == ty::STRING));
                there
                    .or_else(|| exact.copied())
                    .or_else(|| several.iter().copied().find(|p| p.ty == ty::STRING && fits(p)))
                    .or_else(|| several.iter().copied().find(|p| fits(p)))
                    .map(|p| (p, p.ty))
            }
        }
    }

    fn set_primitive(&mut self, node: NodeId, text: &str) -> Outcome<()> {
        let of = self.out.element(node).ty();
        let is_bare = matches!(of.definition().json_form(), Some(JsonForm::Number | JsonForm::Boolean));
        if is_bare && !check::is_valid(of, text) {
            return Err(TransformErrorKind::WrongValue { ty: of.name(), given: text.to_owned() });
        }
        if !text.is_empty() {
            self.count_text(text.len())?;
            self.out.set_value(node, text);
        }
        Ok(())
    }

    /// Gives an element the value of an item; tells whether it could.
    pub(super) fn take_over(&mut self, value: &Item<'s>, to: NodeId) -> Outcome<bool> {
        let of = self.out.element(to).ty();
        if of.definition().is_primitive() {
            return match self.text_of(value) {
                Some(text) => self.set_primitive(to, &text).map(|()| true),
                None => Ok(false),
            };
        }
        let given = TypeId::named(&self.type_name(value));
        let same = given.is_some_and(|given| given.is_a(of) || of.is_a(given));
        match value {
            Item::Source(Value::Element(element)) if same => {
                let measure = self.nesting.measure(&self.out, to, *element)?;
                self.count_copy(measure)?;
                self.out.copy_children(to, *element);
            }
            Item::Made(made) if same => {
                let measure = self.nesting.measure(&self.out, to, made.root())?;
                self.count_copy(measure)?;
                self.out.copy_children(to, made.root());
            }
            Item::Target(node) if same => {
                let measure = self.nesting.measure(&self.out, to, self.out.element(*node))?;
                self.count_copy(measure)?;
                let copy = self.out.extract(*node);
                self.out.copy_children(to, copy.root());
            }
            // A text stands for the part of these types that is text.
            _ => {
                let part = match of {
                    ty::REFERENCE => name::REFERENCE,
                    ty::CODEABLE_CONCEPT | ty::ANNOTATION => name::TEXT,
                    ty::CODING => name::CODE,
                    ty::IDENTIFIER | ty::CONTACT_POINT => name::VALUE,
                    _ => return Ok(false),
                };
                let Some(text) = self.text_of(value) else { return Ok(false) };
                let Some((_, property)) = of.definition().property(part.as_str(), 0) else {
                    return Ok(false);
                };
                self.out.add_value(to, property, &text);
            }
        }
        Ok(true)
    }
}

/// Tells whether a value that a rule makes as `wanted` can be of type `given`.
fn may_stand_for(wanted: TypeId, given: TypeId) -> bool {
    let (wanted_kind, given_kind) = (wanted.definition().kind, given.definition().kind);
    if wanted_kind == TypeKind::Primitive || given_kind == TypeKind::Primitive {
        return wanted_kind == given_kind;
    }
    wanted.is_a(given) || given.is_a(wanted)
}

/// Takes out what is empty, and puts elements in the specification's order.
pub(super) fn finish(out: &mut Resource) {
    finish_below(out, out.root_id());
}

fn finish_below(out: &mut Resource, at: NodeId) {
    let mut children: Vec<(u16, NodeId)> = Vec::new();
    let all: Vec<NodeId> = out.element(at).children().map(|c| c.id()).collect();
    for child in all {
        finish_below(out, child);
        let element = out.element(child);
        if element.is_empty() && !element.is_resource() {
            continue;
        }
        let property = element.property();
        let order = property.map_or(0, |p| p.element.order);
        let is_single = property.is_some_and(|p| !p.element.is_array());
        if is_single && children.iter().any(|(taken, _)| *taken == order) {
            continue;
        }
        children.push((order, child));
    }
    children.sort_by_key(|(order, _)| *order);
    let children: Vec<NodeId> = children.into_iter().map(|(_, child)| child).collect();
    out.set_children(at, &children);
}
