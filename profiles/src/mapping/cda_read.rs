//! Reads CDA R2 from XML.

use std::fmt;

use fhir_model::outcome::{Issue, IssueType};
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::cda::{CdaDocument, Kind, NONE, Node, NodeNumber, Span};
use super::cda_narrative::Narrative;
use super::cda_types;

/// The greatest length of a document, in bytes.
const BYTES_MAX: usize = 64 << 20;
/// How deep elements may be nested.
const DEPTH_MAX: usize = 128;

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Why a text is not a CDA document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CdaError {
    /// What is wrong.
    pub problem: String,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for CdaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}", self.problem, self.line)
    }
}

impl std::error::Error for CdaError {}

impl From<CdaError> for Issue {
    fn from(error: CdaError) -> Issue {
        Issue::error(IssueType::Structure).text(format!("the CDA document cannot be read: {error}"))
    }
}

/// Reads a document.
pub(super) fn read(xml: &str) -> Result<CdaDocument, CdaError> {
    if xml.len() > BYTES_MAX {
        return Err(CdaError { problem: format!("longer than {BYTES_MAX} bytes"), line: 1 });
    }
    let source = xml.strip_prefix('\u{feff}').unwrap_or(xml);
    let mut reader = NsReader::from_str(source);
    reader.config_mut().expand_empty_elements = true;
    reader.config_mut().check_comments = true;
    let document = CdaDocument { text: String::with_capacity(source.len()), nodes: Vec::new() };
    let mut reader = Reader { xml: reader, document, open: Vec::new(), narrative: None };
    match reader.document() {
        Ok(()) => Ok(reader.document),
        Err(problem) => {
            let at = (reader.xml.buffer_position() as usize).min(source.len());
            let line = source.as_bytes().get(..at).map_or(0, |b| b.iter().filter(|b| **b == b'\n').count());
            Err(CdaError { problem, line: line + 1 })
        }
    }
}

/// An element whose end has not come.
struct Open {
    node: NodeNumber,
    /// The child that was added last.
    last: u32,
    /// The text that stands directly in it.
    text: String,
    /// Whether each of its parts stands in an `item`.
    has_items: bool,
    /// Whether it stands in an `item` that ends with it.
    in_item: bool,
}

struct Reader<'s> {
    xml: NsReader<&'s [u8]>,
    document: CdaDocument,
    open: Vec<Open>,
    /// The text of a section, while it is read.
    narrative: Option<Narrative>,
}

type Outcome<T> = Result<T, String>;

