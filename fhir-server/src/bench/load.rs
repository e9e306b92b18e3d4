//! Load: many connections, each sending its next request when the last is
//! answered, for a time. One thread does it, so that the rest of the machine
//! is the server's.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::client::{Answer, Connection, Wire};
use super::error::BenchError;

/// How often each side of a comparison is measured; the median counts.
const ROUNDS: usize = 3;
/// How long each side runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(300);
/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(120);
/// What is said when it takes longer.
const NO_ANSWER: &str = "none came in two minutes";

/// What a connection asks.
pub(super) trait Exchange {
    /// Returns the next request.
    fn request(&mut self) -> &[u8];

    /// Takes the answer; returns how many things were done by it.
    ///
    /// # Errors
    /// When the answer is not the right one.
    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError>;
}

/// Makes what each connection asks, by its number.
pub(super) type Exchanges<'x> = dyn Fn(usize) -> Box<dyn Exchange> + 'x;

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Round {
    /// Things done a second.
    pub(super) rate: f64,
    /// The median time of an answer, in milliseconds.
    pub(super) p50_ms: f64,
    /// The time in which 99 of a hundred came, in milliseconds.
    pub(super) p99_ms: f64,
}

impl Round {
    /// Makes one of what was done, and how long each answer took, in microseconds.
    pub(super) fn of(units: u64, took: Duration, mut micros: Vec<u32>) -> Round {
        micros.sort_unstable();
        let at = |part: f64| {
            let place = (micros.len() as f64 * part) as usize;
            f64::from(micros.get(place).or(micros.last()).copied().unwrap_or(0)) / 1000.0
        };
        Round { rate: units as f64 / took.as_secs_f64().max(1e-9), p50_ms: at(0.5), p99_ms: at(0.99) }
    }

    /// Returns, for each number, the median of rounds.
    pub(super) fn median(rounds: &[Round]) -> Round {
        let of = |number: fn(&Round) -> f64| median(rounds.iter().map(number).collect());
        Round { rate: of(|r| r.rate), p50_ms: of(|r| r.p50_ms), p99_ms: of(|r| r.p99_ms) }
    }
}

/// Returns the median of numbers; 0 of none.
pub(super) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(0.0)
}

/// Sends requests by HTTP over `connections` connections for a time.
///
/// # Errors
/// When a connection breaks or an answer is wrong; the first such failure.
pub(super) fn run(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    exchanges: &Exchanges<'_>,
) -> Result<Round, BenchError> {
    run_by(Wire::Http, address, connections, time, exchanges)
}

/// As [`run`], by another wire.
///
/// # Errors
/// As [`run`].
pub(super) fn run_by(
    wire: Wire,
    address: SocketAddr,
    connections: usize,
    time: Duration,
    exchanges: &Exchanges<'_>,
) -> Result<Round, BenchError> {
    let runtime = runtime()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let mut open = Vec::with_capacity(connections);
        for number in 0..connections {
            open.push((Connection::open(address, wire).await?, exchanges(number)));
        }
        let begin = Instant::now();
        let ends = Rc::new(Cell::new(begin + time));
        let tasks: Vec<_> = open
            .into_iter()
            .map(|(connection, exchange)| {
                tokio::task::spawn_local(ask(connection, exchange, Rc::clone(&ends)))
            })
            .collect();
        let all = tokio::time::timeout(time + ANSWER_MAX, async {
            let (mut units, mut micros) = (0, Vec::new());
            for task in tasks {
                let ended = task.await.map_err(|_| BenchError::Response("a connection's task ended"))?;
                let (done, took) = ended?;
                units += done;
                micros.extend(took);
            }
            Ok(Round::of(units, begin.elapsed(), micros))
        });
        all.await.unwrap_or(Err(BenchError::Response(NO_ANSWER)))
    })
}

