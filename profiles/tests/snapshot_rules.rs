//! What each rule of snapshot generation does, shown on small profiles. No
//! package is needed: the base types come from the element tables.

use fhir_model::json;
use fhir_model::schema::name;
use fhir_model::tree::{Element, Resource};
use profiles::definitions::Definitions;
use profiles::snapshot::{self, SnapshotError};
use proptest::prelude::*;
use serde_json::{Value, json};

const CORE: &str = "http://hl7.org/fhir/StructureDefinition";

fn definition(url: &str, of: &str, base: &str, elements: &Value) -> Resource {
    let text = json!({
        "resourceType": "StructureDefinition", "url": url, "name": "X", "status": "draft",
        "kind": "resource", "abstract": false, "type": of, "baseDefinition": base,
        "derivation": "constraint", "differential": {"element": elements},
    });
    json::read(text.to_string()).expect("readable")
}

fn profile(of: &str, elements: Value) -> Resource {
    definition("http://x/profile", of, &format!("{CORE}/{of}"), &elements)
}

fn snapshot(profile: &Resource) -> Result<Resource, SnapshotError> {
    snapshot::generate(profile, &Definitions::new())
}

fn elements(made: &Resource) -> Vec<Element<'_>> {
    let snapshot = made.root().child_named("snapshot").into_iter();
    snapshot.flat_map(|s| s.children_named(name::ELEMENT)).collect()
}

fn element<'r>(made: &'r Resource, id: &str) -> Element<'r> {
    let found = elements(made).into_iter().find(|e| e.text_of(name::ID) == Some(id));
    found.unwrap_or_else(|| panic!("no {id}"))
}

fn ids_below(made: &Resource, above: &str) -> Vec<String> {
    let ids = elements(made).into_iter().filter_map(|e| e.text_of(name::ID));
    ids.filter(|id| id.starts_with(above)).map(str::to_owned).collect()
}

fn types(element: Element<'_>) -> Vec<&str> {
    element.children_named(name::TYPE).filter_map(|t| t.text_of(name::CODE)).collect()
}

#[test]
fn slices_stand_behind_what_they_slice_with_what_is_below() {
    let made = snapshot(&profile(
        "Observation",
        json!([
            {"path": "Observation"},
            {"path": "Observation.component",
             "slicing": {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "open"}, "min": 2},
            {"path": "Observation.component", "sliceName": "systolic", "min": 1, "max": "1"},
            {"path": "Observation.component.code", "short": "systolic code"},
            {"path": "Observation.component", "sliceName": "diastolic", "max": "1"},
            {"path": "Observation.component", "sliceName": "systolic/sitting", "max": "1"},
            {"path": "Observation.component.interpretation", "max": "0"},
        ]),
    ))
    .expect("generated");
    let slices: Vec<String> = ids_below(&made, "Observation.component")
        .into_iter()
        .filter(|id| id.matches('.').count() == 1)
        .collect();
    assert_eq!(
        slices,
        [
            "Observation.component",
            "Observation.component:systolic",
            "Observation.component:systolic/sitting",
            "Observation.component:diastolic"
        ]
    );
    for (id, min, max) in [
        ("Observation.component", "2", "*"),
        ("Observation.component:systolic", "1", "1"),
        ("Observation.component:systolic/sitting", "0", "1"),
        ("Observation.component:systolic/sitting.interpretation", "0", "0"),
        ("Observation.component:diastolic", "0", "1"),
        ("Observation.component:diastolic.interpretation", "0", "*"),
    ] {
        let found = element(&made, id);
        assert_eq!((found.text_of(name::MIN), found.text_of(name::MAX)), (Some(min), Some(max)), "{id}");
        assert_eq!(found.text_of(name::PATH).map(|p| p.contains(':')), Some(false), "{id}");
    }
    // A slice of a slice begins as that slice.
    for (id, short) in [
        ("Observation.component:systolic.code", Some("systolic code")),
        ("Observation.component:systolic/sitting.code", Some("systolic code")),
        ("Observation.component:diastolic.code", None),
    ] {
        assert_eq!(element(&made, id).text_of(name::SHORT), short, "{id}");
    }
    let names = |id| element(&made, id).text_of(name::SLICE_NAME).map(str::to_owned);
    assert_eq!(names("Observation.component:systolic/sitting").as_deref(), Some("systolic/sitting"));
    assert!(element(&made, "Observation.component:systolic").child(name::SLICING).is_none());
}

