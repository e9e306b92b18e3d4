//! Every standard search parameter, on every example of the specification:
//! where an example has a value, a search made from that value finds it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

use fhir_model::fhirpath::{Collection, Context, Expression};
use fhir_model::schema::TypeId;
use fhir_model::search_parameter::{
    SearchParameter, SearchParameterType as Kind, standard_search_parameters,
};
use fhir_model::tree::Resource;
use fhir_server::index::extract::extract;
use fhir_server::search::codes::Codes;
use fhir_server::search::parameter::{self, QueryContext, present};
use fhir_server::search::registry::Definitions;

mod query;

/// The number of parameters, by type, of which an example has a value.
const WITH_VALUES: usize = 1402;
/// The number of those of which a value can be searched for.
const ASKED: usize = 1337;

static DEFINITIONS: LazyLock<Definitions> =
    LazyLock::new(|| Definitions::standard().expect("standard parameters"));

/// Returns the examples that are valid, or `None` (and says so) where the package is absent.
fn examples() -> Option<Vec<(String, Resource)>> {
    const PACKAGE: &str = "shared/testdata/fhir/hl7.fhir.r4.examples-4.0.1.tgz";
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let Some(file) = here.ancestors().find_map(|folder| std::fs::File::open(folder.join(PACKAGE)).ok())
    else {
        eprintln!("absent, nothing indexed: {PACKAGE}");
        return None;
    };
    let mut out = Vec::new();
    for entry in tar::Archive::new(flate2::read::GzDecoder::new(file)).entries().expect("package") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("readable");
        if let Ok(resource) = fhir_model::json::read(bytes) {
            out.push((name, resource));
        }
    }
    Some(out)
}

/// Returns an expression with the extension that it means: one is published by a URL that there is not.
fn as_meant(expression: &str) -> String {
    expression.replace("/patient-extensions-Patient-mothersMaidenName", "/patient-mothersMaidenName")
}

/// A parameter as published, on one type: what the index is compared with.
struct Published {
    parameter: &'static SearchParameter,
    expression: Option<Expression>,
    components: Vec<(Kind, Expression)>,
}

impl Published {
    fn of(of: TypeId) -> Vec<Published> {
        let all = standard_search_parameters();
        let kind_of = |url: &str| all.iter().find(|p| p.url == url).map_or(Kind::Special, |p| p.kind);
        let parse = |text: &str| Expression::parse(text).expect("published expression");
        all.iter()
            .filter(|parameter| parameter.base.iter().any(|base| of.is_a(*base)))
            // These the storage knows without an index.
            .filter(|parameter| !matches!(parameter.code, "_id" | "_lastUpdated"))
            .map(|parameter| Published {
                parameter,
                expression: (!parameter.expression.is_empty())
                    .then(|| parse(&as_meant(parameter.expression))),
                components: parameter
                    .components
                    .iter()
                    .map(|c| (kind_of(c.definition), parse(&c.expression.replace("DateTime", "dateTime"))))
                    .collect(),
            })
            .collect()
    }

    fn values<'r>(&self, resource: &'r Resource) -> Collection<'r> {
        let root = resource.root();
        let Some(expression) = &self.expression else { return Collection::new() };
        expression.evaluate(&Context::new(root), root).expect("evaluates")
    }
}

#[test]
fn a_search_made_from_a_value_finds_it() {
    let Some(examples) = examples() else { return };
    let codes = Codes::default();
    let context = QueryContext { bases: &[], now_micros: 1_700_000_000_000_000, codes: &codes };
    let mut published: BTreeMap<TypeId, Vec<Published>> = BTreeMap::new();
    let (mut with_values, mut asked) = (BTreeSet::new(), BTreeSet::new());
    let (mut queries, mut missed) = (0usize, Vec::new());
    let (mut presence, mut wrong_presence) = (0usize, Vec::new());
    for (file, resource) in &examples {
        let of = resource.resource_type();
        let rows = extract(&DEFINITIONS, resource, &[]);
        for one in published.entry(of).or_insert_with(|| Published::of(of)) {
            let code = one.parameter.code;
            let definition = DEFINITIONS.find(of, code).expect("active");
            let values = one.values(resource);
            if one.expression.is_some() && one.parameter.kind != Kind::Composite {
                presence += 1;
                if present(definition).matches(&rows) == values.is_empty() {
                    wrong_presence.push(format!("{file}: {of}.{code} present: {}", !values.is_empty()));
                }
            }
            if values.is_empty() {
                continue;
            }
            with_values.insert((of, code));
            for value in &values {
                for (modifier, text) in query::from_value(one.parameter, &one.components, value) {
                    queries += 1;
                    asked.insert((of, code));
                    match parameter::predicate(definition, modifier, &text, context) {
                        Ok(predicate) if predicate.matches(&rows) => {}
                        Ok(_) => missed.push(format!("{file}: {of}?{code}:{modifier:?}={text}")),
                        Err(error) => missed.push(format!("{file}: {of}?{code}={text}: {error}")),
                    }
                }
            }
        }
    }
    let all: usize = published.values().map(Vec::len).sum();
    println!("{} examples of {} types; {all} parameters by type", examples.len(), published.len());
    println!("{} with values, {} of them asked for, by {queries} searches", with_values.len(), asked.len());
    println!("{} searches missed, {} of {presence} presences wrong", missed.len(), wrong_presence.len());
    for one in missed.iter().chain(&wrong_presence).take(40) {
        println!("  {one}");
    }
    for (of, code) in with_values.difference(&asked) {
        println!("  has values, none can be asked for: {of}.{code}");
    }
    assert!(missed.is_empty() && wrong_presence.is_empty());
    assert!(with_values.len() >= WITH_VALUES, "{}", with_values.len());
    assert!(asked.len() >= ASKED, "{}", asked.len());
}

#[test]
fn extracting_is_fast() {
    let Some(examples) = examples() else { return };
    let begin = Instant::now();
    let rows: usize = examples.iter().map(|(_, r)| extract(&DEFINITIONS, r, &[]).equal.len()).sum();
    let micros = begin.elapsed().as_secs_f64() * 1e6 / examples.len() as f64;
    println!("{} examples, {rows} equal rows, {micros:.1} µs a resource", examples.len());
    // Far above what it takes, so that only a blunder fails.
    assert!(micros < 2000.0, "{micros}");
}
