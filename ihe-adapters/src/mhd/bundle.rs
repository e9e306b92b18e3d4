//! The entries of a Provide Document Bundle: what each is, and what it is known
//! by when it is stored.
//!
//! Spec: MHD 4.2, 2:3.65.4.1.2.1

use std::collections::HashMap;

use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::reference::{self, Literal};
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::{Element, Resource};

use super::outcome::fault;
use super::profile::{Level, Role, check};
use crate::wire::ebrs::ErrorCode;
use crate::xds::fhir::{FOLDER, SUBMISSION_SET, URIS, is_entry_uuid, resource_id};

/// What may refer to resources of this server by whole URLs.
const REFERRED: &[TypeId] = &[ty::PATIENT, ty::DOCUMENT_REFERENCE, ty::LIST, ty::BINARY];

/// An entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it stands: `Bundle.entry[0]`.
    pub(super) place: String,
    /// Where its resource stands.
    pub(super) root: String,
    pub(super) full_url: Option<String>,
    pub(super) role: Role,
    pub(super) method: String,
    /// Its resource, with the references that it has when it is stored.
    pub(super) resource: Option<Resource>,
    /// What it is stored as: `Type/[id]`.
    pub(super) key: String,
}

impl Entry {
    /// Returns the id that its resource is stored by.
    pub(super) fn id(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// Reads the entries. `base`: of the URLs of this server.
///
/// # Errors
/// Every entry that is none of a submission, or not as its profile wants it.
pub(super) fn entries(bundle: &Resource, level: Level, base: &str) -> Result<Vec<Entry>, Vec<Issue>> {
    let mut faults = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (number, element) in bundle.root().children_named(name::ENTRY).enumerate() {
        match entry(bundle, element, format!("Bundle.entry[{number}]")) {
            Ok(entry) => {
                if let Some(resource) = entry.resource.as_ref() {
                    faults.extend(check(entry.role, level, resource, &entry.root));
                }
                entries.push(entry);
            }
            Err(issue) => faults.push(issue),
        }
    }
    for (role, least, text) in [
        (Role::SubmissionSet, 1, "a submission has one SubmissionSet"),
        (Role::Patient, 0, "a submission has one patient"),
    ] {
        let count = entries.iter().filter(|entry| entry.role == role).count();
        if count < least || count > 1 {
            faults.push(
                fault(ErrorCode::RegistryMetadata, &format!("{text}, this one has {count}"))
                    .at("Bundle.entry"),
            );
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    refer(&mut entries, base);
    Ok(entries)
}

fn refused(code: IssueType, place: &str, text: &str) -> Issue {
    Issue::error(code).because(Reason::Unprocessable).at(place).text(text)
}

fn entry(bundle: &Resource, element: Element<'_>, place: String) -> Result<Entry, Issue> {
    let request = element.child(name::REQUEST);
    let text = |of| request.and_then(|request| request.text_of(of)).unwrap_or_default().to_owned();
    let (method, url) = (text(name::METHOD), text(name::URL));
    let resource = element.child(name::RESOURCE).map(|resource| bundle.extract(resource.id()));
    if resource.as_ref().is_some_and(|resource| resource.resource_type() == ty::BUNDLE) {
        let text = "a FHIR document is submitted as a Binary of its bytes";
        return Err(refused(IssueType::NotSupported, &place, text).detailed("FHIRDocumentNotSupported"));
    }
    let role =
        role_of(resource.as_ref(), &method, &url).map_err(|(code, text)| refused(code, &place, text))?;
    let condition = request.and_then(|request| request.child(name::IF_NONE_EXIST));
    if condition.is_some() && role != Role::Patient {
        let text = "what is submitted is new: `ifNoneExist` is for nothing but the patient";
        return Err(refused(IssueType::NotSupported, &format!("{place}.request.ifNoneExist"), text));
    }
    let key = key(role, resource.as_ref(), &method, &url)
        .map_err(|(at, text)| refused(IssueType::Value, &format!("{place}.{at}"), text))?;
    let full_url = element.text_of(name::FULL_URL).map(str::to_owned);
    let root = format!("{place}.resource");
    Ok(Entry { place, root, full_url, role, method, resource, key })
}

type Refused = (IssueType, &'static str);

/// Tells what an entry is in a submission.
fn role_of(resource: Option<&Resource>, method: &str, url: &str) -> Result<Role, Refused> {
    let of = resource.map(Resource::resource_type);
    Ok(match (of, method) {
        (Some(ty::LIST), "POST") if is_list(resource, SUBMISSION_SET) => Role::SubmissionSet,
        (Some(ty::LIST), "POST") if is_list(resource, FOLDER) => Role::Folder,
        (Some(ty::LIST), "PUT") if is_list(resource, FOLDER) => Role::UpdatedFolder,
        (Some(ty::DOCUMENT_REFERENCE), "POST") => Role::Document,
        (Some(ty::DOCUMENT_REFERENCE), "PUT") => {
            let status = resource.and_then(|resource| resource.root().text_of(name::STATUS));
            if status != Some("superseded") {
                let text =
                    "a registered DocumentReference becomes `superseded` by a submission, and nothing else";
                return Err((IssueType::BusinessRule, text));
            }
            Role::Superseded
        }
        (Some(ty::PARAMETERS), "PATCH") if url.starts_with("DocumentReference/") => {
            if !resource.is_some_and(supersedes) {
                let text = "a patch in a submission replaces `DocumentReference.status` by `superseded`";
                return Err((IssueType::BusinessRule, text));
            }
            Role::Superseded
        }
        (Some(ty::BINARY), "POST") => Role::Binary,
        (Some(ty::PATIENT), "POST" | "PUT") => Role::Patient,
        (None | Some(ty::PATIENT), "GET") if url.starts_with("Patient/") => Role::Patient,
        (Some(ty::LIST), "POST" | "PUT") => {
            let text = "a List in a submission has the code `submissionset` (POST) or `folder` (POST, PUT)";
            return Err((IssueType::CodeInvalid, text));
        }
        _ => {
            let text = "an entry of a submission is a SubmissionSet, DocumentReference, Binary or Folder (POST), a Folder \
                        that gets members (PUT), a DocumentReference that is superseded (PATCH), or the Patient";
            return Err((IssueType::NotSupported, text));
        }
    })
}

fn is_list(list: Option<&Resource>, code: &str) -> bool {
    let concept = list.and_then(|list| list.root().child(name::CODE));
    let mut codings = concept.into_iter().flat_map(|concept| concept.children_named(name::CODING));
    codings.any(|coding| coding.text_of(name::CODE) == Some(code))
}

/// Tells whether a patch makes a DocumentReference superseded, and does nothing else.
///
/// Spec: MHD 4.2, StructureDefinition IHE.MHD.Patch.Parameters
fn supersedes(patch: &Resource) -> bool {
    let operations: Vec<Element<'_>> = patch.root().children_named(name::PARAMETER).collect();
    let [operation] = operations.as_slice() else { return false };
    let part = |named: &str| {
        let mut parts = operation.children_named(name::PART);
        let part = parts.find(|part| part.text_of(name::NAME) == Some(named))?;
        part.child(name::VALUE)?.value()
    };
    part("type") == Some("replace")
        && part("path") == Some("DocumentReference.status")
        && part("value") == Some("superseded")
}

/// Tells what an entry is stored as.
fn key(
    role: Role,
    resource: Option<&Resource>,
    method: &str,
    url: &str,
) -> Result<String, (&'static str, &'static str)> {
    let at_url = |of: &str| {
        let literal = Literal::parse(url).filter(|l| l.base.is_none() && l.version.is_none());
        let is_it = |l: &Literal<'_>| l.key.resource_type.name() == of;
        literal.filter(is_it).map(|_| url.to_owned()).ok_or(("request.url", "the URL is not `[type]/[id]`"))
    };
    let fresh = || uuid::Uuid::new_v4().to_string();
    Ok(match role {
        Role::Superseded => at_url("DocumentReference")?,
        Role::UpdatedFolder => at_url("List")?,
        Role::Patient if method != "POST" => at_url("Patient")?,
        Role::Patient => format!("Patient/{}", fresh()),
        Role::Binary => format!("Binary/{}", fresh()),
        Role::SubmissionSet | Role::Folder | Role::Document | Role::Published => {
            let is_document = matches!(role, Role::Document | Role::Published);
            let of = if is_document { "DocumentReference" } else { "List" };
            let id = match resource.and_then(entry_uuid) {
                Some(uuid) => {
                    let uuid = uuid.to_lowercase();
                    let id = resource_id(&uuid).map(str::to_owned);
                    id.ok_or(("resource.identifier", "the entryUUID is not `urn:uuid:` with a UUID"))?
                }
                None => fresh(),
            };
            format!("{of}/{id}")
        }
    })
}

/// Returns the identifier by which the source knows an object.
pub(super) fn entry_uuid(resource: &Resource) -> Option<&str> {
    let mut identifiers = resource.root().children_named(name::IDENTIFIER);
    let is_it = |identifier: &Element<'_>| {
        is_entry_uuid(*identifier)
            && identifier.text_of(name::SYSTEM) == Some(URIS)
            && identifier.text_of(name::USE) != Some("secondary")
    };
    identifiers.find(is_it)?.text_of(name::VALUE)
}

/// Lets references lead to what the entries are stored as.
pub(super) fn refer(entries: &mut [Entry], base: &str) {
    let named: HashMap<String, String> =
        entries.iter().filter_map(|entry| Some((entry.full_url.clone()?, entry.key.clone()))).collect();
    for entry in entries {
        let Some(resource) = &mut entry.resource else { continue };
        let root = entry.full_url.as_deref().and_then(|url| Literal::parse(url)?.base);
        reference::rewrite(resource, |url| {
            let literal = || Literal::parse(url).filter(|l| l.version.is_none());
            let beside = || {
                let literal = literal().filter(|l| l.base.is_none())?;
                named.get(&format!("{}/{}/{}", root?, literal.key.resource_type, literal.key.id)).cloned()
            };
            let here = || {
                let literal = literal().filter(|l| l.base == Some(base))?;
                let is_referred = REFERRED.contains(&literal.key.resource_type);
                is_referred.then(|| format!("{}/{}", literal.key.resource_type, literal.key.id))
            };
            named.get(url).cloned().or_else(beside).or_else(here)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(entries: &[(&str, &str, &str)]) -> Resource {
        let entries: Vec<String> = entries
            .iter()
            .enumerate()
            .map(|(number, (method, url, resource))| {
                format!(
                    r#"{{"fullUrl":"urn:uuid:{number}","resource":{resource},
                    "request":{{"method":"{method}","url":"{url}"}}}}"#
                )
            })
            .collect();
        let text =
            format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","));
        fhir_model::json::read(text).expect("a bundle")
    }

    const SET: (&str, &str, &str) = (
        "POST",
        "List",
        r#"{"resourceType":"List","status":"current","mode":"working","code":{"coding":[{"code":"submissionset"}]},
        "entry":[{"item":{"reference":"urn:uuid:1"}},{"item":{"reference":"http://here/fhir/DocumentReference/2"}}]}"#,
    );
    const DOCUMENT: &str = r#"{"resourceType":"DocumentReference","status":"current",
        "masterIdentifier":{"system":"urn:ietf:rfc:3986","value":"urn:oid:1.2"},
        "identifier":[{"use":"official","system":"urn:ietf:rfc:3986","value":"urn:uuid:7D5BB8AC-68ee-4926-85e7-b8aac8e1f09d"}],
        "content":[{"attachment":{"url":"urn:uuid:2"}}]}"#;

    #[test]
    fn entries_refer_to_what_is_stored() {
        let binary = r#"{"resourceType":"Binary","contentType":"text/plain"}"#;
        let bundle = bundle(&[SET, ("POST", "DocumentReference", DOCUMENT), ("POST", "Binary", binary)]);
        let entries = entries(&bundle, Level::Minimal, "http://here/fhir").expect("a submission");
        assert_eq!(entries[1].key, "DocumentReference/7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d");
        let mut references = Vec::new();
        reference::for_each_reference(entries[0].resource.as_ref().expect("a List"), |r| {
            references.push(r.to_owned())
        });
        assert_eq!(references, [entries[1].key.clone(), "DocumentReference/2".to_owned()]);
        let document = entries[1].resource.as_ref().expect("a document").root();
        let attachment = document.child(name::CONTENT).and_then(|c| c.child(name::ATTACHMENT));
        assert_eq!(attachment.and_then(|a| a.text_of(name::URL)), Some(entries[2].key.as_str()));
    }

    #[test]
    fn what_is_no_entry_of_a_submission_is_refused() {
        let patch = |path: &str, value: &str| {
            format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[
                {{"name":"type","valueCode":"replace"}},{{"name":"path","valueString":"{path}"}},
                {{"name":"value","valueCode":"{value}"}}]}}]}}"#
            )
        };
        let patient = r#"{"resourceType":"Patient","id":"1"}"#.to_owned();
        let list = r#"{"resourceType":"List","status":"current","mode":"working"}"#.to_owned();
        for (method, url, resource, is_taken) in [
            ("PATCH", "DocumentReference/1", patch("DocumentReference.status", "superseded"), true),
            ("PATCH", "DocumentReference/1", patch("DocumentReference.status", "current"), false),
            ("PATCH", "DocumentReference/1", patch("DocumentReference.subject", "superseded"), false),
            ("PATCH", "DocumentReference?x=y", patch("DocumentReference.status", "superseded"), false),
            ("PUT", "DocumentReference/1", DOCUMENT.to_owned(), false),
            ("PUT", "Patient/1", patient.clone(), true),
            ("DELETE", "Patient/1", patient, false),
            ("POST", "List", list, false),
            ("POST", "Observation", r#"{"resourceType":"Observation"}"#.to_owned(), false),
        ] {
            let entries = entries(&bundle(&[SET, (method, url, &resource)]), Level::Minimal, "");
            assert_eq!(entries.is_ok(), is_taken, "{method} {url}: {entries:?}");
        }
        let binary = ("POST", "Binary", r#"{"resourceType":"Binary","contentType":"text/plain"}"#);
        for (count, sets) in [(0, vec![binary]), (2, vec![SET; 2])] {
            assert!(entries(&bundle(&sets), Level::Minimal, "").is_err(), "{count} submission sets");
        }
    }
}
