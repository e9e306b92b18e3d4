//! A FHIR message that feeds patients: its header, and the history that it is
//! about.
//!
//! Spec: PMIR 2:3.93.4.1.2, <https://hl7.org/fhir/R4/messaging.html>

use fhir_model::interaction::{OperationCall, Scope};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{name, ty};
use fhir_model::tree::{Element, Resource};
use jiff::Timestamp;

/// The operation that messages are given to.
pub(crate) const OPERATION: &str = "process-message";
/// The event of the message.
pub(crate) const EVENT: &str = "urn:ihe:iti:pmir:2019:patient-feed";
/// How many changes a message may have.
const ENTRIES_MAX: usize = 1_000;
/// Where the history stands in a message.
const HISTORY: &str = "Bundle.entry[1].resource";

/// Tells whether a Bundle is a message.
pub(crate) fn is_message(bundle: &Resource) -> bool {
    bundle.resource_type() == ty::BUNDLE && bundle.root().text_of(name::TYPE) == Some("message")
}

/// Tells whether a call gives a message to the system.
pub(crate) fn is_given(call: &OperationCall) -> bool {
    call.name == OPERATION && call.scope == Scope::System && !call.safe
}

/// Returns the message of a call.
///
/// # Errors
/// When there is none, or an answer is wanted elsewhere.
pub(crate) fn given(call: &OperationCall) -> Result<Resource, Issue> {
    let body = call.body.as_ref();
    let in_body: Vec<Element<'_>> = body
        .filter(|body| body.resource_type() == ty::PARAMETERS)
        .into_iter()
        .flat_map(|body| body.root().children_named(name::PARAMETER))
        .collect();
    let value = |wanted: &str| {
        let in_url = call.query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let named = in_body.iter().find(|given| given.text_of(name::NAME) == Some(wanted));
        in_url.or(named.and_then(|given| given.child(name::VALUE)?.value()))
    };
    if value("async") == Some("true") || value("response-url").is_some() {
        let text = "messages are answered at once, on the connection: leave `async` and `response-url` out";
        return Err(Issue::error(IssueType::NotSupported).at("async").text(text));
    }
    let content = in_body.iter().find(|given| given.text_of(name::NAME) == Some("content"));
    let content = content.and_then(|given| given.child(name::RESOURCE));
    let message = match (body, content) {
        (Some(body), Some(content)) => Some(body.extract(content.id())),
        (Some(body), None) => Some(body.clone()),
        (None, _) => None,
    };
    message.filter(is_message).ok_or_else(|| {
        Issue::error(IssueType::Invalid)
            .at("content")
            .text("`$process-message` takes a Bundle of type message")
    })
}

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// It was created, or changed.
    Put,
    /// It was deleted.
    Delete,
}

/// An entry of the history.
#[derive(Debug)]
pub(crate) struct Change {
    /// Where it stands.
    pub(crate) place: String,
    pub(crate) method: Method,
    /// What it is of: `Patient/[id]`, as far as that is said.
    pub(crate) url: String,
    pub(crate) full_url: Option<String>,
    pub(crate) resource: Option<Resource>,
    /// When it happened.
    pub(crate) at: Option<Timestamp>,
}

impl Change {
    /// Returns the name of the type that it is of.
    pub(crate) fn of_type(&self) -> &str {
        self.url.split(['/', '?']).next().unwrap_or_default()
    }

