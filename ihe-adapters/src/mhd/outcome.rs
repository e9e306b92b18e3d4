//! What is wrong with a submission, in terms of FHIR: each fault where it stands
//! in what was sent. The one place where codes of IHE become issues.
//!
//! Spec: MHD 4.2, 2:3.65.4.1.3; ITI TF-3 table 4.2.4.1-2

use std::collections::HashMap;

use fhir_model::outcome::{Issue, IssueType, Reason};

use crate::wire::ebrs::{ErrorCode, RegistryError};

/// Where the attributes of metadata stand in a DocumentReference.
const OF_DOCUMENT: &[(&str, &str)] = &[
    ("author", "author"),
    ("classCode", "category"),
    ("typeCode", "type"),
    ("confidentialityCode", "securityLabel"),
    ("eventCodeList", "context.event"),
    ("formatCode", "content[0].format"),
    ("healthcareFacilityTypeCode", "context.facilityType"),
    ("practiceSettingCode", "context.practiceSetting"),
    ("creationTime", "content[0].attachment.creation"),
    ("serviceStartTime", "context.period.start"),
    ("serviceStopTime", "context.period.end"),
    ("languageCode", "content[0].attachment.language"),
    ("legalAuthenticator", "authenticator"),
    ("hash", "content[0].attachment.hash"),
    ("size", "content[0].attachment.size"),
    ("repositoryUniqueId", "content[0].attachment.url"),
    ("URI", "content[0].attachment.url"),
    ("mimeType", "content[0].attachment.contentType"),
    ("title", "content[0].attachment.title"),
    ("sourcePatientId", "context.sourcePatientInfo"),
    ("sourcePatientInfo", "context.sourcePatientInfo"),
    ("referenceIdList", "context.related"),
    ("patientId", "subject"),
    ("uniqueId", "masterIdentifier"),
];
/// Where they stand in a List.
const OF_LIST: &[(&str, &str)] = &[
    ("author", "source"),
    (
        "contentTypeCode",
        "extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType')",
    ),
    ("codeList", "extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType')"),
    ("sourceId", "extension('https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId')"),
    ("submissionTime", "date"),
    ("lastUpdateTime", "date"),
    ("title", "title"),
    ("patientId", "subject"),
    ("uniqueId", "identifier"),
];

/// What kind of issue an error is.
fn issue_type(code: ErrorCode) -> IssueType {
    match code {
        ErrorCode::UnknownPatientId
        | ErrorCode::UnresolvedReference
        | ErrorCode::MissingDocument
        | ErrorCode::MissingDocumentMetadata => IssueType::NotFound,
        ErrorCode::DuplicateUniqueIdInRegistry
        | ErrorCode::RegistryDuplicateUniqueIdInMessage
        | ErrorCode::RepositoryDuplicateUniqueIdInMessage
        | ErrorCode::NonIdenticalHash
        | ErrorCode::NonIdenticalSize => IssueType::Duplicate,
        ErrorCode::PatientIdDoesNotMatch | ErrorCode::RegistryDeprecatedDocument => IssueType::BusinessRule,
        _ => IssueType::Invalid,
    }
}

/// Where the objects of a submission stand in what was sent, by their ids.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<String, (String, bool)>);

impl Places {
    /// Notes where an object stands.
    pub(super) fn put(&mut self, id: &str, place: String, is_document: bool) {
        self.0.insert(id.to_owned(), (place, is_document));
    }

    /// Makes the issue that an error is.
    pub(super) fn issue(&self, error: &RegistryError) -> Issue {
        let issue = fault(error.code, &error.context);
        let (id, attribute) = match error.location.rsplit_once('/') {
            Some((id, attribute)) => (id, Some(attribute)),
            None => (error.location.as_str(), None),
        };
        let Some((place, is_document)) = self.0.get(id) else { return issue };
        let elements = if *is_document { OF_DOCUMENT } else { OF_LIST };
        let element = attribute.and_then(|name| elements.iter().find(|(of, _)| *of == name));
        issue.at(element.map_or_else(|| place.clone(), |(_, element)| format!("{place}.{element}")))
    }
}

/// Makes an issue with a code of IHE.
pub(super) fn fault(code: ErrorCode, text: &str) -> Issue {
    Issue::error(issue_type(code)).because(Reason::Unprocessable).detailed(code.text()).text(text)
}

/// Makes one issue of many; `None` when there are none.
pub(super) fn refusal(faults: Vec<Issue>) -> Option<Issue> {
    let mut faults = faults.into_iter();
    let first = faults.next()?;
    Some(faults.fold(first, Issue::and))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xds::attributes::{ATTRIBUTES, Of};

    #[test]
    fn every_attribute_has_its_element() {
        for attribute in ATTRIBUTES {
            let is_document = attribute.of == Of::DocumentEntry;
            let elements = if is_document { OF_DOCUMENT } else { OF_LIST };
            // What FHIR has no element for cannot be wrong in it.
            let is_elsewhere = ["documentAvailability", "intendedRecipient"].contains(&attribute.name);
            let is_there = elements.iter().any(|(name, _)| *name == attribute.name);
            assert!(is_there || is_elsewhere, "{}", attribute.name);
        }
    }

    #[test]
    fn an_error_is_told_where_it_stands() {
        let mut places = Places::default();
        places.put("urn:uuid:1", "Bundle.entry[1].resource".to_owned(), true);
        for (location, expression) in [
            ("urn:uuid:1/classCode", vec!["Bundle.entry[1].resource.category"]),
            ("urn:uuid:1", vec!["Bundle.entry[1].resource"]),
            ("urn:uuid:1/HasMember", vec!["Bundle.entry[1].resource"]),
            ("urn:uuid:2", vec![]),
        ] {
            let error = RegistryError::new(ErrorCode::RegistryMetadata, "x").at(location);
            let issue = places.issue(&error);
            assert_eq!(issue.expression, expression);
            assert_eq!(
                (issue.detail, issue.reason),
                (Some("XDSRegistryMetadataError"), Reason::Unprocessable)
            );
        }
    }
}
