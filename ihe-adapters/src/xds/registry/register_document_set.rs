//! ITI-42: registers documents, all of a submission or nothing.
//!
//! Spec: ITI TF-2 3.42.4.1.3

use std::collections::HashMap;
use std::sync::Arc;

use fhir_model::interaction::Content;
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::percent;
use fhir_model::schema::ty;
use serde_json::{Value, json};

use super::{Registered, Registry, failure, literal};
use crate::wire::ebrim::{Ends, ObjectKind, RegistryObject};
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::xds::check::{check, patient_id, unique_id};
use crate::xds::fhir::{Member, Places, document_reference, list, resource_id, unique_id_token};
use crate::xds::submission::Submission;
use crate::xds::values::{Cx, dtm_to_date_time};
use crate::xds::vocabulary::{
    APPENDS, APPROVED, FOLDER_NODE, HAS_MEMBER, REPLACES, TRANSFORMS, TRANSFORMS_AND_REPLACES,
};

/// How often a submission is tried anew that others came in between.
const TRIES: usize = 4;

/// Registers a submission. `stored`: where the bytes are that the repository
/// has of its documents, in their order; none for those that are elsewhere.
///
/// # Errors
/// All that is wrong with it; nothing is registered then.
pub(crate) async fn register(
    registry: &Registry<'_>,
    mut submission: Submission,
    stored: &[Option<Content>],
) -> Result<(), Vec<RegistryError>> {
    let faults = check(&submission);
    if !faults.is_empty() {
        return Err(faults);
    }
    submission.assign_ids();
    for object in submission.objects_mut() {
        object.status = Some(APPROVED.to_owned());
        object.logical_id = Some(object.id.clone());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let planned = Plan::of(registry, &submission, stored).await;
        let planned = planned.map_err(|issue| vec![failure(&issue, ErrorCode::Registry)])??;
        match registry.fhir.transact(planned.entries, planned.contents).await {
            Ok(()) => return Ok(()),
            // Somebody changed what is changed here, or took a unique id: look again.
            Err(issue) if is_race(&issue) && tries < TRIES => {}
            Err(issue) => return Err(vec![failure(&issue, ErrorCode::Registry)]),
        }
    }
}

fn is_race(issue: &Issue) -> bool {
    matches!(issue.code, IssueType::Conflict | IssueType::Invalid | IssueType::MultipleMatches)
}

/// What a submission writes.
struct Plan {
    entries: Vec<Value>,
    contents: Vec<(String, Content)>,
}

/// A registered object that a submission concerns.
struct Known {
    registered: Arc<Registered>,
    /// The resource that it becomes, where it changes.
    becomes: Option<Value>,
}

/// What is found out about a submission.
struct Planning<'s> {
    submission: &'s Submission,
    patient: Cx,
    faults: Vec<RegistryError>,
    /// Registered objects that this concerns, by their ids.
    known: HashMap<String, Known>,
    /// Memberships that come of replacing what is in folders.
    added: Vec<RegistryObject>,
}

impl Plan {
    async fn of(
        registry: &Registry<'_>,
        submission: &Submission,
        stored: &[Option<Content>],
    ) -> Result<Result<Plan, Vec<RegistryError>>, Issue> {
        // Its form was checked.
        let Some(patient) = patient_id(&submission.submission_set).and_then(Cx::parse) else {
            return Err(Issue::fatal(IssueType::Exception));
        };
        let place = registry.patient(&patient).await?;
        let mut planning =
            Planning { submission, patient, faults: Vec::new(), known: HashMap::new(), added: Vec::new() };
        if place.is_none() {
            let error = RegistryError::new(ErrorCode::UnknownPatientId, planning.patient.to_string());
            planning.faults.push(error.at(&submission.submission_set.id));
        }
        planning.identities(registry).await?;
        for association in &submission.associations {
            let Some(ends) = &association.ends else { continue };
            if ends.kind == HAS_MEMBER {
                planning.has_member(registry, association, ends).await?;
            } else {
                planning.relationship(registry, association, ends).await?;
            }
        }
        if !planning.faults.is_empty() {
            return Ok(Err(planning.faults));
        }
        Ok(Ok(planning.into_plan(place, stored)))
    }
}

