//! What an interaction is about, as far as a record tells of it: which kind it
//! is, what was accessed, and whose data that is. Answers are searched for the
//! references to patients in their bytes; nothing is parsed.

use fhir_model::interaction::{
    HistoryRequest, Interaction, OperationCall, ResourceKey, Scope, SearchRequest, Target,
};
use fhir_model::reference::Literal;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::{Element, Resource};
use ihe_adapters::xds::fhir::is_folder;
use indexmap::IndexSet;
use memchr::{memchr, memmem};

use crate::search::searchset::write_parameter;

/// The transaction of MHD that submits documents.
pub(super) const SUBMISSION: &str = "ITI-65";
/// The types that document sharing is about.
const DOCUMENT_TYPES: &[TypeId] = &[ty::DOCUMENT_REFERENCE, ty::LIST, ty::BINARY];
/// How resources of these types begin in an answer.
const DOCUMENTS: &[&str] =
    &[r#""resourceType":"DocumentReference""#, r#""resourceType":"List""#, r#""resourceType":"Binary""#];
/// What stands before the text that names a resource.
const NAMING: &[&str] = &[r#""reference":""#, r#""fullUrl":""#];
/// The parameters by which a patient is asked for.
const PATIENT_PARAMETERS: &[&str] = &["patient", "subject"];

/// Whether an interaction is about documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AboutDocuments {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// Its answer tells.
    AsAnswered,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Accessed {
    /// The interaction by its code, or the transaction of MHD.
    pub(super) kind: &'static str,
    /// The transaction of PDQm that it is besides.
    pub(super) transaction: Option<&'static str>,
    /// Whose data: `Patient/[id]`.
    pub(super) patients: IndexSet<String>,
    /// What is accessed: `[type]/[id]`.
    pub(super) objects: Vec<String>,
    /// What is asked for, where that is no resource by its id.
    pub(super) query: Option<String>,
}

impl Accessed {
    /// Tells what an interaction is about; `None` for what is not recorded:
    /// batches, whose entries are, and what the server says of itself.
    pub(super) fn of(interaction: &Interaction) -> Option<Accessed> {
        let kind = kind(interaction);
        let mut accessed = Accessed { kind, transaction: transaction(interaction), ..Accessed::default() };
        match interaction {
            Interaction::Read(request) => accessed.key(&request.key),
            Interaction::Vread(request) => accessed.key(&request.key),
            Interaction::Create(request) if request.resource_type == ty::AUDIT_EVENT => return None,
            Interaction::Create(_) => {}
            Interaction::Update(request) => accessed.target(request.resource_type, &request.target),
            Interaction::Patch(request) => accessed.target(request.resource_type, &request.target),
            Interaction::Delete(request) => accessed.target(request.resource_type, &request.target),
            Interaction::History(HistoryRequest { scope, parameters, .. }) => {
                accessed.asked(scope, "/_history", parameters);
            }
            Interaction::Search(SearchRequest { scope, parameters, .. }) => {
                accessed.asked(scope, "", parameters);
            }
            Interaction::Operation(OperationCall { scope, name, query, .. }) => {
                let name: String = name.chars().take(64).collect();
                accessed.asked(scope, &format!("/${name}"), query);
            }
            Interaction::Bundle(request) if is_transaction(&request.bundle) => {
                for set in resources(&request.bundle).filter(|resource| is_submission_set(*resource)) {
                    accessed.kind = SUBMISSION;
                    let subject = set.child(name::SUBJECT).and_then(|s| s.text_of(name::REFERENCE));
                    accessed.patients.extend(subject.and_then(|subject| patient(subject, "")));
                }
            }
            Interaction::Bundle(_) | Interaction::Capabilities => return None,
        }
        Some(accessed)
    }

    /// Adds a resource, and the patient that it is.
    pub(super) fn key(&mut self, key: &ResourceKey) {
        let place = format!("{}/{}", key.resource_type, key.id);
        if key.resource_type == ty::PATIENT {
            self.patients.insert(place.clone());
        }
        self.objects.push(place);
    }

    fn target(&mut self, resource_type: TypeId, target: &Target) {
        match target {
            Target::Id(id) => self.key(&ResourceKey { resource_type, id: id.clone() }),
            Target::Criteria(criteria) => self.asked(&Scope::Type(resource_type), "", &criteria.0),
        }
    }

    /// Adds what is asked for: which part of the data, by which parameters.
    fn asked(&mut self, scope: &Scope, more: &str, parameters: &[(String, String)]) {
        let mut url = match scope {
            Scope::System => String::new(),
            Scope::Type(of) => of.name().to_owned(),
            Scope::Instance(key) => {
                self.key(key);
                format!("{}/{}", key.resource_type, key.id)
            }
            Scope::Compartment { focus, member } => {
                if focus.resource_type == ty::PATIENT {
                    self.patients.insert(format!("Patient/{}", focus.id));
                }
                let member = member.map_or("*", |member| member.name());
                format!("{}/{}/{member}", focus.resource_type, focus.id)
            }
        };
        url.push_str(more);
        for (name, value) in parameters {
            write_parameter(&mut url, name, value);
            let is_id = *scope == Scope::Type(ty::PATIENT) && name == "_id";
            if is_id || PATIENT_PARAMETERS.contains(&name.split(':').next().unwrap_or_default()) {
                self.patients.extend(value.split(',').filter_map(|value| named_by(name, is_id, value)));
            }
        }
        self.query = Some(url);
    }

    /// Adds the patients whom an answer, or a resource, is about. `base`: that of
    /// this server.
    pub(super) fn saw(&mut self, json: &[u8], base: &str) {
        for naming in NAMING {
            for at in memmem::find_iter(json, naming) {
                let rest = json.get(at + naming.len()..).unwrap_or_default();
                let text = memchr(b'"', rest).and_then(|end| rest.get(..end));
                let text = text.and_then(|text| std::str::from_utf8(text).ok());
                // Most references of a Bundle are to the same.
                if let Some(text) = text
                    && text.contains("Patient/")
                    && !self.patients.contains(text)
                {
                    self.patients.extend(patient(text, base));
                }
            }
        }
    }
}

/// Returns the patient that a reference or a URL names, `Patient/[id]`.
fn patient(text: &str, base: &str) -> Option<String> {
    let literal = Literal::parse(text)?;
    let is_ours = literal.base.is_none_or(|of| of == base) && literal.key.resource_type == ty::PATIENT;
    is_ours.then(|| format!("Patient/{}", literal.key.id))
}

/// Returns the patient whom the value of a parameter names by his id.
fn named_by(name: &str, is_id: bool, value: &str) -> Option<String> {
    let (of, modifier) = name.split_once(':').unwrap_or((name, ""));
    let is_chained = of.contains('.') || modifier.contains('.');
    let is_of_patient = is_id || of == "patient" || modifier == "Patient";
    match value.contains('/') {
        _ if is_chained => None,
        true => value.rsplit_once("Patient/").map(|(_, id)| format!("Patient/{id}")),
        false => (is_of_patient && !value.is_empty()).then(|| format!("Patient/{value}")),
    }
    .filter(|place| Literal::parse(place).is_some_and(|literal| literal.version.is_none()))
}

/// Returns the code of an interaction, or of the transaction of MHD that it is.
fn kind(interaction: &Interaction) -> &'static str {
    match interaction {
        Interaction::Read(request) if request.key.resource_type == ty::BINARY => "ITI-68",
        Interaction::Read(_) => "read",
        Interaction::Vread(_) => "vread",
        Interaction::Create(_) => "create",
        Interaction::Update(_) => "update",
        Interaction::Patch(_) => "patch",
        Interaction::Delete(_) => "delete",
        Interaction::History(request) => match request.scope {
            Scope::System => "history-system",
            Scope::Type(_) => "history-type",
            Scope::Instance(_) | Scope::Compartment { .. } => "history-instance",
        },
        Interaction::Search(request) => match request.scope {
            Scope::Type(of) if of == ty::LIST => "ITI-66",
            Scope::Type(of) if of == ty::DOCUMENT_REFERENCE => "ITI-67",
            // As the pattern of PDQm has it.
            Scope::Type(of) if of == ty::PATIENT => "search",
            Scope::Type(_) => "search-type",
            Scope::System => "search-system",
            Scope::Instance(_) | Scope::Compartment { .. } => "search",
        },
        Interaction::Bundle(_) => "transaction",
        Interaction::Operation(call) if is_match(call) => "search",
        Interaction::Operation(_) => "operation",
        Interaction::Capabilities => "capabilities",
    }
}

/// Returns the transaction of PDQm that an interaction is besides.
fn transaction(interaction: &Interaction) -> Option<&'static str> {
    match interaction {
        Interaction::Search(request) if request.scope == Scope::Type(ty::PATIENT) => Some("ITI-78"),
        Interaction::Operation(call) if is_match(call) => Some("ITI-119"),
        _ => None,
    }
}

