//! Narrative: XHTML that stands as such in XML, and as a string in JSON.
//!
//! In the tree it is the string of JSON, `<div xmlns="...">...</div>`. Read
//! from XML it is kept byte for byte wherever the `div` can stand alone.
//! Which elements and attributes it may have is the validator's business;
//! here it must be well-formed XML, so that what is written can be read.
//!
//! Spec: <https://hl7.org/fhir/R4/narrative.html>

use std::borrow::Cow;

use quick_xml::events::Event;
use quick_xml::name::{Namespace, NamespaceResolver, ResolveResult};
use quick_xml::reader::NsReader;

use super::{XHTML, entities, tag};
use crate::json::read::{DEPTH_MAX, ReadErrorKind};

/// What is wrong with a narrative, and where in it.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) kind: ReadErrorKind,
    pub(super) offset: usize,
}

/// What [`inspect`] found in well-formed XML of one element `div`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// It has entities of XHTML, which XML without a DTD does not know.
    pub(super) named_entities: bool,
    /// The `div` itself declares the XHTML namespace.
    pub(super) namespaced: bool,
    /// The `div` has a prefix.
    pub(super) prefixed: bool,
    /// It uses prefixes that it does not declare, or the `div` is in another namespace.
    pub(super) foreign: bool,
}

impl Findings {
    /// Whether it can stand in any XML document as it is.
    pub(super) fn stands_alone(&self) -> bool {
        self.namespaced && !self.foreign && !self.named_entities
    }
}

fn reader(text: &str) -> NsReader<&[u8]> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().check_comments = true;
    reader
}

/// Looks whether `text` is one well-formed element `div`.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn inspect(text: &str) -> Result<Findings, Flaw> {
    let mut xml = reader(text);
    let mut findings = Findings::default();
    let (mut depth, mut had_root) = (0usize, false);
    loop {
        let at = xml.buffer_position() as usize;
        let flaw = |kind| Err(Flaw { kind, offset: at });
        let syntax = |what: &str| Err(Flaw { kind: ReadErrorKind::Syntax(what.to_owned()), offset: at });
        let event = match xml.read_event() {
            Ok(event) => event,
            Err(error) => return syntax(&error.to_string()),
        };
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let name = start.name().0;
                if depth == 0 {
                    if had_root || tag::prefix(name).1 != "div" {
                        return flaw(ReadErrorKind::NotAllowed("a narrative is one element `div`"));
                    }
                    had_root = true;
                    findings.prefixed = name != "div";
                }
                if !tag::is_name(name) {
                    return syntax("an element has no proper name");
                }
                let (namespace, _) = xml.resolver().resolve_element(start.name());
                findings.foreign |= matches!(namespace, ResolveResult::Unknown(_));
                if depth == 0 {
                    findings.namespaced = namespace == ResolveResult::Bound(Namespace(XHTML));
                    findings.foreign |= !findings.namespaced && namespace != ResolveResult::Unbound;
                }
                if let Err(what) = inspect_attributes(start.attributes_raw(), xml.resolver(), &mut findings) {
                    return syntax(what);
                }
                if depth == DEPTH_MAX {
                    return flaw(ReadErrorKind::TooDeep);
                }
                depth += usize::from(!is_empty);
            }
            Event::End(_) => depth -= 1,
            Event::Text(content) => {
                let content = content.into_inner();
                if depth == 0 && !content.chars().all(tag::is_space) {
                    return flaw(ReadErrorKind::NotAllowed("text outside the `div`"));
                }
                if content.contains("]]>") {
                    return syntax("`]]>` in text");
                }
            }
            Event::GeneralRef(_) | Event::CData(_) if depth == 0 => {
                return flaw(ReadErrorKind::NotAllowed("text outside the `div`"));
            }
            Event::GeneralRef(reference) => {
                if let Err(what) = inspect_reference(&reference.into_inner(), &mut findings) {
                    return syntax(what);
                }
            }
            Event::CData(_) | Event::Comment(_) => {}
            Event::PI(_) | Event::Decl(_) => {
                return flaw(ReadErrorKind::NotAllowed("a processing instruction in a narrative"));
            }
            Event::DocType(_) => return flaw(ReadErrorKind::NotAllowed("a document type declaration")),
            Event::Eof if depth == 0 && had_root => break,
            Event::Eof => return syntax("an element is not closed"),
        }
    }
    match text.char_indices().find(|(_, c)| !tag::is_character(*c)) {
        None => Ok(findings),
        Some((offset, _)) => {
            Err(Flaw { kind: ReadErrorKind::Syntax("a character that XML cannot hold".to_owned()), offset })
        }
    }
}

