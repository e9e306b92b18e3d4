use std::path::{Path, PathBuf};

use fhir_model::json;
use fhir_model::schema::ty;
use fhir_model::tree::Resource;
use proptest::prelude::*;

use super::*;
use crate::wire::ebrim::{Classification, Ends, ExternalIdentifier, ObjectKind, read_objects};
use crate::wire::namespaces::RIM;
use crate::wire::xml::{self, Limits};
use crate::xds::submission::Submission;
use crate::xds::vocabulary::{
    APPROVED, DEPRECATED, FOLDER_NODE, HAS_MEMBER, REPLACES, STABLE, SUBMISSION_SET_NODE,
    TRANSFORMS_AND_REPLACES, document_entry, folder, submission_set,
};

/// Leaves out what need not be kept.
fn normalized(mut object: RegistryObject) -> RegistryObject {
    object.external_identifiers.iter_mut().for_each(|identifier| {
        identifier.id = None;
        identifier.name.clear();
    });
    if object.kind == ObjectKind::RegistryPackage {
        // There is but one for it.
        object.object_type = None;
    }
    object.external_identifiers.sort_by(|a, b| a.scheme.cmp(&b.scheme));
    let slots = |slots: &mut Vec<Slot>| {
        slots.iter_mut().for_each(|slot| {
            slot.slot_type = None;
            slot.values.retain(|value| !value.is_empty());
        });
        slots.retain(|slot| !slot.values.is_empty());
        slots.sort_by(|a, b| a.name.cmp(&b.name));
        // A slot that comes twice is refused before.
        slots.dedup_by(|a, b| a.name == b.name);
    };
    slots(&mut object.slots);
    let names = |names: &mut Vec<LocalizedString>| names.retain(|name| !name.value.is_empty());
    names(&mut object.name);
    names(&mut object.description);
    for classification in &mut object.classifications {
        classification.id = None;
        // An author has parts and no code, a node says all by itself.
        if classification.scheme.as_deref().is_some_and(is_author) || classification.node.is_some() {
            classification.representation.clear();
            classification.name.clear();
        }
        slots(&mut classification.slots);
        names(&mut classification.name);
    }
    object
        .classifications
        .retain(|c| c.node.is_some() || !c.slots.is_empty() || !c.representation.is_empty());
    object.classifications.sort_by_key(|c| (c.scheme.clone(), c.node.clone(), c.representation.clone()));
    object
}

fn is_author(scheme: &str) -> bool {
    [document_entry::AUTHOR, submission_set::AUTHOR].contains(&scheme)
}

fn read(resource: &Value) -> Resource {
    json::read(resource.to_string()).unwrap_or_else(|error| panic!("{error}: {resource:#}"))
}

fn document_comes_back(object: &RegistryObject) -> Result<Resource, String> {
    let places = Places { patient: Some("Patient/p".into()), document: Some("Binary/b".into()) };
    let resource = read(&document_reference(object, &[], &places));
    let (back, sent) = (normalized(registered_document(resource.root(), None)), normalized(object.clone()));
    if back == sent { Ok(resource) } else { Err(format!("{sent:#?}\n became {back:#?}")) }
}

fn package_comes_back(object: &RegistryObject) -> Result<Resource, String> {
    let resource = read(&list(object, &[], &Places::default()));
    let back = registered_package(resource.root(), None).ok_or("no package")?;
    let (back, sent) = (normalized(back), normalized(object.clone()));
    if back == sent { Ok(resource) } else { Err(format!("{sent:#?}\n became {back:#?}")) }
}

/// Gathers the lists of registry objects that stand anywhere in a message.
fn object_lists<'e>(element: &'e xml::Element, found: &mut Vec<&'e xml::Element>) {
    let has_objects = element
        .elements()
        .any(|e| &*e.namespace == RIM && matches!(&*e.local, "ExtrinsicObject" | "RegistryPackage"));
    if has_objects {
        found.push(element);
    }
    element.elements().for_each(|child| object_lists(child, found));
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "xml") {
            found.push(path);
        }
    }
}

