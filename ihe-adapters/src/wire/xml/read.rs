//! Reads XML into elements.

use std::collections::HashMap;
use std::sync::Arc;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use super::{Attribute, Element, Node};

/// How much a message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its bytes.
    pub bytes_max: usize,
    /// How deep elements may be nested.
    pub depth_max: usize,
    /// How many elements it may have.
    pub elements_max: usize,
    /// How many attributes an element may have.
    pub attributes_max: usize,
}

impl Default for Limits {
    /// A registry answers with thousands of documents in one message; nothing
    /// sensible nests deeper than security headers do.
    fn default() -> Limits {
        Limits { bytes_max: 64 << 20, depth_max: 64, elements_max: 1_000_000, attributes_max: 64 }
    }
}

/// Why a text is no message, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} (line {line}, column {column})")]
pub struct XmlError {
    /// What is wrong.
    pub problem: String,
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
}

impl Element {
    /// Reads a document.
    ///
    /// # Errors
    /// When it is not well-formed, holds what is not allowed, or too much.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Element, XmlError> {
        let at_begin = |problem: String| XmlError { problem, line: 1, column: 1 };
        if bytes.len() > limits.bytes_max {
            return Err(at_begin(format!("longer than {} bytes", limits.bytes_max)));
        }
        let text = decoded(bytes).map_err(at_begin)?;
        let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
        allowed(source).map_err(at_begin)?;
        let mut reader = NsReader::from_str(source);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().check_comments = true;
        let mut reading =
            Reading { xml: reader, limits, open: Vec::new(), elements: 0, namespaces: HashMap::new() };
        reading.document().map_err(|problem| {
            let at = (reading.xml.buffer_position() as usize).min(source.len());
            let before = source.get(..at).unwrap_or(source);
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            XmlError { problem, line, column }
        })
    }
}

/// Returns the text of an element as it stands in a document, by the names of
/// those that it stands in and its own; the namespaces that hold there are
/// declared at it. For what is signed, which must not be written anew.
///
/// `None` when there is no such element. The document was read before: what is
/// wrong with it was told then.
pub fn source_of(bytes: &[u8], path: &[(&str, &str)]) -> Option<String> {
    let text = decoded(bytes).ok()?;
    let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut xml = NsReader::from_str(source);
    xml.config_mut().expand_empty_elements = false;
    // The declarations of each element that is open.
    let mut declared: Vec<Vec<(String, String)>> = Vec::new();
    let mut matched = 0;
    let mut found: Option<(usize, usize)> = None;
    loop {
        let at = usize::try_from(xml.buffer_position()).ok()?;
        let event = xml.read_event().ok()?;
        let after = usize::try_from(xml.buffer_position()).ok()?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let bindings = start.attributes().filter_map(Result::ok).filter_map(|attribute| {
                    attribute.key.as_namespace_binding()?;
                    Some((attribute.key.into_inner().to_owned(), attribute.value.to_string()))
                });
                declared.push(bindings.collect());
                let (namespace, local) = xml.resolver().resolve_element(start.name());
                let name = (bound(&namespace).ok()?, local.into_inner().to_owned());
                let is_next = path.get(matched).is_some_and(|(namespace, local)| {
                    (*namespace, *local) == (name.0.as_str(), name.1.as_str())
                });
                if found.is_none() && matched + 1 == declared.len() && is_next {
                    matched += 1;
                    if matched == path.len() {
                        found = Some((at, declared.len()));
                    }
                }
                if is_empty {
                    if let Some((begin, depth)) = found.filter(|(_, depth)| *depth == declared.len()) {
                        return with_namespaces(source.get(begin..after)?, &declared, depth);
                    }
                    declared.pop();
                    matched = matched.min(declared.len());
                }
            }
            Event::End(_) => {
                if let Some((begin, depth)) = found.filter(|(_, depth)| *depth == declared.len()) {
                    return with_namespaces(source.get(begin..after)?, &declared, depth);
                }
                declared.pop();
                matched = matched.min(declared.len());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// Declares at an element what is declared around it.
fn with_namespaces(element: &str, declared: &[Vec<(String, String)>], depth: usize) -> Option<String> {
    let (around, own) = declared.split_at_checked(depth.checked_sub(1)?)?;
    let mut known: Vec<&str> = own.first()?.iter().map(|(name, _)| name.as_str()).collect();
    let name_ends = element.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'))?;
    let (mut text, rest) = (element.get(..name_ends)?.to_owned(), element.get(name_ends..)?);
    for (name, value) in around.iter().rev().flatten() {
        if !known.contains(&name.as_str()) {
            known.push(name);
            text.push_str(&format!(" {name}=\"{}\"", value.replace('"', "&quot;")));
        }
    }
    text.push_str(rest);
    Some(text)
}

/// Decodes a document: by its byte order mark, or the encoding that it declares.
fn decoded(bytes: &[u8]) -> Result<std::borrow::Cow<'_, str>, String> {
    let utf_16 = |unit: fn([u8; 2]) -> u16| {
        let units = bytes.get(2..).unwrap_or_default().chunks(2).map(|pair| match pair {
            [first, second] => unit([*first, *second]),
            _ => 0xFFFF,
        });
        let text: Result<String, _> = char::decode_utf16(units).collect();
        text.map(Into::into).map_err(|_| "not UTF-16, as its byte order mark says".to_owned())
    };
    match bytes {
        [0xFF, 0xFE, ..] => return utf_16(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => return utf_16(u16::from_be_bytes),
        _ => {}
    }
    match declared_encoding(bytes).as_deref() {
        None | Some("utf-8" | "us-ascii" | "utf8") => {
            std::str::from_utf8(bytes).map(Into::into).map_err(|error| format!("not UTF-8: {error}"))
        }
        Some("iso-8859-1" | "latin1") => Ok(bytes.iter().map(|b| char::from(*b)).collect::<String>().into()),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            Err(format!("the encoding `{other}` is not known here; send UTF-8"))
        }
    }
}

/// Returns the encoding that the XML declaration names, in small letters.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    let declaration = bytes.get(..bytes.len().min(200))?.strip_prefix(b"<?xml")?;
    let end = declaration.windows(2).position(|two| two == b"?>")?;
    let declaration = std::str::from_utf8(declaration.get(..end)?).ok()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some(value.get(1..)?.split(quote).next()?.to_ascii_lowercase())
}

