//! Documents with faults, and what is told of them.

use proptest::prelude::*;

use super::read::{read, read_all};

#[test]
fn every_fault_is_told_with_its_place() {
    for (document, expected, kept) in [
        (
            "{\"resourceType\":\"Patient\",\n \"gender\":\"male\",\n \"foo\":{\"a\":[1]},\n \"birthDate\":\"x\"}",
            &["Patient:3:2", "Patient.birthDate:4:14"][..],
            r#"{"resourceType":"Patient","gender":"male","birthDate":"x"}"#,
        ),
        (
            r#"{"resourceType":"Patient","name":{"family":"A"},"contact":[{"name":{"x":1,"text":""}}]}"#,
            &["Patient.name:1:34", "Patient.contact[0].name:1:69", "Patient.contact[0].name.text:1:82"],
            r#"{"resourceType":"Patient","name":[{"family":"A"}],"contact":[{"name":{}}]}"#,
        ),
        (
            r#"{"resourceType":"Patient","active":"yes","active":true,"deceasedBoolean":true,"deceasedDateTime":"2020"}"#,
            &["Patient.active:1:36", "Patient:1:51", "Patient:1:98"],
            r#"{"resourceType":"Patient","deceasedBoolean":true}"#,
        ),
        (
            r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Nothing","a":1}},{"fullUrl":"urn:x"}]}"#,
            &["Bundle.entry[0].resource:1:47"],
            r#"{"resourceType":"Bundle","entry":[{},{"fullUrl":"urn:x"}]}"#,
        ),
    ] {
        let reading = read_all(document);
        let told: Vec<String> = reading
            .faults
            .iter()
            .map(|f| {
                let (line, column) = reading.place_of(f.offset as u32);
                format!("{}:{line}:{column}", f.location)
            })
            .collect();
        assert_eq!(told, expected, "{document}");
        let resource = reading.resource.expect("a resource");
        let json = String::from_utf8(crate::json::to_json(&resource)).expect("text");
        assert_eq!(json, kept, "{document}");
    }
    for document in ["", "{", "[]", r#"{"resourceType":"Nothing"}"#, r#"{"resourceType":"Patient","name":[}"#]
    {
        let reading = read_all(document);
        assert!(reading.resource.is_none() && !reading.faults.is_empty(), "{document}");
    }
}

proptest! {
    #[test]
    fn both_readings_agree(
        at in 0usize..200, with in proptest::sample::select(vec!["", "\"", "{", "}", "[", "]", ",", "null", "1", "x", "\"a\":1,", "\u{0}"]),
        cut in 0usize..4,
    ) {
        let mut document = r#"{"resourceType":"Patient","id":"1","name":[{"family":"A","_family":{"id":"x"},"given":["B",null],"_given":[null,{"id":"y"}]}],"active":true,"contained":[{"resourceType":"Organization","name":"O"}]}"#.to_owned();
        let at = at.min(document.len());
        let end = (at + cut).min(document.len());
        document.replace_range(at..end, with);
        let reading = read_all(document.clone());
        match read(document) {
            Ok(resource) => {
                prop_assert!(reading.faults.is_empty());
                prop_assert!(reading.resource.is_some_and(|r| r == resource));
            }
            Err(_) => prop_assert!(!reading.faults.is_empty()),
        }
    }
}
