//! What a submission makes of the registry: new resources, and registered ones
//! that change, in one transaction.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fhir_model::interaction::Carried;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::percent;
use fhir_model::schema::name;
use serde_json::{Value, json};

use super::{OBJECTS, Registered, Registry, is_approved, json_of_resource, literal};
use crate::wire::ebrim::{Ends, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::check::{patient_id, unique_id};
use crate::xds::fhir::{
    Member, Places, document_reference, list, resource_id, set_association_status, unique_id_tag,
    unique_id_token,
};
use crate::xds::submission::Submission;
use crate::xds::values::{Cx, dtm_to_date_time};
use crate::xds::vocabulary::{APPROVED, FOLDER_NODE, HAS_MEMBER};

/// What a submission writes.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) entries: Vec<Value>,
    pub(super) contents: Vec<(String, Carried)>,
}

/// What a submission changes whose own resources are there already.
pub(super) struct Changes {
    /// The entries that write what registered resources become, by `Type/[id]`.
    pub(super) registered: HashMap<String, Value>,
    /// Associations that come of the submission.
    pub(super) associations: Vec<RegistryObject>,
}

/// What planning ends with: a plan, or all that is wrong with the submission.
pub(super) type Planned = Result<Result<Plan, Vec<RegistryError>>, Issue>;

/// A registered object that a submission concerns.
struct Known {
    registered: Arc<Registered>,
    /// The resource that it becomes, where it changes.
    becomes: Option<Value>,
}

/// What is found out about a submission.
pub(super) struct Planning {
    pub(super) submission: Submission,
    /// Who all of it is of, and where he is on this server. Who knows little
    /// need not know.
    pub(super) patient: Option<Cx>,
    pub(super) place: Option<String>,
    pub(super) faults: Vec<RegistryError>,
    /// What objects of different patients are called.
    pub(super) other_patient: ErrorCode,
    /// Registered objects that this concerns, by their ids.
    known: HashMap<String, Known>,
    /// Associations that come of what was submitted.
    pub(super) added: Vec<RegistryObject>,
    /// Binaries that documents of the submission are in already, by their ids.
    pub(super) binaries: HashMap<String, String>,
    /// Objects of the submission that are further versions of registered ones.
    pub(super) versions: HashSet<String>,
    /// Resources that documents of the submission are as well.
    pub(super) beside: Vec<Value>,
}

impl Planning {
    /// Begins to plan a submission whose form was checked.
    ///
    /// # Errors
    /// When the registry cannot be asked.
    pub(super) async fn begin(registry: &Registry<'_>, submission: Submission) -> Result<Planning, Issue> {
        let patient = patient_id(&submission.submission_set).and_then(Cx::parse);
        let place = match &patient {
            Some(patient) => registry.patient(patient).await?,
            None => None,
        };
        let mut planning = Planning {
            submission,
            patient,
            place,
            faults: Vec::new(),
            other_patient: ErrorCode::PatientIdDoesNotMatch,
            known: HashMap::new(),
            added: Vec::new(),
            binaries: HashMap::new(),
            versions: HashSet::new(),
            beside: Vec::new(),
        };
        if let Some(patient) = planning.patient.as_ref().filter(|_| planning.place.is_none()) {
            let error = RegistryError::new(ErrorCode::UnknownPatientId, patient.to_string());
            planning.faults.push(error.at(&planning.submission.submission_set.id));
        }
        Ok(planning)
    }

    pub(super) fn fault(&mut self, code: ErrorCode, at: &RegistryObject, context: String) {
        self.faults.push(RegistryError::new(code, context).at(&at.id));
    }

    pub(super) fn is_here(&self, id: &str) -> bool {
        self.submission.objects().any(|object| object.id == id)
    }

