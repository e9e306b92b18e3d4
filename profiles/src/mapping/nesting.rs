//! How deep elements of the target are nested: no deeper than resources are
//! read, since whatever is made is walked again.

use std::collections::HashMap;

use fhir_model::tree::{Element, NodeId, Resource};

use super::error::TransformErrorKind;
use super::run::Outcome;

/// How deep elements may be nested, the root counted as 0.
const NESTING_MAX: u32 = 100;

/// The depth of the elements that rules made.
#[derive(Default)]
pub(super) struct Nesting {
    depths: HashMap<NodeId, u32>,
}

impl Nesting {
    /// Returns the depth of what is put into `parent`, if it may be put there.
    pub(super) fn below(&mut self, out: &Resource, parent: NodeId) -> Outcome<u32> {
        if !self.depths.contains_key(&parent) {
            // It came with a copy: all that is in the tree is looked at once more.
            self.look(out);
        }
        let depth = self.depths.get(&parent).copied().unwrap_or_default() + 1;
        if depth > NESTING_MAX { Err(TransformErrorKind::TooNested(NESTING_MAX)) } else { Ok(depth) }
    }

    /// Keeps the depth of an element that was made.
    pub(super) fn keep(&mut self, made: NodeId, depth: u32) {
        self.depths.insert(made, depth);
    }

    fn look(&mut self, out: &Resource) {
        let mut open = vec![(out.root(), 0)];
        while let Some((element, depth)) = open.pop() {
            self.depths.insert(element.id(), depth);
            open.extend(element.children().map(|child| (child, depth + 1)));
        }
    }

    /// Counts the elements and the bytes of text of what is copied into `to`.
    pub(super) fn measure(&mut self, out: &Resource, to: NodeId, copied: Element<'_>) -> Outcome<Measure> {
        let depth = self.below(out, to)?;
        let mut measure = Measure { elements: 0, text_bytes: 0 };
        let mut open = vec![(copied, depth)];
        while let Some((element, depth)) = open.pop() {
            if depth > NESTING_MAX {
                return Err(TransformErrorKind::TooNested(NESTING_MAX));
            }
            measure.elements += 1;
            measure.text_bytes += element.value().map_or(0, str::len);
            open.extend(element.children().map(|child| (child, depth + 1)));
        }
        Ok(measure)
    }
}

/// How large a copy is.
pub(super) struct Measure {
    pub(super) elements: usize,
    pub(super) text_bytes: usize,
}
