//! MTOM: a SOAP message as one part of several, with documents beside it that
//! are referred to by `xop:Include`.
//!
//! [`Reader`] is fed with what arrives and holds no part in memory; [`Writer`]
//! gives the bytes between the parts, so that a document streams.
//!
//! Spec: <https://www.w3.org/TR/soap12-mtom/>, <https://www.w3.org/TR/xop10/>,
//! RFC 2046, RFC 2387

mod read;
mod write;

pub use read::{Event, Limits, MtomError, Part, Reader};
pub use write::Writer;

use super::namespaces::XOP;
use super::xml::Element;

/// Returns the content id that stands in the place of an element's text, by
/// `xop:Include`.
pub fn included(element: &Element) -> Option<String> {
    let href = element.child(XOP, "Include")?.attribute("href")?;
    Some(percent_decoded(href.trim().strip_prefix("cid:")?))
}

/// Makes the element that stands for a part.
pub fn include(content_id: &str) -> Element {
    Element::new(XOP, "Include").with_attribute("href", format!("cid:{content_id}"))
}

/// Decodes `%xx`; what is none stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
