//! Writes the resource tree as XML, elements in the specification's order.
//!
//! What JSON can say and XML cannot is left out: `_id` of an element, `_url`
//! of an extension, and `_div` of a narrative. Control characters that no XML
//! document can hold become U+FFFD. Narrative that is not well-formed XHTML
//! is written as the text that it is, so that the document is well-formed.
//!
//! Spec: <https://hl7.org/fhir/R4/xml.html>

use super::{FHIR, narrative};
use crate::schema::{TypeKind, name, ty};
use crate::tree::{Element, Resource};

/// Writes a resource as XML.
pub fn to_xml(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write_element(resource.root(), &mut out);
    out
}

/// Writes a resource as XML over several lines, two spaces a level; narrative
/// is left as it is.
pub fn to_xml_pretty(resource: &Resource) -> Vec<u8> {
    let mut out = Vec::with_capacity(2048);
    let root = resource.root();
    Writer { out: &mut out, is_pretty: true }.element(root, root.ty().name(), Some(FHIR), 0);
    out
}

/// Writes an element as a document of its own: a resource under the name of
/// its type, any other element under its own name, the FHIR namespace
/// declared.
pub fn write_element(element: Element<'_>, out: &mut Vec<u8>) {
    let tag = match element.property() {
        Some(property) if !element.is_resource() => property.name,
        _ => element.ty().name(),
    };
    Writer { out, is_pretty: false }.element(element, tag, Some(FHIR), 0);
}

struct Writer<'o> {
    out: &'o mut Vec<u8>,
    is_pretty: bool,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn new_line(&mut self, level: usize) {
        if self.is_pretty && !self.out.is_empty() {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + 2 * level, b' ');
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.push(" ");
        self.push(name);
        self.push("=\"");
        write_escaped(value, self.out);
        self.push("\"");
    }

    fn element(&mut self, element: Element<'_>, tag: &str, namespace: Option<&str>, level: usize) {
        self.new_line(level);
        if element.ty() == ty::XHTML {
            let xhtml = element.value().map(narrative::to_xml);
            self.push(xhtml.as_deref().unwrap_or_default());
            return;
        }
        self.push("<");
        self.push(tag);
        if let Some(namespace) = namespace {
            self.attribute("xmlns", namespace);
        }
        let is_resource = element.is_resource();
        let is_extension = element.ty() == ty::EXTENSION;
        let mut children = smallvec::SmallVec::<[Element<'_>; 16]>::new();
        for child in element.children() {
            match child.name_id() {
                Some(name::ID) if !is_resource => self.attribute("id", child.value().unwrap_or_default()),
                Some(name::URL) if is_extension => self.attribute("url", child.value().unwrap_or_default()),
                _ => children.push(child),
            }
        }
        if let Some(value) = element.value() {
            self.attribute("value", value);
        }
        if children.is_empty() {
            self.push("/>");
            return;
        }
        self.push(">");
        if !children.is_sorted_by_key(order) {
            children.sort_by_key(order);
        }
        for child in children {
            self.child(child, level + 1);
        }
        self.new_line(level);
        self.push("</");
        self.push(tag);
        self.push(">");
    }

    fn child(&mut self, child: Element<'_>, level: usize) {
        let Some(property) = child.property() else { return };
        if child.definition().kind != TypeKind::Resource {
            self.element(child, property.name, None, level);
            return;
        }
        self.new_line(level);
        self.push("<");
        self.push(property.name);
        self.push(">");
        self.element(child, child.ty().name(), None, level + 1);
        self.new_line(level);
        self.push("</");
        self.push(property.name);
        self.push(">");
    }
}

fn order(element: &Element<'_>) -> u16 {
    element.property().map_or(0, |p| p.element.order)
}

/// Writes the value of an attribute, white space that XML would change as references.
fn write_escaped(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) =
        rest.bytes().position(|b| b < 0x20 || matches!(b, b'&' | b'<' | b'>' | b'"') || b == 0xEF)
    {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        match chars.next() {
            Some('&') => out.extend_from_slice(b"&amp;"),
            Some('<') => out.extend_from_slice(b"&lt;"),
            Some('>') => out.extend_from_slice(b"&gt;"),
            Some('"') => out.extend_from_slice(b"&quot;"),
            Some('\n') => out.extend_from_slice(b"&#xA;"),
            Some('\r') => out.extend_from_slice(b"&#xD;"),
            Some('\t') => out.extend_from_slice(b"&#x9;"),
            Some(c) => {
                let c = if super::tag::is_character(c) { c } else { '\u{fffd}' };
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => break,
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}
