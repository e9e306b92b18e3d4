//! Somebody who is sent messages: answers to another address, notifications.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tests::http::Request;

/// What was sent: path, media type, body.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) path: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

impl Sent {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A server on loopback that keeps what it is sent, for as long as the test runs.
pub(super) struct Listener {
    pub(super) origin: String,
    sent: Arc<Mutex<Vec<Sent>>>,
    status: Arc<AtomicU16>,
}

impl Listener {
    pub(super) fn start() -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (sent, status) = (Arc::<Mutex<Vec<Sent>>>::default(), Arc::new(AtomicU16::new(202)));
        let (keep, answer) = (Arc::clone(&sent), Arc::clone(&status));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (keep, answer) = (Arc::clone(&keep), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let _ = serve(stream, &keep, &answer);
                });
            }
        });
        Listener { origin, sent, status }
    }

    /// Says with which status it answers from now on; what is not answered by 2xx is not kept.
    pub(super) fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Returns what was sent, once it is so much, or the time is over.
    pub(super) fn wait_for(&self, count: usize) -> Vec<Sent> {
        let begin = Instant::now();
        loop {
            let sent = self.sent.lock().expect("no panic").clone();
            if sent.len() >= count || begin.elapsed() > Duration::from_secs(30) {
                return sent;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn serve(stream: TcpStream, keep: &Mutex<Vec<Sent>>, answer: &AtomicU16) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        let status = answer.load(Ordering::Relaxed);
        if (200..300).contains(&status) {
            let content_type = request.header("content-type").to_owned();
            keep.lock().expect("no panic").push(Sent {
                path: request.path,
                content_type,
                body: request.body,
            });
        }
        write!(writer, "HTTP/1.1 {status} As told\r\nContent-Length: 0\r\n\r\n")?;
    }
    Ok(())
}
