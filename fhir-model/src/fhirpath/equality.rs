//! Equality and equivalence, of items and of collections.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#equality>

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::fhirpath::distinct::Distinct;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::Evaluator;
use crate::fhirpath::operators::{Comparison, number};
use crate::fhirpath::quantity;
use crate::fhirpath::value::{Collection, Value};
use crate::schema::{TypeKind, name};
use crate::tree::Element;

type Result<T> = std::result::Result<T, EvaluateError>;

impl<'r> Evaluator<'_, 'r, '_> {
    /// `=` with a text.
    pub(super) fn equals_text(&self, values: &[Value<'r>], text: &str) -> Option<bool> {
        match values {
            [] => None,
            [Value::String(value)] => Some(value == text),
            [Value::External(node)] => Some(node.text() == Some(text)),
            [Value::Element(element)] if element.definition().kind == TypeKind::Primitive => {
                match Value::Element(*element).system() {
                    Some(Value::String(value)) => Some(value == text),
                    Some(_) => Some(false),
                    None if element.value().is_some() => Some(false),
                    None => None,
                }
            }
            _ => Some(false),
        }
    }

    /// Tells whether a collection has an item that equals `item`.
    pub(super) fn is_among(&self, item: &Value<'r>, values: &[Value<'r>]) -> Result<bool> {
        for value in values {
            self.step()?;
            if self.equal(item, value) == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps the first of equal items.
    pub(super) fn distinct(&self, values: Collection<'r>) -> Result<Collection<'r>> {
        if values.len() < 2 {
            return Ok(values);
        }
        Distinct::of(self, values).map(Distinct::into_items)
    }

    /// `=`: `None` when either is empty or the precision does not tell.
    pub(super) fn equal_collections(&self, left: &[Value<'r>], right: &[Value<'r>]) -> Option<bool> {
        if left.is_empty() || right.is_empty() {
            return None;
        }
        if left.len() != right.len() {
            return Some(false);
        }
        all_equal(left.iter().zip(right).map(|(left, right)| self.equal(left, right)))
    }

    /// `=` of two items.
    pub(super) fn equal(&self, left: &Value<'r>, right: &Value<'r>) -> Option<bool> {
        if let (Value::Element(a), Value::Element(b)) = (left, right) {
            return if a == b { Some(true) } else { self.equal_elements(*a, *b) };
        }
        match (left.system(), right.system()) {
            (Some(left), Some(right)) => self.equal_system(&left, &right),
            _ if matches!((left, right), (Value::External(a), Value::External(b)) if a == b) => Some(true),
            _ => match (left, right) {
                (Value::Target(a), Value::Target(b)) => Some(a == b),
                // A primitive without value has nothing to compare.
                (Value::Element(e), other) | (other, Value::Element(e))
                    if e.definition().is_primitive() && !matches!(other, Value::Target(_)) =>
                {
                    None
                }
                _ => Some(false),
            },
        }
    }

    fn equal_elements(&self, a: Element<'r>, b: Element<'r>) -> Option<bool> {
        self.count(1);
        let primitive = |e: Element<'_>| e.definition().kind == TypeKind::Primitive;
        if primitive(a) && primitive(b) {
            return match (Value::Element(a).system(), Value::Element(b).system()) {
                (Some(left), Some(right)) => self.equal_system(&left, &right),
                (None, None) if a.value().is_none() && b.value().is_none() => self.equal_children(a, b),
                _ => Some(a.value() == b.value()),
            };
        }
        if primitive(a) || primitive(b) {
            return Some(false);
        }
        if let (Some(left @ Value::Quantity(_)), Some(right @ Value::Quantity(_))) =
            (Value::Element(a).system(), Value::Element(b).system())
            && self.equal_system(&left, &right) == Some(true)
        {
            return Some(true);
        }
        self.equal_children(a, b)
    }

    /// Compares the children name by name, whatever order the names stand in.
    fn equal_children(&self, a: Element<'r>, b: Element<'r>) -> Option<bool> {
        let sorted = |e: Element<'r>| {
            let mut children: SmallVec<[Element<'r>; 8]> = e.children().collect();
            children.sort_by_key(|c| c.name_id());
            children
        };
        let (left, right) = (sorted(a), sorted(b));
        if left.len() != right.len() || left.iter().zip(&right).any(|(l, r)| l.name_id() != r.name_id()) {
            return Some(false);
        }
        all_equal(left.iter().zip(&right).map(|(l, r)| self.equal_elements(*l, *r)))
    }

    fn equal_system(&self, left: &Value<'r>, right: &Value<'r>) -> Option<bool> {
        if let (Value::String(a), Value::String(b)) = (left, right) {
            return Some(a == b);
        }
        match self.compare(left, right) {
            Comparison::Ordered(ordering) => Some(ordering == Ordering::Equal),
            Comparison::Undecided => None,
            Comparison::Unlike => Some(match (left, right) {
                (Value::Boolean(a), Value::Boolean(b)) => a == b,
                (Value::Type(a), Value::Type(b)) => a == b,
                _ => false,
            }),
        }
    }

    /// `~`: the same items in any order.
    pub(super) fn equivalent_collections(&self, left: &[Value<'r>], right: &[Value<'r>]) -> Result<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        let mut unmatched: SmallVec<[&Value<'r>; 4]> = right.iter().collect();
        for value in left {
            self.step()?;
            let Some(at) = unmatched.iter().position(|other| self.equivalent(value, other)) else {
                return Ok(false);
            };
            unmatched.swap_remove(at);
        }
        Ok(true)
    }

    /// `~` of two items.
    fn equivalent(&self, left: &Value<'r>, right: &Value<'r>) -> bool {
        self.count(1);
        if let (Some(left), Some(right)) = (left.system(), right.system()) {
            return match (&left, &right) {
                (Value::String(a), Value::String(b)) => normalized(a).eq(normalized(b)),
                (Value::Quantity(a), Value::Quantity(b)) => quantity::equivalent(self.context, a, b),
                (a, b) => match number(a).zip(number(b)) {
                    Some((a, b)) => quantity::decimals_equivalent(a, b),
                    None => self.equal_system(a, b) == Some(true),
                },
            };
        }
        match (left, right) {
            (Value::Element(a), Value::Element(b)) => a == b || self.equivalent_children(*a, *b),
            (Value::Target(a), Value::Target(b)) => a == b,
            (Value::External(a), Value::External(b)) => a == b,
            _ => false,
        }
    }

    fn equivalent_children(&self, a: Element<'r>, b: Element<'r>) -> bool {
        // An element's own id is no part of what it says.
        let children = |e: Element<'r>| {
            let with_id = e.is_resource();
            e.children().filter(move |c| with_id || c.name_id() != Some(name::ID))
        };
        let mut unmatched: SmallVec<[Element<'r>; 8]> = children(b).collect();
        for child in children(a) {
            let found = unmatched.iter().position(|other| {
                other.name_id() == child.name_id()
                    && self.equivalent(&Value::Element(child), &Value::Element(*other))
            });
            match found {
                Some(at) => unmatched.swap_remove(at),
                None => return false,
            };
        }
        unmatched.is_empty()
    }
}

/// Every part is equal; else some part is not; else it cannot be told.
fn all_equal(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut out = Some(true);
    for part in parts {
        match part {
            Some(true) => {}
            Some(false) => return Some(false),
            None => out = None,
        }
    }
    out
}

/// The letters of a text as `~` sees them: lower case, runs of white space as one space.
fn normalized(text: &str) -> impl Iterator<Item = char> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    first
        .chars()
        .chain(words.flat_map(|word| std::iter::once(' ').chain(word.chars())))
        .flat_map(char::to_lowercase)
}
