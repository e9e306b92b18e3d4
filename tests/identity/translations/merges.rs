//! Merges: A40 and PRPA_IN201304UV02, the same at the three doors.

use std::collections::BTreeSet;

use super::doors::Doors;
use super::samples::{are_there, feed_by_hl7v2, hl7v2, hl7v3};
use crate::model::Identifier;

/// A pair of messages, and who is merged.
struct Pair {
    hl7v2: &'static str,
    hl7v3: &'static str,
    /// The record that goes, and the one that stays: fields of PID.
    records: [&'static str; 2],
    /// How they are known.
    identifiers: [(&'static str, &'static str); 2],
}

const PAIRS: &[Pair] = &[
    Pair {
        hl7v2: "pixfeed/v2/PIX_FEED_MERGE_Maximal_Request",
        hl7v3: "pixfeed/v3/PIX_FEED_MERGE_Maximal_Request",
        records: [
            "PID|1||120-02^^^&1.2.3.4.666&ISO~D1^^^&1.2.3.9&ISO||WASHINGTON^MARY||19771208|F",
            "PID|1||120-01^^^&1.2.3.4.5.1000&ISO~D2^^^&1.2.3.8&ISO||WASHINGTON^MARIA||19771209|F",
        ],
        identifiers: [("urn:oid:1.2.3.4.666", "120-02"), ("urn:oid:1.2.3.4.5.1000", "120-01")],
    },
    Pair {
        hl7v2: "pixsource/v2/A40",
        hl7v3: "pixsource/v3/A40_Response",
        records: [
            "PID|1||704686^^^&2.16.840.1.113883.3.37.4.1.1.2.1.1&ISO~D1^^^&1.2.3.9&ISO||LENON^JOHN^^^^^L||19730812|M",
            "PID|1||142025^^^&2.16.840.1.113883.3.37.4.1.1.2.1.1&ISO~D2^^^&1.2.3.8&ISO||LENNON^JOHN^^^^^L||19730811|M\
             |||999 PENNY LANE^^LONDON^GB^13850||(607)752-6466|||M",
        ],
        identifiers: [
            ("urn:oid:2.16.840.1.113883.3.37.4.1.1.2.1.1", "704686"),
            ("urn:oid:2.16.840.1.113883.3.37.4.1.1.2.1.1", "142025"),
        ],
    },
];

/// What is known of both, whichever way they were merged.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    /// By PIX, of each.
    identifiers: [Option<BTreeSet<Identifier>>; 2],
    /// By PDQ, of each, at each door.
    families: Vec<Vec<String>>,
}

fn known(doors: &Doors, pair: &Pair) -> Known {
    let identifiers = pair
        .identifiers
        .map(|(system, value)| doors.cross_references(&(system.to_owned(), value.to_owned())));
    let mut families = Vec::new();
    for (system, value) in pair.identifiers {
        let told = doors.persons(&super::feeds::by_identifier(system, value));
        let names = told.map(|(_, persons)| {
            let names = persons.iter().flatten().filter_map(|said| said.strip_prefix("name "));
            names.map(str::to_owned).collect::<Vec<String>>()
        });
        assert_eq!((&names[0], &names[0]), (&names[1], &names[2]), "{value} of {}", pair.hl7v2);
        families.push(names[0].clone());
    }
    Known { identifiers, families }
}

#[test]
fn a_merge_is_the_same_by_both_wires() {
    if !are_there() {
        return;
    }
    for pair in PAIRS {
        let merged = [false, true].map(|is_v3| {
            let folder = tempfile::tempdir().expect("a folder");
            let doors = Doors::open(folder.path(), &[]);
            let merge = || match is_v3 {
                false => doors.tell_by_hl7v2(&hl7v2(pair.hl7v2)),
                true => doors.tell_by_hl7v3(&hl7v3(pair.hl7v3)),
            };
            // Who is not there cannot be merged, by whichever wire.
            assert_eq!(merge(), (false, "204".to_owned()), "{} {is_v3}", pair.hl7v2);
            for (number, pid) in pair.records.iter().enumerate() {
                // What is told of them was so before they were merged.
                let feed = feed_by_hl7v2(number, pid).replace("20260102030405", "20080102030405");
                assert_eq!(doors.tell_by_hl7v2(&feed), (true, String::new()));
            }
            assert_eq!(merge(), (true, String::new()), "{} {is_v3}", pair.hl7v2);
            known(&doors, pair)
        });
        assert_eq!(merged[0], merged[1], "{}", pair.hl7v2);
        let [gone, stays] = &merged[0].identifiers;
        assert_eq!(*gone, None, "{}", pair.hl7v2);
        let d2 = ("urn:oid:1.2.3.8".to_owned(), "D2".to_owned());
        assert_eq!(*stays, Some(BTreeSet::from([d2])), "{}", pair.hl7v2);
        assert_eq!(merged[0].families[0].len(), 0, "{}", pair.hl7v2);
        assert_eq!(merged[0].families[1].len(), 1, "{}", pair.hl7v2);
    }
}
