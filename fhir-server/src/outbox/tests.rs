//! The delivery, to a destination that fails as it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fhir_model::outcome::Issue;
use fhir_model::schema::TypeId;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ihe_adapters::outbox::{Change, Destination, Failure, Message};

use super::delivery::Delivery;
use super::orders::{self, Order};
use super::{OutboxStatistics, Patience};
use crate::feed::{Pause, Waker};
use crate::storage::{Store, StoreSettings, queue_lengths, queued_messages};

/// What is answered to each message, by its id: failures first, and then it is taken.
#[derive(Default)]
struct Script {
    failures: Mutex<HashMap<String, Vec<Failure>>>,
    sent: Mutex<Vec<String>>,
    taken: Mutex<Vec<String>>,
    given_up: Mutex<Vec<String>>,
    /// Whether each lane leads to somebody else.
    reaches_several: bool,
}

impl Destination for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn types(&self) -> &[TypeId] {
        &[]
    }

    fn reaches_several(&self) -> bool {
        self.reaches_several
    }

    fn messages<'a>(&'a self, _: &'a Change) -> BoxFuture<'a, Result<Vec<Message>, Issue>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            self.sent.lock().expect("lock").push(message.id.clone());
            let next = self.failures.lock().expect("lock").get_mut(&message.id).and_then(Vec::pop);
            match next {
                Some(failure) => Err(failure),
                None => {
                    self.taken.lock().expect("lock").push(message.id.clone());
                    Ok(())
                }
            }
        }
        .boxed()
    }

    fn given_up<'a>(&'a self, message: &'a Message, _: &'a Failure) -> BoxFuture<'a, Result<(), Issue>> {
        self.given_up.lock().expect("lock").push(message.id.clone());
        async { Ok(()) }.boxed()
    }
}

fn message(id: &str, lane: &str) -> Message {
    let (kind, cause) = ("test".to_owned(), "Task/1".to_owned());
    let (content_type, body) = ("text/plain".to_owned(), id.as_bytes().to_vec());
    Message { id: id.to_owned(), lane: lane.to_owned(), kind, cause, content_type, body }
}

fn open(folder: &tempfile::TempDir) -> Arc<Store> {
    Arc::new(Store::open(&StoreSettings::of(folder.path())).expect("open"))
}

fn queue(store: &Store, messages: &[(&str, &str)]) {
    let messages: Vec<Message> = messages.iter().map(|(id, lane)| message(id, lane)).collect();
    let write = move |unit: &mut crate::storage::WriteUnit<'_>| {
        for message in &messages {
            unit.queue_message("script", message)?;
        }
        Ok(())
    };
    store.write_blocking(write).expect("queued");
}

/// Sends until nothing waits that could go, but not for ever.
fn deliver(store: &Arc<Store>, script: &Arc<Script>, is_over: impl Fn() -> bool) {
    deliver_after(Duration::from_millis(1), store, script, is_over);
}

/// As [`deliver`], with such a pause after a failure.
fn deliver_after(first: Duration, store: &Arc<Store>, script: &Arc<Script>, is_over: impl Fn() -> bool) {
    let pause = Pause { first, longest: first * 4 };
    let delivery = Delivery {
        store: store.clone(),
        destination: script.clone(),
        patience: Patience { tries_max: 3, at_once: 4, pause },
        queued: Waker::of(&[]),
        statistics: Arc::new(OutboxStatistics::default()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let sending = delivery.keep_sending();
        let waiting = async {
            for _ in 0..3000 {
                if is_over() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("it is never over");
        };
        tokio::select! { () = sending => {}, () = waiting => {} }
    });
}

fn lengths(store: &Store) -> (i64, i64) {
    let (waiting, given_up, _) =
        queue_lengths(&mut store.reader().expect("a reader"), "script").expect("counted");
    (waiting, given_up)
}

#[test]
fn a_lane_keeps_its_order_whatever_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, script) = (open(&folder), Arc::new(Script::default()));
    let unavailable = || Failure::Unavailable("away".to_owned());
    script.failures.lock().expect("lock").insert("a1".to_owned(), (0..20).map(|_| unavailable()).collect());
    queue(&store, &[("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a"), ("b2", "b")]);
    // An id that is there is not queued again.
    queue(&store, &[("b1", "b")]);
    deliver(&store, &script, || lengths(&store) == (0, 0));
    let taken = script.taken.lock().expect("lock").clone();
    let of = |lane: char| taken.iter().filter(|id| id.starts_with(lane)).cloned().collect::<Vec<_>>();
    assert_eq!(
        (of('a'), of('b')),
        (vec!["a1".into(), "a2".into(), "a3".into()], vec!["b1".into(), "b2".into()])
    );
    // It was tried more often than a message may fail: while it is away nothing is given up.
    assert!(script.sent.lock().expect("lock").iter().filter(|id| *id == "a1").count() == 21);
}

