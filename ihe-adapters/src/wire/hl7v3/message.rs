//! The transmission wrapper: who sends a message to whom.
//!
//! Spec: ITI TF-2 Appendix O.1

use jiff::Timestamp;

use super::identifier::InstanceIdentifier;
use super::{all, at, attribute, code, element, time, value};
use crate::wire::xml::Element;

/// Who assigns the ids of interactions and trigger events: HL7 itself.
pub const HL7_ARTIFACTS: &str = "2.16.840.1.113883.1.6";

/// What is wrong with a message, and where: an XPath, with the prefix `hl7`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub text: String,
    /// Where.
    pub location: String,
}

impl Problem {
    /// Says what is wrong at a path of elements below a message.
    pub fn new(message: &str, path: &[&str], text: impl Into<String>) -> Problem {
        Problem { text: text.into(), location: location(message, path) }
    }
}

/// Writes a path of elements below a message as an XPath.
pub fn location(message: &str, path: &[&str]) -> String {
    let steps = std::iter::once(&message).chain(path);
    steps.map(|step| format!("/hl7:{step}")).collect()
}

/// An application, and the organization that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// What the application is known by: the OID that it has.
    pub ids: Vec<InstanceIdentifier>,
    /// Where it is reached: a URL.
    pub telecom: Option<String>,
    /// What its organization is known by.
    pub organizations: Vec<InstanceIdentifier>,
}

impl Device {
    /// Makes an application of an organization, each by its OID.
    pub fn new(id: &str, organization: Option<&str>) -> Device {
        Device {
            ids: vec![InstanceIdentifier::of_root(id)],
            telecom: None,
            organizations: organization.map(InstanceIdentifier::of_root).into_iter().collect(),
        }
    }

    fn of(communication: &Element) -> Device {
        let Some(device) = at(communication, &["device"]) else { return Device::default() };
        let organization = at(device, &["asAgent", "representedOrganization"]);
        let ids =
            |of: &Element| all(of, "id").map(InstanceIdentifier::of).filter(|id| !id.is_null()).collect();
        Device {
            ids: ids(device),
            telecom: at(device, &["telecom"]).and_then(|t| attribute(t, "value")).map(str::to_owned),
            organizations: organization.map(ids).unwrap_or_default(),
        }
    }

    /// Returns the OID or UUID that it is known by.
    pub fn root(&self) -> Option<&str> {
        self.ids.iter().find_map(|id| id.root.as_deref())
    }

    /// Writes it as the receiver or sender of a message.
    fn to_element(&self, local: &str, type_code: &str) -> Element {
        let instance = |local: &str, class: &str| {
            element(local).with_attribute("classCode", class).with_attribute("determinerCode", "INSTANCE")
        };
        let unknown = [InstanceIdentifier::default()];
        let ids = if self.ids.is_empty() { &unknown[..] } else { &self.ids };
        let agent = (!self.organizations.is_empty()).then(|| {
            let ids = self.organizations.iter().map(|id| id.to_element("id"));
            let organization = instance("representedOrganization", "ORG").with_children(ids);
            element("asAgent").with_attribute("classCode", "AGNT").with_child(organization)
        });
        let device = instance("device", "DEV")
            .with_children(ids.iter().map(|id| id.to_element("id")))
            .with_children(self.telecom.as_deref().map(|url| value("telecom", url)))
            .with_children(agent);
        element(local).with_attribute("typeCode", type_code).with_child(device)
    }
}

/// The wrapper of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    /// Which message it is.
    pub id: InstanceIdentifier,
    /// What it is: `PRPA_IN201301UV02` ...
    pub interaction: String,
    /// Whether it is of production, of training or for debugging.
    pub processing_code: String,
    /// Who sent it.
    pub sender: Device,
    /// Who it is for.
    pub receiver: Device,
    /// Where an answer that comes later is sent to: a URL.
    pub respond_to: Option<String>,
}

impl Transmission {
    /// Makes the wrapper of a new message.
    pub fn new(interaction: &str, sender: Device, receiver: Device) -> Transmission {
        Transmission {
            id: InstanceIdentifier::unique(),
            interaction: interaction.to_owned(),
            processing_code: "P".to_owned(),
            sender,
            receiver,
            respond_to: None,
        }
    }

