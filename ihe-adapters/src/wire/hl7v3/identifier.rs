//! Instance identifiers (II).
//!
//! Spec: ITI TF-2 Appendix E.2

use super::{attribute, element};
use crate::wire::xml::Element;

/// An identifier: who assigned it, and which it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceIdentifier {
    /// The OID of who assigned it, or a UUID that identifies by itself.
    pub root: Option<String>,
    /// The identifier that they gave.
    pub extension: Option<String>,
    /// What they are called.
    pub authority_name: Option<String>,
    /// Why there is none.
    pub null_flavor: Option<String>,
}

impl InstanceIdentifier {
    /// Makes an identifier that is a root alone.
    pub fn of_root(root: impl Into<String>) -> InstanceIdentifier {
        InstanceIdentifier { root: Some(root.into()), ..InstanceIdentifier::default() }
    }

    /// Makes a new identifier that nothing else has.
    pub fn unique() -> InstanceIdentifier {
        InstanceIdentifier::of_root(uuid::Uuid::new_v4().to_string())
    }

    /// Reads one.
    pub fn of(element: &Element) -> InstanceIdentifier {
        let text = |local| attribute(element, local).map(str::to_owned);
        InstanceIdentifier {
            root: text("root"),
            extension: text("extension"),
            authority_name: text("assigningAuthorityName"),
            null_flavor: text("nullFlavor"),
        }
    }

    /// Tells whether it identifies nothing.
    pub fn is_null(&self) -> bool {
        self.null_flavor.is_some() || (self.root.is_none() && self.extension.is_none())
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let is_empty = self.root.is_none() && self.extension.is_none() && self.null_flavor.is_none();
        element(local)
            .with_attribute_if("nullFlavor", if is_empty { Some("UNK") } else { self.null_flavor.as_deref() })
            .with_attribute_if("root", self.root.as_deref())
            .with_attribute_if("extension", self.extension.as_deref())
            .with_attribute_if("assigningAuthorityName", self.authority_name.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_written_as_it_was_read() {
        let whole = element("id").with_attribute("root", "1.2.3").with_attribute("extension", "A 1");
        for (element, is_null) in [
            (whole.clone().with_attribute("assigningAuthorityName", "ASL"), false),
            (whole, false),
            (element("id").with_attribute("nullFlavor", "NA"), true),
            (element("id").with_attribute("root", "1.2.3"), false),
        ] {
            let read = InstanceIdentifier::of(&element);
            assert_eq!(read.is_null(), is_null, "{read:?}");
            assert_eq!(read.to_element("id"), element);
        }
        let nothing = InstanceIdentifier::of(&element("id").with_attribute("root", " "));
        assert!(nothing.is_null());
        assert_eq!(nothing.to_element("id"), element("id").with_attribute("nullFlavor", "UNK"));
    }
}
