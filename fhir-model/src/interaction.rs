//! What a caller may ask of a FHIR server, whatever the wire it came by.
//!
//! An HTTP request, a `Bundle.entry`, a SOAP message, an HL7 v2 message and a
//! web page all become one [`Interaction`], performed by [`FhirApi::perform`].
//! There is no second way to the data.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html>

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::outcome::Issue;
use crate::primitive::id::ResourceId;
use crate::primitive::instant::Instant;
use crate::schema::TypeId;
use crate::tree::Resource;

/// The number of a version of a resource; starts at 1 and grows by 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId(pub u32);

impl VersionId {
    /// Parses a version id as this server gives them: a positive decimal number.
    pub fn parse(text: &str) -> Option<VersionId> {
        let canonical = !text.starts_with(['0', '+']);
        text.parse().ok().filter(|_| canonical).map(VersionId)
    }
}

impl std::fmt::Display for VersionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Who asks. Everything that authorization and audit need to know.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The request's id, told in logs and in `X-Request-Id`.
    pub request_id: String,
    /// The base of the URLs in the answer, without a trailing slash,
    /// such as `http://127.0.0.1:8080/fhir`.
    pub base: String,
    /// The user behind the request, as somebody whom we trust asserts it.
    pub user: Option<Arc<User>>,
    /// Where the request comes from.
    pub address: Option<IpAddr>,
    /// The node that sent it, as it showed itself on the connection.
    pub node: Option<Arc<Node>>,
    /// Under which key what it writes is performed, at most once.
    pub once: Option<Arc<Once>>,
    /// Who told what is written, and by which message, as a URI: `[source]#[id of the message]`.
    /// It stands in `meta.source` of each version that comes of it.
    pub source: Option<Arc<str>>,
}

impl Caller {
    /// Makes a caller of whom nothing more is known.
    pub fn new(request_id: impl Into<String>, base: impl Into<String>) -> Caller {
        let (request_id, base) = (request_id.into(), base.into());
        Caller { request_id, base, user: None, address: None, node: None, once: None, source: None }
    }

    /// Returns the same caller for what is done beside what a key is for.
    pub fn without_key(&self) -> Caller {
        Caller { once: None, ..self.clone() }
    }
}

/// A key under which something is written at most once: a single write, a
/// transaction, an operation that writes. What was performed under it is not
/// performed again for as long as the key is kept, and answered as it was then.
/// A write that is refused leaves no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Who sends, and the id of what is sent.
    pub key: String,
    /// A hash of what is sent: the key is refused for anything else.
    pub fingerprint: [u8; 32],
    /// The answer to be given again, where the door knows it beforehand; empty
    /// for what the write leads to.
    pub answer: Bytes,
}

/// A system that proved on the connection, by TLS, to be who its certificate
/// says (IHE ATNA, Authenticate Node).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// The subject of the certificate, as RFC 4514 writes it.
    pub subject: String,
    /// The SHA-256 of the certificate.
    pub sha256: [u8; 32],
    /// The certificate, DER.
    pub certificate: Vec<u8>,
}

/// A user, as an assertion tells of him (IHE XUA, SMART).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The identifier by which the issuer knows the user.
    pub id: String,
    /// Who asserts it.
    pub issuer: String,
    /// The id of the assertion.
    pub assertion: String,
    /// The name, for a reader.
    pub name: Option<String>,
    /// The name of the organization that is acted for.
    pub organization: Option<String>,
    /// Its identifier, a URI.
    pub organization_id: Option<String>,
    /// The community that asks, `urn:oid:...`.
    pub home_community: Option<String>,
    /// Identifiers as a provider: a number of the national authority, or `OID|id`.
    pub provider_ids: Vec<String>,
    /// In which roles.
    pub roles: Vec<UserCode>,
    /// To which purposes.
    pub purposes: Vec<UserCode>,
    /// The patient whom it is about, where the assertion is for one patient alone.
    pub patient: Option<String>,
    /// Consents and policies that are referred to.
    pub consents: Vec<String>,
}

/// A code that is said of a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserCode {
    /// The code system, if it is told.
    pub system: Option<String>,
    /// The code.
    pub code: String,
    /// Its meaning, for a reader.
    pub display: Option<String>,
}

/// A type and an id: the literal identity of a resource on this server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResourceKey {
    /// The resource type.
    pub resource_type: TypeId,
    /// The logical id.
    pub id: ResourceId,
}

