//! The shape of the house: which crate may know which, where a library may be
//! named, how large a file may grow, and that the documents tell the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the hand-written Rust files with their text, paths relative to the root.
fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "generated" && name != "target" && name != ".git" {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let root = root();
    let mut paths = Vec::new();
    for folder in ["fhir-model", "profiles", "ihe-adapters", "fhir-server", "conformance", "tests"] {
        walk(&root.join(folder), &mut paths);
    }
    paths
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            (path.strip_prefix(&root).expect("below the root").display().to_string(), text)
        })
        .collect()
}

#[test]
fn crates_depend_one_way() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("json");
    let mut normal: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let local = dependencies.filter(|d| d["path"].is_string() && d["kind"].is_null());
        let names = local.filter_map(|d| d["name"].as_str().map(str::to_owned)).collect();
        normal.insert(package["name"].as_str().expect("name").to_owned(), names);
    }
    for (package, allowed) in [
        ("fhir-model", &[][..]),
        ("profiles", &["fhir-model"]),
        ("ihe-adapters", &["fhir-model", "profiles"]),
        ("fhir-server", &["fhir-model", "profiles", "ihe-adapters"]),
        ("conformance", &["fhir-model", "profiles", "ihe-adapters", "tests"]),
    ] {
        let found = normal.get(package).unwrap_or_else(|| panic!("no crate {package}"));
        for name in found {
            assert!(allowed.contains(&name.as_str()), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn libraries_are_named_where_they_belong() {
    let allowed = |word: &str, path: &str| match word {
        "actix_web" => {
            path.starts_with("fhir-server/src/rest/")
                || path.starts_with("fhir-server/tests/rest/")
                || path.starts_with("fhir-server/src/command/")
                || path.starts_with("fhir-server/src/bench/")
        }
        "diesel" => {
            path.starts_with("fhir-server/src/storage/")
                || path == "fhir-server/src/search/execute.rs"
                || path == "fhir-server/src/search/rows.rs"
                || path.starts_with("fhir-server/examples/")
                || path.starts_with("fhir-server/src/bench/")
        }
        _ => false,
    };
    for (path, text) in sources() {
        for word in ["actix_web", "diesel"] {
            let names = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//") && line.contains(&format!("{word}::"))
            });
            assert!(!names || path == "tests/architecture.rs" || allowed(word, &path), "{path} names {word}");
        }
    }
}

#[test]
fn files_are_named_and_sized() {
    const LINES_MAX: usize = 800;
    for (path, text) in sources() {
        let name = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        for banned in ["utils", "helpers", "common", "misc", "models", "manager", "handlers", "impl"] {
            assert_ne!(name, banned, "{path}");
        }
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines: it holds two subjects");
        if path != "tests/architecture.rs" {
            for banned in ["#[ignore", "todo!(", "unimplemented!("] {
                assert!(!text.contains(banned), "{path} has {banned}");
            }
        }
    }
}

#[test]
fn the_paths_that_the_documents_name_exist() {
    let root = root();
    for document in ["docs/ARCHITECTURE.md", "README.md"] {
        let text = std::fs::read_to_string(root.join(document)).expect("readable");
        let mut named = 0;
        for word in text.split('`') {
            let is_path = word.contains('/')
                && !word.contains([' ', '{', '<', ':', '*'])
                && ["fhir-", "profiles", "ihe-", "conformance", "tests", "docs"]
                    .iter()
                    .any(|p| word.starts_with(p));
            if is_path {
                assert!(root.join(word).exists(), "{document} names {word}");
                named += 1;
            }
        }
        assert!(named > 0 || document == "README.md", "{document} names nothing");
    }
}

#[test]
fn regenerating_the_tables_changes_nothing() {
    let root = root();
    let package = root.join("../shared/testdata/fhir/hl7.fhir.r4.core-4.0.1.tgz");
    if !package.exists() {
        println!("absent, nothing generated: {}", package.display());
        return;
    }
    let out = tempfile::tempdir().expect("folder");
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "-p", "fhir-model-codegen", "--", "--package"])
        .arg(&package)
        .arg("--out")
        .arg(out.path())
        .current_dir(&root)
        .status();
    assert!(status.is_ok_and(|s| s.success()));
    let committed = root.join("fhir-model/src/generated");
    let mut compared = 0;
    for folder in ["", "types"] {
        for entry in std::fs::read_dir(out.path().join(folder)).expect("generated").flatten() {
            if entry.path().is_file() {
                let fresh = std::fs::read_to_string(entry.path()).expect("readable");
                let kept = std::fs::read_to_string(committed.join(folder).join(entry.file_name()))
                    .unwrap_or_default();
                assert!(fresh == kept, "{} is not what the generator writes", entry.path().display());
                compared += 1;
            }
        }
    }
    assert!(compared > 200);
}
