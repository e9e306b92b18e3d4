//! FHIR over a few resources, for tests: of searches it knows what adapters ask.

use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_model::interaction::{Body, Caller, FhirApi, Interaction, Performed, SearchRequest, Status};
use fhir_model::outcome::{Issue, IssueType};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::PatientIndex;
use super::domains::{Domain, Domains, Kind};
use crate::fhir_client::Fhir;

/// The resources that are there.
pub(crate) struct Stored {
    resources: Vec<Value>,
    domains: Domains,
    caller: Caller,
    searches: AtomicUsize,
}

impl Stored {
    /// Makes it, with domains `NAME`, OID.
    pub(crate) fn new(resources: Value, domains: &[(&str, &str)]) -> Stored {
        let domain = |(name, oid): &(&str, &str)| Domain {
            name: (*name).to_owned(),
            oid: (*oid).to_owned(),
            uri: String::new(),
            aliases: Vec::new(),
            kind: Kind::Local,
            sources: if name.is_empty() { Vec::new() } else { vec![format!("{name}|H")] },
        };
        let domains = Domains::new(domains.iter().map(domain).collect()).expect("domains");
        let resources = resources.as_array().into_iter().flatten().map(|resource| whole(resource.clone()));
        let resources = resources.collect();
        let caller = Caller::new("test", "http://localhost/fhir");
        Stored { resources, domains, caller, searches: AtomicUsize::new(0) }
    }

    /// Returns how often it was searched.
    pub(crate) fn searches(&self) -> usize {
        self.searches.load(Ordering::Relaxed)
    }

    pub(crate) fn index(&self) -> PatientIndex<'_> {
        let fhir = Fhir { api: self, caller: &self.caller };
        PatientIndex { fhir, domains: &self.domains, recording: None }
    }

    fn search(&self, request: &SearchRequest) -> Value {
        let of = match request.scope {
            fhir_model::interaction::Scope::Type(of) => of.name(),
            _ => "",
        };
        let is_found = |resource: &&Value| {
            resource["resourceType"] == of && request.parameters.iter().all(|(n, v)| holds(resource, n, v))
        };
        let mut found: Vec<&Value> = self.resources.iter().filter(is_found).collect();
        found.sort_by_key(|resource| resource["id"].as_str().unwrap_or_default().to_owned());
        let asks = |value: &str| request.parameters.iter().any(|(_, asked)| asked == value);
        let included = self.resources.iter().filter(|resource| {
            // What is tied and what is not is told apart by who asked.
            let is_asked = resource["resourceType"] == of && asks("Patient:link")
                || resource["resourceType"] == "Account" && asks("Account:patient");
            is_asked && !is_found(resource)
        });
        let entry = |mode: &'static str| move |resource: &Value| json!({ "resource": resource, "search": { "mode": mode } });
        let entries: Vec<Value> =
            found.iter().copied().map(entry("match")).chain(included.map(entry("include"))).collect();
        whole(json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries }))
    }
}

/// Leaves out what is null or empty, which FHIR does not have.
pub(crate) fn whole(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, whole(value)));
            Value::Object(members.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => {
            Value::Array(items.into_iter().map(whole).filter(|value| !is_empty(value)).collect())
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

impl FhirApi for Stored {
    fn perform<'a>(&'a self, _: &'a Caller, what: Interaction) -> BoxFuture<'a, Result<Performed, Issue>> {
        let answer = match what {
            Interaction::Search(request) => {
                self.searches.fetch_add(1, Ordering::Relaxed);
                Ok(self.search(&request))
            }
            _ => Err(Issue::error(IssueType::NotSupported)),
        };
        let performed = answer.map(|bundle| Performed {
            status: Status::Ok,
            body: Body::Json(bundle.to_string().into()),
            content: None,
            key: None,
            version: None,
            updated: None,
            changed: Vec::new(),
            issues: Vec::new(),
            repeated: None,
        });
        async move { performed }.boxed()
    }
}

fn holds(resource: &Value, name: &str, value: &str) -> bool {
    let any = |is: &dyn Fn(&str) -> bool| value.split(',').any(is);
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let refers = |of: &Value, to: &str| {
        let place = text(&of["reference"]);
        place == to || place.rsplit('/').next() == Some(to)
    };
    let items = |of: &Value| of.as_array().cloned().unwrap_or_default();
    match name {
        "identifier" => any(&|token| {
            let master = &resource["masterIdentifier"];
            items(&resource["identifier"]).iter().chain([master]).any(|of| match token.split_once('|') {
                Some(("", value)) => of["system"].is_null() && of["value"] == value,
                Some((system, value)) => of["system"] == system && (value.is_empty() || of["value"] == value),
                None => of["value"] == token,
            })
        }),
        "_id" => any(&|id| resource["id"] == id),
        "patient" => any(&|id| {
            let subjects = &resource["subject"];
            refers(subjects, id) || items(subjects).iter().any(|of| refers(of, id))
        }),
        "class" => resource["class"]["code"] == value,
        "partof" => any(&|place| refers(&resource["partOf"], place)),
        "location" => {
            any(&|place| items(&resource["location"]).iter().any(|of| refers(&of["location"], place)))
        }
        "practitioner" => {
            any(&|place| items(&resource["participant"]).iter().any(|of| refers(&of["individual"], place)))
        }
        "name:exact" => resource["name"] == value,
        "family" if resource["resourceType"] == "Practitioner" => resource["name"][0]["family"] == value,
        // What is found beyond that is looked through by who asks.
        _ => true,
    }
}
