//! Nothing is dropped silently: what is not told as unmapped makes a difference.

use std::collections::HashSet;

use serde_json::Value;

use crate::setting::{all_domains, as_json, domains, italy, mapped, messages, samples};

/// What of MSH is the envelope, and the numbers of segments: read, and nothing of what is told.
const ENVELOPE: &[usize] = &[11, 12, 15, 16, 17, 18, 19, 20, 21];
const NUMBERED: &[&str] = &[
    "PID", "NK1", "PV1", "AL1", "DG1", "IN1", "OBR", "OBX", "NTE", "SPM", "TQ1", "TXA", "RGS", "AIS", "AIG",
    "AIL", "AIP",
];

/// A sub-component that holds something: the name of its component's place, and
/// where its text stands in the message.
struct Leaf {
    segment: String,
    field: usize,
    place: String,
    range: std::ops::Range<usize>,
}

/// Counts what a message holds, by a reader of its own.
fn leaves(text: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut counts = std::collections::HashMap::new();
    let mut at = 0;
    for line in text.split_inclusive(['\r', '\n']) {
        let start = at;
        at += line.len();
        let line = line.trim_end_matches(['\r', '\n']);
        let Some(name) = line
            .get(..3)
            .filter(|name| line.len() == 3 || line.as_bytes().get(3) == Some(&b'|') && name.len() == 3)
        else {
            continue;
        };
        let occurrence = counts.entry(name.to_owned()).or_insert(0);
        *occurrence += 1;
        let mut field_at = start;
        for (number, field) in line.split('|').enumerate() {
            let begin = field_at;
            field_at += field.len() + 1;
            let number = if name == "MSH" { number + 1 } else { number };
            if number == 0 || name == "MSH" && number <= 2 {
                continue;
            }
            let mut repetition_at = begin;
            for (repetition, text) in field.split('~').enumerate() {
                let mut component_at = repetition_at;
                repetition_at += text.len() + 1;
                for (component, text) in text.split('^').enumerate() {
                    let mut leaf_at = component_at;
                    component_at += text.len() + 1;
                    for text in text.split('&') {
                        let range = leaf_at..leaf_at + text.len();
                        leaf_at += text.len() + 1;
                        if text.trim().is_empty() {
                            continue;
                        }
                        let many =
                            |number: usize| if number > 1 { format!("({number})") } else { String::new() };
                        let place = format!(
                            "{name}{}-{number}{}.{}",
                            many(*occurrence),
                            many(repetition + 1),
                            component + 1
                        );
                        leaves.push(Leaf { segment: name.to_owned(), field: number, place, range });
                    }
                }
            }
        }
    }
    leaves
}

/// Counts the components of a message that hold something.
pub(crate) fn components(text: &str) -> usize {
    leaves(text).iter().map(|leaf| leaf.place.as_str()).collect::<HashSet<&str>>().len()
}

/// Checks a message, and returns how many values were checked.
fn check(name: &str, text: &str, make: &dyn Fn(&str) -> Option<Value>) -> usize {
    let Some(whole) = make(text) else { return 0 };
    let unmapped: HashSet<String> = whole["unmapped"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|place| place.as_str().map(str::to_owned))
        .collect();
    let leaves = leaves(text);
    let places: HashSet<&str> = leaves.iter().map(|leaf| leaf.place.as_str()).collect();
    for place in &unmapped {
        assert!(places.contains(place.as_str()), "{name}: {place} holds nothing");
    }
    let mut dropped = Vec::new();
    let mut checked = 0;
    for leaf in &leaves {
        let is_envelope = leaf.segment == "MSH" && ENVELOPE.contains(&leaf.field)
            || leaf.place == "MSH-9.3"
            // Who sends is told by the first component; the gateway has the others.
            || leaf.segment == "MSH" && (3..=6).contains(&leaf.field) && !leaf.place.ends_with(".1")
            || leaf.field == 1 && NUMBERED.contains(&leaf.segment.as_str());
        let value = &text[leaf.range.clone()];
        // A part that is not so any more is not told: the whole takes the place of the whole.
        let beside =
            |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(|b| b"^&".contains(b));
        let is_part = beside(leaf.range.start.checked_sub(1)) || beside(Some(leaf.range.end));
        if is_envelope || unmapped.contains(&leaf.place) || value.trim() == "\"\"" && is_part {
            continue;
        }
        checked += 1;
        let mut other = text.to_owned();
        let by = if value.trim() == "\"\"" { String::new() } else { format!("{value}Q") };
        other.replace_range(leaf.range.clone(), &by);
        // What is refused makes a difference as well.
        if make(&other).is_some_and(|other| other == whole) {
            dropped.push(format!("{} `{}`", leaf.place, value.chars().take(30).collect::<String>()));
        }
    }
    assert!(dropped.is_empty(), "{name} drops {dropped:#?}");
    checked
}

#[test]
fn what_is_read_of_our_messages_makes_a_difference() {
    let domains = domains();
    let context = italy(&domains);
    let make = |text: &str| mapped(text, &context).ok().map(|mapped| as_json(&mapped));
    let checked: usize = messages().iter().map(|(name, text)| check(name, text, &make)).sum();
    println!("{checked} values checked");
    assert!(checked > 500, "{checked}");
}

#[test]
fn what_is_read_of_messages_of_others_makes_a_difference() {
    let samples = samples();
    let mut checked = 0;
    for (name, text) in &samples {
        let domains = all_domains(text);
        let context = italy(&domains);
        let make = |text: &str| {
            let message = ihe_adapters::wire::hl7v2::message::Message::parse(text).ok()?;
            ihe_adapters::hl7v2::resources(&message, &context).ok().map(|mapped| as_json(&mapped))
        };
        checked += check(name, text, &make);
    }
    println!("{checked} values of {} messages checked", samples.len());
    assert!(checked > 0 || samples.is_empty());
}
