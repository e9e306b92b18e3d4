//! ITI-10: which identifiers are of one person.

use fhir_model::outcome::Issue;
use fhir_model::schema::name;
use fhir_model::tree::Resource;
use jiff::Timestamp;

use super::{Subscriber, Subscription, Telling, cause, control_id};
use crate::fhir_client::Fhir;
use crate::outbox::Change;
use crate::pix::domains::Domains;
use crate::pix::update_notification::{Changed, Envelope, notification, updates};
use crate::pix::{Identifier, PatientIndex};

/// Returns the identifiers of each person whose identifiers a change of a Patient changes.
///
/// # Errors
/// When FHIR cannot be asked.
pub(crate) async fn updated(
    fhir: Fhir<'_>,
    domains: &Domains,
    (change, before): (&Change, Option<&Resource>),
    interesting: &[String],
) -> Result<Vec<Vec<Identifier>>, Issue> {
    let changed = Changed {
        id: change.key.id.as_str(),
        before: before.map(Resource::root),
        after: change.resource.as_ref().map(Resource::root),
    };
    let index = PatientIndex { fhir, domains, recording: None };
    Ok(updates(&index, &changed, interesting).await?)
}

impl Subscriber {
    /// Returns the notifications that a change of a Patient means.
    pub(super) async fn updates(
        &self,
        change: &Change,
        before: Option<&Resource>,
    ) -> Result<Vec<Telling>, Issue> {
        let Subscription { name, interesting, sender, receiver, .. } = &self.subscription;
        let updates = updated(self.fhir(), &self.domains, (change, before), interesting).await?;
        let at = change.resource.as_ref().and_then(stored_at).unwrap_or_else(Timestamp::now);
        let notifications = updates.iter().enumerate().map(|(number, identifiers)| {
            let envelope = Envelope {
                sender: [&sender[0], &sender[1]],
                receiver: [&receiver[0], &receiver[1]],
                control_id: &control_id(name, &format!("{}#{number}", cause(change))),
                at,
            };
            let message = notification(identifiers, &envelope, &self.domains);
            Telling { transaction: "ITI-10", message }
        });
        Ok(notifications.collect())
    }
}

/// Returns when a version was stored.
fn stored_at(resource: &Resource) -> Option<Timestamp> {
    resource.root().child(name::META)?.text_of(name::LAST_UPDATED)?.parse().ok()
}
