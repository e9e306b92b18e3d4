//! A StructureDefinition: what it changes must fit what it builds on.
//!
//! Spec: <https://hl7.org/fhir/R4/profiling.html>, <https://hl7.org/fhir/R4/elementdefinition.html>

use std::cmp::Ordering;
use std::collections::HashMap;

use fhir_model::outcome::Severity;
use fhir_model::schema::{NameId, TypeId, TypeKind, name, ty};
use fhir_model::tree::{Element, Resource};

use super::profile::{PathStep, choice, discriminator_path, equal, shown};
use super::{Rule, Run};
use crate::snapshot::{self, SnapshotError};

/// The types whose values a value set can bind.
const BINDABLE: &[TypeId] = &[
    ty::CODE,
    ty::STRING,
    ty::URI,
    ty::URL,
    ty::CANONICAL,
    ty::OID,
    ty::UUID,
    ty::CODING,
    ty::CODEABLE_CONCEPT,
    ty::QUANTITY,
    ty::EXTENSION,
];

/// The elements of a definition's snapshot, by id.
struct Snapshot<'s> {
    by_id: HashMap<&'s str, Element<'s>>,
    /// Where a path first stands.
    by_path: HashMap<&'s str, usize>,
}

impl<'s> Snapshot<'s> {
    fn of(definition: &'s Resource) -> Snapshot<'s> {
        let mut made = Snapshot { by_id: HashMap::new(), by_path: HashMap::new() };
        let snapshot = definition.root().child_named("snapshot").into_iter();
        for (at, element) in snapshot.flat_map(|s| s.children_named(name::ELEMENT)).enumerate() {
            if let Some(path) = element.text_of(name::PATH) {
                made.by_path.entry(path).or_insert(at);
                made.by_id.insert(element.text_of(name::ID).unwrap_or(path), element);
            }
        }
        made
    }
}

impl<'r> Run<'_, 'r> {
    /// Holds the differential of a constraint against its base.
    pub(super) fn structure_definition(&mut self, definition: Element<'r>) {
        let is_r4 = definition.text_of(name::FHIR_VERSION).is_none_or(|version| version.starts_with("4.0"));
        let is_constraint = definition.text_of(name::DERIVATION) == Some("constraint");
        let base = definition.text_of(name::BASE_DEFINITION);
        let Some(base) = base.filter(|_| is_r4 && is_constraint) else { return };
        let differential = definition.child_named("differential").into_iter();
        let elements: Vec<Element<'r>> = differential.flat_map(|d| d.children_named(name::ELEMENT)).collect();
        if elements.is_empty() || elements.len() > snapshot::ELEMENTS_MAX {
            return;
        }
        let definitions = std::sync::Arc::clone(self.validator.profiles.definitions());
        let profile = definition.resource().extract(definition.id());
        let (made, of_base) = match snapshot::generate_on(base, &profile, &definitions) {
            Ok(made) => made,
            Err(error) => return self.no_snapshot(definition, base, &elements, error),
        };
        let snapshot = Snapshot::of(&made);
        let of_base = of_base.as_deref().map(Snapshot::of);
        self.order(&elements, &snapshot);
        for element in elements {
            let id = element.text_of(name::ID).or(element.text_of(name::PATH)).unwrap_or_default();
            self.bindable(element, snapshot.by_id.get(id).copied());
            self.discriminators(element, snapshot.by_id.get(id).copied());
            if let Some(base) = of_base.as_ref().and_then(|base| base.by_id.get(id)) {
                self.narrows(element, *base);
            }
        }
    }

