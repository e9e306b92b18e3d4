//! Finds the elements that a path of FHIRPath Patch names.

use super::Refusal;
use crate::fhirpath::{Context, Expression, Limits};
use crate::tree::{NodeId, Resource};

/// The greatest number of steps that the paths of one patch take together.
const STEPS_MAX: u64 = 20_000_000;

/// Returns the limits of each of so many evaluations.
pub(super) fn limits(operations: usize) -> Limits {
    let steps_max = STEPS_MAX / operations.max(1) as u64;
    Limits { steps_max, items_max: 100_000, text_bytes_max: 1 << 20 }
}

/// Returns the elements of `resource` that `path` names, in the order it
/// gives them. What it computes rather than finds cannot be patched, nor can
/// another resource.
///
/// # Errors
/// When the path is no FHIRPath, or cannot be evaluated.
pub(super) fn select(resource: &Resource, path: &str, limits: Limits) -> Result<Vec<NodeId>, Refusal> {
    let expression = Expression::parse(path).map_err(|e| Refusal::Path(e.to_string()))?;
    let context = Context::new(resource.root()).limits(limits);
    let found = expression.evaluate(&context, resource.root()).map_err(|e| Refusal::Path(e.to_string()))?;
    let nodes = found.iter().map(|value| {
        let element = value.element().filter(|e| std::ptr::eq(e.resource(), resource));
        element.map(|e| e.id()).ok_or(Refusal::NoElement)
    });
    nodes.collect()
}

/// Finds the parent of an element; `None` for the root.
pub(super) fn parent_of(resource: &Resource, node: NodeId) -> Option<NodeId> {
    let mut open = vec![resource.root()];
    while let Some(element) = open.pop() {
        for child in element.children() {
            if child.id() == node {
                return Some(element.id());
            }
            open.push(child);
        }
    }
    None
}
