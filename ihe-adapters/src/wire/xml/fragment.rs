//! Elements that are written at once, without a tree of them: for what a
//! message has thousands of.

use super::write::escape;
use crate::wire::namespaces;

/// Elements of one namespace as text. They stand within an element of a
/// message, which declares the namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    namespace: &'static str,
    prefix: &'static str,
    pub(super) xml: String,
    /// Whether what was written last is a tag that has not ended.
    is_in_tag: bool,
}

impl Fragment {
    /// Begins to write elements of a namespace that has a prefix of its own;
    /// elements of another have no namespace. `bytes`: about how many it gets.
    pub fn new(namespace: &'static str, bytes: usize) -> Fragment {
        let (namespace, prefix) = match namespaces::prefix(namespace) {
            Some(prefix) => (namespace, prefix),
            None => ("", ""),
        };
        Fragment { namespace, prefix, xml: String::with_capacity(bytes), is_in_tag: false }
    }

    /// Tells whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.xml.is_empty()
    }

    /// Returns the namespace of its elements.
    pub(super) fn namespace(&self) -> &'static str {
        self.namespace
    }

    /// Writes an element: its attributes, by their names with prefix, where
    /// they have a value, and what `inside` writes.
    pub fn element(
        &mut self,
        local: &str,
        attributes: &[(&str, Option<&str>)],
        inside: impl FnOnce(&mut Fragment),
    ) {
        self.end_tag();
        self.xml.push('<');
        self.name(local);
        for (name, value) in attributes {
            let Some(value) = value else { continue };
            self.xml.push(' ');
            self.xml.push_str(name);
            self.xml.push_str("=\"");
            escape(value, true, &mut self.xml);
            self.xml.push('"');
        }
        self.is_in_tag = true;
        inside(self);
        if std::mem::take(&mut self.is_in_tag) {
            self.xml.push_str("/>");
            return;
        }
        self.xml.push_str("</");
        self.name(local);
        self.xml.push('>');
    }

    /// Writes text.
    pub fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.end_tag();
            escape(text, false, &mut self.xml);
        }
    }

    fn end_tag(&mut self) {
        if std::mem::take(&mut self.is_in_tag) {
            self.xml.push('>');
        }
    }

    fn name(&mut self, local: &str) {
        if !self.prefix.is_empty() {
            self.xml.push_str(self.prefix);
            self.xml.push(':');
        }
        self.xml.push_str(local);
    }
}
