//! Counters and latencies, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::storage::Store;

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
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that a request ended.
    pub fn end(&self, interaction: &'static str, status: u16, took: Duration) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
        let micros = took.as_micros() as u64;
        let mut requests = self.requests.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let series = requests.entry((interaction, status)).or_default();
        series.count += 1;
        series.micros += micros;
        if let Some(class) = CLASSES_MICROS.iter().position(|end| micros <= *end) {
            series.classes[class] += 1;
        }
    }

    /// Writes everything, with the numbers of the storage.
    pub fn write(&self, store: &Store) -> String {
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
        let (writer, queued) = store.statistics();
        let numbers = [
            ("lanterna_requests_in_flight", "gauge", self.in_flight.load(Ordering::Relaxed) as f64),
            ("lanterna_commits_total", "counter", writer.commits.load(Ordering::Relaxed) as f64),
            ("lanterna_commit_failures_total", "counter", writer.failures.load(Ordering::Relaxed) as f64),
            (
                "lanterna_commit_seconds_total",
                "counter",
                writer.commit_micros.load(Ordering::Relaxed) as f64 / 1e6,
            ),
            ("lanterna_writes_total", "counter", writer.jobs.load(Ordering::Relaxed) as f64),
            ("lanterna_writes_queued", "gauge", queued as f64),
            ("process_resident_memory_bytes", "gauge", resident_bytes().unwrap_or(0) as f64),
        ];
        for (name, kind, value) in numbers {
            let _ = writeln!(out, "# TYPE {name} {kind}\n{name} {value}");
        }
        out
    }
}

/// Returns the resident memory of this process in bytes; `None` where the
/// system does not tell.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}
