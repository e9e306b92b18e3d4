//! What the profiles of MHD ask of resources beyond the attributes of document
//! metadata, as tables.
//!
//! Spec: MHD 4.2, StructureDefinitions IHE.MHD.*

use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::name;
use fhir_model::tree::{Element, Resource};

/// Where the canonical URLs of MHD's profiles begin.
const PROFILES: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";

/// How much is said of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// What the source knows.
    Minimal,
    /// All that a registry asks for; people may be resources of their own.
    UnContained,
    /// All that a registry asks for; people stand in the resource.
    Comprehensive,
}

const LEVELS: [(&str, Level); 3] = [
    ("IHE.MHD.Minimal.ProvideBundle", Level::Minimal),
    ("IHE.MHD.UnContained.Comprehensive.ProvideBundle", Level::UnContained),
    ("IHE.MHD.Comprehensive.ProvideBundle", Level::Comprehensive),
];

impl Level {
    /// Returns the level that a Bundle says it has; `None` when it is none of MHD.
    pub(crate) fn of(bundle: &Resource) -> Option<Level> {
        let profiles = profiles(bundle);
        profiles.filter_map(|profile| LEVELS.iter().find(|(name, _)| *name == profile)).map(|l| l.1).max()
    }
}

/// Tells whether a DocumentReference says that it is published simply.
pub(crate) fn is_published_simply(document: &Resource) -> bool {
    profiles(document).any(|profile| profile == "IHE.MHD.SimplifiedPublish.DocumentReference")
}

/// Returns the names of the profiles of MHD that a resource says it has.
fn profiles(resource: &Resource) -> impl Iterator<Item = &str> {
    let meta = resource.root().child(name::META);
    let urls =
        meta.into_iter().flat_map(|meta| meta.children_named(name::PROFILE)).filter_map(Element::value);
    urls.filter_map(|url| url.strip_prefix(PROFILES)).map(|name| name.split('|').next().unwrap_or(name))
}

/// What a resource is in a submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// The SubmissionSet.
    SubmissionSet,
    /// A DocumentReference that is new.
    Document,
    /// A DocumentReference that carries its document.
    Published,
    /// A Folder that is new.
    Folder,
    /// A registered Folder that gets further members.
    UpdatedFolder,
    /// A registered DocumentReference that is superseded.
    Superseded,
    /// The bytes of a document.
    Binary,
    /// The patient.
    Patient,
}

use Role::{Document, Folder, Published, SubmissionSet, UpdatedFolder};

/// Elements that have to be there, once.
const ONCE: &[(Role, &str)] = &[
    (Document, "masterIdentifier.system"),
    (Document, "masterIdentifier.value"),
    (Document, "content"),
    (Document, "content.attachment.url"),
    (Published, "masterIdentifier.system"),
    (Published, "masterIdentifier.value"),
    (Published, "subject"),
    (Published, "content"),
    (Published, "content.attachment.contentType"),
    (Published, "content.attachment.data"),
];
/// Elements that may be there once.
const AT_MOST_ONCE: &[(Role, &str)] = &[(SubmissionSet, "note"), (Folder, "note"), (UpdatedFolder, "note")];
/// Elements that must not be there.
const NEVER: &[(Role, &str)] = &[
    (Document, "modifierExtension"),
    (Document, "docStatus"),
    (Document, "content.attachment.data"),
    (Published, "modifierExtension"),
    (Published, "docStatus"),
    (Published, "content.attachment.url"),
    (SubmissionSet, "modifierExtension"),
    (SubmissionSet, "encounter"),
    (SubmissionSet, "orderedBy"),
    (SubmissionSet, "emptyReason"),
    (SubmissionSet, "entry.flag"),
    (SubmissionSet, "entry.deleted"),
    (SubmissionSet, "entry.date"),
    (Folder, "modifierExtension"),
    (Folder, "encounter"),
    (Folder, "orderedBy"),
    (Folder, "source"),
    (Folder, "emptyReason"),
    (Folder, "entry.flag"),
    (Folder, "entry.deleted"),
    (Folder, "entry.date"),
];
/// Elements with one value. What is submitted is in use.
const FIXED: &[(Role, &str, &str)] = &[
    (Document, "status", "current"),
    (Published, "status", "current"),
    (SubmissionSet, "status", "current"),
    (SubmissionSet, "mode", "working"),
    (Folder, "status", "current"),
    (Folder, "mode", "working"),
    (UpdatedFolder, "mode", "working"),
];
/// References that lead to contained resources, where people stand in the resource.
const CONTAINED: &[(Role, &str)] = &[
    (Document, "author"),
    (Document, "authenticator"),
    (Document, "context.sourcePatientInfo"),
    (SubmissionSet, "source"),
];
/// What has to be there where all is said that a registry asks for, and people
/// stand in the resource.
const SOURCE_PATIENT: &str = "context.sourcePatientInfo";

