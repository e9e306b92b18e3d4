//! Registrations: the control act of messages about what is in a registry, its
//! events, and the issues that are found with a question.
//!
//! Spec: ITI TF-2 Appendix O.2; HL7 v3 MFMI_MT700701UV01, MFMI_MT700711UV01, MCAI_MT900001UV01

use super::coded::Coded;
use super::identifier::InstanceIdentifier;
use super::message::HL7_ARTIFACTS;
use super::{all, at, code, element};
use crate::wire::xml::Element;

/// The code of issues of how something is administered.
const ADMINISTRATIVE_ISSUE: &str = "_ActAdministrativeDetectedIssueManagementCode";
const ACT_CODES: &str = "2.16.840.1.113883.5.4";

/// Writes the control act of a message, with the code of what triggered it.
pub fn control_act(trigger_event: &str) -> Element {
    element("controlActProcess")
        .with_attribute("classCode", "CACT")
        .with_attribute("moodCode", "EVN")
        .with_child(Coded::new(trigger_event, HL7_ARTIFACTS).to_element("code"))
}

/// Writes the subject of a control act: the registration of a patient, of
/// which somebody is the custodian. `support`: what the custodian is said to do.
pub fn registration(patient: Element, custodian: &InstanceIdentifier, support: Option<&Coded>) -> Element {
    let assigned = element("assignedEntity")
        .with_attribute("classCode", "ASSIGNED")
        .with_child(custodian.to_element("id"))
        .with_children(support.map(|support| support.to_element("code")));
    let event = element("registrationEvent")
        .with_attribute("classCode", "REG")
        .with_attribute("moodCode", "EVN")
        .with_child(element("id").with_attribute("nullFlavor", "NA"))
        .with_child(code("statusCode", "active"))
        .with_child(element("subject1").with_attribute("typeCode", "SBJ").with_child(patient))
        .with_child(element("custodian").with_attribute("typeCode", "CST").with_child(assigned));
    element("subject")
        .with_attribute("typeCode", "SUBJ")
        .with_attribute("contextConductionInd", "false")
        .with_child(event)
}

/// Returns the registrations that a message has.
pub fn registrations(message: &Element) -> impl Iterator<Item = &Element> {
    let acts = at(message, &["controlActProcess"]).into_iter();
    acts.flat_map(|act| all(act, "subject")).filter_map(|subject| at(subject, &["registrationEvent"]))
}

/// Returns the patient that a registration is of.
pub fn patient_of(registration: &Element) -> Option<&Element> {
    at(registration, &["subject1", "patient"])
}

/// Returns the identifiers that a registration replaces.
pub fn replaced(registration: &Element) -> Vec<InstanceIdentifier> {
    let replaced = all(registration, "replacementOf");
    let roles = replaced.filter_map(|r| at(r, &["priorRegistration", "subject1", "priorRegisteredRole"]));
    roles.flat_map(|role| all(role, "id")).map(InstanceIdentifier::of).filter(|id| !id.is_null()).collect()
}

/// An issue that is found with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issue<'i> {
    /// Something has to be done first, so that there may be an answer.
    Required(&'i [&'i str], &'i str),
    /// It was dealt with in a way.
    Managed(&'i str, &'i str),
}

/// Writes an issue, as the reason of an answer. Codes come with their system.
pub fn reason(issue: Issue<'_>) -> Element {
    let act = |local: &str, mood: &str, code: &str, system: &str| {
        element(local)
            .with_attribute("classCode", "ACT")
            .with_attribute("moodCode", mood)
            .with_child(Coded::new(code, system).to_element("code"))
    };
    let event = element("detectedIssueEvent")
        .with_attribute("classCode", "ALRT")
        .with_attribute("moodCode", "EVN")
        .with_child(Coded::new(ADMINISTRATIVE_ISSUE, ACT_CODES).to_element("code"));
    let event = match issue {
        Issue::Required(codes, system) => event.with_children(codes.iter().map(|code| {
            let order = act("actOrderRequired", "RQO", code, system);
            element("triggerFor").with_attribute("typeCode", "TRIG").with_child(order)
        })),
        Issue::Managed(code, system) => {
            let management = act("detectedIssueManagement", "EVN", code, system);
            event
                .with_child(element("mitigatedBy").with_attribute("typeCode", "MITGT").with_child(management))
        }
    };
    element("reasonOf").with_attribute("typeCode", "RSON").with_child(event)
}

/// Reads the codes of the issues of an answer.
pub fn issues(message: &Element) -> Vec<String> {
    let reasons = at(message, &["controlActProcess"]).into_iter().flat_map(|act| all(act, "reasonOf"));
    let events = reasons.filter_map(|reason| at(reason, &["detectedIssueEvent"]));
    let codes = events.flat_map(|event| {
        let required = all(event, "triggerFor").filter_map(|t| at(t, &["actOrderRequired", "code"]));
        let managed = all(event, "mitigatedBy").filter_map(|m| at(m, &["detectedIssueManagement", "code"]));
        required.chain(managed)
    });
    codes.filter_map(|code| Coded::of(code).code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_tells_of_whom_it_is_and_whom_it_replaces() {
        let patient = element("patient").with_child(element("id").with_attribute("root", "1.2"));
        let subject = registration(patient.clone(), &InstanceIdentifier::of_root("1.9"), None);
        let message = element("m").with_child(control_act("PRPA_TE201304UV02").with_child(subject));
        let all: Vec<&Element> = registrations(&message).collect();
        assert_eq!((all.len(), patient_of(all[0])), (1, Some(&patient)));
        assert!(replaced(all[0]).is_empty());
        let role = element("priorRegisteredRole").with_child(element("id").with_attribute("root", "1.3"));
        let prior = element("priorRegistration").with_child(element("subject1").with_child(role));
        let replacing = all[0].clone().with_child(element("replacementOf").with_child(prior));
        assert_eq!(replaced(&replacing), [InstanceIdentifier::of_root("1.3")]);
    }

    #[test]
    fn issues_are_read_as_they_were_written() {
        for (issue, codes) in [
            (Issue::Required(&["A", "B"], "1.2"), vec!["A", "B"]),
            (Issue::Managed("ResponderBusy", "1.3"), vec!["ResponderBusy"]),
        ] {
            let message = element("m").with_child(control_act("T").with_child(reason(issue)));
            assert_eq!(issues(&message), codes);
        }
    }
}
