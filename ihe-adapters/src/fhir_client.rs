//! What adapters ask of FHIR, by [`FhirApi`]: searches to their last page,
//! reads, transactions.

use std::sync::Arc;

use fhir_model::interaction::{
    Body, BundleRequest, Caller, Carried, Content, CreateRequest, FhirApi, Handling, Interaction, Performed,
    ReadRequest, ResourceKey, Scope, SearchRequest,
};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::percent;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::{Element, NodeId, Resource};
use serde_json::{Value, json};

/// How many resources are asked for at first: few, which are mostly all, are
/// answered on the spot.
const FIRST_PAGE: &str = "50";
/// How many at a time where there are more.
const PAGE: &str = "500";

/// A resource that was found: where it stands in the answer, which its
/// neighbours share.
#[derive(Debug, Clone)]
pub struct Found {
    answer: Arc<Resource>,
    at: NodeId,
}

impl Found {
    /// Returns its root element.
    pub fn root(&self) -> Element<'_> {
        self.answer.element(self.at)
    }

    /// Returns its type.
    pub fn resource_type(&self) -> TypeId {
        self.root().ty()
    }

    /// Returns its logical id, if there is one.
    pub fn id(&self) -> Option<&str> {
        self.root().text_of(name::ID)
    }

    /// Copies it as a resource of its own.
    pub fn to_resource(&self) -> Resource {
        self.answer.extract(self.at)
    }

    /// Writes it as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut written = Vec::with_capacity(1024);
        json::write::write_element(self.root(), &mut written);
        written
    }
}

/// A page of what a search finds.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The resources that match.
    pub matches: Vec<Found>,
    /// What they include.
    pub included: Vec<Found>,
    /// How the next page is asked for; `None` after the last.
    pub next: Option<Vec<(String, String)>>,
}

impl From<Resource> for Found {
    fn from(resource: Resource) -> Found {
        Found { at: resource.root_id(), answer: Arc::new(resource) }
    }
}

/// FHIR on behalf of one caller.
#[derive(Clone, Copy)]
pub struct Fhir<'a> {
    /// Performs it.
    pub api: &'a dyn FhirApi,
    /// Who asks.
    pub caller: &'a Caller,
}

impl Fhir<'_> {
    /// Returns all resources of a type that match.
    ///
    /// # Errors
    /// When there are more than `limit`, with `too-costly`; otherwise as the search.
    pub async fn search(
        &self,
        of: TypeId,
        parameters: &[(&str, &str)],
        limit: usize,
    ) -> Result<Vec<Found>, Issue> {
        let Page { mut matches, included, .. } = self.search_with(of, parameters, limit).await?;
        matches.extend(included.into_iter().filter(|included| included.resource_type() == of));
        Ok(matches)
    }

    /// Returns all resources of a type that match, and apart from them what they include.
    ///
    /// # Errors
    /// As [`Fhir::search`].
    pub async fn search_with(
        &self,
        of: TypeId,
        parameters: &[(&str, &str)],
        limit: usize,
    ) -> Result<Page, Issue> {
        let mut parameters = owned(parameters);
        parameters.push(("_count".to_owned(), FIRST_PAGE.to_owned()));
        let mut found = Page::default();
        loop {
            let page = self.page_of(of, parameters).await?;
            found.matches.extend(page.matches);
            found.included.extend(page.included);
            if found.matches.len() + found.included.len() > limit {
                let text = format!("more than {limit} resources match");
                return Err(Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).text(text));
            }
            let Some(next) = page.next else { return Ok(found) };
            parameters = next;
            for (_, count) in parameters.iter_mut().filter(|(name, _)| name == "_count") {
                PAGE.clone_into(count);
            }
        }
    }

    /// Returns the first page of what a search finds.
    ///
    /// # Errors
    /// As the search.
    pub async fn first_page(&self, of: TypeId, parameters: &[(&str, &str)]) -> Result<Vec<Found>, Issue> {
        Ok(self.page_of(of, owned(parameters)).await?.matches)
    }

    /// Returns a page of what a search finds.
    ///
    /// # Errors
    /// As the search.
    pub async fn page_of(&self, of: TypeId, parameters: Vec<(String, String)>) -> Result<Page, Issue> {
        let request = SearchRequest { scope: Scope::Type(of), parameters, handling: Handling::Strict };
        let answer = Arc::new(self.resource(Interaction::Search(request)).await?);
        let (root, mut page) = (answer.root(), Page::default());
        for entry in root.children_named(name::ENTRY) {
            let Some(resource) = entry.child(name::RESOURCE) else { continue };
            let found = Found { answer: Arc::clone(&answer), at: resource.id() };
            match entry.child(name::SEARCH).and_then(|search| search.text_of(name::MODE)) {
                Some("include") => page.included.push(found),
                Some("outcome") => {}
                _ if resource.ty() == of => page.matches.push(found),
                _ => {}
            }
        }
        let next = root.children_named(name::LINK).find(|l| l.text_of(name::RELATION) == Some("next"));
        let Some((_, query)) = next.and_then(|l| l.text_of(name::URL)?.split_once('?')) else {
            return Ok(page);
        };
        let unreadable = || Issue::fatal(IssueType::Exception).text("a page has no readable next one");
        page.next = Some(decoded(query).ok_or_else(unreadable)?);
        Ok(page)
    }

    /// Returns a resource; `None` when there is none, or it was deleted.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(&self, of: TypeId, id: &str) -> Result<Option<Resource>, Issue> {
        let Some(id) = ResourceId::parse(id) else { return Ok(None) };
        let key = ResourceKey { resource_type: of, id };
        match self.resource(Interaction::Read(read_of(key))).await {
            Ok(resource) => Ok(Some(resource)),
            Err(issue) if matches!(issue.code, IssueType::NotFound | IssueType::Deleted) => Ok(None),
            Err(issue) => Err(issue),
        }
    }

    /// Returns a Binary and where its bytes are, if not in it.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub async fn read_binary(&self, key: ResourceKey) -> Result<(Resource, Option<Content>), Issue> {
        let performed = self.api.perform(self.caller, Interaction::Read(read_of(key))).await?;
        let content = performed.content;
        Ok((tree(performed)?, content))
    }

    /// Stores a new resource.
    ///
    /// # Errors
    /// As the create.
    pub async fn create(&self, resource: &Value) -> Result<(), Issue> {
        let resource = json::read(resource.to_string()).map_err(Issue::from)?;
        let resource_type = resource.resource_type();
        let request = CreateRequest { resource_type, resource, if_none_exist: None };
        self.api.perform(self.caller, Interaction::Create(request)).await.map(drop)
    }

    /// Performs a transaction of these entries: resource, method, URL, and
    /// what is more to be said of the request. `contents`: what its Binaries
    /// carry, by the fullUrl of their entries. Returns the Bundle of what each led to.
    ///
    /// # Errors
    /// As the transaction; nothing is stored then.
    pub async fn transact(
        &self,
        entries: Vec<Value>,
        contents: Vec<(String, Carried)>,
    ) -> Result<Performed, Issue> {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        let bundle = json::read(bundle.to_string()).map_err(Issue::from)?;
        let request = BundleRequest { bundle, contents, handling: Handling::Strict };
        self.api.perform(self.caller, Interaction::Bundle(request)).await
    }

    async fn resource(&self, interaction: Interaction) -> Result<Resource, Issue> {
        tree(self.api.perform(self.caller, interaction).await?)
    }
}

