//! `lanterna check`.

use std::process::ExitCode;

use crate::config::Settings;
use crate::storage::{Bind, RESOURCE_COLUMNS, Reads, RenderedSql, Store, StoreSettings};

/// How many resources are read at once.
const RESOURCES_AT_ONCE: i64 = 1000;

/// Checks the data: the database's own structure, and that every resource can
/// be read back whole. No server may run on it meanwhile.
///
/// Ends with 0 when all is well, 1 when something is damaged.
///
/// # Errors
/// When the data cannot be opened.
pub fn check(settings: &Settings) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let store = Store::open(&StoreSettings::of(&settings.data))?;
    let mut problems = store.check()?;
    let mut reader = store.reader()?;
    let (mut last, mut whole) = (i64::MIN, 0u64);
    loop {
        let statement = RenderedSql {
            sql: format!(
                "SELECT {RESOURCE_COLUMNS} FROM resource WHERE key > ? AND deleted = 0 ORDER BY key LIMIT ?"
            ),
            binds: vec![Bind::Integer(last), Bind::Integer(RESOURCES_AT_ONCE)],
            ..RenderedSql::default()
        };
        let resources = reader.resources(&statement)?;
        let Some(end) = resources.last() else { break };
        last = end.number;
        for resource in &resources {
            match resource.resource() {
                Ok(_) => whole += 1,
                Err(_) => {
                    problems.push(format!("the resource with the number {} is damaged", resource.number))
                }
            }
        }
    }
    println!("{whole} resources are whole, {} problems", problems.len());
    for problem in &problems {
        println!("  {problem}");
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
