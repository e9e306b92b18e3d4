//! MLLP: how HL7 v2 messages are framed on a byte stream.
//!
//! A frame that is malformed is told as such, and the one behind it is found.
//!
//! Spec: HL7 v2 Implementation Guide, Minimal Lower Layer Protocol, release 1.

use memchr::{memchr, memchr2};

/// Begins a frame.
const START_BLOCK: u8 = 0x0B;
/// Ends a frame, together with the carriage return behind it.
const END_BLOCK: u8 = 0x1C;
const CARRIAGE_RETURN: u8 = 0x0D;

/// What the bytes so far hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// A whole message, without its frame.
    Message(Vec<u8>),
    /// Something that is no message; what follows is not lost.
    Refused(Flaw),
    /// Not enough yet.
    Incomplete,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Bytes that belong to no frame, up to the next one.
    #[error("there are bytes outside of a frame")]
    Outside,
    /// Another frame began before it ended.
    #[error("a frame began before the one before it ended")]
    Unended,
    /// The end block stands in it, and the carriage return behind that does not.
    #[error("there is an end block inside of the frame")]
    EndInside,
    /// It is longer than this.
    #[error("the message is longer than {0} bytes")]
    TooLong(usize),
}

/// Cuts a byte stream into messages.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Up to where the buffer was searched for an end.
    searched: usize,
    /// Whether a frame has begun; the buffer is its content then.
    is_inside: bool,
    /// Whether it was told that there are bytes outside.
    is_outside_told: bool,
    /// What is wrong with the frame that has begun.
    flaw: Option<Flaw>,
    message_bytes_max: usize,
}

impl Deframer {
    /// Makes a deframer for messages of so many bytes at the most.
    pub fn new(message_bytes_max: usize) -> Deframer {
        Deframer {
            buffer: Vec::new(),
            searched: 0,
            is_inside: false,
            is_outside_told: false,
            flaw: None,
            message_bytes_max,
        }
    }

    /// Takes bytes in as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Tells whether a frame has begun that did not end.
    pub fn is_inside(&self) -> bool {
        self.is_inside
    }

    /// Takes the next message out.
    pub fn next_message(&mut self) -> Framed {
        if !self.is_inside && !self.enter() {
            return Framed::Incomplete;
        }
        if let Some(told) = self.outside() {
            return told;
        }
        if !self.is_inside {
            return Framed::Incomplete;
        }
        while let Some(found) = memchr2(START_BLOCK, END_BLOCK, self.unsearched()) {
            let at = self.searched + found;
            let after = self.buffer.get(at + 1).copied();
            match (self.buffer.get(at), after) {
                (Some(&START_BLOCK), _) => {
                    self.note(at, Flaw::Unended);
                    self.take(at, 1);
                    return Framed::Refused(self.flaw.take().unwrap_or(Flaw::Unended));
                }
                (_, None) => {
                    self.searched = at;
                    self.bound();
                    return Framed::Incomplete;
                }
                (_, Some(CARRIAGE_RETURN)) => {
                    let message = self.take(at, 2);
                    self.is_inside = false;
                    return match self.flaw.take() {
                        Some(flaw) => Framed::Refused(flaw),
                        None if message.len() > self.message_bytes_max => {
                            Framed::Refused(Flaw::TooLong(self.message_bytes_max))
                        }
                        None => Framed::Message(message),
                    };
                }
                (_, Some(_)) => {
                    self.note(at, Flaw::EndInside);
                    self.searched = at + 1;
                }
            }
        }
        self.searched = self.buffer.len();
        self.bound();
        Framed::Incomplete
    }

    /// Looks for the begin of a frame; `false` when there is nothing to tell.
    fn enter(&mut self) -> bool {
        let start = memchr(START_BLOCK, &self.buffer);
        let outside = self.buffer.get(..start.unwrap_or(self.buffer.len())).unwrap_or_default();
        // Some senders end lines behind a frame.
        let is_noise = !outside.iter().all(u8::is_ascii_whitespace);
        if is_noise && !self.is_outside_told {
            self.flaw = Some(Flaw::Outside);
        }
        match start {
            Some(at) => {
                self.take(at, 1);
                self.is_inside = true;
                self.is_outside_told = false;
            }
            None => {
                self.is_outside_told |= is_noise;
                self.buffer.clear();
            }
        }
        self.is_inside || self.flaw.is_some()
    }

    /// Tells of bytes outside of a frame, once.
    fn outside(&mut self) -> Option<Framed> {
        let flaw = self.flaw.take_if(|flaw| *flaw == Flaw::Outside)?;
        Some(Framed::Refused(flaw))
    }

