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
        let mut out = String::with_capacity(1024);
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

/// Writes text so that it is read as it is.
pub(super) fn escape(text: &str, in_attribute: bool, out: &mut String) {
    // Most of it can stand as it is: that is copied at once.
    let is_special = |c: char| match c {
        '&' | '<' | '>' | '\r' => true,
        '"' | '\t' | '\n' => in_attribute,
        c => !is_character(c),
    };
    let mut rest = text;
    while let Some((plain, c, after)) = split_at(rest, is_special) {
        out.push_str(plain);
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Would be read as a blank, or as another end of line.
            '\t' | '\n' | '\r' => _ = write!(out, "&#{};", u32::from(c)),
            _ => out.push('\u{FFFD}'),
        }
        rest = after;
    }
    out.push_str(rest);
}

/// Splits a text at the first character of a sort: what is before it, and after.
fn split_at(text: &str, is_it: impl Fn(char) -> bool) -> Option<(&str, char, &str)> {
    let (at, c) = text.char_indices().find(|(_, c)| is_it(*c))?;
    Some((text.get(..at)?, c, text.get(at + c.len_utf8()..)?))
}
