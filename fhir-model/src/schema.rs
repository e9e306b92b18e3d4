//! The element tables of FHIR R4: every type, its elements and their types,
//! cardinality, bindings and invariants.
//!
//! The tables in `generated/` are facts taken from the core package by the
//! generator (`cargo run -p fhir-model-codegen`); nothing here is written by
//! hand. A backbone element such as `Patient.contact` is a type of its own.
//!
//! Spec: <https://hl7.org/fhir/R4/structuredefinition.html>

use std::fmt;

use crate::generated::{names::NAMES, types::TYPES};
pub use crate::generated::{names::name, type_ids::ty};

/// The number of a type in the tables; comparing it is comparing types.
///
/// Numbers may change with the tables: never store them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeId(pub(crate) u16);

impl TypeId {
    /// Finds a type by its name: `string`, `HumanName`, `Patient`, `Patient.contact`.
    pub fn named(name: &str) -> Option<TypeId> {
        TYPES.binary_search_by(|t| t.name.cmp(name)).ok().map(|at| TypeId(at as u16))
    }

    /// Finds a concrete resource type by its name.
    pub fn resource_named(name: &str) -> Option<TypeId> {
        TypeId::named(name).filter(|t| t.definition().is_concrete_resource())
    }

    /// Returns the definition of the type.
    pub fn definition(self) -> &'static TypeDefinition {
        TYPES[usize::from(self.0)]
    }

    /// Returns the name of the type.
    pub fn name(self) -> &'static str {
        self.definition().name
    }

    /// Tells whether values of this type are values of `ancestor` too.
    pub fn is_a(self, ancestor: TypeId) -> bool {
        let mut at = Some(self);
        while let Some(ty) = at {
            if ty == ancestor {
                return true;
            }
            at = ty.definition().base;
        }
        false
    }
}

impl fmt::Debug for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Returns every type of the tables, in the order of their names.
pub fn types() -> impl Iterator<Item = TypeId> {
    (0..TYPES.len() as u16).map(TypeId)
}

/// Returns the 146 concrete resource types (the specification's 148 count two abstract ones), in the order of their names.
pub fn resource_types() -> impl Iterator<Item = TypeId> {
    types().filter(|t| t.definition().is_concrete_resource())
}

/// The number of an element name (`name`, `value`, without `[x]`): comparing
/// it is comparing names. Numbers may change with the tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameId(pub(crate) u16);

impl NameId {
    /// Finds an element name; `None` when no R4 element is called so.
    pub fn of(name: &str) -> Option<NameId> {
        NAMES.binary_search(&name).ok().map(|at| NameId(at as u16))
    }

    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Debug for NameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What sort of type it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeKind {
    /// `string`, `dateTime` ...: one value, written as a JSON scalar.
    Primitive,
    /// `HumanName`, `Period` ...
    Complex,
    /// An element defined inside another type, such as `Patient.contact`.
    Backbone,
    /// `Patient` ..., and the abstract `Resource` and `DomainResource`.
    Resource,
}

/// How a primitive is written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonForm {
    /// `true` or `false`.
    Boolean,
    /// A JSON number.
    Number,
    /// A JSON string.
    String,
}

/// A type of the specification.
#[derive(Debug)]
pub struct TypeDefinition {
    /// `HumanName`, `Patient`, or `Patient.contact` for a backbone element.
    pub name: &'static str,
    /// What sort of type it is.
    pub kind: TypeKind,
    /// The type that this one specializes.
    pub base: Option<TypeId>,
    /// Whether no value has exactly this type.
    pub is_abstract: bool,
    /// The elements in the specification's order, inherited ones included.
    pub elements: &'static [ElementDefinition],
    /// What may stand in JSON and XML: the elements with each choice spelled out.
    pub properties: &'static [Property],
    /// Invariants that each value of the type must keep.
    pub constraints: &'static [Constraint],
}

impl TypeDefinition {
    /// Tells whether it is a resource type of which resources exist.
    pub fn is_concrete_resource(&self) -> bool {
        self.kind == TypeKind::Resource && !self.is_abstract
    }

    /// Tells whether it is a primitive type.
    pub fn is_primitive(&self) -> bool {
        self.kind == TypeKind::Primitive
    }

    /// Finds the property `name` (`deceasedBoolean`, not `deceased[x]`).
    ///
    /// `hint` is where to look first: the index after the last one found,
    /// since documents mostly keep the specification's order.
    pub fn property(&self, name: &str, hint: usize) -> Option<(usize, &'static Property)> {
        let properties = self.properties;
        if let Some(property) = properties.get(hint)
            && property.name == name
        {
            return Some((hint, property));
        }
        let start = hint.min(properties.len());
        let (before, after) = properties.split_at(start);
        let find = |part: &'static [Property]| part.iter().position(|p| p.name == name);
        find(after).map(|at| at + start).or_else(|| find(before)).map(|at| (at, &properties[at]))
    }