fn inspect_reference(name: &str, findings: &mut Findings) -> Result<(), &'static str> {
    if tag::reference(name).is_some() {
        return Ok(());
    }
    findings.named_entities = true;
    entities::character(name).map(drop).ok_or("an unknown entity")
}

fn inspect_attributes(
    written: &str,
    resolver: &NamespaceResolver,
    findings: &mut Findings,
) -> Result<(), &'static str> {
    let mut names = smallvec::SmallVec::<[&str; 8]>::new();
    for attribute in tag::attributes(written) {
        let attribute = attribute?;
        if names.contains(&attribute.name) {
            return Err("an attribute stands there twice");
        }
        names.push(attribute.name);
        if let (Some(prefix), _) = tag::prefix(attribute.name)
            && prefix != "xmlns"
        {
            let (namespace, _) = resolver.resolve_attribute(quick_xml::name::QName(attribute.name));
            findings.foreign |= matches!(namespace, ResolveResult::Unknown(_));
        }
        let mut rest = attribute.value;
        while let Some((_, after)) = rest.split_once('&') {
            let (name, after) = after.split_once(';').ok_or("`&` without `;`")?;
            inspect_reference(name, findings)?;
            rest = after;
        }
    }
    Ok(())
}

/// Returns a narrative as it can stand in XML.
///
/// Entities of XHTML become character references. A string that is no
/// well-formed `div` (JSON readers do not look into it) is shown as the text
/// that it is, so that what is written stays well-formed and nothing in it
/// can pass for an element of the resource.
pub(super) fn to_xml(text: &str) -> Cow<'_, str> {
    let text = text.trim_matches(tag::is_space);
    match inspect(text) {
        Ok(findings) if findings.stands_alone() => Cow::Borrowed(text),
        Ok(findings) if !findings.foreign && (findings.namespaced || !findings.prefixed) => {
            let mut out = String::with_capacity(text.len() + 64);
            push_plain(text, !findings.namespaced, &mut out);
            Cow::Owned(out)
        }
        _ => {
            let mut out = format!("<div xmlns=\"{XHTML}\">");
            for c in text.chars() {
                match c {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    c if tag::is_character(c) => out.push(c),
                    _ => out.push('\u{fffd}'),
                }
            }
            out.push_str("</div>");
            Cow::Owned(out)
        }
    }
}

/// Copies a well-formed `div` with entities of XHTML as character references
/// and, where `declare` says so, the namespace put on the `div`.
fn push_plain(text: &str, declare: bool, out: &mut String) {
    let mut xml = reader(text);
    let mut declare = declare;
    loop {
        let begin = xml.buffer_position() as usize;
        let Ok(event) = xml.read_event() else { return };
        let written = text.get(begin..xml.buffer_position() as usize).unwrap_or_default();
        match event {
            Event::Start(start) | Event::Empty(start) if std::mem::take(&mut declare) => {
                out.push_str(&format!("<div xmlns=\"{XHTML}\""));
                let attributes = tag::attributes(start.attributes_raw()).flatten();
                // The default namespace may be declared as none.
                for attribute in attributes.filter(|a| a.name != "xmlns") {
                    push_attribute(attribute, out);
                }
                out.push_str(if written.ends_with("/>") { "/>" } else { ">" });
            }
            Event::Start(_) | Event::Empty(_) => push_references(written, out),
            Event::GeneralRef(_) => push_references(written, out),
            Event::Eof => return,
            _ => out.push_str(written),
        }
    }
}

fn push_attribute(attribute: tag::Attribute<'_>, out: &mut String) {
    let quote = if attribute.value.contains('"') { '\'' } else { '"' };
    out.push(' ');
    out.push_str(attribute.name);
    out.push('=');
    out.push(quote);
    push_references(attribute.value, out);
    out.push(quote);
}

/// Copies text with entities of XHTML as character references.
fn push_references(written: &str, out: &mut String) {
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        out.push('&');
        rest = after;
        if let Some((name, after)) = after.split_once(';')
            && tag::reference(name).is_none()
            && let Some(code) = entities::character(name)
        {
            out.push_str(&format!("#{code};"));
            rest = after;
        }
    }
    out.push_str(rest);
}

