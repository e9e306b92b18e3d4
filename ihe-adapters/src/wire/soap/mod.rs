//! SOAP messages: envelope, WS-Addressing, faults.
//!
//! IHE asks for SOAP 1.2; who sends 1.1 is answered in 1.1. What a message is
//! for is told by `wsa:Action`, or, where that is missing or says nothing, by
//! the element in the body: the media type is no help, since clients differ.
//!
//! Spec: <https://www.w3.org/TR/soap12-part1/>, ITI TF-2 Appendix V

mod addressing;
mod fault;

pub use addressing::{ANONYMOUS, Addressing, ReplyTo};
pub use fault::{Fault, FaultCode, Notification, Security, Subcode};

use super::namespaces::{SOAP_11, SOAP_12, WSA, WSA_2004, WSSE, XCPD};
use super::xml::Element;

/// A version of SOAP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 1.1.
    Soap11,
    /// 1.2.
    Soap12,
}

impl Version {
    /// Returns its namespace.
    pub fn namespace(self) -> &'static str {
        match self {
            Version::Soap11 => SOAP_11,
            Version::Soap12 => SOAP_12,
        }
    }

    /// Returns the media type of its messages.
    pub fn media_type(self) -> &'static str {
        match self {
            Version::Soap11 => "text/xml",
            Version::Soap12 => "application/soap+xml",
        }
    }
}

/// A SOAP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Its version.
    pub version: Version,
    /// Its header blocks.
    pub headers: Vec<Element>,
    /// What stands in the body: one element.
    pub body: Element,
}

impl Envelope {
    /// Takes a message apart.
    ///
    /// # Errors
    /// A fault of the sender: no envelope, a version that is not known, no
    /// body, a header that must be understood and is not.
    pub fn of(mut root: Element) -> Result<Envelope, Fault> {
        let version = match &*root.namespace {
            _ if root.local != "Envelope" => return Err(Fault::sender("the message is no SOAP envelope")),
            SOAP_12 => Version::Soap12,
            SOAP_11 => Version::Soap11,
            _ => {
                let reason = "the envelope is neither of SOAP 1.2 nor of SOAP 1.1";
                return Err(Fault { code: FaultCode::VersionMismatch, ..Fault::sender(reason) });
            }
        };
        let (mut headers, mut body) = (Vec::new(), None);
        for node in std::mem::take(&mut root.children) {
            let super::xml::Node::Element(part) = node else { continue };
            if part.is(version.namespace(), "Header") {
                headers = into_elements(part);
            } else if part.is(version.namespace(), "Body") {
                body = into_elements(part).into_iter().next();
            }
        }
        let body = body.ok_or_else(|| Fault::sender("the envelope has no body, or nothing in it"))?;
        let envelope = Envelope { version, headers, body };
        match envelope.headers.iter().find(|header| envelope.must_be_understood(header)) {
            None => Ok(envelope),
            Some(header) => {
                let name: String = header.local.chars().take(64).collect();
                let reason = format!("the header `{name}` must be understood, and is not");
                Err(Fault { code: FaultCode::MustUnderstand, ..Fault::sender(reason) })
            }
        }
    }

    /// Tells whether a header must be understood that nobody here does.
    fn must_be_understood(&self, header: &Element) -> bool {
        let is_asked = header
            .attribute_of(self.version.namespace(), "mustUnderstand")
            .is_some_and(|value| matches!(value.trim(), "1" | "true"));
        is_asked && ![WSA, WSA_2004, WSSE, XCPD].contains(&&*header.namespace)
    }

    /// Returns a header block.
    pub fn header(&self, namespace: &str, local: &str) -> Option<&Element> {
        self.headers.iter().find(|header| header.is(namespace, local))
    }

    /// Returns where the message comes from, goes to and belongs to.
    pub fn addressing(&self) -> Addressing {
        Addressing::of(&self.headers)
    }

    /// Returns the message as one element.
    pub fn into_element(self) -> Element {
        let namespace = self.version.namespace();
        let body = Element::new(namespace, "Body").with_child(self.body);
        let envelope = Element::new(namespace, "Envelope");
        if self.headers.is_empty() {
            return envelope.with_child(body);
        }
        envelope.with_child(Element::new(namespace, "Header").with_children(self.headers)).with_child(body)
    }
}

fn into_elements(parent: Element) -> Vec<Element> {
    let elements = parent.children.into_iter().filter_map(|node| match node {
        super::xml::Node::Element(element) => Some(element),
        super::xml::Node::Text(_) | super::xml::Node::Fragment(_) => None,
    });
    elements.collect()
}

#[cfg(test)]
mod tests {
    use super::super::xml::Limits;
    use super::*;

    fn read(xml: &str) -> Result<Envelope, Fault> {
        Envelope::of(Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed"))
    }

    #[test]
    fn a_message_is_read_and_written() {
        for (version, namespace) in [(Version::Soap12, SOAP_12), (Version::Soap11, SOAP_11)] {
            let xml = format!(
                "<e:Envelope xmlns:e='{namespace}'><e:Header><a:Action xmlns:a='{WSA}' e:mustUnderstand='1'>urn:x\
                 </a:Action></e:Header>\n<e:Body><q xmlns='urn:q'/></e:Body></e:Envelope>"
            );
            let envelope = read(&xml).expect("an envelope");
            assert_eq!(envelope.version, version);
            assert!(envelope.body.is("urn:q", "q"));
            assert_eq!(envelope.addressing().action.as_deref(), Some("urn:x"));
            let again = read(&envelope.clone().into_element().to_xml());
            assert_eq!(again, Ok(envelope));
        }
    }

    #[test]
    fn what_is_no_message_is_a_fault_of_its_sender() {
        let in_envelope = |inside: &str| format!("<e:Envelope xmlns:e='{SOAP_12}'>{inside}</e:Envelope>");
        for (xml, code) in [
            ("<a/>".to_owned(), FaultCode::Sender),
            ("<Envelope xmlns='urn:other'/>".to_owned(), FaultCode::VersionMismatch),
            (in_envelope(""), FaultCode::Sender),
            (in_envelope("<e:Body> </e:Body>"), FaultCode::Sender),
            (
                in_envelope("<e:Header><x e:mustUnderstand='true'/></e:Header><e:Body><b/></e:Body>"),
                FaultCode::MustUnderstand,
            ),
        ] {
            assert_eq!(read(&xml).map_err(|fault| fault.code), Err(code), "{xml}");
        }
        assert!(
            read(&in_envelope("<e:Header><x e:mustUnderstand='0'/></e:Header><e:Body><b/></e:Body>")).is_ok()
        );
    }
}
