//! Number parameters.
//!
//! A value searched for stands for the interval of its precision: `100` for
//! `[99.5, 100.5)`, `100.00` for `[99.995, 100.005)`, `1e2` for `[50, 150)`.
//! Values in resources are exact. Ends are worked out in decimals, so that
//! 5.35 lies within 5.4.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#number>

use fhir_model::fhirpath::Value;
use fhir_model::primitive::check;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;

use super::{Collector, PLAIN, Predicate, Prefix, ValueError, compare, malformed, no_modifier};
use crate::index::row::{BranchCode, EqualHash, ordered};
use crate::search::registry::Definition;

const EXPECTED: &str = "a number such as 5.4, with or without a prefix such as `gt`";

/// A number searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Its value.
    pub value: f64,
    /// The least number that rounds to it: half a unit of its last digit below.
    pub low: f64,
    /// The least number above that does not.
    pub high: f64,
}

impl Number {
    /// Parses a number in the grammar of `decimal`.
    pub fn parse(text: &str) -> Option<Number> {
        if text.len() > 64 || !check::is_valid(ty::DECIMAL, text) {
            return None;
        }
        let value: f64 = text.parse().ok().filter(|v: &f64| v.is_finite())?;
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let fraction = mantissa.split_once('.').map_or(0, |(_, f)| f.len() as i32);
        let last = exponent.saturating_sub(fraction);
        let mut digits = mantissa.replace('.', "");
        digits.push('0');
        let (low, high) = match digits.parse::<i128>() {
            Ok(tenfold) => {
                let end = |tenfold: i128| format!("{tenfold}e{}", last.saturating_sub(1)).parse().ok();
                (end(tenfold - 5)?, end(tenfold + 5)?)
            }
            // More digits than a double tells apart.
            Err(_) => (value, value),
        };
        Some(Number { value, low, high })
    }

    /// Returns what a prefix asks of the intervals under `hash`, both brought
    /// to other units by `convert`.
    pub fn compare(self, hash: EqualHash, prefix: Prefix, convert: impl Fn(f64) -> f64) -> Predicate {
        let at = |number: f64| ordered(convert(number));
        let (low, high, exact) = (at(self.low), at(self.high), at(self.value));
        let tenth = (self.value * 0.1).abs();
        let about = (at(self.low.min(self.value - tenth)), at(self.high.max(self.value + tenth)));
        // The upper end is outside of the interval, unless the number has no width.
        compare(hash, prefix, (low, if high > low { high - 1 } else { high }), (exact, exact), about)
    }
}

/// Puts a number or a range of numbers into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    match bounds(value) {
        Some((low, high)) => out.span(EqualHash::of(branch, PLAIN, &[]), low, high),
        None => out.skip(branch),
    }
}

/// Returns the ends of a number or a range.
pub(super) fn bounds(value: &Value<'_>) -> Option<(i64, i64)> {
    let both = |v: f64| Some((ordered(v), ordered(v)));
    match value {
        Value::Integer(value) => both(*value as f64),
        Value::Decimal(value) => both(value.to_string().parse().ok()?),
        Value::Element(element) if element.ty() == ty::RANGE => range(*element, |v| v),
        Value::Element(element) => both(element.value()?.parse().ok().filter(|v: &f64| v.is_finite())?),
        _ => None,
    }
}

/// Returns the ends of a Range, brought to other units by `convert`.
pub(super) fn range(range: Element<'_>, convert: impl Fn(f64) -> f64) -> Option<(i64, i64)> {
    let end = |end| -> Option<f64> {
        range.child(end)?.text_of(name::VALUE)?.parse().ok().filter(|v: &f64| v.is_finite())
    };
    let (low, high) = (end(name::LOW), end(name::HIGH));
    if low.is_none() && high.is_none() {
        return None;
    }
    Some((low.map_or(i64::MIN, |v| ordered(convert(v))), high.map_or(i64::MAX, |v| ordered(convert(v)))))
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    no_modifier(modifier, Kind::Number)?;
    let (prefix, rest) = Prefix::split(text);
    let number = Number::parse(rest).ok_or_else(|| malformed(text, EXPECTED))?;
    let of_branch = |branch| number.compare(EqualHash::of(branch, PLAIN, &[]), prefix, |v| v);
    Ok(Predicate::Any(definition.branches.iter().map(|b| of_branch(b.branch)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_that_of_the_last_digit() {
        for (text, value, low, high) in [
            ("100", 100.0, 99.5, 100.5),
            ("100.00", 100.0, 99.995, 100.005),
            ("1e2", 100.0, 50.0, 150.0),
            ("5.4", 5.4, 5.35, 5.45),
            ("-5.4", -5.4, -5.45, -5.35),
            ("0", 0.0, -0.5, 0.5),
            ("-0.0", 0.0, -0.05, 0.05),
            ("5.40e-3", 0.0054, 0.005_395, 0.005_405),
            ("1e-300", 1e-300, 5e-301, 1.5e-300),
        ] {
            assert_eq!(Number::parse(text), Some(Number { value, low, high }), "{text}");
        }
        for text in ["", "x", "+1", "1,0", "1e999", "01"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes() {
        let hash = EqualHash(1);
        for (text, value, expected) in [
            ("100", 100.4, true),
            ("100", 100.5, false),
            ("100", 99.5, true),
            ("5.4", 5.35, true),
            ("5.4", 5.45, false),
            ("-5.4", -5.45, true),
            ("-5.4", -5.35, false),
            ("ap-100", -109.0, true),
            ("ap0", 0.4, true),
            ("ne100", 100.4, false),
            ("ne100", 101.0, true),
            ("gt100", 100.0, false),
            ("gt100", 100.1, true),
            ("ge100", 100.0, true),
            ("lt100", 99.9, true),
            ("lt100", 100.0, false),
            ("le100", 100.0, true),
            ("ap100", 109.0, true),
            ("ap100", 111.0, false),
            ("sa100", 100.0, false),
            ("eb100", 99.0, true),
        ] {
            let (prefix, rest) = Prefix::split(text);
            let predicate = Number::parse(rest).expect("number").compare(hash, prefix, |v| v);
            let mut collector = Collector::default();
            collector.span(hash, ordered(value), ordered(value));
            assert_eq!(predicate.matches(&collector.rows), expected, "{text} {value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a-z]{0,2}[0-9eE.+-]{0,40}") {
            let (_, rest) = Prefix::split(&text);
            if let Some(number) = Number::parse(rest) {
                let _ = number.compare(EqualHash(1), Prefix::Eq, |v| v * 1e300);
            }
        }
    }
}
