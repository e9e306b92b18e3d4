//! Every example of the specification, read and written: JSON, XML, and what
//! fhirbolt says of the same documents.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use serde_json::Value;

/// Examples that are no valid FHIR R4, and why: the specification got them wrong.
const REFUSED: [(&str, &str); 2] = [
    // A code that ends in a no-break space.
    ("CodeSystem-v2-0550.json", "not a valid code at CodeSystem.concept[74].code"),
    // An id of more than 64 characters.
    (
        "SearchParameter-questionnaireresponse-extensions-QuestionnaireResponse-item-subject.json",
        "not a valid id at SearchParameter.id",
    ),
];

/// A document's name and its bytes.
type Document = (String, Vec<u8>);

/// Returns the JSON documents of the examples package, or `None` (and says so) where it is absent.
fn examples() -> Option<&'static [Document]> {
    static EXAMPLES: OnceLock<Option<Vec<Document>>> = OnceLock::new();
    EXAMPLES.get_or_init(load).as_deref()
}

fn load() -> Option<Vec<Document>> {
    const PACKAGE: &str = "shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|a| a.join(PACKAGE)).find(|p| p.exists());
    let Some(path) = path else {
        eprintln!("absent, nothing compared: {PACKAGE}");
        return None;
    };
    let file = std::fs::File::open(path).expect("readable");
    let mut out = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        if !name.ends_with(".json") || name.ends_with("package.json") || name.ends_with(".index.json") {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        out.push((name.trim_start_matches("package/").to_owned(), bytes));
    }
    Some(out)
}

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("json")
}

#[test]
fn json_comes_back_identical() {
    let Some(examples) = examples() else { return };
    let mut refused = BTreeMap::new();
    let mut compared = 0;
    for (name, bytes) in examples {
        match json::read(bytes.clone()) {
            Err(error) => {
                refused.insert(name.as_str(), format!("{} at {}", error.kind, error.location));
            }
            Ok(resource) => {
                assert_eq!(value(bytes), value(&json::to_json(&resource)), "{name}");
                compared += 1;
            }
        }
    }
    println!("{compared} identical, {} refused: {refused:#?}", refused.len());
    let refused: Vec<_> = refused.iter().map(|(name, why)| (*name, why.as_str())).collect();
    assert_eq!(refused, REFUSED);
}

#[test]
fn json_comes_back_identical_by_way_of_xml() {
    let Some(examples) = examples() else { return };
    let mut differing: BTreeMap<String, String> = BTreeMap::new();
    let (mut identical, mut json_bytes, mut xml_bytes) = (0, 0, 0);
    let (mut reading, mut writing) = (Duration::ZERO, Duration::ZERO);
    for (name, bytes) in examples {
        let Ok(resource) = json::read(bytes.clone()) else { continue };
        let begin = Instant::now();
        let document = xml::to_xml(&resource);
        writing += begin.elapsed();
        json_bytes += bytes.len();
        xml_bytes += document.len();
        let begin = Instant::now();
        let read = xml::read(document);
        reading += begin.elapsed();
        let again = match read {
            Ok(again) => json::to_json(&again),
            Err(error) => {
                differing.insert(name.clone(), error.to_string());
                continue;
            }
        };
        if value(bytes) == value(&again) {
            identical += 1;
        } else {
            differing.insert(name.clone(), "comes back different".to_owned());
        }
    }
    println!(
        "{identical} identical by way of XML; {json_bytes} bytes of JSON, {xml_bytes} bytes of XML, \
         written in {writing:?}, read in {reading:?}"
    );
    assert_eq!(differing, BTreeMap::new());
}

/// Makes every narrative the same short one: fhirbolt trims white space in them.
fn blank_narratives(resource: &mut Resource) {
    let mut open = vec![resource.root_id()];
    let mut narratives = Vec::new();
    while let Some(at) = open.pop() {
        for child in resource.element(at).children() {
            open.push(child.id());
            if child.ty() == ty::XHTML {
                narratives.push(child.id());
            }
        }
    }
    for narrative in narratives {
        resource.set_value(narrative, "<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>");
    }
}

#[test]
fn fhirbolt_agrees() {
    /// Examples that fhirbolt refuses and this reader takes: it does not look at cardinality.
    const LACKING: [(&str, &str); 3] = [
        ("ImplementationGuide-fhir.json", "missing field `name`"),
        ("Questionnaire-qs1.json", "missing field `linkId`"),
        ("ig-r4.json", "missing field `name`"),
    ];
    let Some(examples) = examples() else { return };
    let mut lacking = BTreeMap::new();
    let mut too_strict = Vec::new();
    let (mut agreed, mut same_as_xml, mut other_as_xml) = (0, 0, Vec::new());
    for (name, bytes) in examples {
        match (json::read(bytes.clone()), fhir_model_oracle::read_json(bytes)) {
            (Ok(mut resource), Ok(_)) => {
                agreed += 1;
                blank_narratives(&mut resource);
                let as_json = fhir_model_oracle::read_json(&json::to_json(&resource));
                let as_xml = fhir_model_oracle::read_xml(&xml::to_xml(&resource));
                assert_eq!(as_xml.as_ref().err(), None, "{name}: fhirbolt refuses the XML");
                if as_json == as_xml {
                    same_as_xml += 1;
                } else {
                    other_as_xml.push(name.as_str());
                }
            }
            (Err(_), Err(_)) => agreed += 1,
            (Ok(_), Err(theirs)) => drop(lacking.insert(name.as_str(), theirs)),
            (Err(_), Ok(_)) => too_strict.push(name.as_str()),
        }
    }
    println!("{agreed} agreed upon; fhirbolt refuses {lacking:?}, it takes {too_strict:?}");
    println!(
        "{same_as_xml} the same to fhirbolt as JSON and as the XML written here, others {other_as_xml:?}"
    );
    // Exponents: fhirbolt makes `E` an `e` from JSON, and not from XML.
    assert_eq!(other_as_xml, ["Observation-decimal.json"]);
    let mut refused = REFUSED.map(|(name, _)| name);
    refused.sort_unstable();
    too_strict.sort_unstable();
    assert_eq!(too_strict, refused, "grammar of codes and ids is not looked at by fhirbolt");
    let lacking: Vec<_> = lacking.iter().map(|(name, why)| (*name, why.as_str())).collect();
    assert_eq!(lacking, LACKING);
}
