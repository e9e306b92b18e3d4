//! By how much the clock is off, as time servers say it (ITI-1): one that is
//! ahead, one that lies, one that says nothing.

use std::net::UdpSocket;
use std::time::{Duration, Instant, SystemTime};

use ihe_adapters::wire::sntp;
use serde_json::Value;
use tests::Server;

/// How a time server answers.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// It is ahead by so many seconds.
    Ahead(u64),
    /// It answers another question, and is ahead by an hour.
    Lies,
    /// It says nothing.
    Silent,
    /// It does not know the time.
    Lost,
    /// It does not want to be asked.
    Refuses,
}

/// Starts a time server, which lasts as long as the test.
fn time_server(manner: Manner) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        let mut question = [0; 128];
        while let Ok((bytes, from)) = socket.recv_from(&mut question) {
            if bytes < sntp::PACKET_BYTES {
                continue;
            }
            let ahead = match manner {
                Manner::Ahead(seconds) => seconds,
                Manner::Lies => 3_600,
                Manner::Silent => continue,
                Manner::Lost | Manner::Refuses => 0,
            };
            let now = sntp::time(SystemTime::now() + Duration::from_secs(ahead)).expect("a time");
            let mut answer = [0; sntp::PACKET_BYTES];
            answer[0] = 0b00_100_100;
            answer[1] = 1;
            answer[24..32].copy_from_slice(&question[40..48]);
            answer[32..40].copy_from_slice(&now.to_be_bytes());
            answer[40..48].copy_from_slice(&now.to_be_bytes());
            match manner {
                Manner::Lies => answer[24] ^= 1,
                Manner::Lost => answer[0] |= 0b11_000_000,
                Manner::Refuses => {
                    answer[1] = 0;
                    answer[12..16].copy_from_slice(b"DENY");
                }
                Manner::Ahead(_) | Manner::Silent => {}
            }
            let _ = socket.send_to(&answer, from);
        }
    });
    address
}

/// The page of a server that asks these, once they were asked.
fn page(servers: &[String]) -> (Value, String) {
    let data = tempfile::tempdir().expect("a folder");
    let settings = data.path().join("settings.toml");
    std::fs::write(&settings, format!("[time]\nservers = {servers:?}\n")).expect("written");
    let arguments = ["--config", &settings.display().to_string()];
    let server = Server::start_with(&data.path().join("data"), &arguments, &[]);
    let client = server.client();
    let begin = Instant::now();
    loop {
        let page = client.get(&format!("{}/health", server.origin()));
        assert_eq!((page.status, page.json()["ready"].clone()), (200, true.into()));
        if page.json()["clock"]["measured"].is_string() {
            let metrics = client.get(&format!("{}/metrics", server.origin())).body;
            return (page.json(), String::from_utf8(metrics).expect("text"));
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing was measured");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Tells whether a server was found ahead by so many seconds: as exactly as the
/// way there and back lets one know.
fn is_ahead(server: &Value, seconds: u32) -> bool {
    let number = |name: &str| server[name].as_f64().expect("a number");
    (number("offset_ms") - f64::from(seconds) * 1e3).abs() <= number("delay_ms") / 2.0 + 1.0
}

#[test]
fn a_clock_that_is_off_is_told() {
    let server = time_server(Manner::Ahead(5));
    let (page, metrics) = page(std::slice::from_ref(&server));
    let offset = page["clock"]["offset_ms"].as_f64().expect("an offset");
    assert!(is_ahead(&page["clock"]["servers"][0], 5), "{page}");
    assert_eq!(page["clock"]["servers"][0]["server"], server);
    assert_eq!(page["clock"]["servers"][0]["stratum"], 1);
    assert!(page["version"].is_string() && page["uptime_seconds"].is_u64(), "{page}");
    let told = metrics.lines().find_map(|line| line.strip_prefix("lanterna_clock_offset_seconds "));
    let told: f64 = told.and_then(|told| told.parse().ok()).expect("a number");
    assert!((told * 1e3 - offset).abs() < 0.01, "{told} {offset}");
}

#[test]
fn who_lies_or_says_nothing_is_not_believed() {
    let manners = [
        Manner::Ahead(2),
        Manner::Lies,
        Manner::Silent,
        Manner::Lost,
        Manner::Refuses,
        Manner::Ahead(3),
        Manner::Ahead(3_600),
    ];
    let servers: Vec<String> = manners.iter().map(|manner| time_server(*manner)).collect();
    let (page, _) = page(&servers);
    // Of the three that can be believed it is the one in the middle.
    assert_eq!(page["clock"]["offset_ms"], page["clock"]["servers"][5]["offset_ms"], "{page}");
    assert!(is_ahead(&page["clock"]["servers"][5], 3), "{page}");
    for (at, problem) in [(1, "another question"), (2, "no answer"), (3, "does not know"), (4, "DENY")] {
        let told = page["clock"]["servers"][at]["problem"].as_str().unwrap_or_default();
        assert!(told.contains(problem), "{problem}: {page}");
    }
}

#[test]
fn nothing_is_measured_by_nobody() {
    let (page, metrics) = page(&[time_server(Manner::Lies)]);
    assert!(page["clock"]["offset_ms"].is_null(), "{page}");
    assert!(!metrics.contains("lanterna_clock_offset_seconds"), "{metrics}");
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let page = server.client().get(&format!("{}/health", server.origin())).json();
    assert!(page["clock"].is_null() && page["ready"] == true, "{page}");
}
