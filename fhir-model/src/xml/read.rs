//! Reads XML into the resource tree, against the element tables.
//!
//! Unknown elements and attributes, elements out of order, bad primitives,
//! text outside of narrative, foreign namespaces, document type declarations
//! and entities are refused with their FHIRPath location. Cardinality beyond
//! one or many, bindings and invariants are not looked at here.
//!
//! Narrative is kept as the string that JSON carries: see `narrative.rs`.
//! `xsi:schemaLocation` on the root, comments, and processing instructions
//! around the root (style sheets) mean nothing and are dropped.
//!
//! Spec: <https://hl7.org/fhir/R4/xml.html>

use std::collections::HashMap;

use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::{FHIR, XHTML, narrative, tag};
use crate::json::read::{
    Collected, DEPTH_MAX, Failure, ReadError, ReadErrorKind, Reading, Result2, count, note, placed, shortened,
};
use crate::primitive::check;
use crate::schema::{Property, TypeId, TypeKind, name, ty};
use crate::tree::{Element, NodeId, Resource, TEXT_BYTES_MAX};

/// The namespace of attributes that point to schemas.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Reads a resource from XML in UTF-8.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn read(document: impl Into<Vec<u8>>) -> Result<Resource, ReadError> {
    let error = |kind, offset| ReadError { kind, location: String::new(), offset };
    let text = String::from_utf8(document.into())
        .map_err(|e| error(ReadErrorKind::Utf8, e.utf8_error().valid_up_to()))?;
    if text.len() > TEXT_BYTES_MAX / 2 {
        return Err(error(ReadErrorKind::TooLong, 0));
    }
    if let Some(offset) = forbidden_character(&text) {
        return Err(error(ReadErrorKind::Syntax("a character that XML cannot hold".to_owned()), offset));
    }
    // A byte order mark is allowed at the start and means nothing.
    let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader::of(source, None);
    match reader.document() {
        Ok(()) => {
            let Reader { values, mut resource, .. } = reader;
            resource.take_text(values, "");
            Ok(resource)
        }
        Err(mut failure) => {
            failure.offset += text.len() - source.len();
            Err(failure.into_error())
        }
    }
}

/// Reads a resource from XML and goes on past what is wrong: elements and
/// attributes that are not known are left out, values outside of their grammar
/// are kept. Only a document that is not well-formed, or is no resource, has none.
pub fn read_all(document: impl Into<Vec<u8>>) -> Reading {
    let error = |kind, offset| ReadError { kind, location: String::new(), offset };
    let mut faults = Vec::new();
    let text = match String::from_utf8(document.into()) {
        Ok(text) => text,
        Err(broken) => {
            faults.push(error(ReadErrorKind::Utf8, broken.utf8_error().valid_up_to()));
            String::from_utf8_lossy(broken.as_bytes()).into_owned()
        }
    };
    let fatal = match forbidden_character(&text) {
        _ if text.len() > TEXT_BYTES_MAX / 2 => Some(error(ReadErrorKind::TooLong, 0)),
        Some(at) => Some(error(ReadErrorKind::Syntax("a character that XML cannot hold".to_owned()), at)),
        None => None,
    };
    if let Some(fatal) = fatal {
        faults.push(fatal);
        return Reading::new(None, faults, HashMap::new(), &text);
    }
    let source = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader::of(source, Some(Collected::default()));
    let outcome = reader.document();
    let Reader { values, mut resource, collected, .. } = reader;
    let Collected { faults: found, offsets, .. } = collected.unwrap_or_default();
    faults.extend(found.into_iter().map(Failure::into_error));
    let is_read = match outcome {
        Ok(()) => true,
        Err(failure) => {
            faults.push(failure.into_error());
            false
        }
    };
    let read = is_read.then(|| {
        resource.take_text(values, "");
        resource
    });
    Reading::new(read, faults, offsets, source)
}

/// Finds the first character that XML cannot hold.
fn forbidden_character(text: &str) -> Option<usize> {
    let control = text.bytes().position(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r'));
    control.or_else(|| text.find(['\u{fffe}', '\u{ffff}']))
}

/// A start tag: its name without prefix, and its attributes as written.
#[derive(Clone, Copy)]
struct Tag<'s> {
    is_fhir: bool,
    is_xhtml: bool,
    name: &'s str,
    attributes: &'s str,
}

/// What comes next in a document, apart from what means nothing.
enum Token<'s> {
    Start(Tag<'s>),
    End,
    Eof,
}

