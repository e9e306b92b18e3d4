//! The cases of the reference validator: our verdict, and the places of our
//! errors, beside its own.
//!
//! What it finds depends on packages and terminologies that are not at hand
//! here; `docs/conformance/validator.md` lists every case that comes out
//! otherwise.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_model::outcome::Severity;
use fhir_model::schema::name;
use fhir_model::tree::Resource;
use profiles::definitions::Definitions;
use profiles::terminology::Terminology;
use profiles::validate::location::Locations;
use profiles::validate::{Language, Options, Validator};
use serde_json::Value;

use super::Tally;

/// What a validation came to: each error, by place and text.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The errors.
    pub errors: Vec<(String, String)>,
}

impl Outcome {
    fn places(&self) -> BTreeSet<String> {
        self.errors.iter().map(|(at, _)| place(at)).collect()
    }
}

/// A case, validated.
pub struct Compared {
    /// Its name, and the part: against the base or a profile.
    pub name: String,
    /// What the reference validator found.
    pub reference: Outcome,
    /// What we found; `Err` when the case does not apply.
    pub ours: Result<Outcome, String>,
}

impl Compared {
    /// Tells whether both find errors, or neither does.
    pub fn same_verdict(&self) -> bool {
        self.ours.as_ref().is_ok_and(|ours| ours.errors.is_empty() == self.reference.errors.is_empty())
    }

    /// Tells whether errors stand in the same places.
    pub fn same_places(&self) -> bool {
        self.ours.as_ref().is_ok_and(|ours| ours.places() == self.reference.places())
    }
}