    /// Finds the element `name` (`deceased`, not `deceasedBoolean`).
    pub fn element(&self, name: NameId) -> Option<&'static ElementDefinition> {
        self.elements.iter().find(|e| e.name_id == name)
    }

    /// Returns how values are written in JSON; `None` for types that are not primitive.
    pub fn json_form(&self) -> Option<JsonForm> {
        if !self.is_primitive() {
            return None;
        }
        Some(match self.name {
            "boolean" => JsonForm::Boolean,
            "integer" | "positiveInt" | "unsignedInt" | "decimal" => JsonForm::Number,
            _ => JsonForm::String,
        })
    }
}

/// A maximum cardinality without bound.
pub const UNBOUNDED: u32 = u32::MAX;

/// An element of a type.
#[derive(Debug)]
pub struct ElementDefinition {
    /// The name without `[x]`.
    pub name: &'static str,
    /// The same as a number.
    pub name_id: NameId,
    /// Its place in [`TypeDefinition::elements`].
    pub order: u16,
    /// Least number of repetitions.
    pub min: u32,
    /// Greatest number of repetitions, or [`UNBOUNDED`].
    pub max: u32,
    /// Whether it is spelled `name[x]`.
    pub is_choice: bool,
    /// Whether it stands in a summary.
    pub is_summary: bool,
    /// Whether it can change the meaning of the element that holds it.
    pub is_modifier: bool,
    /// The types its value may have.
    pub types: &'static [TypeId],
    /// For references and canonicals: the resource types that may be meant;
    /// empty for any.
    pub targets: &'static [TypeId],
    /// The value set its codes come from.
    pub binding: Option<Binding>,
    /// Invariants stated on this element.
    pub constraints: &'static [Constraint],
}

impl ElementDefinition {
    /// Tells whether JSON writes it as an array.
    pub fn is_array(&self) -> bool {
        self.max > 1
    }
}

/// An element with one of its types, as documents spell it.
#[derive(Debug)]
pub struct Property {
    /// `deceasedBoolean` for `deceased[x]` of type `boolean`.
    pub name: &'static str,
    /// The type of the value; `Resource` where any resource may stand.
    pub ty: TypeId,
    /// The element it belongs to.
    pub element: &'static ElementDefinition,
}

/// How binding an element's value set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingStrength {
    /// Codes must come from the value set.
    Required,
    /// Codes must come from it where it covers the concept.
    Extensible,
    /// Codes should come from it.
    Preferred,
    /// Codes may come from it.
    Example,
}

/// The value set of an element.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// How binding it is.
    pub strength: BindingStrength,
    /// The canonical URL of the value set, without version.
    pub value_set: &'static str,
    /// The one code system that the value set draws on, where it is one: the
    /// system that a `code` implies in token search.
    pub system: Option<&'static str>,
}

/// An invariant.
#[derive(Debug, Clone, Copy)]
pub struct Constraint {
    /// Its key, such as `pat-1`.
    pub key: &'static str,
    /// Whether breaking it is an error; otherwise it is a warning.
    pub is_error: bool,
    /// The FHIRPath expression that must be true.
    pub expression: &'static str,
}

impl ElementDefinition {
    /// Makes an element of the generated tables.
    pub(crate) const fn new(
        name: &'static str,
        name_id: NameId,
        order: u16,
        min: u32,
        max: u32,
        types: &'static [TypeId],
    ) -> ElementDefinition {
        ElementDefinition {
            name,
            name_id,
            order,
            min,
            max,
            is_choice: false,
            is_summary: false,
            is_modifier: false,
            types,
            targets: &[],
            binding: None,
            constraints: &[],
        }
    }

    /// Says that it stands in a summary.
    pub(crate) const fn summary(mut self) -> ElementDefinition {
        self.is_summary = true;
        self
    }

    /// Says that it is a modifier.
    pub(crate) const fn modifier(mut self) -> ElementDefinition {
        self.is_modifier = true;
        self
    }

    /// Says that it is spelled `name[x]`.
    pub(crate) const fn choice(mut self) -> ElementDefinition {
        self.is_choice = true;
        self
    }

    /// Sets what its references may mean.
    pub(crate) const fn targets(mut self, targets: &'static [TypeId]) -> ElementDefinition {
        self.targets = targets;
        self
    }

    /// Sets its binding.
    pub(crate) const fn bound(
        mut self,
        strength: BindingStrength,
        value_set: &'static str,
        system: Option<&'static str>,
    ) -> ElementDefinition {
        self.binding = Some(Binding { strength, value_set, system });
        self
    }

    /// Sets the invariants stated on it.
    pub(crate) const fn constrained(mut self, constraints: &'static [Constraint]) -> ElementDefinition {
        self.constraints = constraints;
        self
    }
}
