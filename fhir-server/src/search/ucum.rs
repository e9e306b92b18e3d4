//! Units: quantities of one dimension are found by each other's units.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#quantity>, <https://ucum.org/ucum>

use std::sync::{Arc, LazyLock};

use moka::sync::Cache;

/// The code system of UCUM.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// How many units are remembered; hospitals use some hundreds.
const UNITS_MAX: u64 = 4096;
/// The longest unit that is looked at, in bytes.
const UNIT_BYTES_MAX: usize = 128;

/// A unit brought to base units: `value * factor + offset` in `unit`.
#[derive(Debug, Clone, PartialEq)]
pub struct Canonical {
    /// The unit in base units, such as `g.m-3`.
    pub unit: String,
    /// What a value is multiplied with.
    pub factor: f64,
    /// What is added then.
    pub offset: f64,
}

impl Canonical {
    /// Brings a value to base units, rounded so that what comes from different
    /// units is equal where it is the same.
    pub fn value(&self, value: f64) -> f64 {
        rounded(value * self.factor + self.offset)
    }
}

/// The significant digits of values in base units.
const DIGITS: i32 = 13;

fn rounded(value: f64) -> f64 {
    let scale = 10f64.powi((DIGITS - 1).saturating_sub(value.abs().log10().floor() as i32));
    let rounded = (value * scale).round() / scale;
    // Zero, and numbers at the ends of what a double holds.
    if rounded.is_finite() { rounded } else { value }
}

static UNITS: LazyLock<Cache<String, Option<Arc<Canonical>>>> = LazyLock::new(|| Cache::new(UNITS_MAX));

/// Brings a UCUM unit to base units; `None` when it is none, or its scale is not linear.
pub fn canonical(unit: &str) -> Option<Arc<Canonical>> {
    if unit.len() > UNIT_BYTES_MAX {
        return None;
    }
    if let Some(known) = UNITS.get(unit) {
        return known;
    }
    let found = octofhir_ucum::get_canonical_units(unit)
        .ok()
        .map(|c| Arc::new(Canonical { unit: c.unit, factor: c.factor.to_f64(), offset: c.offset.to_f64() }));
    UNITS.insert(unit.to_owned(), found.clone());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_one_dimension_meet() {
        let in_base = |value: f64, unit: &str| canonical(unit).map(|c| (c.unit.clone(), c.value(value)));
        for (value, unit, other_value, other_unit) in [
            (500.0, "mg", 0.5, "g"),
            (5.4, "mg", 0.0054, "g"),
            (0.1, "mmol/L", 100.0, "umol/L"),
            (98.6, "[degF]", 37.0, "Cel"),
            (72.0, "kg", 72_000.0, "g"),
            (1.8, "m", 180.0, "cm"),
            (7.0, "d", 1.0, "wk"),
            (36.0, "km/h", 10.0, "m/s"),
        ] {
            assert_eq!(in_base(value, unit), in_base(other_value, other_unit), "{value} {unit}");
            assert!(in_base(value, unit).is_some(), "{unit}");
        }
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(rounded(1e-310), 1e-310);
        assert_eq!(canonical("no unit at all"), None);
        assert_eq!(canonical(&"m".repeat(10_000)), None);
    }
}