/// Tells whether a call asks who somebody may be.
fn is_match(call: &OperationCall) -> bool {
    call.name == "match" && call.scope == Scope::Type(ty::PATIENT)
}

/// The operations that say whose data are whose.
const OF_IDENTITY: &[&str] = &["merge", "unmerge", "link"];

/// Tells whether a call may change whose documents are found with whom.
fn is_of_identity(call: &OperationCall) -> bool {
    call.scope == Scope::Type(ty::PATIENT) && !call.safe && OF_IDENTITY.contains(&call.name.as_str())
}

/// Tells whether an interaction is about documents.
pub(super) fn about_documents(interaction: &Interaction) -> AboutDocuments {
    let of_type = |of: TypeId| match DOCUMENT_TYPES.contains(&of) {
        true => AboutDocuments::Yes,
        false => AboutDocuments::No,
    };
    match interaction {
        Interaction::Read(request) => of_type(request.key.resource_type),
        Interaction::Vread(request) => of_type(request.key.resource_type),
        Interaction::Create(request) => of_type(request.resource_type),
        Interaction::Update(request) => of_type(request.resource_type),
        Interaction::Patch(request) => of_type(request.resource_type),
        Interaction::Delete(request) => of_type(request.resource_type),
        Interaction::History(request) => of_scope(&request.scope, of_type, AboutDocuments::No),
        Interaction::Search(request) => {
            // Documents can come with anything.
            let includes = |name: &str| name.starts_with("_include") || name.starts_with("_revinclude");
            match request.parameters.iter().any(|(name, _)| includes(name)) {
                true => of_scope(&request.scope, of_type, AboutDocuments::AsAnswered),
                false => of_scope(&request.scope, of_type, AboutDocuments::No),
            }
        }
        Interaction::Operation(call) if is_of_identity(call) => AboutDocuments::Yes,
        Interaction::Operation(call) => of_scope(&call.scope, of_type, AboutDocuments::AsAnswered),
        Interaction::Bundle(request) => match is_transaction(&request.bundle) {
            true if types_of(&request.bundle).any(|of| DOCUMENT_TYPES.contains(&of)) => AboutDocuments::Yes,
            _ => AboutDocuments::No,
        },
        Interaction::Capabilities => AboutDocuments::No,
    }
}