    /// Finds a registered object that is referred to, which must be approved
    /// and of the same patient.
    pub(super) async fn referred(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        id: &str,
    ) -> Result<Option<Arc<Registered>>, Issue> {
        if let Some(known) = self.known.get(id) {
            return Ok(Some(Arc::clone(&known.registered)));
        }
        let Some(found) = registry.by_uuid(id, OBJECTS).await? else {
            self.fault(ErrorCode::UnresolvedReference, association, format!("{id} is not registered"));
            return Ok(None);
        };
        if !is_approved(&found.object) {
            let context = format!("{id} is deprecated");
            self.fault(ErrorCode::RegistryDeprecatedDocument, association, context);
            return Ok(None);
        }
        if !self.is_of_patient(&found) {
            let context = format!("{id} is of another patient than {}", self.told_patient());
            self.fault(self.other_patient, association, context);
            return Ok(None);
        }
        let registered = Arc::new(found);
        self.know(Arc::clone(&registered));
        Ok(Some(registered))
    }

    /// Tells whether an object is of the patient of the submission.
    pub(super) fn is_of_patient(&self, registered: &Registered) -> bool {
        let theirs = patient_id(&registered.object).and_then(Cx::parse);
        theirs.is_none_or(|theirs| self.patient.as_ref() == Some(&theirs))
    }

    /// Returns the patient for a reader.
    pub(super) fn told_patient(&self) -> String {
        self.patient.as_ref().map_or_else(|| "nobody".to_owned(), Cx::to_string)
    }

    /// Remembers a registered object: what it is is asked when it is referred to.
    pub(super) fn know(&mut self, registered: Arc<Registered>) {
        let id = registered.object.id.clone();
        self.known.entry(id).or_insert(Known { registered, becomes: None });
    }

    /// Returns the resource that a registered object becomes, to be changed.
    fn change(&mut self, registered: Arc<Registered>) -> Result<&mut Value, Issue> {
        let id = registered.object.id.clone();
        let known = self.known.entry(id).or_insert(Known { registered, becomes: None });
        match &mut known.becomes {
            Some(value) => Ok(value),
            none => Ok(none.insert(json_of(&known.registered)?)),
        }
    }

    /// Changes the status of a registered document or folder.
    pub(super) fn set_status(&mut self, registered: Arc<Registered>, status: &str) -> Result<(), Issue> {
        let is_document = registered.object.kind == ObjectKind::ExtrinsicObject;
        let status = match (status == APPROVED, is_document) {
            (true, _) => "current",
            (false, true) => "superseded",
            (false, false) => "retired",
        };
        self.change(registered)?["status"] = json!(status);
        Ok(())
    }

    /// Changes the status of an association whose source is registered.
    pub(super) fn set_association_status(
        &mut self,
        source: Arc<Registered>,
        association: &RegistryObject,
    ) -> Result<(), Issue> {
        let is_there = set_association_status(self.change(source)?, association);
        if is_there { Ok(()) } else { Err(Issue::fatal(IssueType::Exception)) }
    }

    /// Adds a member to a registered folder.
    pub(super) fn put_into_folder(
        &mut self,
        folder: Arc<Registered>,
        association: &RegistryObject,
    ) -> Result<(), Issue> {
        let member = Member { association, resource_type: Some("DocumentReference") };
        let made = list(&RegistryObject::default(), &[member], &Places::default());
        let value = self.change(folder)?;
        value["date"] = json!(dtm_to_date_time(&now()));
        if let Some(list) = value.as_object_mut() {
            // What was sent of another time.
            list.remove("_date");
        }
        append(value, "entry", &made);
        Ok(())
    }

    /// Adds a relationship to a registered document.
    pub(super) fn relate(
        &mut self,
        document: Arc<Registered>,
        association: &RegistryObject,
    ) -> Result<(), Issue> {
        let made = document_reference(&RegistryObject::default(), &[association], &Places::default());
        append(self.change(document)?, "relatesTo", &made);
        Ok(())
    }