#[test]
fn what_other_stacks_submit_comes_back() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe");
    if !samples.exists() {
        println!("absent, passed over: {}", samples.display());
        return;
    }
    let mut paths = Vec::new();
    files(&samples.join("xds-samples"), &mut paths);
    files(&samples.join("toolkit2"), &mut paths);
    let (mut documents, mut packages) = (0, 0);
    for path in paths {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("readable")).into_owned();
        // The toolkit keeps its submissions in the version of before.
        let text = text
            .replace("urn:oasis:names:tc:ebxml-regrep:rim:xsd:2.1", RIM)
            .replace("LeafRegistryObjectList", "RegistryObjectList");
        let Ok(root) = xml::Element::parse(text.as_bytes(), &Limits::default()) else { continue };
        let mut lists = Vec::new();
        object_lists(&root, &mut lists);
        for objects in lists.into_iter().filter_map(|list| read_objects(list).ok()) {
            let Ok(mut submission) = Submission::of(objects) else { continue };
            submission.assign_ids();
            for object in submission.described() {
                let mut object = object.clone();
                // What registration gives to each.
                object.status = Some(APPROVED.to_owned());
                object.logical_id = Some(object.logical_id.unwrap_or_else(|| object.id.clone()));
                if object.kind == ObjectKind::ExtrinsicObject {
                    documents += 1;
                    object.object_type.get_or_insert_with(|| STABLE.to_owned());
                    document_comes_back(&object).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                } else {
                    packages += 1;
                    package_comes_back(&object).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                }
            }
        }
    }
    println!("{documents} documents and {packages} packages came back");
    assert!(documents > 400 && packages > 400, "{documents} documents, {packages} packages");
}

fn association(id: &str, kind: &str, source: &str, target: &str, status: Option<&str>) -> RegistryObject {
    let mut association = RegistryObject {
        kind: ObjectKind::Association,
        id: id.into(),
        logical_id: Some(id.into()),
        status: Some(APPROVED.into()),
        ends: Some(Ends { kind: kind.into(), source: source.into(), target: target.into() }),
        ..RegistryObject::default()
    };
    if let Some(status) = status {
        association.set_slot("SubmissionSetStatus", vec![status.into()]);
    }
    association
}

const A: &str = "urn:uuid:00000000-0000-4000-8000-00000000000a";
const B: &str = "urn:uuid:00000000-0000-4000-8000-00000000000b";
const C: &str = "urn:uuid:00000000-0000-4000-8000-00000000000c";
const D: &str = "urn:uuid:00000000-0000-4000-8000-00000000000d";

#[test]
fn associations_come_back() {
    let document = RegistryObject { id: A.into(), ..RegistryObject::default() };
    let mut related =
        [association(B, REPLACES, A, C, None), association(C, TRANSFORMS_AND_REPLACES, A, D, None)];
    related[1].status = Some(DEPRECATED.into());
    let resource =
        read(&document_reference(&document, &related.iter().collect::<Vec<_>>(), &Places::default()));
    let codes: Vec<_> =
        resource.root().children_named(name::RELATES_TO).filter_map(|r| r.text_of(name::CODE)).collect();
    assert_eq!(codes, ["replaces", "replaces"]);
    assert_eq!(relationships(resource.root()), related);

    let node = Classification { node: Some(SUBMISSION_SET_NODE.into()), ..Classification::default() };
    let set = RegistryObject {
        kind: ObjectKind::RegistryPackage,
        id: A.into(),
        classifications: vec![node],
        ..RegistryObject::default()
    };
    let mut members = [
        association(B, HAS_MEMBER, A, C, Some("Original")),
        association(C, HAS_MEMBER, A, D, Some("Reference")),
        association(D, HAS_MEMBER, A, B, None),
    ];
    members[1].status = Some(DEPRECATED.into());
    let of_type = [Some("DocumentReference"), Some("List"), None];
    let entries: Vec<Member<'_>> = members
        .iter()
        .zip(of_type)
        .map(|(association, resource_type)| Member { association, resource_type })
        .collect();
    let resource = read(&list(&set, &entries, &Places::default()));
    assert_eq!(memberships(resource.root()), members);
    assert_eq!(resource.root().children_named(name::ENTRY).count(), 2);

    // Their status changes where they stand; nowhere else.
    let mut value = list(&set, &entries, &Places::default());
    members[1].status = Some(APPROVED.into());
    assert!(set_association_status(&mut value, &members[1]));
    assert_eq!(memberships(read(&value).root()), members);
    members[0].status = Some(DEPRECATED.into());
    assert!(set_association_status(&mut value, &members[0]));
    assert_eq!(memberships(read(&value).root()), members);
    assert!(!set_association_status(&mut value, &association(A, HAS_MEMBER, A, C, None)));
}

