//! The attributes of document metadata as one table: where each stands in an
//! object, whether it must be there, how often, and what it looks like.
//! Checking and asking go by it.
//!
//! Spec: ITI TF-3 4.2.3.2 to 4.2.3.4, required by table 4.3.1-3

use super::vocabulary::{document_entry as de, folder as fol, submission_set as ss};

/// What an attribute belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// A document.
    DocumentEntry,
    /// A submission set.
    SubmissionSet,
    /// A folder.
    Folder,
}

/// Where an attribute stands in a registry object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a slot of this name.
    Slot(&'static str),
    /// In a classification by this scheme: a code.
    Code(&'static str),
    /// In a classification by this scheme: the parts of an author.
    Author(&'static str),
    /// In an external identifier of this sort.
    Identifier(&'static str),
    /// In the XML attribute `mimeType`.
    MimeType,
    /// In the name.
    Name,
}

/// Who has to give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Required {
    /// Everybody, also who knows little.
    Always,
    /// Who registers.
    Yes,
    /// Who registers a document that is there; not for one made on demand.
    Stable,
    /// Nobody.
    No,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    Text,
    /// An identifier with its authority.
    Cx,
    /// A time.
    Dtm,
    /// An OID.
    Oid,
    /// An OID, or an OID and a part of its own, or a URN; at most 128 characters.
    DocumentId,
    /// A SHA-1 in hexadecimal.
    Sha1,
    /// A number of bytes.
    Size,
    /// A language by RFC 5646.
    Language,
    /// A media type.
    MediaType,
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// What it belongs to.
    pub of: Of,
    /// Its name.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// Who has to give it.
    pub required: Required,
    /// Whether there may be several.
    pub many: bool,
    /// What it looks like.
    pub format: Format,
}

const fn attribute(
    of: Of,
    name: &'static str,
    place: Place,
    required: Required,
    many: bool,
    format: Format,
) -> Attribute {
    Attribute { of, name, place, required, many, format }
}

const ONE: bool = false;
const MANY: bool = true;

/// The attributes.
pub const ATTRIBUTES: &[Attribute] = {
    use Format::{Cx, DocumentId, Dtm, Language, MediaType, Oid, Sha1, Size, Text};
    use Of::{DocumentEntry as D, Folder as F, SubmissionSet as S};
    use Place::{Author, Code, Identifier, MimeType, Name, Slot};
    use Required::{Always, No, Stable, Yes};
    &[
        attribute(D, "author", Author(de::AUTHOR), No, MANY, Text),
        attribute(D, "classCode", Code(de::CLASS_CODE), Yes, ONE, Text),
        attribute(D, "confidentialityCode", Code(de::CONFIDENTIALITY_CODE), Yes, MANY, Text),
        attribute(D, "eventCodeList", Code(de::EVENT_CODE), No, MANY, Text),
        attribute(D, "formatCode", Code(de::FORMAT_CODE), Yes, ONE, Text),
        attribute(D, "healthcareFacilityTypeCode", Code(de::FACILITY_TYPE_CODE), Yes, ONE, Text),
        attribute(D, "practiceSettingCode", Code(de::PRACTICE_SETTING_CODE), Yes, ONE, Text),
        attribute(D, "typeCode", Code(de::TYPE_CODE), Yes, ONE, Text),
        attribute(D, "creationTime", Slot("creationTime"), Stable, ONE, Dtm),
        attribute(D, "serviceStartTime", Slot("serviceStartTime"), No, ONE, Dtm),
        attribute(D, "serviceStopTime", Slot("serviceStopTime"), No, ONE, Dtm),
        attribute(D, "languageCode", Slot("languageCode"), Yes, ONE, Language),
        attribute(D, "legalAuthenticator", Slot("legalAuthenticator"), No, ONE, Text),
        attribute(D, "hash", Slot("hash"), Stable, ONE, Sha1),
        attribute(D, "size", Slot("size"), Stable, ONE, Size),
        attribute(D, "repositoryUniqueId", Slot("repositoryUniqueId"), Yes, ONE, Oid),
        attribute(D, "sourcePatientId", Slot("sourcePatientId"), Yes, ONE, Cx),
        attribute(D, "sourcePatientInfo", Slot("sourcePatientInfo"), No, MANY, Text),
        attribute(D, "URI", Slot("URI"), No, MANY, Text),
        attribute(D, "documentAvailability", Slot("documentAvailability"), No, ONE, Text),
        attribute(D, "referenceIdList", Slot("urn:ihe:iti:xds:2013:referenceIdList"), No, MANY, Text),
        attribute(D, "mimeType", MimeType, Always, ONE, MediaType),
        attribute(D, "patientId", Identifier(de::PATIENT_ID), Yes, ONE, Cx),
        attribute(D, "uniqueId", Identifier(de::UNIQUE_ID), Always, ONE, DocumentId),
        attribute(S, "author", Author(ss::AUTHOR), No, MANY, Text),
        attribute(S, "contentTypeCode", Code(ss::CONTENT_TYPE_CODE), Yes, ONE, Text),
        attribute(S, "submissionTime", Slot("submissionTime"), Always, ONE, Dtm),
        attribute(S, "intendedRecipient", Slot("intendedRecipient"), No, MANY, Text),
        attribute(S, "patientId", Identifier(ss::PATIENT_ID), Yes, ONE, Cx),
        attribute(S, "sourceId", Identifier(ss::SOURCE_ID), Always, ONE, Oid),
        attribute(S, "uniqueId", Identifier(ss::UNIQUE_ID), Always, ONE, Oid),
        attribute(F, "codeList", Code(fol::CODE), Yes, MANY, Text),
        attribute(F, "lastUpdateTime", Slot("lastUpdateTime"), No, ONE, Dtm),
        attribute(F, "title", Name, Yes, ONE, Text),
        attribute(F, "patientId", Identifier(fol::PATIENT_ID), Yes, ONE, Cx),
        attribute(F, "uniqueId", Identifier(fol::UNIQUE_ID), Always, ONE, Oid),
    ]
};

/// Returns the attributes of one sort of object.
pub fn attributes_of(of: Of) -> impl Iterator<Item = &'static Attribute> {
    ATTRIBUTES.iter().filter(move |attribute| attribute.of == of)
}

/// Finds an attribute by its name.
pub fn attribute_named(of: Of, name: &str) -> Option<&'static Attribute> {
    attributes_of(of).find(|attribute| attribute.name == name)
}
