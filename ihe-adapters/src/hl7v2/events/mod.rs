//! Message families: which events there are, and what becomes of each; one file
//! for each family.

mod adt;
mod mdm;
mod orders;
mod oru;
mod pharmacy;
mod siu;
mod subject;
mod vxu;

use super::map::work::Work;
use super::mapped::Mapped;
use super::place::Place;
use super::refused::{Fault, Refused};

/// A family of messages.
pub(super) struct Family {
    /// The message code (MSH-9.1).
    pub(super) message: &'static str,
    /// Its events (MSH-9.2).
    pub(super) events: &'static [&'static str],
    /// What makes the resources of a message: what is not an entry stands in [`Mapped`].
    pub(super) read: fn(&mut Work<'_>, &mut Mapped) -> Result<(), Refused>,
}

/// All that are known.
pub(super) const FAMILIES: &[&Family] = &[
    &adt::FAMILY,
    &mdm::FAMILY,
    &orders::ANY,
    &orders::GENERAL,
    &orders::IMAGING,
    &orders::LABORATORY,
    &oru::FAMILY,
    &pharmacy::ADMINISTRATION,
    &pharmacy::ENCODED_ORDER,
    &pharmacy::ORDER,
    &siu::FAMILY,
    &vxu::FAMILY,
];

/// Returns the family of a message.
///
/// # Errors
/// When its code or its event is not known.
pub(super) fn family(message: &str, trigger: &str) -> Result<&'static Family, Refused> {
    let place = || Place::field("MSH", 9);
    let mut of_message = FAMILIES.iter().filter(|family| family.message == message).peekable();
    if of_message.peek().is_none() {
        let text = "messages of this type are not taken";
        return Err(Refused::new(Fault::MessageType, place().component(1), text));
    }
    let found = of_message.find(|family| family.events.contains(&trigger)).copied();
    found.ok_or_else(|| Refused::new(Fault::EventCode, place().component(2), "this event is not taken"))
}
