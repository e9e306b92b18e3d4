//! The official suites, one file each, and the table of them.

pub mod examples;
pub mod fhirpath;
pub mod nist;
pub mod patch;
pub mod snapshots;
pub mod valid_examples;
pub mod validator;

use std::fs::File;
use std::path::Path;

use profiles::definitions::Definitions;
use profiles::package::Package;

/// What a suite came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Cases that pass.
    pub passed: usize,
    /// Cases that fail: which, and how.
    pub failures: Vec<String>,
    /// Cases that do not apply: which, and why.
    pub not_applicable: Vec<String>,
}

impl Tally {
    /// Returns how many cases there are.
    pub fn cases(&self) -> usize {
        self.passed + self.failures.len() + self.not_applicable.len()
    }

    fn failed(&mut self, what: String) {
        self.failures.push(what);
    }

    fn not_applicable(&mut self, what: String) {
        self.not_applicable.push(what);
    }

    fn count(&mut self, is_right: bool, what: impl FnOnce() -> String) {
        if is_right { self.passed += 1 } else { self.failed(what()) }
    }
}

/// A suite.
pub struct Suite {
    /// Its name in the table.
    pub name: &'static str,
    /// What a case of it is.
    pub what: &'static str,
    /// Runs it on the test material.
    pub run: fn(&Path) -> Result<Tally, String>,
}

/// The suites.
pub const SUITES: &[Suite] = &[
    Suite {
        name: "json-round-trip",
        what: "an example of the R4 examples package read and written as JSON, equal as JSON values",
        run: examples::json_round_trip,
    },
    Suite {
        name: "xml-round-trip",
        what: "an example from JSON to XML to JSON, equal as JSON values",
        run: examples::xml_round_trip,
    },
    Suite {
        name: "search-parameters",
        what: "a search parameter of the R4 core package, its expression evaluated on every example",
        run: examples::search_parameters,
    },
    Suite { name: "json-patch", what: "a case of test-cases/r4/patch", run: patch::json_patch_suite },
    Suite { name: "fhirpath-patch", what: "a case of test-cases/r4/patch", run: patch::fhirpath_patch_suite },
    Suite { name: "fhirpath", what: "a case of test-cases/r4/fhirpath", run: fhirpath::run_suite },
    Suite {
        name: "snapshots",
        what: "a profile of the R4 core package, its snapshot generated anew ([snapshots.md](snapshots.md))",
        run: snapshots::run,
    },
    Suite {
        name: "valid-examples",
        what: "an example validated, with no error ([examples.md](examples.md))",
        run: valid_examples::run,
    },
    Suite {
        name: "validator-verdicts",
        what: "a validation of the reference validator's, the same verdict ([validator.md](validator.md))",
        run: validator::verdicts,
    },
    Suite { name: "validator-places", what: "the same, errors in the same places", run: validator::places },
    Suite {
        name: "nist-xds",
        what: "a plan of the NIST XDS Toolkit, executed against the running server ([xds.md](xds.md))",
        run: nist::run,
    },
];

/// The package of the specification's definitions.
pub const CORE: &str = "hl7.fhir.r4.core-4.0.1.tgz";

/// The package of its examples.
pub const EXAMPLES: &str = "hl7.fhir.r4.examples-4.0.1.tgz";

/// Reads a package of the specification.
///
/// # Errors
/// When it is absent or cannot be read.
pub fn package(testdata: &Path, name: &str) -> Result<Package, String> {
    let path = testdata.join("fhir").join(name);
    let file = File::open(&path).map_err(|_| absent(&path))?;
    Package::read(file).map_err(|e| e.to_string())
}

/// Returns the definitions of the core package.
///
/// # Errors
/// As [`package`].
pub fn core_definitions(testdata: &Path) -> Result<Definitions, String> {
    let mut definitions = Definitions::new();
    for resource in package(testdata, CORE)?.resources {
        definitions.add_resource(resource);
    }
    Ok(definitions)
}

/// Says that test material is absent.
fn absent(path: &Path) -> String {
    format!("absent: {}", path.file_name().unwrap_or_default().display())
}