#[test]
fn a_type_written_out_is_a_slice_of_the_choice() {
    let made = snapshot(&profile(
        "Observation",
        json!([
            {"path": "Observation.valueQuantity", "min": 1},
            {"path": "Observation.valueQuantity.code", "min": 1},
            {"path": "Observation.valueString", "max": "0"},
        ]),
    ))
    .expect("generated");
    let choice = element(&made, "Observation.value[x]");
    assert_eq!(types(choice), ["Quantity", "string"]);
    let slicing = choice.child(name::SLICING).expect("sliced");
    assert_eq!(slicing.text_of(name::RULES), Some("closed"));
    assert_eq!(types(element(&made, "Observation.value[x]:valueQuantity")), ["Quantity"]);
    assert_eq!(types(element(&made, "Observation.value[x]:valueString")), ["string"]);
    let code = element(&made, "Observation.value[x]:valueQuantity.code");
    assert_eq!(
        (code.text_of(name::PATH), code.text_of(name::MIN)),
        (Some("Observation.value[x].code"), Some("1"))
    );
    let base = code.child(name::BASE).expect("a base");
    assert_eq!(base.text_of(name::PATH), Some("Quantity.code"));
    // Sliced in so many words, it stays open.
    let made = snapshot(&profile(
        "Observation",
        json!([
            {"path": "Observation.value[x]",
             "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}},
            {"id": "Observation.value[x]:valueQuantity", "path": "Observation.value[x]",
             "sliceName": "valueQuantity", "type": [{"code": "Quantity"}]},
        ]),
    ))
    .expect("generated");
    assert!(types(element(&made, "Observation.value[x]")).len() > 5);
    assert_eq!(types(element(&made, "Observation.value[x]:valueQuantity")), ["Quantity"]);
}

#[test]
fn what_is_stepped_into_is_unfolded() {
    let made = snapshot(&profile(
        "Observation",
        json!([
            {"path": "Observation.code.coding.system", "min": 1},
            {"path": "Observation.component.referenceRange.low", "min": 1},
            {"path": "Observation.subject.identifier.assigner.display", "max": "0"},
        ]),
    ))
    .expect("generated");
    for (id, min, max) in [
        ("Observation.code.coding.system", "1", "1"),
        ("Observation.code.text", "0", "1"),
        ("Observation.component.referenceRange.low", "1", "1"),
        ("Observation.referenceRange.low", "0", "1"),
        ("Observation.subject.identifier.assigner.display", "0", "0"),
    ] {
        let found = element(&made, id);
        assert_eq!((found.text_of(name::MIN), found.text_of(name::MAX)), (Some(min), Some(max)), "{id}");
    }
    // The reference is now what it refers to.
    let range = element(&made, "Observation.component.referenceRange");
    assert!(range.child(name::CONTENT_REFERENCE).is_none());
    assert_eq!(types(range), ["BackboneElement"]);
    let other = snapshot(&profile("Observation", json!([{"path": "Observation"}]))).expect("generated");
    let range = element(&other, "Observation.component.referenceRange");
    assert_eq!(range.text_of(name::CONTENT_REFERENCE), Some("#Observation.referenceRange"));
}

#[test]
fn what_is_said_adds_to_or_replaces_what_the_base_says() {
    let constraint = |key: &str| json!({"key": key, "severity": "error", "human": "h", "expression": "true"});
    let base = definition(
        "http://x/base",
        "Patient",
        &format!("{CORE}/Patient"),
        &json!([
            {"path": "Patient", "constraint": [constraint("x-1")]},
            {"path": "Patient.name", "definition": "A name.", "min": 1, "mustSupport": true,
             "condition": ["x-1"], "alias": ["a"], "isModifier": true,
             "mapping": [{"identity": "m", "map": "1"}],
             "binding": {"strength": "required", "valueSet": "http://x/vs"}},
        ]),
    );
    let derived = definition(
        "http://x/derived",
        "Patient",
        "http://x/base",
        &json!([
            {"path": "Patient", "constraint": [constraint("x-1"), constraint("x-2")]},
            {"path": "Patient.name", "definition": "...As spoken.", "max": "3", "condition": ["x-2"],
             "alias": ["a", "b"], "mapping": [{"identity": "m", "map": "2"}], "binding": {"strength": "required"}},
        ]),
    );
    let mut definitions = Definitions::new();
    assert!(definitions.add_resource(base));
    let made = snapshot::generate(&derived, &definitions).expect("generated");
    let values = |id: &str, part| -> Vec<String> {
        element(&made, id).children_named(part).filter_map(Element::value).map(str::to_owned).collect()
    };
    let keys = |id: &str, source: &str| -> Vec<String> {
        let held = element(&made, id);
        let all = held.children_named(name::CONSTRAINT).filter(|c| c.text_of(name::SOURCE) == Some(source));
        all.filter_map(|c| c.text_of(name::KEY)).map(str::to_owned).collect()
    };
    assert_eq!(keys("Patient", "http://x/base"), ["x-1"]);
    assert!(
        element(&made, "Patient")
            .children_named(name::CONSTRAINT)
            .any(|c| c.text_of(name::KEY) == Some("x-2"))
    );
    assert_eq!(values("Patient.name", name::DEFINITION), ["A name.\r\nAs spoken."]);
    assert_eq!(values("Patient.name", name::MIN), ["1"]);
    assert_eq!(values("Patient.name", name::MAX), ["3"]);
    assert_eq!(values("Patient.name", name::CONDITION), ["x-1", "x-2"]);
    assert_eq!(values("Patient.name", name::ALIAS), ["a", "b"]);
    assert_eq!(values("Patient.name", name::MUST_SUPPORT), ["true"]);
    // No profile makes a modifier of what is none.
    assert_eq!(values("Patient.name", name::IS_MODIFIER), ["false"]);
    assert_eq!(element(&made, "Patient.name").children_named(name::MAPPING).count(), 2);
    let binding = element(&made, "Patient.name").child(name::BINDING).expect("bound");
    assert_eq!(binding.text_of(name::VALUE_SET), Some("http://x/vs"));
}

#[test]
fn a_profile_of_a_type_is_stepped_into_and_documents_the_element() {
    let extension = definition(
        "http://x/extension",
        "Extension",
        &format!("{CORE}/Extension"),
        &json!([
            {"path": "Extension", "short": "Colour", "definition": "The colour.", "max": "1"},
            {"path": "Extension.extension", "max": "0"},
            {"path": "Extension.url", "fixedUri": "http://x/extension"},
            {"path": "Extension.value[x]", "min": 1, "type": [{"code": "string"}]},
        ]),
    );
    let mut definitions = Definitions::new();
    assert!(definitions.add_resource(extension));
    let made = snapshot::generate(
        &profile(
            "Patient",
            json!([
                {"path": "Patient.extension", "sliceName": "colour", "min": 1,
                 "type": [{"code": "Extension", "profile": ["http://x/extension"]}]},
                {"path": "Patient.extension.value[x]", "short": "red"},
            ]),
        ),
        &definitions,
    )
    .expect("generated");
    let colour = element(&made, "Patient.extension:colour");
    assert_eq!(colour.text_of(name::SHORT), Some("Colour"));
    assert_eq!((colour.text_of(name::MIN), colour.text_of(name::MAX)), (Some("1"), Some("*")));
    let value = element(&made, "Patient.extension:colour.value[x]");
    assert_eq!((types(value), value.text_of(name::SHORT)), (vec!["string"], Some("red")));
    let slicing = element(&made, "Patient.extension").child(name::SLICING).expect("sliced");
    let discriminator = slicing.child(name::DISCRIMINATOR).expect("by url");
    assert_eq!(discriminator.text_of(name::PATH), Some("url"));
}

#[test]
fn what_cannot_be_generated_says_why() {
    let missing = definition("http://x/a", "Patient", "http://x/none", &json!([{"path": "Patient"}]));
    assert_eq!(snapshot(&missing), Err(SnapshotError::Missing("http://x/none".into())));
    for (path, named) in [
        ("Patient.nothing", "Patient.nothing"),
        ("Patient.name.nothing.deeper", "Patient.name.nothing"),
        ("Observation.code", "Observation"),
        ("Patient.birthDate.value.more", "Patient.birthDate.value"),
        ("Patient.deceasedQuantity", "Patient.deceasedQuantity"),
    ] {
        let made = snapshot(&profile("Patient", json!([{"path": "Patient"}, {"path": path}])));
        assert!(
            matches!(&made, Err(SnapshotError::NoElement(at)) if at.starts_with(named)),
            "{path}: {made:?}"
        );
    }
    let mut circle = Definitions::new();
    for (url, base) in [("http://x/a", "http://x/b"), ("http://x/b", "http://x/a")] {
        assert!(circle.add_resource(definition(url, "Patient", base, &json!([{"path": "Patient"}]))));
    }
    let one = definition("http://x/a", "Patient", "http://x/b", &json!([{"path": "Patient"}]));
    assert_eq!(snapshot::generate(&one, &circle), Err(SnapshotError::Circular("http://x/a".into())));
    // A profile that uses itself inside of itself is no circle: there, its type is meant.
    let own = profile(
        "Composition",
        json!([
            {"path": "Composition.extension", "sliceName": "x",
             "type": [{"code": "Extension", "profile": ["http://x/profile"]}]},
            {"path": "Composition.extension.url", "short": "u"},
        ]),
    );
    let mut definitions = Definitions::new();
    assert!(definitions.add_resource(own.clone()));
    assert!(snapshot::generate(&own, &definitions).is_ok());
}

#[test]
fn slices_of_slices_and_deep_paths_end_at_a_limit() {
    let started = std::time::Instant::now();
    // Each step slices what holds all earlier slices: the number doubles.
    let mut rows = vec![json!({"path": "Questionnaire.item"})];
    for depth in 1..40 {
        let path = format!("Questionnaire{}", ".item".repeat(depth));
        for slice in ["a", "b"] {
            rows.push(json!({"id": format!("{path}:{slice}"), "path": path, "sliceName": slice}));
            rows.push(json!({"id": format!("{path}:{slice}.item"), "path": format!("{path}.item")}));
        }
    }
    let mut last = vec![json!({"path": "Questionnaire.item"})];
    for level in 0..24 {
        let outer = (0..level).map(|l| format!("s{l}")).collect::<Vec<_>>().join("/");
        let name = if outer.is_empty() { format!("s{level}") } else { format!("{outer}/s{level}") };
        last.push(json!({"path": "Questionnaire.item", "sliceName": name}));
        last.push(json!({"path": format!("Questionnaire{}.text", ".item".repeat(20)), "min": 1}));
    }
    let deep = vec![json!({"path": format!("Questionnaire{}", ".item".repeat(5_000))})];
    let wide: Vec<Value> =
        (0..30_000).map(|n| json!({"path": "Questionnaire.item", "sliceName": n.to_string()})).collect();
    for rows in [rows, last, deep, wide] {
        match snapshot(&profile("Questionnaire", Value::Array(rows))) {
            Ok(made) => assert!(elements(&made).len() <= snapshot::ELEMENTS_MAX),
            Err(error) => assert!(matches!(error, SnapshotError::TooLarge(_) | SnapshotError::NoElement(_))),
        }
    }
    let text = "x".repeat(1 << 20);
    let heavy: Vec<Value> = std::iter::once(json!({"path": "Questionnaire.item", "comment": text}))
        .chain((0..1_000).map(|n| json!({"path": "Questionnaire.item", "sliceName": n.to_string()})))
        .collect();
    let made = snapshot(&profile("Questionnaire", Value::Array(heavy)));
    assert!(matches!(made, Err(SnapshotError::TooLarge(_))));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_logical_model_has_the_elements_that_it_adds() {
    let text = json!({
        "resourceType": "StructureDefinition", "url": "http://x/model", "name": "M", "status": "draft",
        "kind": "logical", "abstract": false, "type": "http://x/Model",
        "baseDefinition": format!("{CORE}/Element"), "derivation": "specialization",
        "differential": {"element": [
            {"path": "Model", "min": 0, "max": "*"},
            {"path": "Model.part", "min": 1, "max": "*", "type": [{"code": "BackboneElement"}]},
            {"path": "Model.part.text", "min": 0, "max": "1", "type": [{"code": "string"}]},
            {"path": "Model.other", "min": 0, "max": "1", "type": [{"code": "http://x/Unknown"}]},
            {"path": "Model.other.own", "min": 0, "max": "1", "type": [{"code": "string"}]},
            {"path": "Model.when", "min": 0, "max": "1", "type": [{"code": "date"}]},
        ]},
    });
    let made = snapshot(&json::read(text.to_string()).expect("readable")).expect("generated");
    let ids = ids_below(&made, "Model");
    assert_eq!(
        ids,
        [
            "Model",
            "Model.id",
            "Model.extension",
            "Model.part",
            "Model.part.id",
            "Model.part.extension",
            "Model.part.modifierExtension",
            "Model.part.text",
            "Model.other",
            "Model.other.own",
            "Model.when"
        ]
    );
    let base = element(&made, "Model.part").child(name::BASE).expect("a base");
    assert_eq!((base.text_of(name::PATH), base.text_of(name::MIN)), (Some("Model.part"), Some("1")));
}

#[test]
fn a_model_of_as_many_elements_as_are_allowed_takes_seconds_at_most() {
    let mut rows = vec![json!({"path": "Model"})];
    rows.extend((0..19_000).map(|n| json!({"path": format!("Model.part{n}"), "type": [{"code": "string"}]})));
    let text = json!({
        "resourceType": "StructureDefinition", "url": "http://x/model", "name": "M", "status": "draft",
        "kind": "logical", "abstract": false, "type": "Model", "derivation": "specialization",
        "baseDefinition": format!("{CORE}/Element"), "differential": {"element": rows},
    });
    let started = std::time::Instant::now();
    let made = snapshot(&json::read(text.to_string()).expect("readable")).expect("generated");
    assert_eq!(elements(&made).len(), 19_003);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

fn any_element() -> impl Strategy<Value = Value> {
    let part = prop_oneof![
        Just("component"),
        Just("value[x]"),
        Just("valueQuantity"),
        Just("code"),
        Just("coding"),
        Just("referenceRange"),
        Just("extension"),
        Just("extension:a"),
        Just("component:a"),
        Just("component:a/b"),
        Just(""),
        Just("[x]"),
        Just("é:"),
    ];
    let name = prop_oneof![Just("a"), Just("a/b"), Just("/"), Just(""), Just("valueQuantity"), Just("é")];
    let type_name = prop_oneof![Just("Quantity"), Just("Extension"), Just("Observation"), Just("x y")];
    (
        proptest::collection::vec(part, 0..5),
        proptest::option::of(name),
        proptest::option::of(type_name),
        any::<bool>(),
        prop_oneof![Just("Observation"), Just("Patient"), Just("O")],
    )
        .prop_map(|(parts, slice, type_name, has_id, root)| {
            let id = std::iter::once(root).chain(parts).collect::<Vec<_>>().join(".");
            let path: Vec<&str> = id.split('.').map(|p| p.split(':').next().unwrap_or(p)).collect();
            let mut element = json!({"path": path.join(".")});
            if has_id {
                element["id"] = id.into();
            }
            if let Some(slice) = slice.filter(|s| !s.is_empty()) {
                element["sliceName"] = slice.into();
            }
            if let Some(type_name) = type_name {
                element["type"] = json!([{"code": type_name, "profile": ["http://x/profile"]}]);
            }
            element
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn no_differential_makes_it_panic_or_hang(rows in proptest::collection::vec(any_element(), 1..5)) {
        let text = json!({
            "resourceType": "StructureDefinition", "url": "http://x/profile", "name": "X", "status": "draft",
            "kind": "resource", "abstract": false, "type": "Observation", "derivation": "constraint",
            "baseDefinition": format!("{CORE}/Observation"), "differential": {"element": rows},
        });
        if let Ok(profile) = json::read(text.to_string()) {
            let mut definitions = Definitions::new();
            definitions.add_resource(profile.clone());
            if let Ok(made) = snapshot::generate(&profile, &definitions) {
                let all = elements(&made);
                prop_assert!(all.iter().all(|e| e.child(name::BASE).is_some()));
                let ids: std::collections::BTreeSet<_> = all.iter().map(|e| e.text_of(name::ID)).collect();
                prop_assert_eq!(ids.len(), all.len(), "ids are there once");
            }
        }
    }
}
