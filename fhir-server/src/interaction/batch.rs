//! `POST [base]` with a Bundle of type batch: each entry on its own.
//!
//! Spec: <https://hl7.org/fhir/R4/http.html#transaction>

use fhir_model::interaction::{BundleRequest, Caller, FhirApi, Performed};
use fhir_model::outcome::Issue;
use fhir_model::schema::name;
use futures_util::StreamExt;

use super::entry::{Entry, Method, located_at, write_response};

/// How many entries run at once: enough that writes share a commit.
const ENTRIES_AT_ONCE: usize = 32;

/// Performs each entry through the gate and gathers the answers in order.
///
/// # Errors
/// Never of an entry: its failure stands in its own answer.
pub(crate) async fn batch(
    api: &dyn FhirApi,
    caller: &Caller,
    request: &BundleRequest,
) -> Result<Performed, Issue> {
    let entries: Vec<Result<Entry, Issue>> = request
        .bundle
        .root()
        .children_named(name::ENTRY)
        .enumerate()
        .map(|(index, entry)| Entry::parse(index, entry, request.handling))
        .collect();
    let answers: Vec<Vec<u8>> = futures_util::stream::iter(entries)
        .map(|entry| answer(api, caller, entry))
        .buffered(ENTRIES_AT_ONCE)
        .collect()
        .await;
    Ok(Performed::json(bundle_of("batch-response", &answers)))
}

async fn answer(api: &dyn FhirApi, caller: &Caller, entry: Result<Entry, Issue>) -> Vec<u8> {
    let mut out = Vec::new();
    let result: Result<(Method, Performed), Issue> = match entry {
        Ok(Entry { index, method, interaction, .. }) => {
            let performed = api.perform(caller, interaction).await;
            performed.map(|performed| (method, performed)).map_err(|issue| located_at(index, issue))
        }
        Err(issue) => Err(issue),
    };
    match result {
        Ok((method, performed)) => write_response(&caller.base, method, &performed, &mut out),
        Err(issue) => write_failure(&issue, &mut out),
    }
    out
}

fn write_failure(issue: &Issue, out: &mut Vec<u8>) {
    let (code, reason) = crate::rest::outcome::status_line(issue);
    out.extend_from_slice(format!(r#"{{"response":{{"status":"{code} {reason}","outcome":"#).as_bytes());
    out.extend_from_slice(&issue.to_operation_outcome_json());
    out.extend_from_slice(b"}}");
}

/// Writes a Bundle of a type from its entries.
pub(crate) fn bundle_of(bundle_type: &str, entries: &[Vec<u8>]) -> Vec<u8> {
    let size: usize = entries.iter().map(|e| e.len() + 1).sum();
    let mut out = Vec::with_capacity(size + 80);
    out.extend_from_slice(br#"{"resourceType":"Bundle","type":""#);
    out.extend_from_slice(bundle_type.as_bytes());
    out.push(b'"');
    if !entries.is_empty() {
        out.extend_from_slice(br#","entry":["#);
        for (index, entry) in entries.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(entry);
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}
