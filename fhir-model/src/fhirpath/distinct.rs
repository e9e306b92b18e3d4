//! Collections without equal items, found by a fingerprint once they are large.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::Evaluator;
use crate::fhirpath::temporal;
use crate::fhirpath::value::{Collection, Value};
use crate::schema::ty;
use crate::tree::Element;

/// Up to so many items, comparing each with each is quicker.
const SMALL: usize = 12;

/// The fingerprint of every quantity.
const QUANTITY: u64 = 0;

/// Items of which no two are equal.
#[derive(Default)]
pub(super) struct Distinct<'r> {
    items: Collection<'r>,
    /// Where the items of each fingerprint are; made when there are many.
    places: HashMap<u64, SmallVec<[usize; 1]>>,
}

impl<'r> Distinct<'r> {
    /// Makes a set of some items.
    pub(super) fn of(
        evaluator: &Evaluator<'_, 'r, '_>,
        values: impl IntoIterator<Item = Value<'r>>,
    ) -> Result<Distinct<'r>, EvaluateError> {
        let mut out = Distinct::default();
        for value in values {
            out.insert(evaluator, value)?;
        }
        Ok(out)
    }

    /// Returns the items, in the order in which they came.
    pub(super) fn into_items(self) -> Collection<'r> {
        self.items
    }

    /// Returns how many items there are.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Tells whether an item equals `value`.
    pub(super) fn contains(
        &self,
        evaluator: &Evaluator<'_, 'r, '_>,
        value: &Value<'r>,
    ) -> Result<bool, EvaluateError> {
        if self.places.is_empty() {
            return evaluator.is_among(value, &self.items);
        }
        evaluator.step()?;
        let places = self.places.get(&fingerprint(value)).into_iter().flatten();
        for item in places.filter_map(|at| self.items.get(*at)) {
            evaluator.step()?;
            if evaluator.equal(value, item) == Some(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds an item unless an equal one is there; tells whether it was added.
    pub(super) fn insert(
        &mut self,
        evaluator: &Evaluator<'_, 'r, '_>,
        value: Value<'r>,
    ) -> Result<bool, EvaluateError> {
        if self.contains(evaluator, &value)? {
            return Ok(false);
        }
        if !self.places.is_empty() {
            self.places.entry(fingerprint(&value)).or_default().push(self.items.len());
        }
        self.items.push(value);
        if self.places.is_empty() && self.items.len() > SMALL {
            for (at, item) in self.items.iter().enumerate() {
                self.places.entry(fingerprint(item)).or_default().push(at);
            }
        }
        Ok(true)
    }
}

/// A number that is the same for equal values, but for a bare number that
/// equals a quantity: those count as different once there are many items.
fn fingerprint(value: &Value<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Value::Element(element) => return element_fingerprint(*element),
        Value::Boolean(value) => value.hash(&mut hasher),
        Value::Integer(value) => Decimal::from(*value).hash(&mut hasher),
        Value::Decimal(value) => value.normalize().hash(&mut hasher),
        // Equal quantities may have different units: all are looked through.
        Value::Quantity(_) => return QUANTITY,
        Value::String(text) => text.hash(&mut hasher),
        Value::Date(date) | Value::DateTime(date) => temporal::date_key(date).hash(&mut hasher),
        Value::Time(time) => temporal::time_key(time).hash(&mut hasher),
        Value::Type(info) => info.name.hash(&mut hasher),
        Value::Target(ty) => ty.hash(&mut hasher),
        Value::External(node) => match node.value() {
            Some(value) => return fingerprint(&value),
            None => node.node().hash(&mut hasher),
        },
    }
    hasher.finish()
}

/// Of complex elements the fingerprints of the children are summed, since
/// children of different names may stand in any order.
fn element_fingerprint(element: Element<'_>) -> u64 {
    let value = Value::Element(element);
    if element.ty().is_a(ty::QUANTITY) {
        return QUANTITY;
    }
    if let Some(value) = value.system() {
        return fingerprint(&value);
    }
    let mut hasher = DefaultHasher::new();
    element.value().hash(&mut hasher);
    element.children().fold(hasher.finish(), |sum, child| {
        let mut hasher = DefaultHasher::new();
        (child.name_id(), element_fingerprint(child)).hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}
