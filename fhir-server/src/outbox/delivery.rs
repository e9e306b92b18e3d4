//! Sends what is queued for a destination, until it is taken or given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fhir_model::outcome::Issue;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ihe_adapters::outbox::{Destination, Failure};
use jiff::Timestamp;
use tokio::time::Instant as Moment;

use super::circuit::Circuit;
use super::lanes::Lanes;
use super::statistics::{OutboxStatistics, Queue};
use crate::feed::{self, Pause, Waker};
use crate::storage::{QueuedMessage, Store, Waiting, queue_lengths, queued_message, waiting_messages};

/// It is looked at least so often whether there is something, and told how much waits.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So many messages are held in memory, by their places: enough that a patient who waits does
/// not hold the others up.
const HELD_MAX: usize = 20_000;
/// When the data cannot be read or written.
const RETRY: Pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// How much is kept of why a message failed, in characters.
const WHY_MAX: usize = 1000;

/// How patient the outbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a message is sent that the destination does not answer, while it answers others.
    pub tries_max: u32,
    /// How many messages are under way to a destination at once.
    pub at_once: usize,
    /// For how long a message waits after a failure, and a destination that is away.
    pub pause: Pause,
}

impl Default for Patience {
    fn default() -> Patience {
        let pause = Pause { first: Duration::from_secs(1), longest: Duration::from_secs(300) };
        Patience { tries_max: 12, at_once: 8, pause }
    }
}

/// Sends to a destination.
pub struct Delivery {
    /// Has the queue.
    pub store: Arc<Store>,
    /// To whom.
    pub destination: Arc<dyn Destination>,
    /// How patient it is.
    pub patience: Patience,
    /// Wakes it.
    pub queued: Waker,
    /// What it does.
    pub statistics: Arc<OutboxStatistics>,
}

/// What became of a message.
enum Ended {
    /// It was taken.
    Taken,
    /// It is not there any more: somebody decided so.
    Gone,
    /// It was not.
    Failed(Box<QueuedMessage>, Failure),
}

/// What sending goes by.
struct State {
    lanes: Lanes,
    circuit: Circuit,
    /// When the destination took a message last, in microseconds since 1970.
    taken_at: i64,
    /// How often in a row the first message of a lane failed, where each leads to somebody else.
    failures: HashMap<String, u32>,
}

impl Delivery {
    /// Sends what is queued, for as long as it is let.
    pub async fn keep_sending(self) {
        for failures in 1.. {
            let Err(issue) = self.send_all().await else { continue };
            let (destination, why) = (self.destination.name(), issue.diagnostics);
            tracing::warn!(destination, why, "the queue cannot be read or written; it is tried again");
            tokio::time::sleep(RETRY.jittered(failures)).await;
        }
    }

    /// As [`Delivery::keep_sending`], until the queue cannot be read or written.
    async fn send_all(&self) -> Result<(), Issue> {
        let circuit = Circuit::new(self.patience.pause);
        let mut state = State { lanes: Lanes::default(), circuit, taken_at: 0, failures: HashMap::new() };
        let mut under_way = FuturesUnordered::new();
        let mut looked = None::<Moment>;
        loop {
            self.load(&mut state.lanes).await?;
            let now = Moment::now();
            let rested = state.lanes.wake(now);
            let allowed = state.circuit.allows(self.patience.at_once, now);
            while under_way.len() < allowed
                && let Some(next) = state.lanes.take()
            {
                under_way.push(self.send(next));
            }
            if looked.is_none_or(|at| at.elapsed() > LOOK_EVERY / 2) {
                self.tell(&state).await?;
                looked = Some(now);
            }
            let next = [rested, state.circuit.probe_at().filter(|at| *at > now), Some(now + LOOK_EVERY)];
            let next = next.into_iter().flatten().min().unwrap_or(now);
            tokio::select! {
                Some((waiting, ended)) = under_way.next() => self.settle(&mut state, waiting, ended?).await?,
                () = self.queued.wait_until(next) => {}
            }
        }
    }

    /// Holds more of the queue, where there is room.
    async fn load(&self, lanes: &mut Lanes) -> Result<(), Issue> {
        if lanes.len() > HELD_MAX / 2 {
            return Ok(());
        }
        let (name, after) = (self.destination.name().to_owned(), lanes.last());
        let read =
            move |store: &Store| Ok(waiting_messages(&mut store.reader()?, &name, after, HELD_MAX / 2)?);
        lanes.add(feed::reading(&self.store, read).await?);
        Ok(())
    }

