//! WS-Addressing: what a message is for, and where its answer goes.
//!
//! Spec: <https://www.w3.org/TR/ws-addr-core/>

use super::super::namespaces::{WSA, WSA_2004};
use super::super::xml::Element;

/// What `wsa:ReplyTo` says of who waits on the connection.
pub const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";
const NONE: &str = "http://www.w3.org/2005/08/addressing/none";

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ReplyTo {
    /// Back on the connection.
    #[default]
    Anonymous,
    /// Nowhere.
    None,
    /// To an address.
    Address(String),
}

/// What the addressing headers of a message say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addressing {
    /// What the message is for.
    pub action: Option<String>,
    /// The id of the message.
    pub message_id: Option<String>,
    /// The id of the message that it answers.
    pub relates_to: Option<String>,
    /// Where it goes.
    pub to: Option<String>,
    /// Where its answer goes.
    pub reply_to: ReplyTo,
    /// Where it is told what is wrong, if not where its answer goes.
    pub fault_to: Option<ReplyTo>,
}

impl Addressing {
    /// Reads the headers of either version.
    pub(super) fn of(headers: &[Element]) -> Addressing {
        let header = |local: &str| {
            headers.iter().find(|h| h.local == local && matches!(&*h.namespace, WSA | WSA_2004))
        };
        let text = |local: &str| header(local).map(Element::text).filter(|text| !text.is_empty());
        let place = |local: &str| {
            let address = header(local)?.elements().find(|e| e.local == "Address")?.text();
            Some(match address.as_str() {
                "" | ANONYMOUS => ReplyTo::Anonymous,
                NONE => ReplyTo::None,
                // As in the version of 2004.
                other if other.ends_with("/role/anonymous") => ReplyTo::Anonymous,
                _ => ReplyTo::Address(address),
            })
        };
        Addressing {
            // Some clients send a word for nothing.
            action: text("Action").filter(|action| !action.eq_ignore_ascii_case("none")),
            message_id: text("MessageID"),
            relates_to: text("RelatesTo"),
            to: text("To"),
            reply_to: place("ReplyTo").unwrap_or_default(),
            fault_to: place("FaultTo"),
        }
    }

    /// Returns the headers that say where a message goes, and that its answer
    /// is waited for on the connection.
    pub fn to(address: &str) -> [Element; 2] {
        let anonymous = Element::new(WSA, "Address").with_text(ANONYMOUS);
        [Element::new(WSA, "To").with_text(address), Element::new(WSA, "ReplyTo").with_child(anonymous)]
    }

    /// Returns this addressing as who is told what is wrong sees it: the answer goes there.
    #[must_use]
    pub fn of_fault(&self) -> Addressing {
        let reply_to = self.fault_to.clone().unwrap_or_else(|| self.reply_to.clone());
        Addressing { reply_to, ..self.clone() }
    }

    /// Returns the headers of an answer with this action and a new id.
    pub fn answer(&self, action: &str) -> Vec<Element> {
        let mut headers = vec![
            Element::new(WSA, "Action").with_text(action),
            Element::new(WSA, "MessageID").with_text(format!("urn:uuid:{}", uuid::Uuid::new_v4())),
        ];
        if let Some(id) = &self.message_id {
            headers.push(Element::new(WSA, "RelatesTo").with_text(id.as_str()));
        }
        if let ReplyTo::Address(address) = &self.reply_to {
            headers.push(Element::new(WSA, "To").with_text(address.as_str()));
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_both_versions_are_read() {
        let reply = |namespace: &str, address: &str| {
            let address = Element::new(namespace, "Address").with_text(address);
            Element::new(namespace, "ReplyTo").with_child(address)
        };
        for (namespace, address, expected) in [
            (WSA, ANONYMOUS, ReplyTo::Anonymous),
            (WSA, NONE, ReplyTo::None),
            (WSA, "http://a/b", ReplyTo::Address("http://a/b".to_owned())),
            (WSA_2004, "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous", ReplyTo::Anonymous),
        ] {
            let headers = [
                Element::new(namespace, "Action").with_text("urn:a"),
                Element::new(namespace, "MessageID").with_text("urn:m"),
                reply(namespace, address),
            ];
            let read = Addressing::of(&headers);
            assert_eq!((read.action.as_deref(), read.message_id.as_deref()), (Some("urn:a"), Some("urn:m")));
            assert_eq!(read.reply_to, expected);
            let answer = Addressing::of(&read.answer("urn:r"));
            assert_eq!(
                (answer.action.as_deref(), answer.relates_to.as_deref()),
                (Some("urn:r"), Some("urn:m"))
            );
            assert!(answer.message_id.is_some_and(|id| id.starts_with("urn:uuid:")));
        }
        let none = Addressing::of(&[Element::new(WSA, "Action").with_text("None")]);
        assert_eq!(none, Addressing::default());
    }
}