#[test]
fn what_is_refused_or_never_answered_is_given_up_and_sent_again_when_wanted() {
    let folder = tempfile::tempdir().expect("a folder");
    let orders_folder = folder.path().join("orders");
    let (store, script) = (open(&folder), Arc::new(Script::default()));
    let mut failures = HashMap::new();
    failures.insert("a1".to_owned(), vec![Failure::Refused("wrong".to_owned())]);
    failures.insert("b1".to_owned(), (0..40).map(|_| Failure::Unanswered("slow".to_owned())).collect());
    *script.failures.lock().expect("lock") = failures;
    queue(&store, &[("a1", "a"), ("a2", "a"), ("b1", "b")]);
    let others = std::cell::Cell::new(0);
    deliver(&store, &script, || {
        // Others are taken meanwhile: so it is the message.
        others.set(others.get() + 1);
        let other = format!("c{}", others.get());
        // Another thread waits for the writer: this one drives what sends.
        std::thread::scope(|scope| _ = scope.spawn(|| queue(&store, &[(other.as_str(), "c")])));
        lengths(&store).1 == 2
    });
    assert_eq!(*script.given_up.lock().expect("lock"), ["a1", "b1"]);
    let dead = queued_messages(&mut store.reader().expect("a reader"), 0, 10_000).expect("read");
    let dead: Vec<_> = dead.into_iter().filter(|queued| queued.is_given_up).collect();
    let told: Vec<_> = dead.iter().map(|d| (d.message.id.as_str(), d.why.as_str(), d.tries >= 3)).collect();
    assert_eq!(told, [("a1", "wrong", false), ("b1", "slow", true)]);
    assert!(script.taken.lock().expect("lock").contains(&"a2".to_owned()), "the rest of its lane goes on");

    orders::give(&orders_folder, dead[0].position, Order::Retry).expect("given");
    orders::give(&orders_folder, dead[1].position, Order::Drop).expect("given");
    assert_eq!(orders::follow(&store, orders::OUTBOX, &orders_folder).expect("followed"), 2);
    assert_eq!(orders::follow(&store, orders::OUTBOX, &orders_folder).expect("followed"), 0);
    deliver(&store, &script, || lengths(&store) == (0, 0));
    let sent = script.sent.lock().expect("lock").clone();
    assert_eq!(sent.iter().filter(|id| *id == "a1").count(), 2);
    assert!(script.taken.lock().expect("lock").contains(&"a1".to_owned()));
    assert!(!script.taken.lock().expect("lock").contains(&"b1".to_owned()));
}

#[test]
fn who_is_away_holds_up_nobody_else_where_lanes_lead_to_several() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = Script { reaches_several: true, ..Script::default() };
    let (store, script) = (open(&folder), Arc::new(script));
    let away: Vec<(String, String)> = (0..8).map(|of| (format!("away{of}"), format!("lane{of}"))).collect();
    for (id, _) in &away {
        let failure = Failure::Unavailable("away".to_owned());
        script.failures.lock().expect("lock").insert(id.clone(), vec![failure]);
    }
    let messages: Vec<(&str, &str)> = away.iter().map(|(id, lane)| (id.as_str(), lane.as_str())).collect();
    queue(&store, &messages);
    let is_queued = std::cell::Cell::new(false);
    // Who is away is let alone for an hour.
    deliver_after(Duration::from_secs(3600), &store, &script, || {
        if !is_queued.get() && script.sent.lock().expect("lock").len() == away.len() {
            is_queued.set(true);
            std::thread::scope(|scope| _ = scope.spawn(|| queue(&store, &[("b1", "b"), ("b2", "b")])));
        }
        script.taken.lock().expect("lock").len() == 2
    });
    assert_eq!(*script.taken.lock().expect("lock"), ["b1", "b2"]);
    assert_eq!(lengths(&store), (8, 0));
}

#[test]
fn what_waits_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    queue(&store, &[("a1", "a"), ("a2", "a")]);
    drop(store);
    let (store, script) = (open(&folder), Arc::new(Script::default()));
    deliver(&store, &script, || lengths(&store) == (0, 0));
    assert_eq!(*script.taken.lock().expect("lock"), ["a1", "a2"]);
}
