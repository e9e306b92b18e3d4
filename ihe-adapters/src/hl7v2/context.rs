//! What has to be known here to read a message: assigning authorities, the
//! zone of times, code systems.

use jiff::tz::TimeZone;

use super::code_systems::CodeSystems;
use crate::pix::domains::Domains;

/// What has to be known here to read a message.
pub struct Context<'c> {
    /// Who assigns identifiers of patients.
    pub domains: &'c Domains,
    /// The zone of times that say none, where the header says none either.
    pub time_zone: TimeZone,
    /// The code systems that only this region has.
    pub code_systems: &'c CodeSystems,
}