/// The search part of a conditional interaction: `name=value` pairs, decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Criteria(pub Vec<(String, String)>);

/// How an update, patch or delete finds its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// By its id.
    Id(ResourceId),
    /// By search: conditional update, patch, delete.
    Criteria(Criteria),
}

/// Which part of the data a search or history covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All resource types.
    System,
    /// One resource type.
    Type(TypeId),
    /// One resource (history), or its compartment (search) when `member` is given.
    Instance(ResourceKey),
    /// The members of a compartment, of one type or of all.
    Compartment {
        /// The resource whose compartment it is.
        focus: ResourceKey,
        /// The member type; `None` for `*`.
        member: Option<TypeId>,
    },
}

/// Whether unknown or unusable parameters are an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Handling {
    /// They are named in the answer's OperationOutcome.
    #[default]
    Lenient,
    /// They are an error.
    Strict,
}

/// `GET [type]/[id]`, with its conditions.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// What to read.
    pub key: ResourceKey,
    /// Answer [`Status::NotModified`] when this is the current version.
    pub if_none_match: Option<VersionId>,
    /// Answer [`Status::NotModified`] when not updated after this.
    pub if_modified_since: Option<Instant>,
}

/// `GET [type]/[id]/_history/[vid]`.
#[derive(Debug, Clone)]
pub struct VreadRequest {
    /// Whose version.
    pub key: ResourceKey,
    /// Which version; `None` when the id in the URL is no version id of this server.
    pub version: Option<VersionId>,
}

/// `POST [type]`, with `If-None-Exist` where given.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// The type in the URL.
    pub resource_type: TypeId,
    /// The resource as sent.
    pub resource: Resource,
    /// Create only when nothing matches.
    pub if_none_exist: Option<Criteria>,
}

/// `PUT [type]/[id]` or `PUT [type]?criteria`.
#[derive(Debug, Clone)]
pub struct UpdateRequest {
    /// The type in the URL.
    pub resource_type: TypeId,
    /// Which resource.
    pub target: Target,
    /// The resource as sent.
    pub resource: Resource,
    /// The version that must be current.
    pub if_match: Option<VersionId>,
    /// `If-None-Match: *`: must not exist yet.
    pub if_none_exist: bool,
}

/// The document of a patch.
#[derive(Debug, Clone)]
pub enum PatchDocument {
    /// RFC 6902 JSON Patch, as sent.
    Json(Bytes),
    /// FHIRPath Patch: a Parameters resource.
    FhirPath(Resource),
}

/// `PATCH [type]/[id]` or `PATCH [type]?criteria`.
#[derive(Debug, Clone)]
pub struct PatchRequest {
    /// The type in the URL.
    pub resource_type: TypeId,
    /// Which resource.
    pub target: Target,
    /// The patch.
    pub document: PatchDocument,
    /// The version that must be current.
    pub if_match: Option<VersionId>,
}

/// `DELETE [type]/[id]` or `DELETE [type]?criteria`.
#[derive(Debug, Clone)]
pub struct DeleteRequest {
    /// The type in the URL.
    pub resource_type: TypeId,
    /// Which resource.
    pub target: Target,
    /// The version that must be current.
    pub if_match: Option<VersionId>,
}

/// `_history` of an instance, a type or the system.
#[derive(Debug, Clone)]
pub struct HistoryRequest {
    /// Instance, type or system.
    pub scope: Scope,
    /// `_since`, `_at`, `_count` and the page cursor, decoded.
    pub parameters: Vec<(String, String)>,
    /// What unknown parameters lead to.
    pub handling: Handling,
}

/// A search, by GET or POST.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// System, type or compartment.
    pub scope: Scope,
    /// All parameters in the order given, decoded (`+`, `%xx`), not yet
    /// split at `,`, `|` and `$`.
    pub parameters: Vec<(String, String)>,
    /// What unknown parameters lead to.
    pub handling: Handling,
}

/// Bytes that are kept apart from resources: those of a Binary, in the
/// document store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Content {
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How many there are.
    pub size: u64,
}

/// What a Binary of a transaction carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carried {
    /// Bytes that are durable in the document store.
    Stored(Content),
    /// Bytes that become its `data`.
    Here(Bytes),
}

impl Carried {
    /// Returns how many bytes there are.
    pub fn size(&self) -> u64 {
        match self {
            Carried::Stored(content) => content.size,
            Carried::Here(bytes) => bytes.len() as u64,
        }
    }
}

