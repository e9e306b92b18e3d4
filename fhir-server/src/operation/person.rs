//! `Patient/[id]/$person` of this server: the best that is known of a person,
//! out of all his records that count.
//!
//! Nothing of it is stored: the Patient has no id, and links to the records.
//! By what records count, the settings say for each element (`[identity.survivorship]`). `order` says it for
//! all (`verified`, `source`, `frequent`, `newest`, `complete`, the first thing first); `source` names
//! systems of identifiers whose records count before others.

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType};

use super::parameters::Given;
use super::terminology::told;
use crate::identity::held::Held;
use crate::identity::links::is_subsumed;
use crate::identity::survivorship::{Order, Survivorship, best};
use crate::interaction::unit::{View, current_or_gone};

pub(super) fn person(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let Scope::Instance(key) = &call.scope else {
        return Err(Issue::error(IssueType::NotSupported).text("`$person` is called on a patient"));
    };
    let given = Given::of(call, &["order", "source"])?;
    let survivorship = survivorship(&given, view.survivorship())?;
    current_or_gone(view, key)?;
    let mut held = Held::new(view);
    let mut records = Vec::new();
    for id in held.person(key.id.as_str())? {
        records.extend(held.patient(&id)?.filter(|patient| !is_subsumed(patient)).cloned());
    }
    Ok(told(&best(records, &survivorship)))
}

/// Returns what a call says over what is set.
fn survivorship(given: &Given<'_>, mut set: Survivorship) -> Result<Survivorship, Issue> {
    let named: Vec<&str> = given.texts("order").into_iter().flat_map(|all| all.split(',')).collect();
    if !named.is_empty() {
        let orders: Option<Vec<Order>> = named.into_iter().map(Order::named).collect();
        let orders = orders.ok_or_else(|| {
            let text =
                "`order` is one of `verified`, `source`, `frequent`, `newest` and `complete`, or several";
            Issue::error(IssueType::Value).at("order").text(text)
        })?;
        set.ordered_by(&orders);
    }
    let sources: Vec<Vec<String>> =
        given.texts("source").into_iter().map(|system| vec![system.to_owned()]).collect();
    if !sources.is_empty() {
        set.trusting(&sources);
    }
    Ok(set)
}
