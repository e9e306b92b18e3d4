//! Telecommunication addresses (TEL): URLs with what they are for.

use super::time::Interval;
use super::{at, attribute, element};
use crate::wire::xml::Element;

/// A telephone number, an e-mail address ...
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Telecom {
    /// The URL: `tel:...`, `mailto:...`; some senders leave the scheme out.
    pub value: Option<String>,
    /// What it is for: `HP`, `WP`, `MC` ...
    pub uses: Vec<String>,
    /// When it is in use.
    pub useable_period: Interval,
}

impl Telecom {
    /// Reads one.
    pub fn of(element: &Element) -> Telecom {
        let uses = element.attribute("use").unwrap_or_default().split_whitespace();
        Telecom {
            value: attribute(element, "value").map(str::to_owned),
            uses: uses.map(str::to_owned).collect(),
            useable_period: at(element, &["useablePeriod"]).map(Interval::of).unwrap_or_default(),
        }
    }

    /// Returns the scheme of its URL, if it has one, and the rest.
    pub fn parts(&self) -> (Option<&str>, &str) {
        let value = self.value.as_deref().unwrap_or_default();
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        };
        match value.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (Some(scheme), rest),
            _ => (None, value),
        }
    }

    /// Writes it as an element of a name.
    pub fn to_element(&self, local: &str) -> Element {
        let uses = (!self.uses.is_empty()).then(|| self.uses.join(" "));
        let period =
            (!self.useable_period.is_empty()).then(|| self.useable_period.to_element("useablePeriod"));
        element(local)
            .with_attribute_if("value", self.value.as_deref())
            .with_attribute_if("use", uses.as_deref())
            .with_children(period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_or_none() {
        for (value, scheme, rest) in [
            ("tel:+39-010-1", Some("tel"), "+39-010-1"),
            ("mailto:a@b.it", Some("mailto"), "a@b.it"),
            ("x-text-fax:1", Some("x-text-fax"), "1"),
            ("010 1", None, "010 1"),
            ("1:2", None, "1:2"),
        ] {
            let whole = element("telecom").with_attribute("value", value).with_attribute("use", "HP MC");
            let read = Telecom::of(&whole);
            assert_eq!(read.parts(), (scheme, rest), "{value}");
            assert_eq!(read.to_element("telecom"), whole);
        }
    }
}
