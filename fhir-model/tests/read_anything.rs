//! Readers meet bytes that nobody meant for them, and documents with damage:
//! they refuse or read, and never panic; what they read can be written and
//! read again.

use std::path::Path;
use std::sync::OnceLock;

use fhir_model::json::read::{FAULTS_MAX, ReadError, ReadErrorKind, Reading};
use fhir_model::patch::{PatchError, fhirpath_patch, json_patch};
use fhir_model::tree::{Element, Resource};
use fhir_model::{json, xml};
use proptest::prelude::*;

const SAMPLE: &str = r##"{"resourceType":"Observation","id":"a","meta":{"tag":[{"code":"t"}]},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class=\"a\">b &lt; c<br/>&#160;</p><!-- d --></div>"},"contained":[{"resourceType":"Patient","id":"p","name":[{"given":["A",null,"\u00e9\n"],"_given":[null,{"id":"g","extension":[{"url":"http://x","valueDecimal":-1.50e3}]},null]}]}],"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"subject":{"reference":"#p"},"effectiveDateTime":"2020-02-29T10:00:00+01:00","_issued":{"id":"i"},"valueQuantity":{"value":1.10,"unit":"/min"},"component":[{"code":{"text":"c"},"valueBoolean":false}]}"##;

/// Returns small documents: the sample, and some of the examples where they are present.
fn documents() -> &'static [Vec<u8>] {
    static DOCUMENTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    DOCUMENTS.get_or_init(|| {
        const FOLDER: &str = "shared/testdata/fhir/test-cases/r4/examples";
        let mut documents = Vec::new();
        let folder =
            Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(FOLDER)).find(|p| p.exists());
        let files = folder.and_then(|folder| std::fs::read_dir(folder).ok());
        for file in files.into_iter().flatten().flatten() {
            let is_json = file.path().extension().is_some_and(|e| e == "json");
            match std::fs::read(file.path()) {
                Ok(bytes) if is_json && bytes.len() < 10_000 && json::read(bytes.clone()).is_ok() => {
                    documents.push(bytes);
                }
                _ => {}
            }
        }
        documents.sort();
        documents.truncate(200);
        documents.insert(0, SAMPLE.into());
        documents
    })
}

/// What may happen to a document.
#[derive(Debug, Clone)]
enum Damage {
    Byte(usize, u8),
    Token(usize, &'static str),
    Delete(usize, usize),
    Repeat(usize, usize),
    Swap(usize, usize),
    Cut(usize),
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-",
    "1e999999999",
    "\\u0000",
    "\\ud800",
    "\\",
    "_",
    "[]",
    "{}",
    "<",
    ">",
    "/>",
    "</",
    "&",
    "&amp;",
    "&#x0;",
    "&nbsp;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x ?>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "xmlns=\"\"",
    " value=\"1\"",
    "<div>",
    "\u{feff}",
    "\u{ffff}",
    "\"resourceType\":\"Patient\",",
    "extension",
    "\u{1}",
    "'",
];

fn damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        (any::<usize>(), prop::sample::select(TOKENS)).prop_map(|(at, token)| Damage::Token(at, token)),
        (any::<usize>(), 1usize..40).prop_map(|(at, len)| Damage::Delete(at, len)),
        (any::<usize>(), 1usize..80).prop_map(|(at, len)| Damage::Repeat(at, len)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Damage::Swap(a, b)),
        any::<usize>().prop_map(Damage::Cut),
    ];
    prop::collection::vec(one, 1..5)
}

fn damaged(document: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for damage in damage {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match *damage {
            Damage::Byte(at, byte) => bytes[at % len] = byte,
            Damage::Token(at, token) => drop(bytes.splice(at % len..at % len, token.bytes())),
            Damage::Delete(at, count) => drop(bytes.drain(at % len..(at % len + count).min(len))),
            Damage::Repeat(at, count) => {
                let piece = bytes[at % len..(at % len + count).min(len)].to_vec();
                drop(bytes.splice(at % len..at % len, piece));
            }
            Damage::Swap(a, b) => bytes.swap(a % len, b % len),
            Damage::Cut(at) if at % 4 == 0 => bytes.truncate(at % len),
            Damage::Cut(_) => {}
        }
    }
    bytes
}

/// Reading to the end finds something wrong where reading refuses, and nothing
/// where it does not; then the trees are equal.
fn agree(read: &Result<Resource, ReadError>, all: &Reading) -> Result<(), TestCaseError> {
    match read {
        Ok(resource) => {
            prop_assert!(all.faults.is_empty(), "{:?}", all.faults);
            prop_assert!(all.resource.as_ref().is_some_and(|r| r == resource));
        }
        Err(error) => prop_assert!(!all.faults.is_empty(), "{error}"),
    }
    prop_assert!(all.faults.len() <= FAULTS_MAX + 1);
    // What was kept is a tree that writers and walkers can trust.
    if let Some(resource) = &all.resource {
        let _ = xml::to_xml(resource);
        let _ = json::to_json(resource);
        placed(all, resource.root())?;
    }
    Ok(())
}