/// `otherwise`: what holds where the type of the scope is another.
fn of_scope(
    scope: &Scope,
    of_type: impl Fn(TypeId) -> AboutDocuments,
    otherwise: AboutDocuments,
) -> AboutDocuments {
    let of = match scope {
        Scope::Type(of) => *of,
        Scope::Instance(key) => key.resource_type,
        Scope::Compartment { member: Some(of), .. } => *of,
        Scope::System | Scope::Compartment { member: None, .. } => return AboutDocuments::AsAnswered,
    };
    match of_type(of) {
        AboutDocuments::No => otherwise,
        about => about,
    }
}

/// Tells whether an answer has documents in it.
pub(super) fn has_documents(json: &[u8]) -> bool {
    DOCUMENTS.iter().any(|beginning| memmem::find(json, beginning.as_bytes()).is_some())
}

fn is_transaction(bundle: &Resource) -> bool {
    bundle.root().text_of(name::TYPE) == Some("transaction")
}

/// Tells whether a resource is a submission of documents.
pub(super) fn is_submission_set(resource: Element<'_>) -> bool {
    resource.ty() == ty::LIST && is_folder(resource) == Some(false)
}

fn resources(bundle: &Resource) -> impl Iterator<Item = Element<'_>> {
    bundle.root().children_named(name::ENTRY).filter_map(|entry| entry.child(name::RESOURCE))
}

