//! PV1: a visit as it is told.
//!
//! Spec: HL7 v2.5 section 3.4.3, ITI TF-2 3.22.4.2.2.7

use serde_json::json;

use super::visits::{Referred, Visit};
use crate::hl7v2::from_fhir::{Known, visit};
use crate::pix::domains::Domains;
use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::segment::Segment;

/// Writes a PV1; `None`: no visit is known.
pub fn pv1(told: Option<&Visit>, referred: &Referred, domains: &Domains, by: &Delimiters) -> Segment {
    let Some(Visit { encounter }) = told else { return Segment::new("PV1", by).with(1, "1").with(2, "N") };
    // Where the patient is, or else where he was last.
    let all = encounter["location"].as_array().map(Vec::as_slice).unwrap_or_default();
    let active = all.iter().rev().find(|of| of["status"] == "active");
    let last = active.or(all.last()).map(|of| json!([{ "location": of["location"] }]));
    let mut encounter = encounter.clone();
    encounter["location"] = last.unwrap_or_default();
    let resolve = |reference: &str| referred.get(reference).cloned();
    visit(&encounter, &Known { domains, resolve: &resolve }, by)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_visit_is_told() {
        let located = |name: &str, kind: &str, around: Option<&str>| {
            let part_of = around.map(|around| json!({ "reference": around }));
            json!({ "name": name, "physicalType": { "coding": [{ "code": kind }] }, "partOf": part_of })
        };
        let referred = Referred::from([
            ("Location/w".to_owned(), json!({ "name": "CARD", "partOf": { "reference": "Location/s" } })),
            ("Location/s".to_owned(), located("H1", "si", None)),
            ("Location/r".to_owned(), located("389", "ro", Some("Location/w"))),
            ("Location/b".to_owned(), located("2", "bd", Some("Location/r"))),
            (
                "Practitioner/1".to_owned(),
                json!({ "identifier": [{ "system": "urn:oid:1.5", "value": "D7" }],
                        "name": [{ "family": "Bruno", "given": ["Anna", "Eva"] }] }),
            ),
        ]);
        let doctor = |code: &str, individual: Value| json!({ "type": [{ "coding": [{ "code": code }] }], "individual": individual });
        let encounter = json!({
            "class": { "code": "IMP" },
            "identifier": [{ "system": "urn:oid:1.6", "value": "V1" }],
            "location": [{ "location": { "reference": "Location/w" }, "status": "completed" },
                         { "location": { "reference": "Location/b" }, "status": "active" }],
            "participant": [doctor("ATND", json!({ "reference": "Practitioner/1" })), doctor("ADM", json!({ "display": "Verdi" }))],
            "serviceType": { "coding": [{ "code": "MED" }] },
            "period": { "start": "2026-01-02T03:04:05+01:00", "end": "2026-01-09" },
        });
        let written = pv1(Some(&Visit { encounter }), &referred, &Domains::default(), &Delimiters::default());
        let mut fields = vec![""; 46];
        fields[0] = "PV1";
        for (field, text) in [
            (1, "1"),
            (2, "I"),
            (3, "CARD^389^2^H1"),
            (7, "D7^Bruno^Anna^Eva^^^^^&1.5&ISO"),
            (10, "MED"),
            (17, "^Verdi"),
            (19, "V1^^^&1.6&ISO^VN"),
            (44, "20260102030405+0100"),
            (45, "20260109"),
        ] {
            fields[field] = text;
        }
        assert_eq!(written.text(), fields.join("|"));
        let none = pv1(None, &referred, &Domains::default(), &Delimiters::default());
        assert_eq!(none.text(), "PV1|1|N");
    }
}
