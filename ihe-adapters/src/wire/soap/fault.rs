//! SOAP faults: what is wrong with the envelope, and whose fault it is.
//!
//! Spec: <https://www.w3.org/TR/soap12-part1/#soapfault>

use super::super::namespaces::{SOAP_11, SOAP_12, WSA, WSNT, WSRF_BF, WSRF_R, WSSE, XML};
use super::super::xml::Element;
use super::{Addressing, Envelope, Version};

/// The action of a message that is a fault.
const ACTION: &str = "http://www.w3.org/2005/08/addressing/soap/fault";
/// The action of a fault of the addressing itself.
const ADDRESSING_ACTION: &str = "http://www.w3.org/2005/08/addressing/fault";
/// The action of a fault of a subscription.
const NOTIFICATION_ACTION: &str = "http://docs.oasis-open.org/wsn/fault";

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    /// The sender's.
    Sender,
    /// Ours, or of what we need.
    Receiver,
    /// The version of SOAP is not known.
    VersionMismatch,
    /// A header that must be understood is not.
    MustUnderstand,
}

/// What is wrong with the security of a message.
///
/// Spec: WS-Security 1.1, 12
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// It has none, or not as it has to be.
    InvalidSecurity,
    /// What it shows is no token that can be used.
    InvalidSecurityToken,
    /// What it shows does not count.
    FailedAuthentication,
    /// A signature does not hold.
    FailedCheck,
}

impl Security {
    fn name(self) -> &'static str {
        match self {
            Security::InvalidSecurity => "InvalidSecurity",
            Security::InvalidSecurityToken => "InvalidSecurityToken",
            Security::FailedAuthentication => "FailedAuthentication",
            Security::FailedCheck => "FailedCheck",
        }
    }
}

/// What is wrong with a subscription.
///
/// Spec: WS-BaseNotification 1.3, 4 and 6; ITI TF-2 3.52.4.1.3
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    /// A filter that is not understood.
    InvalidFilter,
    /// Topics are said in a way that is not known.
    TopicExpressionDialectUnknown,
    /// What stands for a topic is none.
    InvalidTopicExpression,
    /// A topic that nothing is told of.
    TopicNotSupported,
    /// It cannot end when it should.
    UnacceptableInitialTerminationTime,
    /// It cannot be made.
    SubscribeCreationFailed,
    /// It cannot be ended.
    UnableToDestroySubscription,
    /// There is none.
    ResourceUnknown,
}

impl Notification {
    /// Returns the name of the fault, and the namespace it is of.
    fn name(self) -> (&'static str, &'static str) {
        match self {
            Notification::InvalidFilter => (WSNT, "InvalidFilterFault"),
            Notification::TopicExpressionDialectUnknown => (WSNT, "TopicExpressionDialectUnknownFault"),
            Notification::InvalidTopicExpression => (WSNT, "InvalidTopicExpressionFault"),
            Notification::TopicNotSupported => (WSNT, "TopicNotSupportedFault"),
            Notification::UnacceptableInitialTerminationTime => {
                (WSNT, "UnacceptableInitialTerminationTimeFault")
            }
            Notification::SubscribeCreationFailed => (WSNT, "SubscribeCreationFailedFault"),
            Notification::UnableToDestroySubscription => (WSNT, "UnableToDestroySubscriptionFault"),
            Notification::ResourceUnknown => (WSRF_R, "ResourceUnknownFault"),
        }
    }

    /// Writes the detail that tells of it.
    fn detail(self, reason: &str) -> Element {
        let (namespace, local) = self.name();
        let now = jiff::Timestamp::now().to_string();
        let mut detail = Element::new(namespace, local)
            .with_child(Element::new(WSRF_BF, "Timestamp").with_text(now.as_str()))
            .with_child(Element::new(WSRF_BF, "Description").with_text(reason));
        match self {
            // The prefix is that of the detail.
            Notification::InvalidFilter => {
                detail = detail.with_child(Element::new(WSNT, "UnknownFilter").with_text("wsnt:Filter"));
            }
            Notification::UnacceptableInitialTerminationTime => {
                detail = detail.with_child(Element::new(WSNT, "MinimumTime").with_text(now));
            }
            _ => {}
        }
        detail
    }
}

/// What exactly is wrong, in the words of a specification above SOAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subcode {
    /// A fault of WS-Addressing, such as `ActionNotSupported`.
    Addressing(String),
    /// What is wrong with the security of the message.
    Security(Security),
    /// What is wrong with a subscription.
    Notification(Notification),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// Whose fault it is.
    pub code: FaultCode,
    /// What exactly, where a specification has a name for it.
    pub subcode: Option<Subcode>,
    /// What is wrong, for a reader.
    pub reason: String,
}

impl Fault {
    /// Makes a fault of the sender.
    pub fn sender(reason: impl Into<String>) -> Fault {
        Fault { code: FaultCode::Sender, subcode: None, reason: reason.into() }
    }

    /// Makes a fault of ours.
    pub fn receiver(reason: impl Into<String>) -> Fault {
        Fault { code: FaultCode::Receiver, subcode: None, reason: reason.into() }
    }

    /// Says what exactly is wrong.
    #[must_use]
    pub fn of_kind(self, subcode: Subcode) -> Fault {
        Fault { subcode: Some(subcode), ..self }
    }

    /// Makes the fault of a subscription.
    pub fn notification(what: Notification, reason: impl Into<String>) -> Fault {
        Fault::sender(reason).of_kind(Subcode::Notification(what))
    }

    /// Makes the fault of an action that nobody here performs.
    pub fn action_not_supported(action: &str) -> Fault {
        let action: String = action.chars().take(200).collect();
        let fault = Fault::sender(format!("the action `{action}` is not performed here"));
        fault.of_kind(Subcode::Addressing("ActionNotSupported".to_owned()))
    }