    /// Returns what registered resources become, by `Type/[id]`, and the
    /// associations that come of the submission; or what is wrong.
    pub(super) fn into_changes(self) -> Result<Changes, Vec<RegistryError>> {
        let Planning { faults, known, added, .. } = self;
        if !faults.is_empty() {
            return Err(faults);
        }
        let changed = known.into_values().filter_map(|Known { registered, becomes }| {
            let entry = json!({ "resource": becomes?, "request": unchanged("PUT", &registered) });
            Some((literal(&registered.resource), entry))
        });
        Ok(Changes { registered: changed.collect(), associations: added })
    }

    /// Returns what to write, or what is wrong. `stored`: the bytes of
    /// the documents that came, in their order.
    pub(super) fn into_plan(self, stored: &[Option<Carried>]) -> Result<Plan, Vec<RegistryError>> {
        let Planning { submission, place, faults, known, added, binaries, versions, beside, .. } = self;
        if !faults.is_empty() {
            return Err(faults);
        }
        let mut plan = Plan::default();
        let associations = || submission.associations.iter().chain(&added);
        for (at, document) in submission.documents.iter().enumerate() {
            let bytes = stored.get(at).cloned().flatten();
            let binary = bytes.map(|bytes| plan.binary(document, bytes));
            let of_it = |a: &&RegistryObject| {
                a.ends.as_ref().is_some_and(|e| e.kind != HAS_MEMBER && e.source == document.id)
            };
            let relationships: Vec<&RegistryObject> = associations().filter(of_it).collect();
            let binary = binary.or_else(|| binaries.get(&document.id).cloned());
            let places = Places { patient: place.clone(), document: binary };
            let resource = document_reference(document, &relationships, &places);
            plan.put_new(resource, &document.id, None);
        }
        let lists = std::iter::once(&submission.submission_set).chain(&submission.folders);
        let types: HashMap<&str, Option<&'static str>> = member_types(&submission, &known);
        for object in lists {
            let is_source = |a: &&RegistryObject| {
                a.ends.as_ref().is_some_and(|e| e.kind == HAS_MEMBER && e.source == object.id)
            };
            let members: Vec<Member<'_>> = associations()
                .filter(is_source)
                .map(|association| {
                    let target = association.ends.as_ref().map_or("", |e| e.target.as_str());
                    Member { association, resource_type: types.get(target).copied().flatten() }
                })
                .collect();
            let mut object = object.clone();
            if object.is_of_node(FOLDER_NODE) {
                object.set_slot("lastUpdateTime", vec![now()]);
            }
            let places = Places { patient: place.clone(), document: None };
            // Two submissions with one unique id at once: the second finds the
            // first. Versions share theirs.
            let unique_id = unique_id(&object).filter(|_| !versions.contains(&object.id));
            plan.put_new(list(&object, &members, &places), &object.id, unique_id);
        }
        for mut resource in beside {
            resource["subject"] = match &place {
                Some(place) => json!({ "reference": place }),
                None => json!({ "display": "unknown" }),
            };
            let of = |name: &str| resource[name].as_str().unwrap_or_default();
            let url = format!("{}/{}", of("resourceType"), of("id"));
            let request = json!({ "method": "PUT", "url": url });
            plan.entries.push(json!({ "resource": resource, "request": request }));
        }
        for Known { registered, becomes } in known.into_values() {
            if let Some(value) = becomes {
                plan.put_changed(&registered, value);
            }
        }
        Ok(plan)
    }
}

