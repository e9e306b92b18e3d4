//! `lanterna explain`.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use fhir_model::interaction::{Handling, Scope, SearchRequest};
use fhir_model::schema::TypeId;

use crate::config::Settings;
use crate::interaction::url::decode_query;
use crate::search::custom::Activation;
use crate::storage::Reads;

/// What `lanterna explain` takes.
#[derive(Debug, Args)]
pub struct ExplainArguments {
    /// The search, as behind the base of a URL: `Observation?patient=1&code=x`
    #[arg(value_name = "SEARCH")]
    search: String,
}

/// Prints how a search would be answered, on the data as it is. No server may
/// run on it meanwhile.
///
/// # Errors
/// When the data cannot be opened, or the search is none.
pub fn explain(
    settings: &Settings,
    arguments: &ExplainArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let (path, query) = arguments.search.split_once('?').unwrap_or((&arguments.search, ""));
    let scope = match path.trim_matches('/') {
        "" => Scope::System,
        name => Scope::Type(
            TypeId::resource_named(name).ok_or_else(|| format!("`{name}` is not a resource type"))?,
        ),
    };
    let request = SearchRequest { scope, parameters: decode_query(query)?, handling: Handling::Strict };
    let (store, search) = super::open_search(settings, Vec::new())?;
    let search = Arc::new(search);
    let activation = Activation::new(Arc::clone(&search));
    search.set_definitions(store.write_blocking(move |unit| activation.start(unit))?);
    println!("{}", search.explain(store.reader()?.connection(), &request)?);
    Ok(ExitCode::SUCCESS)
}
