//! A CDA R2 document as a tree that maps and FHIRPath walk.
//!
//! It has the form of the logical model of CDA: attributes are children as
//! elements are; the text of an element is its child `xmlText` (also
//! `dataString` and `data`); each part of a name or address stands in an
//! `item`; timestamps are written as FHIR writes them; a section's text is
//! XHTML. A node has the type that `xsi:type` names, else that of the schema.
//!
//! Spec: <https://hl7.org/cda/stds/core/2.0.0-sd/>

use std::borrow::Cow;

use fhir_model::fhirpath::{ExternalTree, Value};
use fhir_model::primitive::date::PartialDate;

use super::cda_read::{self, CdaError};
use super::cda_types;

/// The number of a node.
pub(super) type NodeNumber = u32;

pub(super) const NONE: u32 = u32::MAX;

/// A document.
pub struct CdaDocument {
    pub(super) text: String,
    pub(super) nodes: Vec<Node>,
}

/// A stretch of the text; `start` is `NONE` without one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) len: u32,
}

impl Span {
    pub(super) const NONE: Span = Span { start: NONE, len: 0 };
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) name: Span,
    pub(super) ty: &'static str,
    pub(super) kind: Kind,
    pub(super) value: Span,
    pub(super) first_child: u32,
    pub(super) next: u32,
}

impl Node {
    fn is_leaf(&self) -> bool {
        self.first_child == NONE
    }
}

/// What a value is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An element without text.
    Complex,
    /// Text.
    Text,
    /// A timestamp.
    Time,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// A truth.
    Boolean,
}

impl CdaDocument {
    /// Reads a document from XML in UTF-8.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line. Document type
    /// declarations, entities beyond XML's own, and documents larger or deeper
    /// than allowed are refused.
    pub fn read(xml: &str) -> Result<CdaDocument, CdaError> {
        cda_read::read(xml)
    }

    /// Returns the number of the root.
    pub fn root(&self) -> u32 {
        0
    }

    fn node(&self, number: NodeNumber) -> Option<&Node> {
        self.nodes.get(number as usize)
    }

    pub(super) fn span(&self, span: Span) -> Option<&str> {
        if span.start == NONE {
            return None;
        }
        self.text.get(span.start as usize..span.start as usize + span.len as usize)
    }

    /// Returns the name of a node.
    pub(super) fn name(&self, node: NodeNumber) -> &str {
        self.node(node).and_then(|n| self.span(n.name)).unwrap_or_default()
    }

    fn each_child(&self, node: NodeNumber) -> impl Iterator<Item = NodeNumber> {
        let mut at = self.node(node).map_or(NONE, |n| n.first_child);
        std::iter::from_fn(move || {
            let number = at;
            at = self.node(number)?.next;
            Some(number)
        })
    }
}

impl ExternalTree for CdaDocument {
    fn children(&self, node: u32, name: Option<&str>, each: &mut dyn FnMut(u32)) {
        let name = match name {
            Some("dataString" | "data") => Some("xmlText"),
            other => other,
        };
        // What has a value and no parts is its own `value`, as primitives are.
        if name == Some("value") && self.node(node).is_some_and(|n| n.kind != Kind::Complex && n.is_leaf()) {
            each(node);
        }
        for child in self.each_child(node) {
            if name.is_none_or(|name| self.name(child) == name) {
                each(child);
            }
        }
    }

    fn type_name(&self, node: u32) -> &'static str {
        self.node(node).map_or(cda_types::ANY, |n| n.ty)
    }

    fn is_a(&self, node: u32, type_name: &str) -> bool {
        cda_types::is_a(self.type_name(node), type_name)
    }

    fn value(&self, node: u32) -> Option<Value<'_>> {
        let text = self.text(node)?;
        let typed = match self.node(node)?.kind {
            Kind::Complex => return None,
            Kind::Text => None,
            Kind::Time => PartialDate::parse(text).map(Value::DateTime),
            Kind::Integer => text.parse().ok().map(Value::Integer),
            Kind::Decimal => text.parse().ok().map(Value::Decimal),
            Kind::Boolean => match text {
                "true" => Some(Value::Boolean(true)),
                "false" => Some(Value::Boolean(false)),
                _ => None,
            },
        };
        Some(typed.unwrap_or(Value::String(Cow::Borrowed(text))))
    }

    fn text(&self, node: u32) -> Option<&str> {
        self.span(self.node(node)?.value)
    }
}

