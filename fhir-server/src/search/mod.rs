//! stub
pub mod registry;
pub mod parameter;
pub mod ucum;
use crate::storage::Connection;
use fhir_model::interaction::*; use fhir_model::outcome::Issue; use fhir_model::schema::TypeId; use std::sync::Arc;
pub struct Search { d: Arc<registry::Definitions> }
impl Search {
  pub fn definitions(&self) -> Arc<registry::Definitions> { self.d.clone() }
  pub fn matches(&self, _c: &mut Connection, _of: TypeId, _cr: &Criteria, _limit: usize) -> Result<Vec<ResourceKey>, Issue> { unimplemented!() }
  pub fn search(&self, _c: &mut Connection, _r: &SearchRequest, _base: &str) -> Result<Performed, Issue> { unimplemented!() }
}
