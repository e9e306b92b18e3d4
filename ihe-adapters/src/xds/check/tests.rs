use super::super::super::wire::ebrim::{ExternalIdentifier, LocalizedString, ObjectKind, Slot};
use super::super::vocabulary::{self as voc, FOLDER_NODE, SUBMISSION_SET_NODE};
use super::*;

const PATIENT: &str = "1^^^&1.2.3&ISO";

fn classification(scheme: &str, code: &str) -> Classification {
    let slot = Slot { name: "codingScheme".into(), slot_type: None, values: vec!["1.2".into()] };
    let name = vec![LocalizedString { lang: None, value: code.into() }];
    Classification {
        scheme: Some(scheme.into()),
        representation: code.into(),
        name,
        slots: vec![slot],
        ..Classification::default()
    }
}

fn node(node: &str) -> Classification {
    Classification { node: Some(node.into()), ..Classification::default() }
}

fn identifiers(all: &[(&str, &str)]) -> Vec<ExternalIdentifier> {
    let identifier = |(scheme, value): &(&str, &str)| ExternalIdentifier {
        scheme: (*scheme).into(),
        value: (*value).into(),
        ..ExternalIdentifier::default()
    };
    all.iter().map(identifier).collect()
}

/// A document with all that it needs.
pub(crate) fn document(id: &str, unique_id: &str) -> RegistryObject {
    let mut document = RegistryObject {
        id: id.into(),
        object_type: Some(STABLE.into()),
        mime_type: Some("text/plain".into()),
        classifications: [
            document_entry::CLASS_CODE,
            document_entry::CONFIDENTIALITY_CODE,
            document_entry::FORMAT_CODE,
            document_entry::FACILITY_TYPE_CODE,
            document_entry::PRACTICE_SETTING_CODE,
            document_entry::TYPE_CODE,
        ]
        .map(|scheme| classification(scheme, "c"))
        .into(),
        external_identifiers: identifiers(&[
            (document_entry::PATIENT_ID, PATIENT),
            (document_entry::UNIQUE_ID, unique_id),
        ]),
        ..RegistryObject::default()
    };
    for (name, value) in [
        ("creationTime", "2026"),
        ("languageCode", "it-IT"),
        ("hash", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ("size", "0"),
        ("repositoryUniqueId", "1.9"),
        ("sourcePatientId", PATIENT),
    ] {
        document.set_slot(name, vec![value.into()]);
    }
    document
}

fn association(id: &str, kind: &str, source: &str, target: &str) -> RegistryObject {
    let ends = Some(Ends { kind: kind.into(), source: source.into(), target: target.into() });
    RegistryObject { kind: ObjectKind::Association, id: id.into(), ends, ..RegistryObject::default() }
}

/// A submission of one document in one folder.
pub(crate) fn submission() -> Submission {
    let package = |id: &str, kind: &str| RegistryObject {
        kind: ObjectKind::RegistryPackage,
        id: id.into(),
        classifications: vec![node(kind)],
        ..RegistryObject::default()
    };
    let mut set = package("s", SUBMISSION_SET_NODE);
    set.classifications.push(classification(voc::submission_set::CONTENT_TYPE_CODE, "c"));
    set.set_slot("submissionTime", vec!["20260101".into()]);
    set.external_identifiers = identifiers(&[
        (voc::submission_set::PATIENT_ID, PATIENT),
        (voc::submission_set::SOURCE_ID, "1.3"),
        (voc::submission_set::UNIQUE_ID, "1.4.1"),
    ]);
    let mut folder = package("f", FOLDER_NODE);
    folder.classifications.push(classification(voc::folder::CODE, "c"));
    folder.name = vec![LocalizedString { lang: None, value: "Folder".into() }];
    folder.external_identifiers =
        identifiers(&[(voc::folder::PATIENT_ID, PATIENT), (voc::folder::UNIQUE_ID, "1.4.2")]);
    let mut member = association("a1", HAS_MEMBER, "s", "d");
    member.set_slot("SubmissionSetStatus", vec!["Original".into()]);
    Submission {
        submission_set: set,
        documents: vec![document("d", "1.4.3")],
        folders: vec![folder],
        associations: vec![
            member,
            association("a2", HAS_MEMBER, "s", "f"),
            association("a3", HAS_MEMBER, "f", "d"),
        ],
    }
}

fn told(submission: &Submission) -> Vec<String> {
    let told = |e: &RegistryError| format!("{} {} {}", e.code.text(), e.location, e.context);
    check(submission, Taker::Registry).iter().map(told).collect()
}

#[test]
fn a_submission_that_is_right_is_told_so() {
    assert_eq!(told(&submission()), Vec::<String>::new());
    let mut on_demand = submission();
    let document = &mut on_demand.documents[0];
    document.object_type = Some(ON_DEMAND.into());
    document.slots.retain(|slot| !matches!(slot.name.as_str(), "hash" | "size" | "creationTime"));
    assert_eq!(told(&on_demand), Vec::<String>::new());
}

#[test]
fn every_fault_is_told_with_its_place() {
    type Change = fn(&mut Submission);
    let cases: [(Change, &str); 21] = [
        (|s| s.documents[0].mime_type = None, "XDSRegistryMetadataError d/mimeType mimeType is missing"),
        (|s| s.documents[0].set_slot("hash", vec!["x".into()]), "d/hash hash `x` is no SHA-1"),
        (|s| s.documents[0].set_slot("size", vec!["-1".into()]), "d/size size `-1` is no number"),
        (|s| s.documents[0].set_slot("creationTime", vec!["20261".into()]), "d/creationTime"),
        (|s| s.documents[0].set_slot("languageCode", vec!["it_IT".into()]), "is no language"),
        (|s| s.documents[0].set_slot("size", vec!["1".into(), "2".into()]), "more than once"),
        (|s| s.documents[0].set_slot("URI", vec![]), "d/URI URI is a slot without a value"),
        (|s| s.documents[0].set_slot("sourcePatientInfo", vec!["PID-x|".into()]), "no field of PID"),
        (|s| s.documents[0].object_type = None, "d/objectType"),
        (
            |s| {
                s.documents[0].set_slot("serviceStartTime", vec!["20260102".into()]);
                s.documents[0].set_slot("serviceStopTime", vec!["20260101".into()]);
            },
            "later than serviceStopTime",
        ),
        (|s| s.documents[0].classifications[0].slots.clear(), "d/classCode classCode needs one slot"),
        (|s| s.documents[0].classifications[0].representation.clear(), "d/classCode classCode has no code"),
        (
            |s| s.folders[0].external_identifiers[0].value = "2^^^&1.2.3&ISO".into(),
            "XDSPatientIdDoesNotMatch f 2^^^&1.2.3&ISO is not",
        ),
        (
            |s| s.folders[0].external_identifiers[1].value = "1.4.3".into(),
            "XDSRegistryDuplicateUniqueIdInMessage f the unique id 1.4.3",
        ),
        (|s| s.folders[0].name.clear(), "f/title title is missing"),
        (|s| _ = s.associations.remove(0), "d/HasMember"),
        (|s| s.associations[0].slots.clear(), "a1/SubmissionSetStatus"),
        (
            |s| s.associations[2] = association("a3", HAS_MEMBER, "f", "nothing"),
            "UnresolvedReferenceException a3 nothing is nowhere",
        ),
        (
            |s| s.associations.push(association("a4", voc::REPLACES, "d", "f")),
            "UnresolvedReferenceException a4 the target f has to be registered",
        ),
        (|s| s.associations.push(association("a4", "urn:x", "d", "f")), "a4/associationType"),
        (|s| s.associations.push(association("a4", HAS_MEMBER, "s", "s")), "is no member of itself"),
    ];
    for (change, expected) in cases {
        let mut changed = submission();
        change(&mut changed);
        let told = told(&changed);
        assert!(told.len() == 1 && told[0].contains(expected), "{expected}: {told:?}");
    }
}

#[test]
fn who_knows_little_is_taken_by_recipients_alone() {
    let mut limited = submission();
    limited.limit();
    for object in limited.objects_mut() {
        object.classifications.retain(|c| c.scheme.is_none());
    }
    let document = &mut limited.documents[0];
    document.slots.clear();
    document.external_identifiers.retain(|i| i.scheme != voc::document_entry::PATIENT_ID);
    let told = |submission: &Submission, taker| check(submission, taker).len();
    assert_eq!(told(&limited, Taker::Recipient), 0, "{:?}", check(&limited, Taker::Recipient));
    assert!(told(&limited, Taker::Registry) > 5);
    limited.documents[0].mime_type = None;
    assert_eq!(told(&limited, Taker::Recipient), 1);
}

#[test]
fn symbols_become_ids_wherever_they_stand() {
    let mut submission = submission();
    submission.assign_ids();
    assert!(submission.objects().all(|object| is_uuid_urn(&object.id)));
    assert_eq!(told(&submission), Vec::<String>::new());
    let before = submission.clone();
    submission.assign_ids();
    assert_eq!(submission, before);
}

#[test]
fn one_submission_set_is_needed() {
    let objects: Vec<RegistryObject> = submission().objects().cloned().collect();
    assert!(Submission::of(objects.clone()).is_ok());
    for objects in [&objects[1..], &[objects.clone(), vec![objects[0].clone()]].concat()] {
        assert!(Submission::of(objects.to_vec()).is_err_and(|e| e[0].context.contains("one SubmissionSet")));
    }
    let mut unclassified = objects;
    unclassified[2].classifications.clear();
    assert!(Submission::of(unclassified).is_err());
}
