//! Postal addresses (AD): parts in their order.

use super::time::Interval;
use super::{at, element};
use crate::wire::namespaces::HL7_V3;
use crate::wire::xml::{Element, Node};

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// What it is for: `H`, `WP` ...
    pub uses: Vec<String>,
    /// Its parts: what each is, by the name of its element, and its text. The
    /// name is empty for text that is not taken apart.
    pub parts: Vec<(String, String)>,
    /// When it is in use.
    pub useable_period: Interval,
}

/// The name of the element that says when an address is in use.
const USEABLE_PERIOD: &str = "useablePeriod";

impl Address {
    /// Reads one.
    pub fn of(element: &Element) -> Address {
        let part = |node: &Node| match node {
            Node::Element(part) if &*part.namespace == HL7_V3 && part.local != USEABLE_PERIOD => {
                Some((part.local.clone(), part.text()))
            }
            Node::Text(text) => Some((String::new(), text.trim().to_owned())),
            Node::Element(_) | Node::Fragment(_) => None,
        };
        let uses = element.attribute("use").unwrap_or_default().split_whitespace();
        Address {
            uses: uses.map(str::to_owned).collect(),
            parts: element.children.iter().filter_map(part).filter(|(_, text)| !text.is_empty()).collect(),
            useable_period: at(element, &[USEABLE_PERIOD]).map(Interval::of).unwrap_or_default(),
        }
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let uses = (!self.uses.is_empty()).then(|| self.uses.join(" "));
        let mut address = element(local).with_attribute_if("use", uses.as_deref());
        for (part, text) in &self.parts {
            address = match part.as_str() {
                "" => address.with_text(text.as_str()),
                part => address.with_child(element(part).with_text(text.as_str())),
            };
        }
        let period =
            (!self.useable_period.is_empty()).then(|| self.useable_period.to_element(USEABLE_PERIOD));
        address.with_children(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_was_read() {
        let part = |local: &str, text: &str| element(local).with_text(text);
        let high = element("high").with_attribute("value", "2020");
        for whole in [
            element("addr")
                .with_attribute("use", "HP PST")
                .with_child(part("streetAddressLine", "Via Balbi 5"))
                .with_child(part("city", "Genova"))
                .with_child(element(USEABLE_PERIOD).with_child(high)),
            element("addr").with_text("Via Balbi 5, Genova"),
        ] {
            assert_eq!(Address::of(&whole).to_element("addr"), whole);
        }
        assert_eq!(Address::of(&element("addr").with_child(element("city"))), Address::default());
    }
}
