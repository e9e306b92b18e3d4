//! Quantity parameters: a number with a unit, or with any.
//!
//! A quantity is indexed without unit, with its unit as written (its code, with
//! or without system, and its text are forms of that), and brought to base
//! units, so that 0.5 g finds 500 mg. One with a comparator
//! is the interval that it tells: `<5` is found by `lt5` and not by `5`. Sampled
//! data are the interval of the samples.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#quantity>

use fhir_model::fhirpath::Value;
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::SearchParameterType as Kind;
use fhir_model::tree::Element;
use smallvec::{SmallVec, smallvec};

use super::number::{self, Number};
use super::{
    Collector, PLAIN, Predicate, Prefix, ValueError, malformed, no_modifier, split_unescaped, unescape,
};
use crate::index::row::{BranchCode, EqualHash, ordered};
use crate::search::registry::Definition;
use crate::search::ucum::{self, UCUM};

const EXPECTED: &str =
    "a quantity: `5.4`, `5.4|http://unitsofmeasure.org|mg` or `5.4||mg`, with or without a prefix";

/// The form with system and code of the unit.
const SYSTEM_UNIT: &str = "system|unit";
/// The form with the unit's code, or with what people read.
const UNIT: &str = "unit";
/// The form in base units.
const CANONICAL: &str = "canonical";

/// The code system of currencies.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// Puts a quantity, an amount of money or a range into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    let before = out.rows.spans.len();
    for_each_span(value, |span| {
        let (form, parts) = &span.stored;
        let hash = EqualHash::of(branch, form, parts);
        let (low, high) = span.interval;
        // Most ask for a number, whatever its unit, and sort by it.
        if *form == WRITTEN {
            out.span(EqualHash::of(branch, PLAIN, &[]), low, high);
            if parts.iter().all(|part| part.is_empty()) {
                return;
            }
        }
        out.span(hash, low, high);
        for (form, parts) in span.also.iter().filter(|(form, _)| *form != PLAIN) {
            out.form(EqualHash::of(branch, form, parts), hash);
        }
    });
    if out.rows.spans.len() == before {
        out.skip(branch);
    }
}

/// A form's name and parts.
pub(super) type UnitForm<'u> = (&'static str, SmallVec<[&'u str; 3]>);

/// An interval of a value, in one unit.
pub(super) struct UnitSpan<'u> {
    /// The form under which it is stored.
    pub(super) stored: UnitForm<'u>,
    /// The forms under which it may be asked for besides.
    pub(super) also: SmallVec<[UnitForm<'u>; 4]>,
    /// Its ends.
    pub(super) interval: (i64, i64),
}

/// The form with the unit as it is written: system, code and text.
const WRITTEN: &str = "written";

/// Calls `each` with every interval under which a value is found: with its
/// unit as written, and in base units.
pub(super) fn for_each_span(value: &Value<'_>, each: impl FnMut(UnitSpan<'_>)) {
    let Value::Element(element) = value else { return };
    match element.ty() {
        ty::RANGE => {
            let unit = element.child(name::LOW).or_else(|| element.child(name::HIGH));
            let Some(unit) = unit else { return };
            in_each_unit(Unit::of(unit), |convert| number::range(*element, convert), each);
        }
        ty::MONEY => {
            let Some(value) = number_of(*element, name::VALUE) else { return };
            let unit = Unit { system: Some(CURRENCIES), code: element.text_of(name::CURRENCY), text: None };
            in_each_unit(unit, |convert| Some(point(convert(value))), each);
        }
        ty::SAMPLED_DATA => {
            let (Some(origin), Some((low, high))) = (element.child(name::ORIGIN), samples(*element)) else {
                return;
            };
            let interval =
                |convert: &dyn Fn(f64) -> f64| Some((ordered(convert(low)), ordered(convert(high))));
            in_each_unit(Unit::of(origin), interval, each);
        }
        of if of.is_a(ty::QUANTITY) => {
            let Some(value) = number_of(*element, name::VALUE) else { return };
            let comparator = element.text_of(name::COMPARATOR);
            in_each_unit(Unit::of(*element), |convert| Some(told(convert(value), comparator)), each);
        }
        _ => {
            let none = Unit { system: None, code: None, text: None };
            in_each_unit(none, |_| number::bounds(value), each);
        }
    }
}

fn point(value: f64) -> (i64, i64) {
    (ordered(value), ordered(value))
}

/// The interval that a number with a comparator tells.
fn told(value: f64, comparator: Option<&str>) -> (i64, i64) {
    let value = ordered(value);
    match comparator {
        Some("<") => (i64::MIN, value.saturating_sub(1)),
        Some("<=") => (i64::MIN, value),
        Some(">") => (value.saturating_add(1), i64::MAX),
        Some(">=") => (value, i64::MAX),
        _ => (value, value),
    }
}

