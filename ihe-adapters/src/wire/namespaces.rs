//! The XML namespaces of the wires, and the prefixes that we write them with.

/// SOAP 1.2.
pub const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// SOAP 1.1.
pub const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// WS-Addressing 1.0.
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
/// WS-Addressing as submitted in August 2004, which some clients still send.
pub const WSA_2004: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
/// WS-Security.
pub const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// XOP: parts that stand beside the envelope.
pub const XOP: &str = "http://www.w3.org/2004/08/xop/include";
/// HL7 version 3.
pub const HL7_V3: &str = "urn:hl7-org:v3";
/// XML signatures.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// What version 1.1 adds to XML signatures.
pub const DSIG_11: &str = "http://www.w3.org/2009/xmldsig11#";
/// SAML 2.0 assertions.
pub const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
/// ebXML registry information model 3.0.
pub const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
/// ebXML registry services 3.0.
pub const RS: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
/// ebXML life cycle management 3.0.
pub const LCM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
/// ebXML queries 3.0.
pub const QUERY: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0";
/// IHE XDS.b.
pub const XDSB: &str = "urn:ihe:iti:xds-b:2007";
/// IHE remove documents.
pub const RMD: &str = "urn:ihe:iti:rmd:2017";
/// IHE XDS-I.b.
pub const XDSI: &str = "urn:ihe:rad:xdsi-b:2009";
/// IHE cross-community patient discovery.
pub const XCPD: &str = "urn:ihe:iti:xcpd:2009";
/// WS-BaseNotification: subscriptions and what they bring.
pub const WSNT: &str = "http://docs.oasis-open.org/wsn/b-2";
/// WS-BaseFaults.
pub const WSRF_BF: &str = "http://docs.oasis-open.org/wsrf/bf-2";
/// WS-Resource: what is at an address, or is not.
pub const WSRF_R: &str = "http://docs.oasis-open.org/wsrf/r-2";
/// Direct: XDR between mail systems.
pub const DIRECT: &str = "urn:direct:addressing";
/// XML Schema instances.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// The prefix `xml`, which is never declared.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Returns the prefix that a namespace is written with, if it has one of its own.
pub fn prefix(namespace: &str) -> Option<&'static str> {
    Some(match namespace {
        SOAP_12 | SOAP_11 => "soap",
        WSA => "wsa",
        WSA_2004 => "wsa4",
        WSSE => "wsse",
        XOP => "xop",
        SAML => "saml",
        DSIG => "ds",
        DSIG_11 => "ds11",
        HL7_V3 => "hl7",
        RIM => "rim",
        RS => "rs",
        LCM => "lcm",
        QUERY => "query",
        XDSB => "xdsb",
        RMD => "rmd",
        XDSI => "xdsi",
        XCPD => "xcpd",
        WSNT => "wsnt",
        WSRF_BF => "wsrf-bf",
        WSRF_R => "wsrf-r",
        XSI => "xsi",
        XML => "xml",
        _ => return None,
    })
}
