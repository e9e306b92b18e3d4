//! Consistent Time (ITI-1): by how much the clock of this machine is off. It is
//! set by the machine's own service; this server asks whether that works.
//!
//! Spec: ITI TF-2 3.1, RFC 4330 section 10

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ihe_adapters::wire::sntp::{PACKET_BYTES, PORT, Question, Reading, Unfit};
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{UdpSocket, lookup_host};

use crate::config::ConfigError;
use crate::metrics::{Number, Numbers};

/// By how many seconds the clock may be off before operators are told: ITI-1
/// wants a second.
const OFF_MAX_SECONDS: f64 = 1.0;
/// How long one waits for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How often servers are asked where nothing is set, and how often they may be at most.
const EVERY_SECONDS: u64 = 256;
const EVERY_SECONDS_MIN: u64 = 15;
/// How many times a server is left out at most that wants to be asked less.
const PAUSE_MAX: u32 = 64;

/// The section `[time]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeFile {
    /// Servers that know the time: `host` or `host:port`.
    pub servers: Vec<String>,
    /// How often they are asked, in seconds.
    pub every_seconds: Option<u64>,
}

/// Asks by how much the clock of this machine is off.
#[derive(Debug)]
pub struct ClockWatch {
    servers: Vec<(String, u16)>,
    every: Duration,
    measured: Mutex<Option<Measured>>,
}

/// What was asked last.
#[derive(Debug, Clone, PartialEq)]
struct Measured {
    at: Timestamp,
    /// The median of what servers said; `None` when none did.
    offset_seconds: Option<f64>,
    answers: Vec<Result<Reading, String>>,
}

/// What happened to a server: how often it is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Pause {
    left: u32,
    next: u32,
    for_good: bool,
}

impl ClockWatch {
    /// Makes one of the settings; `None` without servers.
    ///
    /// # Errors
    /// When a server is none, or would be asked too often.
    pub fn of(file: &TimeFile) -> Result<Option<ClockWatch>, ConfigError> {
        let every = file.every_seconds.unwrap_or(EVERY_SECONDS);
        if every < EVERY_SECONDS_MIN {
            return Err(ConfigError::Time(format!("`every_seconds` is {EVERY_SECONDS_MIN} or more")));
        }
        let server = |text: &String| {
            server(text)
                .ok_or_else(|| ConfigError::Time(format!("`{text}` is no server such as ntp.example:123")))
        };
        let servers = file.servers.iter().map(server).collect::<Result<Vec<_>, _>>()?;
        let watch = ClockWatch { servers, every: Duration::from_secs(every), measured: Mutex::default() };
        Ok((!watch.servers.is_empty()).then_some(watch))
    }

    /// Asks for as long as it is let.
    pub async fn keep_asking(&self) {
        let mut pauses = vec![Pause::default(); self.servers.len()];
        loop {
            self.measure(&mut pauses).await;
            tokio::time::sleep(self.every).await;
        }
    }

    async fn measure(&self, pauses: &mut [Pause]) {
        let asked = self.servers.iter().zip(pauses.iter_mut()).map(|(server, pause)| async move {
            if !pause.asks() {
                return Err("it does not want to be asked".to_owned());
            }
            let answer = ask(server).await;
            pause.heed(&answer);
            answer.map_err(|unanswered| unanswered.to_string())
        });
        let answers = futures_util::future::join_all(asked).await;
        let mut offsets: Vec<f64> = answers.iter().flatten().map(|reading| reading.offset_seconds).collect();
        let offset_seconds = median(&mut offsets);
        match offset_seconds {
            Some(offset) if offset.abs() > OFF_MAX_SECONDS => {
                tracing::warn!(offset_seconds = offset, "the clock of this machine is off");
            }
            Some(_) => {}
            None => tracing::warn!("no time server says by how much the clock of this machine is off"),
        }
        let measured = Measured { at: Timestamp::now(), offset_seconds, answers };
        *self.measured.lock().unwrap_or_else(PoisonError::into_inner) = Some(measured);
    }

    fn measured(&self) -> Option<Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says for operators what was measured, when and by whom.
    pub fn told(&self) -> Value {
        let Some(measured) = self.measured() else { return json!({ "measured": null }) };
        let milliseconds = |seconds: f64| (seconds * 1e6).round() / 1e3;
        let servers = self.servers.iter().zip(&measured.answers).map(|((host, port), answer)| {
            let server = format!("{host}:{port}");
            match answer {
                Ok(reading) => json!({
                    "server": server,
                    "offset_ms": milliseconds(reading.offset_seconds),
                    "delay_ms": milliseconds(reading.delay_seconds),
                    "stratum": reading.stratum,
                }),
                Err(why) => json!({ "server": server, "problem": why }),
            }
        });
        json!({
            "measured": measured.at.to_string(),
            "offset_ms": measured.offset_seconds.map(milliseconds),
            "servers": servers.collect::<Vec<Value>>(),
        })
    }
}

