//! The `id` type: a logical id.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#id>

use std::fmt;

/// A logical id: 1 to 64 of `A-Z a-z 0-9 - .`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(Box<str>);

impl ResourceId {
    /// Parses an id; `None` when `text` is not one.
    pub fn parse(text: &str) -> Option<ResourceId> {
        is_id(text).then(|| ResourceId(text.into()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether `text` is a logical id.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let long = "a".repeat(64);
        for good in ["1", "A-b.9", "..", long.as_str()] {
            assert!(is_id(good), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", "a b", "a/b", "a_b", "è", "a\0", too_long.as_str()] {
            assert!(!is_id(bad), "{bad}");
        }
    }
}
