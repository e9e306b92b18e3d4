//! SOAP faults: what is wrong with the envelope, and whose fault it is.
//!
//! Spec: <https://www.w3.org/TR/soap12-part1/#soapfault>

use super::super::namespaces::{SOAP_11, SOAP_12, WSA, WSSE, XML};
use super::super::xml::Element;
use super::{Addressing, Envelope, Version};

/// The action of a message that is a fault.
const ACTION: &str = "http://www.w3.org/2005/08/addressing/soap/fault";
/// The action of a fault of the addressing itself.
const ADDRESSING_ACTION: &str = "http://www.w3.org/2005/08/addressing/fault";

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

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Fault {
    /// Whose fault it is.
    pub code: FaultCode,
    /// The name of a fault of WS-Addressing, such as `ActionNotSupported`.
    pub addressing: Option<String>,
    /// What is wrong with the security of the message, if that is it.
    pub security: Option<Security>,
    /// What is wrong, for a reader.
    pub reason: String,
}

impl Fault {
    /// Makes a fault of the sender.
    pub fn sender(reason: impl Into<String>) -> Fault {
        Fault { code: FaultCode::Sender, addressing: None, security: None, reason: reason.into() }
    }

    /// Makes a fault of ours.
    pub fn receiver(reason: impl Into<String>) -> Fault {
        Fault { code: FaultCode::Receiver, addressing: None, security: None, reason: reason.into() }
    }

    /// Makes the fault of an action that nobody here performs.
    pub fn action_not_supported(action: &str) -> Fault {
        let action: String = action.chars().take(200).collect();
        let addressing = Some("ActionNotSupported".to_owned());
        Fault { addressing, ..Fault::sender(format!("the action `{action}` is not performed here")) }
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
        let action = if self.addressing.is_some() { ADDRESSING_ACTION } else { ACTION };
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
        if let Some(name) = self.addressing {
            // The prefix is that of the headers beside the body.
            let value = element("Value").with_text(format!("wsa:{name}"));
            code = code.with_child(element("Subcode").with_child(value));
        }
        let text = element("Text").with_attribute_of(XML, "lang", "en").with_text(self.reason);
        let mut detail = None;
        if let Some(security) = self.security {
            // The prefix is that of the detail.
            let value = element("Value").with_text(format!("wsse:{}", security.name()));
            code = code.with_child(element("Subcode").with_child(value));
            detail = Some(element("Detail").with_child(Element::new(WSSE, security.name())));
        }
        element("Fault").with_child(code).with_child(element("Reason").with_child(text)).with_children(detail)
    }

    fn in_soap_11(self) -> Element {
        let security = self.security.map(|security| Element::new(WSSE, security.name()));
        let code = match self.code {
            FaultCode::Sender => "Client",
            FaultCode::Receiver => "Server",
            FaultCode::VersionMismatch => "VersionMismatch",
            FaultCode::MustUnderstand => "MustUnderstand",
        };
        Element::new(SOAP_11, "Fault")
            .with_child(Element::new("", "faultcode").with_text(format!("soap:{code}")))
            .with_child(Element::new("", "faultstring").with_text(self.reason))
            .with_children(security.map(|security| Element::new("", "detail").with_child(security)))
    }

    /// Reads a fault that a peer sent; `None` when the body is none.
    pub fn of(envelope: &Envelope) -> Option<Fault> {
        let body = &envelope.body;
        if !body.is(envelope.version.namespace(), "Fault") {
            return None;
        }
        let plain = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
        let (code, addressing, reason) = match envelope.version {
            Version::Soap12 => {
                let code = body.child(SOAP_12, "Code");
                let subcode = code.and_then(|c| c.child(SOAP_12, "Subcode")?.text_of(SOAP_12, "Value"));
                let reason = body.child(SOAP_12, "Reason").and_then(|r| r.text_of(SOAP_12, "Text"));
                let is_addressing =
                    envelope.header(WSA, "Action").is_some_and(|a| a.text() == ADDRESSING_ACTION);
                let addressing = subcode.as_deref().map(plain).filter(|_| is_addressing);
                (code.and_then(|c| c.text_of(SOAP_12, "Value")), addressing, reason)
            }
            Version::Soap11 => (body.text_of("", "faultcode"), None, body.text_of("", "faultstring")),
        };
        let code = match plain(&code.unwrap_or_default()).as_str() {
            "Sender" | "Client" => FaultCode::Sender,
            "VersionMismatch" => FaultCode::VersionMismatch,
            "MustUnderstand" => FaultCode::MustUnderstand,
            _ => FaultCode::Receiver,
        };
        Some(Fault { code, addressing, security: None, reason: reason.unwrap_or_default() })
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
        of_soap_11.addressing = None;
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
