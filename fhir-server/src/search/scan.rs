//! Conditions that only a body can answer: `_text`, `_content` and `near`.
//! The candidates that the index leaves are read, up to a limit.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#content>

use fhir_model::outcome::Issue;
use fhir_model::schema::NameId;
use fhir_model::tree::{Element, Resource};

use super::condition::{BodyTest, Condition, Scan};
use super::error::SearchError;
use super::execute::{by_keys, probe};
use super::limits::SearchLimits;
use super::plan::{Hints, Order, Question, plan};
use super::render::{Wanted, render};
use super::words::Words;
use crate::storage::{Connection, Reads};

/// Replaces each scan of the condition by the keys that it comes to.
///
/// # Errors
/// `too-costly` when the index leaves more candidates than may be read.
pub(crate) fn resolve(
    data: &mut Connection,
    condition: Condition,
    limits: &SearchLimits,
) -> Result<Condition, Issue> {
    if !condition.has_scan() {
        return Ok(condition);
    }
    // What else must hold narrows the candidates.
    let siblings = match &condition {
        Condition::All(parts) => Condition::all(parts.iter().filter(|p| !p.has_scan()).cloned()),
        _ => Condition::always(),
    };
    let top: Vec<Scan> = match &condition {
        Condition::All(parts) => parts.iter().filter_map(as_scan).collect(),
        single => as_scan(single).into_iter().collect(),
    };
    condition.resolve(&mut |part| {
        let Condition::Scan(scan) = part else { return Ok(part) };
        let scan = *scan;
        let is_top = top.iter().any(|t| t.test == scan.test);
        let narrowed = if is_top { Condition::all([scan.narrowed, siblings.clone()]) } else { scan.narrowed };
        run(data, Scan { narrowed, ..scan }, limits)
    })
}

fn as_scan(condition: &Condition) -> Option<Scan> {
    match condition {
        Condition::Scan(scan) => Some((**scan).clone()),
        _ => None,
    }
}

/// Bodies read at once.
const FETCH_ROWS: usize = 200;

fn run(data: &mut Connection, scan: Scan, limits: &SearchLimits) -> Result<Condition, Issue> {
    let question = Question {
        types: scan.types,
        condition: scan.narrowed,
        order: Order::Newest,
        visits_all: true,
        hints: Hints::default(),
    };
    let plan = plan(&question, |access, limit| probe(data, access, limit))?;
    let limit = limits.scanned_max as u64 + 1;
    let wanted = Wanted::Rows { after: None, reversed: false, limit, unchanged_since: None };
    let candidates = data.integers(&render(&plan, wanted))?;
    if candidates.len() > limits.scanned_max {
        return Err(SearchError::TooCostly {
            why: format!(
                "more than {} resources would have to be read in full; narrow the search with other parameters",
                limits.scanned_max
            ),
        }
        .into());
    }
    let test = Test::of(&scan.test);
    let mut keys = Vec::new();
    for chunk in candidates.chunks(FETCH_ROWS) {
        for found in by_keys(data, chunk)? {
            if test.holds(&found.resource()?) {
                keys.push(found.number);
            }
        }
    }
    Ok(if keys.is_empty() { Condition::never() } else { Condition::Keys(keys) })
}

enum Test {
    Words { narrative_only: bool, words: Words },
    Near { latitude: f64, longitude: f64, kilometres: f64 },
}

impl Test {
    fn of(test: &BodyTest) -> Test {
        match test {
            BodyTest::Words { narrative_only, query } => {
                Test::Words { narrative_only: *narrative_only, words: Words::parse(query) }
            }
            BodyTest::Near { latitude, longitude, kilometres } => {
                Test::Near { latitude: *latitude, longitude: *longitude, kilometres: *kilometres }
            }
        }
    }

    fn holds(&self, resource: &Resource) -> bool {
        match self {
            Test::Words { narrative_only, words } => {
                let mut text = String::new();
                let root = resource.root();
                if *narrative_only {
                    if let Some(narrative) = child(root, "text").and_then(|t| child(t, "div")) {
                        gather(narrative, &mut text);
                    }
                } else {
                    gather(root, &mut text);
                }
                words.hold_of(&text)
            }
            Test::Near { latitude, longitude, kilometres } => {
                let root = resource.root();
                let Some(position) = child(root, "position") else { return false };
                let degrees = |name: &str| child(position, name)?.value()?.parse::<f64>().ok();
                match (degrees("latitude"), degrees("longitude")) {
                    (Some(north), Some(east)) => {
                        kilometres_between((*latitude, *longitude), (north, east)) <= *kilometres
                    }
                    _ => false,
                }
            }
        }
    }
}

fn child<'r>(element: Element<'r>, name: &str) -> Option<Element<'r>> {
    element.child(NameId::of(name)?)
}

/// Puts the text of all values below an element behind one another.
fn gather(element: Element<'_>, text: &mut String) {
    if let Some(value) = element.value() {
        text.push_str(value);
        text.push(' ');
    }
    for child in element.children() {
        gather(child, text);
    }
}

/// The mean radius of the earth.
const EARTH_KILOMETRES: f64 = 6_371.008_8;

/// Returns the great-circle distance of two positions in degrees (north, east).
pub(crate) fn kilometres_between(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (north_a, north_b) = (a.0.to_radians(), b.0.to_radians());
    let half = |x: f64, y: f64| ((y - x).to_radians() / 2.0).sin().powi(2);
    let haversine = half(a.0, b.0) + north_a.cos() * north_b.cos() * half(a.1, b.1);
    2.0 * EARTH_KILOMETRES * haversine.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, kilometres) in [
            ((44.4056, 8.9463), (44.4056, 8.9463), 0.0),
            // Genoa to Milan, and to Rome.
            ((44.4056, 8.9463), (45.4642, 9.19), 119.2),
            ((44.4056, 8.9463), (41.9028, 12.4964), 400.6),
            ((0.0, 179.5), (0.0, -179.5), 111.2),
            ((90.0, 0.0), (-90.0, 0.0), 20_015.1),
        ] {
            let told = kilometres_between(a, b);
            assert!((told - kilometres).abs() < 0.005 * kilometres + 0.1, "{a:?} {b:?}: {told}");
        }
    }
}
