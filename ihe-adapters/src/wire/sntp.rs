//! SNTP: one question to a server that knows the time, and what its answer says.
//!
//! The question holds a number that nobody can guess instead of the time here: an
//! answer that does not repeat it is to something else. The times are 64 bits of
//! which the upper 32 are seconds; they begin anew in 2036, and only differences of
//! less than 68 years are taken of them.
//!
//! Spec: RFC 5905 sections 6, 7.3 and 7.4, RFC 4330 section 5

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes of a packet without extensions.
pub const PACKET_BYTES: usize = 48;
/// The port of a server.
pub const PORT: u16 = 123;

/// No leap second, version 4, a client.
const QUESTION: u8 = 0b00_100_011;
const SERVER: u8 = 4;
/// Seconds from 1900 to 1970.
const TO_1970: u64 = 2_208_988_800;
/// How far a server may be from who knows the time itself.
const DISTANCE_MAX: Duration = Duration::from_millis(1_500);
/// By how many seconds a server's times may be coarse.
const TOLERANCE_SECONDS: f64 = 0.1;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// What the answer has to repeat: not to be guessed.
    pub number: u64,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// By how many seconds the clock of the server is ahead of the one here.
    pub offset_seconds: f64,
    /// How many seconds question and answer were on the way; by half of it the
    /// offset may be wrong.
    pub delay_seconds: f64,
    /// How many servers it is from one that knows the time itself, which has 1.
    pub stratum: u8,
}

/// Why an answer says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is no answer of a server.
    #[error("what came is no answer of a time server")]
    NoAnswer,
    /// It is to another question.
    #[error("what came is the answer to another question")]
    Other,
    /// The server does not want to be asked: with its reason, such as RATE or DENY.
    #[error("the server does not want to be asked: {0}")]
    Refused(String),
    /// The server does not know the time.
    #[error("the server does not know the time itself")]
    NotSynchronized,
    /// Its times cannot be.
    #[error("the times of the answer cannot be")]
    Impossible,
}

impl Question {
    /// Writes the packet.
    pub fn packet(&self) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = QUESTION;
        packet[40..].copy_from_slice(&self.number.to_be_bytes());
        packet
    }

    /// Reads the answer. `sent`: when the question was sent, by the clock here;
    /// `took`: how long it was until the answer came.
    ///
    /// # Errors
    /// When it is none, or says nothing.
    pub fn answer(&self, packet: &[u8], sent: SystemTime, took: Duration) -> Result<Reading, Unfit> {
        let Some(packet) = packet.first_chunk::<PACKET_BYTES>() else { return Err(Unfit::NoAnswer) };
        let (leap, version, mode) = (packet[0] >> 6, packet[0] >> 3 & 0b111, packet[0] & 0b111);
        if mode != SERVER || !(1..=4).contains(&version) {
            return Err(Unfit::NoAnswer);
        }
        let [originated, received, transmitted] = [24, 32, 40].map(|at| number(packet, at));
        if originated != self.number {
            return Err(Unfit::Other);
        }
        let stratum = packet[1];
        if stratum == 0 {
            let code = packet[12..16].iter().filter(|byte| byte.is_ascii_alphanumeric());
            return Err(Unfit::Refused(code.map(|&byte| char::from(byte)).collect()));
        }
        // Half of the way to the time itself, and by how much that may be wrong.
        let distance = short(packet, 4) / 2 + short(packet, 8);
        if leap == 3 || stratum > 15 || distance > DISTANCE_MAX {
            return Err(Unfit::NotSynchronized);
        }
        let there = seconds_between(received, transmitted);
        // It cannot have taken longer there than until the answer came.
        let longest = took.as_secs_f64() + TOLERANCE_SECONDS;
        if received == 0 || transmitted == 0 || !(0.0..=longest).contains(&there) {
            return Err(Unfit::Impossible);
        }
        let sent = time(sent).ok_or(Unfit::Impossible)?;
        let to_server = seconds_between(sent, received);
        let from_server = seconds_between(sent, transmitted) - took.as_secs_f64();
        Ok(Reading {
            offset_seconds: (to_server + from_server) / 2.0,
            delay_seconds: (took.as_secs_f64() - there).max(0.0),
            stratum,
        })
    }
}

