//! What is wrong with a request, in the codes of IHE.
//!
//! Spec: ITI TF-3 4.2.4.1

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The request was performed all the same.
    Warning,
    /// It was not, or not all of it.
    Error,
}

impl Severity {
    /// Returns its URN.
    pub fn urn(self) -> &'static str {
        match self {
            Severity::Warning => "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning",
            Severity::Error => "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// What is wrong, in the codes of ITI TF-3 table 4.2.4.1-2.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// Returns the code as it is written.
            pub fn text(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    /// A document is known by its metadata and not in the repository.
    DocumentUniqueId = "XDSDocumentUniqueIdError",
    /// The unique id of a submission set or folder is taken.
    DuplicateUniqueIdInRegistry = "XDSDuplicateUniqueIdInRegistry",
    /// A document is described, and not attached.
    MissingDocument = "XDSMissingDocument",
    /// A document is attached, and not described.
    MissingDocumentMetadata = "XDSMissingDocumentMetadata",
    /// A community has to be named.
    MissingHomeCommunityId = "XDSMissingHomeCommunityId",
    /// A document of the same unique id has other bytes.
    NonIdenticalHash = "XDSNonIdenticalHash",
    /// A document of the same unique id has another size.
    NonIdenticalSize = "XDSNonIdenticalSize",
    /// Objects that belong together are of different patients.
    PatientIdDoesNotMatch = "XDSPatientIdDoesNotMatch",
    /// Too much at once.
    RegistryBusy = "XDSRegistryBusy",
    /// Too much at once.
    RepositoryBusy = "XDSRepositoryBusy",
    /// A relationship to a document that is deprecated.
    RegistryDeprecatedDocument = "XDSRegistryDeprecatedDocumentError",
    /// A unique id twice in a submission.
    RegistryDuplicateUniqueIdInMessage = "XDSRegistryDuplicateUniqueIdInMessage",
    /// A unique id twice in a submission, as the repository sees it.
    RepositoryDuplicateUniqueIdInMessage = "XDSRepositoryDuplicateUniqueIdInMessage",
    /// The registry failed.
    Registry = "XDSRegistryError",
    /// The repository failed.
    Repository = "XDSRepositoryError",
    /// Metadata are wrong.
    RegistryMetadata = "XDSRegistryMetadataError",
    /// Metadata are wrong, as the repository sees it.
    RepositoryMetadata = "XDSRepositoryMetadataError",
    /// The registry cannot be reached.
    RegistryNotAvailable = "XDSRegistryNotAvailable",
    /// There is no room.
    RegistryOutOfResources = "XDSRegistryOutOfResources",
    /// There is no room.
    RepositoryOutOfResources = "XDSRepositoryOutOfResources",
    /// What was found is of several patients.
    ResultNotSinglePatient = "XDSResultNotSinglePatient",
    /// A parameter is missing.
    StoredQueryMissingParam = "XDSStoredQueryMissingParam",
    /// A parameter has several values, and takes one.
    StoredQueryParamNumber = "XDSStoredQueryParamNumber",
    /// Too much was found.
    TooManyResults = "XDSTooManyResults",
    /// A community cannot be reached.
    UnavailableCommunity = "XDSUnavailableCommunity",
    /// A community is not known.
    UnknownCommunity = "XDSUnknownCommunity",
    /// A patient is not known.
    UnknownPatientId = "XDSUnknownPatientId",
    /// A repository is not known.
    UnknownRepositoryId = "XDSUnknownRepositoryId",
    /// A query is not known.
    UnknownStoredQuery = "XDSUnknownStoredQuery",
    /// What is referred to is not there.
    UnresolvedReference = "UnresolvedReferenceException",
    /// What would be removed is referred to.
    ReferencesExist = "ReferencesExistException",
    /// An object is not as the operation takes it.
    MetadataUpdate = "XDSMetadataUpdateError",
    /// An operation is asked for in a way that says nothing.
    MetadataUpdateOperation = "XDSMetadataUpdateOperationError",
    /// A version is not the one that follows.
    MetadataVersion = "XDSMetadataVersionError",
    /// Associations would be of objects of different patients.
    PatientIdReconciliation = "XDSPatientIDReconciliationError",
    /// An object that is not of the type taken.
    ObjectType = "XDSObjectTypeError",
    /// More or other than one document's metadata is asked for.
    InvalidRequest = "XDSInvalidRequestException",
    /// An attribute is other, and must not be.
    UnmodifiableMetadata = "UnmodifiableMetadataError",
    /// A request for images that is none.
    ImagingRequest = "XDSIRequestError",
    /// An object would stay that nothing refers to.
    UnreferencedObject = "XDSUnreferencedObjectException",
    /// A document cannot be removed.
    RemoveDocuments = "XDSRemoveDocumentsError",
}

/// Something that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {context}", code.text())]
pub struct RegistryError {
    /// What.
    pub code: ErrorCode,
    /// What exactly, for a reader.
    pub context: String,
    /// Where: the object and the attribute, or a community.
    pub location: String,
    /// How bad it is.
    pub severity: Severity,
}

impl RegistryError {
    /// Makes an error.
    pub fn new(code: ErrorCode, context: impl Into<String>) -> RegistryError {
        RegistryError { code, context: context.into(), location: String::new(), severity: Severity::Error }
    }

    /// Says where.
    #[must_use]
    pub fn at(self, location: impl Into<String>) -> RegistryError {
        RegistryError { location: location.into(), ..self }
    }
}
