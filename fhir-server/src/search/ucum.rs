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
    /// Brings a value to base units.
    pub fn value(&self, value: f64) -> f64 {
        value * self.factor + self.offset
    }
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
        let (milligrams, grams) = (in_base(500.0, "mg"), in_base(0.5, "g"));
        let close =
            milligrams.as_ref().zip(grams.as_ref()).map(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-12);
        assert_eq!(close, Some(true), "{milligrams:?} {grams:?}");
        assert_eq!(canonical("no unit at all"), None);
        assert_eq!(canonical(&"m".repeat(10_000)), None);
    }
}
