//! What expressions work on and give: elements of a resource, and FHIRPath's
//! own values.
//!
//! An element stays an element until an operator or function needs its value;
//! [`Value::system`] converts it then.
//!
//! Spec: <https://hl7.org/fhir/R4/fhirpath.html#types>

use std::borrow::Cow;
use std::fmt;

use jiff::civil::Time;
use rust_decimal::Decimal;
use smallvec::SmallVec;

use crate::fhirpath::external::External;
use crate::fhirpath::types::{Namespace, SystemType, TypeInfo, TypeSpecifier};
use crate::primitive::date::{PartialDate, Precision, parse_time};
use crate::schema::{TypeId, TypeKind, name, ty};
use crate::tree::Element;

/// What an expression gives: an ordered list of values.
pub type Collection<'r> = SmallVec<[Value<'r>; 4]>;

/// A value.
#[derive(Debug, Clone)]
pub enum Value<'r> {
    /// An element of a resource, or a resource.
    Element(Element<'r>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A decimal number, with the precision it was written with.
    Decimal(Decimal),
    /// Text.
    String(Cow<'r, str>),
    /// A date, perhaps partial.
    Date(PartialDate),
    /// A date with a time, perhaps partial.
    DateTime(PartialDate),
    /// A time of day, perhaps partial.
    Time(PartialTime),
    /// A number with a unit.
    Quantity(Quantity<'r>),
    /// A type, as `type()` gives it.
    Type(TypeInfo),
    /// A resource that a reference means, of which only the type is known.
    Target(TypeId),
    /// A node of a tree that is no resource.
    External(External<'r>),
}

/// A number with a unit.
#[derive(Debug, Clone)]
pub struct Quantity<'r> {
    /// The number.
    pub value: Decimal,
    /// The unit.
    pub unit: Unit<'r>,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit<'r> {
    /// `4 days`: a duration of the calendar.
    Calendar(CalendarUnit),
    /// `4 'd'`: a UCUM code.
    Ucum(Cow<'r, str>),
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CalendarUnit {
    /// A year of 12 months.
    Year,
    /// A month, however long.
    Month,
    /// Seven days.
    Week,
    /// A day.
    Day,
    /// An hour.
    Hour,
    /// A minute.
    Minute,
    /// A second.
    Second,
    /// A thousandth of a second.
    Millisecond,
}

impl CalendarUnit {
    const ALL: [CalendarUnit; 8] = [
        CalendarUnit::Year,
        CalendarUnit::Month,
        CalendarUnit::Week,
        CalendarUnit::Day,
        CalendarUnit::Hour,
        CalendarUnit::Minute,
        CalendarUnit::Second,
        CalendarUnit::Millisecond,
    ];

    /// Finds a unit by its keyword: `day` or `days`.
    pub fn keyword(word: &str) -> Option<CalendarUnit> {
        let singular = word.strip_suffix('s').unwrap_or(word);
        CalendarUnit::ALL.into_iter().find(|unit| unit.name() == singular)
    }

    /// Returns the keyword.
    pub fn name(self) -> &'static str {
        match self {
            CalendarUnit::Year => "year",
            CalendarUnit::Month => "month",
            CalendarUnit::Week => "week",
            CalendarUnit::Day => "day",
            CalendarUnit::Hour => "hour",
            CalendarUnit::Minute => "minute",
            CalendarUnit::Second => "second",
            CalendarUnit::Millisecond => "millisecond",
        }
    }

    /// Returns the UCUM code of the definite duration that the unit resembles.
    pub fn ucum(self) -> &'static str {
        match self {
            CalendarUnit::Year => "a",
            CalendarUnit::Month => "mo",
            CalendarUnit::Week => "wk",
            CalendarUnit::Day => "d",
            CalendarUnit::Hour => "h",
            CalendarUnit::Minute => "min",
            CalendarUnit::Second => "s",
            CalendarUnit::Millisecond => "ms",
        }
    }

    /// Finds the unit that resembles a UCUM duration.
    pub fn of_ucum(code: &str) -> Option<CalendarUnit> {
        CalendarUnit::ALL.into_iter().find(|unit| unit.ucum() == code)
    }

    /// Returns the milliseconds of the unit; `None` for months and years,
    /// which have no fixed length.
    pub fn millis(self) -> Option<i64> {
        match self {
            CalendarUnit::Year | CalendarUnit::Month => None,
            CalendarUnit::Week => Some(7 * 86_400_000),
            CalendarUnit::Day => Some(86_400_000),
            CalendarUnit::Hour => Some(3_600_000),
            CalendarUnit::Minute => Some(60_000),
            CalendarUnit::Second => Some(1000),
            CalendarUnit::Millisecond => Some(1),
        }
    }
}

/// A time of day that may be partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialTime {
    /// The first moment it covers.
    pub time: Time,
    /// To what unit it is known: hour or finer.
    pub precision: Precision,
}

impl PartialTime {
    /// Parses `hh[:mm[:ss[.f]]]`; `None` for anything else.
    pub fn parse(text: &str) -> Option<PartialTime> {
        let (time, precision, used) = parse_time(text.as_bytes())?;
        (used == text.len()).then_some(PartialTime { time, precision })
    }
}

impl fmt::Display for PartialTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_time(f, self.time, self.precision)
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, time: Time, precision: Precision) -> fmt::Result {
    write!(f, "{:02}", time.hour())?;
    if precision >= Precision::Minute {
        write!(f, ":{:02}", time.minute())?;
    }
    if precision >= Precision::Second {
        write!(f, ":{:02}", time.second())?;
    }
    if let Precision::Fraction(digits) = precision {
        let digits = usize::from(digits.clamp(1, 9));
        let nanos = format!("{:09}", time.subsec_nanosecond());
        write!(f, ".{}", nanos.get(..digits).unwrap_or_default())?;
    }
    Ok(())
}

/// A partial date as text.
pub(super) struct DateText<'d>(pub(super) &'d PartialDate);