    /// Notes what is wrong at a place of the frame, if nothing was before it.
    fn note(&mut self, at: usize, flaw: Flaw) {
        let is_too_long = at > self.message_bytes_max;
        let first = if is_too_long { Flaw::TooLong(self.message_bytes_max) } else { flaw };
        self.flaw.get_or_insert(first);
    }

    /// Gives the content up that is too long; its end is still looked for.
    fn bound(&mut self) {
        if self.buffer.len() > self.message_bytes_max + 1 {
            self.flaw.get_or_insert(Flaw::TooLong(self.message_bytes_max));
            // The end block may be the last that came.
            let kept = usize::from(self.buffer.last() == Some(&END_BLOCK));
            self.buffer.drain(..self.buffer.len() - kept);
            self.searched = 0;
        }
    }

    fn unsearched(&self) -> &[u8] {
        self.buffer.get(self.searched..).unwrap_or_default()
    }

    /// Takes what stands before a place out, and leaves so many bytes of it away.
    fn take(&mut self, at: usize, marks: usize) -> Vec<u8> {
        let rest = self.buffer.split_off((at + marks).min(self.buffer.len()));
        let mut taken = std::mem::replace(&mut self.buffer, rest);
        taken.truncate(at);
        self.searched = 0;
        taken
    }
}

/// Puts a message into a frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(START_BLOCK);
    out.extend_from_slice(message);
    out.extend_from_slice(&[END_BLOCK, CARRIAGE_RETURN]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes out what bytes hold that arrive in chunks.
    fn deframed<'b>(chunks: impl Iterator<Item = &'b [u8]>, message_bytes_max: usize) -> Vec<Framed> {
        let mut deframer = Deframer::new(message_bytes_max);
        let mut out = Vec::new();
        for chunk in chunks {
            deframer.push(chunk);
            loop {
                match deframer.next_message() {
                    Framed::Incomplete => break,
                    framed => out.push(framed),
                }
            }
        }
        out
    }

    #[test]
    fn what_is_malformed_loses_no_message() {
        let message = |text: &str| Framed::Message(text.as_bytes().to_vec());
        let refused = Framed::Refused;
        let cases: [(&[u8], Vec<Framed>); 8] = [
            (b"\x0bMSH|a\x1c\r\n\x0bMSH|b\x1c\r", vec![message("MSH|a"), message("MSH|b")]),
            (b"noise\x0bMSH|a\x1c\r", vec![refused(Flaw::Outside), message("MSH|a")]),
            (b"MSH|a\rPID|\r", vec![refused(Flaw::Outside)]),
            (b"\x0bMSH|half\x0bMSH|a\x1c\r", vec![refused(Flaw::Unended), message("MSH|a")]),
            (b"\x0bMSH|\x1cx\x1c\r\x0bMSH|a\x1c\r", vec![refused(Flaw::EndInside), message("MSH|a")]),
            (b"\x0b12345678901234567890\x1c\r\x0b1\x1c\r", vec![refused(Flaw::TooLong(12)), message("1")]),
            (b"\x0b123456789012\x1c\r\x0b\x1c\r", vec![message("123456789012"), message("")]),
            (b"\x0bMSH|a\x1c", vec![]),
        ];
        for (bytes, expected) in cases {
            for split in 1..=bytes.len() {
                let found = deframed(bytes.chunks(split), 12);
                assert_eq!(found, expected, "{} by {split}", String::from_utf8_lossy(bytes));
            }
            for at in 0..bytes.len() {
                let (before, after) = bytes.split_at(at);
                assert_eq!(deframed([before, after].into_iter(), 12), expected, "{at}");
            }
        }
    }

    #[test]
    fn an_endless_frame_takes_no_memory() {
        let mut deframer = Deframer::new(10);
        deframer.push(b"\x0b");
        for _ in 0..1000 {
            deframer.push(b"0123456789");
            assert_eq!(deframer.next_message(), Framed::Incomplete);
            assert!(deframer.buffer.len() < 30);
        }
        assert!(deframer.is_inside());
    }

    proptest! {
        #[test]
        fn messages_survive_any_split(messages in prop::collection::vec("[ -~\r]{0,40}", 0..5), split in 1usize..7) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(m.as_bytes())).collect();
            let expected: Vec<Framed> = messages.into_iter().map(|m| Framed::Message(m.into_bytes())).collect();
            prop_assert_eq!(deframed(bytes.chunks(split), 100), expected);
        }

        #[test]
        fn any_bytes_are_the_same_however_they_are_split(
            bytes in prop::collection::vec(prop::sample::select(vec![0x0B, 0x1C, 0x0D, b'a', b' ']), 0..60),
            split in 1usize..7,
        ) {
            let whole = deframed(std::iter::once(bytes.as_slice()), 8);
            prop_assert_eq!(deframed(bytes.chunks(split), 8), whole);
        }
    }
}
