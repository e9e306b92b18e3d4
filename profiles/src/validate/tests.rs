//! Resources and profiles, and what is found: place and rule.

mod held_to_definitions;

use std::sync::Arc;

use fhir_model::json;

use super::location::Locations;
use super::{Language, Options, Rule, Validator};
use crate::definitions::Definitions;
use crate::terminology::Terminology;

/// Validates a resource with these definitions at hand; returns the errors as `place rule`.
fn errors(resource: &str, definitions: &[&str], profiles: &[&str]) -> Vec<String> {
    let mut known = Definitions::new();
    for definition in definitions {
        assert!(known.add_resource(json::read(*definition).expect("a definition")));
    }
    let known = Arc::new(known);
    let terminology = Arc::new(Terminology::new(Arc::clone(&known)));
    let validator = Validator::new(known, terminology, Options::default());
    let resource = json::read(resource).expect("a resource");
    let locations = Locations::of(&resource);
    let findings = validator.validate(&resource, profiles);
    let mut told: Vec<String> = findings
        .iter()
        .filter(|f| f.is_error())
        .map(|f| format!("{} {}", locations.expression(f.node), f.rule.key()))
        .collect();
    told.sort();
    told
}

#[test]
fn the_base_specification() {
    for (resource, expected) in [
        (r#"{"resourceType":"Patient","name":[{"family":"Rossi"}]}"#, &[][..]),
        (r#"{"resourceType":"Observation","code":{"text":"x"}}"#, &["Observation min"]),
        (r#"{"resourceType":"Patient","contact":[{"gender":"male"}]}"#, &["Patient.contact[0] invariant"]),
        (r#"{"resourceType":"Patient","gender":"donna"}"#, &["Patient.gender binding"]),
        (
            r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}"##,
            &["Patient.managingOrganization not-contained"],
        ),
        (
            r#"{"resourceType":"Patient","managingOrganization":{"reference":"Practitioner/1"}}"#,
            &["Patient.managingOrganization target"],
        ),
        (
            r#"{"resourceType":"Patient","extension":[{"url":"x","valueString":"y"}]}"#,
            &["Patient.extension[0] not-absolute"],
        ),
        (
            r#"{"resourceType":"Patient","extension":[{"url":"http://x"}]}"#,
            &["Patient.extension[0] invariant"],
        ),
        (
            r#"{"resourceType":"Patient","name":[{"id":"a"}],"contact":[{"id":"a","name":{"text":"x"}}]}"#,
            &["Patient.contact[0] duplicate", "Patient.name[0] empty"],
        ),
        (
            r#"{"resourceType":"Patient","photo":[{"contentType":"text/plain","data":"YWJj","size":4}]}"#,
            &["Patient.photo[0] attachment-size"],
        ),
        (
            r#"{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.02","value":"x"}]}"#,
            &["Patient.identifier[0].system oid"],
        ),
        (
            r##"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"#x\">y</a></div>"}}"##,
            &["Patient.text.div narrative"],
        ),
        (
            r#"{"resourceType":"Bundle","type":"document","identifier":{"system":"http://x","value":"1"},"timestamp":"2020-01-01T00:00:00Z",
               "entry":[{"fullUrl":"http://a/Patient/1","resource":{"resourceType":"Patient","id":"2"}}]}"#,
            &[
                "Bundle invariant",
                "Bundle.entry[0] full-url-mismatch",
                "Bundle.entry[0].resource first-entry",
            ],
        ),
    ] {
        assert_eq!(errors(resource, &[], &[]), expected, "{resource}");
    }
}

/// A profile on Patient with this snapshot, behind the element `Patient` itself.
fn profile(elements: &str) -> String {
    format!(
        r#"{{"resourceType":"StructureDefinition","url":"http://p","name":"P","status":"active","kind":"resource","abstract":false,
            "type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint",
            "snapshot":{{"element":[{{"id":"Patient","path":"Patient"}},{elements}]}}}}"#
    )
}

