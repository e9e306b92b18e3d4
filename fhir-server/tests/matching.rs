//! Precision and recall of what is linked, on persons that are made up:
//! `lanterna bench matching` measures more of them (docs/conformance/matching.md).

use fhir_server::bench::matching::{MatchingOptions, run};
use fhir_server::identity::weights::Weights;

#[test]
fn who_is_linked_is_one_person() {
    let folder = tempfile::tempdir().expect("folder");
    let options = MatchingOptions {
        persons: 10_000,
        seed: 20_261_127,
        weights: Weights::built_in().expect("built in"),
        beside: folder.path().to_owned(),
    };
    let tally = run(&options).expect("measured");
    println!("{}", tally.text());
    assert!(tally.records > 14_000, "{} records", tally.records);
    assert!(tally.precision.value() >= 0.999, "{}", tally.text());
    assert!(tally.precision_of_persons.value() >= 0.999, "{}", tally.text());
    assert!(tally.recall_of_persons.value() >= 0.95, "{}", tally.text());
    // What is neither linked nor left to people is lost.
    assert!(tally.missed.value() < 0.01, "{}", tally.text());
}
