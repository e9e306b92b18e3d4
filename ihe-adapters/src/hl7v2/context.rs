//! What has to be known here to read a message: assigning authorities, the
//! zone of times, code systems.

use jiff::tz::TimeZone;

/// How a message names an assigning authority (HD).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Authority<'m> {
    /// The namespace id; may be empty.
    pub namespace: &'m str,
    /// The universal id; may be empty.
    pub universal_id: &'m str,
    /// Of which kind that is: `ISO`, `URI` ...; may be empty.
    pub universal_id_type: &'m str,
}

/// What has to be known here to read a message.
pub struct Context<'c> {
    /// The system of the identifiers that an authority gives, or those without
    /// one that a sender (`application|facility`) does; `None` when it is not known.
    pub system: &'c dyn Fn(Authority<'_>, &str) -> Option<String>,
    /// The zone of times that say none, where the header says none either.
    pub time_zone: TimeZone,
    /// The URI of a code system that only this region has: of its name in table 0396.
    pub code_system: &'c dyn Fn(&str) -> Option<String>,
}