#[cfg(test)]
mod tests {
    use fhir_model::fhirpath::{Context, Expression, External};
    use fhir_model::schema::ty;
    use fhir_model::tree::Resource;

    use super::*;

    const DOCUMENT: &str = r##"<?xml version="1.0"?>
<!-- a comment -->
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:sdtc="urn:hl7-org:sdtc">
  <title>  A &amp; &#66; </title>
  <sdtc:statusCode code="active"/>
  <effectiveTime value="20220330112426+0100"/>
  <versionNumber value="2"/>
  <recordTarget><patientRole>
    <addr use="HP"><city>Roma</city> via <postalCode>00138</postalCode></addr>
    <patient><name><family>Test</family><given>A</given><given>B</given></name>
      <birthTime value="19930619"/></patient>
    <providerOrganization><name>San Raffaele</name></providerOrganization>
  </patientRole></recordTarget>
  <component><structuredBody><component><section>
    <text>see <list><item ID="x">a &lt; b</item></list></text>
    <entry><observation classCode="OBS"><value xsi:type="PQ" value="20.5" unit="mg/L"/>
      <text><reference value="#x"/></text></observation></entry>
  </section></component></structuredBody></component>
</ClinicalDocument>"##;

    fn evaluate(expression: &str) -> String {
        let document = CdaDocument::read(DOCUMENT).expect("a document");
        let unused = Resource::new(ty::BASIC);
        let focus = [Value::External(External::new(&document, document.root()))];
        let expression = Expression::parse_for_external(expression).expect("an expression");
        let values = expression.evaluate_on(&Context::new(unused.root()), &focus).expect("a value");
        values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn expressions_walk_a_document() {
        const OBSERVATION: &str = "component.structuredBody.component.section.entry.observation";
        for (expression, found) in [
            ("title", "A & B"),
            ("title.xmlText", "A & B"),
            ("title.dataString", "A & B"),
            ("statusCode.code", "active"),
            ("effectiveTime.value", "2022-03-30T11:24:26+01:00"),
            ("effectiveTime.value > @2021", "true"),
            ("versionNumber.value > 1", "true"),
            ("versionNumber.value + 1", "3"),
            ("recordTarget.patientRole.patient.name.item.given.xmlText", "A, B"),
            ("recordTarget.patientRole.patient.name is PN", "true"),
            ("recordTarget.patientRole.patient.name is EN", "true"),
            ("recordTarget.patientRole.patient.name is ON", "false"),
            ("recordTarget.patientRole.patient.birthTime.value", "1993-06-19"),
            ("recordTarget.patientRole.providerOrganization.name.item.xmlText", "San Raffaele"),
            ("recordTarget.patientRole.addr.item.city.xmlText.lower()", "roma"),
            ("recordTarget.patientRole.addr.item.xmlText", "via"),
            ("recordTarget.patientRole.addr.use = 'HP'", "true"),
            ("recordTarget.patientRole.addr.useablePeriod.exists()", "false"),
            (
                "component.structuredBody.component.section.text",
                "<div xmlns=\"http://www.w3.org/1999/xhtml\">see <ul><li id=\"x\">a &lt; b</li></ul></div>",
            ),
            ("descendants().ofType(PQ).value", "20.5"),
            ("ClinicalDocument.title", "A & B"),
        ] {
            assert_eq!(evaluate(expression), found, "{expression}");
        }
        assert_eq!(evaluate(&format!("{OBSERVATION}.value.value * 2")), "41.0");
        assert_eq!(evaluate(&format!("{OBSERVATION}.text.reference.value")), "#x");
        assert_eq!(evaluate(&format!("{OBSERVATION}.value.as(CD).code")), "");
        assert_eq!(evaluate(&format!("{OBSERVATION}.classCode.type().name")), "string");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        let deep = "<a>".repeat(10_000);
        for (xml, problem) in [
            ("", "no element"),
            ("<a>", "without end"),
            ("<a></b>", "line 1"),
            ("text", "outside"),
            ("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "document type declaration"),
            ("<a>&x;</a>", "entity"),
            ("<a b=\"&x;\"/>", "line 1"),
            ("<a/><b/>", "second"),
            (deep.as_str(), "deeper"),
        ] {
            match CdaDocument::read(xml) {
                Ok(_) => panic!("{}", &xml[..xml.len().min(40)]),
                Err(error) => assert!(error.to_string().contains(problem), "{error}"),
            }
        }
    }
}
