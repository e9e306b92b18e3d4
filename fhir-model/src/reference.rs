//! References: what a `Reference.reference` or another URL names, and how
//! they are found and rewritten in a resource.
//!
//! Spec: <https://hl7.org/fhir/R4/references.html>

use crate::interaction::ResourceKey;
use crate::primitive::id::ResourceId;
use crate::schema::{TypeId, name, ty};
use crate::tree::{Element, NodeId, Resource};

/// A literal reference `[base/]Type/id[/_history/version]`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal<'t> {
    /// The base of an absolute reference, without a trailing slash.
    pub base: Option<&'t str>,
    /// What it names.
    pub key: ResourceKey,
    /// The version it names.
    pub version: Option<&'t str>,
}

impl<'t> Literal<'t> {
    /// Parses a literal reference; `None` for URNs, fragments, canonicals,
    /// conditional references and whatever else does not end in `Type/id`.
    pub fn parse(text: &'t str) -> Option<Literal<'t>> {
        let (path, version) = match text.split_once("/_history/") {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (before, id) = path.rsplit_once('/')?;
        let (base, type_name) = match before.rsplit_once('/') {
            Some((base, type_name)) => (Some(base), type_name),
            None => (None, before),
        };
        if base.is_some_and(|b| !b.contains("://")) {
            return None;
        }
        let resource_type = TypeId::resource_named(type_name)?;
        Some(Literal { base, key: ResourceKey { resource_type, id: ResourceId::parse(id)? }, version })
    }
}

/// Tells whether the element holds a URL that may name another resource:
/// `Reference.reference`, and values of type uri, url, canonical, oid, uuid.
fn is_link(element: Element<'_>, parent: Element<'_>) -> bool {
    match element.ty() {
        ty::URI | ty::URL | ty::CANONICAL | ty::OID | ty::UUID => true,
        ty::STRING => parent.ty().is_a(ty::REFERENCE) && element.name_id() == Some(name::REFERENCE),
        _ => false,
    }
}

/// Replaces each URL of the resource for which `replacement` gives one.
///
/// Contained resources are included; narrative is left alone.
pub fn rewrite(resource: &mut Resource, mut replacement: impl FnMut(&str) -> Option<String>) {
    let mut changes: Vec<(NodeId, String)> = Vec::new();
    visit(resource.root(), &mut |element, parent| {
        if let Some(new) = element.value().filter(|_| is_link(element, parent)).and_then(&mut replacement) {
            changes.push((element.id(), new));
        }
    });
    for (node, value) in changes {
        resource.set_value(node, &value);
    }
}

/// Calls `each` with the text of each `Reference.reference` of the resource.
pub fn for_each_reference(resource: &Resource, mut each: impl FnMut(&str)) {
    visit(resource.root(), &mut |element, parent| {
        if element.ty() == ty::STRING
            && is_link(element, parent)
            && let Some(text) = element.value()
        {
            each(text);
        }
    });
}

fn visit<'r>(parent: Element<'r>, each: &mut impl FnMut(Element<'r>, Element<'r>)) {
    for child in parent.children() {
        each(child, parent);
        visit(child, each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals() {
        for (text, base, id, version) in [
            ("Patient/1", None, "1", None),
            ("Patient/1/_history/2", None, "1", Some("2")),
            ("http://a/fhir/Patient/x.y", Some("http://a/fhir"), "x.y", None),
        ] {
            let literal = Literal::parse(text);
            let told = literal.as_ref().map(|l| (l.base, l.key.id.as_str(), l.version));
            assert_eq!(told, Some((base, id, version)), "{text}");
        }
        for text in [
            "",
            "1",
            "Nothing/1",
            "urn:uuid:1",
            "#a",
            "Patient?x=y",
            "fhir/Patient/1",
            "Patient/a b",
            "http://x",
        ] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn rewriting_reaches_references_and_urls() {
        let document = br##"{"resourceType":"DocumentReference","subject":{"reference":"urn:uuid:1"},
            "content":[{"attachment":{"url":"urn:uuid:2","title":"urn:uuid:1"}}],
            "contained":[{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"}}]}"##;
        let mut resource = crate::json::read(document.as_slice()).expect("valid");
        rewrite(&mut resource, |url| match url {
            "urn:uuid:1" => Some("Patient/1".to_owned()),
            "urn:uuid:2" => Some("Binary/2".to_owned()),
            _ => None,
        });
        let text = String::from_utf8(crate::json::to_json(&resource)).expect("text");
        assert_eq!(text.matches("Patient/1").count(), 2, "{text}");
        assert_eq!(text.matches("Binary/2").count(), 1, "{text}");
        assert!(text.contains(r#""title":"urn:uuid:1""#), "a title is no link: {text}");
    }
}
