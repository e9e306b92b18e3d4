//! By which event a change of a visit is told: by its status and its class before and after.
//!
//! Spec: HL7 v2.5.1 sections 3.3.1 to 3.3.13, 3.3.38; ITI TF-2 3.31

use serde_json::Value as Json;

/// How far a visit is, as events tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody knows of it, or it was taken back.
    Unknown,
    Planned,
    Present,
    Over,
}

/// What else has to be so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Nothing.
    Always,
    /// The patient stays in hospital.
    Stays,
    /// The patient did not stay, and does now.
    BeginsToStay,
    /// The patient stayed, and does not any more.
    StaysNoMore,
    /// The patient is elsewhere.
    Moved,
}

/// Before, after, what else has to be so, and the event. The first row counts.
type Row = (Phase, Phase, When, Option<&'static str>);

const TABLE: &[Row] = &[
    (Phase::Unknown, Phase::Unknown, When::Always, None),
    (Phase::Unknown, Phase::Planned, When::Always, Some("A05")),
    (Phase::Unknown, Phase::Present, When::Stays, Some("A01")),
    (Phase::Unknown, Phase::Present, When::Always, Some("A04")),
    (Phase::Unknown, Phase::Over, When::Always, Some("A03")),
    (Phase::Planned, Phase::Unknown, When::Always, Some("A38")),
    (Phase::Planned, Phase::Planned, When::Always, Some("A08")),
    (Phase::Planned, Phase::Present, When::Stays, Some("A01")),
    (Phase::Planned, Phase::Present, When::Always, Some("A04")),
    (Phase::Planned, Phase::Over, When::Always, Some("A03")),
    (Phase::Present, Phase::Unknown, When::Always, Some("A11")),
    (Phase::Present, Phase::Planned, When::Always, Some("A05")),
    (Phase::Present, Phase::Present, When::BeginsToStay, Some("A06")),
    (Phase::Present, Phase::Present, When::StaysNoMore, Some("A07")),
    (Phase::Present, Phase::Present, When::Moved, Some("A02")),
    (Phase::Present, Phase::Present, When::Always, Some("A08")),
    (Phase::Present, Phase::Over, When::Always, Some("A03")),
    (Phase::Over, Phase::Unknown, When::Always, Some("A11")),
    (Phase::Over, Phase::Planned, When::Always, Some("A05")),
    (Phase::Over, Phase::Present, When::Always, Some("A13")),
    (Phase::Over, Phase::Over, When::Always, Some("A08")),
];

/// Status of an Encounter, and how far the visit is.
const PHASES: &[(&str, Phase)] = &[
    ("planned", Phase::Planned),
    ("arrived", Phase::Present),
    ("triaged", Phase::Present),
    ("in-progress", Phase::Present),
    ("onleave", Phase::Present),
    ("unknown", Phase::Present),
    ("finished", Phase::Over),
    ("cancelled", Phase::Unknown),
    ("entered-in-error", Phase::Unknown),
];

/// Classes of visits for which the patient stays.
const STAYS: &[&str] = &["IMP", "ACUTE", "NONAC"];

/// Returns the event by which a visit is told; none where there is nothing to tell.
/// `before`: none for one that is new; `after`: none for one that was deleted.
pub fn trigger(before: Option<&Json>, after: Option<&Json>) -> Option<&'static str> {
    let (from, to) = (phase(before), phase(after));
    let (stayed, stays) = (before.is_some_and(stays), after.is_some_and(stays));
    let holds = |when: When| match when {
        When::Always => true,
        When::Stays => stays,
        When::BeginsToStay => stays && !stayed,
        When::StaysNoMore => stayed && !stays,
        When::Moved => before.map(place) != after.map(place),
    };
    let row = TABLE.iter().find(|(before, after, when, _)| (*before, *after) == (from, to) && holds(*when));
    row.and_then(|(.., event)| *event)
}

fn phase(encounter: Option<&Json>) -> Phase {
    let status = encounter.and_then(|encounter| encounter["status"].as_str());
    let known = PHASES.iter().find(|(name, _)| Some(*name) == status);
    known.map_or(Phase::Unknown, |(_, phase)| *phase)
}

fn stays(encounter: &Json) -> bool {
    encounter["class"]["code"].as_str().is_some_and(|class| STAYS.contains(&class))
}

/// Returns where the patient is.
fn place(encounter: &Json) -> Option<&Json> {
    let places = encounter["location"].as_array()?;
    let is_now = |place: &&Json| {
        place["extension"].is_null() && matches!(place["status"].as_str(), None | Some("active"))
    };
    places.iter().find(is_now).map(|place| &place["location"]["reference"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_change_of_a_visit_has_its_event() {
        let visit = |of: &str| {
            let mut parts = of.split(' ');
            let (status, class, place) = (parts.next(), parts.next(), parts.next());
            let location = json!([{ "status": "active", "location": { "reference": place } }]);
            json!({ "status": status, "class": { "code": class }, "location": location })
        };
        for (before, after, event) in [
            ("", "planned IMP", Some("A05")),
            ("", "in-progress IMP", Some("A01")),
            ("", "arrived AMB", Some("A04")),
            ("", "in-progress EMER", Some("A04")),
            ("", "finished AMB", Some("A03")),
            ("", "cancelled AMB", None),
            ("", "", None),
            ("planned IMP", "in-progress IMP", Some("A01")),
            ("planned AMB", "cancelled AMB", Some("A38")),
            ("planned AMB", "", Some("A38")),
            ("in-progress IMP a", "in-progress IMP a", Some("A08")),
            ("in-progress IMP a", "in-progress IMP b", Some("A02")),
            ("in-progress EMER a", "in-progress IMP b", Some("A06")),
            ("in-progress IMP", "in-progress AMB", Some("A07")),
            ("in-progress IMP", "finished IMP", Some("A03")),
            ("in-progress IMP", "entered-in-error IMP", Some("A11")),
            ("in-progress IMP", "", Some("A11")),
            ("finished IMP", "in-progress IMP", Some("A13")),
            ("finished IMP", "finished IMP", Some("A08")),
            ("cancelled IMP", "in-progress IMP", Some("A01")),
            ("cancelled IMP", "", None),
        ] {
            let of = |text: &str| Some(visit(text)).filter(|_| !text.is_empty());
            let (told, told_of) = (of(before), of(after));
            assert_eq!(trigger(told.as_ref(), told_of.as_ref()), event, "{before} to {after}");
        }
    }

    #[test]
    fn every_pair_of_phases_has_a_row() {
        let all = [Phase::Unknown, Phase::Planned, Phase::Present, Phase::Over];
        for (before, after) in all.iter().flat_map(|before| all.map(|after| (*before, after))) {
            let mut rows = TABLE.iter().filter(|row| (row.0, row.1) == (before, after));
            assert_eq!(rows.next_back().map(|row| row.2), Some(When::Always), "{before:?} {after:?}");
        }
    }
}
