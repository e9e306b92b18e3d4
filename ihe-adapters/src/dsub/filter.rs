//! Which objects a subscription means: the parameters of a stored query.
//!
//! Spec: ITI TF-2 3.52.5.2

use crate::wire::ebrim::{ObjectKind, RegistryObject};
use crate::wire::soap::{Fault, Notification};
use crate::wire::xml::Element;
use crate::xds::attributes::Of;
use crate::xds::check::patient_id;
use crate::xds::registry::stored_query::{Parameters, holds};
use crate::xds::values::Cx;
use crate::xds::vocabulary::{FOLDER_NODE, SUBMISSION_SET_NODE};

/// A kind of filter.
struct Kind {
    /// Its ids, without `urn:uuid:`: that of DSUB, and those of the stored queries that it follows.
    ids: &'static [&'static str],
    of: Of,
    /// The parameter that names the patient; `None` where it is about all of them.
    patient: Option<&'static str>,
    /// What all its parameters begin with.
    prefix: &'static str,
    /// How its other parameters go on.
    parameters: &'static [&'static str],
}

const OF_DOCUMENTS: &[&str] = &[
    "ClassCode",
    "TypeCode",
    "ReferenceIdList",
    "PracticeSettingCode",
    "HealthcareFacilityTypeCode",
    "EventCodeList",
    "ConfidentialityCode",
    "FormatCode",
    "AuthorPerson",
    "Status",
];
const OF_SUBMISSION_SETS: &[&str] = &["SourceId", "AuthorPerson", "IntendedRecipient", "Status"];
const OF_FOLDERS: &[&str] = &["CodeList", "Status"];

const KINDS: &[Kind] = &[
    Kind {
        ids: &[
            "aa2332d0-f8fe-11e0-be50-0800200c9a66",
            "14d4debf-8f97-4251-9a74-a90016b0af0d",
            "12941a89-e02e-4be5-967c-ce4bfc8fe492",
        ],
        of: Of::DocumentEntry,
        patient: Some("$XDSDocumentEntryPatientId"),
        prefix: "$XDSDocumentEntry",
        parameters: OF_DOCUMENTS,
    },
    Kind {
        ids: &["742790e0-aba6-43d6-9f1f-e43ed9790b79"],
        of: Of::DocumentEntry,
        patient: None,
        prefix: "$XDSDocumentEntry",
        parameters: OF_DOCUMENTS,
    },
    Kind {
        ids: &["fbede94e-dbdc-4f6b-bc1f-d730e677cece", "f26abbcb-ac74-4422-8a30-edb644bbc1a9"],
        of: Of::SubmissionSet,
        patient: Some("$XDSSubmissionSetPatientId"),
        prefix: "$XDSSubmissionSet",
        parameters: OF_SUBMISSION_SETS,
    },
    Kind {
        ids: &["868cad3d-ec09-4565-b66c-1be10d034399"],
        of: Of::SubmissionSet,
        patient: None,
        prefix: "$XDSSubmissionSet",
        parameters: OF_SUBMISSION_SETS,
    },
    Kind {
        ids: &["9376254e-da05-41f5-9af3-ac56d63d8ebd", "958f3006-baad-4929-a4de-ff1114824431"],
        of: Of::Folder,
        patient: Some("$XDSFolderPatientId"),
        prefix: "$XDSFolder",
        parameters: OF_FOLDERS,
    },
];

/// Which objects are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The `AdhocQuery` as it was sent.
    query: Element,
    of: Of,
    patient: Option<Cx>,
    parameters: Parameters,
}

