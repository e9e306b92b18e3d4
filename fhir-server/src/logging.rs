//! The log: lines for people or JSON for machines, on standard error.
//!
//! Nothing of a patient is in it: no bodies, no ids, no values of searches.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::Settings;

/// Parts that tell at `info` what only their makers want to know.
const QUIET: &str = "actix_server=warn,actix_http=warn,mio=warn,rustls=warn";

/// Starts the log. One that runs already (a test's) stays.
pub fn start(settings: &Settings) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&settings.log_level))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started =
        if settings.log_json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    if started.is_ok() {
        tell_panics_without_their_text();
    }
}

/// Reads a level, or directives as `tracing` has them; what is neither counts
/// as `info`.
fn filter(level: &str) -> EnvFilter {
    let info = || EnvFilter::new(format!("info,{QUIET}"));
    match level.parse::<tracing_subscriber::filter::LevelFilter>() {
        Ok(known) if known <= tracing::Level::INFO => EnvFilter::new(format!("{known},{QUIET}")),
        Ok(known) => EnvFilter::new(known.to_string()),
        // A word alone would be taken for the name of a part.
        Err(_) if !level.contains('=') => info(),
        Err(_) => EnvFilter::try_new(level).unwrap_or_else(|_| info()),
    }
}

/// The exit code of a program that writes to nobody, as shells have it.
const BROKEN_PIPE: i32 = 141;

/// The text of a panic may quote what was being worked on: where it happened
/// is enough to find it.
fn tell_panics_without_their_text() {
    std::panic::set_hook(Box::new(|panic| {
        let is_main = std::thread::current().name() == Some("main");
        if is_main && panic.payload_as_str().is_some_and(|text| text.starts_with("failed printing to stdout"))
        {
            // Whoever read the output has seen enough: `lanterna ... | head`.
            std::process::exit(BROKEN_PIPE);
        }
        let place = panic.location().map_or_else(|| "?".to_owned(), ToString::to_string);
        tracing::error!(place, "a panic: this is a fault of the server, please report it");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for (level, expected) in [
            ("info", "info"),
            ("warn", "warn"),
            ("debug", "debug"),
            ("fhir_server=trace", "fhir_server=trace"),
            ("no such level!", "info"),
        ] {
            let written = filter(level).to_string();
            assert!(written.contains(expected), "{level}: {written}");
            assert_eq!(
                written.contains("actix_server=warn"),
                !matches!(level, "debug" | "fhir_server=trace")
            );
        }
    }
}
