//! XML as the messages of the wires need it: a tree of elements with their
//! namespaces, read within limits and written with the prefixes that the
//! specifications print.
//!
//! Comments and processing instructions mean nothing in a message and are
//! passed over. A document type declaration is refused, and with it entities
//! from elsewhere and those that grow.
//!
//! Spec: <https://www.w3.org/TR/xml-names/>

mod fragment;
mod read;
mod without;
mod write;

use std::sync::Arc;

pub use fragment::Fragment;
pub use read::{Limits, XmlError, source_of};
pub use without::source_without;

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its namespace; empty for none.
    pub namespace: Arc<str>,
    /// Its name without prefix.
    pub local: String,
    /// Its attributes, without declarations of namespaces.
    pub attributes: Vec<Attribute>,
    /// What it contains.
    pub children: Vec<Node>,
}

/// An attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its namespace; empty for none.
    pub namespace: Arc<str>,
    /// Its name without prefix.
    pub local: String,
    /// Its value, with references resolved.
    pub value: String,
}

/// What an element contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, with references resolved. Neighbouring texts are one.
    Text(String),
    /// Elements of a message of ours that are written already, and not read.
    Fragment(Fragment),
}

impl Element {
    /// Makes an empty element.
    pub fn new(namespace: &str, local: &str) -> Element {
        Element {
            namespace: namespace.into(),
            local: local.to_owned(),
            attributes: Vec::new(),
            children: Vec::new(),
        }
    }

    /// Adds an attribute of no namespace.
    #[must_use]
    pub fn with_attribute(self, local: &str, value: impl Into<String>) -> Element {
        self.with_attribute_of("", local, value)
    }

    /// Adds an attribute of a namespace.
    #[must_use]
    pub fn with_attribute_of(mut self, namespace: &str, local: &str, value: impl Into<String>) -> Element {
        let (namespace, local) = (namespace.into(), local.to_owned());
        self.attributes.push(Attribute { namespace, local, value: value.into() });
        self
    }

    /// Adds an attribute of no namespace where there is a value.
    #[must_use]
    pub fn with_attribute_if(self, local: &str, value: Option<&str>) -> Element {
        match value {
            Some(value) => self.with_attribute(local, value),
            None => self,
        }
    }

    /// Adds an element.
    #[must_use]
    pub fn with_child(mut self, child: Element) -> Element {
        self.children.push(Node::Element(child));
        self
    }

    /// Adds elements.
    #[must_use]
    pub fn with_children(mut self, children: impl IntoIterator<Item = Element>) -> Element {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }

    /// Adds elements that are written already.
    #[must_use]
    pub fn with_fragment(mut self, fragment: Fragment) -> Element {
        if !fragment.is_empty() {
            self.children.push(Node::Fragment(fragment));
        }
        self
    }

    /// Adds text.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Element {
        let text = text.into();
        match self.children.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(before)) => before.push_str(&text),
            _ => self.children.push(Node::Text(text)),
        }
        self
    }

    /// Tells whether it has this name.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && &*self.namespace == namespace
    }

    /// Returns its elements.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) | Node::Fragment(_) => None,
        })
    }

    /// Returns its elements of a name.
    pub fn children_named<'e>(
        &'e self,
        namespace: &'e str,
        local: &'e str,
    ) -> impl Iterator<Item = &'e Element> {
        self.elements().filter(move |element| element.is(namespace, local))
    }

    /// Returns its first element of a name.
    pub fn child(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.elements().find(|element| element.is(namespace, local))
    }

    /// Returns the value of an attribute of no namespace.
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attribute_of("", local)
    }

    /// Returns the value of an attribute of a namespace.
    pub fn attribute_of(&self, namespace: &str, local: &str) -> Option<&str> {
        let is_it = |a: &&Attribute| a.local == local && &*a.namespace == namespace;
        self.attributes.iter().find(is_it).map(|a| a.value.as_str())
    }

    /// Returns the text that stands directly in it, without blanks around it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for node in &self.children {
            if let Node::Text(part) = node {
                text.push_str(part);
            }
        }
        let trimmed = text.trim();
        if trimmed.len() == text.len() { text } else { trimmed.to_owned() }
    }

    /// Returns the text of its first element of a name.
    pub fn text_of(&self, namespace: &str, local: &str) -> Option<String> {
        self.child(namespace, local).map(Element::text)
    }
}

#[cfg(test)]
mod tests;
