//! From a message to FHIR and back: what the rows map is kept.

use ihe_adapters::hl7v2::from_fhir::{Envelope, Known, adt, oru, trigger};
use ihe_adapters::hl7v2::mapped::Mapped;
use ihe_adapters::hl7v2::resources;
use serde_json::Value;

use crate::setting::{domains, folder, italy, mapped};

fn envelope() -> Envelope {
    Envelope {
        sending_application: "SIO".to_owned(),
        sending_facility: "H1".to_owned(),
        receiving_application: "LANTERNA".to_owned(),
        receiving_facility: "REGIONE".to_owned(),
        control_id: "1".to_owned(),
        at: "2024-02-29T10:30:00+01:00".to_owned(),
    }
}

fn read(name: &str) -> Mapped {
    let text = std::fs::read_to_string(folder().join("messages").join(name)).expect("a message");
    mapped(&text, &italy(&domains())).expect("taken")
}

fn of_type<'m>(mapped: &'m Mapped, resource_type: &str) -> Vec<&'m Value> {
    let resources = mapped.entries.iter().map(|entry| &entry["resource"]);
    resources.filter(|resource| resource["resourceType"] == resource_type).collect()
}

/// Writes and reads a message again.
fn again(
    mapped: &Mapped,
    write: impl Fn(&Known<'_>) -> ihe_adapters::wire::hl7v2::message::Message,
) -> Mapped {
    let domains = domains();
    let resolve = |reference: &str| {
        let entry = mapped.entries.iter().find(|entry| entry["fullUrl"] == reference)?;
        Some(entry["resource"].clone())
    };
    let message = write(&Known { domains: &domains, resolve: &resolve });
    resources(&message, &italy(&domains)).unwrap_or_else(|refused| panic!("{refused}: {}", message.write()))
}

/// Versions before 2.7 have no field for what is of no use in particular: it goes with what is one's own.
fn own_without_use(telecom: &mut Value) {
    for point in telecom.as_array_mut().into_iter().flatten().filter(|point| point["use"].is_null()) {
        point["use"] = "home".into();
    }
}

#[test]
fn patients_come_back() {
    for (name, event) in
        [("adt_a01.hl7", "A31"), ("adt_a28.hl7", "A28"), ("adt_a08.hl7", "A31"), ("adt_a31.hl7", "A31")]
    {
        let first = read(name);
        let patient = first.patient.clone().expect("a patient");
        let second =
            again(&first, |known| adt(event, &patient, None, None, &envelope(), known).expect("a message"));
        let back = second.patient.clone().expect("a patient");
        for element in [
            "identifier",
            "name",
            "telecom",
            "address",
            "gender",
            "_gender",
            "birthDate",
            "_birthDate",
            "deceasedDateTime",
            "deceasedBoolean",
            "maritalStatus",
            "communication",
            "multipleBirthInteger",
            "extension",
        ] {
            let (mut told, mut told_again) = (patient[element].clone(), back[element].clone());
            if element == "telecom" {
                own_without_use(&mut told);
            }
            for told in [&mut told, &mut told_again] {
                if let Some(items) = told.as_array_mut() {
                    items.sort_by_key(Value::to_string);
                }
            }
            assert_eq!(told, told_again, "{name}: {element}");
        }
        assert_eq!(first.patient_url, second.patient_url, "{name}");
    }
}

#[test]
fn visits_come_back() {
    for name in ["adt_a01.hl7", "adt_a03.hl7", "adt_a04.hl7", "adt_a08.hl7"] {
        let first = read(name);
        let (patient, visits) = (first.patient.clone().expect("a patient"), of_type(&first, "Encounter"));
        let visit = visits.first().copied().expect("a visit");
        let before = (name == "adt_a08.hl7").then_some(visit);
        let event = trigger(before, Some(visit)).expect("an event");
        let second = again(&first, |known| {
            adt(event, &patient, Some(visit), None, &envelope(), known).expect("a message")
        });
        let visits = of_type(&second, "Encounter");
        let back = visits.first().copied().expect("a visit");
        for element in ["status", "class", "period", "participant", "serviceType", "type", "identifier"] {
            assert_eq!(visit[element], back[element], "{name}: {element}");
        }
        assert_eq!(visit["location"][0], back["location"][0], "{name}");
        assert_eq!(
            visit["hospitalization"]["dischargeDisposition"],
            back["hospitalization"]["dischargeDisposition"]
        );
    }
}

#[test]
fn each_event_of_a_visit_says_how_far_it_is() {
    for event in ["A02", "A05", "A06", "A07", "A11", "A13"] {
        let first = read(&format!("adt_{}.hl7", event.to_lowercase()));
        let (patient, visits) = (first.patient.clone().expect("a patient"), of_type(&first, "Encounter"));
        let visit = visits.first().copied().expect("a visit");
        let second = again(&first, |known| {
            adt(event, &patient, Some(visit), None, &envelope(), known).expect("a message")
        });
        let visits = of_type(&second, "Encounter");
        let back = visits.first().copied().expect("a visit");
        for element in ["status", "class", "identifier"] {
            assert_eq!(visit[element], back[element], "{event}: {element}");
        }
    }
}

#[test]
fn merges_come_back() {
    let first = read("adt_a40.hl7");
    let patient = first.patient.clone().expect("a patient");
    let prior = serde_json::json!({ "resourceType": "Patient",
        "identifier": [{ "system": "urn:oid:1.3.6.1.4.1.99999.1", "value": "1999" }] });
    let second = again(&first, |known| {
        adt("A40", &patient, None, Some(&prior), &envelope(), known).expect("a message")
    });
    assert_eq!(second.changes.len(), 1);
    let ihe_adapters::hl7v2::mapped::Change::Merge { subsumed, survivor } = &second.changes[0] else {
        panic!("{:?}", second.changes)
    };
    assert_eq!((&subsumed["value"], &survivor["value"]), (&"1999".into(), &"1001".into()));
}

#[test]
fn results_come_back() {
    let first = read("oru_r01.hl7");
    let patient = first.patient.clone().expect("a patient");
    let report = of_type(&first, "DiagnosticReport")[0].clone();
    let observations: Vec<Value> = of_type(&first, "Observation").into_iter().cloned().collect();
    let second = again(&first, |known| {
        oru(&report, &patient, None, &observations, &envelope(), known).expect("a message")
    });
    let back = of_type(&second, "DiagnosticReport")[0];
    for element in
        ["status", "code", "category", "effectiveDateTime", "issued", "identifier", "resultsInterpreter"]
    {
        assert_eq!(report[element], back[element], "{element}");
    }
    let observed = of_type(&second, "Observation");
    assert_eq!(observed.len(), observations.len());
    for (told, back) in observations.iter().zip(observed) {
        let values = told.as_object().expect("an object").keys().filter(|name| name.starts_with("value"));
        for element in values.map(String::as_str).chain([
            "code",
            "status",
            "_status",
            "interpretation",
            "note",
            "component",
        ]) {
            assert_eq!(told[element], back[element], "{element} of {told:#}");
        }
    }
}
