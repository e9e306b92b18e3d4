//! HL7 v2 messages, as resources of FHIR.
//!
//! [`resources`] makes of a message what is to be stored. Nothing is dropped
//! silently: each place of a message that holds something is read by a row of a
//! table (`map`), or told in [`mapped::Mapped::unmapped`]. Before it is stored,
//! [`settle::settle`] puts what is stored already behind it.
//!
//! A family of messages is added so: `events/[family].rs` with a `Family` (the
//! message code, its events, what reads it), its row in `events::FAMILIES`, and
//! for each segment that is new a file in `map/segments` with its rows. What
//! reads it begins the patient (`segments::pid::patient`), fills a `Draft` from
//! a segment by rows (`Work::fill`), and adds it with what it is known by
//! (`Work::add`): `Known::By` a query by a number that others give too
//! (`Work::by_number`), `Known::Own` where only this sender's message names it.
//! A message that comes again then finds the same resources.
//!
//! Spec: HL7 v2-to-FHIR (<https://hl7.org/fhir/uv/v2mappings>), HL7 v2.5.1

pub mod code_systems;
pub mod context;
mod events;
pub mod from_fhir;
mod lookup;
mod map;
pub mod mapped;
pub mod place;
pub mod refused;
pub mod settle;

use context::Context;
use map::segments::{evn, msh};
use map::source::Source;
use map::work::Work;
use mapped::Mapped;
use refused::Refused;

use crate::wire::hl7v2::message::Message;

/// Makes of a message the resources that it tells.
///
/// # Errors
/// When the message is none that is taken, or lacks what it cannot do without.
pub fn resources(message: &Message, context: &Context<'_>) -> Result<Mapped, Refused> {
    let source = Source::of(message);
    let header = msh::header(&source, context)?;
    let family = events::family(&header.message, &header.trigger)?;
    let mut work = Work::new(&source, context, header);
    let mut mapped = Mapped { event: evn::event(&work), ..Mapped::default() };
    (family.read)(&mut work, &mut mapped)?;
    let patient_url = work.patient.as_ref().and_then(|patient| patient["reference"].as_str());
    mapped.patient_url = patient_url.unwrap_or_default().to_owned();
    work.finish(&mut mapped);
    mapped.unmapped = source.unread();
    Ok(mapped)
}
