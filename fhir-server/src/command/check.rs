//! `lanterna check`.

use std::process::ExitCode;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Settings;
use crate::index::extract::extract;
use crate::search::custom::Activation;
use crate::storage::{Reads, stale_types};

/// How many problems are shown.
const PROBLEMS_SHOWN: usize = 100;

/// Checks the data: the database's own structure, that every resource can be
/// read back whole, and that the index is what it would be if it were made
/// anew. No server may run on it meanwhile.
///
/// Ends with 0 when all is well, 1 when something is wrong.
///
/// # Errors
/// When the data cannot be opened.
pub fn check(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let bases: Vec<String> = settings.base.clone().into_iter().collect();
    let (store, search) = super::open_search(settings, bases.clone())?;
    let search = Arc::new(search);
    let activation = Activation::new(Arc::clone(&search));
    let definitions = store.write_blocking(move |unit| activation.start(unit))?;
    let mut reader = store.reader()?;
    let stale = stale_types(&mut reader)?;
    let count = reader.count(None)?;
    drop(reader);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} resources {elapsed} (left: {eta})")?;
    let bar = ProgressBar::new(count.unsigned_abs()).with_style(style);
    let is_stale = |of| stale.iter().any(|stale| stale.of == of);
    let checked = store.check_resources(
        |tree| (!is_stale(tree.resource_type())).then(|| extract(&definitions, tree, &bases)),
        |seen| bar.inc(seen),
    )?;
    bar.finish_and_clear();
    let mut problems = store.check()?;
    problems.extend(checked.problems);
    println!("{} resources are whole, {} problems", checked.whole, problems.len());
    for problem in problems.iter().take(PROBLEMS_SHOWN) {
        println!("  {problem}");
    }
    if !stale.is_empty() {
        println!("{} types wait to be indexed anew: start the server once", stale.len());
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
