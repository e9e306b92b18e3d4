//! The operators: order, membership, logic, arithmetic; equality is in
//! [`super::equality`].
//!
//! Spec: <http://hl7.org/fhirpath/N1/#operations>

use std::cmp::Ordering;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::fhirpath::ast::{Literal, Node, Operator};
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Evaluator, Frame, of_value, single};
use crate::fhirpath::quantity;
use crate::fhirpath::temporal::{add_to_date, add_to_time, compare_dates, compare_times};
use crate::fhirpath::value::{CalendarUnit, Collection, Quantity, Unit, Value};

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

    /// Tells whether an item is in a collection.
    fn membership(
        &self,
        item: &[Value<'r>],
        values: &[Value<'r>],
        what: &'static str,
    ) -> Result<Option<bool>> {
        // Invariants of R4 (tim-9) ask it of several items, and mean each of them.
        if item.len() > 1 && !self.context.strict {
            for one in item {
                if !self.is_among(one, values)? {
                    return Ok(Some(false));
                }
            }
            return Ok(Some(true));
        }
        match single(item, what)? {
            None => Ok(None),
            Some(item) => self.is_among(item, values).map(Some),
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

/// Tells whether operators know what to do with it: all but complex elements.
fn is_comparable(value: &Value<'_>) -> bool {
    match value {
        Value::Element(element) => {
            element.definition().is_primitive() || element.ty().is_a(crate::schema::ty::QUANTITY)
        }
        Value::Target(_) | Value::Type(_) => false,
        Value::External(node) => node.value().is_some(),
        _ => true,
    }
}

/// Returns a number as a decimal.
pub(super) fn number(value: &Value<'_>) -> Option<Decimal> {
    match value {
        Value::Integer(value) => Some(Decimal::from(*value)),
        Value::Decimal(value) => Some(*value),
        _ => None,
    }
}

fn unity<'r>(value: Decimal) -> Quantity<'r> {
    Quantity { value, unit: Unit::Ucum("1".into()) }
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
