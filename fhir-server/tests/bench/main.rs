//! `lanterna bench` as it is run, with little data: every row is measured, or
//! says why not, and nothing is left behind.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lanterna"))
        .args(["bench", "--scale", "500", "--seconds", "1", "--data"])
        .arg(folder)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("run")
}

fn told(output: &Output) -> String {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{error}")
}

#[test]
fn every_row_is_measured() {
    let folder = tempfile::tempdir().expect("folder");
    let output = bench(folder.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["observations"], &report["connections"]), (&400.into(), &64.into()));
    let rows = report["rows"].as_array().expect("rows");
    let names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "read",
            "create",
            "search",
            "import",
            "growth",
            "count",
            "download",
            "validation",
            "memory",
            "start",
            "match"
        ]
    );
    for row in rows {
        let name = row["name"].as_str().unwrap_or_default();
        assert_eq!(row["state"], "measured", "{row}");
        assert!(row["ours"].as_f64().is_some_and(|ours| ours > 0.0), "{row}");
        let has_baseline = !matches!(name, "memory" | "start");
        assert_eq!(row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), has_baseline, "{row}");
        // Of generated Bundles nothing can be told.
        assert_eq!(row["met"].is_boolean(), !matches!(name, "import" | "validation"), "{row}");
        assert!(row["target"].is_object(), "{row}");
    }
    let figures = report["figures"].as_array().expect("figures");
    for name in [
        "reads",
        "creates",
        "searches",
        "crud",
        "transactions",
        "bulk",
        "import",
        "counts",
        "downloads",
        "size",
        "lookup",
        "member",
        "expand",
        "transform",
    ] {
        let figure = figures.iter().find(|figure| figure["name"] == name);
        assert!(figure.is_some_and(|f| f["value"].as_f64().is_some_and(|v| v > 0.0)), "{name} in {report}");
    }
    assert_eq!(report["failures"], Value::Array(Vec::new()));
    assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0, "nothing is left");
}

#[test]
fn only_what_is_asked_for() {
    let folder = tempfile::tempdir().expect("folder");
    let output = bench(folder.path(), &["--only", "start,validation"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("start to first answered read") && text.contains("open"), "{text}");
    assert!(!text.contains("read by id"), "{text}");
    let output = bench(folder.path(), &["--only", "stat"]);
    assert_eq!(output.status.code(), Some(2), "{}", told(&output));
    assert!(told(&output).contains("`stat` is no row"), "{}", told(&output));
}

#[test]
fn what_cannot_be_imported_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let output = bench(folder.path(), &["--only", "import", "--synthea", "nothing.json"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("`nothing.json` is not there"), "{text}");
    std::fs::write(folder.path().join("bad.json"), "{").expect("written");
    let output = bench(folder.path(), &["--only", "import", "--synthea", "bad.json"]);
    let text = told(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("failed: the data cannot be loaded"), "{text}");
}
