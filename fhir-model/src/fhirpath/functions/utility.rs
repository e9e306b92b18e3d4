//! Clock, trace, aggregates, order and types.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#utility-functions>

use std::cmp::Ordering;

use crate::fhirpath::ast::Node;
use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator, Frame, of_value, single};
use crate::fhirpath::functions::Function;
use crate::fhirpath::operators::Comparison;
use crate::fhirpath::value::{Collection, PartialTime, Value};
use crate::primitive::date::{PartialDate, Precision};

type Result<T> = std::result::Result<T, EvaluateError>;

pub(super) fn call<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: Call<'_, 'r>) -> Result<Collection<'r>> {
    match call.function {
        Function::Trace => trace(evaluator, call),
        Function::Now | Function::TimeOfDay | Function::Today => {
            let offset = evaluator.context.offset;
            let local = offset.to_datetime(evaluator.context.moment());
            let precision = Precision::Fraction(3);
            Ok(of_value(Some(match call.function {
                Function::Now => Value::DateTime(PartialDate { local, precision, offset: Some(offset) }),
                Function::TimeOfDay => Value::Time(PartialTime { time: local.time(), precision }),
                _ => Value::Date(PartialDate {
                    local: local.date().to_datetime(jiff::civil::Time::midnight()),
                    precision: Precision::Day,
                    offset: None,
                }),
            })))
        }
        Function::Aggregate => aggregate(evaluator, &call),
        Function::Sort => sort(evaluator, call),
        _ => Ok(call.input.iter().map(|value| Value::Type(value.type_info())).collect()),
    }
}

fn trace<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: Call<'_, 'r>) -> Result<Collection<'r>> {
    let name = evaluator.text_argument(&call, 0)?.unwrap_or_default();
    if let Some(trace) = evaluator.context.trace {
        match call.arguments.get(1) {
            None => trace(&name, &call.input),
            Some(projection) => {
                let mut projected = Collection::new();
                for (index, item) in call.input.iter().enumerate() {
                    projected.extend(evaluator.evaluate_for(projection, item, index, call.frame)?);
                }
                trace(&name, &projected);
            }
        }
    }
    Ok(call.input)
}

fn aggregate<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: &Call<'_, 'r>) -> Result<Collection<'r>> {
    let mut total = match call.arguments.get(1) {
        Some(_) => evaluator.argument(call, 1)?,
        None => Collection::new(),
    };
    let Some(aggregator) = call.arguments.first() else { return Ok(total) };
    for (index, item) in call.input.iter().enumerate() {
        let this = std::slice::from_ref(item);
        total =
            evaluator.evaluate(aggregator, Frame { this, index: Some(index as i64), total: Some(&total) })?;
    }
    Ok(total)
}

/// Sorts by the keys; a key with a minus sign sorts downwards, nothing comes first.
fn sort<'r>(evaluator: &Evaluator<'_, 'r, '_>, call: Call<'_, 'r>) -> Result<Collection<'r>> {
    let mut rows = Vec::with_capacity(call.input.len());
    let this = [Node::This];
    let keys = if call.arguments.is_empty() { &this } else { call.arguments };
    for (index, item) in call.input.iter().enumerate() {
        let mut values = Vec::with_capacity(keys.len());
        for key in keys {
            let key = match key {
                Node::Sign { negative: true, operand } => operand,
                key => key,
            };
            let key = evaluator.evaluate_for(key, item, index, call.frame)?;
            values.push(single(&key, "sort")?.and_then(Value::system));
        }
        rows.push((values, item.clone()));
    }
    let mut unlike = None;
    evaluator.count((rows.len() as u64).saturating_mul(u64::from(rows.len().max(1).ilog2()) + 1));
    evaluator.step()?;
    rows.sort_by(|(left, _), (right, _)| {
        for (key, (left, right)) in keys.iter().zip(left.iter().zip(right)) {
            let ordering = match (left, right) {
                (None, None) => continue,
                // Upwards and downwards: what has no key comes first.
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(left), Some(right)) => match evaluator.compare(left, right) {
                    Comparison::Ordered(ordering) => ordering,
                    Comparison::Undecided => Ordering::Equal,
                    Comparison::Unlike => {
                        unlike = Some(EvaluateError::Operands {
                            operator: "sort",
                            left: left.type_name(),
                            right: right.type_name(),
                        });
                        Ordering::Equal
                    }
                },
            };
            let descending = matches!(key, Node::Sign { negative: true, .. });
            match if descending { ordering.reverse() } else { ordering } {
                Ordering::Equal => {}
                ordering => return ordering,
            }
        }
        Ordering::Equal
    });
    match unlike {
        Some(error) => Err(error),
        None => Ok(rows.into_iter().map(|(_, item)| item).collect()),
    }
}