/// A Bundle of type batch or transaction posted to the base.
#[derive(Debug, Clone)]
pub struct BundleRequest {
    /// The Bundle as sent.
    pub bundle: Resource,
    /// What Binaries of a transaction carry, by the fullUrl of the entry. Such a
    /// Binary has no `data` in the Bundle. Only adapters that have the bytes say so.
    pub contents: Vec<(String, Carried)>,
    /// What unknown parameters in its entries lead to.
    pub handling: Handling,
}

/// `$operation` on the system, a type or an instance.
#[derive(Debug, Clone)]
pub struct OperationCall {
    /// The name without `$`.
    pub name: String,
    /// Where it is called.
    pub scope: Scope,
    /// Parameters of the URL.
    pub query: Vec<(String, String)>,
    /// The body: a Parameters resource, or the one resource parameter.
    pub body: Option<Resource>,
    /// What is wrong with a body that is no valid resource, for the operations
    /// that tell, which get what could be read; the others are not called.
    pub faults: Vec<Issue>,
    /// Whether the call came by GET (must then not change anything).
    pub safe: bool,
}

/// One thing asked of the server.
#[derive(Debug, Clone)]
pub enum Interaction {
    /// Reads the current version.
    Read(ReadRequest),
    /// Reads one version.
    Vread(VreadRequest),
    /// Stores a new resource.
    Create(CreateRequest),
    /// Stores a new version, or a new resource under the id given.
    Update(UpdateRequest),
    /// Changes a resource in part.
    Patch(PatchRequest),
    /// Deletes a resource; its history stays.
    Delete(DeleteRequest),
    /// Lists versions, newest first.
    History(HistoryRequest),
    /// Finds resources.
    Search(SearchRequest),
    /// Performs many interactions.
    Bundle(BundleRequest),
    /// Calls an operation.
    Operation(OperationCall),
    /// Tells what this server can do.
    Capabilities,
}

/// How an interaction ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done (200).
    Ok,
    /// A resource was created (201).
    Created,
    /// Done, and there is nothing to show (204).
    NoContent,
    /// The caller's copy is current (304).
    NotModified,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// Nothing.
    Empty,
    /// A resource as FHIR JSON, complete and minified.
    Json(Bytes),
}

/// What an interaction led to.
#[derive(Debug, Clone)]
pub struct Performed {
    /// How it ended.
    pub status: Status,
    /// The resource or Bundle to show.
    pub body: Body,
    /// What the Binary that is shown carries, where that is not in its `data`.
    pub content: Option<Content>,
    /// The resource that was read or written.
    pub key: Option<ResourceKey>,
    /// Its version.
    pub version: Option<VersionId>,
    /// When that version was stored.
    pub updated: Option<Instant>,
    /// The resources that an operation changed.
    pub changed: Vec<ResourceKey>,
    /// Remarks that are no failure; shown when the caller asks for an OperationOutcome.
    pub issues: Vec<Issue>,
    /// The answer that was kept, when this was performed before ([`Caller::once`]).
    pub repeated: Option<Bytes>,
}

impl Performed {
    /// Makes an answer that carries a JSON resource of no identity.
    pub fn json(body: impl Into<Bytes>) -> Performed {
        Performed {
            status: Status::Ok,
            body: Body::Json(body.into()),
            content: None,
            key: None,
            version: None,
            updated: None,
            changed: Vec::new(),
            issues: Vec::new(),
            repeated: None,
        }
    }
}

/// Performs FHIR interactions on behalf of one caller.
///
/// Implemented in process by the server, and over HTTP by the adapters'
/// client. Everything goes through here: authorize, run, audit, notify.
pub trait FhirApi: Send + Sync {
    /// Performs `interaction` for `caller`.
    ///
    /// # Errors
    /// An [`Issue`] that says what is wrong, where and whose fault it is.
    /// Nothing of a failed interaction is stored.
    fn perform<'a>(
        &'a self,
        caller: &'a Caller,
        interaction: Interaction,
    ) -> BoxFuture<'a, Result<Performed, Issue>>;

    /// Returns the answer that was kept with what was performed under the key
    /// of `caller` ([`Caller::once`]); `None` when nothing was.
    ///
    /// # Errors
    /// When the key was used for something else.
    fn repeated<'a>(&'a self, _caller: &'a Caller) -> BoxFuture<'a, Result<Option<Bytes>, Issue>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
