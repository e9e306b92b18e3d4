//! Messages that were recorded: they are sent as they are, with patients that
//! are known and unique ids that were not there before.

use std::path::Path;

use ihe_adapters::wire::xml::{Element, Limits};
use ihe_adapters::xds::vocabulary::{document_entry, folder, submission_set};

/// A message as it goes over the wire.
pub(super) struct Recorded {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
    /// The patients that it is about.
    pub(super) patients: Vec<String>,
}

/// Reads the message of an `HttpTransaction`; `next` makes a number that was not there before.
pub(super) fn recorded(
    transaction: &Element,
    folder: &Path,
    next: &mut impl FnMut() -> u64,
) -> Result<Recorded, String> {
    let headers = transaction.text_of("", "Headers").ok_or("has no headers")?;
    let content_type = headers.lines().find_map(|line| line.trim().strip_prefix("Content-Type:"));
    let content_type = content_type.ok_or("has no Content-Type")?.trim().to_owned();
    let file = transaction.text_of("", "BodyFile").ok_or("has no message")?;
    let path = folder.join(file.trim());
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    // Lines of a message end with both; the file has lost one of them.
    let mut text = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let mut patients = Vec::new();
    for identifier in identifiers(&envelope(&text)?) {
        let of = |name: &str| identifier.attribute(name).unwrap_or_default().to_owned();
        let (scheme, value) = (of("identificationScheme"), of("value"));
        match scheme.as_str() {
            document_entry::UNIQUE_ID | submission_set::UNIQUE_ID | folder::UNIQUE_ID => {
                let new = format!("1.3.6.1.4.1.21367.2008.2.1.{}", next());
                text = text.replace(&format!("\"{value}\""), &format!("\"{new}\""));
            }
            document_entry::PATIENT_ID | submission_set::PATIENT_ID | folder::PATIENT_ID => {
                patients.push(value)
            }
            _ => {}
        }
    }
    Ok(Recorded { content_type, bytes: text.into_bytes(), patients })
}

/// Returns the envelope of a message.
fn envelope(text: &str) -> Result<Element, String> {
    const END: &str = ":Envelope>";
    let name = text.find(":Envelope ").ok_or("has no envelope")?;
    let begin = text.get(..name).and_then(|before| before.rfind('<')).ok_or("has no envelope")?;
    let end = text.rfind(END).ok_or("has an envelope without an end")? + END.len();
    let envelope = text.get(begin..end).unwrap_or_default();
    Element::parse(envelope.as_bytes(), &Limits::default()).map_err(|e| e.to_string())
}

fn identifiers(element: &Element) -> Vec<Element> {
    let mut all = Vec::new();
    for child in element.elements() {
        if child.local == "ExternalIdentifier" {
            all.push(child.clone());
        }
        all.extend(identifiers(child));
    }
    all
}
