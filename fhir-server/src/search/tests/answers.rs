//! What searches find, as a table.

use serde_json::{Value, json};

use super::*;

/// Three patients, what hangs on them, and more.
pub(super) fn population() -> Vec<Value> {
    let patient = |id: &str, family: &str, given: &str, gender: &str, born: &str, organization: &str| {
        json!({"resourceType": "Patient", "id": id, "active": true, "gender": gender, "birthDate": born,
            "identifier": [{"system": "http://a", "value": id}],
            "name": [{"family": family, "given": [given]}],
            "managingOrganization": {"reference": format!("Organization/{organization}")},
            "text": {"status": "generated",
                     "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">Cartella di {given}</div>")}})
    };
    let observation = |id: &str, patient: &str, code: &str, date: &str, value: f64| {
        json!({"resourceType": "Observation", "id": id, "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": format!("Patient/{patient}")},
            "performer": [{"reference": "Practitioner/d1"}],
            "effectiveDateTime": date,
            "valueQuantity": {"value": value, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"}})
    };
    vec![
        json!({"resourceType": "Organization", "id": "o1", "name": "San Martino"}),
        json!({"resourceType": "Organization", "id": "o2", "name": "Galliera",
               "partOf": {"reference": "Organization/o1"}}),
        json!({"resourceType": "Practitioner", "id": "d1", "name": [{"family": "Dottori"}]}),
        patient("p1", "Rossi", "Mario", "male", "1950-01-01", "o1"),
        patient("p2", "Bianchi", "Nicolò", "male", "1960-06-15", "o2"),
        patient("p3", "Verdi", "Anna", "female", "1970-12-31", "o2"),
        observation("b1", "p1", "1-1", "2020-01-01", 1.0),
        observation("b2", "p1", "2-2", "2021-01-01", 2.0),
        observation("b3", "p2", "1-1", "2022-01-01", 3.0),
        observation("b4", "p3", "1-1", "2023-01-01", 4.0),
        json!({"resourceType": "Group", "id": "g1", "type": "person", "actual": true,
               "member": [{"entity": {"reference": "Patient/p1"}}, {"entity": {"reference": "Patient/p3"}}]}),
        json!({"resourceType": "List", "id": "l1", "status": "current", "mode": "working",
               "entry": [{"item": {"reference": "Patient/p2"}}]}),
        json!({"resourceType": "Provenance", "id": "v1", "recorded": "2020-01-01T00:00:00Z",
               "target": [{"reference": "Observation/b1"}],
               "agent": [{"who": {"reference": "Practitioner/d1"}}]}),
        json!({"resourceType": "Location", "id": "genova", "name": "Genova",
               "position": {"latitude": 44.4056, "longitude": 8.9463}}),
        json!({"resourceType": "Location", "id": "milano", "name": "Milano",
               "position": {"latitude": 45.4642, "longitude": 9.19}}),
    ]
}

#[test]
fn searches_find() {
    let fixture = Fixture::new();
    fixture.put(&population());
    let mut wrong = Vec::new();
    for (url, expected) in [
        ("Patient", "p3 p2 p1"),
        ("Patient?_id=p1,p3", "p3 p1"),
        ("Patient?_id:not=p1", "p3 p2"),
        ("Patient?name=ROS", "p1"),
        ("Patient?name=nicolo", "p2"),
        ("Patient?name:exact=Nicolò", "p2"),
        ("Patient?name:exact=nicolò", ""),
        ("Patient?name:contains=anc", "p2"),
        ("Patient?gender=male", "p2 p1"),
        ("Patient?gender:not=male", "p3"),
        ("Patient?gender=male&name=ross", "p1"),
        ("Patient?name=ross,verd", "p3 p1"),
        ("Patient?birthdate=ge1960", "p3 p2"),
        ("Patient?birthdate=1960", "p2"),
        ("Patient?birthdate=ge1955&birthdate=lt1965", "p2"),
        ("Patient?death-date:missing=true", "p3 p2 p1"),
        ("Patient?birthdate:missing=true", ""),
        ("Patient?address:missing=false", ""),
        ("Patient?identifier=http://a|p2", "p2"),
        ("Patient?organization.name=galliera", "p3 p2"),
        ("Patient?organization:Organization.name=san", "p1"),
        ("Patient?organization.partof.name=san", "p3 p2"),
        ("Patient?_has:Observation:patient:code=2-2", "p1"),
        ("Patient?_has:Observation:subject:code=1-1&gender=female", "p3"),
        ("Patient?_has:Observation:patient:_has:Provenance:target:agent=d1", "p1"),
        ("Patient?_has:Observation:patient:performer.name=dott&name=verdi", "p3"),
        ("Patient?_has:Group:member:_id=g1", "p3 p1"),
        ("Observation?patient._has:Group:member:_id=g1", "b4 b2 b1"),
        ("Observation?patient=p1", "b2 b1"),
        ("Observation?patient=p1&code=1-1", "b1"),
        ("Observation?subject=Patient/p1&code=http://loinc.org|1-1", "b1"),
        ("Observation?patient=p1,p2&code=1-1", "b3 b1"),
        ("Observation?patient=p1&code:not=1-1", "b2"),
        ("Observation?subject:Patient.name=rossi&code=1-1", "b1"),
        ("Observation?subject.name=rossi", "b2 b1"),
        ("Observation?patient.gender:not=male", "b4"),
        ("Observation?patient.organization.name=galliera", "b4 b3"),
        ("Observation?code=1-1&date=gt2021", "b4 b3"),
        ("Observation?value-quantity=gt2||mg", "b4 b3"),
        ("Observation?code-value-quantity=1-1$ge3||mg", "b4 b3"),
        ("Patient?_list=l1", "p2"),
        ("Patient/p1/Observation", "b2 b1"),
        ("Patient/p1/Observation?code=2-2", "b2"),
        ("Patient/p1/*?_type=Observation,Group", "g1 b2 b1"),
        ("Practitioner/d1/Observation?code=2-2", "b2"),
        ("?_type=Patient,Group&_id=p1,g1", "g1 p1"),
        ("?_id=p1,o1", "p1 o1"),
        ("?_lastUpdated=gt2100", ""),
        ("Patient?_lastUpdated=ge2020", "p3 p2 p1"),
        ("Patient?_text=nicolo", "p2"),
        ("Patient?_content=cartella -anna", "p2 p1"),
        ("Location?near=44.4|8.9|20|km", "genova"),
        ("Location?near=44.4|8.9|100|mi", "milano genova"),
        ("Patient?_sort=birthdate", "p1 p2 p3"),
        ("Patient?_sort=-birthdate", "p3 p2 p1"),
        ("Patient?_sort=family", "p2 p1 p3"),
        ("Patient?_sort=-_id", "p3 p2 p1"),
        ("Patient?_sort=_lastUpdated", "p1 p2 p3"),
        ("Observation?_sort=-value-quantity&_count=2", "b4 b3"),
        ("Patient?_filter=name eq \"rossi\"", "p1"),
        ("Patient?_filter=name sw ro or name ew nchi", "p2 p1"),
        ("Patient?_filter=not (gender eq male) or birthdate lt 1955", "p3 p1"),
        ("Patient?_filter=organization.name co alli and gender ne male", "p3"),
        ("Patient?_filter=death-date pr false and birthdate ge 1960-06-15", "p3 p2"),
        ("Observation?_filter=date po 2021", "b2"),
        ("Observation?_filter=subject[name eq verdi].gender eq female", "b4"),
        ("Observation?_filter=patient re Patient/p2", "b3"),
        ("Patient?_count=2", "p3 p2"),
        ("Patient?name='; DROP TABLE resource; --", ""),
    ] {
        let found = fixture.ids(url).map(|ids| ids.join(" "));
        if found.as_deref() != Ok(expected) {
            wrong.push(format!("{url}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