impl Planning<'_> {
    fn fault(&mut self, code: ErrorCode, at: &RegistryObject, context: String) {
        self.faults.push(RegistryError::new(code, context).at(&at.id));
    }

    /// Checks that ids and unique ids are new, or mean the same document.
    async fn identities(&mut self, registry: &Registry<'_>) -> Result<(), Issue> {
        const TYPES: [fhir_model::schema::TypeId; 2] = [ty::DOCUMENT_REFERENCE, ty::LIST];
        for object in self.submission.described() {
            if registry.by_uuid(&object.id, &TYPES).await?.is_some() {
                let context = format!("the id {} is registered already", object.id);
                self.fault(ErrorCode::RegistryMetadata, object, context);
            }
            let Some(id) = unique_id(object) else { continue };
            for known in registry.by_unique_id(id, &TYPES).await? {
                if object.kind != ObjectKind::ExtrinsicObject
                    || known.object.kind != ObjectKind::ExtrinsicObject
                {
                    let context = format!("the unique id {id} is taken");
                    self.fault(ErrorCode::DuplicateUniqueIdInRegistry, object, context);
                    continue;
                }
                let differs = |slot: &str| {
                    let values = (known.object.slot_value(slot), object.slot_value(slot));
                    matches!(values, (Some(a), Some(b)) if !a.eq_ignore_ascii_case(b))
                };
                for (slot, code) in
                    [("hash", ErrorCode::NonIdenticalHash), ("size", ErrorCode::NonIdenticalSize)]
                {
                    if differs(slot) {
                        let context = format!("the document {id} is registered with another {slot}");
                        self.fault(code, object, context);
                    }
                }
            }
        }
        Ok(())
    }

    fn is_here(&self, id: &str) -> bool {
        self.submission.objects().any(|object| object.id == id)
    }

    /// Finds a registered object that is referred to, which must be approved
    /// and of the same patient.
    async fn referred(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        id: &str,
    ) -> Result<Option<Arc<Registered>>, Issue> {
        if let Some(known) = self.known.get(id) {
            return Ok(Some(Arc::clone(&known.registered)));
        }
        let Some(found) = registry.by_uuid(id, &[ty::DOCUMENT_REFERENCE, ty::LIST]).await? else {
            self.fault(ErrorCode::UnresolvedReference, association, format!("{id} is not registered"));
            return Ok(None);
        };
        if found.object.status.as_deref() != Some(APPROVED) {
            let context = format!("{id} is deprecated");
            self.fault(ErrorCode::RegistryDeprecatedDocument, association, context);
            return Ok(None);
        }
        let theirs = patient_id(&found.object).and_then(Cx::parse);
        if theirs.as_ref().is_some_and(|theirs| *theirs != self.patient) {
            let context = format!("{id} is of another patient than {}", self.patient);
            self.fault(ErrorCode::PatientIdDoesNotMatch, association, context);
            return Ok(None);
        }
        let registered = Arc::new(found);
        self.known.insert(id.to_owned(), Known { registered: Arc::clone(&registered), becomes: None });
        Ok(Some(registered))
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

    fn deprecate(&mut self, document: Arc<Registered>) -> Result<(), Issue> {
        self.change(document)?["status"] = json!("superseded");
        Ok(())
    }

    async fn has_member(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        ends: &Ends,
    ) -> Result<(), Issue> {
        let target = if self.is_here(&ends.target) {
            None
        } else {
            match self.referred(registry, association, &ends.target).await? {
                Some(found) => Some(found),
                None => return Ok(()),
            }
        };
        if self.is_here(&ends.source) {
            return Ok(());
        }
        // A document is put into a folder that is there.
        let Some(folder) = self.referred(registry, association, &ends.source).await? else { return Ok(()) };
        let is_document = target.is_none_or(|target| target.object.kind == ObjectKind::ExtrinsicObject);
        if !folder.object.is_of_node(FOLDER_NODE) || !is_document {
            let context = format!("{} is no folder that takes {}", ends.source, ends.target);
            self.fault(ErrorCode::RegistryMetadata, association, context);
            return Ok(());
        }
        self.put_into_folder(folder, association)
    }

    /// Adds a member to a registered folder.
    fn put_into_folder(
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
            let entries = list.entry("entry").or_insert_with(|| json!([]));
            if let (Value::Array(entries), Some(Value::Array(new))) = (entries, made.get("entry")) {
                entries.extend(new.iter().cloned());
            }
        }
        Ok(())
    }

    async fn relationship(
        &mut self,
        registry: &Registry<'_>,
        association: &RegistryObject,
        ends: &Ends,
    ) -> Result<(), Issue> {
        if self.is_here(&ends.target) {
            return Ok(());
        }
        let Some(target) = self.referred(registry, association, &ends.target).await? else { return Ok(()) };
        if target.object.kind != ObjectKind::ExtrinsicObject {
            let context = format!("{} is no document", ends.target);
            self.fault(ErrorCode::UnresolvedReference, association, context);
            return Ok(());
        }
        if ![REPLACES, TRANSFORMS_AND_REPLACES].contains(&ends.kind.as_str()) {
            return Ok(());
        }
        self.deprecate(Arc::clone(&target))?;
        // What only stands beside what is replaced goes with it.
        for child in registry.documents_related_to(&target).await? {
            let hangs_on = |a: &RegistryObject| {
                let ends = a.ends.as_ref();
                ends.is_some_and(|e| {
                    e.target == target.object.id && [TRANSFORMS, APPENDS].contains(&e.kind.as_str())
                })
            };
            if child.object.status.as_deref() == Some(APPROVED) && child.associations.iter().any(hangs_on) {
                self.deprecate(Arc::new(child))?;
            }
        }
        for package in registry.packages_with(&target).await? {
            let is_open = package.object.status.as_deref() == Some(APPROVED);
            if !package.object.is_of_node(FOLDER_NODE) || !is_open {
                continue;
            }
            let membership = association_of(HAS_MEMBER, &package.object.id, &ends.source);
            self.put_into_folder(Arc::new(package), &membership)?;
            // The submission set has the membership as a member.
            let of_set = association_of(HAS_MEMBER, &self.submission.submission_set.id, &membership.id);
            self.added.push(of_set);
        }
        Ok(())
    }

    fn into_plan(self, place: Option<String>, stored: &[Option<Content>]) -> Plan {
        let Planning { submission, known, added, .. } = self;
        let mut plan = Plan { entries: Vec::new(), contents: Vec::new() };
        for (at, document) in submission.documents.iter().enumerate() {
            let content = stored.get(at).copied().flatten();
            let binary = content.map(|content| plan.binary(document, content));
            let of_it = |a: &&RegistryObject| {
                a.ends.as_ref().is_some_and(|e| e.kind != HAS_MEMBER && e.source == document.id)
            };
            let relationships: Vec<&RegistryObject> = submission.associations.iter().filter(of_it).collect();
            let places = Places { patient: place.clone(), document: binary };
            let resource = document_reference(document, &relationships, &places);
            plan.put_new(resource, &document.id, None);
        }
        let lists = std::iter::once(&submission.submission_set).chain(&submission.folders);
        let types: HashMap<&str, Option<&'static str>> = member_types(submission, &known);
        for object in lists {
            let is_source = |a: &&RegistryObject| {
                a.ends.as_ref().is_some_and(|e| e.kind == HAS_MEMBER && e.source == object.id)
            };
            let associations = submission.associations.iter().chain(&added).filter(is_source);
            let members: Vec<Member<'_>> = associations
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
            // Two submissions with one unique id at once: the second finds the first.
            plan.put_new(list(&object, &members, &places), &object.id, unique_id(&object));
        }
        for Known { registered, becomes } in known.into_values() {
            let Some(value) = becomes else { continue };
            let version =
                registered.resource.root().child_named("meta").and_then(|meta| {
                    meta.child_named("versionId").and_then(|v| v.value()).map(str::to_owned)
                });
            let mut request = json!({ "method": "PUT", "url": literal(&registered.resource) });
            if let Some(version) = version {
                request["ifMatch"] = json!(format!("W/\"{version}\""));
            }
            plan.entries.push(json!({ "resource": value, "request": request }));
        }
        plan
    }
}