/// Rewrites a well-formed narrative that leans on namespaces declared around
/// it, so that it stands alone: no prefixes, the namespace on the `div`.
///
/// # Errors
/// When it has elements or attributes that are not XHTML.
pub(super) fn make_stand_alone(text: &str, around: &NamespaceResolver) -> Result<String, Flaw> {
    const FOREIGN: ReadErrorKind = ReadErrorKind::NotAllowed("a narrative holds XHTML only");
    let mut xml = reader(text);
    for (prefix, namespace) in around.bindings() {
        xml.resolver_mut()
            .add(prefix, namespace)
            .map_err(|_| Flaw { kind: ReadErrorKind::NotAllowed("too many namespaces"), offset: 0 })?;
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut is_root = true;
    loop {
        let at = xml.buffer_position() as usize;
        let event =
            xml.read_event().map_err(|e| Flaw { kind: ReadErrorKind::Syntax(e.to_string()), offset: at })?;
        let written = text.get(at..xml.buffer_position() as usize).unwrap_or_default();
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(start) | Event::Empty(start) => {
                let (namespace, local) = xml.resolver().resolve_element(start.name());
                if namespace != ResolveResult::Bound(Namespace(XHTML)) {
                    return Err(Flaw { kind: FOREIGN, offset: at });
                }
                out.push('<');
                out.push_str(local.into_inner());
                if std::mem::take(&mut is_root) {
                    out.push_str(&format!(" xmlns=\"{XHTML}\""));
                }
                for attribute in tag::attributes(start.attributes_raw()).flatten() {
                    match tag::prefix(attribute.name) {
                        (None, "xmlns") | (Some("xmlns"), _) => continue,
                        (None | Some("xml"), _) => {}
                        (Some(_), _) => return Err(Flaw { kind: FOREIGN, offset: at }),
                    }
                    push_attribute(attribute, &mut out);
                }
                out.push_str(if is_empty { "/>" } else { ">" });
            }
            Event::End(end) => out.push_str(&format!("</{}>", end.local_name().into_inner())),
            Event::Eof => return Ok(out),
            _ => out.push_str(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIV: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\">";

    #[test]
    fn written_as_xml() {
        for (given, expected) in [
            (format!("{DIV}<p>a &lt; b<br/></p></div>"), format!("{DIV}<p>a &lt; b<br/></p></div>")),
            (format!(" {DIV}a</div>\n"), format!("{DIV}a</div>")),
            (
                format!("{DIV}a&nbsp;b&eacute;<a title=\"&copy;&amp;\">&#160;</a></div>"),
                format!("{DIV}a&#160;b&#233;<a title=\"&#169;&amp;\">&#160;</a></div>"),
            ),
            (
                format!("{DIV}<!-- &nbsp; --><![CDATA[&nbsp;]]>&nbsp;</div>"),
                format!("{DIV}<!-- &nbsp; --><![CDATA[&nbsp;]]>&#160;</div>"),
            ),
            ("<div>a</div>".to_owned(), format!("{DIV}a</div>")),
            (
                "<div class='a' xmlns = \"\">&nbsp;</div>".to_owned(),
                "<div xmlns=\"http://www.w3.org/1999/xhtml\" class=\"a\">&#160;</div>".to_owned(),
            ),
            ("<div xmlns=\"http://a\"/>".to_owned(), format!("{DIV}&lt;div xmlns=\"http://a\"/&gt;</div>")),
            ("<div/>".to_owned(), "<div xmlns=\"http://www.w3.org/1999/xhtml\"/>".to_owned()),
            ("no markup".to_owned(), format!("{DIV}no markup</div>")),
            ("<p>a</p>".to_owned(), format!("{DIV}&lt;p&gt;a&lt;/p&gt;</div>")),
            (format!("{DIV}<p>a</div>"), format!("{DIV}{}</div>", escaped(&format!("{DIV}<p>a</div>")))),
            (
                format!("{DIV}a</div><active value=\"true\"/>"),
                format!("{DIV}{}</div>", escaped(&format!("{DIV}a</div><active value=\"true\"/>"))),
            ),
            ("<!DOCTYPE div><div/>".to_owned(), format!("{DIV}&lt;!DOCTYPE div&gt;&lt;div/&gt;</div>")),
            ("<x:div>a</x:div>".to_owned(), format!("{DIV}&lt;x:div&gt;a&lt;/x:div&gt;</div>")),
            ("<div>&unknown;</div>".to_owned(), format!("{DIV}&lt;div&gt;&amp;unknown;&lt;/div&gt;</div>")),
            ("a\u{1}".to_owned(), format!("{DIV}a\u{fffd}</div>")),
        ] {
            let written = to_xml(&given);
            assert_eq!(written, expected, "{given}");
            assert!(inspect(&written).is_ok_and(|f| f.stands_alone()), "{given}");
        }
    }

    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    #[test]
    fn depth_is_limited() {
        let deep = format!("<div>{}{}</div>", "<b>".repeat(200), "</b>".repeat(200));
        assert!(matches!(inspect(&deep), Err(Flaw { kind: ReadErrorKind::TooDeep, .. })));
    }
}
