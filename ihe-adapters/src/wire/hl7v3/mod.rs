//! HL7 version 3 messages: the data types as they stand in XML, and what
//! messages are wrapped in.
//!
//! Spec: HL7 v3 XML ITS for data types, release 1; ITI TF-2 Appendix O for the
//! wrappers, Appendix E for identifiers.

pub mod acknowledgement;
pub mod address;
pub mod coded;
pub mod identifier;
pub mod message;
pub mod name;
pub mod query;
pub mod registration;
pub mod telecom;
pub mod time;

use super::namespaces::HL7_V3;
use super::xml::Element;

/// Makes an element of HL7 v3.
pub fn element(local: &str) -> Element {
    Element::new(HL7_V3, local)
}

/// Makes an element that only has a code.
pub fn code(local: &str, code: &str) -> Element {
    element(local).with_attribute("code", code)
}

/// Makes an element that only has a value.
pub fn value(local: &str, value: &str) -> Element {
    element(local).with_attribute("value", value)
}

/// Finds the first element at a path of names.
pub fn at<'e>(from: &'e Element, path: &[&str]) -> Option<&'e Element> {
    path.iter().try_fold(from, |element, local| element.child(HL7_V3, local))
}

/// Returns the elements of a name.
pub fn all<'e>(from: &'e Element, local: &'e str) -> impl Iterator<Item = &'e Element> {
    from.children_named(HL7_V3, local)
}

/// Returns an attribute, without blanks around it; `None` when nothing stands in it.
pub fn attribute<'e>(element: &'e Element, local: &str) -> Option<&'e str> {
    element.attribute(local).map(str::trim).filter(|text| !text.is_empty())
}