impl Reader<'_> {
    fn document(&mut self) -> Outcome<()> {
        loop {
            match self.xml.read_event().map_err(|e| e.to_string())? {
                Event::Start(start) => {
                    let start = start.into_owned();
                    self.start(&start)?;
                }
                Event::End(_) => self.end()?,
                Event::Text(text) => {
                    let text = text.xml10_content().into_owned();
                    self.text(&text)?;
                }
                Event::CData(text) => {
                    let text = text.xml10_content().into_owned();
                    self.text(&text)?;
                }
                Event::GeneralRef(reference) => {
                    match reference.resolve_char_ref().map_err(|e| e.to_string())? {
                        Some(c) => self.text(c.encode_utf8(&mut [0; 4]))?,
                        None => {
                            let name = reference.xml10_content();
                            let text = resolve_xml_entity(&name);
                            self.text(text.ok_or_else(|| format!("unknown entity `{name}`"))?)?;
                        }
                    }
                }
                Event::DocType(_) => return Err("a document type declaration is not allowed".to_owned()),
                Event::Eof if !self.open.is_empty() => return Err("an element without end".to_owned()),
                Event::Eof if self.document.nodes.is_empty() => return Err("no element".to_owned()),
                Event::Eof => return Ok(()),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::Empty(_) => {}
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'_>) -> Outcome<()> {
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("elements nested deeper than {DEPTH_MAX}"));
        }
        let name = start.local_name().into_inner().to_owned();
        if let Some(narrative) = &mut self.narrative {
            let mut attributes = Vec::new();
            for attribute in start.attributes() {
                let attribute = attribute.map_err(|e| e.to_string())?;
                let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|e| e.to_string())?;
                attributes.push((attribute.key.local_name().into_inner().to_owned(), value.into_owned()));
            }
            narrative.start(&name, &attributes);
            // Narrative nests as the document does.
            let node = self.open.last().map_or(NONE, |open| open.node);
            self.open.push(Open { node, last: NONE, text: String::new(), has_items: false, in_item: false });
            return Ok(());
        }
        let Some(parent) = self.open.last() else {
            if !self.document.nodes.is_empty() {
                return Err("a second element beside the root".to_owned());
            }
            return self.element(start, &name, "ClinicalDocument", false);
        };
        let parent_type = self.document.nodes.get(parent.node as usize).map_or(cda_types::ANY, |n| n.ty);
        let in_item = parent.has_items && !matches!(name.as_str(), "validTime" | "useablePeriod");
        let ty = cda_types::of_element(parent_type, &name);
        if in_item {
            // Text between the parts of a name or address is a part of its own.
            self.flush_text();
            self.open_item();
        }
        self.element(start, &name, ty, in_item)
    }

    /// Adds an `item`, and makes it the place of what comes next.
    fn open_item(&mut self) {
        let node = self.add("item", cda_types::ANY, Kind::Complex);
        self.open.push(Open { node, last: NONE, text: String::new(), has_items: false, in_item: false });
    }

    fn element(
        &mut self,
        start: &BytesStart<'_>,
        name: &str,
        schema_type: &'static str,
        in_item: bool,
    ) -> Outcome<()> {
        let mut attributes = Vec::new();
        let mut ty = schema_type;
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|e| e.to_string())?;
            let key = attribute.key;
            if key.as_namespace_binding().is_some() {
                continue;
            }
            let value =
                attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|e| e.to_string())?.into_owned();
            let (namespace, local) = self.xml.resolver().resolve_attribute(key);
            if namespace == ResolveResult::Bound(Namespace(XSI)) {
                if local.into_inner() == "type" {
                    let plain = value.rsplit(':').next().unwrap_or_default().trim();
                    ty = cda_types::data_type(plain).unwrap_or(schema_type);
                }
                continue;
            }
            attributes.push((local.into_inner().to_owned(), value));
        }
        let node = self.add(name, ty, Kind::Complex);
        let has_items = ty == "AD" || cda_types::is_a(ty, "EN");
        self.open.push(Open { node, last: NONE, text: String::new(), has_items, in_item });
        for (name, value) in attributes {
            self.attribute(ty, &name, &value);
        }
        if ty == cda_types::XHTML {
            self.narrative = Some(Narrative::new());
        }
        Ok(())
    }

    fn attribute(&mut self, of: &str, name: &str, value: &str) {
        let is_value = name == "value";
        let (ty, kind) = match name {
            "value" if cda_types::is_a(of, "TS") => ("dateTime", Kind::Time),
            "value" if cda_types::is_a(of, "INT") => ("integer", Kind::Integer),
            "value" if cda_types::is_a(of, "QTY") || of == "PQR" => ("decimal", Kind::Decimal),
            "value" if cda_types::is_a(of, "BL") => ("boolean", Kind::Boolean),
            _ if matches!(value, "true" | "false") && !is_value => ("boolean", Kind::Boolean),
            _ => ("string", Kind::Text),
        };
        let node = self.add(name, ty, kind);
        match kind {
            Kind::Time => self.set_value(node, &fhir_time(value)),
            Kind::Integer | Kind::Decimal => self.set_value(node, &fhir_number(value)),
            _ => self.set_value(node, value),
        }
    }

    fn text(&mut self, text: &str) -> Outcome<()> {
        if let Some(narrative) = &mut self.narrative {
            narrative.text(text);
            return Ok(());
        }
        match self.open.last_mut() {
            Some(open) => open.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err("text outside of the root".to_owned()),
        }
        Ok(())
    }

    fn end(&mut self) -> Outcome<()> {
        if let Some(narrative) = &mut self.narrative {
            let of_narrative = self.open.last().and_then(|o| self.document.nodes.get(o.node as usize));
            let is_whole = narrative.depth() == 0 && of_narrative.is_some_and(|n| n.ty == cda_types::XHTML);
            if !is_whole {
                narrative.end();
                self.open.pop();
                return Ok(());
            }
        }
        if let Some(narrative) = self.narrative.take() {
            if let Some(open) = self.open.pop() {
                self.set_value(open.node, &narrative.finish());
                self.set_kind(open.node, Kind::Text);
            }
            return Ok(());
        }
        self.flush_text();
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.in_item {
            self.open.pop();
        }
        Ok(())
    }

    /// Gives the element at hand the text that stands in it.
    fn flush_text(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        let text = std::mem::take(&mut open.text);
        let (node, has_items, text) = (open.node, open.has_items, text.trim());
        if text.is_empty() {
            return;
        }
        if has_items {
            self.open_item();
        }
        let child = self.add("xmlText", "string", Kind::Text);
        self.set_value(child, text);
        if has_items {
            self.open.pop();
        } else {
            self.set_value(node, text);
            self.set_kind(node, Kind::Text);
        }
    }

    /// Adds a node behind the children of the element at hand.
    fn add(&mut self, name: &str, ty: &'static str, kind: Kind) -> NodeNumber {
        let name = self.keep(name);
        let number = self.document.nodes.len() as u32;
        let node = Node { name, ty, kind, value: Span::NONE, first_child: NONE, next: NONE };
        self.document.nodes.push(node);
        if let Some(open) = self.open.last_mut() {
            let nodes = &mut self.document.nodes;
            match nodes.get_mut(open.last as usize) {
                Some(last) => last.next = number,
                None => {
                    if let Some(parent) = nodes.get_mut(open.node as usize) {
                        parent.first_child = number;
                    }
                }
            }
            open.last = number;
        }
        number
    }

    fn keep(&mut self, text: &str) -> Span {
        let start = self.document.text.len() as u32;
        self.document.text.push_str(text);
        Span { start, len: text.len() as u32 }
    }

    fn set_value(&mut self, node: NodeNumber, value: &str) {
        let span = self.keep(value);
        if let Some(node) = self.document.nodes.get_mut(node as usize) {
            node.value = span;
        }
    }

    fn set_kind(&mut self, node: NodeNumber, kind: Kind) {
        if let Some(node) = self.document.nodes.get_mut(node as usize) {
            node.kind = kind;
        }
    }
}