/// Brings a location to what both write alike: the reference validator adds
/// comments with type and id, tells some faults of XML by a path of XML
/// without numbers, and those of a document that is none at `$`.
fn place(expression: &str) -> String {
    if expression == "$" {
        return String::new();
    }
    let by_xml = expression.strip_prefix("/f:").map(|path| path.replace("/f:", "."));
    let expression = by_xml.as_deref().unwrap_or(expression);
    let mut out = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once("/*") {
        out.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    // `extension[0][url='...']` is `extension[0]`.
    while let Some(start) = out.find("[url=") {
        let end = out[start..].find("']").map_or(out.len(), |e| start + e + 2);
        out.replace_range(start..end, "");
    }
    out.replace("[0]", "")
}

/// Where the reference validator looks for something in a Bundle, it numbers from one.
fn numbered_from_zero(expression: &str) -> String {
    let mut out = String::new();
    for (index, part) in expression.split('[').enumerate() {
        let Some((number, rest)) = part.split_once(']').filter(|_| index > 0) else {
            out.push_str(part);
            continue;
        };
        let number = number.parse::<usize>().map_or(0, |n| n.saturating_sub(1));
        let _ = write!(out, "[{number}]{rest}");
    }
    out
}

fn outcome_of(value: &Value) -> Outcome {
    let mut outcome = Outcome::default();
    for issue in value["issue"].as_array().into_iter().flatten() {
        if !matches!(issue["severity"].as_str(), Some("error" | "fatal")) {
            continue;
        }
        let text = issue["details"]["text"].as_str().unwrap_or_default();
        let mut at = issue["expression"][0].as_str().unwrap_or_default().to_owned();
        let is_numbered_from_one =
            ["Can't find", "Found ", "Entry "].iter().any(|beginning| text.starts_with(beginning));
        if is_numbered_from_one {
            at = numbered_from_zero(&at);
        }
        outcome.errors.push((at, text.to_owned()));
    }
    outcome
}

/// Settings of cases that validation here does not have.
const OTHER_SETTINGS: &[(&str, &str)] = &[
    ("allow-comments", "JSON with comments is not FHIR"),
    ("bundle-param", "names a profile for one entry of a Bundle by the command line"),
    ("certificate", "verifies a digital signature"),
];

/// The cases, with the definitions they need.
struct Suite {
    folder: PathBuf,
    core: Definitions,
}

impl Suite {
    fn reference(&self, part: &Value) -> Option<Outcome> {
        match &part["java"] {
            Value::String(file) => {
                let text = std::fs::read(self.folder.join("outcomes").join(file)).ok()?;
                Some(outcome_of(&serde_json::from_slice(&text).ok()?))
            }
            Value::Object(given) if given.contains_key("outcome") => Some(outcome_of(&given["outcome"])),
            Value::Object(given) => {
                let count = given.get("errorCount").and_then(Value::as_u64).unwrap_or(0);
                Some(Outcome { errors: vec![(String::new(), String::new()); count as usize] })
            }
            _ => None,
        }
    }

    fn read(&self, file: &str) -> Result<Resource, (String, String)> {
        let bytes = std::fs::read(self.folder.join(file)).map_err(|e| (String::new(), e.to_string()))?;
        let is_xml = file.ends_with(".xml");
        let reading =
            if is_xml { fhir_model::xml::read_all(bytes) } else { fhir_model::json::read_all(bytes) };
        let why = || reading.faults.first().map(|f| (f.location.clone(), f.to_string())).unwrap_or_default();
        reading.resource.clone().ok_or_else(why)
    }

    fn definitions(&self, parts: &[&Value]) -> Definitions {
        let mut definitions = self.core.clone();
        for part in parts {
            for key in ["supporting", "profiles"] {
                for file in part[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    if let Ok(resource) = self.read(file) {
                        add(&mut definitions, resource);
                    }
                }
            }
        }
        definitions
    }

    fn validate(&self, case: &Value, profile: Option<&Value>) -> Result<Outcome, String> {
        let file = case["file"].as_str().unwrap_or_default();
        for (setting, why) in OTHER_SETTINGS {
            if !case[*setting].is_null() {
                return Err((*why).to_owned());
            }
        }
        if file.ends_with(".ndjson") || file.ends_with(".txt") {
            return Err("is no resource in JSON or XML".to_owned());
        }
        if let Some(packages) = profile.and_then(|p| p["packages"].as_array()) {
            return Err(format!("needs the package {}", packages[0].as_str().unwrap_or_default()));
        }
        let mut definitions = self.definitions(&[case, profile.unwrap_or(&Value::Null)]);
        let mut canonicals = Vec::new();
        if let Some(source) = profile.and_then(|p| p["source"].as_str()) {
            let resource = self.read(source).map_err(|(_, why)| format!("{source}: {why}"))?;
            let url = resource.root().text_of(name::URL).unwrap_or_default().to_owned();
            definitions.add_resource(resource);
            canonicals.push(url);
        }
        let bytes = std::fs::read(self.folder.join(file)).map_err(|e| e.to_string())?;
        let is_xml = file.ends_with(".xml");
        let reading =
            if is_xml { fhir_model::xml::read_all(bytes) } else { fhir_model::json::read_all(bytes) };
        let mut errors: Vec<(String, String)> =
            reading.faults.iter().map(|f| (f.location.clone(), f.to_string())).collect();
        let Some(resource) = reading.resource else { return Ok(Outcome { errors }) };
        let definitions = Arc::new(definitions);
        let terminology = Arc::new(Terminology::new(Arc::clone(&definitions)));
        let mut options = Options::default();
        options.unknown_extension = Severity::Error;
        options.unknown_profile = Severity::Warning;
        let assumed = |part: &Value| part["assumeValidRestReferences"] == Value::Bool(true);
        options.rest_references = assumed(case) || profile.is_some_and(assumed);
        options.example_urls = case["examples"] != Value::Bool(false);
        let validator = Validator::new(definitions, terminology, options);
        let canonicals: Vec<&str> = canonicals.iter().map(String::as_str).collect();
        let findings = validator.validate(&resource, &canonicals);
        let locations = Locations::of(&resource);
        let told = findings.iter().filter(|f| f.is_error());
        errors.extend(told.map(|f| (locations.expression(f.node), f.text(Language::English))));
        Ok(Outcome { errors })
    }
}

/// Adds a definition, or those of a Bundle.
fn add(definitions: &mut Definitions, resource: Resource) {
    if resource.root().text_of(name::URL).is_some() {
        definitions.add_resource(resource);
        return;
    }
    for entry in resource.root().children_named(name::ENTRY) {
        if let Some(inner) = entry.child(name::RESOURCE) {
            definitions.add_resource(resource.extract(inner.id()));
        }
    }
}

/// Validates every case.
///
/// # Errors
/// When the cases or the core package are absent.
pub fn compare(testdata: &Path, only: Option<&str>) -> Result<Vec<Compared>, String> {
    let folder = testdata.join("fhir/validator");
    let manifest = folder.join("manifest.json");
    let text = std::fs::read(&manifest).map_err(|_| super::absent(&manifest))?;
    let manifest: Value = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let core = super::core_definitions(testdata)?;
    let suite = Suite { folder, core };
    let mut compared = Vec::new();
    for case in manifest["test-cases"].as_array().into_iter().flatten() {
        let name = case["name"].as_str().unwrap_or_default();
        if case["use-test"] == Value::Bool(false) || only.is_some_and(|o| o != name) {
            continue;
        }
        for (part, profile) in [("base", None), ("profile", Some(&case["profile"]))] {
            let Some(reference) = suite.reference(profile.unwrap_or(case)) else { continue };
            let ours = suite.validate(case, profile);
            compared.push(Compared { name: format!("{name} ({part})"), reference, ours });
        }
    }
    Ok(compared)
}

/// Compares the verdicts.
///
/// # Errors
/// When the cases are absent.
pub fn verdicts(testdata: &Path) -> Result<Tally, String> {
    tally(testdata, Compared::same_verdict)
}

/// Compares the places of errors.
///
/// # Errors
/// When the cases are absent.
pub fn places(testdata: &Path) -> Result<Tally, String> {
    tally(testdata, Compared::same_places)
}

fn tally(testdata: &Path, agrees: fn(&Compared) -> bool) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for case in compare(testdata, None)? {
        match &case.ours {
            Err(why) => tally.not_applicable(format!("{}: {why}", case.name)),
            Ok(_) => tally.count(agrees(&case), || case.name.clone()),
        }
    }
    Ok(tally)
}

/// Writes what differs, case by case.
pub fn differences(compared: &[Compared]) -> String {
    let mut out = String::new();
    for case in compared.iter().filter(|c| !c.same_places()) {
        let mark = if case.same_verdict() { "places" } else { "VERDICT" };
        let _ = writeln!(out, "## {} [{mark}]", case.name);
        for (at, text) in &case.reference.errors {
            let _ = writeln!(out, "  - theirs: {at}: {text}");
        }
        match &case.ours {
            Ok(ours) => {
                for (at, text) in &ours.errors {
                    let _ = writeln!(out, "  + ours:   {at}: {text}");
                }
            }
            Err(why) => {
                let _ = writeln!(out, "  not applicable: {why}");
            }
        }
    }
    out
}
