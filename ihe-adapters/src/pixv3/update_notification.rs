//! ITI-46, PIXV3 Update Notification: a consumer is told which identifiers
//! are of one person.
//!
//! Spec: ITI TF-2 3.46

use serde_json::{Value, json};

use crate::hl7v3::{Identified, instance_identifier, patient_element};
use crate::pix::Identifier;
use crate::pix::domains::Domains;
use crate::wire::hl7v3::identifier::InstanceIdentifier;
use crate::wire::hl7v3::message::{Device, Transmission};
use crate::wire::hl7v3::registration::{control_act, registration};
use crate::wire::xml::Element;

/// The interaction.
pub const RECORD_REVISED: &str = "PRPA_IN201302UV02";

/// What a consumer is told.
#[derive(Debug, Clone)]
pub struct Update<'u> {
    /// The id of the message: the same however often it is sent.
    pub id: &'u str,
    /// The identifiers of the person in the domains that the consumer is interested in.
    pub identifiers: &'u [Identifier],
    /// The Patient who tells his name, as JSON of FHIR.
    pub patient: &'u Value,
}

/// Writes a notification. `consumer`: who is told; `ours`: the OID of who tells.
pub fn update_notification_v3(
    update: &Update<'_>,
    consumer: &Device,
    ours: &str,
    domains: &Domains,
) -> Element {
    let ids: Vec<InstanceIdentifier> =
        update.identifiers.iter().map(|of| instance_identifier(of, domains)).collect();
    // Who assigned one of the identifiers stands for the provider.
    let provider = ids.iter().find_map(|id| id.root.clone()).unwrap_or_else(|| ours.to_owned());
    let named = json!({ "name": update.patient["name"] });
    let identified = Identified { ids, ..Identified::default() };
    let patient = patient_element(&named, &identified, Some(&provider));
    let act = control_act("PRPA_TE201302UV02").with_child(registration(
        patient,
        &InstanceIdentifier::of_root(ours),
        None,
    ));
    let transmission = Transmission {
        id: InstanceIdentifier::of_root(update.id),
        ..Transmission::new(RECORD_REVISED, Device::new(ours, None), consumer.clone())
    };
    transmission.to_message("AL").with_child(act)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hl7v3::registration::{patient_of, registrations};
    use crate::wire::hl7v3::{all, at};

    #[test]
    fn a_consumer_is_told_the_identifiers_and_the_name() {
        let identifiers = [Identifier::new("urn:oid:1.2.3", "A"), Identifier::new("urn:oid:1.2.4", "B")];
        let patient = json!({ "name": [{ "family": "Rossi" }], "gender": "male" });
        let update = Update { id: "1.7", identifiers: &identifiers, patient: &patient };
        let consumer = Device::new("1.9", None);
        let message = update_notification_v3(&update, &consumer, "1.1", &Domains::default());
        let told = registrations(&message).find_map(patient_of).expect("a patient");
        let ids: Vec<_> = all(told, "id").map(|id| InstanceIdentifier::of(id).extension).collect();
        assert_eq!(ids, [Some("A".to_owned()), Some("B".to_owned())]);
        let provider = at(told, &["providerOrganization", "id"]).map(InstanceIdentifier::of);
        assert_eq!(provider, Some(InstanceIdentifier::of_root("1.2.3")));
        let family = at(told, &["patientPerson", "name", "family"]).map(Element::text);
        assert_eq!(family.as_deref(), Some("Rossi"));
        assert!(at(told, &["patientPerson", "administrativeGenderCode"]).is_none());
        let transmission = Transmission::of(&message);
        assert_eq!((transmission.receiver, transmission.id), (consumer, InstanceIdentifier::of_root("1.7")));
    }
}
