//! Which objects a query means, by the attributes that its parameters name.
//!
//! Spec: ITI TF-2 3.18.4.1.2.3.7, and ITI TF-3 4.2.3 for the attributes

use super::parameters::Parameters;
use crate::wire::ebrim::RegistryObject;
use crate::xds::attributes::{Of, Place, attribute_named};
use crate::xds::values::dtm_bounds;
use crate::xds::vocabulary::{STABLE, document_entry, submission_set};

/// How a parameter is compared.
#[derive(Debug, Clone, Copy)]
enum How {
    /// A code with its scheme, `code^^scheme`.
    Code,
    /// A time at or after it.
    From,
    /// A time before it.
    To,
    /// The status.
    Status,
    /// A person, with `%` and `_`.
    AuthorPerson,
    /// A value of a slot.
    Value,
}

type Row = (&'static str, &'static str, How);

const DOCUMENT: &[Row] = &[
    ("$XDSDocumentEntryStatus", "", How::Status),
    ("$XDSDocumentEntryClassCode", "classCode", How::Code),
    ("$XDSDocumentEntryTypeCode", "typeCode", How::Code),
    ("$XDSDocumentEntryPracticeSettingCode", "practiceSettingCode", How::Code),
    ("$XDSDocumentEntryHealthcareFacilityTypeCode", "healthcareFacilityTypeCode", How::Code),
    ("$XDSDocumentEntryEventCodeList", "eventCodeList", How::Code),
    ("$XDSDocumentEntryConfidentialityCode", "confidentialityCode", How::Code),
    ("$XDSDocumentEntryFormatCode", "formatCode", How::Code),
    ("$XDSDocumentEntryCreationTimeFrom", "creationTime", How::From),
    ("$XDSDocumentEntryCreationTimeTo", "creationTime", How::To),
    ("$XDSDocumentEntryServiceStartTimeFrom", "serviceStartTime", How::From),
    ("$XDSDocumentEntryServiceStartTimeTo", "serviceStartTime", How::To),
    ("$XDSDocumentEntryServiceStopTimeFrom", "serviceStopTime", How::From),
    ("$XDSDocumentEntryServiceStopTimeTo", "serviceStopTime", How::To),
    ("$XDSDocumentEntryAuthorPerson", document_entry::AUTHOR, How::AuthorPerson),
    ("$XDSDocumentEntryReferenceIdList", "referenceIdList", How::Value),
];

const SUBMISSION_SET: &[Row] = &[
    ("$XDSSubmissionSetStatus", "", How::Status),
    ("$XDSSubmissionSetSourceId", "sourceId", How::Value),
    ("$XDSSubmissionSetSubmissionTimeFrom", "submissionTime", How::From),
    ("$XDSSubmissionSetSubmissionTimeTo", "submissionTime", How::To),
    ("$XDSSubmissionSetAuthorPerson", submission_set::AUTHOR, How::AuthorPerson),
    ("$XDSSubmissionSetContentType", "contentTypeCode", How::Code),
];

const FOLDER: &[Row] = &[
    ("$XDSFolderStatus", "", How::Status),
    ("$XDSFolderLastUpdateTimeFrom", "lastUpdateTime", How::From),
    ("$XDSFolderLastUpdateTimeTo", "lastUpdateTime", How::To),
    ("$XDSFolderCodeList", "codeList", How::Code),
];

/// Tells whether an object has all that the parameters ask of its sort.
pub(crate) fn holds(object: &RegistryObject, of: Of, parameters: &Parameters) -> bool {
    let rows = match of {
        Of::DocumentEntry => DOCUMENT,
        Of::SubmissionSet => SUBMISSION_SET,
        Of::Folder => FOLDER,
    };
    let of_type = of != Of::DocumentEntry || is_of_type(object, parameters);
    of_type
        && rows.iter().all(|(name, attribute, how)| {
            parameters.lists(name).all(|values| matches(object, of, attribute, *how, values))
        })
}

/// Tells whether a document is of the types that are asked for: stable ones
/// where nothing is said.
fn is_of_type(object: &RegistryObject, parameters: &Parameters) -> bool {
    let object_type = object.object_type.as_deref().unwrap_or(STABLE);
    let asked = parameters.values("$XDSDocumentEntryType");
    if asked.is_empty() { object_type == STABLE } else { asked.contains(&object_type) }
}

fn matches(object: &RegistryObject, of: Of, attribute: &str, how: How, values: &[String]) -> bool {
    match how {
        How::Status => values.iter().any(|status| object.status.as_ref() == Some(status)),
        How::AuthorPerson => object
            .classified_by(attribute)
            .flat_map(|author| author.slot("authorPerson"))
            .any(|person| values.iter().any(|pattern| is_like(person, pattern))),
        How::Code => has_code(object, of, attribute, values),
        How::Value => values_of(object, of, attribute).iter().any(|value| values.contains(value)),
        // What has no such time is not judged by it, where it need not have one.
        How::From | How::To => {
            let times = values_of(object, of, attribute);
            let is_within = |time: &String| {
                values.iter().any(|bound| {
                    let (begin, _) = dtm_bounds(time);
                    let (bound, _) = dtm_bounds(bound);
                    if matches!(how, How::From) { begin >= bound } else { begin < bound }
                })
            };
            let is_optional = attribute.starts_with("service");
            if times.is_empty() { is_optional } else { times.iter().any(is_within) }
        }
    }
}

fn values_of(object: &RegistryObject, of: Of, attribute: &str) -> Vec<String> {
    match attribute_named(of, attribute).map(|attribute| attribute.place) {
        Some(Place::Slot(name)) => object.slot(name).to_vec(),
        Some(Place::Identifier(scheme)) => object.identifier(scheme).map(str::to_owned).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Tells whether an object has one of the codes, each `code^^scheme`.
pub(super) fn has_code(object: &RegistryObject, of: Of, attribute: &str, values: &[String]) -> bool {
    let Some(Place::Code(scheme)) = attribute_named(of, attribute).map(|attribute| attribute.place) else {
        return false;
    };
    object.classified_by(scheme).any(|code| {
        let system = code.slot("codingScheme").first().map_or("", String::as_str);
        values.iter().any(|asked| {
            let mut parts = asked.split('^');
            let (asked, asked_system) = (parts.next().unwrap_or_default(), parts.nth(1));
            asked == code.representation && asked_system.is_none_or(|s| s == system)
        })
    })
}

/// Compares by SQL's LIKE: `%` for any characters, `_` for one.
fn is_like(text: &str, pattern: &str) -> bool {
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    // Where to go on when what came after the last `%` does not fit.
    let mut again: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('%') => {
                again = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '_' || text.get(t) == Some(c) => {
                t += 1;
                p += 1;
            }
            _ => match again {
                Some((after, from)) => {
                    again = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_compares_as_sql_does() {
        for (text, pattern, expected) in [
            ("^Smitty^Gerald", "^Smitty%", true),
            ("^Smitty^Gerald", "%Ger_ld", true),
            ("^Smitty^Gerald", "Smitty", false),
            ("^Smitty^Gerald", "%i%e%d", true),
            ("^Smitty^Gerald", "%i%e%x", false),
            ("", "%", true),
            ("", "_", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%a%a%c", false),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} like {pattern}");
        }
    }
}