/// Writes a time in 64 bits.
pub fn time(at: SystemTime) -> Option<u64> {
    let since = at.duration_since(UNIX_EPOCH).ok()?;
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    Some((since.as_secs().wrapping_add(TO_1970) << 32) | fraction)
}

fn number(packet: &[u8; PACKET_BYTES], at: usize) -> u64 {
    packet[at..at + 8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Reads a span of 32 bits, of which the upper 16 are seconds.
fn short(packet: &[u8; PACKET_BYTES], at: usize) -> Duration {
    let bits = packet[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
    Duration::from_nanos((bits * 1_000_000_000) >> 16)
}

/// Returns the seconds from a time to another, which may be before it.
fn seconds_between(from: u64, to: u64) -> f64 {
    to.wrapping_sub(from).cast_signed() as f64 / (1_u64 << 32) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question = Question { number: 0x0102_0304_0506_0708 };

    /// The answer of a server that is ahead by so many seconds, and took 10 ms.
    fn answer(sent: SystemTime, ahead: f64) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 0b00_100_100;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&QUESTION.number.to_be_bytes());
        let at = |milliseconds: f64| {
            let shift = ((ahead + milliseconds / 1000.0) * (1_u64 << 32) as f64) as i64;
            time(sent).expect("a time").wrapping_add(shift.cast_unsigned()).to_be_bytes()
        };
        packet[32..40].copy_from_slice(&at(20.0));
        packet[40..].copy_from_slice(&at(30.0));
        packet
    }

    #[test]
    fn the_offset_is_told_also_across_eras() {
        let took = Duration::from_millis(50);
        // In 2026, in the second before the times begin anew, and after.
        for second in [1_795_000_000, 2_085_978_495, 2_085_978_496, 4_000_000_000] {
            let sent = UNIX_EPOCH + Duration::from_millis(second * 1000 + 999);
            for ahead in [0.0, 5.0, -5.0, 0.25, 86_400.0] {
                let reading = QUESTION.answer(&answer(sent, ahead), sent, took).expect("read");
                assert!((reading.offset_seconds - ahead).abs() < 1e-6, "{second} {ahead}: {reading:?}");
                assert!((reading.delay_seconds - 0.04).abs() < 1e-6, "{reading:?}");
                assert_eq!(reading.stratum, 2);
            }
        }
    }

    #[test]
    fn what_says_nothing_is_not_taken() {
        let sent = UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let changed = |change: &dyn Fn(&mut [u8; PACKET_BYTES])| {
            let mut packet = answer(sent, 0.0);
            change(&mut packet);
            QUESTION.answer(&packet, sent, Duration::from_millis(50))
        };
        assert!(changed(&|_| ()).is_ok());
        assert_eq!(changed(&|p| p[24] ^= 1), Err(Unfit::Other));
        // Another client, a symmetric peer, a version that is none.
        for first in [0b00_100_011, 0b00_100_001, 0b00_000_100, 0b00_101_100] {
            assert_eq!(changed(&|p| p[0] = first), Err(Unfit::NoAnswer));
        }
        assert_eq!(changed(&|p| p[0] |= 0b11_000_000), Err(Unfit::NotSynchronized));
        assert_eq!(changed(&|p| p[1] = 16), Err(Unfit::NotSynchronized));
        // Two seconds by which it may be wrong itself.
        assert_eq!(changed(&|p| p[9] = 2), Err(Unfit::NotSynchronized));
        let refused = changed(&|p| {
            p[1] = 0;
            p[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(refused, Err(Unfit::Refused("RATE".to_owned())));
        assert_eq!(changed(&|p| p[40..].fill(0)), Err(Unfit::Impossible));
        // Received long before it was answered, and after.
        assert_eq!(changed(&|p| p[32] ^= 0x40), Err(Unfit::Impossible));
        assert_eq!(changed(&|p| p[32] ^= 0x10), Err(Unfit::Impossible));
        assert_eq!(QUESTION.answer(&[0; 47], sent, Duration::ZERO), Err(Unfit::NoAnswer));
        assert_eq!(QUESTION.packet()[40..], QUESTION.number.to_be_bytes());
    }
}