struct Reading<'s> {
    xml: NsReader<&'s [u8]>,
    limits: &'s Limits,
    open: Vec<Element>,
    elements: usize,
    /// Each namespace once.
    namespaces: HashMap<String, Arc<str>>,
}

type Outcome<T> = Result<T, String>;

impl Reading<'_> {
    fn document(&mut self) -> Outcome<Element> {
        let mut root = None;
        loop {
            match self.xml.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => {
                    if root.is_some() {
                        return Err("a second element beside the root".to_owned());
                    }
                    let start = start.into_owned();
                    let element = self.element(&start)?;
                    self.open.push(element);
                }
                Event::End(_) => {
                    let Some(element) = self.open.pop() else { return Err("an end too many".to_owned()) };
                    match self.open.last_mut() {
                        Some(parent) => parent.children.push(Node::Element(element)),
                        None => root = Some(element),
                    }
                }
                Event::Text(text) => {
                    let text = text.xml10_content().into_owned();
                    self.text(&text)?;
                }
                Event::CData(text) => {
                    let text = text.xml10_content().into_owned();
                    self.text(&text)?;
                }
                Event::GeneralRef(reference) => {
                    match reference.resolve_char_ref().map_err(|error| error.to_string())? {
                        Some(c) => self.text(c.encode_utf8(&mut [0; 4]))?,
                        None => {
                            let name = reference.xml10_content();
                            let text = resolve_xml_entity(&name).ok_or_else(|| {
                                let name: String = name.chars().take(40).collect();
                                format!("the entity `{name}` is not known")
                            })?;
                            self.text(text)?;
                        }
                    }
                }
                Event::DocType(_) => return Err("a document type declaration is not allowed".to_owned()),
                Event::Eof if !self.open.is_empty() => return Err("an element without end".to_owned()),
                Event::Eof => return root.ok_or_else(|| "no element".to_owned()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        }
    }

    fn element(&mut self, start: &BytesStart<'_>) -> Outcome<Element> {
        if self.open.len() >= self.limits.depth_max {
            return Err(format!("elements nested deeper than {}", self.limits.depth_max));
        }
        self.elements += 1;
        if self.elements > self.limits.elements_max {
            return Err(format!("more than {} elements", self.limits.elements_max));
        }
        let (namespace, local) = self.xml.resolver().resolve_element(start.name());
        let namespace = bound(&namespace)?;
        let local = local.into_inner().to_owned();
        let mut attributes: Vec<Attribute> = Vec::new();
        let mut count = 0;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            count += 1;
            if count > self.limits.attributes_max {
                return Err(format!("more than {} attributes", self.limits.attributes_max));
            }
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|e| e.to_string())?;
            let value = value.into_owned();
            allowed(&value)?;
            let (namespace, local) = self.xml.resolver().resolve_attribute(attribute.key);
            let (namespace, local) = (bound(&namespace)?, local.into_inner().to_owned());
            let namespace = kept(&mut self.namespaces, &namespace);
            if attributes.iter().any(|a| a.local == local && a.namespace == namespace) {
                return Err(format!("the attribute `{local}` twice"));
            }
            attributes.push(Attribute { namespace, local, value });
        }
        let namespace = kept(&mut self.namespaces, &namespace);
        Ok(Element { namespace, local, attributes, children: Vec::new() })
    }

    fn text(&mut self, text: &str) -> Outcome<()> {
        allowed(text)?;
        let Some(element) = self.open.last_mut() else {
            return if text.trim().is_empty() { Ok(()) } else { Err("text outside the root".to_owned()) };
        };
        match element.children.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => element.children.push(Node::Text(text.to_owned())),
        }
        Ok(())
    }
}

/// Makes sure that a text has none but characters that may stand in a document, wherever
/// it stands, or whatever refers to them.
fn allowed(text: &str) -> Outcome<()> {
    match text.chars().find(|c| !is_character(*c)) {
        Some(bad) => Err(format!("the character U+{:04X} is not allowed", u32::from(bad))),
        None => Ok(()),
    }
}

/// Tells whether a character may stand in a document.
///
/// Spec: <https://www.w3.org/TR/xml/#charsets>
pub(super) fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

fn bound(namespace: &ResolveResult<'_>) -> Outcome<String> {
    match namespace {
        // The reader leaves references in namespaces as they are.
        ResolveResult::Bound(namespace) => match quick_xml::escape::unescape(namespace.0) {
            Ok(namespace) => allowed(&namespace).map(|()| namespace.into_owned()),
            Err(error) => Err(error.to_string()),
        },
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(prefix) => {
            let prefix: String = prefix.chars().take(40).collect();
            Err(format!("the prefix `{prefix}` is bound to no namespace"))
        }
    }
}

fn kept(namespaces: &mut HashMap<String, Arc<str>>, namespace: &str) -> Arc<str> {
    if let Some(known) = namespaces.get(namespace) {
        return Arc::clone(known);
    }
    let new: Arc<str> = namespace.into();
    namespaces.insert(namespace.to_owned(), Arc::clone(&new));
    new
}