/// The least and the greatest sample; off-scale ones are at the limits, where these are given.
fn samples(data: Element<'_>) -> Option<(f64, f64)> {
    let origin = number_of(data.child(name::ORIGIN)?, name::VALUE)?;
    let factor = number_of(data, name::FACTOR).unwrap_or(1.0);
    let limits = (number_of(data, name::LOWER_LIMIT), number_of(data, name::UPPER_LIMIT));
    let sample = |text: &str| match text {
        "E" => None,
        "L" => limits.0,
        "U" => limits.1,
        text => text.parse().ok().filter(|v: &f64| v.is_finite()),
    };
    let all = data.text_of(name::DATA)?.split_ascii_whitespace().filter_map(sample);
    let at = |sample: f64| origin + sample * factor;
    all.map(|s| (at(s), at(s))).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn number_of(element: Element<'_>, child: fhir_model::schema::NameId) -> Option<f64> {
    element.text_of(child)?.parse().ok().filter(|v: &f64| v.is_finite())
}

/// The unit of a quantity.
#[derive(Clone, Copy)]
struct Unit<'r> {
    system: Option<&'r str>,
    code: Option<&'r str>,
    text: Option<&'r str>,
}

impl<'r> Unit<'r> {
    fn of(quantity: Element<'r>) -> Unit<'r> {
        Unit {
            system: quantity.text_of(name::SYSTEM),
            code: quantity.text_of(name::CODE),
            text: quantity.text_of(name::UNIT),
        }
    }
}

fn in_each_unit(
    unit: Unit<'_>,
    interval: impl Fn(&dyn Fn(f64) -> f64) -> Option<(i64, i64)>,
    mut each: impl FnMut(UnitSpan<'_>),
) {
    let Some(as_written) = interval(&|v| v) else { return };
    let parts = [unit.system, unit.code, unit.text].into_iter().map(Option::unwrap_or_default).collect();
    let mut also: SmallVec<[UnitForm<'_>; 4]> = smallvec![(PLAIN, SmallVec::new())];
    if let (Some(system), Some(code)) = (unit.system, unit.code) {
        also.push((SYSTEM_UNIT, smallvec![system, code]));
    }
    // What people read may be searched for, too.
    also.extend(unit.code.map(|code| (UNIT, smallvec![code])));
    also.extend(unit.text.filter(|text| unit.code != Some(text)).map(|text| (UNIT, smallvec![text])));
    each(UnitSpan { stored: (WRITTEN, parts), also, interval: as_written });
    let canonical = unit.code.filter(|_| unit.system == Some(UCUM)).and_then(ucum::canonical);
    if let Some(canonical) = canonical
        && let Some(interval) = interval(&|v| canonical.value(v))
    {
        let stored = (CANONICAL, smallvec![canonical.unit.as_str()]);
        each(UnitSpan { stored, also: SmallVec::new(), interval });
    }
}

/// A quantity searched for.
pub(super) struct Asked {
    pub(super) prefix: Prefix,
    pub(super) number: Number,
    pub(super) form: &'static str,
    pub(super) unit: Vec<String>,
    /// How it is brought to the unit of the form.
    pub(super) canonical: Option<std::sync::Arc<ucum::Canonical>>,
}

impl Asked {
    /// Whether it names a unit by another form than the stored one.
    fn is_form(&self) -> bool {
        matches!(self.form, UNIT | SYSTEM_UNIT)
    }

    /// The same where numbers without a unit have no rows of their own: in composites.
    pub(super) fn is_form_in_composite(&self) -> bool {
        self.is_form() || self.form == PLAIN
    }

    /// Returns what it asks of the intervals under `hash`.
    pub(super) fn compare(&self, hash: EqualHash) -> Predicate {
        match &self.canonical {
            Some(canonical) => self.number.compare(hash, self.prefix, |v| canonical.value(v)),
            None => self.number.compare(hash, self.prefix, |v| v),
        }
    }
}

/// Parses a quantity searched for.
///
/// # Errors
/// When it is none.
pub(super) fn parse(text: &str) -> Result<Asked, ValueError> {
    let (prefix, rest) = Prefix::split(text);
    let parts: Vec<String> = split_unescaped(rest, '|').into_iter().map(unescape).collect();
    let bad = || malformed(text, EXPECTED);
    let number = parts.first().and_then(|p| Number::parse(p)).ok_or_else(bad)?;
    let asked = |form, unit, canonical| Asked { prefix, number, form, unit, canonical };
    Ok(match &parts[1..] {
        [] => asked(PLAIN, Vec::new(), None),
        [system, code] if system.is_empty() && code.is_empty() => asked(PLAIN, Vec::new(), None),
        [system, code] if system.is_empty() => asked(UNIT, vec![code.clone()], None),
        [system, code] if !code.is_empty() => {
            match Some(code).filter(|_| system == UCUM).and_then(|code| ucum::canonical(code)) {
                Some(canonical) => asked(CANONICAL, vec![canonical.unit.clone()], Some(canonical)),
                None => asked(SYSTEM_UNIT, vec![system.clone(), code.clone()], None),
            }
        }
        _ => return Err(bad()),
    })
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    no_modifier(modifier, Kind::Quantity)?;
    let asked = parse(text)?;
    let unit: Vec<&str> = asked.unit.iter().map(String::as_str).collect();
    let of_branch = |branch| {
        let predicate = asked.compare(EqualHash::of(branch, asked.form, &unit));
        if asked.is_form() { predicate.of_forms() } else { predicate }
    };
    Ok(Predicate::Any(definition.branches.iter().map(|b| of_branch(b.branch)).collect()))
}
