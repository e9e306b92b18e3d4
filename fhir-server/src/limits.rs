//! How much one caller may ask for. Each limit has a unit, a default and a
//! reason; the settings of the same names change them.

/// The limits of the server; those of a search stand in `search/limits.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, decompressed. 64 MiB: a transaction of a
    /// hospital's day fits, memory does not fill. More is refused with 413.
    pub body_bytes_max: usize,
    /// Entries of a Bundle. 20,000: a transaction holds the writer for as
    /// long as it is written. More is refused with 413.
    pub bundle_entries_max: usize,
    /// Bytes of a URL. 32 KiB: longer searches go by POST. More is refused with 414.
    pub url_bytes_max: usize,
    /// Connections at once. 25,000 for each thread that serves.
    pub connections_max: usize,
    /// Seconds in which the head of a request must arrive. 15: a slow client
    /// may not hold a connection. Then it is closed.
    pub head_seconds_max: u64,
    /// Seconds in which the body of a request must arrive.
    pub body_seconds_max: u64,
    /// Seconds that a connection may idle between requests.
    pub idle_seconds_max: u64,
    /// Seconds that a shutdown waits for requests that run.
    pub drain_seconds_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 64 << 20,
            bundle_entries_max: 20_000,
            url_bytes_max: 32 << 10,
            connections_max: 25_000,
            head_seconds_max: 15,
            body_seconds_max: 120,
            idle_seconds_max: 75,
            drain_seconds_max: 30,
        }
    }
}