impl fmt::Display for DateText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PartialDate { local, precision, offset } = self.0;
        write!(f, "{:04}", local.year())?;
        if *precision >= Precision::Month {
            write!(f, "-{:02}", local.month())?;
        }
        if *precision >= Precision::Day {
            write!(f, "-{:02}", local.day())?;
        }
        if *precision >= Precision::Hour {
            f.write_str("T")?;
            write_time(f, local.time(), *precision)?;
            match offset.map(|o| o.seconds()) {
                None => {}
                Some(0) => f.write_str("Z")?,
                Some(seconds) => {
                    let sign = if seconds < 0 { '-' } else { '+' };
                    let minutes = seconds.abs() / 60;
                    write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Quantity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(unit) if self.value == Decimal::ONE => write!(f, "{} {}", self.value, unit.name()),
            Unit::Calendar(unit) => write!(f, "{} {}s", self.value, unit.name()),
            Unit::Ucum(code) => write!(f, "{} '{code}'", self.value),
        }
    }
}

impl<'r> Value<'r> {
    /// Returns the element, if it is one.
    pub fn element(&self) -> Option<Element<'r>> {
        match self {
            Value::Element(element) => Some(*element),
            _ => None,
        }
    }

    /// Returns the type of the value, as `type()` gives it.
    pub fn type_info(&self) -> TypeInfo {
        match self {
            Value::Element(element) => TypeInfo::of_fhir(element.ty()),
            Value::Target(ty) => TypeInfo::of_fhir(*ty),
            Value::External(node) => TypeInfo { namespace: Namespace::External, name: node.type_name() },
            Value::Boolean(_) => TypeInfo::of_system(SystemType::Boolean),
            Value::Integer(_) => TypeInfo::of_system(SystemType::Integer),
            Value::Decimal(_) => TypeInfo::of_system(SystemType::Decimal),
            Value::String(_) | Value::Type(_) => TypeInfo::of_system(SystemType::String),
            Value::Date(_) => TypeInfo::of_system(SystemType::Date),
            Value::DateTime(_) => TypeInfo::of_system(SystemType::DateTime),
            Value::Time(_) => TypeInfo::of_system(SystemType::Time),
            Value::Quantity(_) => TypeInfo::of_system(SystemType::Quantity),
        }
    }

    /// Returns the name of the type, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        self.type_info().name
    }

    fn system_type(&self) -> Option<SystemType> {
        Some(match self {
            Value::Boolean(_) => SystemType::Boolean,
            Value::Integer(_) => SystemType::Integer,
            Value::Decimal(_) => SystemType::Decimal,
            Value::String(_) => SystemType::String,
            Value::Date(_) => SystemType::Date,
            Value::DateTime(_) => SystemType::DateTime,
            Value::Time(_) => SystemType::Time,
            Value::Quantity(_) => SystemType::Quantity,
            Value::Element(_) | Value::Type(_) | Value::Target(_) | Value::External(_) => return None,
        })
    }

    /// Tells whether it is of the type.
    pub fn is(&self, specifier: &TypeSpecifier) -> bool {
        match self {
            Value::Element(element) => specifier.includes(element.ty()),
            Value::Target(ty) => specifier.includes(*ty),
            Value::External(node) => specifier.names(*node),
            value => value.system_type().is_some() && value.system_type() == specifier.system(),
        }
    }

    /// Tells whether `as` and `ofType` take it; see [`TypeSpecifier::selects`].
    pub(super) fn is_selected_by(&self, specifier: &TypeSpecifier) -> bool {
        match self {
            Value::Element(element) => specifier.selects(element.ty()),
            Value::Target(ty) => specifier.selects(*ty),
            Value::External(node) => specifier.names(*node),
            value => value.is(specifier),
        }
    }

    /// Returns the value as one of FHIRPath's own, where an element converts
    /// to one; `None` for complex elements and for primitives without a value.
    ///
    /// Spec: <https://hl7.org/fhir/R4/fhirpath.html#types>
    pub fn system(&self) -> Option<Value<'r>> {
        match self {
            Value::Element(element) => system_of(*element),
            Value::Target(_) => None,
            Value::External(node) => node.value(),
            value => Some(value.clone()),
        }
    }
}

