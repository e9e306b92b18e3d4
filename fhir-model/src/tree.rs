//! A resource in memory: a flat tree driven by the element tables.
//!
//! All nodes of a resource lie in one vector and all text in one string, so
//! that parsing allocates twice, copying is two memory copies, and walking is
//! following numbers. Text is kept as written: a decimal keeps its precision,
//! a date its partial form. Edits append and relink; what they leave behind is
//! never written out.
//!
//! Invariants: the first node is the root, a resource; each child's property
//! belongs to the type of its parent; children stand in document order, the
//! repetitions of one element next to each other.

use std::fmt;

use crate::schema::{self, NameId, Property, TypeDefinition, TypeId};

/// The number of a node within its [`Resource`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

const NONE: u32 = u32::MAX;

/// The greatest number of bytes of text in one resource.
pub const TEXT_BYTES_MAX: usize = (u32::MAX - 1) as usize;

#[derive(Clone, Copy)]
struct Node {
    /// The property under which it hangs; `None` for the root.
    property: Option<&'static Property>,
    ty: TypeId,
    first_child: u32,
    next: u32,
    /// The value of a primitive in `text`; `start` is `NONE` without one.
    start: u32,
    len: u32,
}

/// A resource, as a tree of elements.
#[derive(Clone)]
pub struct Resource {
    text: String,
    nodes: Vec<Node>,
}

impl Resource {
    /// Makes an empty resource of a type.
    pub fn new(resource_type: TypeId) -> Resource {
        let mut resource = Resource { text: String::new(), nodes: Vec::new() };
        resource.push(None, resource_type);
        resource
    }

    /// Makes a resource to be read from a document of so many bytes; its type
    /// is set when it is known.
    pub(crate) fn with_text_guess(bytes: usize) -> Resource {
        let mut resource = Resource { text: String::new(), nodes: Vec::with_capacity(bytes / 48 + 4) };
        resource.push(None, schema::ty::RESOURCE);
        resource
    }

    /// Takes over the text that spans were set for: `document`, and behind it
    /// `unescaped`.
    pub(crate) fn take_text(&mut self, document: String, unescaped: &str) {
        self.text = document;
        self.text.push_str(unescaped);
    }

