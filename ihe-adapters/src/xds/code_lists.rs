//! The codes that an affinity domain allows in document metadata, from a file of
//! the form that the NIST XDS Toolkit and its users exchange.
//!
//! Spec: ITI TF-3 4.2.3.1 (coded attributes), ITI TF-2 3.42.4.1.3.3

use std::collections::{HashMap, HashSet};

use super::submission::Submission;
use crate::wire::ebrim::RegistryObject;
use crate::wire::ebrs::{ErrorCode, RegistryError};
use crate::wire::xml::{Element, Limits};

/// What a list of media types is called.
const MIME_TYPE: &str = "mimeType";

/// The codes of an affinity domain. Attributes without a list are not restricted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeLists {
    /// By classification scheme: what the attribute is called, and its codes with their systems.
    lists: HashMap<String, (String, HashSet<(String, String)>)>,
    /// The media types of documents.
    mime_types: Option<HashSet<String>>,
}

/// Why a file is none of code lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodeListsError {
    /// It is no XML that is read here.
    #[error("{0}")]
    Xml(String),
    /// It has no list.
    #[error("there is no CodeType with codes in it")]
    Empty,
    /// A list is for no attribute.
    #[error("the CodeType `{0}` has no classScheme")]
    NoScheme(String),
}

impl CodeLists {
    /// Reads code lists.
    ///
    /// # Errors
    /// When there are none, or one is for no attribute.
    pub fn parse(xml: &[u8]) -> Result<CodeLists, CodeListsError> {
        let root = Element::parse(xml, &Limits::default())
            .map_err(|error| CodeListsError::Xml(error.to_string()))?;
        let mut lists = CodeLists::default();
        for list in root.elements().filter(|element| element.local == "CodeType") {
            let name = list.attribute("name").unwrap_or_default().to_owned();
            let codes = list.elements().filter(|element| element.local == "Code");
            let text = |code: &Element, name: &str| code.attribute(name).unwrap_or_default().to_owned();
            if name == MIME_TYPE {
                lists.mime_types = Some(codes.map(|code| text(code, "code")).collect());
                continue;
            }
            let scheme = list.attribute("classScheme").filter(|scheme| !scheme.is_empty());
            let Some(scheme) = scheme.map(str::to_owned) else { return Err(CodeListsError::NoScheme(name)) };
            let codes = codes.map(|code| (text(code, "code"), text(code, "codingScheme"))).collect();
            lists.lists.insert(scheme, (name, codes));
        }
        if lists.lists.is_empty() && lists.mime_types.is_none() {
            return Err(CodeListsError::Empty);
        }
        Ok(lists)
    }

    /// Tells which codes of a submission are not allowed. How a code is
    /// displayed is not looked at.
    pub(crate) fn check(&self, submission: &Submission) -> Vec<RegistryError> {
        submission.objects().flat_map(|object| self.faults(object)).collect()
    }

    fn faults(&self, object: &RegistryObject) -> Vec<RegistryError> {
        let error = |attribute: &str, context: String| {
            RegistryError::new(ErrorCode::RegistryMetadata, context).at(format!("{}/{attribute}", object.id))
        };
        let clip = |text: &str| text.chars().take(80).collect::<String>();
        let mut faults = Vec::new();
        for classification in &object.classifications {
            let list = classification.scheme.as_ref().and_then(|scheme| self.lists.get(scheme));
            let Some((attribute, codes)) = list else { continue };
            let code = &classification.representation;
            let system = classification.slot("codingScheme").first().cloned().unwrap_or_default();
            if !codes.contains(&(code.clone(), system.clone())) {
                let context = format!(
                    "{attribute}: the code `{}` of `{}` is none of the affinity domain",
                    clip(code),
                    clip(&system)
                );
                faults.push(error(attribute, context));
            }
        }
        if let (Some(allowed), Some(mime_type)) = (&self.mime_types, &object.mime_type)
            && !allowed.contains(mime_type)
        {
            let context = format!("mimeType: `{}` is none of the affinity domain", clip(mime_type));
            faults.push(error(MIME_TYPE, context));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ebrim::{Classification, ObjectKind, Slot};

    const CLASS_CODE: &str = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";

    fn lists() -> CodeLists {
        let xml = format!(
            "<Codes><!-- of a test --><CodeType name='classCode' classScheme='{CLASS_CODE}'>\
             <Code code='REF' display='Referto' codingScheme='1.2.3'/></CodeType>\
             <CodeType name='mimeType'><Code code='application/pdf'/></CodeType></Codes>"
        );
        CodeLists::parse(xml.as_bytes()).expect("lists")
    }

    fn document(code: &str, system: &str, mime_type: &str) -> RegistryObject {
        let classification = Classification {
            scheme: Some(CLASS_CODE.to_owned()),
            representation: code.to_owned(),
            slots: vec![Slot {
                name: "codingScheme".to_owned(),
                slot_type: None,
                values: vec![system.to_owned()],
            }],
            ..Classification::default()
        };
        let other = Classification { scheme: Some("urn:uuid:other".to_owned()), ..classification.clone() };
        RegistryObject {
            kind: ObjectKind::ExtrinsicObject,
            mime_type: Some(mime_type.to_owned()),
            classifications: vec![classification, other],
            ..RegistryObject::default()
        }
    }

    #[test]
    fn codes_that_are_not_listed_are_told() {
        for (code, system, mime_type, expected) in [
            ("REF", "1.2.3", "application/pdf", vec![]),
            ("REF", "1.2.4", "application/pdf", vec!["classCode: the code `REF` of `1.2.4`"]),
            ("X", "1.2.3", "text/html", vec!["classCode: the code `X`", "mimeType: `text/html`"]),
        ] {
            let faults = lists().faults(&document(code, system, mime_type));
            assert_eq!(faults.len(), expected.len(), "{faults:?}");
            assert!(
                faults.iter().zip(expected).all(|(fault, text)| fault.context.starts_with(text)),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for (xml, expected) in [
            ("<Codes/>", CodeListsError::Empty),
            ("<Codes><CodeType name='x'/></Codes>", CodeListsError::NoScheme("x".to_owned())),
        ] {
            assert_eq!(CodeLists::parse(xml.as_bytes()), Err(expected));
        }
        assert!(matches!(CodeLists::parse(b"codes"), Err(CodeListsError::Xml(_))));
    }
}