    fn no_snapshot(
        &mut self,
        definition: Element<'r>,
        base: &str,
        elements: &[Element<'r>],
        error: SnapshotError,
    ) {
        if matches!(&error, SnapshotError::Missing(missing) if missing == base) {
            let rule = Rule::UnknownProfile { profile: base.to_owned() };
            return self.find(Severity::Warning, definition, rule);
        }
        let unplaced = match &error {
            SnapshotError::NoElement(id) => elements.iter().find(|e| {
                e.text_of(name::ID) == Some(id)
                    || e.text_of(name::PATH).is_some_and(|path| path == snapshot::path_of(id))
            }),
            _ => None,
        };
        if let Some(element) = unplaced {
            self.error(*element, Rule::Differential { reason: error.to_string() });
        }
        let reason = format!("no snapshot can be generated: {error}");
        self.error(definition, Rule::Differential { reason });
    }

    /// Elements come in the order of the base.
    fn order(&mut self, elements: &[Element<'r>], snapshot: &Snapshot<'_>) {
        for pair in elements.windows(2) {
            let [before, after] = pair else { continue };
            let key = |e: &Element<'r>| e.text_of(name::ID).or(e.text_of(name::PATH)).map(str::to_owned);
            let (Some(first), Some(second)) = (key(before), key(after)) else { continue };
            if compare_in(snapshot, &first, &second) == Some(Ordering::Greater) {
                let reason = format!("{first} stands before {second}, and comes after it in the base");
                self.error(*before, Rule::Differential { reason });
            }
        }
    }

    /// A binding needs a type that has codes.
    fn bindable(&mut self, element: Element<'r>, in_snapshot: Option<Element<'_>>) {
        if element.child(name::BINDING).is_none() {
            return;
        }
        let types = types_of(in_snapshot.unwrap_or(element));
        let is_bindable = |of: &TypeId| BINDABLE.iter().any(|bindable| of.is_a(*bindable));
        if !types.is_empty() && !types.iter().any(is_bindable) {
            let types = types.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
            let reason = format!("a binding means nothing where the types have no codes: {types}");
            self.error(element, Rule::Differential { reason });
        }
    }

    /// The path of a discriminator must be one that the element has.
    fn discriminators(&mut self, element: Element<'r>, in_snapshot: Option<Element<'_>>) {
        let Some(slicing) = element.child(name::SLICING) else { return };
        let of_path = |e: Element<'_>| TypeId::named(e.text_of(name::PATH)?);
        let types = match of_path(element) {
            Some(backbone) => vec![backbone],
            None => types_of(in_snapshot.unwrap_or(element)),
        };
        for discriminator in slicing.children_named(name::DISCRIMINATOR) {
            let Some(path) = discriminator.text_of(name::PATH) else { continue };
            let is_legal = discriminator_path(path).is_some_and(|steps| follows(&types, &steps));
            if !is_legal && !types.is_empty() {
                let sliced = element.text_of(name::PATH).unwrap_or_default();
                let reason = format!("the discriminator '{path}' leads nowhere from {sliced}");
                self.error(discriminator, Rule::Differential { reason });
            }
        }
    }

    /// A constraint allows no more than its base.
    fn narrows(&mut self, element: Element<'r>, base: Element<'_>) {
        let number = |e: Element<'_>, part: NameId| match e.text_of(part)? {
            "*" => Some(u64::MAX),
            text => text.parse::<u64>().ok(),
        };
        if let (Some(own), Some(least)) = (number(element, name::MIN), number(base, name::MIN))
            && own < least
            && element.child(name::SLICE_NAME).is_none()
        {
            let reason = format!("min is {own}, less than that of the base, {least}");
            self.error(element, Rule::Differential { reason });
        }
        if let (Some(own), Some(most)) = (number(element, name::MAX), number(base, name::MAX))
            && own > most
        {
            let reason = format!("max is more than that of the base, {most}");
            self.error(element, Rule::Differential { reason });
        }
        if let (Some(own), Some(fixed)) = (choice(element, "fixed"), choice(base, "fixed"))
            && !equal(own, fixed)
        {
            let reason = format!("the value is fixed to {}, and to {} in the base", shown(own), shown(fixed));
            self.error(element, Rule::Differential { reason });
        }
    }
}

/// Compares where two elements stand, by the first step in which they differ;
/// `None` where that does not tell: slices of one element, or an element and
/// what stands in it.
fn compare_in(snapshot: &Snapshot<'_>, first: &str, second: &str) -> Option<Ordering> {
    let own = |step: &str| step.split(':').next().unwrap_or(step).to_owned();
    let (mut path, mut steps) = (String::new(), first.split('.').zip(second.split('.')));
    let (a, b) = steps.find(|(a, b)| {
        if a == b {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&own(a));
        }
        a != b
    })?;
    let at = |step: &str| snapshot.by_path.get(format!("{path}.{}", own(step)).as_str());
    Some(at(a)?.cmp(at(b)?)).filter(|_| own(a) != own(b))
}

/// Returns the types of an element that R4 has; those of another element
/// whose content it has are not looked up.
fn types_of(element: Element<'_>) -> Vec<TypeId> {
    let code = |t: Element<'_>| TypeId::named(t.text_of(name::CODE)?);
    element.children_named(name::TYPE).filter_map(code).collect()
}

/// Tells whether a path can be followed from one of the types at least. What
/// a reference leads to, and what an abstract type becomes, is not known here.
fn follows(types: &[TypeId], steps: &[PathStep]) -> bool {
    let Some((step, rest)) = steps.split_first() else { return true };
    let below: Vec<TypeId> = match step {
        PathStep::Resolve => return true,
        PathStep::Extension(_) => vec![ty::EXTENSION],
        PathStep::OfType(of) => vec![*of],
        PathStep::Child(name) => {
            let is_open = |t: &TypeId| {
                t.definition().is_abstract
                    || matches!(t.definition().kind, TypeKind::Primitive) && rest.is_empty()
            };
            if types.iter().any(is_open) {
                return true;
            }
            types
                .iter()
                .filter_map(|t| t.definition().element(*name))
                .flat_map(|e| e.types)
                .copied()
                .collect()
        }
    };
    !below.is_empty() && follows(&below, rest)
}
