//! Fuzzing: official material, broken in every way, must never make a parser
//! or an engine panic or run past its limits.
//!
//! A target takes bytes and tells whether it accepted them. What is accepted
//! is kept as a seed, so that later inputs go deeper. The same seed number
//! makes the same inputs in the same order.

mod fhirpath;
mod hl7v2;
mod mapping;
mod messages;
mod mutate;
mod package;
mod resource;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use mutate::Mutator;

/// The greatest number of seeds kept.
const POOL_MAX: usize = 20_000;

/// What limits must end sooner: a case that takes longer is a failure.
const CASE_MAX: Duration = Duration::from_secs(20);

/// The greatest number of failures told before a run ends.
const FAILURES_MAX: usize = 10;

/// What is fuzzed.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for a reader.
    pub what: &'static str,
    /// Words that inputs are made of, put in by mutation.
    dictionary: &'static [&'static str],
    prepare: fn(&Path) -> Result<Prepared, String>,
}

/// Takes an input; tells whether it was accepted.
type Take = Box<dyn Fn(&[u8]) -> bool>;

/// A target with the material that it works on.
struct Prepared {
    seeds: Vec<Vec<u8>>,
    take: Take,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "fhirpath",
        what: "expressions of the official suite and of invariants: parsed, checked, evaluated",
        dictionary: fhirpath::WORDS,
        prepare: fhirpath::prepare,
    },
    Target {
        name: "mapping",
        what: "the official maps: parsed, compiled, run over CDA documents",
        dictionary: mapping::WORDS,
        prepare: mapping::prepare,
    },
    Target {
        name: "cda",
        what: "CDA documents: read, and transformed by an official map",
        dictionary: mapping::XML_WORDS,
        prepare: mapping::prepare_documents,
    },
    Target {
        name: "package",
        what: "package archives: read, installed, listed, asked for definitions",
        dictionary: package::WORDS,
        prepare: package::prepare,
    },
    Target {
        name: "json",
        what: "resources in JSON: read, written, validated, their terminology and snapshots made",
        dictionary: resource::JSON_WORDS,
        prepare: resource::prepare_json,
    },
    Target {
        name: "xml",
        what: "resources in XML: read, written as JSON and XML, read again the same",
        dictionary: resource::XML_WORDS,
        prepare: resource::prepare_xml,
    },
    Target {
        name: "soap",
        what: "messages of IHE: envelopes, queries, submissions, subscriptions; read, checked, written",
        dictionary: messages::SOAP_WORDS,
        prepare: messages::prepare_soap,
    },
    Target {
        name: "hl7v3",
        what: "messages of HL7 v3: wrappers and queries read, persons made Patients and written again",
        dictionary: messages::HL7_V3_WORDS,
        prepare: messages::prepare_hl7v3,
    },
    Target {
        name: "multipart",
        what: "messages of several parts, as they arrive: at once and byte by byte the same",
        dictionary: messages::MULTIPART_WORDS,
        prepare: messages::prepare_multipart,
    },
    Target {
        name: "saml",
        what: "assertions about users: nobody is believed whom nobody trusted has signed for",
        dictionary: messages::SOAP_WORDS,
        prepare: messages::prepare_saml,
    },
    Target {
        name: "dicom",
        what: "DICOM files: read, and seen as manifests of studies",
        dictionary: messages::DICOM_WORDS,
        prepare: messages::prepare_dicom,
    },
    Target {
        name: "hl7v2",
        what: "messages of HL7 v2: written as they were read, acknowledged, changed without a segment more",
        dictionary: hl7v2::WORDS,
        prepare: hl7v2::prepare,
    },
    Target {
        name: "mllp",
        what: "frames of HL7 v2, as they arrive: at once and byte by byte the same",
        dictionary: hl7v2::WORDS,
        prepare: hl7v2::prepare_frames,
    },
];

/// How a run went.
#[derive(Debug, Default)]
pub struct Report {
    /// The inputs taken.
    pub cases: u64,
    /// Those that were accepted.
    pub accepted: u64,
    /// The longest that one took.
    pub longest: Duration,
    /// Inputs that made the target panic, or run too long, and what happened.
    pub failures: Vec<(Vec<u8>, String)>,
}

/// Fuzzes a target for a time. `progress` is told the cases taken so far.
///
/// # Errors
/// When the material is not at hand.
pub fn run(
    target: &Target,
    testdata: &Path,
    time: Duration,
    seed: u64,
    mut progress: impl FnMut(&Report),
) -> Result<Report, String> {
    let Prepared { mut seeds, take } = (target.prepare)(testdata)?;
    if seeds.is_empty() {
        return Err(format!("no material for {}", target.name));
    }
    let mut report = Report::default();
    let mut mutator = Mutator::new(seed, target.dictionary);
    let started = Instant::now();
    while started.elapsed() < time && report.failures.len() < FAILURES_MAX {
        let input = mutator.next(&seeds);
        let began = Instant::now();
        // What a target works on is only read: a panic leaves nothing half done.
        let taken = catch_unwind(AssertUnwindSafe(|| take(&input)));
        let took = began.elapsed();
        report.cases += 1;
        report.longest = report.longest.max(took);
        match taken {
            Err(panic) => report.failures.push((input, said(&*panic))),
            Ok(_) if took > CASE_MAX => report.failures.push((input, format!("took {took:?}"))),
            Ok(true) => {
                report.accepted += 1;
                if seeds.len() < POOL_MAX {
                    seeds.push(input);
                } else if let Some(place) = mutator.place(seeds.len()) {
                    seeds[place] = input;
                }
            }
            Ok(false) => {}
        }
        if report.cases.is_multiple_of(64) {
            progress(&report);
        }
    }
    Ok(report)
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
