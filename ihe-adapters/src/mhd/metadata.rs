//! The resources of a submission, completed, and the metadata that they are.
//!
//! Spec: MHD 4.2, 3:4.5.1

use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::primitive::{base64, hexadecimal};
use fhir_model::schema::name;
use fhir_model::tree::Resource;
use serde_json::{Value, json};

use super::bundle::{Entry, entry_uuid};
use super::documents::{Taken, is_elsewhere};
use super::outcome::{Places, fault};
use super::patients::{Patients, Person};
use super::profile::Role;
use crate::wire::ebrim::{ExternalIdentifier, RegistryObject};
use crate::wire::ebrs::ErrorCode;
use crate::xds::check::patient_id;
use crate::xds::fhir::{
    Member, Places as OnServer, entry_uuid_identifier, is_entry_uuid, list, unique_id_identifier,
};
use crate::xds::registry::{Registered, Registry, unique_id_of_uuid};
use crate::xds::submission::Submission;
use crate::xds::vocabulary::submission_set;

/// An object of a submission as the resource that is stored.
#[derive(Debug)]
pub(super) struct Described {
    /// What it is stored as.
    pub(super) key: String,
    pub(super) full_url: Option<String>,
    pub(super) resource: Value,
    /// Its UUID.
    pub(super) uuid: String,
}

/// What a submission says.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) described: Vec<Described>,
    pub(super) submission: Submission,
    pub(super) places: Places,
    pub(super) faults: Vec<Issue>,
}

/// Returns a resource as JSON.
///
/// # Errors
/// When it is none that can be written.
pub(super) fn json_of(resource: &Resource) -> Result<Value, Issue> {
    let unwritable = |_| Issue::fatal(IssueType::Exception).text("a resource cannot be written");
    serde_json::from_slice(&json::to_json(resource)).map_err(unwritable)
}

/// Returns the UUID that the object of an entry has.
pub(super) fn entry_uuid_of(entry: &Entry) -> String {
    format!("urn:uuid:{}", entry.id())
}

/// Returns where the content of a document is.
pub(super) fn url_of(document: &Resource) -> Option<&str> {
    document.root().child(name::CONTENT)?.child(name::ATTACHMENT)?.text_of(name::URL)
}

impl Metadata {
    /// Reads the objects of a submission.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub(super) async fn of(
        registry: &Registry<'_>,
        patients: &mut Patients<'_>,
        entries: &[Entry],
        taken: &[Taken],
    ) -> Result<Metadata, Issue> {
        let mut metadata = Metadata::default();
        let mut people: Vec<(String, Person)> = Vec::new();
        for entry in entries {
            let is_described = matches!(entry.role, Role::SubmissionSet | Role::Document | Role::Folder);
            let Some(sent) = entry.resource.as_ref().filter(|_| is_described) else { continue };
            let subject = sent.root().child(name::SUBJECT);
            let person = match subject {
                Some(subject) => patients.find(subject).await?,
                None => None,
            };
            if subject.is_some() && person.is_none() {
                let text = "the subject is no patient who is known here";
                let place = format!("{}.subject", entry.root);
                metadata.faults.push(fault(ErrorCode::UnknownPatientId, text).at(place));
            }
            let mut resource = json_of(sent)?;
            complete(&mut resource, entry, sent, person.as_ref());
            if let Some(taken) = taken.iter().find(|taken| taken.of.contains(&entry_uuid_of(entry))) {
                measure(&mut resource["content"][0]["attachment"], taken);
            }
            let registered = read(registry, &resource, person.as_ref())?;
            people.extend(person.map(|person| (format!("{}.subject", entry.root), person)));
            metadata.add(entry, resource, registered);
        }
        metadata.relate();
        metadata.one_patient(&people);
        Ok(metadata)
    }

    fn add(&mut self, entry: &Entry, resource: Value, registered: Registered) {
        let Registered { mut object, associations, .. } = registered;
        let place = entry.root.clone();
        let is_document = entry.role == Role::Document;
        let element = if is_document { "relatesTo" } else { "entry" };
        for (number, association) in associations.iter().enumerate() {
            self.places.put(&association.id, format!("{place}.{element}[{number}]"), is_document);
        }
        self.places.put(&object.id, place, is_document);
        let url = resource["content"][0]["attachment"]["url"].as_str().filter(|url| is_elsewhere(url));
        if let Some(url) = url {
            object.set_slot("URI", vec![url.to_owned()]);
        }
        let (key, full_url) = (entry.key.clone(), entry.full_url.clone());
        self.described.push(Described { key, full_url, resource, uuid: object.id.clone() });
        self.submission.associations.extend(associations);
        match entry.role {
            Role::SubmissionSet => self.submission.submission_set = object,
            Role::Document => self.submission.documents.push(object),
            _ => self.submission.folders.push(object),
        }
    }

    /// Says of members that are registered already that they are only referred to.
    fn relate(&mut self) {
        let set = self.submission.submission_set.id.clone();
        let here: Vec<String> = self.submission.described().map(|object| object.id.clone()).collect();
        let Some(of_set) = self.described.iter_mut().find(|described| described.uuid == set) else { return };
        let of_it = |a: &&mut RegistryObject| a.ends.as_ref().is_some_and(|ends| ends.source == set);
        for (number, association) in self.submission.associations.iter_mut().filter(of_it).enumerate() {
            let target = association.ends.as_ref().map_or("", |ends| ends.target.as_str());
            if here.iter().any(|id| id == target) {
                continue;
            }
            association.set_slot("SubmissionSetStatus", vec!["Reference".to_owned()]);
            let member = Member { association, resource_type: Some("List") };
            let made = list(&RegistryObject::default(), &[member], &OnServer::default());
            let entry = &mut of_set.resource["entry"][number];
            if entry.is_object() {
                entry["extension"] = made["entry"][0]["extension"].clone();
            }
        }
    }

    /// Checks that all of it is of one patient. A SubmissionSet of who knows
    /// little is of the patient whom the documents are of.
    fn one_patient(&mut self, people: &[(String, Person)]) {
        let Some((_, expected)) = people.first() else { return };
        for (place, person) in people {
            // Those with identifiers are compared by them.
            let is_compared = person.cx.is_some() && expected.cx.is_some();
            if person.place != expected.place && !is_compared {
                let text = format!("{} is another patient than {}", person.place, expected.place);
                self.faults.push(fault(ErrorCode::PatientIdDoesNotMatch, &text).at(place));
            }
        }
        let set = &mut self.submission.submission_set;
        if let Some(cx) = expected.cx.as_ref().filter(|_| patient_id(set).is_none()) {
            set.external_identifiers.push(ExternalIdentifier {
                scheme: submission_set::PATIENT_ID.to_owned(),
                value: cx.to_string(),
                ..ExternalIdentifier::default()
            });
        }
    }
}

