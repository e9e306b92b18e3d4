//! Names of persons and other entities (PN, EN, ON): parts in their order.

use super::time::Interval;
use super::{at, attribute, element};
use crate::wire::namespaces::HL7_V3;
use crate::wire::xml::{Element, Node};

/// A name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EntityName {
    /// What it is for: `L`, `OR`, `P` ...
    pub uses: Vec<String>,
    /// Its parts, in their order.
    pub parts: Vec<NamePart>,
    /// Since when it is in use, and until when.
    pub valid_time: Interval,
    /// Why there is none.
    pub null_flavor: Option<String>,
}

/// A part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePart {
    /// What it is.
    pub kind: PartKind,
    /// What is to be said of it: `BR`, `AC`, `CL` ...
    pub qualifiers: Vec<String>,
    /// The part itself.
    pub text: String,
}

/// What a part of a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// What stands before a name: a title.
    Prefix,
    /// A given name.
    Given,
    /// A family name.
    Family,
    /// What stands after a name.
    Suffix,
    /// What stands between parts.
    Delimiter,
    /// Text that is not taken apart.
    Text,
}

/// The elements that parts are written as.
const ELEMENTS: &[(&str, PartKind)] = &[
    ("prefix", PartKind::Prefix),
    ("given", PartKind::Given),
    ("family", PartKind::Family),
    ("suffix", PartKind::Suffix),
    ("delimiter", PartKind::Delimiter),
];

impl EntityName {
    /// Reads one.
    pub fn of(element: &Element) -> EntityName {
        let words = |element: &Element, local: &str| {
            let words = element.attribute(local).unwrap_or_default().split_whitespace();
            words.map(str::to_owned).collect::<Vec<String>>()
        };
        let part = |node: &Node| match node {
            Node::Element(part) if &*part.namespace == HL7_V3 => {
                let (_, kind) = ELEMENTS.iter().find(|(local, _)| *local == part.local)?;
                Some(NamePart { kind: *kind, qualifiers: words(part, "qualifier"), text: part.text() })
            }
            Node::Text(text) => {
                let text = text.trim().to_owned();
                Some(NamePart { kind: PartKind::Text, qualifiers: Vec::new(), text })
            }
            Node::Element(_) | Node::Fragment(_) => None,
        };
        let parts = element.children.iter().filter_map(part).filter(|part| !part.text.is_empty());
        EntityName {
            uses: words(element, "use"),
            parts: parts.collect(),
            valid_time: at(element, &["validTime"]).map(Interval::of).unwrap_or_default(),
            null_flavor: attribute(element, "nullFlavor").map(str::to_owned),
        }
    }

    /// Tells whether it names nobody.
    pub fn is_null(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns the parts of a kind.
    pub fn of_kind(&self, kind: PartKind) -> impl Iterator<Item = &NamePart> {
        self.parts.iter().filter(move |part| part.kind == kind)
    }

    /// Returns the texts of its parts, joined by blanks.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.parts.iter().map(|part| part.text.as_str()).collect();
        texts.join(" ")
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let joined = |words: &[String]| (!words.is_empty()).then(|| words.join(" "));
        let mut name = element(local)
            .with_attribute_if("nullFlavor", self.null_flavor.as_deref())
            .with_attribute_if("use", joined(&self.uses).as_deref());
        for part in &self.parts {
            name = match ELEMENTS.iter().find(|(_, kind)| *kind == part.kind) {
                Some((local, _)) => {
                    let qualifiers = joined(&part.qualifiers);
                    let part = element(local)
                        .with_attribute_if("qualifier", qualifiers.as_deref())
                        .with_text(part.text.as_str());
                    name.with_child(part)
                }
                None => name.with_text(part.text.as_str()),
            };
        }
        let valid = (!self.valid_time.is_empty()).then(|| self.valid_time.to_element("validTime"));
        name.with_children(valid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_it_was_read() {
        let part = |local: &str, text: &str| element(local).with_text(text);
        let low = element("low").with_attribute("value", "1990");
        let whole = element("name")
            .with_attribute("use", "L P")
            .with_child(part("prefix", "Dott.").with_attribute("qualifier", "AC"))
            .with_child(part("given", "Maria"))
            .with_child(part("given", "Rosa"))
            .with_child(part("family", "D'Amico"))
            .with_child(part("delimiter", ","))
            .with_child(part("suffix", "II"))
            .with_child(element("validTime").with_child(low));
        let read = EntityName::of(&whole);
        assert_eq!(read.to_element("name"), whole);
        assert_eq!(read.of_kind(PartKind::Given).count(), 2);
        assert_eq!(read.text(), "Dott. Maria Rosa D'Amico , II");
        let text = element("name").with_text("Ignoto");
        assert_eq!(EntityName::of(&text).to_element("name"), text);
        assert!(EntityName::of(&element("name").with_attribute("nullFlavor", "NA")).is_null());
        assert!(EntityName::of(&element("name").with_child(element("given"))).is_null());
    }
}
