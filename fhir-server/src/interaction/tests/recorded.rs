//! What cannot be recorded is not answered.

use fhir_model::interaction::{Interaction, Performed, ReadRequest, ResourceKey};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use ihe_adapters::atna::Recorder;
use serde_json::json;

use super::running::Running;
use crate::interaction::recording::{Recorded, Recording};

/// More reads than a database without room takes records of.
const READS_MAX: usize = 20_000;

fn recorded(running: Running, recorded: Recorded) -> Running {
    let recorder = Recorder { source_id: "genova".to_owned(), enterprise_site: None };
    Running { server: running.server.recorded(Recording::new(recorder, recorded)), ..running }
}

fn read(running: &Running, id: &str) -> Result<Performed, Issue> {
    let key = ResourceKey { resource_type: ty::PATIENT, id: ResourceId::parse(id).expect("an id") };
    running.perform(Interaction::Read(ReadRequest { key, if_none_match: None, if_modified_since: None }))
}

#[test]
fn a_full_disk_keeps_answers_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = recorded(Running::start(folder.path()), Recorded::All);
    running.put(&json!({ "resourceType": "Patient", "id": "p" })).expect("stored");
    running.server.store().limit_size(Some(1));
    let refused = (0..READS_MAX).find_map(|_| read(&running, "p").err()).expect("a refusal");
    assert_eq!(refused.code, IssueType::Transient, "{refused}");
    assert!(refused.diagnostics.contains("cannot be recorded"), "{refused}");
    // What fails anyhow is told as it is.
    assert_eq!(read(&running, "none").expect_err("nobody").code, IssueType::NotFound);
    running.server.store().limit_size(None);
    read(&running, "p").expect("recorded, and answered");
}

#[test]
fn what_is_not_asked_for_is_not_recorded() {
    let folder = tempfile::tempdir().expect("a folder");
    let running = recorded(Running::start(folder.path()), Recorded::Documents);
    running.put(&json!({ "resourceType": "Patient", "id": "p" })).expect("stored");
    let commits = || {
        let (statistics, _) = running.server.store().statistics();
        statistics.commits.load(std::sync::atomic::Ordering::Relaxed)
    };
    let before = commits();
    read(&running, "p").expect("read");
    assert_eq!(commits(), before, "a read of what is no document writes nothing");
}