impl Plan {
    /// Writes a Binary of the bytes of a document; returns the reference to it.
    fn binary(&mut self, document: &RegistryObject, bytes: Carried) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let full_url = format!("urn:uuid:{id}");
        let url = format!("Binary/{id}");
        let mut binary = json!({ "resourceType": "Binary", "id": id, "contentType": document.mime_type });
        // The repository knows its documents even when the registry does not any more.
        if let Some(unique_id) = unique_id(document) {
            binary["meta"] = json!({ "tag": [unique_id_tag(unique_id)] });
        }
        let request = json!({ "method": "PUT", "url": url });
        self.entries.push(json!({ "fullUrl": full_url, "resource": binary, "request": request }));
        self.contents.push((full_url, bytes));
        url
    }

    /// Writes what a registered resource becomes, as long as nobody changed it meanwhile.
    pub(super) fn put_changed(&mut self, registered: &Registered, becomes: Value) {
        let request = unchanged("PUT", registered);
        self.entries.push(json!({ "resource": becomes, "request": request }));
    }

    /// Deletes a registered resource, as long as nobody changed it meanwhile.
    pub(super) fn delete(&mut self, registered: &Registered) {
        self.entries.push(json!({ "request": unchanged("DELETE", registered) }));
    }

    /// Writes a resource that is not there yet; of a unique id there may be one.
    fn put_new(&mut self, resource: Value, uuid: &str, unique_id: Option<&str>) {
        let of = resource["resourceType"].as_str().unwrap_or_default();
        let request = not_there_yet(of, resource_id(uuid).unwrap_or(uuid), unique_id);
        self.entries.push(json!({ "resource": resource, "request": request }));
    }
}

/// Makes a request that writes a resource which is not there yet; of a unique
/// id there may be one.
pub(super) fn not_there_yet(of: &str, id: &str, unique_id: Option<&str>) -> Value {
    let mut url = format!("{of}/{id}");
    if let Some(unique_id) = unique_id {
        url = format!("{of}?identifier=");
        percent::encode(&unique_id_token(unique_id), &mut url);
    }
    json!({ "method": "PUT", "url": url, "ifNoneMatch": "*" })
}

/// Makes a request about a resource as it was read.
fn unchanged(method: &str, registered: &Registered) -> Value {
    let mut request = json!({ "method": method, "url": literal(&registered.resource) });
    let meta = registered.resource.root().child(name::META);
    if let Some(version) = meta.and_then(|meta| meta.text_of(name::VERSION_ID)) {
        request["ifMatch"] = json!(format!("W/\"{version}\""));
    }
    request
}

/// Appends what a list of a resource has to that of another.
pub(super) fn append(value: &mut Value, element: &str, made: &Value) {
    let Some(resource) = value.as_object_mut() else { return };
    let items = resource.entry(element).or_insert_with(|| json!([]));
    if let (Value::Array(items), Some(Value::Array(new))) = (items, made.get(element)) {
        items.extend(new.iter().cloned());
    }
}

/// Tells which resources members are; `None` for what is none: an association.
fn member_types<'s>(
    submission: &'s Submission,
    known: &'s HashMap<String, Known>,
) -> HashMap<&'s str, Option<&'static str>> {
    let document = Some("DocumentReference");
    let mut types: HashMap<&str, Option<&'static str>> = HashMap::new();
    types.extend(submission.documents.iter().map(|d| (d.id.as_str(), document)));
    types.extend(submission.folders.iter().map(|f| (f.id.as_str(), Some("List"))));
    for (id, known) in known {
        let is_document = known.registered.object.kind == ObjectKind::ExtrinsicObject;
        types.insert(id, if is_document { document } else { Some("List") });
    }
    types
}

/// Makes an association.
pub(super) fn association_of(kind: &str, source: &str, target: &str) -> RegistryObject {
    let id = format!("urn:uuid:{}", uuid::Uuid::new_v4());
    RegistryObject {
        kind: ObjectKind::Association,
        logical_id: Some(id.clone()),
        id,
        status: Some(APPROVED.to_owned()),
        ends: Some(Ends { kind: kind.to_owned(), source: source.to_owned(), target: target.to_owned() }),
        ..RegistryObject::default()
    }
}

pub(super) fn json_of(registered: &Registered) -> Result<Value, Issue> {
    json_of_resource(registered.resource.root())
}

/// Returns the time, as metadata have it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string()
}
