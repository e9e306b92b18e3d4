//! MLLP: how HL7 v2 messages are framed on a byte stream.
//!
//! Spec: HL7 v2 Implementation Guide, Minimal Lower Layer Protocol, release 1.

/// Begins a frame.
const START_BLOCK: u8 = 0x0B;
/// Ends a frame, together with the carriage return behind it.
const END_BLOCK: u8 = 0x1C;
const CARRIAGE_RETURN: u8 = 0x0D;

/// What the bytes so far hold.
#[derive(Debug, PartialEq, Eq)]
pub enum Framed {
    /// A whole message, without its frame.
    Message(Vec<u8>),
    /// Bytes that belong to no frame, thrown away up to the next one.
    Garbage(usize),
    /// Not enough yet.
    Incomplete,
}

/// The frame was longer than allowed; the connection cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an MLLP frame is longer than {0} bytes")]
pub struct FrameTooLong(pub usize);

/// Cuts a byte stream into messages.
#[derive(Debug)]
pub struct Deframer {
    buffer: Vec<u8>,
    /// Up to where the buffer was searched for an end.
    searched: usize,
    message_bytes_max: usize,
}

impl Deframer {
    /// Makes a deframer for messages of so many bytes at the most.
    pub fn new(message_bytes_max: usize) -> Deframer {
        Deframer { buffer: Vec::new(), searched: 0, message_bytes_max }
    }

    /// Takes bytes in as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next message out.
    ///
    /// # Errors
    /// When a frame grows past the limit.
    pub fn next_message(&mut self) -> Result<Framed, FrameTooLong> {
        let start = self.buffer.iter().position(|b| *b == START_BLOCK).unwrap_or(self.buffer.len());
        if start > 0 {
            self.buffer.drain(..start);
            self.searched = 0;
            return Ok(Framed::Garbage(start));
        }
        let from = self.searched.max(1);
        let tail = self.buffer.get(from..).unwrap_or_default();
        let end = tail.windows(2).position(|w| w == [END_BLOCK, CARRIAGE_RETURN]).map(|at| from + at);
        let Some(end) = end else {
            if self.buffer.len() > self.message_bytes_max + 3 {
                return Err(FrameTooLong(self.message_bytes_max));
            }
            self.searched = self.buffer.len().saturating_sub(1);
            return Ok(Framed::Incomplete);
        };
        if end - 1 > self.message_bytes_max {
            return Err(FrameTooLong(self.message_bytes_max));
        }
        let message = self.buffer[1..end].to_vec();
        self.buffer.drain(..end + 2);
        self.searched = 0;
        Ok(Framed::Message(message))
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

    #[test]
    fn garbage_between_frames_loses_no_message() {
        let mut deframer = Deframer::new(100);
        deframer.push(b"noise\x0bMSH|a\x1c\r\n\x0bMSH|b\x1c\r");
        let mut messages = Vec::new();
        let mut garbage = 0;
        loop {
            match deframer.next_message() {
                Ok(Framed::Message(message)) => messages.push(message),
                Ok(Framed::Garbage(bytes)) => garbage += bytes,
                _ => break,
            }
        }
        assert_eq!(messages, [b"MSH|a".to_vec(), b"MSH|b".to_vec()]);
        assert_eq!(garbage, 6);
    }

    #[test]
    fn an_endless_frame_is_refused() {
        let mut deframer = Deframer::new(10);
        deframer.push(b"\x0bMSH|0123456789");
        assert_eq!(deframer.next_message(), Err(FrameTooLong(10)));
    }

    proptest! {
        #[test]
        fn messages_survive_any_split(messages in prop::collection::vec("[ -~\r]{0,40}", 0..5), split in 1usize..7) {
            let bytes: Vec<u8> = messages.iter().flat_map(|m| frame(m.as_bytes())).collect();
            let mut deframer = Deframer::new(100);
            let mut out = Vec::new();
            for chunk in bytes.chunks(split) {
                deframer.push(chunk);
                while let Ok(Framed::Message(message)) = deframer.next_message() {
                    out.push(String::from_utf8(message).expect("text"));
                }
            }
            prop_assert_eq!(out, messages);
        }
    }
}
