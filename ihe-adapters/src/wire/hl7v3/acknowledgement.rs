//! Acknowledgements: whether a message was taken, and what is wrong with it.
//!
//! Spec: ITI TF-2 Appendix O.1.2, O.1.3

use super::coded::Coded;
use super::identifier::InstanceIdentifier;
use super::message::{Problem, Transmission};
use super::{all, at, attribute, code, element};
use crate::wire::xml::Element;

/// The interaction that only acknowledges.
pub const ACCEPT_ACKNOWLEDGEMENT: &str = "MCCI_IN000002UV01";

/// The codes of HL7 v2 for what is wrong (table 0357).
pub const MESSAGE_ERRORS: &str = "2.16.840.1.113883.12.357";
/// The codes of HL7 v3 for it.
pub const ACKNOWLEDGEMENT_DETAILS: &str = "2.16.840.1.113883.5.1100";

/// How a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcknowledgementType {
    /// What it asks for was done.
    ApplicationAccept,
    /// What it asks for could not be done.
    ApplicationError,
    /// It is none that could be understood.
    ApplicationReject,
    /// It was taken.
    CommitAccept,
    /// It was not taken: it is wrong.
    CommitError,
    /// It was not taken: it is none for here, or not now.
    CommitReject,
}

const CODES: &[(AcknowledgementType, &str)] = &[
    (AcknowledgementType::ApplicationAccept, "AA"),
    (AcknowledgementType::ApplicationError, "AE"),
    (AcknowledgementType::ApplicationReject, "AR"),
    (AcknowledgementType::CommitAccept, "CA"),
    (AcknowledgementType::CommitError, "CE"),
    (AcknowledgementType::CommitReject, "CR"),
];

impl AcknowledgementType {
    /// Returns its code.
    pub fn code(self) -> &'static str {
        CODES.iter().find(|(of, _)| *of == self).map_or("AE", |(_, code)| code)
    }

    /// Returns that of a code.
    pub fn of_code(code: &str) -> Option<AcknowledgementType> {
        CODES.iter().find(|(_, known)| *known == code).map(|(of, _)| *of)
    }

    /// Tells whether the message was taken.
    pub fn is_accept(self) -> bool {
        matches!(self, AcknowledgementType::ApplicationAccept | AcknowledgementType::CommitAccept)
    }
}

/// What is wrong with a message, or to be known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// `E`, `W` or `I`: whether it is an error, a warning or information.
    pub type_code: &'static str,
    /// What it is.
    pub code: Option<Coded>,
    /// The same in words.
    pub text: String,
    /// Where: XPaths.
    pub locations: Vec<String>,
}

impl Detail {
    /// Makes an error.
    pub fn error(code: Coded, text: impl Into<String>, locations: Vec<String>) -> Detail {
        Detail { type_code: "E", code: Some(code), text: text.into(), locations }
    }

    /// Makes a warning without a code.
    pub fn warning(text: impl Into<String>, locations: Vec<String>) -> Detail {
        Detail { type_code: "W", code: None, text: text.into(), locations }
    }

    fn to_element(&self) -> Element {
        element("acknowledgementDetail")
            .with_attribute("typeCode", self.type_code)
            .with_children(self.code.as_ref().map(|code| code.to_element("code")))
            .with_child(element("text").with_text(self.text.as_str()))
            .with_children(self.locations.iter().map(|place| element("location").with_text(place.as_str())))
    }
}

impl From<Problem> for Detail {
    fn from(problem: Problem) -> Detail {
        let code = Coded {
            display_name: Some("Syntax error".to_owned()),
            ..Coded::new("SYN", ACKNOWLEDGEMENT_DETAILS)
        };
        Detail::error(code, problem.text, vec![problem.location])
    }
}

/// Writes the acknowledgement in an answer to a message.
pub fn acknowledgement(how: AcknowledgementType, target: &InstanceIdentifier, details: &[Detail]) -> Element {
    element("acknowledgement")
        .with_child(code("typeCode", how.code()))
        .with_child(element("targetMessage").with_child(target.to_element("id")))
        .with_children(details.iter().map(Detail::to_element))
}

/// Writes a message that only acknowledges another one.
pub fn accept_acknowledgement(asked: &Transmission, how: AcknowledgementType, details: &[Detail]) -> Element {
    let message = asked.answer(ACCEPT_ACKNOWLEDGEMENT).to_message("NE");
    message.with_child(acknowledgement(how, &asked.id, details))
}

/// Reads how a message was taken, and the texts of what is wrong; `None` when it does not say.
pub fn acknowledged(message: &Element) -> Option<(AcknowledgementType, Vec<String>)> {
    let acknowledgement = at(message, &["acknowledgement"])?;
    let code = at(acknowledgement, &["typeCode"]).and_then(|code| attribute(code, "code"));
    // Release 1 of the wrappers has the code as an attribute.
    let code = code.or_else(|| attribute(acknowledgement, "typeCode"))?;
    let details = all(acknowledgement, "acknowledgementDetail");
    let text = |detail: &Element| {
        let text = at(detail, &["text"]).map(Element::text).filter(|text| !text.is_empty());
        text.or_else(|| at(detail, &["code"]).and_then(|code| attribute(code, "code")).map(str::to_owned))
    };
    Some((AcknowledgementType::of_code(code)?, details.filter_map(text).collect()))
}

#[cfg(test)]
mod tests {
    use super::super::message::Device;
    use super::*;

    #[test]
    fn an_acknowledgement_is_read_as_it_was_written() {
        let asked =
            Transmission::new("PRPA_IN201301UV02", Device::new("1.2", None), Device::new("1.3", None));
        for &(how, code) in CODES {
            assert_eq!((how.code(), AcknowledgementType::of_code(code)), (code, Some(how)));
            let detail = Detail::error(Coded::new("204", MESSAGE_ERRORS), "unknown", vec!["/a".to_owned()]);
            let message = accept_acknowledgement(&asked, how, &[detail]);
            assert_eq!(acknowledged(&message), Some((how, vec!["unknown".to_owned()])));
            let target = at(&message, &["acknowledgement", "targetMessage", "id"]).expect("a target");
            assert_eq!(InstanceIdentifier::of(target), asked.id);
            assert_eq!(how.is_accept(), code.ends_with('A'));
        }
        assert_eq!(acknowledged(&element("x")), None);
    }
}
