//! The descriptions of the doors, from which clients are generated: the
//! operations of a door by the table of transactions, the types of messages
//! beside them.
//!
//! Spec: ITI TF-2 Appendix V.2.4, <https://www.w3.org/TR/wsdl>,
//! <https://www.w3.org/Submission/wsdl11soap12/>

use super::Door;
use super::transactions::{Transaction, of_door};
use crate::wire::namespaces::{HL7_V3, QUERY, RMD, RS, WSNT, XCPD, XDSB, XDSI};
use crate::wire::xml::Element;

const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
const WSDL_SOAP_12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
const WSAW: &str = "http://www.w3.org/2006/05/addressing/wsdl";
const SOAP_HTTP: &str = "http://schemas.xmlsoap.org/soap/http";
/// What is described: everything of a description has a name in it.
const TARGET: &str = "urn:ihe:iti:xds-b:2007";

const TYPES: &str = include_str!("types.xml");

/// Describes a door that is at an address.
pub(super) fn wsdl(door: Door, address: &str) -> String {
    let name = door.actor();
    let transactions: Vec<&Transaction> = of_door(door).collect();
    let element = |local: &str| Element::new(WSDL, local);
    let mut definitions = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let messages = transactions.iter().flat_map(|t| {
        let (request, answer) = (t.body, answer_of(t));
        let message = |suffix: &str, (namespace, local): (&str, &str)| {
            let part = element("part")
                .with_attribute("name", "body")
                .with_attribute("element", format!("{}:{local}", prefix(namespace)));
            element("message").with_attribute("name", format!("{}{suffix}", operation(t))).with_child(part)
        };
        let answer = (!t.answer.is_empty()).then(|| message("Response", answer));
        std::iter::once(message("Request", request)).chain(answer)
    });
    let port_type = transactions.iter().map(|t| {
        let end = |local: &str, suffix: &str, action: &str| {
            element(local)
                .with_attribute("message", format!("ihe:{}{suffix}", operation(t)))
                .with_attribute_of(WSAW, "Action", action)
        };
        element("operation")
            .with_attribute("name", operation(t))
            .with_child(end("input", "Request", t.action))
            .with_children((!t.answer.is_empty()).then(|| end("output", "Response", t.answer)))
    });
    let soap = |local: &str| Element::new(WSDL_SOAP_12, local);
    let bound = transactions.iter().map(|t| {
        let body = |local: &str| element(local).with_child(soap("body").with_attribute("use", "literal"));
        let operation_of = soap("operation")
            .with_attribute("soapAction", t.action)
            .with_attribute("soapActionRequired", "false");
        element("operation")
            .with_attribute("name", operation(t))
            .with_child(operation_of)
            .with_child(body("input"))
            .with_children((!t.answer.is_empty()).then(|| body("output")))
    });
    let binding = element("binding")
        .with_attribute("name", format!("{name}_Binding_Soap12"))
        .with_attribute("type", format!("ihe:{name}_PortType"))
        .with_child(
            soap("binding").with_attribute("style", "document").with_attribute("transport", SOAP_HTTP),
        )
        .with_children(bound);
    let port = element("port")
        .with_attribute("name", format!("{name}_Port_Soap12"))
        .with_attribute("binding", format!("ihe:{name}_Binding_Soap12"))
        .with_child(soap("address").with_attribute("location", address));
    let parts = messages
        .chain([
            element("portType").with_attribute("name", format!("{name}_PortType")).with_children(port_type),
            binding,
            element("service").with_attribute("name", format!("{name}_Service")).with_child(port),
        ])
        .map(|part| part.to_xml());
    // Prefixes of qualified names in values have to be declared by hand.
    definitions.push_str(&format!(
        "<definitions xmlns=\"{WSDL}\" name=\"{name}\" targetNamespace=\"{TARGET}\" xmlns:ihe=\"{TARGET}\" \
         xmlns:query=\"{QUERY}\" xmlns:rs=\"{RS}\" xmlns:rmd=\"{RMD}\" xmlns:iherad=\"{XDSI}\" xmlns:wsnt=\"{WSNT}\" xmlns:hl7=\"{HL7_V3}\" xmlns:xcpd=\"{XCPD}\" xmlns:lcm=\"{}\">\n{TYPES}",
        crate::wire::namespaces::LCM
    ));
    definitions.extend(parts);
    definitions.push_str("</definitions>\n");
    definitions
}

fn prefix(namespace: &str) -> &'static str {
    match namespace {
        XDSB => "ihe",
        QUERY => "query",
        RS => "rs",
        RMD => "rmd",
        XDSI => "iherad",
        WSNT => "wsnt",
        HL7_V3 => "hl7",
        XCPD => "xcpd",
        _ => "lcm",
    }
}

/// Returns the name of an operation: that of its action, or for HL7 v3 the
/// actor with the interaction.
fn operation(transaction: &Transaction) -> String {
    if let Some(interaction) = transaction.action.strip_prefix("urn:hl7-org:v3:") {
        // Other communities are asked by who is the initiating gateway.
        let is_initiating = (transaction.door, transaction.name) == (Door::PatientDiscovery, "ITI-47");
        let actor = if is_initiating { "InitiatingGateway" } else { transaction.door.actor() };
        let (name, rest) = interaction.split_once(':').unwrap_or((interaction, ""));
        let deferred = if rest.starts_with("Deferred:") { "Deferred_" } else { "" };
        return format!("{actor}_{deferred}{name}");
    }
    let action = transaction.action.rsplit([':', '/']).next().unwrap_or_default();
    action.replace("-b", "_b")
}

/// Returns the element that a transaction is answered with.
fn answer_of(transaction: &Transaction) -> (&'static str, &'static str) {
    match transaction.body.1 {
        "AdhocQueryRequest" => (QUERY, "AdhocQueryResponse"),
        "RetrieveDocumentSetRequest" | "RetrieveImagingDocumentSetRequest" => {
            (XDSB, "RetrieveDocumentSetResponse")
        }
        "Subscribe" => (WSNT, "SubscribeResponse"),
        "Unsubscribe" => (WSNT, "UnsubscribeResponse"),
        "PatientLocationQueryRequest" => (XCPD, "PatientLocationQueryResponse"),
        _ if transaction.body.0 == HL7_V3 => {
            let answer = transaction.answer.strip_prefix("urn:hl7-org:v3:").unwrap_or_default();
            (HL7_V3, answer.split(':').next().unwrap_or_default())
        }
        _ => (RS, "RegistryResponse"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::xml::Limits;

    #[test]
    fn every_transaction_of_a_door_is_described() {
        for &door in Door::ALL {
            let text = wsdl(door, "http://127.0.0.1/x?a&b");
            let read = Element::parse(text.as_bytes(), &Limits::default()).expect("well-formed");
            let binding = read.child(WSDL, "binding").expect("a binding");
            assert_eq!(binding.children_named(WSDL, "operation").count(), of_door(door).count(), "{text}");
            for transaction in of_door(door) {
                assert!(text.contains(&format!("Action=\"{}\"", transaction.action)), "{text}");
            }
            assert!(text.contains("location=\"http://127.0.0.1/x?a&amp;b\""), "{text}");
        }
    }
}