    /// Sends a message. That it was taken is noted before anything else of its lane is sent.
    async fn send(&self, waiting: Waiting) -> (Waiting, Result<Ended, Issue>) {
        let position = waiting.position;
        let read = move |store: &Store| Ok(queued_message(&mut store.reader()?, position)?);
        let queued = match feed::reading(&self.store, read).await {
            Ok(Some(queued)) if !queued.is_given_up => queued,
            Ok(_) => return (waiting, Ok(Ended::Gone)),
            Err(issue) => return (waiting, Err(issue)),
        };
        if let Err(failure) = self.destination.send(&queued.message).await {
            return (waiting, Ok(Ended::Failed(Box::new(queued), failure)));
        }
        let removed = self.store.write(move |unit| Ok(unit.remove_message(position)?)).await;
        self.statistics.sent.fetch_add(1, Ordering::Relaxed);
        (waiting, removed.map(|_| Ended::Taken))
    }

    /// Notes what became of a message.
    async fn settle(&self, state: &mut State, waiting: Waiting, ended: Ended) -> Result<(), Issue> {
        let (queued, failure) = match ended {
            Ended::Taken => {
                state.failures.remove(&waiting.lane);
                state.taken_at = Timestamp::now().as_microsecond();
                self.answered(state);
                state.lanes.done(&waiting.lane);
                return Ok(());
            }
            Ended::Gone => {
                state.lanes.done(&waiting.lane);
                return Ok(());
            }
            Ended::Failed(queued, failure) => (*queued, failure),
        };
        self.statistics.failures.fetch_add(1, Ordering::Relaxed);
        let why: String = failure.to_string().chars().take(WHY_MAX).collect();
        let failing = if queued.failing > 0 { queued.failing } else { Timestamp::now().as_microsecond() };
        let tries = match failure {
            Failure::Refused(_) => {
                state.failures.remove(&waiting.lane);
                self.answered(state);
                self.give_up(&queued, queued.tries.saturating_add(1), (&failure, &why)).await?;
                state.lanes.done(&waiting.lane);
                return Ok(());
            }
            Failure::Unavailable(_) => queued.tries,
            Failure::Unanswered(_) => queued.tries.saturating_add(1),
        };
        if self.destination.reaches_several() {
            return self.rest_alone(state, (waiting, &queued), (failing, tries), why).await;
        }
        // Others are answered since: it is the message, and not the destination.
        if tries >= self.patience.tries_max && state.taken_at > failing {
            self.give_up(&queued, tries, (&failure, &why)).await?;
            state.lanes.done(&waiting.lane);
            return Ok(());
        }
        let (position, destination) = (queued.position, self.destination.name());
        let (noted, pause) = (why.clone(), self.patience.pause.jittered(tries));
        self.store.write(move |unit| Ok(unit.message_failed(position, (failing, tries), &noted)?)).await?;
        if state.circuit.failed(Moment::now()) {
            tracing::warn!(destination, why, "a destination does not answer; it is left alone for a while");
        }
        state.lanes.rest(waiting.lane, Moment::now() + pause);
        Ok(())
    }

    /// Lets a lane rest that leads to somebody else than the others do, longer each time.
    async fn rest_alone(
        &self,
        state: &mut State,
        (waiting, queued): (Waiting, &QueuedMessage),
        noted: (i64, u32),
        why: String,
    ) -> Result<(), Issue> {
        let position = queued.position;
        self.store.write(move |unit| Ok(unit.message_failed(position, noted, &why)?)).await?;
        let failures = state.failures.entry(waiting.lane.clone()).or_default();
        *failures = failures.saturating_add(1);
        let pause = self.patience.pause.jittered(*failures);
        state.lanes.rest(waiting.lane, Moment::now() + pause);
        Ok(())
    }

    /// Says that the destination answered.
    fn answered(&self, state: &mut State) {
        if state.circuit.answered() {
            tracing::info!(destination = self.destination.name(), "a destination answers again");
            state.lanes.wake_all();
        }
    }

    async fn give_up(
        &self,
        queued: &QueuedMessage,
        tries: u32,
        (failure, why): (&Failure, &str),
    ) -> Result<(), Issue> {
        self.destination.given_up(&queued.message, failure).await?;
        let (position, noted) = (queued.position, why.to_owned());
        self.store.write(move |unit| Ok(unit.give_message_up(position, tries, &noted)?)).await?;
        self.statistics.given_up.fetch_add(1, Ordering::Relaxed);
        let destination = self.destination.name();
        tracing::error!(destination, position, tries, "a message was given up; `lanterna outbox` shows it");
        Ok(())
    }

    /// Tells how much waits.
    async fn tell(&self, state: &State) -> Result<(), Issue> {
        let name = self.destination.name().to_owned();
        let read = move |store: &Store| Ok(queue_lengths(&mut store.reader()?, &name)?);
        let (waiting, given_up, first) = feed::reading(&self.store, read).await?;
        let is_circuit_open = state.circuit.probe_at().is_some();
        self.statistics.set(self.destination.name(), Queue { waiting, given_up, first, is_circuit_open });
        Ok(())
    }
}
