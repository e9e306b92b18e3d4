//! Audit messages as syslog sends them.
//!
//! Spec: RFC 5424, RFC 5425 4.3, ITI TF-2 3.20.4.1.2

use jiff::Timestamp;

/// Facility 10 (security), severity 5 (notice).
const PRIORITY: u8 = 85;
const MESSAGE_ID: &str = "IHE+RFC-3881";

/// Writes a message; `host` is this machine, `xml` what is told.
pub fn message(at: Timestamp, host: &str, xml: &str) -> Vec<u8> {
    let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if host.is_empty() { "-" } else { &host };
    let process = std::process::id();
    let at = at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("<{PRIORITY}>1 {at} {host} lanterna {process} {MESSAGE_ID} - \u{feff}{xml}").into_bytes()
}

/// Puts the length of a message before it, as a stream needs.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = format!("{} ", message.len()).into_bytes();
    framed.extend_from_slice(message);
    framed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_header_and_length() {
        let at: Timestamp = "2026-01-02T03:04:05.678Z".parse().expect("a time");
        let text = String::from_utf8(message(at, "genova 1\n", "<a/>")).expect("text");
        let process = std::process::id();
        assert_eq!(
            text,
            format!("<85>1 2026-01-02T03:04:05.678Z genova1 lanterna {process} IHE+RFC-3881 - \u{feff}<a/>")
        );
        assert_eq!(framed(b"abc"), b"3 abc");
        assert!(message(at, "", "").starts_with(b"<85>1 2026-01-02T03:04:05.678Z - lanterna"));
    }
}
