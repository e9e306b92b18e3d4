//! Special parameters: `near` of Location. The index holds a position as two
//! intervals, so that a search reads only the places in a box around the one
//! searched for; how far these are is told from the resource.
//!
//! The others (`_text`, `_content`, `_filter`, `_query`) take nothing from the index.
//!
//! Spec: <https://hl7.org/fhir/R4/location.html#positional>

use fhir_model::fhirpath::Value;
use fhir_model::schema::{NameId, name};
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::{ANY, Collector, Predicate, SpanRange, ValueError, malformed, no_modifier, unescape};
use crate::index::row::{BranchCode, EqualHash, ordered};
use crate::search::registry::Definition;

const EXPECTED: &str =
    "latitude|longitude[|distance[|km, m or [mi_us]]], with degrees within -90..90 and -180..180";

/// The form of degrees north.
pub(super) const LATITUDE: &str = "latitude";
/// The form of degrees east.
const LONGITUDE: &str = "longitude";

/// The distance when none is given.
const KILOMETRES_DEFAULT: f64 = 50.0;
const KILOMETRES_PER_MILE: f64 = 1.609_344;
/// The kilometres of a degree of latitude are more than this everywhere.
const KILOMETRES_PER_DEGREE: f64 = 110.5;
/// What is added against rounding.
const SLACK_KILOMETRES: f64 = 0.001;

/// Puts a position into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    let degrees = |of: NameId| -> Option<i64> {
        let degrees: f64 = value.element()?.text_of(of)?.parse().ok()?;
        let degrees =
            if degrees.abs() > 180.0 { (degrees + 180.0).rem_euclid(360.0) - 180.0 } else { degrees };
        degrees.is_finite().then(|| ordered(degrees))
    };
    let (Some(latitude), Some(longitude)) = (degrees(name::LATITUDE), degrees(name::LONGITUDE)) else {
        return out.skip(branch);
    };
    out.span(EqualHash::of(branch, LATITUDE, &[]), latitude, latitude);
    out.span(EqualHash::of(branch, LONGITUDE, &[]), longitude, longitude);
}

/// A place, and how far from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The greatest distance.
    pub kilometres: f64,
}

impl Near {
    /// Parses `latitude|longitude[|distance[|unit]]`.
    ///
    /// # Errors
    /// When it is not in that grammar, or no place on earth.
    pub fn parse(text: &str) -> Result<Near, ValueError> {
        let bad = || malformed(text, EXPECTED);
        let whole = unescape(text);
        let mut parts = whole.split('|').map(str::trim);
        let mut degrees = |limit: f64| {
            let number: f64 = parts.next()?.parse().ok()?;
            (number.abs() <= limit).then_some(number)
        };
        let latitude = degrees(90.0).ok_or_else(bad)?;
        let longitude = degrees(180.0).ok_or_else(bad)?;
        let distance = match parts.next() {
            None | Some("") => KILOMETRES_DEFAULT,
            Some(text) => text.parse().ok().filter(|d: &f64| *d >= 0.0 && d.is_finite()).ok_or_else(bad)?,
        };
        let kilometres = match parts.next() {
            None | Some("" | "km") => distance,
            Some("m") => distance / 1000.0,
            Some("mi" | "[mi_us]" | "[mi_i]") => distance * KILOMETRES_PER_MILE,
            Some(_) => return Err(bad()),
        };
        if parts.next().is_some() {
            return Err(bad());
        }
        Ok(Near { latitude, longitude, kilometres })
    }

