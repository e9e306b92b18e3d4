//! NM, SN, NR, CQ and units: numbers, as Quantity, Range and Ratio.
//!
//! Spec: HL7 v2.5.1 sections 2.A.46, 2.A.68, 2.A.50, 2.A.11

use serde_json::{Map, Value as Json, json};

use super::{coded, put};
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// A number without a sign, as one.
pub(in crate::hl7v2) const POSITIVE: As = As::Of(positive);

/// A number of days, as Duration.
pub(in crate::hl7v2) const DAYS: As = As::Of(days);

/// A quantity with units (CQ).
pub(in crate::hl7v2) const CQ: As = As::Of(composite);

/// What is compared with a value, as HL7 v2 writes it and as FHIR does.
const COMPARATORS: &[(&str, &str)] = &[("<", "<"), (">", ">"), ("<=", "<="), (">=", ">=")];

/// Returns a number of a message as a number of JSON, its digits kept.
pub(in crate::hl7v2) fn number(text: &str) -> Option<Json> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) if text.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || whole.len() + fraction.len() == 0 || digits.len() > 40 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    serde_json::from_str(&format!("{sign}{whole}{point}{fraction}")).ok()
}

/// Returns the number that a value is, and notes that it was read.
fn read(value: Option<Value<'_>>) -> Option<Json> {
    let value = value?;
    let number = number(&value.peek()?)?;
    value.text()?;
    Some(number)
}

/// Says in a quantity in which units it is.
pub(in crate::hl7v2) fn put_unit(
    work: &Work<'_>,
    quantity: &mut Map<String, Json>,
    units: Option<Value<'_>>,
) {
    let Some(units) = units else { return };
    let code = units.peek_of(1);
    let system = units.peek_of(3).and_then(|name| coded::system(work, name.trim()));
    // Most laboratories name UCUM, few say so; only what is said counts.
    if let (Some(system), Some(code)) = (system, code) {
        put(quantity, "unit", units.text_of(2).or_else(|| Some(code.clone())));
        put(quantity, "system", Some(system));
        put(quantity, "code", Some(code.trim()));
        [1, 3].into_iter().filter_map(|part| units.part(part)).for_each(Value::note_all);
        return;
    }
    put(quantity, "unit", units.text_of(1).or_else(|| units.text_of(2)));
}

/// Makes a Quantity of a number and its units.
pub(in crate::hl7v2) fn quantity(
    work: &Work<'_>,
    value: Option<Value<'_>>,
    units: Option<Value<'_>>,
) -> Option<Json> {
    let mut quantity = Map::new();
    quantity.insert("value".to_owned(), read(value)?);
    put_unit(work, &mut quantity, units);
    Some(Json::Object(quantity))
}

/// Makes what a structured numeric (SN) says: the name of the type, and the value.
pub(in crate::hl7v2) fn structured(
    work: &Work<'_>,
    value: Value<'_>,
    units: Option<Value<'_>>,
) -> Option<(&'static str, Json)> {
    let part = |number| value.peek_of(number).map(|text| text.trim().to_owned());
    let (comparator, separator) = (part(1), part(3));
    let fhir = comparator.as_deref().and_then(|told| COMPARATORS.iter().find(|(v2, _)| *v2 == told));
    let is_equal = matches!(comparator.as_deref(), None | Some("="));
    let with = |name: &'static str, made: Json| {
        [1, 3].into_iter().for_each(|number| {
            value.text_of(number);
        });
        Some((name, made))
    };
    match (separator.as_deref(), part(4)) {
        (None, None) if fhir.is_some() || is_equal => {
            let mut quantity = quantity(work, value.part(2), units)?;
            if let Some((_, comparator)) = fhir {
                quantity["comparator"] = json!(comparator);
            }
            with("valueQuantity", quantity)
        }
        (Some("-"), _) if is_equal => {
            let (low, high) = (quantity(work, value.part(2), units), quantity(work, value.part(4), units));
            with("valueRange", json!({ "low": low?, "high": high? }))
        }
        (Some(":" | "/"), _) if is_equal || fhir.is_some() => {
            let mut numerator = quantity(work, value.part(2), units)?;
            if let Some((_, comparator)) = fhir {
                numerator["comparator"] = json!(comparator);
            }
            let denominator = quantity(work, value.part(4), None)?;
            with("valueRatio", json!({ "numerator": numerator, "denominator": denominator }))
        }
        _ => None,
    }
}

/// Makes the Range of two numbers (NR).
pub(in crate::hl7v2) fn range(work: &Work<'_>, value: Value<'_>, units: Option<Value<'_>>) -> Option<Json> {
    let mut range = Map::new();
    put(&mut range, "low", quantity(work, value.part(1), units));
    put(&mut range, "high", quantity(work, value.part(2), units));
    super::filled(range)
}

fn positive(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let number: u32 = value.peek()?.trim().parse().ok().filter(|number| *number > 0)?;
    value.text()?;
    Some(json!(number))
}

fn days(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    let days = read(Some(value))?;
    Some(json!({ "value": days, "unit": "d", "system": "http://unitsofmeasure.org", "code": "d" }))
}

fn composite(work: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    quantity(work, value.part(1), value.part(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        for (text, expected) in [
            ("5", Some("5")),
            ("5.10", Some("5.10")),
            ("+5", Some("5")),
            ("-.5", Some("-0.5")),
            ("5.", Some("5")),
            ("007", Some("7")),
            ("", None),
            (".", None),
            ("5,1", None),
            ("1e3", None),
            ("--1", None),
        ] {
            assert_eq!(number(text).map(|number| number.to_string()).as_deref(), expected, "{text}");
        }
    }
}