    /// Returns the id that it names.
    pub(crate) fn id(&self) -> Option<&str> {
        let in_url = self.url.split_once('/').and_then(|(_, rest)| rest.split(['/', '?']).next());
        let in_full_url = self.full_url.as_deref().and_then(|url| url.strip_prefix("urn:uuid:"));
        let id = self.resource.as_ref().and_then(Resource::id).or(in_url).or(in_full_url);
        id.filter(|id| !id.is_empty())
    }
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The id by which it is answered.
    pub(crate) id: String,
    /// Where it comes from.
    pub(crate) source: String,
    pub(crate) changes: Vec<Change>,
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// 400 for another event than that of PMIR, 422 for what is no such message.
    pub(crate) fn of(bundle: &Resource) -> Result<Message, Issue> {
        let entries: Vec<Element<'_>> = bundle.root().children_named(name::ENTRY).collect();
        let header = entries.first().and_then(|entry| entry.child(name::RESOURCE));
        let header = header.filter(|header| header.ty() == ty::MESSAGE_HEADER);
        let header = header
            .ok_or_else(|| wrong("Bundle.entry[0].resource", "a message begins with a MessageHeader"))?;
        let event = header.child_named("event").and_then(Element::value).unwrap_or_default();
        if event != EVENT {
            let text = format!("messages of the event `{EVENT}` are processed here");
            let issue = Issue::error(IssueType::NotSupported).at("Bundle.entry[0].resource.event");
            return Err(issue.text(text));
        }
        let source = header.child(name::SOURCE).and_then(|source| source.child_named("endpoint")?.value());
        let [_, history] = entries.as_slice() else {
            return Err(wrong("Bundle.entry", "the message has two entries: its header, and the history"));
        };
        let history = history
            .child(name::RESOURCE)
            .filter(|history| history.ty() == ty::BUNDLE && history.text_of(name::TYPE) == Some("history"));
        let history =
            history.ok_or_else(|| wrong(HISTORY, "the message is about a Bundle of type history"))?;
        let count = history.children_named(name::ENTRY).count();
        if count == 0 || count > ENTRIES_MAX {
            let text = format!("{count} entries; from 1 to {ENTRIES_MAX} may be in one message");
            return Err(wrong(&format!("{HISTORY}.entry"), &text));
        }
        let sent = bundle.root().child_named("timestamp").and_then(Element::value);
        let changes = history.children_named(name::ENTRY).enumerate();
        let changes = changes.map(|(at, entry)| change(bundle, at, entry, sent));
        let id = header.text_of(name::ID).or(bundle.id()).unwrap_or("unknown");
        Ok(Message {
            id: id.to_owned(),
            source: source.unwrap_or_default().to_owned(),
            changes: changes.collect::<Result<Vec<Change>, Issue>>()?,
        })
    }
}

fn change(bundle: &Resource, at: usize, entry: Element<'_>, sent: Option<&str>) -> Result<Change, Issue> {
    let place = format!("{HISTORY}.entry[{at}]");
    let request = entry.child(name::REQUEST);
    let method = match request.and_then(|request| request.child_named("method")?.value()) {
        Some("POST" | "PUT") => Method::Put,
        Some("DELETE") => Method::Delete,
        _ => {
            let text = "a change is a POST, a PUT or a DELETE";
            return Err(wrong(&format!("{place}.request.method"), text));
        }
    };
    let resource = entry.child(name::RESOURCE).map(|resource| bundle.extract(resource.id()));
    if method == Method::Put && resource.is_none() {
        return Err(wrong(&format!("{place}.resource"), "what was changed has to be there"));
    }
    let url = request.and_then(|request| request.text_of(name::URL)).unwrap_or_default();
    // What a server tells of itself has its base before it.
    let of_type = resource.as_ref().map(|resource| resource.resource_type().name());
    let url = match url.rsplit_once("/Patient/").filter(|_| url.contains("://")) {
        Some((_, id)) => format!("Patient/{id}"),
        None if url.is_empty() => of_type.unwrap_or_default().to_owned(),
        None => url.trim_start_matches('/').to_owned(),
    };
    let stamped = resource.as_ref().and_then(|resource| {
        let meta = resource.root().child(name::META)?;
        meta.text_of(name::LAST_UPDATED)?.parse().ok()
    });
    let full_url = entry.child_named("fullUrl").and_then(Element::value).map(str::to_owned);
    let at = stamped.or_else(|| sent?.parse().ok());
    Ok(Change { place, method, url, full_url, resource, at })
}

fn wrong(place: &str, text: &str) -> Issue {
    Issue::error(IssueType::Invalid).because(Reason::Unprocessable).at(place).text(text)
}
