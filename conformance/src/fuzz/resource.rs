//! Resources as they come over the wire, and all that is made of them.

use std::path::Path;
use std::sync::Arc;

use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use profiles::definitions::Definitions;
use profiles::snapshot;
use profiles::terminology::Terminology;
use profiles::terminology::expand::Expand;
use profiles::validate::{Options, Validator};

use super::Prepared;
use crate::suite;

pub(super) const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e9",
    "1.10",
    "\\u0000",
    "\\ud800",
    "\"_",
    "\"id\":\"x\"",
    "\"extension\":[{\"url\":\"http://x\",\"valueString\":\"y\"}]",
    "\"resourceType\":\"Patient\"",
    "\"contained\":[{\"resourceType\":\"Patient\",\"id\":\"p\"}]",
    "\"reference\":\"#p\"",
    "\"value\":",
    "\"valueCode\":\"a\"",
    "\"modifierExtension\":[]",
    "\"fullUrl\":\"urn:uuid:\"",
    "\"slicing\":{\"rules\":\"open\"}",
    "\"contentReference\":\"#x\"",
];

pub(super) const XML_WORDS: &[&str] = &[
    "<",
    ">",
    "/>",
    "</",
    " value=\"",
    "\"",
    "xmlns=\"http://hl7.org/fhir\"",
    "xmlns=\"http://www.w3.org/1999/xhtml\"",
    "<div>",
    "</div>",
    "<id value=\"x\"/>",
    "<extension url=\"http://x\"/>",
    "<contained>",
    "<Patient>",
    "&amp;",
    "&lt;",
    "&nbsp;",
    "&#0;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE a>",
    "<valueString/>",
    "\u{FEFF}",
];

/// The greatest size of an example that is a seed, in bytes.
const SEED_BYTES_MAX: usize = 8_000;

/// The examples of the specification as `write` writes them, the long ones left out.
fn seeds(testdata: &Path, write: fn(&Resource) -> Vec<u8>) -> Result<Vec<Vec<u8>>, String> {
    let written = suite::package(testdata, suite::EXAMPLES)?.resources;
    Ok(written.iter().map(write).filter(|bytes| bytes.len() < SEED_BYTES_MAX).collect())
}

pub(super) fn prepare_json(testdata: &Path) -> Result<Prepared, String> {
    let seeds = seeds(testdata, json::to_json)?;
    let known = Arc::new(Definitions::new());
    let terminology = Arc::new(Terminology::new(Arc::clone(&known)));
    let validator = Validator::new(known, terminology, Options::default());
    let take = move |input: &[u8]| {
        // What is wrong is told of every document, whole or not.
        let reading = json::read_all(input.to_vec());
        if let Some(resource) = &reading.resource {
            let _ = validator.validate(resource, &[]);
        }
        let Ok(resource) = json::read(input.to_vec()) else { return false };
        let again = json::read(json::to_json(&resource));
        assert!(again.is_ok_and(|again| again == resource), "what is written is not what was read");
        let as_xml = xml::to_xml(&resource);
        assert!(xml::read(as_xml).is_ok(), "what is written in XML cannot be read");
        let mut definitions = Definitions::new();
        let _ = snapshot::generate(&resource, &definitions);
        if definitions.add_resource(resource.clone()) {
            ask(Arc::new(definitions));
        }
        true
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}

/// Asks of a definition what can be asked of it.
fn ask(definitions: Arc<Definitions>) {
    let terminology = Terminology::new(Arc::clone(&definitions));
    let how = Expand { count: Some(100), filter: Some("a".to_owned()), ..Expand::default() };
    for definition in definitions.iter() {
        let _ = terminology.expand(definition.url(), &how);
        if let Some(system) = terminology.code_system(definition.url()) {
            system.concepts().take(100).for_each(|concept| {
                let _ = system.display(concept);
            });
        }
    }
}

pub(super) fn prepare_xml(testdata: &Path) -> Result<Prepared, String> {
    let seeds = seeds(testdata, xml::to_xml)?;
    let take = |input: &[u8]| {
        let _ = xml::read_all(input.to_vec());
        let Ok(resource) = xml::read(input.to_vec()) else { return false };
        let again = xml::read(xml::to_xml(&resource));
        assert!(again.is_ok_and(|again| again == resource), "what is written is not what was read");
        let again = json::read(json::to_json(&resource));
        assert!(again.is_ok_and(|again| again == resource), "what is written in JSON is not what was read");
        true
    };
    Ok(Prepared { seeds, take: Box::new(take) })
}