    /// Returns the root element.
    pub fn root(&self) -> Element<'_> {
        Element { resource: self, id: NodeId(0) }
    }

    /// Returns the resource type.
    pub fn resource_type(&self) -> TypeId {
        self.nodes[0].ty
    }

    /// Returns the logical id, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.root().text_of(schema::name::ID)
    }

    /// Returns the element with that number.
    pub fn element(&self, id: NodeId) -> Element<'_> {
        Element { resource: self, id }
    }

    /// Copies the element `at`, a resource within this one (an entry's or a
    /// contained one), as a resource of its own.
    pub fn extract(&self, at: NodeId) -> Resource {
        let mut out = Resource::new(self.nodes[at.0 as usize].ty);
        out.copy_children(out.root_id(), self.element(at));
        out
    }

    /// Returns the number of the root.
    pub fn root_id(&self) -> NodeId {
        NodeId(0)
    }

    fn push(&mut self, property: Option<&'static Property>, ty: TypeId) -> NodeId {
        let id = self.nodes.len() as u32;
        self.nodes.push(Node { property, ty, first_child: NONE, next: NONE, start: NONE, len: 0 });
        NodeId(id)
    }

    /// Appends a node after `after`, the last child of `parent` so far; for readers.
    pub(crate) fn append_after(
        &mut self,
        parent: NodeId,
        after: Option<NodeId>,
        property: &'static Property,
        ty: TypeId,
    ) -> NodeId {
        let id = self.push(Some(property), ty);
        match after {
            Some(last) => self.nodes[last.0 as usize].next = id.0,
            None => self.nodes[parent.0 as usize].first_child = id.0,
        }
        id
    }

    /// Returns what stands right behind `node`, where it is of the same property; for readers.
    pub(crate) fn next_repetition(&self, node: NodeId) -> Option<NodeId> {
        let node = self.nodes.get(node.0 as usize)?;
        let following = self.nodes.get(node.next as usize)?;
        let is_same = following.property.zip(node.property).is_some_and(|(a, b)| std::ptr::eq(a, b));
        is_same.then_some(NodeId(node.next))
    }

    /// Sets a value to a span of the text that the resource was made with; for readers.
    pub(crate) fn set_span(&mut self, node: NodeId, start: usize, len: usize) {
        let node = &mut self.nodes[node.0 as usize];
        node.start = start as u32;
        node.len = len as u32;
    }

    /// Sets the resource type of a node whose type was not known when it was made; for readers.
    pub(crate) fn set_type(&mut self, node: NodeId, ty: TypeId) {
        self.nodes[node.0 as usize].ty = ty;
    }

    /// Appends text that values may point into, and returns where.
    fn push_text(&mut self, text: &str) -> usize {
        let start = self.text.len();
        self.text.push_str(text);
        start
    }

    /// Adds an element as the last child of `parent`, next to its repetitions
    /// where there are some.
    ///
    /// `property` must belong to the type of `parent`; `ty` is its type, or
    /// the resource type where the property holds a resource.
    pub fn add(&mut self, parent: NodeId, property: &'static Property, ty: TypeId) -> NodeId {
        let last_repetition = self
            .element(parent)
            .children()
            .filter(|c| c.name_id() == Some(property.element.name_id))
            .last()
            .map(|c| c.id);
        match last_repetition.or_else(|| self.element(parent).children().last().map(|c| c.id)) {
            Some(after) => self.insert_after(after, property, ty),
            None => self.insert_first(parent, property, ty),
        }
    }

    /// Adds a primitive element with a value; see [`Resource::add`].
    pub fn add_value(&mut self, parent: NodeId, property: &'static Property, value: &str) -> NodeId {
        let node = self.add(parent, property, property.ty);
        self.set_value(node, value);
        node
    }

    /// Makes an element that hangs nowhere yet; [`Resource::set_children`] puts it in its place.
    pub fn add_detached(&mut self, property: &'static Property) -> NodeId {
        self.push(Some(property), property.ty)
    }

    /// Adds an element as the first child of `parent`.
    pub fn insert_first(&mut self, parent: NodeId, property: &'static Property, ty: TypeId) -> NodeId {
        let id = self.push(Some(property), ty);
        self.nodes[id.0 as usize].next = self.nodes[parent.0 as usize].first_child;
        self.nodes[parent.0 as usize].first_child = id.0;
        id
    }

    /// Adds an element right behind its future sibling `before`.
    pub fn insert_after(&mut self, before: NodeId, property: &'static Property, ty: TypeId) -> NodeId {
        let id = self.push(Some(property), ty);
        self.nodes[id.0 as usize].next = self.nodes[before.0 as usize].next;
        self.nodes[before.0 as usize].next = id.0;
        id
    }

    /// Sets the value of a primitive. The caller has checked its grammar.
    pub fn set_value(&mut self, node: NodeId, value: &str) {
        let start = self.push_text(value);
        self.set_span(node, start, value.len());
    }

    /// Takes the value of a primitive away; extensions stay.
    pub fn clear_value(&mut self, node: NodeId) {
        let node = &mut self.nodes[node.0 as usize];
        node.start = NONE;
        node.len = 0;
    }

    /// Takes `child` out of `parent`; tells whether it was there.
    pub fn remove(&mut self, parent: NodeId, child: NodeId) -> bool {
        let next = self.nodes[child.0 as usize].next;
        let mut link = &mut self.nodes[parent.0 as usize].first_child;
        loop {
            match *link {
                NONE => return false,
                at if at == child.0 => {
                    *link = next;
                    self.nodes[child.0 as usize].next = NONE;
                    return true;
                }
                at => link = &mut self.nodes[at as usize].next,
            }
        }
    }

    /// Takes all children called `name` out of `parent`; returns how many there were.
    pub fn remove_named(&mut self, parent: NodeId, name: NameId) -> usize {
        let doomed: Vec<NodeId> = self.element(parent).children_named(name).map(|child| child.id).collect();
        doomed.iter().filter(|child| self.remove(parent, **child)).count()
    }

    /// Makes `children` the children of `parent`, in that order. They must be
    /// nodes of this resource whose properties belong to the parent's type.
    pub fn set_children(&mut self, parent: NodeId, children: &[NodeId]) {
        self.nodes[parent.0 as usize].first_child = children.first().map_or(NONE, |c| c.0);
        for (at, child) in children.iter().enumerate() {
            self.nodes[child.0 as usize].next = children.get(at + 1).map_or(NONE, |c| c.0);
        }
    }

    /// Gives `to` the value and copies of the children of `from`, behind the
    /// children it has.
    pub fn copy_children(&mut self, to: NodeId, from: Element<'_>) {
        if let Some(value) = from.value() {
            self.set_value(to, value);
        }
        let mut last = self.element(to).children().last().map(|c| c.id);
        for child in from.children() {
            let Some(property) = child.property() else { continue };
            let copy = self.append_after(to, last, property, child.ty());
            self.copy_children(copy, child);
            last = Some(copy);
        }
    }
}

