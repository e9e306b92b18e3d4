//! Every StructureDefinition of the core package: its snapshot, generated anew
//! from its differential, against the published one, element by element and
//! property by property. What differs is in `docs/conformance/snapshots.md`,
//! with the cause; this test holds to that table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use fhir_model::json::write::write_element;
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};
use profiles::definitions::Definitions;
use profiles::package::Package;
use profiles::snapshot;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance/snapshots.md");

/// Finds the test material above this repository, where it is present.
fn testdata(path: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join("shared/testdata").join(path)).find(|p| p.exists())
}

fn core_package() -> Option<Definitions> {
    let path = testdata("fhir/hl7.fhir.r4.core-4.0.1.tgz")?;
    let package = Package::read(File::open(path).expect("opened")).expect("readable");
    let mut definitions = Definitions::new();
    for resource in package.resources {
        definitions.add_resource(resource);
    }
    Some(definitions)
}

fn elements(definition: &Resource) -> Vec<(String, Element<'_>)> {
    let snapshot = definition.root().child_named("snapshot").into_iter();
    let id = |e: Element<'_>| e.text_of(name::ID).or(e.text_of(name::PATH)).unwrap_or_default().to_owned();
    snapshot.flat_map(|s| s.children_named(name::ELEMENT)).map(|e| (id(e), e)).collect()
}

