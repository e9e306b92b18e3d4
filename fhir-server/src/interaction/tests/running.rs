//! A server in process, on a folder.

use std::path::Path;
use std::sync::Arc;

use fhir_model::interaction::{
    Caller, CreateRequest, DeleteRequest, FhirApi, Interaction, Performed, Target, UpdateRequest,
};
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::TypeId;
use serde_json::Value;

use crate::identity::Index;
use crate::interaction::Server;
use crate::limits::Limits;
use crate::search::registry::Definitions;
use crate::search::{Search, SearchLimits};
use crate::storage::{Store, StoreSettings};

pub(crate) const BASE: &str = "http://localhost/fhir";

/// A server on a folder, as it is after a start.
pub(crate) struct Running {
    pub(crate) server: Server,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Running {
    pub(crate) fn start(folder: &Path) -> Running {
        let store = Arc::new(Store::open(&StoreSettings::of(folder)).expect("store"));
        let bases = vec![BASE.to_owned()];
        let standard = Arc::new(Definitions::standard().expect("definitions"));
        let search = Search::new(standard, bases.clone(), SearchLimits::default());
        let server = Server::new(store, search, Limits::default(), bases).expect("server");
        Running { server, runtime: tokio::runtime::Builder::new_current_thread().build().expect("runtime") }
    }

    /// Links the records of an index.
    pub(crate) fn with_index(self, index: Index) -> Running {
        let Running { server, runtime } = self;
        Running { server: server.with_index(index).expect("an index"), runtime }
    }

    pub(crate) fn perform(&self, interaction: Interaction) -> Result<Performed, Issue> {
        let caller = Caller::new("test", BASE);
        self.runtime.block_on(self.server.perform(&caller, interaction))
    }

    pub(crate) fn create(&self, resource: &Value) -> Result<Performed, Issue> {
        let resource = tree(resource);
        let request =
            CreateRequest { resource_type: resource.resource_type(), resource, if_none_exist: None };
        self.perform(Interaction::Create(request))
    }

    pub(crate) fn put(&self, resource: &Value) -> Result<Performed, Issue> {
        let resource = tree(resource);
        let id = ResourceId::parse(resource.id().expect("id")).expect("id");
        self.perform(Interaction::Update(UpdateRequest {
            resource_type: resource.resource_type(),
            target: Target::Id(id),
            resource,
            if_match: None,
            if_none_exist: false,
        }))
    }

    pub(crate) fn delete(&self, of: TypeId, id: &str) {
        let target = Target::Id(ResourceId::parse(id).expect("id"));
        let request = DeleteRequest { resource_type: of, target, if_match: None };
        self.perform(Interaction::Delete(request)).expect("deleted");
    }
}

pub(crate) fn tree(resource: &Value) -> fhir_model::tree::Resource {
    fhir_model::json::read(resource.to_string().into_bytes()).expect("a resource")
}
