//! URI parameters: compared exactly, `:below` by beginning, `:above` the other
//! way round.
//!
//! Spec: <https://hl7.org/fhir/R4/search.html#uri>

use fhir_model::fhirpath::Value;
use fhir_model::search_parameter::SearchParameterType as Kind;

use super::{Collector, Predicate, TextComparison, TextMatch, ValueError, malformed, no_modifier, unescape};
use crate::index::row::{BranchCode, EqualHash};
use crate::search::registry::Definition;

/// The longest URI that is searched for, and by how much of it one is found
/// with `:below`, in bytes.
const URI_BYTES_MAX: usize = 2048;

/// Puts a URI into the index.
pub(super) fn index(branch: BranchCode, value: &Value<'_>, out: &mut Collector) {
    match text_of(value).filter(|uri| !uri.is_empty()) {
        Some(uri) => {
            out.equal(branch, "uri", &[uri]);
            // A canonical is found without its version, too.
            if let Some((url, _)) = uri.split_once('|') {
                out.equal(branch, "uri", &[url]);
            }
            let begins = uri.char_indices().take_while(|(at, _)| *at < URI_BYTES_MAX).last();
            out.text(branch, uri[..begins.map_or(0, |(at, c)| at + c.len_utf8())].to_owned());
        }
        None => out.skip(branch),
    }
}

/// Returns the text of a primitive.
pub(super) fn text_of<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    match value {
        Value::Element(element) => element.value(),
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Turns a value of a search into what it asks of the index.
pub(super) fn predicate(
    definition: &Definition,
    modifier: Option<&str>,
    text: &str,
) -> Result<Predicate, ValueError> {
    let uri = unescape(text);
    if uri.is_empty() || uri.len() > URI_BYTES_MAX {
        return Err(malformed(text, "a URI of at most 2048 bytes"));
    }
    let branches: Vec<BranchCode> = definition.branches.iter().map(|b| b.branch).collect();
    match modifier {
        Some("below") => {
            Ok(Predicate::Text(TextMatch { branches, comparison: TextComparison::Starts, folded: uri }))
        }
        Some("above") => {
            // Every beginning that ends where a segment does.
            let ends = uri.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at);
            let beginnings = ends.flat_map(|at| [&uri[..at], &uri[..=at]]).chain([uri.as_str()]);
            let beginnings: Vec<&str> = beginnings.filter(|b| !b.is_empty()).collect();
            let hashes = branches.iter().flat_map(|branch| {
                beginnings.iter().map(|beginning| EqualHash::of(*branch, "uri", &[beginning]))
            });
            Ok(Predicate::Equal(hashes.collect()))
        }
        modifier => {
            no_modifier(modifier, Kind::Uri)?;
            Ok(Predicate::Equal(branches.iter().map(|b| EqualHash::of(*b, "uri", &[&uri])).collect()))
        }
    }
}
