//! Trees other than resources: expressions walk them as they walk elements.
//!
//! A CDA document that a map transforms is such a tree.

use std::fmt;

use crate::fhirpath::value::Value;

/// A tree whose nodes expressions can walk.
pub trait ExternalTree {
    /// Gives the children of a node to `each`, in order: those of a name, or all.
    fn children(&self, node: u32, name: Option<&str>, each: &mut dyn FnMut(u32));

    /// Returns the name of the type of a node.
    fn type_name(&self, node: u32) -> &'static str;

    /// Tells whether a node is of the type, or of one that specializes it.
    fn is_a(&self, node: u32, type_name: &str) -> bool;

    /// Returns the value of a node as one of FHIRPath's own, if it has one.
    fn value(&self, node: u32) -> Option<Value<'_>>;

    /// Returns the value of a node as text, as it was written.
    fn text(&self, node: u32) -> Option<&str>;
}

/// A node of such a tree: a place in it, cheap to copy.
#[derive(Clone, Copy)]
pub struct External<'r> {
    tree: &'r dyn ExternalTree,
    node: u32,
}

impl<'r> External<'r> {
    /// Makes the place of a node.
    pub fn new(tree: &'r dyn ExternalTree, node: u32) -> External<'r> {
        External { tree, node }
    }

    /// Returns the number of the node.
    pub fn node(self) -> u32 {
        self.node
    }

    /// Returns the tree.
    pub fn tree(self) -> &'r dyn ExternalTree {
        self.tree
    }

    /// Returns the name of its type.
    pub fn type_name(self) -> &'static str {
        self.tree.type_name(self.node)
    }

    /// Tells whether it is of the type, or of one that specializes it.
    pub fn is_a(self, type_name: &str) -> bool {
        self.tree.is_a(self.node, type_name)
    }

    /// Returns its value as one of FHIRPath's own, if it has one.
    pub fn value(self) -> Option<Value<'r>> {
        self.tree.value(self.node)
    }

    /// Returns its value as text, as it was written.
    pub fn text(self) -> Option<&'r str> {
        self.tree.text(self.node)
    }

    /// Returns its children, of a name or all.
    pub fn children(self, name: Option<&str>) -> Vec<External<'r>> {
        let mut out = Vec::new();
        self.tree.children(self.node, name, &mut |node| out.push(External { tree: self.tree, node }));
        out
    }
}

impl PartialEq for External<'_> {
    /// The same place in the same tree.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.tree, other.tree) && self.node == other.node
    }
}

impl fmt::Debug for External<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.type_name(), self.node)
    }
}
