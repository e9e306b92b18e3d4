//! From a resource to its index rows.
//!
//! A value that cannot be indexed is left out and counted: a bad value never
//! keeps a resource from being stored, nor the index from going on.

use std::sync::atomic::{AtomicU64, Ordering};

use fhir_model::fhirpath::{Context, Limits};
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};

use super::row::{EqualHash, IndexRows, Link, Pair, TargetHash};
use crate::identity;
use crate::search::merges;
use crate::search::parameter::{Collector, index, index_together};
use crate::search::registry::{Definitions, OfType};

/// The greatest number of pairs of one resource: tokens times patients.
const PAIRS_MAX: usize = 2000;

/// What one expression may cost on one resource, so that none holds up the writer.
const LIMITS: Limits = Limits { steps_max: 2_000_000, items_max: 200_000, text_bytes_max: 1 << 20 };

static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Returns how many values were not indexed since the process began.
pub fn skipped_total() -> u64 {
    SKIPPED.load(Ordering::Relaxed)
}

/// Returns the index rows of a resource, normalized. `bases` are the URLs
/// under which this server is known.
pub fn extract(definitions: &Definitions, resource: &Resource, bases: &[String]) -> IndexRows {
    let mut out = Collector::default();
    let Some(of_type) = definitions.index_of(resource.resource_type()) else { return out.rows };
    let root = resource.root();
    let context = Context::new(root).limits(LIMITS);
    // The storage sets them after this, so that what is said of them here is not so.
    let meta = root.child(name::META);
    let stamps =
        [name::VERSION_ID, name::LAST_UPDATED].map(|of| meta.and_then(|m| m.child(of)).map(Element::id));
    for branch in &of_type.branches {
        match branch.expression.evaluate(&context, root) {
            Ok(mut values) => {
                values.retain(|value| value.element().is_none_or(|e| !stamps.contains(&Some(e.id()))));
                values.iter().for_each(|value| index(branch, value, bases, &mut out));
                index_together(branch, &values, &mut out);
            }
            Err(error) => {
                out.skipped += 1;
                tracing::debug!(branch = branch.expression.text(), %error, "a search parameter was not indexed");
            }
        }
    }
    belongs_to_patients(of_type, resource, &mut out);
    merges::index(resource, bases, &mut out.rows);
    if resource.resource_type() == ty::PATIENT && root.child(name::LINK).is_some() {
        out.rows.equal.push(EqualHash::tied());
    }
    identity::index(resource, &mut out.rows);
    SKIPPED.fetch_add(out.skipped as u64, Ordering::Relaxed);
    let mut rows = out.rows;
    rows.normalize();
    rows
}

/// Adds membership of Patient compartments, and the pairs of patient and token.
fn belongs_to_patients(of_type: &OfType, resource: &Resource, out: &mut Collector) {
    if let Some(branch) = of_type.patient_compartment {
        for (from, key) in &out.references {
            if key.resource_type == ty::PATIENT && of_type.compartment_links.contains(from) {
                let target = TargetHash::of_resource(ty::PATIENT, key.id.as_str());
                out.rows.links.push(Link { target, branch });
            }
        }
    }
    if let (ty::PATIENT, Some(id)) = (resource.resource_type(), resource.id()) {
        let branch = crate::search::registry::patient_compartment_branch(ty::PATIENT);
        out.rows.links.push(Link { target: TargetHash::of_resource(ty::PATIENT, id), branch });
    }
    for (from, key) in &out.references {
        if key.resource_type == ty::PATIENT && of_type.patient_links.contains(from) {
            let target = TargetHash::of_resource(ty::PATIENT, key.id.as_str());
            let focus = EqualHash::of_link(*from, target);
            let room = PAIRS_MAX.saturating_sub(out.rows.pairs.len());
            out.rows.pairs.extend(out.paired.iter().take(room).map(|value| Pair { focus, value: *value }));
        }
    }
}
