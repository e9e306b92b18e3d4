//! DSUB: who wants to know of documents is told of them.
//!
//! A subscription is a FHIR Subscription: made by ITI-52, seen and ended by
//! FHIR as well. It waits for what is registered, by whatever door, and for
//! what others publish by ITI-54; what it waits for is told by ITI-53.
//!
//! - [`subscribe`] is ITI-52: what is asked for, and the resource that it is.
//! - [`filter`] says which objects are meant.
//! - [`notify`] is ITI-53: the message that tells of an object.
//! - [`publish`] is ITI-54: what others publish.
//!
//! Subscriptions are looked after, and messages sent, by the server: what waits
//! to be told is what changed after the last that was told.
//!
//! Spec: ITI TF-2 3.52 to 3.54, WS-BaseNotification 1.3

pub mod filter;
pub mod notify;
pub mod publish;
pub mod subscribe;

use crate::xds::attributes::Of;

/// The extensions and codes of the resources of DSUB.
pub(crate) const DSUB: &str = "urn:lanterna:dsub:";

/// Topics are said by their names.
///
/// Spec: WS-Topics 1.3, 7.1
pub(crate) const SIMPLE_DIALECT: &str = "http://docs.oasis-open.org/wsn/t-1/TopicExpression/Simple";

/// What one is told of, and how much of it.
///
/// Spec: ITI TF-2 3.52.5.1
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Documents, with all their metadata.
    FullDocumentEntry,
    /// Documents, by their ids.
    MinimalDocumentEntry,
    /// Submission sets.
    SubmissionSetMetadata,
    /// Folders.
    FolderMetadata,
}

impl Topic {
    /// Every topic.
    pub const ALL: &'static [Topic] = &[
        Topic::FullDocumentEntry,
        Topic::MinimalDocumentEntry,
        Topic::SubmissionSetMetadata,
        Topic::FolderMetadata,
    ];

    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Topic::FullDocumentEntry => "ihe:FullDocumentEntry",
            Topic::MinimalDocumentEntry => "ihe:MinimalDocumentEntry",
            Topic::SubmissionSetMetadata => "ihe:SubmissionSetMetadata",
            Topic::FolderMetadata => "ihe:FolderMetadata",
        }
    }

    /// Finds a topic by its name.
    pub fn named(name: &str) -> Option<Topic> {
        Topic::ALL.iter().copied().find(|topic| topic.name() == name)
    }

    /// Returns the sort of objects that it is about.
    pub(crate) fn of(self) -> Of {
        match self {
            Topic::FullDocumentEntry | Topic::MinimalDocumentEntry => Of::DocumentEntry,
            Topic::SubmissionSetMetadata => Of::SubmissionSet,
            Topic::FolderMetadata => Of::Folder,
        }
    }
}