/// Checks a resource. `place`: where it stands.
pub(super) fn check(role: Role, level: Level, resource: &Resource, place: &str) -> Vec<Issue> {
    let mut faults = Vec::new();
    let root = resource.root();
    let found = |path: &str| elements(root, path, place);
    let mut fault = |code: IssueType, at: String, text: String| {
        faults.push(Issue::error(code).because(Reason::Unprocessable).at(at).text(text));
    };
    for (_, path) in ONCE.iter().filter(|(of, _)| *of == role) {
        match found(path).len() {
            1 => {}
            0 => fault(IssueType::Required, format!("{place}.{path}"), format!("`{path}` is missing")),
            _ => fault(IssueType::Structure, format!("{place}.{path}"), format!("`{path}` is there once")),
        }
    }
    for (_, path) in AT_MOST_ONCE.iter().filter(|(of, _)| *of == role) {
        if found(path).len() > 1 {
            let text = format!("`{path}` is there once at most");
            fault(IssueType::Structure, format!("{place}.{path}"), text);
        }
    }
    for (_, path) in NEVER.iter().filter(|(of, _)| *of == role) {
        for (_, at) in found(path) {
            fault(IssueType::Structure, at, format!("`{path}` is not for what is submitted"));
        }
    }
    for (_, path, value) in FIXED.iter().filter(|(of, ..)| *of == role) {
        let found = found(path);
        let is_it = found.iter().any(|(element, _)| element.value() == Some(value));
        if !is_it {
            fault(IssueType::Value, format!("{place}.{path}"), format!("`{path}` is `{value}`"));
        }
    }
    if level == Level::Comprehensive {
        for (_, path) in CONTAINED.iter().filter(|(of, _)| *of == role) {
            for (reference, at) in found(path) {
                if !is_contained(root, reference) {
                    let text = format!("`{path}` refers to a contained resource: `#id`");
                    fault(IssueType::Value, at, text);
                }
            }
        }
        if role == Document && found(SOURCE_PATIENT).is_empty() {
            let text = "the patient as the source knows him is missing";
            fault(IssueType::Required, format!("{place}.{SOURCE_PATIENT}"), text.to_owned());
        }
    }
    faults
}

fn is_contained(root: Element<'_>, reference: Element<'_>) -> bool {
    let id = reference.text_of(name::REFERENCE).and_then(|reference| reference.strip_prefix('#'));
    let mut contained = root.children_named(name::CONTAINED);
    id.is_some_and(|id| contained.any(|resource| resource.text_of(name::ID) == Some(id)))
}

/// Returns the elements at a path, each with where it stands.
fn elements<'r>(root: Element<'r>, path: &str, place: &str) -> Vec<(Element<'r>, String)> {
    let mut found = vec![(root, place.to_owned())];
    for step in path.split('.') {
        let mut next = Vec::new();
        for (parent, place) in &found {
            let of_name = |child: &Element<'_>| child.name_id().is_some_and(|name| name.as_str() == step);
            for (number, child) in parent.children().filter(of_name).enumerate() {
                let is_array = child.property().is_some_and(|property| property.element.is_array());
                let number = if is_array { format!("[{number}]") } else { String::new() };
                next.push((child, format!("{place}.{step}{number}")));
            }
        }
        found = next;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(json: &str) -> Resource {
        fhir_model::json::read(json.to_owned()).expect("a resource")
    }

    #[test]
    fn the_strictest_profile_counts() {
        let bundle = |profiles: &str| {
            resource(&format!(
                r#"{{"resourceType":"Bundle","type":"transaction","meta":{{"profile":[{profiles}]}}}}"#
            ))
        };
        let url = |name: &str| format!(r#""{PROFILES}{name}""#);
        for (profiles, expected) in [
            (url("IHE.MHD.Minimal.ProvideBundle"), Some(Level::Minimal)),
            (url("IHE.MHD.Minimal.ProvideBundle|4.2.3"), Some(Level::Minimal)),
            (
                [url("IHE.MHD.Comprehensive.ProvideBundle"), url("IHE.MHD.Minimal.ProvideBundle")].join(","),
                Some(Level::Comprehensive),
            ),
            (url("IHE.MHD.Minimal.DocumentReference"), None),
            (r#""http://example.org/IHE.MHD.Minimal.ProvideBundle""#.to_owned(), None),
        ] {
            assert_eq!(Level::of(&bundle(&profiles)), expected, "{profiles}");
        }
    }

    #[test]
    fn faults_are_told_where_they_stand() {
        let document = |more: &str| {
            let text = format!(
                r##"{{"resourceType":"DocumentReference","status":"current",
                "masterIdentifier":{{"system":"urn:ietf:rfc:3986","value":"urn:oid:1.2.3"}},
                "contained":[{{"resourceType":"Patient","id":"p"}}],
                "context":{{"sourcePatientInfo":{{"reference":"#p"}}}},
                "content":[{{"attachment":{{"url":"urn:uuid:1"}}}}]{more}}}"##
            );
            resource(&text)
        };
        for (more, level, expected) in [
            ("", Level::Comprehensive, None),
            (r#","docStatus":"final""#, Level::Minimal, Some("x.docStatus")),
            (r#","author":[{"reference":"Practitioner/1"}]"#, Level::Comprehensive, Some("x.author[0]")),
            (r##","author":[{"reference":"#q"}]"##, Level::Comprehensive, Some("x.author[0]")),
            (r#","author":[{"reference":"Practitioner/1"}]"#, Level::UnContained, None),
        ] {
            let faults = check(Role::Document, level, &document(more), "x");
            let places: Vec<&str> =
                faults.iter().flat_map(|f| f.expression.iter().map(String::as_str)).collect();
            assert_eq!(places, Vec::from_iter(expected), "{more}");
        }
    }
}