/// Asks until the time is over. When that fails, it is over for all.
async fn ask(
    mut connection: Connection,
    mut exchange: Box<dyn Exchange>,
    ends: Rc<Cell<Instant>>,
) -> Result<(u64, Vec<u32>), BenchError> {
    let (mut units, mut micros) = (0, Vec::new());
    let mut begin = Instant::now();
    while begin < ends.get() {
        let answer = connection.send(exchange.request()).await;
        match answer.and_then(|answer| exchange.answered(&answer)) {
            Ok(done) => units += done,
            Err(error) => {
                ends.set(begin);
                return Err(error);
            }
        }
        let end = Instant::now();
        micros.push(u32::try_from((end - begin).as_micros()).unwrap_or(u32::MAX));
        begin = end;
    }
    Ok((units, micros))
}

/// Sends requests one after the other and gives each answer to `then`.
///
/// # Errors
/// When the connection breaks, and those of `then`.
pub(super) fn each(
    address: SocketAddr,
    requests: &[Vec<u8>],
    mut then: impl FnMut(usize, &Answer<'_>) -> Result<(), BenchError>,
) -> Result<(), BenchError> {
    runtime()?.block_on(async {
        let mut connection = Connection::open(address, Wire::Http).await?;
        for (number, request) in requests.iter().enumerate() {
            let answer = tokio::time::timeout(ANSWER_MAX, connection.send(request)).await;
            then(number, &answer.unwrap_or(Err(BenchError::Response(NO_ANSWER)))?)?;
        }
        Ok(())
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, BenchError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(BenchError::io("starting"))
}

/// Does something in this thread again and again for a time.
///
/// # Errors
/// Those of `work`, which returns how many things it did.
pub(super) fn repeat(
    time: Duration,
    mut work: impl FnMut() -> Result<u64, BenchError>,
) -> Result<Round, BenchError> {
    let (begin, mut units, mut micros) = (Instant::now(), 0, Vec::new());
    while begin.elapsed() < time || micros.is_empty() {
        let started = Instant::now();
        units += work()?;
        micros.push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(Round::of(units, begin.elapsed(), micros))
}

/// Measures two sides by turns, after a short run of each to warm up, so that
/// what else the machine does falls on both; returns the medians.
///
/// # Errors
/// Those of the sides.
pub(super) fn compare(
    time: Duration,
    mut ours: impl FnMut(Duration) -> Result<Round, BenchError>,
    mut baseline: impl FnMut(Duration) -> Result<Round, BenchError>,
) -> Result<(Round, Round), BenchError> {
    let sides: &mut [&mut dyn FnMut(Duration) -> Result<Round, BenchError>] = &mut [&mut ours, &mut baseline];
    match by_turns(time, sides)?.as_slice() {
        [ours, baseline] => Ok((*ours, *baseline)),
        _ => Err(BenchError::Response("a side was not measured")),
    }
}

/// Measures any number of sides as [`compare`] does.
///
/// # Errors
/// Those of the sides.
pub(super) fn by_turns(
    time: Duration,
    sides: &mut [impl FnMut(Duration) -> Result<Round, BenchError>],
) -> Result<Vec<Round>, BenchError> {
    let part = time / ROUNDS as u32;
    for side in &mut *sides {
        side(WARM_UP.min(part))?;
    }
    let mut rounds = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for (side, rounds) in sides.iter_mut().zip(&mut rounds) {
            rounds.push(side(part)?);
        }
    }
    Ok(rounds.iter().map(|rounds| Round::median(rounds)).collect())
}

/// Measures one side as [`compare`] does.
///
/// # Errors
/// Those of the side.
pub(super) fn measure(
    time: Duration,
    mut ours: impl FnMut(Duration) -> Result<Round, BenchError>,
) -> Result<Round, BenchError> {
    let part = time / ROUNDS as u32;
    ours(WARM_UP.min(part))?;
    let rounds = (0..ROUNDS).map(|_| ours(part)).collect::<Result<Vec<_>, _>>()?;
    Ok(Round::median(&rounds))
}

/// Asks the same requests over and over, each connection from another place.
pub(super) struct Cycle {
    requests: Rc<[Vec<u8>]>,
    at: usize,
    status: u16,
    /// What the answer must begin with, if anything.
    beginning: &'static [u8],
}

impl Cycle {
    /// Makes what a connection asks: all of `requests`, answered with `status`.
    pub(super) fn new(requests: &Rc<[Vec<u8>]>, connection: usize, status: u16) -> Cycle {
        let at = super::data::mix(connection as u64) as usize % requests.len().max(1);
        Cycle { requests: Rc::clone(requests), at, status, beginning: b"" }
    }

    /// Makes the answers be checked to begin with this.
    pub(super) fn beginning(self, beginning: &'static [u8]) -> Cycle {
        Cycle { beginning, ..self }
    }
}

impl Exchange for Cycle {
    fn request(&mut self) -> &[u8] {
        self.at = (self.at + 1) % self.requests.len().max(1);
        self.requests.get(self.at).map_or(&[], Vec::as_slice)
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        answer.expect(self.status)?;
        if !answer.body.starts_with(self.beginning) {
            let found = answer.body.get(..self.beginning.len() + 8).unwrap_or(answer.body);
            return Err(BenchError::Wrong(String::from_utf8_lossy(found).into_owned()));
        }
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::client::get;
    use crate::bench::still::{Page, StillServer};

    #[test]
    fn rounds_tell_medians() {
        let round = Round::of(300, Duration::from_secs(2), (1..=100).map(|n| n * 1000).rev().collect());
        assert_eq!(round, Round { rate: 150.0, p50_ms: 51.0, p99_ms: 100.0 });
        assert_eq!(Round::of(0, Duration::from_secs(1), vec![]).p50_ms, 0.0);
        for (numbers, expected) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 5.0], 5.0), (vec![1.0, 2.0], 2.0)]
        {
            assert_eq!(median(numbers), expected);
        }
    }

    #[test]
    fn load_on_a_server_that_answers() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let nobody: Rc<[Vec<u8>]> = vec![get(address, "/a")].into();
        let time = Duration::from_millis(50);
        let failed = run(address, 1, time, &|n| Box::new(Cycle::new(&nobody, n, 200)));
        assert!(matches!(failed, Err(BenchError::Io { .. })), "{failed:?}");

        let server =
            StillServer::start([("/a".to_owned(), page("type: x", b"{\"a\":1}"))].into()).expect("started");
        let there: Rc<[Vec<u8>]> = vec![get(server.address, "/a")].into();
        let both: Rc<[Vec<u8>]> = vec![get(server.address, "/a"), get(server.address, "/b")].into();
        each(server.address, &there, |number, answer| {
            assert_eq!((number, answer.status, answer.body), (0, 200, b"{\"a\":1}".as_slice()));
            assert_eq!(answer.header("type"), Some("x"));
            answer.expect(200)
        })
        .expect("answered");
        let run = |exchanges: &Exchanges<'_>| run(server.address, 4, time, exchanges);
        let round = run(&|n| Box::new(Cycle::new(&there, n, 200).beginning(b"{\"a"))).expect("measured");
        assert!(round.rate > 10.0 && round.p50_ms <= round.p99_ms, "{round:?}");
        let failed = run(&|n| Box::new(Cycle::new(&both, n, 200)));
        assert!(matches!(failed, Err(BenchError::Status { status: 404, .. })), "{failed:?}");
        let failed = run(&|n| Box::new(Cycle::new(&there, n, 200).beginning(b"{\"b")));
        assert!(matches!(failed, Err(BenchError::Wrong(_))), "{failed:?}");
    }

    fn page(header: &str, body: &[u8]) -> Page {
        let head = format!("HTTP/1.1 200 OK\r\n{header}\r\ndate: then\r\n\r\n");
        Page::of(&Answer { status: 200, head: head.as_bytes(), body })
    }

    #[test]
    fn sides_are_measured_by_turns() {
        let turns = std::cell::RefCell::new(String::new());
        let side = |name, rate| {
            let turns = &turns;
            move |_| {
                turns.borrow_mut().push(name);
                Ok(Round { rate, p50_ms: 1.0, p99_ms: 2.0 })
            }
        };
        let (ours, baseline) =
            compare(Duration::from_secs(3), side('o', 2.0), side('b', 4.0)).expect("measured");
        assert_eq!((ours.rate, baseline.rate), (2.0, 4.0));
        assert_eq!(*turns.borrow(), "obobobob");
        let mut calls = 0;
        let round = repeat(Duration::ZERO, || {
            calls += 1;
            Ok(7)
        });
        assert!(round.is_ok_and(|r| r.rate > 0.0) && calls == 1);
    }
}