    /// Returns the HTTP status that it is sent with.
    ///
    /// Spec: SOAP 1.2 part 2, table 20; SOAP 1.1, 6.2
    pub fn status(&self, version: Version) -> u16 {
        match (version, self.code) {
            (Version::Soap12, FaultCode::Sender) => 400,
            _ => 500,
        }
    }

    /// Returns the message that tells of it, to who sent a message with this
    /// addressing.
    pub fn into_envelope(self, version: Version, addressing: &Addressing) -> Envelope {
        let action = match self.subcode {
            Some(Subcode::Addressing(_)) => ADDRESSING_ACTION,
            Some(Subcode::Notification(_)) => NOTIFICATION_ACTION,
            Some(Subcode::Security(_)) | None => ACTION,
        };
        let body = match version {
            Version::Soap12 => self.in_soap_12(),
            Version::Soap11 => self.in_soap_11(),
        };
        Envelope { version, headers: addressing.answer(action), body }
    }

    fn in_soap_12(self) -> Element {
        let element = |local: &str| Element::new(SOAP_12, local);
        let code = match self.code {
            FaultCode::Sender => "Sender",
            FaultCode::Receiver => "Receiver",
            FaultCode::VersionMismatch => "VersionMismatch",
            FaultCode::MustUnderstand => "MustUnderstand",
        };
        let mut code = element("Code").with_child(element("Value").with_text(format!("soap:{code}")));
        // The prefixes of names in values are those of the headers beside the body, or of the detail.
        let subcode = |value: String| element("Subcode").with_child(element("Value").with_text(value));
        let detail = self.detail().map(|detail| element("Detail").with_child(detail));
        match self.subcode {
            Some(Subcode::Addressing(name)) => code = code.with_child(subcode(format!("wsa:{name}"))),
            Some(Subcode::Security(what)) => code = code.with_child(subcode(format!("wsse:{}", what.name()))),
            Some(Subcode::Notification(_)) | None => {}
        }
        let text = element("Text").with_attribute_of(XML, "lang", "en").with_text(self.reason);
        element("Fault").with_child(code).with_child(element("Reason").with_child(text)).with_children(detail)
    }

    fn in_soap_11(self) -> Element {
        let detail = self.detail();
        let code = match self.code {
            FaultCode::Sender => "Client",
            FaultCode::Receiver => "Server",
            FaultCode::VersionMismatch => "VersionMismatch",
            FaultCode::MustUnderstand => "MustUnderstand",
        };
        Element::new(SOAP_11, "Fault")
            .with_child(Element::new("", "faultcode").with_text(format!("soap:{code}")))
            .with_child(Element::new("", "faultstring").with_text(self.reason))
            .with_children(detail.map(|detail| Element::new("", "detail").with_child(detail)))
    }

    /// Writes what exactly is wrong as an element.
    fn detail(&self) -> Option<Element> {
        match &self.subcode {
            Some(Subcode::Security(what)) => Some(Element::new(WSSE, what.name())),
            Some(Subcode::Notification(what)) => Some(what.detail(&self.reason)),
            Some(Subcode::Addressing(_)) | None => None,
        }
    }

    /// Reads a fault that a peer sent; `None` when the body is none.
    pub fn of(envelope: &Envelope) -> Option<Fault> {
        let body = &envelope.body;
        if !body.is(envelope.version.namespace(), "Fault") {
            return None;
        }
        let plain = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
        let (code, subcode, reason) = match envelope.version {
            Version::Soap12 => {
                let code = body.child(SOAP_12, "Code");
                let subcode = code.and_then(|c| c.child(SOAP_12, "Subcode")?.text_of(SOAP_12, "Value"));
                let reason = body.child(SOAP_12, "Reason").and_then(|r| r.text_of(SOAP_12, "Text"));
                let is_addressing =
                    envelope.header(WSA, "Action").is_some_and(|a| a.text() == ADDRESSING_ACTION);
                let subcode = subcode.as_deref().map(plain).filter(|_| is_addressing);
                (code.and_then(|c| c.text_of(SOAP_12, "Value")), subcode.map(Subcode::Addressing), reason)
            }
            Version::Soap11 => (body.text_of("", "faultcode"), None, body.text_of("", "faultstring")),
        };
        let code = match plain(&code.unwrap_or_default()).as_str() {
            "Sender" | "Client" => FaultCode::Sender,
            "VersionMismatch" => FaultCode::VersionMismatch,
            "MustUnderstand" => FaultCode::MustUnderstand,
            _ => FaultCode::Receiver,
        };
        Some(Fault { code, subcode, reason: reason.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::xml::Limits;
    use super::*;

    #[test]
    fn a_fault_is_told_and_understood_in_both_versions() {
        let not_supported = Fault::action_not_supported("urn:x");
        let mut of_soap_11 = not_supported.clone();
        of_soap_11.subcode = None;
        for (version, fault, understood, status) in [
            (Version::Soap12, Fault::sender("a < b"), Fault::sender("a < b"), 400),
            (Version::Soap12, Fault::receiver("x"), Fault::receiver("x"), 500),
            (Version::Soap12, not_supported.clone(), not_supported.clone(), 400),
            (Version::Soap11, not_supported, of_soap_11, 500),
        ] {
            assert_eq!(fault.status(version), status);
            let envelope = fault.into_envelope(version, &Addressing::default());
            let xml = envelope.into_element().to_xml();
            let read = Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed");
            let read = Envelope::of(read).expect("an envelope");
            assert_eq!(Fault::of(&read), Some(understood), "{xml}");
        }
    }
}
