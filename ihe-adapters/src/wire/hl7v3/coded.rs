//! Coded values (CD, CE, CS).

use super::{all, at, attribute, element};
use crate::wire::xml::Element;

/// A code of a system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coded {
    /// The code.
    pub code: Option<String>,
    /// The OID of its system.
    pub code_system: Option<String>,
    /// The name of its system.
    pub code_system_name: Option<String>,
    /// The version of its system.
    pub code_system_version: Option<String>,
    /// What it means.
    pub display_name: Option<String>,
    /// The text that was coded.
    pub original_text: Option<String>,
    /// The same in other systems.
    pub translations: Vec<Coded>,
    /// Why there is none.
    pub null_flavor: Option<String>,
}

/// How deep translations of translations are read.
const DEPTH_MAX: usize = 4;

impl Coded {
    /// Makes a code of a system.
    pub fn new(code: &str, code_system: &str) -> Coded {
        Coded { code: Some(code.to_owned()), code_system: Some(code_system.to_owned()), ..Coded::default() }
    }

    /// Reads one.
    pub fn of(element: &Element) -> Coded {
        Coded::within(element, DEPTH_MAX)
    }

    fn within(element: &Element, depth: usize) -> Coded {
        let text = |local| attribute(element, local).map(str::to_owned);
        let translations = all(element, "translation").filter(|_| depth > 0);
        Coded {
            code: text("code"),
            code_system: text("codeSystem"),
            code_system_name: text("codeSystemName"),
            code_system_version: text("codeSystemVersion"),
            display_name: text("displayName"),
            original_text: at(element, &["originalText"]).map(Element::text).filter(|text| !text.is_empty()),
            translations: translations.map(|other| Coded::within(other, depth - 1)).collect(),
            null_flavor: text("nullFlavor"),
        }
    }

    /// Tells whether it says nothing.
    pub fn is_null(&self) -> bool {
        self.code.is_none() && self.original_text.is_none() && self.translations.is_empty()
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let original = self.original_text.as_deref().map(|text| element("originalText").with_text(text));
        element(local)
            .with_attribute_if("nullFlavor", self.null_flavor.as_deref())
            .with_attribute_if("code", self.code.as_deref())
            .with_attribute_if("codeSystem", self.code_system.as_deref())
            .with_attribute_if("codeSystemName", self.code_system_name.as_deref())
            .with_attribute_if("codeSystemVersion", self.code_system_version.as_deref())
            .with_attribute_if("displayName", self.display_name.as_deref())
            .with_children(original)
            .with_children(self.translations.iter().map(|other| other.to_element("translation")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_was_read() {
        let other = element("translation").with_attribute("code", "1").with_attribute("codeSystem", "1.2");
        let whole = element("code")
            .with_attribute("code", "M")
            .with_attribute("codeSystem", "2.16.840.1.113883.5.2")
            .with_attribute("codeSystemName", "MaritalStatus")
            .with_attribute("codeSystemVersion", "1")
            .with_attribute("displayName", "Coniugato")
            .with_child(element("originalText").with_text("coniugato"))
            .with_child(other);
        assert!(!Coded::of(&whole).is_null());
        assert_eq!(Coded::of(&whole).to_element("code"), whole);
        assert!(Coded::of(&element("code").with_attribute("nullFlavor", "UNK")).is_null());
    }

    #[test]
    fn translations_of_translations_end() {
        let deep = (0..20).fold(element("translation").with_attribute("code", "x"), |inner, _| {
            element("translation").with_attribute("code", "y").with_child(inner)
        });
        let mut read = &Coded::of(&deep);
        let mut depth = 0;
        while let Some(inner) = read.translations.first() {
            (read, depth) = (inner, depth + 1);
        }
        assert_eq!(depth, DEPTH_MAX);
    }
}
