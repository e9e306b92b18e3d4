//! The table in `docs/conformance/README.md`: what every suite came to when
//! it was last written, so that a step back is seen.

use std::fmt::Write;

use crate::suite::examples::WRONG_EXAMPLES;
use crate::suite::{SUITES, Tally};

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The suite.
    pub suite: String,
    /// Cases that pass.
    pub passed: usize,
    /// Cases that fail.
    pub failed: usize,
}

/// Reads the rows of the document.
pub fn rows(document: &str) -> Vec<Row> {
    document
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [suite, _cases, passed, failed, ..] = cells.as_slice() else { return None };
            Some(Row {
                suite: (*suite).to_owned(),
                passed: passed.parse().ok()?,
                failed: failed.parse().ok()?,
            })
        })
        .collect()
}

/// Says where a run falls behind the document, or what is in one and not in the other.
pub fn steps_back(document: &str, run: &[(&str, Tally)]) -> Vec<String> {
    let written = rows(document);
    let mut out = Vec::new();
    for (name, tally) in run {
        match written.iter().find(|row| row.suite == *name) {
            None => out.push(format!("{name} is not in the table; write it with --write")),
            Some(row) if tally.passed < row.passed || tally.failures.len() > row.failed => out.push(format!(
                "{name}: {} passed and {} failed, the table has {} and {}",
                tally.passed,
                tally.failures.len(),
                row.passed,
                row.failed
            )),
            Some(_) => {}
        }
    }
    for row in &written {
        if !SUITES.iter().any(|suite| suite.name == row.suite) {
            out.push(format!("{} is in the table, and there is no such suite", row.suite));
        }
    }
    out
}

/// Tells whether the failures of a suite stand in a document of its own, with their causes.
fn has_document(suite: &str) -> bool {
    matches!(suite, "snapshots" | "valid-examples" | "validator-verdicts" | "validator-places")
}

/// Writes the document.
pub fn document(run: &[(&str, Tally)]) -> String {
    let mut out = String::from(
        "# What the official suites say\n\nWritten by `cargo run -p conformance -- official --write`; without `--write` a run is compared with this\n\
         table, and a step back fails.\n\n| suite | cases | passed | failed | not applicable | a case |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (name, tally) in run {
        let what = SUITES.iter().find(|s| s.name == *name).map_or("", |s| s.what);
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {what} |",
            tally.cases(),
            tally.passed,
            tally.failures.len(),
            tally.not_applicable.len()
        );
    }
    out.push_str("\n## Not applicable\n\nExamples that the specification itself got wrong:\n\n");
    for (name, why) in WRONG_EXAMPLES {
        let _ = writeln!(out, "- `{name}`: {why}");
    }
    out.push_str("\nSearch parameters without an expression: their meaning is the server's own.\n");
    for (name, tally) in run.iter().filter(|(name, _)| !has_document(name)) {
        for failure in &tally.failures {
            let _ = writeln!(out, "\n- {name}: {failure}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_back_is_seen() {
        let tally = |passed, failed: usize| Tally {
            passed,
            failures: vec!["x".to_owned(); failed],
            ..Tally::default()
        };
        let written = document(&[("fhirpath", tally(5, 1))]);
        for (passed, failed, is_back) in [(5, 1, false), (6, 0, false), (4, 1, true), (5, 2, true)] {
            let back = steps_back(&written, &[("fhirpath", tally(passed, failed))]);
            assert_eq!(!back.is_empty(), is_back, "{passed} {failed}: {back:?}");
        }
        assert!(!steps_back(&written, &[("json-patch", tally(1, 0))]).is_empty());
    }
}
