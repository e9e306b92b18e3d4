//! What adapters ask of FHIR, by [`FhirApi`]: searches to their last page,
//! reads, transactions.

use fhir_model::interaction::{
    Body, BundleRequest, Caller, Content, FhirApi, Handling, Interaction, Performed, ReadRequest,
    ResourceKey, Scope, SearchRequest,
};
use fhir_model::json;
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::percent;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, name};
use fhir_model::tree::Resource;
use serde_json::{Value, json};

/// How many resources are asked for at a time.
const PAGE: &str = "500";

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
    ) -> Result<Vec<Resource>, Issue> {
        let mut parameters: Vec<(String, String)> =
            parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        parameters.push(("_count".to_owned(), PAGE.to_owned()));
        let mut found = Vec::new();
        loop {
            let request = SearchRequest { scope: Scope::Type(of), parameters, handling: Handling::Strict };
            let bundle = self.resource(Interaction::Search(request)).await?;
            let root = bundle.root();
            let resources = root.children_named(name::ENTRY).filter_map(|e| e.child(name::RESOURCE));
            found.extend(resources.filter(|r| r.ty() == of).map(|r| bundle.extract(r.id())));
            if found.len() > limit {
                let text = format!("more than {limit} resources match");
                return Err(Issue::error(IssueType::TooCostly).because(Reason::Unprocessable).text(text));
            }
            let next = root.children_named(name::LINK).find(|l| l.text_of(name::RELATION) == Some("next"));
            let Some((_, query)) = next.and_then(|l| l.text_of(name::URL)?.split_once('?')) else {
                return Ok(found);
            };
            let unreadable = || Issue::fatal(IssueType::Exception).text("a page has no readable next one");
            parameters = decoded(query).ok_or_else(unreadable)?;
        }
    }

    /// Returns the first page of what a search finds.
    ///
    /// # Errors
    /// As the search.
    pub async fn first_page(&self, of: TypeId, parameters: &[(&str, &str)]) -> Result<Vec<Resource>, Issue> {
        let parameters = parameters.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request = SearchRequest { scope: Scope::Type(of), parameters, handling: Handling::Strict };
        let bundle = self.resource(Interaction::Search(request)).await?;
        let entries = bundle.root().children_named(name::ENTRY);
        let resources = entries.filter_map(|e| e.child(name::RESOURCE)).filter(|r| r.ty() == of);
        Ok(resources.map(|r| bundle.extract(r.id())).collect())
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

    /// Performs a transaction of these entries: resource, method, URL, and
    /// what is more to be said of the request. Returns the Bundle of what each
    /// led to.
    ///
    /// # Errors
    /// As the transaction; nothing is stored then.
    pub async fn transact(
        &self,
        entries: Vec<Value>,
        contents: Vec<(String, Content)>,
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
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let pairs = decoded("a=1%7C2&b=x+y&c").expect("readable");
        assert_eq!(pairs, [("a".to_owned(), "1|2".to_owned()), ("b".to_owned(), "x y".to_owned())]);
    }
}