    /// Reads the wrapper of a message.
    pub fn of(message: &Element) -> Transmission {
        let of = |local| at(message, &[local]).map(Device::of).unwrap_or_default();
        let processing = at(message, &["processingCode"]).and_then(|code| attribute(code, "code"));
        let respond_to = at(message, &["respondTo", "telecom"]).and_then(|url| attribute(url, "value"));
        Transmission {
            id: at(message, &["id"]).map(InstanceIdentifier::of).unwrap_or_default(),
            interaction: message.local.clone(),
            processing_code: processing.unwrap_or("P").to_owned(),
            sender: of("sender"),
            receiver: of("receiver"),
            respond_to: respond_to.map(str::to_owned),
        }
    }

    /// Tells what is wrong with it, as far as it has to be right for an answer.
    pub fn problem(&self, message: &Element) -> Option<Problem> {
        let said = at(message, &["interactionId"]).map(InstanceIdentifier::of).and_then(|id| id.extension);
        if self.id.is_null() {
            return Some(Problem::new(&self.interaction, &["id"], "the message has no id"));
        }
        let said = said.filter(|said| *said != self.interaction)?;
        let said: String = said.chars().take(40).collect();
        let text = format!("the interaction is `{said}`, and the message {}", self.interaction);
        Some(Problem::new(&self.interaction, &["interactionId"], text))
    }

    /// Makes the wrapper of an answer to it.
    #[must_use]
    pub fn answer(&self, interaction: &str) -> Transmission {
        Transmission {
            id: InstanceIdentifier::unique(),
            interaction: interaction.to_owned(),
            processing_code: self.processing_code.clone(),
            sender: self.receiver.clone(),
            receiver: self.sender.clone(),
            respond_to: None,
        }
    }

    /// Writes a message that was made now; what follows its sender has to be
    /// added. `accept`: when it is acknowledged: `AL` or `NE`.
    pub fn to_message(&self, accept: &str) -> Element {
        let interaction = InstanceIdentifier {
            root: Some(HL7_ARTIFACTS.to_owned()),
            extension: Some(self.interaction.clone()),
            ..InstanceIdentifier::default()
        };
        element(&self.interaction)
            .with_attribute("ITSVersion", "XML_1.0")
            .with_child(self.id.to_element("id"))
            .with_child(value("creationTime", &time::written(Timestamp::now())))
            .with_child(interaction.to_element("interactionId"))
            .with_child(code("processingCode", &self.processing_code))
            .with_child(code("processingModeCode", "T"))
            .with_child(code("acceptAckCode", accept))
            .with_child(self.receiver.to_element("receiver", "RCV"))
            .with_child(self.sender.to_element("sender", "SND"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_back_to_who_asked() {
        let asked = Transmission::new(
            "PRPA_IN201309UV02",
            Device::new("1.2.3", Some("1.2.3.9")),
            Device { telecom: Some("https://a/pix".to_owned()), ..Device::new("1.2.4", None) },
        );
        let message = asked.to_message("AL");
        assert_eq!(Transmission::of(&message), asked);
        assert_eq!(asked.problem(&message), None);
        let answer = Transmission::of(&asked.answer("PRPA_IN201310UV02").to_message("NE"));
        assert_eq!((answer.sender, answer.receiver), (asked.receiver, asked.sender));
        assert_ne!(answer.id, asked.id);
    }

    #[test]
    fn what_has_no_id_or_another_name_is_told() {
        let message = Transmission::new("A", Device::default(), Device::default()).to_message("AL");
        let mut other = message.clone();
        other.local = "B".to_owned();
        let problem = Transmission::of(&other).problem(&other).expect("a problem");
        assert_eq!(problem.location, "/hl7:B/hl7:interactionId");
        let empty = element("A");
        assert_eq!(
            Transmission::of(&empty).problem(&empty).map(|p| p.location),
            Some("/hl7:A/hl7:id".into())
        );
    }
}