impl Numbers for ClockWatch {
    fn numbers(&self) -> Vec<Number> {
        let offset = self.measured().and_then(|measured| measured.offset_seconds);
        let number = |value| Number { name: "lanterna_clock_offset_seconds", kind: "gauge", value };
        offset.map(number).into_iter().collect()
    }
}

impl Pause {
    /// Tells whether the server is asked now.
    fn asks(&mut self) -> bool {
        let asks = self.left == 0 && !self.for_good;
        self.left = self.left.saturating_sub(1);
        asks
    }

    /// Heeds what a server wants.
    fn heed(&mut self, answer: &Result<Reading, Unanswered>) {
        match answer {
            Err(Unanswered::Unfit(Unfit::Refused(code))) if code == "DENY" || code == "RSTR" => {
                self.for_good = true
            }
            Err(Unanswered::Unfit(Unfit::Refused(_))) => {
                self.next = (self.next * 2).clamp(1, PAUSE_MAX);
                self.left = self.next;
            }
            _ => self.next = 0,
        }
    }
}

/// Reads `host` or `host:port`; an address of IPv6 with a port is in brackets.
fn server(text: &str) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some((address.ip().to_string(), address.port()));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Some((text.to_owned(), PORT));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, PORT),
    };
    let is_host =
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    is_host.then(|| (host.to_owned(), port))
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("it cannot be reached: {0}")]
    Away(#[from] std::io::Error),
    #[error("it gives no answer")]
    Silent,
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

async fn ask((host, port): &(String, u16)) -> Result<Reading, Unanswered> {
    let mut refused = None;
    let asked = async {
        let address = lookup_host((host.as_str(), *port)).await?.next();
        let address = address.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound))?;
        let here: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(here).await?;
        socket.connect(address).await?;
        let mut number = [0; 8];
        SystemRandom::new().fill(&mut number).map_err(|_| std::io::Error::other("no random numbers"))?;
        let question = Question { number: u64::from_be_bytes(number) };
        let (sent, begin) = (SystemTime::now(), Instant::now());
        socket.send(&question.packet()).await?;
        let mut packet = [0; PACKET_BYTES];
        loop {
            let bytes = socket.recv(&mut packet).await?;
            let took = begin.elapsed();
            match question.answer(&packet[..bytes], sent, took) {
                // What somebody else made up does not keep the answer out.
                Err(unfit @ (Unfit::Other | Unfit::NoAnswer)) => refused = Some(unfit),
                answer => return Ok(answer?),
            }
        }
    };
    let answer = tokio::time::timeout(ANSWER_MAX, asked).await;
    answer.unwrap_or_else(|_| Err(refused.map_or(Unanswered::Silent, Unanswered::Unfit)))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        for (values, expected) in [
            (&mut [][..], None),
            (&mut [2.0], Some(2.0)),
            (&mut [4.0, 2.0], Some(3.0)),
            (&mut [9.0, -1.0, 2.0], Some(2.0)),
        ] {
            assert_eq!(median(values), expected);
        }
    }

    #[test]
    fn servers_have_a_host_and_a_port() {
        for (text, expected) in [
            ("ntp.example", Some(("ntp.example", 123))),
            ("ntp.example:1123", Some(("ntp.example", 1123))),
            ("127.0.0.1", Some(("127.0.0.1", 123))),
            ("127.0.0.1:5", Some(("127.0.0.1", 5))),
            ("::1", Some(("::1", 123))),
            ("[::1]:5", Some(("::1", 5))),
            ("", None),
            ("ntp.example:0", None),
            ("ntp.example:x", None),
            ("http://ntp.example", None),
        ] {
            assert_eq!(server(text), expected.map(|(host, port)| (host.to_owned(), port)), "{text}");
        }
        let of = |every_seconds| ClockWatch::of(&TimeFile { servers: Vec::new(), every_seconds });
        assert!(of(Some(14)).is_err() && of(Some(15)).is_ok_and(|watch| watch.is_none()));
    }

    #[test]
    fn who_does_not_want_to_be_asked_is_asked_less() {
        let refused = |code: &str| Err(Unanswered::Unfit(Unfit::Refused(code.to_owned())));
        let mut pause = Pause::default();
        let mut asked = Vec::new();
        for round in 0..12 {
            if pause.asks() {
                asked.push(round);
                pause.heed(&refused("RATE"));
            }
        }
        assert_eq!(asked, [0, 2, 5, 10]);
        let mut pause = Pause::default();
        assert!(pause.asks());
        pause.heed(&Ok(Reading { offset_seconds: 0.0, delay_seconds: 0.0, stratum: 1 }));
        assert!(pause.asks());
        pause.heed(&refused("DENY"));
        assert!((0..100).all(|_| !pause.asks()));
    }
}
