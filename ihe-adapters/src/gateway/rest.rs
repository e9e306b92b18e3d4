//! FHIR REST: what of it is a transaction of MHD, PIXm, PDQm or PMIR is performed as that,
//! all else as it is.

use fhir_model::interaction::{BundleRequest, Caller, CreateRequest, FhirApi, Interaction, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType, Reason, Severity};
use fhir_model::schema::{name, ty};
use fhir_model::tree::Resource;
use jiff::Timestamp;
use serde_json::Value;

use super::Gateway;
use crate::atna::Recording;
use crate::atna::event::{Happened, Objects, Part, audit_event};
use crate::atna::participants::{Outcome, ended};
use crate::mhd::generate_metadata::{OPERATION, generate_metadata};
use crate::mhd::profile::{Level, is_published_simply};
use crate::mhd::provide_document_bundle::provide_document_bundle;
use crate::mhd::simplified_publish::simplified_publish;
use crate::xds::check::unique_id;
use crate::xds::fhir::{is_folder, registered_package};
use crate::xds::registry::Registry;

impl Gateway {
    /// Performs an interaction that came by REST: a transaction of MHD, or of the patient
    /// index, is recorded as what it is, all else is for `api`, which records what it is asked.
    ///
    /// # Errors
    /// As the interaction, or the transaction that it is.
    pub async fn interact(
        &self,
        api: &dyn FhirApi,
        caller: &Caller,
        interaction: Interaction,
    ) -> Result<Performed, Issue> {
        let interaction = match self.identify(api, caller, interaction).await {
            Ok(performed) => return performed,
            Err(interaction) => interaction,
        };
        match interaction {
            Interaction::Bundle(request) => match Level::of(&request.bundle) {
                Some(level) => self.provide_document_bundle(caller, &request, level).await,
                None => api.perform(caller, Interaction::Bundle(request)).await,
            },
            Interaction::Create(request)
                if request.resource_type == ty::DOCUMENT_REFERENCE
                    && is_published_simply(&request.resource) =>
            {
                self.simplified_publish(caller, &request).await
            }
            Interaction::Operation(call)
                if call.name == OPERATION
                    && call.scope == Scope::Type(ty::DOCUMENT_REFERENCE)
                    && !call.safe =>
            {
                let perform =
                    async |registry: &Registry<'_>| generate_metadata(registry, &self.documents, &call).await;
                self.recorded(caller, "ITI-106", (&Objects::default(), None), perform).await
            }
            interaction => api.perform(caller, interaction).await,
        }
    }

    async fn provide_document_bundle(
        &self,
        caller: &Caller,
        request: &BundleRequest,
        level: Level,
    ) -> Result<Performed, Issue> {
        if request.bundle.root().text_of(name::TYPE) != Some("transaction") {
            let issue = Issue::error(IssueType::Value).because(Reason::Unprocessable);
            return Err(issue.at("Bundle.type").text("a submission by MHD is a transaction"));
        }
        let (objects, patient) = submitted(&request.bundle);
        let perform = async |registry: &Registry<'_>| {
            provide_document_bundle(registry, &self.documents, &request.bundle, level).await
        };
        self.recorded(caller, "ITI-65", (&objects, patient), perform).await
    }

    async fn simplified_publish(&self, caller: &Caller, request: &CreateRequest) -> Result<Performed, Issue> {
        if request.if_none_exist.is_some() {
            let issue =
                Issue::error(IssueType::NotSupported).because(Reason::Unprocessable).at("http.if-none-exist");
            return Err(issue.text("what is published is new: leave `If-None-Exist` out"));
        }
        let subject = request.resource.root().child(name::SUBJECT);
        let place = subject.and_then(|subject| subject.text_of(name::REFERENCE)).and_then(patient_place);
        let objects =
            Objects { patients: place.iter().map(|_| String::new()).collect(), ..Objects::default() };
        let perform = async |registry: &Registry<'_>| {
            simplified_publish(registry, &self.documents, &request.resource).await
        };
        self.recorded(caller, "ITI-105", (&objects, place), perform).await
    }

    /// Performs a transaction that changes what is registered, and records it: with
    /// the change, or why there was none.
    async fn recorded(
        &self,
        caller: &Caller,
        transaction: &'static str,
        (objects, patient): (&Objects, Option<String>),
        perform: impl AsyncFnOnce(&Registry<'_>) -> Result<Performed, Issue>,
    ) -> Result<Performed, Issue> {
        let Some(recorder) = &self.settings.recorder else { return perform(&self.registry(caller)).await };
        let happened = Happened {
            part: Part::Asked,
            transaction,
            at: Timestamp::now(),
            sender: None,
            sender_address: caller.address,
            sender_node: caller.node.as_deref(),
            receiver: &caller.base,
            user: caller.user.as_deref(),
        };
        let mut event: Value = audit_event(&happened, objects, &[patient], recorder);
        let recording = Recording::new(&event);
        let registry = Registry { recording: Some(&recording), ..self.registry(caller) };
        let performed = perform(&registry).await;
        if recording.is_stored() {
            return performed;
        }
        if let Err(issue) = &performed {
            let is_ours = issue.severity == Severity::Fatal;
            let outcome = if is_ours { Outcome::SeriousFailure } else { Outcome::MinorFailure };
            ended(&mut event, outcome, Some(&issue.diagnostics));
        }
        // Nothing was changed; the failure was logged.
        let _ = self.store(caller, &event).await;
        performed
    }
}

/// Returns the place of a patient of this server.
fn patient_place(reference: &str) -> Option<String> {
    reference.starts_with("Patient/").then(|| reference.to_owned())
}

/// Tells what a submission is about: its submission sets, and the patient by his place.
fn submitted(bundle: &Resource) -> (Objects, Option<String>) {
    let resources = bundle.root().children_named(name::ENTRY).filter_map(|entry| entry.child(name::RESOURCE));
    let lists = resources.filter(|resource| resource.ty() == ty::LIST);
    let mut objects = Objects::default();
    let mut patient = None;
    for list in lists {
        let of_patient = list.child(name::SUBJECT).and_then(|subject| subject.text_of(name::REFERENCE));
        patient = patient.or(of_patient.and_then(patient_place));
        let is_set = is_folder(list) == Some(false);
        let package = registered_package(list, None).filter(|_| is_set);
        objects.submission_sets.extend(package.as_ref().and_then(unique_id).map(str::to_owned));
    }
    objects.patients.extend(patient.as_ref().map(|_| String::new()));
    (objects, patient)
}
