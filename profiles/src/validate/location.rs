//! Where an element stands in its resource, as FHIRPath tells it.

use fhir_model::tree::{Element, NodeId, Resource};

/// The parents of the elements of a resource, from which locations are told.
///
/// The tree knows children only; this is made once there is something to tell.
pub struct Locations<'r> {
    resource: &'r Resource,
    parents: std::collections::HashMap<NodeId, NodeId>,
}

impl<'r> Locations<'r> {
    /// Looks at a resource.
    pub fn of(resource: &'r Resource) -> Locations<'r> {
        let mut parents = std::collections::HashMap::new();
        let mut waiting = vec![resource.root()];
        while let Some(element) = waiting.pop() {
            for child in element.children() {
                parents.insert(child.id(), element.id());
                waiting.push(child);
            }
        }
        Locations { resource, parents }
    }

    /// Returns the element that holds `node`; `None` for the root.
    pub fn parent(&self, node: NodeId) -> Option<Element<'r>> {
        self.parents.get(&node).map(|parent| self.resource.element(*parent))
    }

    /// Returns the resource that `node` stands in: itself, if it is one.
    pub fn resource_of(&self, node: NodeId) -> Element<'r> {
        let mut at = self.resource.element(node);
        while !at.is_resource() {
            match self.parent(at.id()) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        at
    }

    /// Returns the location, such as `Patient.name[0].given[1]`.
    pub fn expression(&self, node: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = self.resource.element(node);
        while let Some(parent) = self.parent(at.id()) {
            steps.push(step(at, parent));
            at = parent;
        }
        let mut text = at.ty().name().to_owned();
        for step in steps.iter().rev() {
            text.push('.');
            text.push_str(step);
        }
        text
    }
}

fn step(element: Element<'_>, parent: Element<'_>) -> String {
    let Some(property) = element.property() else { return String::new() };
    let definition = property.element;
    if definition.is_choice {
        return format!("{}.ofType({})", definition.name, element.ty());
    }
    if !definition.is_array() {
        return definition.name.to_owned();
    }
    let index = parent.children_named(definition.name_id).position(|e| e == element).unwrap_or(0);
    format!("{}[{index}]", definition.name)
}