impl Filter {
    /// Reads an `AdhocQuery`.
    ///
    /// # Errors
    /// A fault, when it is none that can be understood.
    pub fn of(query: &Element) -> Result<Filter, Fault> {
        let invalid = |why: String| Fault::notification(Notification::InvalidFilter, why);
        let id = query.attribute("id").unwrap_or_default().trim_start_matches("urn:uuid:");
        let kind = KINDS.iter().find(|kind| kind.ids.contains(&id));
        let kind = kind.ok_or_else(|| invalid(format!("no subscription has the filter `{}`", clip(id))))?;
        let parameters = Parameters::of(query).map_err(|error| invalid(error.context))?;
        for name in parameters.names() {
            let rest = name.strip_prefix(kind.prefix);
            let is_known = rest.is_some_and(|rest| kind.parameters.contains(&rest));
            if !is_known && Some(name) != kind.patient {
                return Err(invalid(format!("this filter has no parameter `{}`", clip(name))));
            }
        }
        let patient = match kind.patient {
            Some(name) => {
                let given = parameters.required(name).map_err(|error| invalid(error.context))?;
                let cx = Cx::parse(given);
                Some(cx.ok_or_else(|| invalid(format!("{name} is no identifier such as id^^^&oid&ISO")))?)
            }
            None if parameters.names().next().is_none() => {
                return Err(invalid("a filter for all patients needs a further parameter".to_owned()));
            }
            None => None,
        };
        Ok(Filter { query: query.clone(), of: kind.of, patient, parameters })
    }

    /// Returns the `AdhocQuery` as it was sent.
    pub fn query(&self) -> &Element {
        &self.query
    }

    /// Returns the sort of objects that are meant.
    pub(crate) fn sort(&self) -> Of {
        self.of
    }

    /// Returns the patient who is meant; `None` for all.
    pub fn patient(&self) -> Option<&Cx> {
        self.patient.as_ref()
    }

    /// Tells whether an object is meant. `patients`: what its patient is known by.
    pub fn matches(&self, object: &RegistryObject, patients: &[Cx]) -> bool {
        let is_of_patient = self.patient.as_ref().is_none_or(|patient| {
            patients.contains(patient) || patient_id(object).and_then(Cx::parse).as_ref() == Some(patient)
        });
        sort_of(object) == Some(self.of)
            && is_of_patient
            && holds(object, self.of, &self.parameters)
            && self.is_for_recipient(object)
    }

    /// Tells whether a submission set is for one of the recipients that are asked for: of an
    /// organization, a person and an address, each may be.
    fn is_for_recipient(&self, object: &RegistryObject) -> bool {
        let asked = self.parameters.values("$XDSSubmissionSetIntendedRecipient");
        let is_one = |recipient: &String| {
            asked.contains(&recipient.as_str()) || recipient.split('|').any(|part| asked.contains(&part))
        };
        asked.is_empty() || object.slot("intendedRecipient").iter().any(is_one)
    }
}

/// Returns the sort of an object; `None` for an association.
fn sort_of(object: &RegistryObject) -> Option<Of> {
    match object.kind {
        ObjectKind::ExtrinsicObject => Some(Of::DocumentEntry),
        ObjectKind::RegistryPackage if object.is_of_node(SUBMISSION_SET_NODE) => Some(Of::SubmissionSet),
        ObjectKind::RegistryPackage if object.is_of_node(FOLDER_NODE) => Some(Of::Folder),
        ObjectKind::RegistryPackage | ObjectKind::Association => None,
    }
}

