//! All Observations with the common code, page after page.

use std::net::SocketAddr;

use memchr::memmem;

use super::count::database;
use crate::bench::client::{Answer, get};
use crate::bench::data::token;
use crate::bench::load::{Exchange, compare, measure as measure_one, repeat, run};
use crate::bench::report::{Measured, Target};
use crate::bench::{Bench, BenchError, cores};

/// What stands once in each entry of a page.
const ENTRY: &[u8] = br#""search":{"mode":"match"}"#;
/// What stands before the URL of the next page.
const NEXT: &[u8] = br#""relation":"next","url":""#;
/// The links stand in the beginning of a page.
const LINKS_BYTES_MAX: usize = 8 << 10;

/// Asks for the first page and follows the links, from the beginning again
/// when there is none.
pub(super) struct Paging {
    address: SocketAddr,
    first: Vec<u8>,
    next: Option<Vec<u8>>,
    /// How many resources all pages have, where that does not change.
    expected: Option<u64>,
    found: u64,
}

impl Paging {
    /// Makes what a connection asks; so many resources are expected.
    pub(super) fn new(address: SocketAddr, expected: usize) -> Paging {
        let first = get(address, &format!("/fhir/Observation?code={}&_count=1000", token(0)));
        Paging { address, first, next: None, expected: Some(expected as u64), found: 0 }
    }

    /// Makes it not be minded that resources come and go meanwhile.
    pub(super) fn while_others_write(self) -> Paging {
        Paging { expected: None, ..self }
    }
}

/// Returns path and query of the next page.
fn next_page(body: &[u8]) -> Option<&str> {
    let links = body.get(..LINKS_BYTES_MAX).unwrap_or(body);
    let url = links.get(memmem::find(links, NEXT)? + NEXT.len()..)?;
    let url = std::str::from_utf8(url.get(..memchr::memchr(b'"', url)?)?).ok()?;
    url.get(url.find("/fhir/")?..)
}

impl Exchange for Paging {
    fn request(&mut self) -> &[u8] {
        self.next.as_deref().unwrap_or(&self.first)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        answer.expect(200)?;
        let entries = memmem::find_iter(answer.body, ENTRY).count() as u64;
        self.found += entries;
        self.next = next_page(answer.body).map(|path| get(self.address, path));
        if self.next.is_none() {
            if let Some(expected) = self.expected.filter(|expected| *expected != self.found) {
                let found = self.found;
                return Err(BenchError::Wrong(format!("{found} resources on all pages, not {expected}")));
            }
            self.found = 0;
        }
        Ok(entries)
    }
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<Measured, BenchError> {
    let (server, folder) = (bench.large()?, bench.large_folder()?);
    let matches = bench.population.with_common_code();
    let (mut database, value) = database(&folder, bench.population)?;
    let paging = |_| -> Box<dyn Exchange> { Box::new(Paging::new(server.address, matches)) };
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(server.address, 1, time, &paging),
        |time| repeat(time, || database.bodies(value)),
    )?;
    let unpacked = measure_one(bench.options.time, |time| repeat(time, || database.unpacked_bodies(value)))?;
    let connections = cores();
    let on_all = measure_one(bench.options.time, |time| run(server.address, connections, time, &paging))?;
    let what = format!("resources downloaded, {connections} connections");
    bench.figure("downloads", &what, on_all.rate, "/s", Some(Target::AtLeast(140_000.0)));
    Ok(Measured {
        ours: ours.rate,
        baseline: Some(baseline.rate),
        note: format!(
            "{matches} matches; one connection, one thread; a page took {:.1} ms; the statement with the bodies unpacked: {:.0} resources/s",
            ours.p50_ms, unpacked.rate
        ),
        details: vec![
            ("matches", matches as f64),
            ("pageP50Ms", ours.p50_ms),
            ("baselineUnpacked", unpacked.rate),
        ],
        ..Measured::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_next_page() {
        for (body, expected) in [
            (r#"{"link":[{"relation":"self","url":"http://h/fhir/A?b=c"}]}"#, None),
            (
                r#"{"link":[{"relation":"self","url":"http://h/fhir/A"},{"relation":"next","url":"http://h/fhir/A?_cursor=x"}]}"#,
                Some("/fhir/A?_cursor=x"),
            ),
            (r#"{"link":[{"relation":"next","url":"http://h/fhir/A"#, None),
            (r#"{"link":[{"relation":"next","url":"http://h/other"}]}"#, None),
            ("", None),
        ] {
            assert_eq!(next_page(body.as_bytes()), expected, "{body}");
        }
    }
}
