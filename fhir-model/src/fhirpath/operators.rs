//! The operators: equality, order, membership, logic, arithmetic.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#operations>

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use smallvec::SmallVec;

use crate::fhirpath::ast::{Literal, Node, Operator};
use crate::fhirpath::distinct::Distinct;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Evaluator, Frame, of_value, single};
use crate::fhirpath::quantity;
use crate::fhirpath::temporal::{add_to_date, add_to_time, compare_dates, compare_times};
use crate::fhirpath::value::{CalendarUnit, Collection, Quantity, Unit, Value};
use crate::schema::TypeKind;
use crate::tree::Element;

type Result<T> = std::result::Result<T, EvaluateError>;

impl<'r> Evaluator<'_, 'r, '_> {
    /// Evaluates an operator that gives a Boolean.
    pub(super) fn condition(
        &self,
        operator: Operator,
        left: &Node,
        right: &Node,
        frame: Frame<'_, 'r>,
    ) -> Result<Option<bool>> {
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                return self.logic(operator, left, right, frame);
            }
            // Comparing with a string literal is what most paths do: no value is made of it.
            Operator::Equal | Operator::NotEqual => {
                if let Node::Literal(Literal::String(text)) = right {
                    let equal = self.equals_text(&self.evaluate(left, frame)?, text);
                    return Ok(equal.map(|equal| equal == (operator == Operator::Equal)));
                }
            }
            _ => {}
        }
        let left = self.evaluate(left, frame)?;
        let right = self.evaluate(right, frame)?;
        match operator {
            Operator::Equal => Ok(self.equal_collections(&left, &right)),
            Operator::NotEqual => Ok(self.equal_collections(&left, &right).map(|equal| !equal)),
            Operator::Equivalent => Ok(Some(self.equivalent_collections(&left, &right)?)),
            Operator::NotEquivalent => Ok(Some(!self.equivalent_collections(&left, &right)?)),
            Operator::In => self.membership(&left, &right, "`in`"),
            Operator::Contains => self.membership(&right, &left, "`contains`"),
            operator => self.order(operator, &left, &right),
        }
    }

    fn logic(
        &self,
        operator: Operator,
        left: &Node,
        right: &Node,
        frame: Frame<'_, 'r>,
    ) -> Result<Option<bool>> {
        let left = self.truth(left, frame)?;
        match (operator, left) {
            (Operator::And, Some(false)) => return Ok(Some(false)),
            (Operator::Or, Some(true)) | (Operator::Implies, Some(false)) => return Ok(Some(true)),
            _ => {}
        }
        let right = self.truth(right, frame)?;
        Ok(match operator {
            Operator::And => match (left, right) {
                (_, Some(false)) => Some(false),
                (Some(true), right) => right,
                _ => None,
            },
            Operator::Or => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(false), right) => right,
                _ => None,
            },
            Operator::Xor => left.zip(right).map(|(left, right)| left != right),
            _ => match (left, right) {
                (_, Some(true)) => Some(true),
                (Some(true), right) => right,
                _ => None,
            },
        })
    }

    fn equals_text(&self, values: &[Value<'r>], text: &str) -> Option<bool> {
        match values {
            [] => None,
            [Value::String(value)] => Some(value == text),
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

    /// Tells whether an item is in a collection.
    fn membership(
        &self,
        item: &[Value<'r>],
        values: &[Value<'r>],
        what: &'static str,
    ) -> Result<Option<bool>> {
        match single(item, what)? {
            None => Ok(None),
            Some(item) => self.is_among(item, values).map(Some),
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

    /// Orders two system values.
    pub(super) fn compare(&self, left: &Value<'r>, right: &Value<'r>) -> Comparison {
        let decided =
            |ordering: Option<Ordering>| ordering.map_or(Comparison::Undecided, Comparison::Ordered);
        match (left, right) {
            (Value::Integer(a), Value::Integer(b)) => Comparison::Ordered(a.cmp(b)),
            (Value::String(a), Value::String(b)) => Comparison::Ordered(a.cmp(b)),
            (Value::Date(a) | Value::DateTime(a), Value::Date(b) | Value::DateTime(b)) => {
                decided(compare_dates(a, b))
            }
            (Value::Time(a), Value::Time(b)) => decided(compare_times(a, b)),
            (Value::Quantity(a), Value::Quantity(b)) => {
                decided(quantity::align(self.context, a, b).map(|aligned| aligned.left.cmp(&aligned.right)))
            }
            (Value::Quantity(a), b) => match number(b) {
                Some(value) => self.compare(&Value::Quantity(a.clone()), &Value::Quantity(unity(value))),
                None => Comparison::Unlike,
            },
            (a, Value::Quantity(b)) => match number(a) {
                Some(value) => self.compare(&Value::Quantity(unity(value)), &Value::Quantity(b.clone())),
                None => Comparison::Unlike,
            },
            (a, b) => match number(a).zip(number(b)) {
                Some((a, b)) => Comparison::Ordered(a.cmp(&b)),
                None => Comparison::Unlike,
            },
        }
    }

    fn order(&self, operator: Operator, left: &[Value<'r>], right: &[Value<'r>]) -> Result<Option<bool>> {
        let what = operator.symbol();
        let (Some(left), Some(right)) = (single(left, what)?, single(right, what)?) else { return Ok(None) };
        let unlike =
            || EvaluateError::Operands { operator: what, left: left.type_name(), right: right.type_name() };
        let (left_value, right_value) = match (left.system(), right.system()) {
            (Some(left), Some(right)) => (left, right),
            (None, _) if !is_comparable(left) => return Err(unlike()),
            (_, None) if !is_comparable(right) => return Err(unlike()),
            _ => return Ok(None),
        };
        match self.compare(&left_value, &right_value) {
            Comparison::Unlike => Err(unlike()),
            Comparison::Undecided => Ok(None),
            Comparison::Ordered(ordering) => Ok(Some(match operator {
                Operator::Less => ordering.is_lt(),
                Operator::LessOrEqual => ordering.is_le(),
                Operator::Greater => ordering.is_gt(),
                _ => ordering.is_ge(),
            })),
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
            _ => false,
        }
    }

    fn equivalent_children(&self, a: Element<'r>, b: Element<'r>) -> bool {
        // An element's own id is no part of what it says.
        let children = |e: Element<'r>| {
            let with_id = e.is_resource();
            e.children().filter(move |c| with_id || c.name_id() != Some(crate::schema::name::ID))
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

    /// Evaluates an operator that calculates.
    pub(super) fn arithmetic(
        &self,
        operator: Operator,
        left: &[Value<'r>],
        right: &[Value<'r>],
    ) -> Result<Collection<'r>> {
        let what = operator.symbol();
        let (left_item, right_item) = (single(left, what)?, single(right, what)?);
        let system = |item: Option<&Value<'r>>| item.and_then(Value::system);
        let unlike = || EvaluateError::Operands {
            operator: what,
            left: left_item.map_or("nothing", Value::type_name),
            right: right_item.map_or("nothing", Value::type_name),
        };
        if [left_item, right_item].into_iter().flatten().any(|item| !is_comparable(item)) {
            return Err(unlike());
        }
        let (left, right) = (system(left_item), system(right_item));
        if operator == Operator::Concatenate {
            return self.concatenate(left, right, unlike);
        }
        let (Some(left), Some(right)) = (left, right) else { return Ok(Collection::new()) };
        if let Some(sum) = self.move_in_time(operator, &left, &right)? {
            return Ok(of_value(sum));
        }
        let value = match (&left, &right) {
            (Value::String(a), Value::String(b)) if operator == Operator::Add => {
                Some(self.joined(&[a, b]).map(|text| Value::String(text.into()))?)
            }
            (Value::Integer(a), Value::Integer(b)) => integers(operator, *a, *b),
            (Value::Quantity(a), Value::Quantity(b)) => self.quantities(operator, a, b).map(Value::Quantity),
            (Value::Quantity(a), b) if number(b).is_some() => {
                number(b).and_then(|b| self.quantities(operator, a, &unity(b))).map(Value::Quantity)
            }
            (a, Value::Quantity(b)) if number(a).is_some() => {
                number(a).and_then(|a| self.quantities(operator, &unity(a), b)).map(Value::Quantity)
            }
            (a, b) => match number(a).zip(number(b)) {
                Some((a, b)) => decimals(operator, a, b),
                None => return Err(unlike()),
            },
        };
        Ok(of_value(value))
    }

    fn concatenate(
        &self,
        left: Option<Value<'r>>,
        right: Option<Value<'r>>,
        unlike: impl Fn() -> EvaluateError,
    ) -> Result<Collection<'r>> {
        let text = |value: &Option<Value<'r>>| match value {
            None => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.to_string()),
            Some(_) => Err(unlike()),
        };
        let joined = self.joined(&[&text(&left)?, &text(&right)?])?;
        Ok(of_value(Some(Value::String(joined.into()))))
    }

    /// Joins texts, within the limit on length.
    pub(super) fn joined(&self, parts: &[&str]) -> Result<String> {
        self.check_text(parts.iter().map(|part| part.len()).sum())?;
        Ok(parts.concat())
    }

    /// Fails when a text is longer than allowed.
    pub(super) fn check_text(&self, bytes: usize) -> Result<()> {
        let max = self.context.limits.text_bytes_max;
        self.count(bytes as u64 / 64);
        if bytes > max { Err(EvaluateError::TooLong(max)) } else { Ok(()) }
    }

    /// Adds a duration to a date or time, or takes it away; the outer `None`
    /// when the operands are not such a pair.
    fn move_in_time(
        &self,
        operator: Operator,
        left: &Value<'r>,
        right: &Value<'r>,
    ) -> Result<Option<Option<Value<'r>>>> {
        let (sign, Value::Quantity(duration)) = (operator, right) else { return Ok(None) };
        if !matches!(left, Value::Date(_) | Value::DateTime(_) | Value::Time(_)) {
            return Ok(None);
        }
        let unlike = EvaluateError::Operands {
            operator: operator.symbol(),
            left: left.type_name(),
            right: "Quantity that is no calendar duration",
        };
        let unit = match &duration.unit {
            Unit::Calendar(unit) => *unit,
            // Years and months of UCUM have a fixed length, which the calendar has not.
            Unit::Ucum(code) => match CalendarUnit::of_ucum(code) {
                Some(unit) if unit.millis().is_some() => unit,
                _ => return Err(unlike),
            },
        };
        let value = match sign {
            Operator::Add => duration.value,
            Operator::Subtract => -duration.value,
            _ => return Err(unlike),
        };
        Ok(Some(match left {
            Value::Date(date) => add_to_date(date, value, unit).map(Value::Date),
            Value::DateTime(date) => add_to_date(date, value, unit).map(Value::DateTime),
            Value::Time(time) => add_to_time(time, value, unit).map(Value::Time),
            _ => None,
        }))
    }

    fn quantities(&self, operator: Operator, a: &Quantity<'r>, b: &Quantity<'r>) -> Option<Quantity<'r>> {
        match operator {
            Operator::Add => quantity::add(self.context, a, b, false),
            Operator::Subtract => quantity::add(self.context, a, b, true),
            Operator::Multiply => quantity::multiply(a, b, false),
            Operator::Divide => quantity::multiply(a, b, true),
            _ => None,
        }
    }
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The one is less, equal or greater.
    Ordered(Ordering),
    /// Their precision or units do not tell.
    Undecided,
    /// Their types have no common order.
    Unlike,
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

/// Tells whether operators know what to do with it: all but complex elements.
fn is_comparable(value: &Value<'_>) -> bool {
    match value {
        Value::Element(element) => {
            element.definition().is_primitive() || element.ty().is_a(crate::schema::ty::QUANTITY)
        }
        Value::Target(_) | Value::Type(_) => false,
        _ => true,
    }
}

fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(value) => Some(Decimal::from(*value)),
        Value::Decimal(value) => Some(*value),
        _ => None,
    }
}

fn unity<'r>(value: Decimal) -> Quantity<'r> {
    Quantity { value, unit: Unit::Ucum("1".into()) }
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

fn integers<'r>(operator: Operator, a: i64, b: i64) -> Option<Value<'r>> {
    match operator {
        Operator::Add => a.checked_add(b).map(Value::Integer),
        Operator::Subtract => a.checked_sub(b).map(Value::Integer),
        Operator::Multiply => a.checked_mul(b).map(Value::Integer),
        Operator::Div => a.checked_div(b).map(Value::Integer),
        Operator::Mod => a.checked_rem(b).map(Value::Integer),
        _ => decimals(operator, Decimal::from(a), Decimal::from(b)),
    }
}

fn decimals<'r>(operator: Operator, a: Decimal, b: Decimal) -> Option<Value<'r>> {
    match operator {
        Operator::Add => a.checked_add(b).map(Value::Decimal),
        Operator::Subtract => a.checked_sub(b).map(Value::Decimal),
        Operator::Multiply => a.checked_mul(b).map(Value::Decimal),
        Operator::Divide => a.checked_div(b).map(Value::Decimal),
        Operator::Div => a.checked_div(b)?.trunc().to_i64().map(Value::Integer),
        Operator::Mod => a.checked_rem(b).map(Value::Decimal),
        _ => None,
    }
}