/// The child element that was read last.
#[derive(Clone, Copy)]
struct Run {
    index: usize,
    property: &'static Property,
    /// How many of the same element stand before it.
    repetition: usize,
    node: NodeId,
}

struct Reader<'s> {
    source: &'s str,
    xml: NsReader<&'s [u8]>,
    /// Where the token at hand begins.
    at: usize,
    /// Where faults are gathered; without, the first one ends the reading.
    collected: Option<Collected>,
    /// The values of the resource, one behind the other.
    values: String,
    resource: Resource,
}

impl<'s> Reader<'s> {
    fn of(source: &'s str, collected: Option<Collected>) -> Reader<'s> {
        let mut xml = NsReader::from_str(source);
        xml.config_mut().expand_empty_elements = true;
        xml.config_mut().check_comments = true;
        Reader {
            source,
            xml,
            at: 0,
            collected,
            values: String::with_capacity(source.len() / 2),
            resource: Resource::with_text_guess(source.len() / 2),
        }
    }

    fn note<T: Default>(&mut self, failed: Result2<T>) -> Result2<T> {
        note(&mut self.collected, failed, T::default())
    }

    fn inside<T>(
        &mut self,
        part: impl Fn() -> String,
        read: impl FnOnce(&mut Self) -> Result2<T>,
    ) -> Result2<T> {
        let before = count(&self.collected);
        let outcome = read(self);
        placed(&mut self.collected, before, outcome, part)
    }

    /// Goes to the end of the element whose start tag is at hand.
    fn skip_element(&mut self) -> Result2<()> {
        let mut depth = 1usize;
        while depth > 0 {
            self.at = self.position();
            match self.xml.read_event() {
                Ok(Event::Start(_)) => depth += 1,
                Ok(Event::End(_)) => depth -= 1,
                Ok(Event::Eof) => return self.syntax("an element is not closed"),
                Ok(_) => {}
                Err(error) => {
                    self.at = self.xml.error_position() as usize;
                    return self.syntax(error.to_string());
                }
            }
        }
        Ok(())
    }

    fn fail<T>(&self, kind: ReadErrorKind) -> Result2<T> {
        Err(Box::new(Failure { kind, offset: self.at, path: Vec::new() }))
    }

    fn syntax<T>(&self, what: impl Into<String>) -> Result2<T> {
        self.fail(ReadErrorKind::Syntax(what.into()))
    }

    fn position(&self) -> usize {
        self.xml.buffer_position() as usize
    }

    /// Goes to the next token. Between tags there is white space only.
    fn next(&mut self, in_root: bool) -> Result2<Token<'s>> {
        loop {
            self.at = self.position();
            let event = match self.xml.read_event() {
                Ok(event) => event,
                Err(error) => {
                    self.at = self.xml.error_position() as usize;
                    return self.syntax(error.to_string());
                }
            };
            match event {
                Event::Start(start) => {
                    let (namespace, _) = self.xml.resolver().resolve_element(start.name());
                    let tag = Tag {
                        is_fhir: namespace == ResolveResult::Bound(Namespace(FHIR)),
                        is_xhtml: namespace == ResolveResult::Bound(Namespace(XHTML)),
                        ..self.tag_text(start.name().0.len())
                    };
                    return Ok(Token::Start(tag));
                }
                Event::End(_) => return Ok(Token::End),
                Event::Eof => return Ok(Token::Eof),
                Event::Comment(_) => {}
                Event::Text(text) => {
                    if !text.into_inner().chars().all(tag::is_space) {
                        let text = self.fail(ReadErrorKind::NotAllowed("text outside of narrative"));
                        self.note::<()>(text)?;
                    }
                }
                Event::CData(_) | Event::GeneralRef(_) => {
                    let text = self.fail(ReadErrorKind::NotAllowed("text outside of narrative"));
                    self.note::<()>(text)?;
                }
                Event::DocType(_) => {
                    return self.fail(ReadErrorKind::NotAllowed("a document type declaration"));
                }
                Event::Decl(declaration) if self.at == 0 => {
                    let is_utf8 = declaration
                        .encoding()
                        .is_none_or(|e| e.is_ok_and(|e| e.eq_ignore_ascii_case("utf-8")));
                    if !declaration.version().is_ok_and(|v| v == "1.0") || !is_utf8 {
                        return self.fail(ReadErrorKind::NotAllowed("XML other than 1.0 in UTF-8"));
                    }
                }
                Event::Decl(_) => return self.syntax("the XML declaration stands at the beginning only"),
                Event::PI(_) if in_root => {
                    let instruction = self.fail(ReadErrorKind::NotAllowed("a processing instruction"));
                    self.note::<()>(instruction)?;
                }
                Event::PI(_) => {}
                Event::Empty(_) => return self.syntax("a tag"),
            }
        }
    }

