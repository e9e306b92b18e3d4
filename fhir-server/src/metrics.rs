//! Counters and latencies, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::storage::{Store, inbound_lengths};

/// A number that a part of the server tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// Its name, with the unit in it, as Prometheus wants.
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    /// Its value now.
    pub value: f64,
}

/// A part of the server that has numbers to tell.
pub trait Numbers: Send + Sync {
    /// Returns the numbers as they are now.
    fn numbers(&self) -> Vec<Number>;
}

impl Numbers for Store {
    fn numbers(&self) -> Vec<Number> {
        let (writer, queued) = self.statistics();
        let lengths = self.reader().ok().and_then(|mut reader| inbound_lengths(&mut reader).ok());
        let (waiting, set_aside) = lengths.unwrap_or_default();
        let counter = |name, value: u64| Number { name, kind: "counter", value: value as f64 };
        vec![
            counter("lanterna_commits_total", writer.commits.load(Ordering::Relaxed)),
            counter("lanterna_commit_failures_total", writer.failures.load(Ordering::Relaxed)),
            Number {
                name: "lanterna_commit_seconds_total",
                kind: "counter",
                value: writer.commit_micros.load(Ordering::Relaxed) as f64 / 1e6,
            },
            counter("lanterna_writes_total", writer.jobs.load(Ordering::Relaxed)),
            counter("lanterna_index_values_skipped_total", crate::index::extract::skipped_total()),
            Number { name: "lanterna_writes_queued", kind: "gauge", value: queued as f64 },
            Number { name: "lanterna_hl7v2_waiting", kind: "gauge", value: waiting as f64 },
            Number { name: "lanterna_hl7v2_set_aside", kind: "gauge", value: set_aside as f64 },
        ]
    }
}

/// The upper ends of the latency classes, in microseconds.
const CLASSES_MICROS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];

#[derive(Debug, Default, Clone)]
struct Series {
    count: u64,
    micros: u64,
    classes: [u64; CLASSES_MICROS.len()],
}

/// What is counted of requests.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), Series>>,
    in_flight: AtomicI64,
}

impl Metrics {
    /// Says that a request began.
    pub fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self)
    }

    /// Says how a request was answered.
    pub fn end(&self, interaction: &'static str, status: u16, took: Duration) {
        let micros = took.as_micros() as u64;
        let mut requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let series = requests.entry((interaction, status)).or_default();
        series.count += 1;
        series.micros += micros;
        if let Some(class) = CLASSES_MICROS.iter().position(|end| micros <= *end) {
            series.classes[class] += 1;
        }
    }

    /// Writes everything, with the numbers of the parts.
    pub fn write(&self, parts: &[Arc<dyn Numbers>]) -> String {
        let mut out = String::new();
        let requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let _ = writeln!(out, "# TYPE lanterna_request_seconds histogram");
        for ((interaction, status), series) in &requests {
            let labels = format!("interaction=\"{interaction}\",status=\"{status}\"");
            let mut below = 0;
            for (end, count) in CLASSES_MICROS.iter().zip(series.classes) {
                below += count;
                let end = *end as f64 / 1e6;
                let _ = writeln!(out, "lanterna_request_seconds_bucket{{{labels},le=\"{end}\"}} {below}");
            }
            let _ = writeln!(out, "lanterna_request_seconds_bucket{{{labels},le=\"+Inf\"}} {}", series.count);
            let _ = writeln!(out, "lanterna_request_seconds_sum{{{labels}}} {}", series.micros as f64 / 1e6);
            let _ = writeln!(out, "lanterna_request_seconds_count{{{labels}}} {}", series.count);
        }
        let in_flight = self.in_flight.load(Ordering::Relaxed) as f64;
        let own = [
            Some(Number { name: "lanterna_requests_in_flight", kind: "gauge", value: in_flight }),
            resident_bytes().map(|bytes| Number {
                name: "process_resident_memory_bytes",
                kind: "gauge",
                value: bytes as f64,
            }),
            open_files().map(|files| Number { name: "process_open_fds", kind: "gauge", value: files as f64 }),
        ];
        let parts = parts.iter().flat_map(|part| part.numbers());
        for Number { name, kind, value } in own.into_iter().flatten().chain(parts) {
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}

/// A request that runs; it is counted out when it ends, or when its caller
/// goes away and it is dropped.
#[derive(Debug)]
pub struct InFlight<'m>(&'m Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the resident memory of this process in bytes; `None` where the
/// system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Counts the files and sockets that this process has open; `None` where the
/// system does not tell.
pub fn open_files() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Part;

    impl Numbers for Part {
        fn numbers(&self) -> Vec<Number> {
            vec![Number { name: "part_total", kind: "counter", value: 7.0 }]
        }
    }

    #[test]
    fn what_is_counted_is_written() {
        let metrics = Metrics::default();
        let running = metrics.begin();
        drop(metrics.begin());
        metrics.end("read", 200, Duration::from_micros(300));
        metrics.end("read", 200, Duration::from_secs(100));
        let text = metrics.write(&[Arc::new(Part)]);
        for line in [
            "lanterna_request_seconds_bucket{interaction=\"read\",status=\"200\",le=\"0.00025\"} 0",
            "lanterna_request_seconds_bucket{interaction=\"read\",status=\"200\",le=\"0.0005\"} 1",
            "lanterna_request_seconds_bucket{interaction=\"read\",status=\"200\",le=\"10\"} 1",
            "lanterna_request_seconds_bucket{interaction=\"read\",status=\"200\",le=\"+Inf\"} 2",
            "lanterna_request_seconds_count{interaction=\"read\",status=\"200\"} 2",
            "lanterna_requests_in_flight 1",
            "part_total 7",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        drop(running);
        assert!(metrics.write(&[]).contains("lanterna_requests_in_flight 0"));
    }
}
