//! Holder of key: who sends an assertion proves to have the key that it names.
//! The proof is that of the connection: the node authenticated by TLS with it.
//!
//! Only what holds a key or certificate counts; a name or number of one does not
//! say which key it is.
//!
//! Spec: SAML 2.0 Core 2.4.1.3, SAML 2.0 Profiles 3.1, XML Signature 1.1 section 4.5

use fhir_model::interaction::Node;
use fhir_model::primitive::base64;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode, Encode, Header, Tag};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::atna::node::public_key;
use crate::wire::namespaces::{DSIG, DSIG_11};
use crate::wire::xml::Element;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC_CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Tells whether a confirmation is of the key of a node: of several keys one has to be.
pub(super) fn is_holder(data: &Element, node: &Node) -> bool {
    let Some(key) = public_key(&node.certificate) else { return false };
    let Ok(key) = SubjectPublicKeyInfoOwned::from_der(&key) else { return false };
    data.children_named(DSIG, "KeyInfo").any(|info| is_of(info, node, &key))
}

/// Tells whether a KeyInfo is of a key: it is of one, so all that it holds has to be.
fn is_of(info: &Element, node: &Node, key: &SubjectPublicKeyInfoOwned) -> bool {
    let in_data =
        info.children_named(DSIG, "X509Data").flat_map(|data| data.children_named(DSIG, "X509Certificate"));
    let certificates =
        in_data.map(|held| bytes_of(held).is_some_and(|held| is_certificate(&held, node, key)));
    let values =
        info.children_named(DSIG, "KeyValue").flat_map(Element::elements).map(|value| is_value(value, key));
    let encoded = info
        .children_named(DSIG_11, "DEREncodedKeyValue")
        .map(|value| bytes_of(value).is_some_and(|value| key.to_der().is_ok_and(|key| key == value)));
    let mut held = certificates.chain(values).chain(encoded).peekable();
    held.peek().is_some() && held.all(|is_it| is_it)
}

/// A certificate is that of the node, or another of the same key.
fn is_certificate(held: &[u8], node: &Node, key: &SubjectPublicKeyInfoOwned) -> bool {
    held == node.certificate || public_key(held).is_some_and(|held| key.to_der().is_ok_and(|key| key == held))
}

fn is_value(value: &Element, key: &SubjectPublicKeyInfoOwned) -> bool {
    let expected = match () {
        () if value.is(DSIG, "RSAKeyValue") && key.algorithm.oid == RSA => rsa(value),
        () if value.is(DSIG_11, "ECKeyValue")
            && key.algorithm.oid == ELLIPTIC_CURVE
            && is_on_curve(value, key) =>
        {
            value.child(DSIG_11, "PublicKey").and_then(bytes_of)
        }
        () => None,
    };
    expected.is_some_and(|expected| expected == key.subject_public_key.raw_bytes())
}

/// Writes an RSA key as certificates hold it, PKCS #1.
fn rsa(value: &Element) -> Option<Vec<u8>> {
    let number = |local: &str| {
        let bytes = value.child(DSIG, local).and_then(bytes_of)?;
        UintRef::new(&bytes).ok()?.to_der().ok()
    };
    let numbers = [number("Modulus")?, number("Exponent")?].concat();
    let header = Header::new(Tag::Sequence, numbers.len()).ok()?.to_der().ok()?;
    Some([header, numbers].concat())
}

fn is_on_curve(value: &Element, key: &SubjectPublicKeyInfoOwned) -> bool {
    let curve = value.child(DSIG_11, "NamedCurve").and_then(|curve| curve.attribute("URI"));
    let named =
        curve.and_then(|uri| uri.strip_prefix("urn:oid:")).and_then(|oid| ObjectIdentifier::new(oid).ok());
    let of_key = key.algorithm.parameters.as_ref().and_then(|of| of.decode_as::<ObjectIdentifier>().ok());
    named.is_some() && named == of_key
}

fn bytes_of(element: &Element) -> Option<Vec<u8>> {
    let text: String = element.text().split_ascii_whitespace().collect();
    base64::decode(&text).filter(|bytes| !bytes.is_empty())
}