    /// Cuts the start tag at hand, whose name is so long.
    fn tag_text(&self, name_len: usize) -> Tag<'s> {
        let written = self.source.get(self.at + 1..self.position()).unwrap_or_default();
        let written = written.strip_suffix('>').unwrap_or(written);
        let written = written.strip_suffix('/').unwrap_or(written);
        let (name, attributes) = written.split_at_checked(name_len).unwrap_or_default();
        Tag { is_fhir: false, is_xhtml: false, name: tag::prefix(name).1, attributes }
    }

    fn document(&mut self) -> Result2<()> {
        let Token::Start(tag) = self.next(false)? else {
            return self.syntax("an element expected");
        };
        let resource_type = self.resource_type(tag)?;
        let root = self.resource.root_id();
        self.resource.set_type(root, resource_type);
        self.inside(
            || resource_type.name().to_owned(),
            |reader| reader.element(root, resource_type, tag, 1),
        )?;
        match self.next(false)? {
            Token::Eof => Ok(()),
            Token::Start(_) | Token::End => self.syntax("the end expected"),
        }
    }

    fn resource_type(&self, tag: Tag<'s>) -> Result2<TypeId> {
        let name = shortened(tag.name);
        let told = match TypeId::resource_named(tag.name) {
            Some(known) if tag.is_fhir => return Ok(known),
            Some(_) => format!("`{name}` is not in the namespace `{FHIR}`"),
            None => format!("`{name}` is not a resource type of FHIR R4"),
        };
        self.fail(ReadErrorKind::ResourceType(told))
    }

    /// Reads the content of an element of a type, whose start tag is at hand,
    /// into `node`.
    fn element(&mut self, node: NodeId, of: TypeId, tag: Tag<'s>, depth: usize) -> Result2<()> {
        let definition = of.definition();
        // A value alone is no level of its own: JSON counts objects only.
        if depth > DEPTH_MAX + usize::from(definition.is_primitive()) {
            return self.fail(ReadErrorKind::TooDeep);
        }
        let is_resource = definition.kind == TypeKind::Resource;
        let begin = self.at;
        if let Some(collected) = &mut self.collected {
            collected.offsets.insert(node, u32::try_from(begin).unwrap_or(u32::MAX));
        }
        let mut last = self.attributes(node, of, tag)?;
        let mut before: Option<Run> = None;
        let mut is_disordered = false;
        loop {
            let child = match self.next(true)? {
                Token::Start(child) => child,
                Token::End => break,
                Token::Eof => return self.syntax("an element is not closed"),
            };
            let hint = before.map_or(0, |run| run.index);
            let Some((index, property)) = self.child(of, child, hint) else {
                let unknown = self.fail(ReadErrorKind::UnknownElement(shortened(child.name).to_owned()));
                self.note::<()>(unknown)?;
                self.skip_element()?;
                continue;
            };
            let Some(repetition) = self.repetition(node, (index, property), before, &mut is_disordered)?
            else {
                self.skip_element()?;
                continue;
            };
            let child_node = match before {
                _ if !is_disordered => self.resource.append_after(node, last, property, property.ty),
                Some(run) if run.index == index => {
                    self.resource.insert_after(run.node, property, property.ty)
                }
                _ => self.resource.add(node, property, property.ty),
            };
            last = Some(child_node);
            before = Some(Run { index, property, repetition, node: child_node });
            let part = || {
                let name = property.element.name;
                if property.element.is_array() {
                    format!(".{name}[{repetition}]")
                } else {
                    format!(".{name}")
                }
            };
            self.inside(part, |reader| reader.value(child_node, property, child, depth + 1))?;
        }
        if self.collected.is_some() {
            let untold = |child: &Element<'_>| child.ty() == ty::RESOURCE;
            let unknown: Vec<NodeId> =
                self.resource.element(node).children().filter(untold).map(|child| child.id()).collect();
            for child in unknown {
                self.resource.remove(node, child);
            }
        }
        let is_told = || self.collected.as_ref().is_some_and(|c| c.broken.contains(&node));
        if !is_resource && self.resource.element(node).is_empty() && !is_told() {
            self.at = begin;
            let what = if definition.is_primitive() {
                "an element has neither a value nor an extension"
            } else {
                "an element must not be empty"
            };
            let empty = self.fail(ReadErrorKind::Empty(what));
            return self.note(empty);
        }
        Ok(())
    }

    /// Returns how many repetitions of the same element stand before a child
    /// element; `None` when it must not stand there again. What comes late is
    /// put with its own, so that the tree keeps repetitions together.
    fn repetition(
        &mut self,
        node: NodeId,
        (index, property): (usize, &'static Property),
        before: Option<Run>,
        is_disordered: &mut bool,
    ) -> Result2<Option<usize>> {
        let Some(run) = before else { return Ok(Some(0)) };
        let (element, element_before) = (property.element, run.property.element);
        if element.order < element_before.order {
            let (element, before) = (property.name, run.property.name);
            let late = self.fail(ReadErrorKind::OutOfOrder { element, before });
            self.note::<()>(late)?;
            *is_disordered = true;
        }
        let (repetition, is_same) = if element.order == element_before.order {
            (run.repetition + 1, index == run.index)
        } else if *is_disordered {
            let others = self.resource.element(node).children_named(element.name_id);
            others.fold((0, true), |(count, is_same), other| {
                (count + 1, is_same && other.property().is_some_and(|p| std::ptr::eq(p, property)))
            })
        } else {
            (0, true)
        };
        if repetition > 0 && !(element.is_array() && is_same) {
            let again = self.fail(ReadErrorKind::Duplicate(property.name.to_owned()));
            self.note::<()>(again)?;
            return Ok(None);
        }
        Ok(Some(repetition))
    }

    /// Finds the property that a child element stands for. What XML writes
    /// as an attribute is no child element.
    fn child(&self, of: TypeId, tag: Tag<'s>, hint: usize) -> Option<(usize, &'static Property)> {
        let definition = of.definition();
        let (index, property) = definition.property(tag.name, hint)?;
        let is_attribute = definition.kind != TypeKind::Resource
            && (property.element.name_id == name::ID
                || (of == ty::EXTENSION && property.element.name_id == name::URL));
        let in_namespace = if property.ty == ty::XHTML { tag.is_xhtml } else { tag.is_fhir };
        (in_namespace && !is_attribute && property.element.max > 0).then_some((index, property))
    }

    /// Reads the element of a property, whose start tag is at hand.
    fn value(
        &mut self,
        node: NodeId,
        property: &'static Property,
        tag: Tag<'s>,
        depth: usize,
    ) -> Result2<()> {
        if property.ty == ty::XHTML {
            return self.narrative(node);
        }
        if property.ty != ty::RESOURCE {
            return self.element(node, property.ty, tag, depth);
        }
        if depth > DEPTH_MAX {
            return self.fail(ReadErrorKind::TooDeep);
        }
        self.no_attributes(tag)?;
        let inner = match self.next(true)? {
            Token::Start(inner) => inner,
            Token::End => {
                let empty = self.fail(ReadErrorKind::Empty("a resource must stand here"));
                return self.note(empty);
            }
            Token::Eof => return self.syntax("an element is not closed"),
        };
        let of = self.resource_type(inner).map(Some);
        let Some(of) = self.note(of)? else {
            // What it is cannot be told: it is gone past, with what stands beside it.
            self.skip_element()?;
            return self.skip_element();
        };
        self.resource.set_type(node, of);
        self.element(node, of, inner, depth)?;
        loop {
            match self.next(true)? {
                Token::End => return Ok(()),
                Token::Start(_) => {
                    let more = self.fail(ReadErrorKind::NotAllowed("one resource only may stand here"));
                    self.note::<()>(more)?;
                    self.skip_element()?;
                }
                Token::Eof => return self.syntax("an element is not closed"),
            }
        }
    }

    /// Reads the attributes of an element; returns the last child that they made.
    fn attributes(&mut self, node: NodeId, of: TypeId, tag: Tag<'s>) -> Result2<Option<NodeId>> {
        let definition = of.definition();
        if definition.kind == TypeKind::Resource {
            self.no_attributes(tag)?;
            return Ok(None);
        }
        let mut last = None;
        let mut has_value = false;
        for attribute in tag::attributes(tag.attributes) {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(what) => return self.syntax(what),
            };
            if is_namespace_declaration(attribute.name) {
                continue;
            }
            if attribute.name == "value" && definition.is_primitive() {
                if std::mem::replace(&mut has_value, true) {
                    return self.fail(ReadErrorKind::Duplicate("value".to_owned()));
                }
                self.primitive(node, of, attribute.value)?;
                continue;
            }
            let property = match attribute.name {
                "id" => definition.property("id", 0),
                "url" if of == ty::EXTENSION => definition.property("url", 0),
                _ => None,
            };
            let Some((_, property)) = property else {
                let unknown =
                    self.fail(ReadErrorKind::UnknownAttribute(shortened(attribute.name).to_owned()));
                self.note::<()>(unknown)?;
                continue;
            };
            if self.resource.element(node).child(property.element.name_id).is_some() {
                return self.fail(ReadErrorKind::Duplicate(property.name.to_owned()));
            }
            let child = self.resource.append_after(node, last, property, property.ty);
            last = Some(child);
            self.inside(
                || format!(".{}", property.name),
                |reader| reader.primitive(child, property.ty, attribute.value),
            )?;
        }
        Ok(last)
    }

    /// Refuses attributes other than namespaces and, on the root, schema locations.
    fn no_attributes(&mut self, tag: Tag<'s>) -> Result2<()> {
        for attribute in tag::attributes(tag.attributes) {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(what) => return self.syntax(what),
            };
            let name = quick_xml::name::QName(attribute.name);
            let is_schema = self.xml.resolver().resolve_attribute(name).0
                == ResolveResult::Bound(Namespace(XSI))
                && matches!(tag::prefix(attribute.name).1, "schemaLocation" | "noNamespaceSchemaLocation");
            if !is_namespace_declaration(attribute.name) && !is_schema {
                let unknown =
                    self.fail(ReadErrorKind::UnknownAttribute(shortened(attribute.name).to_owned()));
                self.note::<()>(unknown)?;
            }
        }
        Ok(())
    }

    /// Gives `node` the value written in an attribute.
    fn primitive(&mut self, node: NodeId, of: TypeId, written: &str) -> Result2<()> {
        let start = self.values.len();
        if let Err(what) = tag::push_value(written, &mut self.values) {
            return self.syntax(what);
        }
        let value = &self.values[start..];
        let len = value.len();
        if value.is_empty() {
            let empty = self.fail(ReadErrorKind::Empty("a value must not be empty"));
            self.note::<()>(empty)?;
            if let Some(collected) = &mut self.collected {
                collected.broken.insert(node);
            }
            return Ok(());
        }
        if !check::is_valid(of, value) {
            let bad = self.fail(ReadErrorKind::BadPrimitive(of.name()));
            self.note::<()>(bad)?;
        }
        self.resource.set_span(node, start, len);
        Ok(())
    }

    /// Reads a narrative, whose start tag is at hand, as a string.
    fn narrative(&mut self, node: NodeId) -> Result2<()> {
        let begin = self.at;
        self.skip_element()?;
        let written = self.source.get(begin..self.position()).unwrap_or_default();
        let start = self.values.len();
        let flaw = match narrative::inspect(written) {
            Err(flaw) => Some(flaw),
            Ok(findings) if findings.named_entities => {
                self.at = begin;
                return self.syntax("an entity that XML does not know without a DTD");
            }
            Ok(findings) if findings.stands_alone() && !findings.prefixed => None,
            Ok(_) => match narrative::make_stand_alone(written, self.xml.resolver()) {
                Ok(alone) => {
                    self.values.push_str(&alone);
                    None
                }
                Err(flaw) => Some(flaw),
            },
        };
        if let Some(narrative::Flaw { kind, offset }) = flaw {
            let is_ill_formed = matches!(kind, ReadErrorKind::Syntax(_) | ReadErrorKind::TooDeep);
            let failed = Err(Box::new(Failure { kind, offset: begin + offset, path: Vec::new() }));
            if is_ill_formed {
                return failed;
            }
            self.note::<()>(failed)?;
        }
        self.at = begin;
        if self.values.len() == start {
            self.values.push_str(written);
        }
        let len = self.values.len() - start;
        self.resource.set_span(node, start, len);
        Ok(())
    }
}

fn is_namespace_declaration(name: &str) -> bool {
    name == "xmlns" || name.starts_with("xmlns:")
}