impl PartialEq for Resource {
    /// Equal content in equal order; how it came about does not matter.
    fn eq(&self, other: &Resource) -> bool {
        fn equal(a: Element<'_>, b: Element<'_>) -> bool {
            a.ty() == b.ty()
                && a.value() == b.value()
                && a.property().map(|p| p.name) == b.property().map(|p| p.name)
                && a.children().count() == b.children().count()
                && a.children().zip(b.children()).all(|(a, b)| equal(a, b))
        }
        equal(self.root(), other.root())
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Content is patient data: only the identity is told.
        write!(f, "{}/{}", self.resource_type(), self.id().unwrap_or("-"))
    }
}

/// An element of a resource: a place in the tree, cheap to copy.
#[derive(Clone, Copy)]
pub struct Element<'r> {
    resource: &'r Resource,
    id: NodeId,
}

impl<'r> Element<'r> {
    fn node(self) -> &'r Node {
        &self.resource.nodes[self.id.0 as usize]
    }

    /// Returns the number of the node.
    pub fn id(self) -> NodeId {
        self.id
    }

    /// Returns the resource that holds it: the outermost one.
    pub fn resource(self) -> &'r Resource {
        self.resource
    }

    /// Returns its type: for `contained` and the like, the type of the resource.
    pub fn ty(self) -> TypeId {
        self.node().ty
    }

    /// Returns the definition of its type.
    pub fn definition(self) -> &'static TypeDefinition {
        self.ty().definition()
    }

    /// Returns the property under which it hangs; `None` for the root.
    pub fn property(self) -> Option<&'static Property> {
        self.node().property
    }

    /// Returns the number of its name without choice suffix; `None` for the root.
    pub fn name_id(self) -> Option<NameId> {
        self.node().property.map(|p| p.element.name_id)
    }

    /// Tells whether it is a resource: the root, an entry's or a contained one.
    pub fn is_resource(self) -> bool {
        self.definition().kind == schema::TypeKind::Resource
    }

    /// Returns the value of a primitive as text, as it was written.
    pub fn value(self) -> Option<&'r str> {
        let node = self.node();
        if node.start == NONE {
            return None;
        }
        self.resource.text.get(node.start as usize..(node.start + node.len) as usize)
    }

    /// Returns its children in document order.
    pub fn children(self) -> Children<'r> {
        Children { resource: self.resource, at: self.node().first_child }
    }

    /// Returns its children of one name, any type of a choice included.
    pub fn children_named(self, name: NameId) -> impl Iterator<Item = Element<'r>> + use<'r> {
        self.children().filter(move |c| c.name_id() == Some(name))
    }

    /// Returns the first child of that name.
    pub fn child(self, name: NameId) -> Option<Element<'r>> {
        self.children_named(name).next()
    }

    /// Returns the value of the first child of that name.
    pub fn text_of(self, name: NameId) -> Option<&'r str> {
        self.child(name)?.value()
    }

    /// Returns the first child of that name; `None` also for a name that no
    /// R4 element has.
    pub fn child_named(self, name: &str) -> Option<Element<'r>> {
        self.child(NameId::of(name)?)
    }

    /// Returns whether there is anything in it.
    pub fn is_empty(self) -> bool {
        self.node().start == NONE && self.node().first_child == NONE
    }
}

impl PartialEq for Element<'_> {
    /// The same place in the same resource.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resource, other.resource) && self.id == other.id
    }
}

impl fmt::Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.ty(), self.id.0)
    }
}

/// The children of an element.
#[derive(Clone)]
pub struct Children<'r> {
    resource: &'r Resource,
    at: u32,
}

impl<'r> Iterator for Children<'r> {
    type Item = Element<'r>;

    fn next(&mut self) -> Option<Element<'r>> {
        if self.at == NONE {
            return None;
        }
        let id = NodeId(self.at);
        self.at = self.resource.nodes[self.at as usize].next;
        Some(Element { resource: self.resource, id })
    }
}