fn owned(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read_of(key: ResourceKey) -> ReadRequest {
    ReadRequest { key, if_none_match: None, if_modified_since: None }
}

fn tree(performed: Performed) -> Result<Resource, Issue> {
    match performed.body {
        Body::Json(bytes) => json::read(bytes).map_err(Issue::from),
        Body::Empty => Err(Issue::fatal(IssueType::Exception).text("an answer without a resource")),
    }
}

/// Writes an identifier so that a search looks for it and nothing else.
///
/// Spec: <https://hl7.org/fhir/R4/search.html#escaping>
pub fn token(system: &str, value: &str) -> String {
    format!("{}|{}", code_token(system), code_token(value))
}

/// Reads what [`token`] writes: system and value, either of which may be empty;
/// `None` for a code without a system, and for several.
pub(crate) fn parse_token(text: &str) -> Option<(String, String)> {
    let (mut system, mut part) = (None, String::new());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => part.extend(chars.next()),
            ',' => return None,
            '|' if system.is_none() => system = Some(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    Some((system?, part))
}

/// Splits the alternatives of a parameter, which stay escaped.
pub(crate) fn alternatives(text: &str) -> Vec<&str> {
    let (mut all, mut from, mut is_escaped) = (Vec::new(), 0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !is_escaped {
            all.extend(text.get(from..at));
            from = at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    all.extend(text.get(from..));
    all
}

/// Writes a code of any system likewise.
pub fn code_token(code: &str) -> String {
    let mut token = String::with_capacity(code.len());
    for c in code.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            token.push('\\');
        }
        token.push(c);
    }
    token
}

/// Decodes the query of a URL; `None` when it cannot be.
pub(crate) fn decoded(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| Some((percent::decode_form(name)?, percent::decode_form(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_whatever_it_holds() {
        for (value, expected) in [("1", "urn:x|1"), ("a,b|c$d\\", "urn:x|a\\,b\\|c\\$d\\\\")] {
            assert_eq!(token("urn:x", value), expected);
            assert_eq!(parse_token(expected), Some(("urn:x".to_owned(), value.to_owned())));
        }
        assert_eq!(parse_token("urn:x|"), Some(("urn:x".to_owned(), String::new())));
        assert_eq!(alternatives("a|1\\,2,b|,"), ["a|1\\,2", "b|", ""]);
        assert_eq!((parse_token("1"), parse_token("a|1,a|2")), (None, None));
    }

    #[test]
    fn a_query_is_decoded() {
        let pairs = decoded("a=1%7C2&b=x+y&c").expect("readable");
        assert_eq!(pairs, [("a".to_owned(), "1|2".to_owned()), ("b".to_owned(), "x y".to_owned())]);
    }
}
