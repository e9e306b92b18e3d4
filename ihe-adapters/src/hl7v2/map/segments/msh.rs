//! MSH: who sends what to whom.
//!
//! Spec: HL7 v2.5.1 section 2.15.9

use jiff::tz::TimeZone;

use super::note;
use crate::hl7v2::context::Context;
use crate::hl7v2::map::source::Source;
use crate::hl7v2::map::types::dtm;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::{Fault, Refused};
use crate::source::of_sender;

/// What of a header matters for what a message becomes.
#[derive(Debug, Clone, Default)]
pub(in crate::hl7v2) struct Header {
    pub(in crate::hl7v2) message: String,
    pub(in crate::hl7v2) trigger: String,
    /// `application|facility`.
    pub(in crate::hl7v2) sender: String,
    pub(in crate::hl7v2) receiver: String,
    /// The sending facility, or the application where there is none.
    pub(in crate::hl7v2) facility: String,
    /// Who sends it, as a URI: `Resource.meta.source`.
    pub(in crate::hl7v2) source: String,
    pub(in crate::hl7v2) control_id: String,
    pub(in crate::hl7v2) sent: Option<String>,
    /// The zone that the time of the message says it has.
    pub(in crate::hl7v2) zone: Option<TimeZone>,
}

/// What the envelope is, and the gateway reads: nothing of it is content.
const ENVELOPE: &[usize] = &[3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 17, 18, 19, 20, 21];

/// Reads the header.
///
/// # Errors
/// When it does not say what message it is.
pub(in crate::hl7v2) fn header(source: &Source<'_>, context: &Context<'_>) -> Result<Header, Refused> {
    let segment = source.first("MSH").ok_or_else(|| Refused::segment("MSH", "a message begins with MSH"))?;
    let text = |field, part| {
        source
            .value(segment, field)
            .and_then(|value| value.peek_of(part))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let missing = |field, text| Refused::new(Fault::RequiredField, Place::field("MSH", field), text);
    let (message, trigger) = (text(9, 1), text(9, 2));
    if message.is_empty() {
        return Err(missing(9, "the message does not say what it is"));
    }
    let (application, facility) = (text(3, 1), text(4, 1));
    let time = text(7, 1);
    let zone = dtm::zone_of(&time);
    let sent = dtm::date_time(&time, zone.as_ref().unwrap_or(&context.time_zone));
    note(source, segment, ENVELOPE);
    let uri = of_sender(&application, &facility);
    Ok(Header {
        message,
        trigger,
        sender: format!("{application}|{facility}"),
        receiver: format!("{}|{}", text(5, 1), text(6, 1)),
        facility: if facility.is_empty() { application } else { facility },
        source: uri,
        control_id: text(10, 1),
        sent,
        zone,
    })
}
