//! How much one caller may ask for. Each limit has a unit, a default and a
//! reason; the settings of the same names change them.

/// The limits of the server; those of a search stand in `search/limits.rs`.
///
/// The HTTP stack adds fixed ones: 128 KiB and 96 headers for the head of a
/// request; more is refused with 431 and the connection closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's body, as sent and decompressed. 64 MiB: a transaction of a
    /// hospital's day fits, memory does not fill. More is refused with 413.
    pub body_bytes_max: usize,
    /// Bytes of all bodies held at once, as sent and decompressed. 512 MiB: many
    /// large bodies at once must not fill memory. More is refused with 503.
    pub bodies_bytes_max: usize,
    /// Entries of a Bundle. 20,000: a transaction holds the writer for as
    /// long as it is written. More is refused with 413.
    pub bundle_entries_max: usize,
    /// Bytes of a URL. 32 KiB: longer searches go by POST. More is refused with 414.
    pub url_bytes_max: usize,
    /// Parameters of a URL or form. 1,000: each costs memory before the search
    /// looks at it. More is refused with 422.
    pub parameters_max: usize,
    /// Connections at once. 25,000 for each thread that serves.
    pub connections_max: usize,
    /// Requests performed at once. 1,024: more would only wait for the writer
    /// and the readers, each holding its memory.
    pub running_max: usize,
    /// Requests that wait to be performed. 4,096: more is refused with 503 at once.
    pub waiting_max: usize,
    /// Seconds that a request waits to be performed. 5: a client that waits
    /// longer tries again anyway. Then it is refused with 503.
    pub waiting_seconds_max: u64,
    /// Seconds in which the head of a request must arrive. 15: a slow client
    /// may not hold a connection. Then it is closed.
    pub head_seconds_max: u64,
    /// Seconds in which the body of a request must arrive whole. 120: 64 MiB at 5 Mbit/s.
    /// Then it is refused with 408.
    pub body_seconds_max: u64,
    /// Seconds after which a body must keep up with `body_rate_min`. 20: a
    /// connection may begin slowly.
    pub body_grace_seconds: u64,
    /// Bytes a second that a body must bring on average past the grace. 1 KiB: slower
    /// is no network but an attack. Slower is refused with 408.
    pub body_rate_min: u64,
    /// Seconds in which a client must take some of what waits for it. 30: who does not
    /// read may not hold an answer in memory. Then the connection is closed.
    pub read_seconds_max: u64,
    /// Seconds that a connection may idle between requests. 75: longer than the
    /// usual 60 of proxies, so that they close first.
    pub idle_seconds_max: u64,
    /// Seconds that a shutdown waits for requests that run. 30: what service
    /// managers grant by default.
    pub drain_seconds_max: u64,
    /// Days for which it is kept what was written under a key. 7: whoever sends
    /// again does so within them, also after a week of repairs. Then the key is forgotten.
    pub key_days: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 64 << 20,
            bodies_bytes_max: 512 << 20,
            bundle_entries_max: 20_000,
            url_bytes_max: 32 << 10,
            parameters_max: 1_000,
            connections_max: 25_000,
            running_max: 1_024,
            waiting_max: 4_096,
            waiting_seconds_max: 5,
            head_seconds_max: 15,
            body_seconds_max: 120,
            body_grace_seconds: 20,
            body_rate_min: 1_024,
            read_seconds_max: 30,
            idle_seconds_max: 75,
            drain_seconds_max: 30,
            key_days: 7,
        }
    }
}
