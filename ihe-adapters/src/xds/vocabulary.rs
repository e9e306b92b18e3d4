//! The identifiers that IHE gave to the parts of document metadata.
//!
//! Spec: ITI TF-3 4.2.5

/// `DocumentEntry` that does not change.
pub const STABLE: &str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
/// `DocumentEntry` whose document is made when it is asked for.
pub const ON_DEMAND: &str = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
/// Says that a package is a submission set.
pub const SUBMISSION_SET_NODE: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
/// Says that a package is a folder.
pub const FOLDER_NODE: &str = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2";

/// Say that a document, a submission set or a folder is described by what its
/// source knows, which is less than the registry asks for.
///
/// Spec: ITI TF-3 4.2.3.2.29, table 4.3.1-3
pub const LIMITED_METADATA: [&str; 3] = [
    "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85",
    "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707",
    "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03",
];

/// In use.
pub const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
/// Replaced, or taken back.
pub const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";

/// A package has a member.
pub const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
/// A document takes the place of another.
pub const REPLACES: &str = "urn:ihe:iti:2007:AssociationType:RPLC";
/// A document adds to another.
pub const APPENDS: &str = "urn:ihe:iti:2007:AssociationType:APND";
/// A document is another one transformed.
pub const TRANSFORMS: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
/// A document is another one transformed, and takes its place.
pub const TRANSFORMS_AND_REPLACES: &str = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC";
/// A document signs another.
pub const SIGNS: &str = "urn:ihe:iti:2007:AssociationType:signs";
/// A document is what was made of an entry on demand.
pub const IS_SNAPSHOT_OF: &str = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf";

/// Asks for another status of an object.
pub const UPDATE_AVAILABILITY_STATUS: &str = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
/// Asks for an association to be added.
pub const SUBMIT_ASSOCIATION: &str = "urn:ihe:iti:2010:AssociationType:SubmitAssociation";

/// The relationships of documents, and what FHIR calls them.
///
/// Spec: MHD, ConceptMap AssociationTypeVsRelatesTo
pub const RELATIONSHIPS: &[(&str, &str)] = &[
    (REPLACES, "replaces"),
    (APPENDS, "appends"),
    (TRANSFORMS, "transforms"),
    (TRANSFORMS_AND_REPLACES, "replaces"),
    (SIGNS, "signs"),
    (IS_SNAPSHOT_OF, "transforms"),
];

/// Schemes of classifications and identifiers of a DocumentEntry.
pub mod document_entry {
    /// An author.
    pub const AUTHOR: &str = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
    /// The class.
    pub const CLASS_CODE: &str = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
    /// How confidential it is.
    pub const CONFIDENTIALITY_CODE: &str = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
    /// What was done.
    pub const EVENT_CODE: &str = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4";
    /// The format.
    pub const FORMAT_CODE: &str = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
    /// The kind of facility.
    pub const FACILITY_TYPE_CODE: &str = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
    /// The specialty.
    pub const PRACTICE_SETTING_CODE: &str = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
    /// The type.
    pub const TYPE_CODE: &str = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
    /// The patient.
    pub const PATIENT_ID: &str = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
    /// The document.
    pub const UNIQUE_ID: &str = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
}

/// Schemes of classifications and identifiers of a SubmissionSet.
pub mod submission_set {
    /// An author.
    pub const AUTHOR: &str = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
    /// Why it is submitted.
    pub const CONTENT_TYPE_CODE: &str = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
    /// The patient.
    pub const PATIENT_ID: &str = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
    /// The submission set.
    pub const UNIQUE_ID: &str = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";
    /// The system that submits.
    pub const SOURCE_ID: &str = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
}

/// Schemes of classifications and identifiers of a Folder.
pub mod folder {
    /// What it is for.
    pub const CODE: &str = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5";
    /// The patient.
    pub const PATIENT_ID: &str = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a";
    /// The folder.
    pub const UNIQUE_ID: &str = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a";
}