#[test]
fn what_came_by_fhir_has_the_metadata_that_it_says() {
    let resource = read(&json!({
        "resourceType": "DocumentReference", "id": "00000000-0000-4000-8000-00000000000a",
        "contained": [
            { "resourceType": "Practitioner", "id": "p", "identifier": [{ "system": "urn:oid:1.2", "value": "7" }],
              "name": [{ "family": "Rossi", "given": ["Maria"] }] },
            { "resourceType": "Patient", "id": "s", "name": [{ "family": "Bianchi", "given": ["Ugo"] }], "gender": "male",
              "birthDate": "1970-02-01" },
        ],
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3" },
        "status": "superseded",
        "type": { "coding": [{ "system": "http://loinc.org", "code": "34105-7", "display": "Discharge" }] },
        "author": [{ "reference": "#p" }, { "display": "Ospedale" }],
        "relatesTo": [{ "code": "appends", "target": { "reference": "DocumentReference/00000000-0000-4000-8000-00000000000b" } }],
        "content": [{ "attachment": { "contentType": "application/pdf", "hash": "2jmj7l5rSw0yVb/vlWAYkK/YBwk=",
            "size": 7, "creation": "2026-01-02T03:04:05+01:00", "title": "Lettera" } }],
        "context": { "sourcePatientInfo": { "reference": "#s" },
            "encounter": [{ "identifier": { "system": "urn:oid:1.5", "value": "E1" } }] },
    }));
    let object = registered_document(resource.root(), Some("1^^^&1.9&ISO"));
    assert_eq!((object.id.as_str(), object.status.as_deref()), (A, Some(DEPRECATED)));
    let type_code = object.classified_by(document_entry::TYPE_CODE).next().expect("a type");
    assert_eq!(
        (type_code.representation.as_str(), type_code.slot("codingScheme")),
        ("34105-7", &["http://loinc.org".to_owned()][..])
    );
    let authors: Vec<&[String]> =
        object.classified_by(document_entry::AUTHOR).map(|a| a.slot("authorPerson")).collect();
    assert_eq!(authors, [["7^Rossi^Maria^^^^^^&1.2&ISO"], ["^Ospedale"]]);
    for (slot, values) in [
        ("hash", &["da39a3ee5e6b4b0d3255bfef95601890afd80709"][..]),
        ("size", &["7"]),
        ("creationTime", &["20260102020405"]),
        ("sourcePatientInfo", &["PID-5|Bianchi^Ugo^", "PID-7|19700201", "PID-8|M"]),
        ("urn:ihe:iti:xds:2013:referenceIdList", &["E1^^^&1.5&ISO^urn:ihe:iti:xds:2015:encounterId"]),
    ] {
        assert_eq!(object.slot(slot), values, "{slot}");
    }
    assert_eq!(object.identifier(document_entry::UNIQUE_ID), Some("1.2.3"));
    assert_eq!(object.identifier(document_entry::PATIENT_ID), Some("1^^^&1.9&ISO"));
    let ends = relationships(resource.root()).pop().and_then(|r| r.ends).expect("a relationship");
    assert_eq!(
        (ends.kind.as_str(), ends.source.as_str(), ends.target.as_str()),
        (crate::xds::vocabulary::APPENDS, A, B)
    );
}

#[test]
fn a_change_by_fhir_stands_before_what_was_sent() {
    let mut object =
        RegistryObject { id: A.into(), object_type: Some(STABLE.into()), ..RegistryObject::default() };
    object.set_slot("creationTime", vec!["202601020304".into()]);
    let mut resource = document_reference(&object, &[], &Places::default());
    let time = |resource: &Value| {
        registered_document(read(resource).root(), None).slot_value("creationTime").map(str::to_owned)
    };
    assert_eq!(time(&resource).as_deref(), Some("202601020304"));
    resource["content"][0]["attachment"]["creation"] = json!("2027-01-01T00:00:00Z");
    assert_eq!(time(&resource).as_deref(), Some("20270101000000"));
}