/// Writes an HL7 v3 timestamp as FHIR does: `20220330112426+0100` becomes
/// `2022-03-30T11:24:26+01:00`. What is no timestamp stays as it is.
fn fhir_time(text: &str) -> String {
    let text = text.trim();
    let zone_at = text.find(['+', '-', 'Z']).unwrap_or(text.len());
    let (digits, zone) = text.split_at(zone_at);
    let whole = digits.split('.').next().unwrap_or_default();
    let lengths = [4, 6, 8, 10, 12, 14];
    if !lengths.contains(&whole.len()) || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(32);
    for (at, c) in digits.chars().enumerate() {
        match at {
            4 | 6 => out.push('-'),
            8 => out.push('T'),
            10 | 12 => out.push(':'),
            _ => {}
        }
        out.push(c);
    }
    if whole.len() < 10 {
        return out;
    }
    for _ in whole.len() / 2..7 {
        out.push_str(":00");
    }
    match zone.split_at_checked(3) {
        Some((hours, minutes)) if minutes.len() == 2 => {
            out.push_str(hours);
            out.push(':');
            out.push_str(minutes);
        }
        _ => out.push_str(zone),
    }
    out
}

/// Writes a number of XML Schema as FHIR does: ` +00.50` becomes `0.50`. What
/// is no number stays as it is.
fn fhir_number(text: &str) -> String {
    let trimmed = text.trim();
    let unsigned = trimmed.trim_start_matches('+');
    let (sign, digits) = match unsigned.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", unsigned),
    };
    if digits.is_empty()
        || !digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
    {
        return text.to_owned();
    }
    let digits = digits.trim_start_matches('0').trim_end_matches('.');
    let zero = if digits.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
    format!("{sign}{zero}{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_fhir_writes_them() {
        for (text, found) in [
            ("20.50", "20.50"),
            (" 0.00", "0.00"),
            ("00.00", "0.00"),
            ("007", "7"),
            ("0", "0"),
            ("+1.5", "1.5"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("1e3", "1e3"),
            ("many", "many"),
            ("", ""),
        ] {
            assert_eq!(fhir_number(text), found, "{text}");
        }
    }

    #[test]
    fn timestamps_are_written_as_fhir_writes_them() {
        for (text, found) in [
            ("2022", "2022"),
            ("202203", "2022-03"),
            ("20220330", "2022-03-30"),
            ("2022033011", "2022-03-30T11:00:00"),
            ("202203301124", "2022-03-30T11:24:00"),
            ("20220330112426", "2022-03-30T11:24:26"),
            ("20220330112426+0100", "2022-03-30T11:24:26+01:00"),
            ("202203301124-0530", "2022-03-30T11:24:00-05:30"),
            ("20220330112426.123Z", "2022-03-30T11:24:26.123Z"),
            ("soon", "soon"),
            ("", ""),
            ("è+é", "è+é"),
        ] {
            assert_eq!(fhir_time(text), found, "{text}");
        }
    }
}
