//! The definitions of the types of R4 out of the element tables, for where no
//! package defines them: what there is to say of an element but its texts.

use fhir_model::schema::{
    BindingStrength, Constraint, ElementDefinition, TypeDefinition, TypeId, TypeKind, UNBOUNDED, name, ty,
};
use fhir_model::tree::{NodeId, Resource};

use super::library::CORE;
use super::merge::{add, set};

/// The greatest depth of elements within elements of one type.
const DEPTH_MAX: usize = 16;

/// Makes the structure definition of a type, with its snapshot.
pub(super) fn structure_definition(of: TypeId) -> Resource {
    let mut made = Resource::new(ty::STRUCTURE_DEFINITION);
    let definition = of.definition();
    let root = made.root_id();
    let kind = match definition.kind {
        TypeKind::Primitive => "primitive-type",
        TypeKind::Complex | TypeKind::Backbone => "complex-type",
        TypeKind::Resource => "resource",
    };
    let parts = ty::STRUCTURE_DEFINITION.definition();
    let url = format!("{CORE}{}", definition.name);
    let base = definition.base.map(|base| format!("{CORE}{}", base.name()));
    for (part, text) in [
        ("url", Some(url.as_str())),
        ("version", Some("4.0.1")),
        ("name", Some(definition.name)),
        ("status", Some("active")),
        ("fhirVersion", Some("4.0.1")),
        ("kind", Some(kind)),
        ("abstract", Some(if definition.is_abstract { "true" } else { "false" })),
        ("type", Some(definition.name)),
        ("baseDefinition", base.as_deref()),
        ("derivation", base.as_ref().map(|_| "specialization")),
    ] {
        if let Some(text) = text {
            set(&mut made, root, parts, part, text);
        }
    }
    if let Some(snapshot) = add(&mut made, root, "snapshot") {
        let mut tables = Tables { made, snapshot, open: Vec::new() };
        tables.root(definition);
        tables.elements(definition, definition.name);
        made = tables.made;
        return made;
    }
    made
}

struct Tables {
    made: Resource,
    snapshot: NodeId,
    /// The types whose elements are being written, and their paths.
    open: Vec<TypeId>,
}

impl Tables {
    fn element(&mut self, path: &str, min: u32, max: u32) -> Option<NodeId> {
        let node = add(&mut self.made, self.snapshot, "element")?;
        let max = if max == UNBOUNDED { "*".to_owned() } else { max.to_string() };
        let min = min.to_string();
        for (part, text) in [("id", path), ("path", path), ("min", &min), ("max", &max)] {
            self.set(node, part, text);
        }
        super::merge::base(&mut self.made, node, path);
        Some(node)
    }

    fn set(&mut self, node: NodeId, part: &str, text: &str) {
        let of = self.made.element(node).definition();
        set(&mut self.made, node, of, part, text);
    }

    fn root(&mut self, of: &TypeDefinition) {
        if let Some(node) = self.element(of.name, 0, UNBOUNDED) {
            self.constraints(node, of.constraints);
        }
    }

    /// Writes the elements of a type, those inside of them included.
    fn elements(&mut self, of: &'static TypeDefinition, path: &str) {
        for element in of.elements {
            let own = if element.is_choice { "[x]" } else { "" };
            let path = format!("{path}.{}{own}", element.name);
            let Some(node) = self.element(&path, element.min, element.max) else { return };
            self.facts(node, element);
            let inner = match element.types {
                [one] if one.definition().kind == TypeKind::Backbone => one.definition(),
                _ => continue,
            };
            // An element defined elsewhere is referred to.
            if inner.name != path || self.open.len() >= DEPTH_MAX {
                self.made.remove_named(node, name::TYPE);
                self.set(node, "contentReference", &format!("#{}", inner.name));
                continue;
            }
            self.constraints(node, inner.constraints);
            if let [one] = element.types {
                self.open.push(*one);
                self.elements(inner, &path);
                self.open.pop();
            }
        }
    }

    fn facts(&mut self, node: NodeId, element: &ElementDefinition) {
        for one in element.types {
            let Some(held) = add(&mut self.made, node, "type") else { continue };
            let code = match one.definition() {
                backbone if backbone.kind == TypeKind::Backbone => {
                    backbone.base.map_or("Element", TypeId::name)
                }
                definition => definition.name,
            };
            self.set(held, "code", code);
            if matches!(code, "Reference" | "canonical") {
                for target in element.targets {
                    if let Some(held) = add(&mut self.made, held, "targetProfile") {
                        self.made.set_value(held, &format!("{CORE}{}", target.name()));
                    }
                }
            }
        }
        self.constraints(node, element.constraints);
        self.set(node, "isModifier", if element.is_modifier { "true" } else { "false" });
        self.set(node, "isSummary", if element.is_summary { "true" } else { "false" });
        if let Some(binding) = element.binding
            && let Some(held) = add(&mut self.made, node, "binding")
        {
            let strength = match binding.strength {
                BindingStrength::Required => "required",
                BindingStrength::Extensible => "extensible",
                BindingStrength::Preferred => "preferred",
                BindingStrength::Example => "example",
            };
            self.set(held, "strength", strength);
            self.set(held, "valueSet", binding.value_set);
        }
    }

    fn constraints(&mut self, node: NodeId, constraints: &[Constraint]) {
        for constraint in constraints {
            let known = self.made.element(node).children_named(name::CONSTRAINT);
            if known.into_iter().any(|c| c.text_of(name::KEY) == Some(constraint.key)) {
                continue;
            }
            let Some(held) = add(&mut self.made, node, "constraint") else { continue };
            self.set(held, "key", constraint.key);
            self.set(held, "severity", if constraint.is_error { "error" } else { "warning" });
            self.set(held, "human", constraint.key);
            self.set(held, "expression", constraint.expression);
        }
    }
}