/// Each element that has something is told with its place.
fn placed(all: &Reading, of: Element<'_>) -> Result<(), TestCaseError> {
    for child in of.children() {
        if let Some((line, column)) = all.place(child.id()) {
            prop_assert!(line > 0 && column > 0);
        }
        placed(all, child)?;
    }
    Ok(())
}

/// What was read can be written and read again, in both forms.
fn comes_back(resource: &Resource) -> Result<(), TestCaseError> {
    let again = json::read(json::to_json(resource));
    prop_assert_eq!(again.as_ref().map(json::to_json), Ok(json::to_json(resource)));
    prop_assert!(again.is_ok_and(|again| again == *resource));
    prop_assert!(json::read(json::pretty(&json::to_json(resource))).is_ok_and(|again| again == *resource));
    match xml::read(xml::to_xml(resource)) {
        Ok(_) => {}
        Err(error) => {
            prop_assert!(
                !matches!(error.kind, ReadErrorKind::Syntax(_) | ReadErrorKind::UnknownElement(_)),
                "{error}"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        agree(&json::read(bytes.clone()), &json::read_all(bytes.clone()))?;
        agree(&xml::read(bytes.clone()), &xml::read_all(bytes))?;
    }

    #[test]
    fn any_text_of_tokens(tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..30)) {
        let text = tokens.concat();
        agree(&json::read(text.clone()), &json::read_all(text.clone()))?;
        for document in [
            format!("<Patient xmlns=\"http://hl7.org/fhir\">{text}</Patient>"),
            format!("<Patient xmlns=\"http://hl7.org/fhir\"><text><div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div></text></Patient>"),
            text,
        ] {
            agree(&xml::read(document.clone()), &xml::read_all(document))?;
        }
    }

    #[test]
    fn damaged_json(which: prop::sample::Index, damage in damage()) {
        let document = damaged(which.get::<Vec<u8>>(documents()), &damage);
        let read = json::read(document.clone());
        agree(&read, &json::read_all(document))?;
        if let Ok(resource) = read {
            comes_back(&resource)?;
        }
    }

    #[test]
    fn damaged_xml(which: prop::sample::Index, damage in damage()) {
        let resource = json::read(which.get(documents()).clone()).expect("valid");
        let document = damaged(&xml::to_xml(&resource), &damage);
        let read = xml::read(document.clone());
        agree(&read, &xml::read_all(document))?;
        if let Ok(resource) = read {
            comes_back(&resource)?;
        }
    }

    /// Any string as a narrative: what is written as XML stays well-formed,
    /// and nothing of it becomes an element of the resource.
    #[test]
    fn any_narrative(parts in prop::collection::vec(prop_oneof![prop::sample::select(TOKENS).prop_map(str::to_owned), ".{0,5}"], 0..12)) {
        let text = parts.concat();
        for div in [text.clone(), format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{text}</div>")] {
            let mut given = br#"{"resourceType":"Patient","text":{"div":"#.to_vec();
            json::write::write_escaped(&div, &mut given);
            given.extend_from_slice(b"}}");
            let Ok(resource) = json::read(given) else { continue };
            let back = xml::read(xml::to_xml(&resource)).map_err(|e| TestCaseError::fail(e.to_string()))?;
            prop_assert_eq!(back.root().children().count(), 1);
            let written = back.root().child_named("text").and_then(|t| t.child_named("div"));
            prop_assert!(written.is_some_and(|d| d.value().is_some_and(|v| v.starts_with("<div"))));
        }
    }

    /// Any string as a value comes back through XML as it was, where XML can hold it.
    #[test]
    fn any_string(text in "[^\u{0}-\u{8}\u{b}\u{c}\u{e}-\u{1f}\u{fffe}\u{ffff}]{1,40}") {
        let mut given = br#"{"resourceType":"Patient","name":[{"text":"#.to_vec();
        json::write::write_escaped(&text, &mut given);
        given.extend_from_slice(b"}]}");
        let resource = json::read(given).map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(xml::read(xml::to_xml(&resource)), Ok(resource));
    }

    #[test]
    fn any_patch(operations in prop::collection::vec((
        prop::sample::select(&["add", "remove", "replace", "move", "copy", "test"][..]),
        prop::sample::select(&["", "/", "/id", "/contained", "/contained/0", "/contained/-", "/contained/0/name/0/given/1", "/contained/0/name/0/_given", "/valueQuantity/value", "/x/y", "/component/99999999999999999999"][..]),
        prop::sample::select(&["", "/contained/0", "/valueQuantity", "/component", "/status"][..]),
        prop::sample::select(&["1", "null", "[]", "{}", "\"a\"", "[null]", "{\"a\":[1e400]}"][..]),
    ), 0..6)) {
        let operations: Vec<String> = operations.iter().map(|(op, path, from, value)| format!(r#"{{"op":"{op}","path":"{path}","from":"{from}","value":{value}}}"#)).collect();
        let resource = json::read(documents()[0].clone()).expect("valid");
        if let Ok(patched) = json_patch(&resource, format!("[{}]", operations.join(",")).as_bytes()) {
            comes_back(&patched)?;
        }
    }

    #[test]
    fn any_fhirpath_patch(operations in prop::collection::vec((
        prop::sample::select(&["add", "insert", "delete", "replace", "move"][..]),
        prop::sample::select(&["Observation", "Observation.status", "Observation.contained", "contained.name.given", "contained.name[0].given[1]", "contained.name.given.extension", "value", "component.value", "code.coding", "text.div", "x", "1 + 1", "Observation.descendants()", "(", "category"][..]),
        prop::sample::select(&["extension", "name", "value", "valueString", "given", "contained", "div", "coding", "category", "x", "id"][..]),
        prop::sample::select(&[r#""valueString":"a""#, r#""valueDecimal":1.50"#, r#""valueCode":"b""#, r#""valueCoding":{"code":"c"}"#, r#""resource":{"resourceType":"Basic"}"#, r#""part":[{"name":"url","valueUri":"u"},{"name":"value","valueInteger":1}]"#, r#""part":[{"name":"text","valueString":"t"}]"#][..]),
        0usize..4, 0usize..4,
    ), 0..6)) {
        let operations: Vec<String> = operations.iter().map(|(kind, path, name, value, a, b)| {
            let last = match *kind {
                "add" => format!(r#"{{"name":"name","valueString":"{name}"}},{{"name":"value",{value}}}"#),
                "insert" => format!(r#"{{"name":"index","valueInteger":{a}}},{{"name":"value",{value}}}"#),
                "replace" => format!(r#"{{"name":"value",{value}}}"#),
                "move" => format!(r#"{{"name":"source","valueInteger":{a}}},{{"name":"destination","valueInteger":{b}}}"#),
                _ => format!(r#"{{"name":"index","valueInteger":{a}}}"#),
            };
            format!(r#"{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{{"name":"path","valueString":"{path}"}},{last}]}}"#)
        }).collect();
        let parameters = format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"delete"}},{{"name":"path","valueString":"x"}}]}}{}{}]}}"#, if operations.is_empty() { "" } else { "," }, operations.join(","));
        let parameters = json::read(parameters).map_err(|e| TestCaseError::fail(e.to_string()))?;
        let resource = json::read(documents()[0].clone()).expect("valid");
        match fhirpath_patch(&resource, &parameters) {
            Ok(patched) => comes_back(&patched)?,
            Err(PatchError::Refused { .. }) => {}
            // Values are checked where they are put: nothing is found wrong afterwards.
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}

/// Many values, and many halves of them that come behind, are read in a time
/// that grows with their number.
#[test]
fn halves_that_come_later_are_found_without_a_search() {
    let halves = |first: &str, then: &str| {
        let values = |name: &str, value: &str| format!("\"{name}\":[{}]", vec![value; 200_000].join(","));
        format!(
            "{{\"resourceType\":\"Patient\",\"name\":[{{{},{}}}]}}",
            values(first, if first == "given" { "\"a\"" } else { "{\"id\":\"b\"}" }),
            values(then, if then == "given" { "\"a\"" } else { "{\"id\":\"b\"}" }),
        )
    };
    let begin = std::time::Instant::now();
    let read = json::read(halves("given", "_given")).expect("valid");
    assert_eq!(json::read(halves("_given", "given")), Ok(read));
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

/// The cases of the reference validator, whatever is wrong with them, are read to the end.
#[test]
fn the_validators_cases_are_read() {
    const FOLDER: &str = "shared/testdata/fhir/validator";
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(FOLDER)).find(|p| p.exists());
    let Some(folder) = folder else {
        eprintln!("absent, nothing read: {FOLDER}");
        return;
    };
    let (mut folders, mut count) = (vec![folder], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            let is = |end: &str| path.extension().is_some_and(|e| e == end);
            if path.is_dir() {
                folders.push(path);
            } else if is("json") || is("xml") {
                let bytes = std::fs::read(&path).expect("readable");
                let (read, all) = if is("json") {
                    (json::read(bytes.clone()), json::read_all(bytes))
                } else {
                    (xml::read(bytes.clone()), xml::read_all(bytes))
                };
                if let Err(error) = agree(&read, &all) {
                    panic!("{}: {error}", path.display());
                }
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}
