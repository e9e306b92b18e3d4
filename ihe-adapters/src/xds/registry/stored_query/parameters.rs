//! The parameters of a stored query: a name, and values of which one has to
//! hold; a name that comes again has to hold as well.
//!
//! Spec: ITI TF-2 3.18.4.1.2.3.5

use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::namespaces::RIM;
use crate::wire::xml::Element;

/// How many values all parameters may have.
const VALUES_MAX: usize = 10_000;

/// The parameters of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    all: Vec<(String, Vec<String>)>,
}

impl Parameters {
    /// Reads the slots of a query.
    ///
    /// # Errors
    /// When a value is not written as it should be, or there are too many.
    pub(crate) fn of(query: &Element) -> Result<Parameters, RegistryError> {
        let mut parameters = Parameters::default();
        let mut count = 0;
        for slot in query.children_named(RIM, "Slot") {
            let name = slot.attribute("name").unwrap_or_default();
            let mut values = Vec::new();
            let lists = slot.children_named(RIM, "ValueList");
            for text in lists.flat_map(|list| list.children_named(RIM, "Value")).map(Element::text) {
                let read = read_values(&text).ok_or_else(|| malformed(name, &text))?;
                count += read.len();
                values.extend(read);
                if count > VALUES_MAX {
                    let context = format!("the query has more than {VALUES_MAX} values");
                    return Err(RegistryError::new(ErrorCode::Registry, context));
                }
            }
            if !values.is_empty() {
                parameters.all.push((name.to_owned(), values));
            }
        }
        Ok(parameters)
    }

    /// Returns the lists of values of a parameter: one of each has to hold.
    pub(super) fn lists<'p>(&'p self, name: &'p str) -> impl Iterator<Item = &'p [String]> {
        self.all.iter().filter(move |(n, _)| n == name).map(|(_, values)| values.as_slice())
    }

    /// Returns all values of a parameter.
    pub(crate) fn values<'p>(&'p self, name: &str) -> Vec<&'p str> {
        let of_name = self.all.iter().filter(|(n, _)| n == name);
        of_name.flat_map(|(_, values)| values).map(String::as_str).collect()
    }

    /// Returns the names of those that are given.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(name, _)| name.as_str())
    }

    /// Tells whether a parameter is given.
    pub(super) fn has(&self, name: &str) -> bool {
        self.lists(name).next().is_some()
    }

    /// Returns the value of a parameter that takes one.
    ///
    /// # Errors
    /// When there are several.
    pub(super) fn single<'p>(&'p self, name: &str) -> Result<Option<&'p str>, RegistryError> {
        let values = self.values(name);
        match values.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            several => {
                let context = format!("{name} takes one value, not {}", several.len());
                Err(RegistryError::new(ErrorCode::StoredQueryParamNumber, context).at(name))
            }
        }
    }

    /// Returns the value of a parameter that has to be given, once.
    ///
    /// # Errors
    /// When it is not, or more than once.
    pub(crate) fn required<'p>(&'p self, name: &str) -> Result<&'p str, RegistryError> {
        self.single(name)?.ok_or_else(|| missing(name))
    }
}

/// Says that a parameter is missing.
pub(super) fn missing(name: &str) -> RegistryError {
    RegistryError::new(ErrorCode::StoredQueryMissingParam, format!("{name} is missing")).at(name)
}

fn malformed(name: &str, text: &str) -> RegistryError {
    let text: String = text.chars().take(200).collect();
    let context =
        format!("the value `{text}` of {name} is no number, no text in single quotes, and no list of them");
    RegistryError::new(ErrorCode::Registry, context).at(name)
}

/// Reads a value: a number, `'text'`, or `('text','text')`. Texts without
/// quotes are taken as they are, since clients send them.
fn read_values(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let list = text.strip_prefix('(').map(|inner| inner.trim_end().strip_suffix(')'));
    let mut rest = match list {
        Some(inner) => inner?.trim(),
        None if !text.starts_with('\'') => return Some(vec![text.to_owned()]),
        None => text,
    };
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let (value, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (value.trim().to_owned(), after)
            }
        };
        values.push(value);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => more.trim_start(),
            // A list may be cut between values.
            Some(_) => "",
            None if after.is_empty() => "",
            None => return None,
        };
    }
    Some(values)
}

/// Reads up to the closing quote; `''` stands for a quote.
fn quoted_text(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('\'')?;
        value.push_str(before);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_the_framework_writes_them() {
        for (text, expected) in [
            ("'a'", Some(&["a"][..])),
            ("('a')", Some(&["a"])),
            ("('a', 'b','c''d')", Some(&["a", "b", "c'd"])),
            ("20041231", Some(&["20041231"])),
            ("urn:uuid:1", Some(&["urn:uuid:1"])),
            ("('a,b^^(c)')", Some(&["a,b^^(c)"])),
            ("('a',)", Some(&["a"])),
            ("(1,2)", Some(&["1", "2"])),
            ("()", Some(&[])),
            ("''", Some(&[""])),
            ("('a'", None),
            ("'a", None),
            ("('a' 'b')", None),
        ] {
            let read = read_values(text);
            let expected = expected.map(|e| e.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_parameter_that_takes_one_value_is_held_to_it() {
        let slot = |name: &str, value: &str| {
            let value = Element::new(RIM, "Value").with_text(value);
            let list = Element::new(RIM, "ValueList").with_child(value);
            Element::new(RIM, "Slot").with_attribute("name", name).with_child(list)
        };
        let query = Element::new(RIM, "AdhocQuery").with_children([
            slot("$a", "'1'"),
            slot("$b", "('1','2')"),
            slot("$b", "('3')"),
        ]);
        let parameters = Parameters::of(&query).expect("readable");
        assert_eq!(parameters.required("$a"), Ok("1"));
        let code = |name: &str| parameters.required(name).map_err(|e| e.code);
        assert_eq!(code("$b"), Err(ErrorCode::StoredQueryParamNumber));
        assert_eq!(code("$c"), Err(ErrorCode::StoredQueryMissingParam));
        assert_eq!(parameters.lists("$b").map(<[String]>::len).collect::<Vec<_>>(), [2, 1]);
        let wrong = Element::new(RIM, "AdhocQuery").with_child(slot("$a", "'1"));
        assert!(Parameters::of(&wrong).is_err());
    }
}
