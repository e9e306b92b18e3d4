//! How the server ends: what runs is answered, and then it is gone.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fhir_server::limits::Limits;
use fhir_server::rest::server::serve;

use crate::client::{connect, reply, request, send};
use crate::recorder::{Running, served, settings};

#[test]
fn running_requests_are_answered_and_idle_connections_closed() {
    let mut server = Running::start(Limits { drain_seconds_max: 20, ..Limits::default() });
    let address = server.address;
    let mut idle = connect(address);
    idle.write_all(&request("GET", "/fhir/Patient/1", &[], b"")).expect("sent");
    assert_eq!(reply(&mut idle, "GET").map(|r| r.status), Some(200));
    let slow = std::thread::spawn(move || send(address, "GET", "/fhir/Patient/slow", &[], b""));
    std::thread::sleep(Duration::from_millis(400));
    let begin = Instant::now();
    server.ask_to_end();
    assert!(server.join().is_ok());
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "idle connections held the end: {:?}",
        begin.elapsed()
    );
    assert_eq!(slow.join().expect("no panic").status, 200, "what ran was answered");
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
}

#[test]
fn an_address_in_use_is_an_error() {
    let first = Running::start(Limits::default());
    let served = served(&first.recorder, &first.part);
    let settings = settings(first.address, Limits::default());
    let second = serve(served, settings, std::future::pending(), |_| panic!("it started"));
    let error = actix_web::rt::System::new().block_on(second).expect_err("in use");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}