#[test]
fn a_profile() {
    let cardinality = r#"{"id":"Patient.name","path":"Patient.name","min":1,"max":"1","type":[{"code":"HumanName"}]},
        {"id":"Patient.name.family","path":"Patient.name.family","min":1,"max":"1","type":[{"code":"string"}],"maxLength":3}"#;
    let gender = r#"{"id":"Patient.gender","path":"Patient.gender","min":0,"max":"1","type":[{"code":"code"}],"fixedCode":"female"}"#;
    let dates = r#"{"id":"Patient.birthDate","path":"Patient.birthDate","min":0,"max":"1","type":[{"code":"date"}],"minValueDate":"1900-01-01"},
        {"id":"Patient.deceased[x]","path":"Patient.deceased[x]","min":0,"max":"1","type":[{"code":"boolean"}]}"#;
    let invariant = r#"{"id":"Patient.contact","path":"Patient.contact","min":0,"max":"*","type":[{"code":"BackboneElement"}],
        "constraint":[{"key":"c-1","severity":"error","human":"two","expression":"relationship.count() = 2"}]}"#;
    for (elements, resource, expected) in [
        (cardinality, r#"{"resourceType":"Patient"}"#, &["Patient min"][..]),
        (cardinality, r#"{"resourceType":"Patient","name":[{"family":"Ada"}]}"#, &[]),
        (
            cardinality,
            r#"{"resourceType":"Patient","name":[{"family":"Anna"},{"text":"x"}]}"#,
            &["Patient max", "Patient.name[0].family max-length", "Patient.name[1] min"],
        ),
        (gender, r#"{"resourceType":"Patient","gender":"male"}"#, &["Patient.gender fixed"]),
        (dates, r#"{"resourceType":"Patient","birthDate":"1899-12-31"}"#, &["Patient.birthDate min-value"]),
        (
            dates,
            r#"{"resourceType":"Patient","deceasedDateTime":"2020"}"#,
            &["Patient.deceased.ofType(dateTime) type"],
        ),
        (
            invariant,
            r#"{"resourceType":"Patient","contact":[{"name":{"text":"x"}}]}"#,
            &["Patient.contact[0] invariant"],
        ),
    ] {
        let profile = profile(elements);
        assert_eq!(errors(resource, &[&profile], &["http://p"]), expected, "{elements} {resource}");
    }
}

/// Identifiers sliced by system, closed or open, with a slice that must be there.
fn sliced(rules: &str, ordered: bool) -> String {
    profile(&format!(
        r#"{{"id":"Patient.identifier","path":"Patient.identifier","slicing":{{"discriminator":[{{"type":"value","path":"system"}}],"ordered":{ordered},"rules":"{rules}"}},
             "min":0,"max":"*","type":[{{"code":"Identifier"}}]}},
           {{"id":"Patient.identifier:cf","path":"Patient.identifier","sliceName":"cf","min":1,"max":"1","type":[{{"code":"Identifier"}}]}},
           {{"id":"Patient.identifier:cf.system","path":"Patient.identifier.system","min":1,"max":"1","type":[{{"code":"uri"}}],"fixedUri":"http://cf"}},
           {{"id":"Patient.identifier:cf.value","path":"Patient.identifier.value","min":1,"max":"1","type":[{{"code":"string"}}]}},
           {{"id":"Patient.identifier:ts","path":"Patient.identifier","sliceName":"ts","min":0,"max":"1","type":[{{"code":"Identifier"}}]}},
           {{"id":"Patient.identifier:ts.system","path":"Patient.identifier.system","min":1,"max":"1","type":[{{"code":"uri"}}],"patternUri":"http://ts"}}"#
    ))
}

#[test]
fn slices() {
    let patient = |systems: &[&str]| {
        let all: Vec<String> =
            systems.iter().map(|s| format!(r#"{{"system":"http://{s}","value":"1"}}"#)).collect();
        format!(r#"{{"resourceType":"Patient","identifier":[{}]}}"#, all.join(","))
    };
    for (rules, ordered, systems, expected) in [
        ("open", false, &["cf"][..], &[][..]),
        ("open", false, &["other", "cf"], &[]),
        ("open", false, &["ts"], &["Patient min"]),
        ("open", false, &["cf", "cf"], &["Patient max"]),
        ("closed", false, &["cf", "other"], &["Patient.identifier[1] slicing-closed"]),
        ("openAtEnd", false, &["other", "cf"], &["Patient.identifier[1] slicing-order"]),
        ("open", true, &["ts", "cf"], &["Patient.identifier[1] slicing-order"]),
        ("open", true, &["cf", "ts"], &[]),
    ] {
        let profile = sliced(rules, ordered);
        assert_eq!(errors(&patient(systems), &[&profile], &["http://p"]), expected, "{rules} {systems:?}");
    }
    let without_value = r#"{"resourceType":"Patient","identifier":[{"system":"http://cf"}]}"#;
    let profile = sliced("open", false);
    assert_eq!(errors(without_value, &[&profile], &["http://p"]), ["Patient.identifier[0] min"]);
}

#[test]
fn codes() {
    let system = r#"{"resourceType":"CodeSystem","url":"http://c","status":"active","content":"complete",
        "concept":[{"code":"a","display":"Alpha"},{"code":"b"}]}"#;
    let value_set = r#"{"resourceType":"ValueSet","url":"http://v","status":"active","compose":{"include":[{"system":"http://c","concept":[{"code":"a"}]}]}}"#;
    let bound = profile(
        r#"{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","min":0,"max":"1","type":[{"code":"CodeableConcept"}],
            "binding":{"strength":"required","valueSet":"http://v"}}"#,
    );
    let patient = |status: &str| format!(r#"{{"resourceType":"Patient","maritalStatus":{{{status}}}}}"#);
    for (status, expected) in [
        (r#""coding":[{"system":"http://c","code":"a"}]"#, &[][..]),
        (r#""coding":[{"system":"http://c","code":"a","display":"alpha"}]"#, &[]),
        (
            r#""coding":[{"system":"http://c","code":"a","display":"Beta"}]"#,
            &["Patient.maritalStatus.coding[0].display display"],
        ),
        (r#""coding":[{"system":"http://c","code":"b"}]"#, &["Patient.maritalStatus binding"]),
        (
            r#""coding":[{"system":"http://c","code":"z"}]"#,
            &["Patient.maritalStatus binding", "Patient.maritalStatus.coding[0].code unknown-code"],
        ),
        (r#""coding":[{"system":"http://d","code":"z"},{"system":"http://c","code":"a"}]"#, &[]),
        (r#""text":"x""#, &["Patient.maritalStatus binding-no-code"]),
    ] {
        assert_eq!(
            errors(&patient(status), &[system, value_set, &bound], &["http://p"]),
            expected,
            "{status}"
        );
    }
}

#[test]
fn answers() {
    let form = r#"{"resourceType":"Questionnaire","url":"http://q","status":"active","item":[
        {"linkId":"a","type":"boolean","required":true},
        {"linkId":"b","type":"choice","required":true,"enableWhen":[{"question":"a","operator":"=","answerBoolean":true}],
         "answerOption":[{"valueCoding":{"system":"http://c","code":"x"}}]},
        {"linkId":"g","type":"group","item":[{"linkId":"g1","type":"integer","repeats":true,
         "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/minValue","valueInteger":3}]}]},
        {"linkId":"t","type":"text","maxLength":2},
        {"linkId":"d","type":"display"}]}"#;
    let a = |value: &str| format!(r#"{{"linkId":"a","answer":[{{"valueBoolean":{value}}}]}}"#);
    let b = |code: &str| {
        format!(r#"{{"linkId":"b","answer":[{{"valueCoding":{{"system":"http://c","code":"{code}"}}}}]}}"#)
    };
    for (status, items, expected) in [
        ("completed", vec![a("true"), b("x")], &[][..]),
        ("completed", vec![a("false")], &[]),
        ("completed", vec![a("false"), b("x")], &["QuestionnaireResponse.item[1] qr-disabled"]),
        ("completed", vec![a("true")], &["QuestionnaireResponse qr-required"]),
        ("in-progress", vec![a("true")], &[]),
        ("completed", vec![a("true"), b("y")], &["QuestionnaireResponse.item[1].answer[0] qr-answer-option"]),
        ("completed", vec![b("x"), a("true")], &["QuestionnaireResponse.item[1] qr-item-order"]),
        (
            "in-progress",
            vec![r#"{"linkId":"g","item":[{"linkId":"g1","answer":[{"valueInteger":5},{"valueInteger":2},{"valueString":"x"}]}]}"#.to_owned()],
            &[
                "QuestionnaireResponse.item[0].item[0].answer[1].value.ofType(integer) qr-answer-value",
                "QuestionnaireResponse.item[0].item[0].answer[2].value.ofType(string) qr-answer-type",
            ],
        ),
        (
            "in-progress",
            vec![r#"{"linkId":"t","answer":[{"valueString":"abc"},{"valueString":"a"}]}"#.to_owned()],
            &[
                "QuestionnaireResponse.item[0] qr-answer-count",
                "QuestionnaireResponse.item[0].answer[0].value.ofType(string) max-length",
            ],
        ),
        (
            "in-progress",
            vec![r#"{"linkId":"d","answer":[{"valueString":"abc"}]}"#.to_owned(), r#"{"linkId":"z"}"#.to_owned()],
            &["QuestionnaireResponse.item[0] qr-no-answer", "QuestionnaireResponse.item[1] qr-unknown-item"],
        ),
    ] {
        let response = format!(
            r#"{{"resourceType":"QuestionnaireResponse","questionnaire":"http://q","status":"{status}","item":[{}]}}"#,
            items.join(",")
        );
        assert_eq!(errors(&response, &[form], &[]), expected, "{response}");
    }
}

#[test]
fn answers_of_a_form() {
    let extension = |name: &str, value: &str| {
        format!(r#""extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/{name}",{value}}}]"#)
    };
    let value = "QuestionnaireResponse.item[0].answer[0].value";
    for (kind, (restriction, restricted), answer, expected) in [
        (
            "decimal",
            ("maxDecimalPlaces", r#""valueInteger":1"#),
            r#""valueDecimal":1.25"#,
            Some("ofType(decimal)"),
        ),
        ("decimal", ("maxDecimalPlaces", r#""valueInteger":1"#), r#""valueDecimal":1.2"#, None),
        ("decimal", ("maxDecimalPlaces", r#""valueInteger":1"#), r#""valueDecimal":12"#, None),
        (
            "quantity",
            ("maxDecimalPlaces", r#""valueInteger":0"#),
            r#""valueQuantity":{"value":1.5}"#,
            Some("ofType(Quantity)"),
        ),
        ("string", ("regex", r#""valueString":"[a-z]{2}""#), r#""valueString":"ab""#, None),
        (
            "string",
            ("regex", r#""valueString":"[a-z]{2}""#),
            r#""valueString":"abc""#,
            Some("ofType(string)"),
        ),
        ("string", ("regex", r#""valueString":"(""#), r#""valueString":"abc""#, None),
        (
            "attachment",
            ("mimeType", r#""valueCode":"image/*""#),
            r#""valueAttachment":{"contentType":"image/png","url":"http://x/y"}"#,
            None,
        ),
        (
            "attachment",
            ("mimeType", r#""valueCode":"image/png""#),
            r#""valueAttachment":{"contentType":"text/plain; charset=utf-8","url":"http://x/y"}"#,
            Some("ofType(Attachment)"),
        ),
    ] {
        let form = format!(
            r#"{{"resourceType":"Questionnaire","url":"http://q","status":"active","item":[{{"linkId":"a","type":"{kind}",{}}}]}}"#,
            extension(restriction, restricted)
        );
        let response = format!(
            r#"{{"resourceType":"QuestionnaireResponse","questionnaire":"http://q","status":"completed","item":[{{"linkId":"a","answer":[{{{answer}}}]}}]}}"#
        );
        let expected: Vec<String> =
            expected.iter().map(|of| format!("{value}.{of} qr-answer-value")).collect();
        assert_eq!(errors(&response, &[&form], &[]), expected, "{kind} {restriction} {answer}");
    }
}

#[test]
fn questionnaires() {
    for (items, expected) in [
        (
            r#"{"linkId":"a","type":"boolean"},{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"=","answerBoolean":true}]}"#,
            &[][..],
        ),
        (
            r#"{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"=","answerBoolean":true}]}"#,
            &["Questionnaire.item[0].enableWhen[0] definition"],
        ),
        (
            r#"{"linkId":"b","type":"string","enableWhen":[{"question":"b","operator":"=","answerString":"x"}]}"#,
            &["Questionnaire.item[0].enableWhen[0] definition"],
        ),
        (
            r#"{"linkId":"a","type":"boolean"},{"linkId":"b","type":"string","enableWhen":[{"question":"a","operator":"=","answerInteger":1}]}"#,
            &["Questionnaire.item[1].enableWhen[0].answer.ofType(integer) qr-answer-type"],
        ),
        (r#"{"linkId":"a","type":"integer","initial":[{"valueInteger":1}]}"#, &[]),
        (
            r#"{"linkId":"a","type":"integer","initial":[{"valueString":"1"}]}"#,
            &["Questionnaire.item[0].initial[0].value.ofType(string) qr-answer-type"],
        ),
        (
            r#"{"linkId":"a","type":"date","answerOption":[{"valueDate":"2020-01-01"},{"valueInteger":1}]}"#,
            &["Questionnaire.item[0].answerOption[1].value.ofType(integer) qr-answer-type"],
        ),
    ] {
        let form = format!(r#"{{"resourceType":"Questionnaire","status":"active","item":[{items}]}}"#);
        assert_eq!(errors(&form, &[], &[]), expected, "{items}");
    }
}

#[test]
fn what_is_not_known_is_said() {
    let patient = r#"{"resourceType":"Patient"}"#;
    assert_eq!(errors(patient, &[], &["http://nowhere"]), ["Patient profile-unknown"]);
    let circular = r#"{"resourceType":"StructureDefinition","url":"http://p","name":"P","status":"active","kind":"resource","abstract":false,
        "type":"Patient","baseDefinition":"http://p","derivation":"constraint","differential":{"element":[{"path":"Patient"}]}}"#;
    assert_eq!(errors(patient, &[circular], &["http://p"]), ["Patient profile-broken"]);
}

#[test]
fn texts_are_in_both_languages() {
    let rule = Rule::Min { element: "Patient.name".to_owned(), min: 1, found: 0 };
    assert_eq!(rule.text(Language::English), "Patient.name: at least 1 required, 0 found");
    assert_eq!(rule.text(Language::Italian), "Patient.name: almeno 1 richiesti, 0 trovati");
    let mut keys = Rule::KEYS.to_vec();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), Rule::KEYS.len(), "a key stands twice");
}
