//! What is held to something else: a report to its measure, a differential
//! to its base, content to what a profile's extensions ask.

use super::{errors, profile};

#[test]
fn reports_and_their_measures() {
    let population = |code: &str| {
        format!(
            r#"{{"code":{{"coding":[{{"system":"http://s","code":"{code}"}}]}},"criteria":{{"language":"text/cql","expression":"x"}}}}"#
        )
    };
    let measure = |scoring: &str, groups: &str| {
        format!(
            r#"{{"resourceType":"Measure","url":"http://m","status":"active",
                "scoring":{{"coding":[{{"code":"{scoring}"}}]}},"group":[{groups}]}}"#
        )
    };
    let one =
        measure("proportion", &format!(r#"{{"population":[{},{}]}}"#, population("a"), population("b")));
    let cohort = measure("cohort", &format!(r#"{{"population":[{}]}}"#, population("a")));
    let two = measure("cohort", r#"{"code":{"text":"one"}},{"code":{"text":"two"}}"#);
    let report = |kind: &str, groups: &str| {
        format!(
            r#"{{"resourceType":"MeasureReport","status":"complete","type":"{kind}","measure":"http://m",
                "period":{{"start":"2026"}},"group":[{groups}]}}"#
        )
    };
    let counted = |code: &str| {
        format!(r#"{{"code":{{"coding":[{{"system":"http://s","code":"{code}"}}]}},"count":1}}"#)
    };
    let both = format!("{},{}", counted("a"), counted("b"));
    for (measure, kind, groups, expected) in [
        (&one, "summary", format!(r#"{{"population":[{both}],"measureScore":{{"value":0.5}}}}"#), &[][..]),
        (&one, "summary", format!(r#"{{"population":[{both}]}}"#), &["MeasureReport.group[0] mr-score"]),
        (
            &one,
            "summary",
            format!(r#"{{"population":[{both}],"measureScore":{{"value":1.5}}}}"#),
            &["MeasureReport.group[0].measureScore mr-score"],
        ),
        (
            &one,
            "data-collection",
            format!(r#"{{"population":[{both}],"measureScore":{{"value":0.5}}}}"#),
            &["MeasureReport invariant", "MeasureReport.group[0].measureScore mr-score"],
        ),
        (
            &one,
            "summary",
            format!(
                r#"{{"population":[{},{},{}],"measureScore":{{"value":0}}}}"#,
                counted("a"),
                counted("c"),
                counted("a")
            ),
            &[
                "MeasureReport.group[0] mr-part-missing",
                "MeasureReport.group[0].population[1] mr-part",
                "MeasureReport.group[0].population[2] duplicate",
            ],
        ),
        (
            &cohort,
            "summary",
            r#"{"population":[{"code":{"coding":[{"system":"http://s","code":"a"}]},"count":1,"subjectResults":{"reference":"List/1"}}]}"#
                .to_owned(),
            &["MeasureReport.group[0].population[0] mr-subjects"],
        ),
        (
            &two,
            "summary",
            r#"{"code":{"text":"one"}}"#.to_owned(),
            &["MeasureReport mr-part-missing"],
        ),
        (
            &two,
            "summary",
            r#"{"code":{"text":"two"}},{"code":{"text":"one"}}"#.to_owned(),
            &[],
        ),
    ] {
        assert_eq!(errors(&report(kind, &groups), &[measure], &[]), expected, "{groups}");
    }
}

#[test]
fn differentials_and_their_bases() {
    let definition = |base: &str, elements: &str| {
        format!(
            r#"{{"resourceType":"StructureDefinition","url":"http://d","name":"D","status":"active","kind":"resource",
                "abstract":false,"type":"Patient","baseDefinition":"{base}","derivation":"constraint",
                "differential":{{"element":[{elements}]}}}}"#
        )
    };
    const PATIENT: &str = "http://hl7.org/fhir/StructureDefinition/Patient";
    const ELEMENT: &str = "StructureDefinition.differential.element";
    let base = profile(
        r#"{"id":"Patient.gender","path":"Patient.gender","min":1,"max":"1","type":[{"code":"code"}],"fixedCode":"female"}"#,
    );
    for (of, elements, expected) in [
        (PATIENT, r#"{"id":"Patient.name","path":"Patient.name","min":1}"#, vec![]),
        (
            PATIENT,
            r#"{"id":"Patient.nose","path":"Patient.nose","min":1}"#,
            vec!["StructureDefinition differential".to_owned(), format!("{ELEMENT}[0] differential")],
        ),
        (
            PATIENT,
            r#"{"id":"Patient.birthDate","path":"Patient.birthDate","min":1},{"id":"Patient.name","path":"Patient.name","min":1}"#,
            vec![format!("{ELEMENT}[0] differential")],
        ),
        (
            PATIENT,
            r#"{"id":"Patient.birthDate","path":"Patient.birthDate","binding":{"strength":"required","valueSet":"http://v"}}"#,
            vec![format!("{ELEMENT}[0] differential")],
        ),
        (
            PATIENT,
            r#"{"id":"Patient.gender","path":"Patient.gender","max":"2"}"#,
            vec![format!("{ELEMENT}[0] differential")],
        ),
        (
            PATIENT,
            r#"{"id":"Patient.name","path":"Patient.name","slicing":{"rules":"open","discriminator":[
                {"type":"value","path":"use"},{"type":"value","path":"nose"},{"type":"value","path":"period.start"}]}}"#,
            vec![format!("{ELEMENT}[0].slicing.discriminator[1] differential")],
        ),
        (
            "http://p",
            r#"{"id":"Patient.gender","path":"Patient.gender","min":0,"fixedCode":"male"}"#,
            vec![format!("{ELEMENT}[0] differential"), format!("{ELEMENT}[0] differential")],
        ),
    ] {
        assert_eq!(errors(&definition(of, elements), &[&base], &[]), expected, "{elements}");
    }
}

#[test]
fn what_extensions_of_a_profile_ask() {
    const MORE: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition";
    let alternatives = profile(&format!(
        r#"{{"id":"Patient.active","path":"Patient.active","min":1,"max":"1","type":[{{"code":"boolean"}}],
            "extension":[{{"url":"{MORE}.valueAlternatives","valueCanonical":"http://why"}}]}}"#
    ));
    let binding = |usage: &str| {
        profile(&format!(
            r#"{{"id":"Patient.maritalStatus","path":"Patient.maritalStatus","min":0,"max":"1","type":[{{"code":"CodeableConcept"}}],
                "binding":{{"strength":"example","extension":[{{"url":"{MORE}.binding.additional","extension":[{usage}
                    {{"url":"purpose","valueCode":"required"}},{{"url":"valueSet","valueCanonical":"http://v"}}]}}]}}}}"#
        ))
    };
    let everywhere = binding("");
    let somewhere = binding(r#"{"url":"usage","valueString":"elsewhere"},"#);
    let value_set = r#"{"resourceType":"ValueSet","url":"http://v","status":"active",
        "compose":{"include":[{"system":"http://s","concept":[{"code":"a"}]}]}}"#;
    let married =
        r#"{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://s","code":"b"}]}}"#;
    for (profile, resource, expected) in [
        (&alternatives, r#"{"resourceType":"Patient","active":true}"#, &[][..]),
        (
            &alternatives,
            r#"{"resourceType":"Patient","_active":{"extension":[{"url":"http://why","valueString":"x"}]}}"#,
            &[],
        ),
        (
            &alternatives,
            r#"{"resourceType":"Patient","_active":{"extension":[{"url":"http://other","valueString":"x"}]}}"#,
            &["Patient.active no-alternative"],
        ),
        (&everywhere, married, &["Patient.maritalStatus binding"]),
        (&somewhere, married, &[]),
    ] {
        assert_eq!(errors(resource, &[profile, value_set], &["http://p"]), expected, "{resource}");
    }
}

#[test]
fn units_and_expressions() {
    let observed = |code: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},
                "valueQuantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"{code}"}}}}"#
        )
    };
    for (code, expected) in
        [("mg/dL", &[][..]), ("mEq", &["Observation.value.ofType(Quantity).code unknown-code"])]
    {
        assert_eq!(errors(&observed(code), &[], &[]), expected, "{code}");
    }
}