impl Plan {
    /// Writes a Binary of the stored bytes of a document; returns the reference to it.
    fn binary(&mut self, document: &RegistryObject, content: Content) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        let full_url = format!("urn:uuid:{id}");
        let url = format!("Binary/{id}");
        let binary = json!({ "resourceType": "Binary", "id": id, "contentType": document.mime_type });
        let request = json!({ "method": "PUT", "url": url });
        self.entries.push(json!({ "fullUrl": full_url, "resource": binary, "request": request }));
        self.contents.push((full_url, content));
        url
    }

    /// Writes a resource that is not there yet; of a unique id there may be one.
    fn put_new(&mut self, resource: Value, uuid: &str, unique_id: Option<&str>) {
        let of = resource["resourceType"].as_str().unwrap_or_default().to_owned();
        let url = match unique_id {
            Some(unique_id) => {
                let mut url = format!("{of}?identifier=");
                percent::encode(&unique_id_token(unique_id), &mut url);
                url
            }
            None => format!("{of}/{}", resource_id(uuid).unwrap_or(uuid)),
        };
        let request = json!({ "method": "PUT", "url": url, "ifNoneMatch": "*" });
        self.entries.push(json!({ "resource": resource, "request": request }));
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

fn association_of(kind: &str, source: &str, target: &str) -> RegistryObject {
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

fn json_of(registered: &Registered) -> Result<Value, Issue> {
    let unreadable = |_| Issue::fatal(IssueType::Exception).text("a stored resource cannot be changed");
    serde_json::from_slice(&json::to_json(&registered.resource)).map_err(unreadable)
}

/// Returns the time, as metadata have it.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string()
}