/// The properties of an element as text; constraints in no particular order.
fn properties(element: Element<'_>) -> BTreeMap<&'static str, Vec<String>> {
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for child in element.children() {
        let Some(property) = child.property() else { continue };
        let mut json = Vec::new();
        write_element(child, &mut json);
        let value = child.value().map(str::to_owned);
        let text = value.unwrap_or_else(|| String::from_utf8_lossy(&json).into_owned());
        all.entry(property.name).or_default().push(text);
    }
    if let Some(constraints) = all.get_mut("constraint") {
        constraints.sort();
    }
    all
}

/// Takes the sources out of constraints.
fn without_source(constraints: Option<&Vec<String>>) -> BTreeSet<String> {
    let strip = |text: &String| match text.find(",\"source\":\"") {
        Some(at) => format!("{}}}", &text[..at]),
        None => text.clone(),
    };
    constraints.into_iter().flatten().map(strip).collect()
}

/// Compares; returns what differs, and how many constraints differ in telling a source alone.
fn compare(published: &Resource, generated: &Resource) -> (Vec<String>, usize) {
    let (published, generated) = (elements(published), elements(generated));
    let mut different = Vec::new();
    let mut sources = 0;
    for (id, element) in &published {
        let Some((_, made)) = generated.iter().find(|(other, _)| other == id) else {
            different.push(format!("{id}: not generated"));
            continue;
        };
        let (a, b) = (properties(*element), properties(*made));
        let names: BTreeSet<&str> = a.keys().chain(b.keys()).copied().collect();
        for part in names.into_iter().filter(|part| a.get(part) != b.get(part)) {
            if part == "constraint" && without_source(a.get(part)) == without_source(b.get(part)) {
                sources += 1;
            } else {
                different.push(format!("{id}: {part}: {:?} | {:?}", a.get(part), b.get(part)));
            }
        }
    }
    for (id, _) in generated.iter().filter(|(id, _)| published.iter().all(|(other, _)| other != id)) {
        different.push(format!("{id}: not published"));
    }
    let order = |all: &[(String, Element<'_>)]| all.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
    if different.is_empty() && order(&published) != order(&generated) {
        different.push("the order of the elements".to_owned());
    }
    (different, sources)
}

/// Reads the table: the last part of the URL to the number of differences.
fn table() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(TABLE).expect("the table");
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some((cells.get(1)?.trim_matches('`').to_owned(), cells.get(2)?.parse().ok()?))
    };
    text.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect()
}

#[test]
fn snapshots_equal_the_published_ones_but_for_the_table() {
    let Some(definitions) = core_package() else {
        println!("passed over: the core package is not at hand");
        return;
    };
    let mut found = BTreeMap::new();
    let mut counts: BTreeMap<&str, (usize, usize, usize, usize)> = BTreeMap::new();
    let started = std::time::Instant::now();
    for definition in definitions.of_type(ty::STRUCTURE_DEFINITION) {
        let published = definition.resource().expect("readable");
        let derivation = published.root().text_of(name::DERIVATION).unwrap_or("none");
        let generated = snapshot::generate(published, &definitions)
            .unwrap_or_else(|error| panic!("{}: {error}", definition.url()));
        let (different, sources) = compare(published, &generated);
        let count = counts.entry(derivation).or_default();
        count.0 += 1;
        count.1 += usize::from(different.is_empty());
        count.2 += sources;
        count.3 += usize::from(different.is_empty() && sources == 0);
        if !different.is_empty() {
            let own = definition.url().rsplit('/').next().unwrap_or_default().to_owned();
            found.insert(own, different);
        }
    }
    for (derivation, (all, equal, sources, wholly)) in counts {
        println!(
            "{derivation}: {wholly} of {all} equal, {equal} but for sources; {sources} elements with a source that is not published"
        );
    }
    println!("in {:?}", started.elapsed());
    let in_table = table();
    for (url, different) in &found {
        if in_table.get(url) != Some(&different.len()) {
            let some: Vec<String> = different.iter().take(5).map(|d| d.chars().take(700).collect()).collect();
            println!("| `{url}` | {} | ? |\n{}", different.len(), some.join("\n"));
        }
    }
    let counted: BTreeMap<String, usize> = found.iter().map(|(url, d)| (url.clone(), d.len())).collect();
    assert_eq!(counted, in_table, "docs/conformance/snapshots.md tells otherwise");
}

#[test]
fn without_a_package_the_base_types_have_the_same_elements() {
    let Some(definitions) = core_package() else {
        println!("passed over: the core package is not at hand");
        return;
    };
    let facts = |definition: &Resource| -> Vec<(String, String, String, BTreeSet<String>)> {
        let text = |e: Element<'_>, part| e.text_of(part).unwrap_or_default().to_owned();
        let of_element = |(id, e): (String, Element<'_>)| {
            let codes = e.children_named(name::TYPE).filter_map(|t| t.text_of(name::CODE));
            // The tables have the types of FHIR where FHIRPath's are published.
            let codes = codes.filter(|code| !code.starts_with("http")).map(str::to_owned).collect();
            (id, text(e, name::MIN), text(e, name::MAX), codes)
        };
        elements(definition).into_iter().map(of_element).collect()
    };
    let mut count = 0;
    for definition in definitions.of_type(ty::STRUCTURE_DEFINITION) {
        let published = definition.resource().expect("readable");
        let root = published.root();
        let is_type = matches!(root.text_of(name::KIND), Some("resource" | "complex-type"));
        if root.text_of(name::DERIVATION) != Some("specialization") || !is_type {
            continue;
        }
        let json = format!(
            r#"{{"resourceType":"StructureDefinition","url":"http://x/y","name":"Y","status":"draft","kind":"resource",
            "abstract":false,"type":"{0}","baseDefinition":"{1}","derivation":"constraint"}}"#,
            root.text_of(name::TYPE).unwrap_or_default(),
            definition.url(),
        );
        let profile = fhir_model::json::read(json).expect("readable");
        let made = snapshot::generate(&profile, &Definitions::new()).expect("generated");
        let (published, made) = (facts(published), facts(&made));
        for (published, made) in published.iter().zip(&made) {
            assert_eq!((&published.0, &published.1, &published.2), (&made.0, &made.1, &made.2));
            assert!(published.3.is_subset(&made.3), "{}: {:?} {:?}", published.0, published.3, made.3);
        }
        assert_eq!(published.len(), made.len(), "{}", definition.url());
        count += 1;
    }
    assert!(count > 150, "{count}");
}
