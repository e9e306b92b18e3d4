//! What has to be known here to read a message: assigning authorities, the
//! zone of times, code systems.

use jiff::tz::TimeZone;

use crate::pix::domains::Domains;

/// What has to be known here to read a message.
pub struct Context<'c> {
    /// Who assigns identifiers of patients.
    pub domains: &'c Domains,
    /// The zone of times that say none, where the header says none either.
    pub time_zone: TimeZone,
    /// The URI of a code system that only this region has: of its name in table 0396.
    pub code_system: &'c dyn Fn(&str) -> Option<String>,
}