fn clip(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ebrim::{Classification, ExternalIdentifier};
    use crate::wire::namespaces::RIM;
    use crate::xds::vocabulary::{document_entry, submission_set};

    const DOCUMENTS: &str = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66";
    const ALL_DOCUMENTS: &str = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79";
    const SETS: &str = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece";
    const PATIENT: &str = "'P1^^^&1.2.3&ISO'";

    fn query(id: &str, parameters: &[(&str, &str)]) -> Element {
        let slots = parameters.iter().map(|(name, value)| {
            let value = Element::new(RIM, "Value").with_text(*value);
            let list = Element::new(RIM, "ValueList").with_child(value);
            Element::new(RIM, "Slot").with_attribute("name", *name).with_child(list)
        });
        Element::new(RIM, "AdhocQuery").with_attribute("id", id).with_children(slots)
    }

    fn document() -> RegistryObject {
        let mut code = Classification {
            scheme: Some(document_entry::CLASS_CODE.to_owned()),
            representation: "REPORT".to_owned(),
            ..Classification::default()
        };
        code.slots.push(crate::wire::ebrim::Slot {
            name: "codingScheme".to_owned(),
            slot_type: None,
            values: vec!["1.2".to_owned()],
        });
        RegistryObject {
            classifications: vec![code],
            external_identifiers: vec![ExternalIdentifier {
                scheme: document_entry::PATIENT_ID.to_owned(),
                value: "P1^^^&1.2.3&ISO".to_owned(),
                ..ExternalIdentifier::default()
            }],
            ..RegistryObject::default()
        }
    }

    #[test]
    fn what_is_meant_is_what_the_query_would_find() {
        let patient = ("$XDSDocumentEntryPatientId", PATIENT);
        let class = |code: &'static str| ("$XDSDocumentEntryClassCode", code);
        for (query, expected) in [
            (query(DOCUMENTS, &[patient]), true),
            (query(DOCUMENTS, &[patient, class("('REPORT^^1.2')")]), true),
            (query(DOCUMENTS, &[patient, class("('OTHER^^1.2','REPORT^^1.2')")]), true),
            (query(DOCUMENTS, &[patient, class("('REPORT^^1.3')")]), false),
            (query(DOCUMENTS, &[("$XDSDocumentEntryPatientId", "'P2^^^&1.2.3&ISO'")]), false),
            (query(ALL_DOCUMENTS, &[class("('REPORT^^1.2')")]), true),
            (query(ALL_DOCUMENTS, &[class("('OTHER^^1.2')")]), false),
            (query(SETS, &[("$XDSSubmissionSetPatientId", PATIENT)]), false),
        ] {
            let filter = Filter::of(&query).expect("understood");
            assert_eq!(filter.matches(&document(), &[]), expected, "{}", query.to_xml());
        }
        // By another identifier of the same patient.
        let other = [("$XDSDocumentEntryPatientId", "'X9^^^&1.9&ISO'")];
        let filter = Filter::of(&query(DOCUMENTS, &other)).expect("understood");
        let known = [Cx { id: "X9".to_owned(), authority: "1.9".to_owned() }];
        assert!(filter.matches(&document(), &known) && !filter.matches(&document(), &[]));
    }

    #[test]
    fn a_recipient_is_an_organization_a_person_or_an_address() {
        let set = |recipients: &[&str]| {
            let node = Some(SUBMISSION_SET_NODE.to_owned());
            let mut set = RegistryObject {
                kind: ObjectKind::RegistryPackage,
                classifications: vec![Classification { node, ..Classification::default() }],
                external_identifiers: vec![ExternalIdentifier {
                    scheme: submission_set::PATIENT_ID.to_owned(),
                    value: "P1^^^&1.2.3&ISO".to_owned(),
                    ..ExternalIdentifier::default()
                }],
                ..RegistryObject::default()
            };
            set.set_slot("intendedRecipient", recipients.iter().map(|r| (*r).to_owned()).collect());
            set
        };
        let asked = [
            ("$XDSSubmissionSetPatientId", PATIENT),
            ("$XDSSubmissionSetIntendedRecipient", "('Hospital^^^^^^^^^1.2','|^Rossi')"),
        ];
        let filter = Filter::of(&query(SETS, &asked)).expect("understood");
        for (recipients, expected) in [
            (&["Hospital^^^^^^^^^1.2|^Bianchi"][..], true),
            (&["x", "|^Rossi"], true),
            (&["Other^^^^^^^^^1.2|^Rossi"], false),
            (&[], false),
        ] {
            assert_eq!(filter.matches(&set(recipients), &[]), expected, "{recipients:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let patient = ("$XDSDocumentEntryPatientId", PATIENT);
        for query in [
            query("urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3", &[patient]),
            query(DOCUMENTS, &[]),
            query(DOCUMENTS, &[("$XDSDocumentEntryPatientId", "'P1'")]),
            query(DOCUMENTS, &[("$XDSDocumentEntryPatientId", "('P1^^^&1.2.3&ISO','P2^^^&1.2.3&ISO')")]),
            query(DOCUMENTS, &[patient, ("$XDSDocumentEntryCreationTimeFrom", "2020")]),
            query(DOCUMENTS, &[patient, ("$XDSFolderCodeList", "('a^^b')")]),
            query(DOCUMENTS, &[patient, ("$XDSDocumentEntryClassCode", "('a")]),
            query(ALL_DOCUMENTS, &[]),
            query(ALL_DOCUMENTS, &[patient]),
        ] {
            assert!(Filter::of(&query).is_err(), "{}", query.to_xml());
        }
    }
}
