//! Each family of messages, through the door: what it tells is stored.

use std::path::Path;

use tests::mllp::code;

use super::Running;

/// Who assigns the identifiers in the messages, and what a code system is.
const SETTINGS: &str = r#"
[[identity.domains]]
name = "SIO"
oid = "1.3.6.1.4.1.99999.1"
[[identity.domains]]
name = "LIS"
oid = "1.3.6.1.4.1.99999.2"
sources = ["LIS|H1"]
[[hl7v2.code_systems]]
name = "99SIO"
uri = "https://sio.example.org/codes"
sources = ["SIO|H1"]
"#;

/// Messages, and what can be found after each.
const MESSAGES: &[(&str, &[(&str, u64)])] = &[
    ("oru_r01", &[("DiagnosticReport", 1)]),
    ("oml_o21", &[("ServiceRequest?code=718-7", 1), ("Specimen?identifier=S-1", 1)]),
    ("omi_o23", &[("ServiceRequest?identifier=ACC-5", 1)]),
    ("mdm_t02", &[("DocumentReference?identifier=DOC-1", 1)]),
    (
        "mdm_t10",
        &[
            ("DocumentReference?relation=replaces", 1),
            ("DocumentReference?identifier=DOC-1&status=superseded", 1),
            ("DocumentReference?identifier=DOC-2&status=current", 1),
        ],
    ),
    // What is taken back keeps what it was.
    (
        "mdm_t11",
        &[("DocumentReference?identifier=DOC-1&status=entered-in-error&contenttype=application/pdf", 1)],
    ),
    ("siu_s12", &[("Appointment?status=booked", 1), ("Schedule", 1), ("Slot?status=busy", 1)]),
    (
        "siu_s15",
        &[
            ("Appointment?status=cancelled&practitioner.identifier=5001", 1),
            ("Appointment?status=booked", 0),
            ("Slot?status=free", 1),
            ("Slot?status=busy", 0),
        ],
    ),
    ("siu_s23", &[("Slot?status=busy-unavailable", 1)]),
    ("siu_s24", &[("Slot?status=free", 2)]),
    ("vxu_v04", &[("Immunization?status=completed", 1), ("Immunization?status=not-done", 1)]),
    ("rde_o11", &[("MedicationRequest?status=active", 1), ("MedicationRequest?status=stopped", 1)]),
    ("ras_o17", &[("MedicationAdministration", 2)]),
    ("omp_o09", &[("MedicationRequest?status=cancelled", 1)]),
    (
        "orm_o01",
        &[
            ("ServiceRequest?identifier=O-300&code=https://sio.example.org/codes%7CEMO", 1),
            ("MedicationRequest?identifier=RX-9", 1),
        ],
    ),
    // A visit that its account tells apart, and one that nothing does.
    ("adt_a01_account", &[("Encounter?identifier=urn:lanterna:hl7v2:visit%7C", 1)]),
    (
        "oru_nameless_visit",
        &[("DiagnosticReport?identifier=L-500", 1), ("Encounter?class=AMB&identifier:missing=true", 0)],
    ),
];

#[test]
fn each_family_is_stored_and_found_by_fhir() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = Running::start(folder.path(), SETTINGS);
    let messages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ihe-adapters/tests/hl7v2/messages");
    let mut client = running.connect();
    for (name, expected) in MESSAGES {
        let path = messages.join(format!("{name}.hl7"));
        let text = std::fs::read_to_string(&path).expect("a message of ours").replace('\n', "\r");
        let answer = client.ask(&text);
        assert_eq!(code(&answer), "AA", "{name}: {}", answer.write());
        for (search, count) in *expected {
            assert_eq!(running.count(search), *count, "{name}: {search}");
        }
        // Once more it changes nothing.
        assert_eq!(client.ask(&text).write(), answer.write(), "{name}");
    }
}
