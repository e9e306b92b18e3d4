//! Profiles outside of the core package: those of the reference validator's
//! test cases, and of the Italian guides. Each gets a snapshot; those that
//! come with one get the same elements, but for what is listed here.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use fhir_model::schema::{NameId, name, ty};
use fhir_model::tree::Resource;
use fhir_model::{json, xml};
use profiles::definitions::Definitions;
use profiles::package::Package;
use profiles::snapshot;

/// What is published with elements of profiles that are not at hand: the file,
/// and what it builds on.
const WITHOUT_THEIR_PROFILES: &[(&str, &str)] = &[
    ("bundle-enrl-sd.json", "http://dev.gene.com/fhir/uapi/StructureDefinition/uapi-organization"),
    (
        "pat-xver-extension-expected.xml",
        "http://hl7.org/fhir/3.0/StructureDefinition/extension-Patient.animal",
    ),
];

fn testdata(path: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    above.map(|folder| folder.join("shared/testdata").join(path)).find(|p| p.exists())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for path in std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() { waiting.push(path) } else { out.push(path) }
        }
    }
    out.sort();
    out
}

fn structure_definition(path: &Path) -> Option<Resource> {
    let bytes = std::fs::read(path).ok()?;
    let read = match path.extension()?.to_str()? {
        "json" => json::read(bytes).ok(),
        "xml" => xml::read(bytes).ok(),
        _ => None,
    };
    read.filter(|resource| resource.resource_type() == ty::STRUCTURE_DEFINITION)
}

fn ids(definition: &Resource) -> BTreeSet<String> {
    let snapshot = definition.root().child_named("snapshot").into_iter();
    let elements = snapshot.flat_map(|s| s.children_named(name::ELEMENT));
    elements.filter_map(|e| e.text_of(name::ID)).map(str::to_owned).collect()
}

#[test]
fn profiles_of_test_cases_and_guides_get_their_snapshots() {
    let Some(core) = testdata("fhir/hl7.fhir.r4.core-4.0.1.tgz") else {
        println!("passed over: the core package is not at hand");
        return;
    };
    let core = Package::read(File::open(core).expect("opened")).expect("readable");
    let snapshot_name = NameId::of("snapshot").expect("a name");
    for folder in ["fhir/validator", "fhir/test-cases/r4", "italy"] {
        let Some(path) = testdata(folder) else {
            println!("passed over: {folder} is not at hand");
            continue;
        };
        let found: Vec<(PathBuf, Resource)> =
            files(&path).into_iter().filter_map(|p| Some((p.clone(), structure_definition(&p)?))).collect();
        let mut definitions = Definitions::new();
        for resource in core.resources.iter().chain(found.iter().map(|(_, r)| r)) {
            definitions.add_resource(resource.clone());
        }
        let mut same = 0;
        for (path, published) in &found {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let mut bare = published.clone();
            let had_one = bare.remove_named(bare.root_id(), snapshot_name) > 0;
            let made = match snapshot::generate(&bare, &definitions) {
                Ok(made) => made,
                Err(error) => panic!("{file}: {error}"),
            };
            if !had_one {
                assert!(!ids(&made).is_empty(), "{file}");
                continue;
            }
            match WITHOUT_THEIR_PROFILES.iter().find(|(listed, _)| *listed == file) {
                Some((_, missing)) => {
                    assert!(definitions.find(ty::STRUCTURE_DEFINITION, missing).is_none(), "{file}");
                    assert!(ids(&made).is_subset(&ids(published)), "{file}");
                }
                None => assert_eq!(ids(&made), ids(published), "{file}"),
            }
            same += 1;
        }
        println!("{folder}: {} snapshots generated, {same} compared", found.len());
    }
}