/// Converts an element.
fn system_of(element: Element<'_>) -> Option<Value<'_>> {
    let ty = element.ty();
    if ty.definition().kind != TypeKind::Primitive {
        return quantity_of(element).map(Value::Quantity);
    }
    let text = element.value()?;
    Some(match ty {
        ty::BOOLEAN => Value::Boolean(text == "true"),
        ty::INTEGER | ty::POSITIVE_INT | ty::UNSIGNED_INT => Value::Integer(text.parse().ok()?),
        ty::DECIMAL => Value::Decimal(decimal(text)?),
        ty::DATE => Value::Date(PartialDate::parse(text)?),
        ty::DATE_TIME | ty::INSTANT => Value::DateTime(PartialDate::parse(text)?),
        ty::TIME => Value::Time(PartialTime::parse(text)?),
        _ => Value::String(Cow::Borrowed(text)),
    })
}

/// Parses a decimal with the precision it is written with; `None` past 28 digits.
pub(super) fn decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}

/// Converts a FHIR Quantity or one of its kinds: one in UCUM units, or without unit.
fn quantity_of(element: Element<'_>) -> Option<Quantity<'_>> {
    const UCUM: &str = "http://unitsofmeasure.org";
    if !element.ty().is_a(ty::QUANTITY) || element.child(name::COMPARATOR).is_some() {
        return None;
    }
    let value = decimal(element.text_of(name::VALUE)?)?;
    let (system, code) = (element.text_of(name::SYSTEM), element.text_of(name::CODE));
    let unit = match (system, code) {
        (Some(UCUM), Some(code)) => match CalendarUnit::of_ucum(code) {
            Some(unit) if unit != CalendarUnit::Week => Unit::Calendar(unit),
            _ => Unit::Ucum(Cow::Borrowed(code)),
        },
        (None, None) if element.child(name::UNIT).is_none() => Unit::Ucum(Cow::Borrowed("1")),
        _ => return None,
    };
    Some(Quantity { value, unit })
}

impl<'r> From<Element<'r>> for Value<'r> {
    fn from(element: Element<'r>) -> Value<'r> {
        Value::Element(element)
    }
}

/// The text of a value, as `toString()` gives it; of complex values their type.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Element(element) => match element.value() {
                Some(text) => f.write_str(text),
                None => match self.system() {
                    Some(value) => write!(f, "{value}"),
                    None => write!(f, "{}", element.ty()),
                },
            },
            Value::Boolean(value) => write!(f, "{value}"),
            Value::Integer(value) => write!(f, "{value}"),
            Value::Decimal(value) => write!(f, "{value}"),
            Value::String(text) => f.write_str(text),
            Value::Date(date) | Value::DateTime(date) => write!(f, "{}", DateText(date)),
            Value::Time(time) => write!(f, "{time}"),
            Value::Quantity(quantity) => write!(f, "{quantity}"),
            Value::Type(info) => write!(f, "{}.{}", info.namespace.name(), info.name),
            Value::Target(ty) => write!(f, "{ty}"),
            Value::External(node) => f.write_str(node.text().unwrap_or(node.type_name())),
        }
    }
}
