//! Writes elements as XML.

use std::fmt::Write as _;

use super::read::is_character;
use super::{Element, Node};
use crate::wire::namespaces;

impl Element {
    /// Writes the element as a document of UTF-8, without declaration. All
    /// namespaces are declared at the root. Characters that XML does not have
    /// are written as U+FFFD.
    pub fn to_xml(&self) -> String {
        let mut used: Vec<&str> = Vec::new();
        gather(self, &mut used);
        let mut prefixes: Vec<(&str, String)> = Vec::with_capacity(used.len());
        for namespace in used {
            let known = namespaces::prefix(namespace).map(str::to_owned);
            // A message has one version of SOAP; should it name both, they differ.
            let known = known.filter(|prefix| prefixes.iter().all(|(_, other)| other != prefix));
            let prefix = known.unwrap_or_else(|| format!("ns{}", prefixes.len()));
            prefixes.push((namespace, prefix));
        }
        let mut out = String::with_capacity(1024 + fragments_length(self));
        write(self, &prefixes, true, &mut out);
        out
    }
}

/// Gathers the namespaces of a tree, each once, in the order of their coming.
fn gather<'e>(element: &'e Element, used: &mut Vec<&'e str>) {
    note(&element.namespace, used);
    element.attributes.iter().for_each(|attribute| note(&attribute.namespace, used));
    for node in &element.children {
        match node {
            Node::Element(child) => gather(child, used),
            Node::Fragment(fragment) => note(fragment.namespace(), used),
            Node::Text(_) => {}
        }
    }
}

/// Returns how long the fragments in a tree are.
fn fragments_length(element: &Element) -> usize {
    let length = |node: &Node| match node {
        Node::Element(child) => fragments_length(child),
        Node::Fragment(fragment) => fragment.xml.len(),
        Node::Text(_) => 0,
    };
    element.children.iter().map(length).sum()
}

fn note<'e>(namespace: &'e str, used: &mut Vec<&'e str>) {
    if !namespace.is_empty() && !used.contains(&namespace) {
        used.push(namespace);
    }
}

fn write(element: &Element, prefixes: &[(&str, String)], is_root: bool, out: &mut String) {
    let name = |namespace: &str, local: &str, out: &mut String| {
        if let Some((_, prefix)) = prefixes.iter().find(|(known, _)| *known == namespace) {
            out.push_str(prefix);
            out.push(':');
        }
        out.push_str(local);
    };
    out.push('<');
    name(&element.namespace, &element.local, out);
    if is_root {
        for (namespace, prefix) in prefixes.iter().filter(|(_, prefix)| prefix != "xml") {
            // Writing to a String cannot fail.
            let _ = write!(out, " xmlns:{prefix}=\"");
            escape(namespace, true, out);
            out.push('"');
        }
    }
    for attribute in &element.attributes {
        out.push(' ');
        name(&attribute.namespace, &attribute.local, out);
        out.push_str("=\"");
        escape(&attribute.value, true, out);
        out.push('"');
    }
    if element.children.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for node in &element.children {
        match node {
            Node::Element(child) => write(child, prefixes, false, out),
            Node::Text(text) => escape(text, false, out),
            Node::Fragment(fragment) => out.push_str(&fragment.xml),
        }
    }
    out.push_str("</");
    name(&element.namespace, &element.local, out);
    out.push('>');
}

/// Bytes that cannot stand in text as they are, or begin a character that may not.
const IN_TEXT: [bool; 256] = special(b"&<>");
/// The same in an attribute, where blanks would be read as others.
const IN_ATTRIBUTE: [bool; 256] = special(b"&<>\"\t\n");

const fn special(given: &[u8]) -> [bool; 256] {
    let mut is_special = [false; 256];
    let mut at = 0;
    while at < 0x20 {
        is_special[at] = at as u8 != b'\t' && at as u8 != b'\n';
        at += 1;
    }
    // With this byte U+FFFE and U+FFFF begin, which XML does not have.
    is_special[0xEF] = true;
    at = 0;
    while at < given.len() {
        is_special[given[at] as usize] = true;
        at += 1;
    }
    is_special
}

/// Writes text so that it is read as it is.
pub(super) fn escape(text: &str, in_attribute: bool, out: &mut String) {
    let is_special = if in_attribute { &IN_ATTRIBUTE } else { &IN_TEXT };
    // Most of it can stand as it is: that is copied at once.
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| is_special[usize::from(byte)]) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut after = special.chars();
        match after.next() {
            Some('&') => out.push_str("&amp;"),
            Some('<') => out.push_str("&lt;"),
            Some('>') => out.push_str("&gt;"),
            Some('"') => out.push_str("&quot;"),
            // Would be read as a blank, or as another end of line.
            Some(c @ ('\t' | '\n' | '\r')) => _ = write!(out, "&#{};", u32::from(c)),
            Some(c) if is_character(c) => out.push(c),
            _ => out.push('\u{FFFD}'),
        }
        rest = after.as_str();
    }
    out.push_str(rest);
}
