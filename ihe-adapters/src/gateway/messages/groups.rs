//! Messages that tell of several patients: each group of segments from one PID to the next is
//! a message of its own, and all of them are performed together.
//!
//! Spec: HL7 v2.5.1 sections 3.3.40 (ADT_A39), 3.3.43 (ADT_A43)

use std::collections::HashMap;

use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::place::Place;
use crate::hl7v2::refused::Refused;
use crate::wire::hl7v2::location::Location;
use crate::wire::hl7v2::message::Message;

/// The events of ADT whose messages may tell of several patients.
const EVENTS: &[&str] = &["A40", "A43"];
/// Of how many patients one message may tell.
const GROUPS_MAX: usize = 100;
const TOO_MANY: &str = "more than 100 patients in a message";

/// What a message tells of one patient.
pub(super) struct Group {
    pub(super) mapped: Mapped,
    offset: Offset,
}

/// How many segments of each name stand in the groups before.
#[derive(Debug, Clone, Default)]
struct Offset(HashMap<String, usize>);

impl Offset {
    fn of(&self, segment: &str) -> usize {
        self.0.get(segment).copied().unwrap_or_default()
    }

    fn shift(&self, place: &mut Place) {
        place.occurrence += self.of(&place.segment);
    }
}

impl Group {
    /// Returns the place of a field of its first segment of a name in the whole message.
    pub(super) fn location(&self, segment: &str, field: usize) -> Location {
        Location::field(segment, field).in_sequence(self.offset.of(segment) + 1)
    }
}

/// Makes of each group of a message what it tells.
///
/// # Errors
/// When one of them is refused: where in the whole message.
pub(super) fn groups(
    message: &Message,
    mapped: impl Fn(&Message) -> Result<Mapped, Refused>,
) -> Result<Vec<Group>, Refused> {
    let patients = message.segments("PID").count();
    let trigger = message.header(9).component(2).text();
    let is_repeated = message.header(9).component(1).text() == "ADT" && EVENTS.contains(&trigger);
    if patients < 2 || !is_repeated {
        return Ok(vec![Group { mapped: mapped(message)?, offset: Offset::default() }]);
    }
    if patients > GROUPS_MAX {
        return Err(Refused::segment("PID", TOO_MANY));
    }
    let mut groups = Vec::with_capacity(patients);
    let mut offset = Offset::default();
    for number in 1..=patients {
        let part = part(message, number);
        let mut mapped = mapped(&part).map_err(|mut refused| {
            offset.shift(&mut refused.place);
            refused
        })?;
        mapped.unmapped.iter_mut().for_each(|place| offset.shift(place));
        groups.push(Group { mapped, offset: offset.clone() });
        let of_group = part.all().skip_while(|segment| segment.name() != "PID");
        of_group.for_each(|segment| *offset.0.entry(segment.name().to_owned()).or_default() += 1);
    }
    once(&mut groups);
    Ok(groups)
}

/// Returns the message of the group that begins with the PID of a number, from 1.
fn part(message: &Message, number: usize) -> Message {
    let mut part = message.clone();
    let mut seen = 0;
    part.retain(|segment| {
        seen += usize::from(segment.name() == "PID");
        // What stands before the first is said of all.
        seen == 0 || seen == number
    });
    part
}

/// Leaves out what a group says as those before it did.
fn once(groups: &mut [Group]) {
    let (mut entries, mut places) = (Vec::new(), Vec::new());
    for Group { mapped, .. } in groups {
        mapped.entries.retain(|entry| !entries.contains(entry));
        entries.extend(mapped.entries.iter().cloned());
        mapped.unmapped.retain(|place| !places.contains(place));
        places.extend(mapped.unmapped.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "MSH|^~\\&|A|B|C|D|2024||ADT^A40|1|P|2.5\rEVN||2024\rPID|1||a\rPD1|x\rMRG|b\r\
                           PID|2||c\rMRG|d\rPID|3||e\rPD1|y\rMRG|f\r";

    #[test]
    fn each_group_is_a_message() {
        let message = Message::parse(MESSAGE).expect("a message");
        let mapped = |part: &Message| {
            let name = part.value("PID", 3, 1).unwrap_or_default();
            if name == "e" {
                return Err(Refused::segment("PD1", "not this one"));
            }
            let unmapped = vec![Place::field("EVN", 2), Place::field("PD1", 1), Place::field("MRG", 1)];
            Ok(Mapped { unmapped, patient_url: part.write(), ..Mapped::default() })
        };
        let refused = groups(&message, mapped).err().expect("the third");
        assert_eq!(refused.place.to_string(), "PD1(2)");
        let two = Message::parse(&MESSAGE[..MESSAGE.find("PID|3").expect("a third")]).expect("a message");
        let groups = groups(&two, mapped).expect("two groups");
        let texts: Vec<&str> =
            groups.iter().map(|group| group.mapped.patient_url.split_once("EVN").expect("EVN").1).collect();
        assert_eq!(texts, ["||2024\rPID|1||a\rPD1|x\rMRG|b\r", "||2024\rPID|2||c\rMRG|d\r"]);
        let places: Vec<Vec<String>> =
            groups.iter().map(|of| of.mapped.unmapped.iter().map(Place::to_string).collect()).collect();
        assert_eq!(places, [vec!["EVN-2", "PD1-1", "MRG-1"], vec!["PD1(2)-1", "MRG(2)-1"]]);
        assert_eq!(groups[1].location("MRG", 1).to_string(), "MRG(2)-1");
    }

    #[test]
    fn other_messages_are_one() {
        let message = MESSAGE.replace("A40", "A28");
        let message = Message::parse(&message).expect("a message");
        let groups = groups(&message, |part| {
            assert_eq!(part.segments("PID").count(), 3);
            Ok(Mapped::default())
        });
        assert_eq!(groups.map(|groups| groups.len()).ok(), Some(1));
    }
}
