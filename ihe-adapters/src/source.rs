//! Who told something: `Resource.meta.source`, as a URI of the system that told it and,
//! behind `#`, the id of its message.
//!
//! A version that others write over it may keep it as it was. So a version is told by who
//! stands in it when the version before says something else: another message, or nothing.
//!
//! Spec: <https://hl7.org/fhir/R4/resource-definitions.html#Meta.source>

use std::sync::Arc;

use fhir_model::percent;
use serde_json::Value;

/// Begins the URIs of senders of HL7 v2.
const SENDER: &str = "urn:lanterna:hl7v2:sender:";

/// Returns the URI of a sender of HL7 v2: MSH-3 and MSH-4.
pub fn of_sender(application: &str, facility: &str) -> String {
    let mut uri = SENDER.to_owned();
    percent::encode(application, &mut uri);
    uri.push(':');
    percent::encode(facility, &mut uri);
    uri
}

/// Returns what stands in the resources that a message of a source leads to.
pub fn of_message(source: &str, id: &str) -> Arc<str> {
    let mut told = format!("{source}#");
    percent::encode(id, &mut told);
    told.into()
}

/// Returns the source that a resource names, without the message.
pub(crate) fn named(resource: &Value) -> Option<&str> {
    let told = resource["meta"]["source"].as_str()?;
    told.split('#').next().filter(|source| !source.is_empty())
}

/// Tells whether a version was told by one of these sources.
pub fn is_told_by(before: Option<&Value>, after: &Value, sources: &[String]) -> bool {
    let is_of_one = named(after).is_some_and(|source| sources.iter().any(|of| of == source));
    is_of_one && before.is_none_or(|before| before["meta"]["source"] != after["meta"]["source"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_version_is_told_by_whose_message_is_new_in_it() {
        let lis = of_sender("LIS", "H 1");
        assert_eq!(lis, "urn:lanterna:hl7v2:sender:LIS:H%201");
        let of = |source: &str, id: &str| json!({ "meta": { "source": &*of_message(source, id) } });
        let (first, second) = (of(&lis, "1"), of(&lis, "2"));
        let (other, nobody) = (of(&of_sender("LIS", "H2"), "1"), json!({}));
        for (before, after, is_told) in [
            (None, &first, true),
            (Some(&first), &second, true),
            (Some(&other), &first, true),
            (Some(&nobody), &first, true),
            // Somebody else wrote it, and left what stood there.
            (Some(&first), &first, false),
            (Some(&first), &other, false),
            (None, &nobody, false),
        ] {
            assert_eq!(is_told_by(before, after, std::slice::from_ref(&lis)), is_told, "{before:?} {after}");
        }
        assert!(!is_told_by(None, &first, &[]));
    }
}