/// Sees a resource as the object that it will be registered as.
pub(super) fn read(
    registry: &Registry<'_>,
    resource: &Value,
    person: Option<&Person>,
) -> Result<Registered, Issue> {
    let cx = person.and_then(|person| person.cx.as_ref()).map(|cx| cx.to_string());
    let resource = json::read(resource.to_string()).map_err(Issue::from)?;
    let registered = registry.registered(resource.into(), cx.as_deref());
    let mut registered = registered
        .ok_or_else(|| Issue::fatal(IssueType::Exception).text("a resource is no object of a registry"))?;
    registered.object.logical_id = Some(registered.object.id.clone());
    Ok(registered)
}

/// Adds what a resource lacks: its id, the identifiers of a registered object,
/// and where its patient is.
fn complete(resource: &mut Value, entry: &Entry, sent: &Resource, person: Option<&Person>) {
    resource["id"] = json!(entry.id());
    let mut identifiers = Vec::new();
    if entry_uuid(sent).is_none() {
        identifiers.push(entry_uuid_identifier(&entry_uuid_of(entry)));
    }
    let mut sent_ones = sent.root().children_named(name::IDENTIFIER);
    if entry.role != Role::Document && sent_ones.all(is_entry_uuid) {
        let unique_id = unique_id_of_uuid(&entry_uuid_of(entry));
        identifiers.extend(unique_id.map(|unique_id| unique_id_identifier(&unique_id)));
    }
    match resource["identifier"].as_array_mut() {
        Some(sent) => sent.extend(identifiers),
        None => resource["identifier"] = Value::Array(identifiers),
    }
    if let Some(person) = person {
        let subject = &mut resource["subject"];
        subject["reference"] = json!(person.place);
        if let (Some(cx), true) = (&person.cx, subject["identifier"].is_object()) {
            subject["identifier"] = json!({ "system": cx.system(), "value": cx.id });
        }
    }
}

/// Says of a document what its bytes are, where that is not said.
fn measure(attachment: &mut Value, taken: &Taken) {
    if attachment["size"].is_null()
        && let Ok(size) = i32::try_from(taken.size())
    {
        attachment["size"] = json!(size);
    }
    if attachment["hash"].is_null()
        && let Some(sha1) = hexadecimal::decode(&taken.sha1)
    {
        attachment["hash"] = json!(base64::encode(&sha1));
    }
}