/// Returns the types that the entries of a Bundle name.
fn types_of(bundle: &Resource) -> impl Iterator<Item = TypeId> {
    let named = bundle.root().children_named(name::ENTRY).filter_map(|entry| {
        let url = entry.child(name::REQUEST).and_then(|request| request.text_of(name::URL));
        url.and_then(|url| TypeId::resource_named(url.split(['/', '?']).next()?))
    });
    named.chain(resources(bundle).map(|resource| resource.ty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patients_of_an_answer_are_found() {
        let json =
            br#"{"resourceType":"Bundle","entry":[{"fullUrl":"http://a/fhir/Patient/1","resource":{"text":
            "\"reference\":\"Patient/2\""}},{"fullUrl":"http://a/fhir/Observation/3","resource":{"subject":
            {"reference":"Patient/4/_history/1"},"performer":[{"reference":"http://a/fhir/Patient/5"},
            {"reference":"http://b/fhir/Patient/6"},{"reference":"Practitioner/7"},{"reference":"Patient/1"},
            {"reference":"Patient?identifier=8"},{"reference":"urn:uuid:9"}]}}]}"#;
        let mut accessed = Accessed::default();
        accessed.saw(json, "http://a/fhir");
        let found: Vec<&str> = accessed.patients.iter().map(String::as_str).collect();
        assert_eq!(found, ["Patient/4", "Patient/5", "Patient/1"]);
    }

    #[test]
    fn the_patients_of_a_question_are_found() {
        for (of, name, value, expected) in [
            (ty::OBSERVATION, "patient", "1", vec!["Patient/1"]),
            (ty::OBSERVATION, "patient", "1,Patient/2", vec!["Patient/1", "Patient/2"]),
            (ty::OBSERVATION, "subject", "Patient/1", vec!["Patient/1"]),
            (ty::OBSERVATION, "subject", "http://a/fhir/Patient/1", vec!["Patient/1"]),
            (ty::OBSERVATION, "subject:Patient", "1", vec!["Patient/1"]),
            (ty::OBSERVATION, "subject", "Group/1", vec![]),
            (ty::OBSERVATION, "subject", "1", vec![]),
            (ty::OBSERVATION, "patient.identifier", "1", vec![]),
            (ty::OBSERVATION, "patient:Patient.name", "1", vec![]),
            (ty::OBSERVATION, "patient", "a b", vec![]),
            (ty::OBSERVATION, "_id", "1", vec![]),
            (ty::PATIENT, "_id", "1,2", vec!["Patient/1", "Patient/2"]),
        ] {
            let mut accessed = Accessed::default();
            accessed.asked(&Scope::Type(of), "", &[(name.to_owned(), value.to_owned())]);
            let found: Vec<&str> = accessed.patients.iter().map(String::as_str).collect();
            assert_eq!(found, expected, "{name}={value}");
        }
    }

    #[test]
    fn what_is_about_documents() {
        let search = |scope, parameter: &str| {
            let parameters = vec![(parameter.to_owned(), "x".to_owned())];
            Interaction::Search(SearchRequest { scope, parameters, handling: Default::default() })
        };
        for (interaction, expected) in [
            (search(Scope::Type(ty::OBSERVATION), "code"), AboutDocuments::No),
            (search(Scope::Type(ty::OBSERVATION), "_include:iterate"), AboutDocuments::AsAnswered),
            (search(Scope::Type(ty::LIST), "code"), AboutDocuments::Yes),
            (search(Scope::System, "_type"), AboutDocuments::AsAnswered),
            (Interaction::Capabilities, AboutDocuments::No),
        ] {
            assert_eq!(about_documents(&interaction), expected, "{interaction:?}");
        }
        assert!(has_documents(br#"{"entry":[{"resource":{"resourceType":"Binary"}}]}"#));
        assert!(!has_documents(br#"{"resourceType":"Bundle","entry":[]}"#));
    }
}