fn text() -> impl Strategy<Value = String> {
    "[A-Za-z0-9è&<\"^.-][ -~è]{0,12}[A-Za-z0-9]"
}

fn names() -> impl Strategy<Value = Vec<LocalizedString>> {
    let string = (proptest::option::of("[a-z]{2}(-[A-Z]{2})?"), text());
    proptest::collection::vec(string.prop_map(|(lang, value)| LocalizedString { lang, value }), 0..3)
}

fn slot(name: impl Strategy<Value = String>) -> impl Strategy<Value = Slot> {
    (name, proptest::collection::vec(text(), 1..3)).prop_map(|(name, values)| Slot {
        name,
        slot_type: None,
        values,
    })
}

fn code(scheme: &'static str) -> impl Strategy<Value = Classification> {
    let system = prop_oneof![
        Just("1.2.3".to_owned()),
        Just("urn:oid:1.2".to_owned()),
        Just("http://loinc.org".to_owned()),
        text()
    ];
    (
        system,
        "[A-Za-z0-9][A-Za-z0-9 .-]{0,8}[A-Z]",
        names(),
        proptest::option::of(slot(Just("urn:extra".to_owned()))),
    )
        .prop_map(move |(system, code, name, more)| {
            let mut slots = vec![Slot { name: "codingScheme".into(), slot_type: None, values: vec![system] }];
            slots.extend(more);
            Classification {
                scheme: Some(scheme.into()),
                representation: code.split(' ').filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" "),
                name,
                slots,
                ..Classification::default()
            }
        })
}

fn author(scheme: &'static str) -> impl Strategy<Value = Classification> {
    proptest::sample::subsequence(
        vec!["authorPerson", "authorInstitution", "authorRole", "authorSpecialty", "authorTelecommunication"],
        1..=5,
    )
    .prop_flat_map(|names| names.into_iter().map(|name| slot(Just(name.to_owned()))).collect::<Vec<_>>())
    .prop_map(move |slots| Classification {
        scheme: Some(scheme.into()),
        slots,
        ..Classification::default()
    })
}

fn dtm() -> impl Strategy<Value = String> {
    ("(19|20)[0-9]{2}", 0..6_usize).prop_map(|(year, parts)| {
        let all = [year.as_str(), "02", "28", "23", "59", "58"];
        all[..=parts].concat()
    })
}

