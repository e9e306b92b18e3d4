//! ITI-38: answers the stored queries of another community.
//!
//! Spec: ITI TF-2 3.38.4.1.3

use super::check_home;
use crate::wire::ebrim::{ObjectKind, RegistryObject};
use crate::wire::ebrs::RegistryError;
use crate::wire::namespaces::RIM;
use crate::wire::xml::Element;
use crate::xds::registry::Registry;
use crate::xds::registry::stored_query::{Patients, StoredQuery, perform, response};

/// Answers an `AdhocQueryRequest`. `ours`: this community, `urn:oid:...`.
pub(crate) async fn cross_gateway_query(registry: &Registry<'_>, body: &Element, ours: &str) -> Element {
    let mut leaf_class = false;
    let found = match StoredQuery::of(body) {
        Ok(query) => {
            leaf_class = query.leaf_class;
            let home = body.child(RIM, "AdhocQuery").and_then(|query| query.attribute("home"));
            match check_home(home, !query.names_patient(), ours) {
                Ok(()) => perform(registry, &query, Patients::One).await,
                Err(error) => Err(vec![error]),
            }
        }
        Err(error) => Err(vec![error]),
    };
    match found {
        Ok(mut found) => {
            found.iter_mut().for_each(|object| set_home(object, leaf_class, ours));
            response(&found, leaf_class, &[])
        }
        Err(errors) => {
            let errors: Vec<RegistryError> = errors.into_iter().map(|error| error.at(ours)).collect();
            response(&[], leaf_class, &errors)
        }
    }
}

/// Says of which community an object is; associations have no such attribute.
fn set_home(object: &mut RegistryObject, leaf_class: bool, ours: &str) {
    if !leaf_class || object.kind != ObjectKind::Association {
        object.home = Some(ours.to_owned());
    }
}