    /// Returns what holds of every place that near, and of few others: that
    /// it lies in a box of latitude and longitude.
    pub fn within_box(&self, definition: &Definition) -> Predicate {
        let height = (self.kilometres + SLACK_KILOMETRES) / KILOMETRES_PER_DEGREE;
        let (south, north) = (self.latitude - height, self.latitude + height);
        // The angle that the distance spans on the globe, seen from its axis.
        let narrowing = self.latitude.to_radians().cos();
        let reach = height.to_radians().sin() / narrowing;
        // A box over a pole goes all around.
        let goes_round = south <= -90.0 || north >= 90.0 || !(0.0..1.0).contains(&reach);
        let width = if goes_round { 360.0 } else { reach.asin().to_degrees() };
        let (west, east) = (self.longitude - width, self.longitude + width);
        let mut any = Vec::new();
        for used in &definition.branches {
            let within = |form: &str, low: f64, high: f64| {
                let hash = EqualHash::of(used.branch, form, &[]);
                Predicate::Span(SpanRange { hash, low: (ordered(low), ordered(high)), high: ANY })
            };
            // Across the date line a place has two longitudes.
            let turns = [-360.0, 0.0, 360.0].into_iter();
            let turns = turns.filter(|turn| west + turn <= 180.0 && east + turn >= -180.0);
            let around = turns.map(|turn| within(LONGITUDE, west + turn, east + turn)).collect();
            any.push(Predicate::All(vec![within(LATITUDE, south, north), Predicate::Any(around)]));
        }
        Predicate::Any(any)
    }
}

/// Turns a value of a search into what it asks of the index: for `near` a box
/// around the place, of which the search keeps what is near enough.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    no_modifier(modifier, Kind::Special)?;
    match definition.code.as_str() {
        "near" => Ok(Near::parse(text)?.within_box(definition)),
        _ => Err(malformed(text, "a value that the index can answer")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::registry::Definitions;
    use crate::search::scan::kilometres_between;
    use fhir_model::schema::ty;
    use std::sync::LazyLock;

    static NEAR: LazyLock<Definition> = LazyLock::new(|| {
        let definitions = Definitions::standard().expect("standard parameters");
        definitions.find(ty::LOCATION, "near").expect("near").clone()
    });

    fn is_in_box(near: Near, latitude: f64, longitude: f64) -> bool {
        let text = format!(
            r#"{{"resourceType":"Location","position":{{"latitude":{latitude},"longitude":{longitude}}}}}"#
        );
        let location = fhir_model::json::read(text.into_bytes()).expect("location");
        let position = location.root().child(name::POSITION).expect("position");
        let mut out = Collector::default();
        index(NEAR.branches[0].branch, &Value::Element(position), &mut out);
        near.within_box(&NEAR).matches(&out.rows)
    }

    #[test]
    fn grammar() {
        for (text, kilometres) in [
            ("44.4|8.9", 50.0),
            ("44.4|8.9|11.20|km", 11.2),
            ("44.4|8.9|500|m", 0.5),
            ("44.4|8.9|10|[mi_us]", 16.093_44),
            ("44.4|8.9||", 50.0),
            ("44.4|8.9|3", 3.0),
        ] {
            let near = Near::parse(text).map(|n| (n.latitude, n.longitude, n.kilometres));
            assert_eq!(near, Ok((44.4, 8.9, kilometres)), "{text}");
        }
        let bad =
            ["", "44.4", "91|0", "0|181", "x|0", "0|0|-1", "0|0|1|parsec", "0|0|1|km|x", "NaN|0", "0|0|inf"];
        for text in bad {
            assert!(Near::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn boxes_are_tight() {
        let genoa = Near { latitude: 44.4056, longitude: 8.9463, kilometres: 20.0 };
        assert!(is_in_box(genoa, 44.41, 8.95));
        assert!(!is_in_box(genoa, 44.7, 8.95), "33 km north");
        assert!(!is_in_box(genoa, 44.41, 9.3), "28 km east");
    }

    proptest::proptest! {
        /// Whatever is near enough lies in the box, poles and the date line included.
        #[test]
        fn the_box_holds_what_is_near(
            here in (-90.0f64..=90.0, -180.0f64..=180.0),
            step in (-3.0f64..3.0, -3.0f64..3.0),
            kilometres in 0.0f64..400.0,
        ) {
            let near = Near { latitude: here.0, longitude: here.1, kilometres };
            let stretch = here.0.to_radians().cos().max(0.01);
            let latitude = (here.0 + step.0).clamp(-90.0, 90.0);
            let longitude = (here.1 + step.1 / stretch + 540.0).rem_euclid(360.0) - 180.0;
            if kilometres_between(here, (latitude, longitude)) <= kilometres {
                proptest::prop_assert!(is_in_box(near, latitude, longitude), "{latitude} {longitude}");
            }
        }
    }
}
