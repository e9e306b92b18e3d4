//! Attachments: what they state of their data.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes.html#Attachment>

use fhir_model::primitive::base64;
use fhir_model::schema::name;
use fhir_model::tree::Element;

use super::{Rule, Run};

impl<'r> Run<'_, 'r> {
    pub(super) fn attachment(&mut self, attachment: Element<'r>) {
        let (Some(data), Some(stated)) = (attachment.text_of(name::DATA), attachment.text_of(name::SIZE))
        else {
            return;
        };
        if let Some(bytes) = base64::decode(data)
            && stated.parse() != Ok(bytes.len())
        {
            let rule = Rule::AttachmentSize { stated: stated.to_owned(), found: bytes.len() };
            self.error(attachment, rule);
        }
    }
}
