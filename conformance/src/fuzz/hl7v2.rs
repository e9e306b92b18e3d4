//! Messages of HL7 v2: bytes, frames, and what is made of them.

use std::path::Path;

use ihe_adapters::wire::hl7v2::acknowledgement::{Acknowledging, Code, Mode, acknowledge};
use ihe_adapters::wire::hl7v2::location::Location;
use ihe_adapters::wire::hl7v2::message::Message;
use ihe_adapters::wire::hl7v2::problem::{Condition, Problem};
use ihe_adapters::wire::mllp::{Deframer, Framed, frame};
use jiff::Timestamp;

use super::Prepared;
use super::messages::files;

pub(super) const WORDS: &[&str] = &[
    "\r",
    "\n",
    "\r\n",
    "\u{b}",
    "\u{1c}",
    "\u{1c}\r",
    "|",
    "^",
    "~",
    "&",
    "\\",
    "\\X0D\\",
    "\\E\\",
    "\\.br\\",
    "MSH|^~\\&|",
    "MSH|^~\\&#|",
    "PID|1||",
    "OBX|1|ED|",
    "ZZZ|",
    "\"\"",
    "8859/15",
    "UNICODE UTF-8",
    "AL|ER",
    "\u{e0}",
];

/// The greatest number of bytes that a frame may have here: less than seeds have.
const FRAME_BYTES_MAX: usize = 2_000;
/// The greatest number of fields that are changed in one case.
const CHANGES_MAX: usize = 20;

/// Messages: written as they were read; acknowledged; changed without a segment more.
pub(super) fn prepare(testdata: &Path) -> Result<Prepared, String> {
    let mut seeds = files(testdata, "hl7v2", "hl7")?;
    seeds.extend(files(testdata, "hl7v3", "hl7")?);
    Ok(Prepared { seeds, take: Box::new(take) })
}

fn take(bytes: &[u8]) -> bool {
    let Ok(message) = Message::read(bytes) else { return false };
    assert_eq!(message.to_bytes(), bytes, "a message is written otherwise than it was read");
    let acknowledging = Acknowledging { control_id: "1", at: Timestamp::UNIX_EPOCH, application: "L" };
    let problem = Problem::error(Condition::DataType, "wrong").at(Location::component("PID", 3, 1));
    let answer = acknowledge(&message, &acknowledging, Code::ApplicationError, &[problem]);
    let again = Message::read(&answer.to_bytes()).expect("an acknowledgement is a message");
    assert_eq!(again.all().count(), 3, "MSH, MSA and ERR, and nothing that the message put in");
    let _ = Mode::of(&message);
    let values: Vec<String> = message
        .all()
        .flat_map(|s| s.parts().filter_map(|(_, part)| part.value()))
        .take(CHANGES_MAX)
        .collect();
    let segments = message.all().count();
    for value in values {
        let mut changed = message.clone();
        for segment in changed.segments_mut("PID") {
            segment.set(&Location::component("PID", 5, 2), &value);
        }
        let read = Message::parse(&changed.write()).expect("what was changed is a message");
        assert_eq!(read.all().count(), segments, "a value made a segment");
    }
    true
}

/// Frames: the same messages however the bytes are split.
pub(super) fn prepare_frames(testdata: &Path) -> Result<Prepared, String> {
    let seeds = files(testdata, "hl7v2", "hl7")?;
    let framed = seeds.chunks(3).map(|some| some.iter().flat_map(|message| frame(message)).collect());
    Ok(Prepared { seeds: framed.collect(), take: Box::new(take_frames) })
}

fn take_frames(bytes: &[u8]) -> bool {
    let whole = deframed(bytes, bytes.len().max(1));
    for size in [1, 7, 4096] {
        assert_eq!(deframed(bytes, size), whole, "split by {size}");
    }
    whole.iter().any(|framed| matches!(framed, Framed::Message(_)))
}

fn deframed(bytes: &[u8], size: usize) -> Vec<Framed> {
    let mut deframer = Deframer::new(FRAME_BYTES_MAX);
    let mut found = Vec::new();
    for chunk in bytes.chunks(size) {
        deframer.push(chunk);
        loop {
            match deframer.next_message() {
                Framed::Incomplete => break,
                framed => found.push(framed),
            }
        }
    }
    found
}