prop_compose! {
    fn document()(
        id in "[0-9a-f]{12}",
        (title, comments) in (names(), names()),
        codes in (code(document_entry::CLASS_CODE), code(document_entry::TYPE_CODE), code(document_entry::FORMAT_CODE),
            code(document_entry::FACILITY_TYPE_CODE), code(document_entry::PRACTICE_SETTING_CODE)),
        more in proptest::collection::vec(prop_oneof![
            code(document_entry::CONFIDENTIALITY_CODE), code(document_entry::EVENT_CODE), code("urn:uuid:unknown"),
            author(document_entry::AUTHOR)], 0..4),
        times in (proptest::option::of(dtm()), proptest::option::of(dtm()), proptest::option::of(dtm())),
        (person, size, hash) in (proptest::option::of(text()), 0..u64::from(u32::MAX), "[0-9a-fA-F]{40}"),
        patient in prop_oneof![Just("1^^^&1.2.3&ISO"), Just("1^^^name&1.2.3&ISO^PI"), Just("not a CX")],
        unique in prop_oneof![Just("1.2.3"), Just("1.2^abc"), Just("urn:uuid:1"), Just("other")],
        references in proptest::collection::vec(prop_oneof![
            Just("E1^^^&1.5&ISO^urn:ihe:iti:xds:2015:encounterId".to_owned()), text()], 0..3),
        extra in proptest::collection::vec(slot("urn:x:[a-z]{3}"), 0..2),
        home in proptest::option::of(Just("urn:oid:1.2".to_owned())),
        is_first in any::<bool>(),
    ) -> RegistryObject {
        let id = format!("urn:uuid:00000000-0000-4000-8000-{id}");
        let mut object = RegistryObject {
            logical_id: Some(if is_first { id.clone() } else { D.to_owned() }), id, home, object_type: Some(STABLE.into()), status: Some(APPROVED.into()),
            mime_type: Some("text/plain".into()), name: title, description: comments, slots: extra,
            classifications: [vec![codes.0, codes.1, codes.2, codes.3, codes.4], more].concat(),
            ..RegistryObject::default()
        };
        let mut seen = std::collections::HashSet::new();
        object.slots.retain(|slot| seen.insert(slot.name.clone()));
        for (name, value) in [("creationTime", times.0), ("serviceStartTime", times.1), ("serviceStopTime", times.2),
            ("legalAuthenticator", person), ("size", Some(size.to_string())), ("hash", Some(hash)),
            ("sourcePatientId", Some(patient.to_owned()))] {
            if let Some(value) = value {
                object.set_slot(name, vec![value]);
            }
        }
        // An encounter comes before other references.
        let (first, rest): (Vec<_>, Vec<_>) = references.into_iter().partition(|r| r.contains("encounterId"));
        object.set_slot("urn:ihe:iti:xds:2013:referenceIdList", [first, rest].concat());
        object.set_slot("sourcePatientInfo", vec!["PID-5|Rossi^Maria".into(), "PID-8|F".into()]);
        for (scheme, value) in [(document_entry::PATIENT_ID, patient), (document_entry::UNIQUE_ID, unique)] {
            let value = value.to_owned();
            object.external_identifiers.push(ExternalIdentifier { scheme: scheme.into(), value, ..ExternalIdentifier::default() });
        }
        object
    }
}

prop_compose! {
    fn package()(
        (is_folder, is_first) in any::<(bool, bool)>(),
        (title, comments) in (names(), names()),
        codes in proptest::collection::vec(code("code"), 1..3),
        authors in proptest::collection::vec(author(submission_set::AUTHOR), 0..3),
        time in dtm(),
        recipients in proptest::option::of(slot(Just("intendedRecipient".to_owned()))),
    ) -> RegistryObject {
        let (node, scheme, patient, unique, slot) = if is_folder {
            (FOLDER_NODE, folder::CODE, folder::PATIENT_ID, folder::UNIQUE_ID, "lastUpdateTime")
        } else {
            (SUBMISSION_SET_NODE, submission_set::CONTENT_TYPE_CODE, submission_set::PATIENT_ID,
                submission_set::UNIQUE_ID, "submissionTime")
        };
        let mut object = RegistryObject {
            kind: ObjectKind::RegistryPackage, id: A.into(), logical_id: Some(if is_first { A } else { D }.into()),
            status: Some(APPROVED.into()), name: title, description: comments,
            slots: recipients.into_iter().collect(),
            classifications: codes.into_iter().map(|c| Classification { scheme: Some(scheme.into()), ..c }).chain(authors)
                .chain([Classification { node: Some(node.into()), ..Classification::default() }]).collect(),
            ..RegistryObject::default()
        };
        object.set_slot(slot, vec![time]);
        for (scheme, value) in [(patient, "1^^^&1.2.3&ISO"), (unique, "1.2.4"), (submission_set::SOURCE_ID, "1.2.5")] {
            if scheme != submission_set::SOURCE_ID || !is_folder {
                let value = value.to_owned();
                object.external_identifiers.push(ExternalIdentifier { scheme: scheme.into(), value, ..ExternalIdentifier::default() });
            }
        }
        object
    }
}

proptest! {
    #[test]
    fn a_document_comes_back_as_it_was(object in document()) {
        let resource = document_comes_back(&object).map_err(TestCaseError::fail)?;
        prop_assert_eq!(resource.resource_type(), ty::DOCUMENT_REFERENCE);
    }

    #[test]
    fn a_package_comes_back_as_it_was(object in package()) {
        package_comes_back(&object).map_err(TestCaseError::fail)?;
    }
}
