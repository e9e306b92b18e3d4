//! Finds the elements that a path of FHIRPath Patch names.

use super::Refusal;
use crate::schema::NameId;
use crate::tree::{Element, NodeId, Resource};

/// Returns the elements of `resource` that `path` names, in document order.
///
/// Plain paths (`Patient.contact[0].name`) are walked as they stand.
///
/// # Errors
/// When the path cannot be evaluated.
pub(super) fn select(resource: &Resource, path: &str) -> Result<Vec<NodeId>, Refusal> {
    plain(resource, path).ok_or_else(|| Refusal::Path("a path of names and indexes expected".to_owned()))
}

/// Walks a plain path; `None` when it is another one.
fn plain(resource: &Resource, path: &str) -> Option<Vec<NodeId>> {
    let mut found = vec![resource.root()];
    for (at, step) in path.trim().split('.').enumerate() {
        let (step, index) = match step.strip_suffix(']').and_then(|s| s.split_once('[')) {
            Some((step, index)) => (step, Some(index.parse::<usize>().ok()?)),
            None => (step, None),
        };
        if step.is_empty() || !step.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        if at > 0 || step != resource.resource_type().name() {
            let called = NameId::of(step);
            found =
                found.into_iter().flat_map(|e| e.children().filter(move |c| c.name_id() == called)).collect();
        }
        if let Some(index) = index {
            found = found.get(index).copied().into_iter().collect();
        }
    }
    Some(found.into_iter().map(Element::id).collect())
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
