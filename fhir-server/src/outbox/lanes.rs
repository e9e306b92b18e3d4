//! The order in which messages are sent: within a lane one after the other, lanes beside
//! each other.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant as Moment;

use crate::storage::Waiting;

/// The messages that wait to be sent, as far as they are held in memory.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: HashMap<String, VecDeque<i64>>,
    /// Lanes whose first message may be sent.
    ready: VecDeque<String>,
    /// Lanes whose first message failed, by when it is sent again.
    resting: BTreeMap<(Moment, String), ()>,
    /// The position of the last message that was added.
    last: i64,
    len: usize,
}

impl Lanes {
    /// Returns how many messages are held, those included that are under way.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the position of the last message that was added.
    pub(super) fn last(&self) -> i64 {
        self.last
    }

    /// Adds messages that come after all others.
    pub(super) fn add(&mut self, waiting: impl IntoIterator<Item = Waiting>) {
        for Waiting { position, lane } in waiting {
            (self.last, self.len) = (position, self.len + 1);
            let queue = self.lanes.entry(lane.clone()).or_default();
            queue.push_back(position);
            if queue.len() == 1 {
                self.ready.push_back(lane);
            }
        }
    }

    /// Takes the first message of a lane that may be sent; its lane waits for it.
    pub(super) fn take(&mut self) -> Option<Waiting> {
        let lane = self.ready.pop_front()?;
        let position = *self.lanes.get(&lane)?.front()?;
        Some(Waiting { position, lane })
    }

    /// Says that the message of a lane that was under way is done with.
    pub(super) fn done(&mut self, lane: &str) {
        let Some(queue) = self.lanes.get_mut(lane) else { return };
        self.len -= usize::from(queue.pop_front().is_some());
        if queue.is_empty() {
            self.lanes.remove(lane);
        } else {
            self.ready.push_back(lane.to_owned());
        }
    }

    /// Says that the message of a lane that was under way is to be sent again.
    pub(super) fn rest(&mut self, lane: String, until: Moment) {
        self.resting.insert((until, lane), ());
    }

    /// Makes those ready that have rested; returns when the next one will have.
    pub(super) fn wake(&mut self, now: Moment) -> Option<Moment> {
        while let Some(first) = self.resting.first_entry() {
            if first.key().0 > now {
                return Some(first.key().0);
            }
            let ((_, lane), ()) = first.remove_entry();
            self.ready.push_back(lane);
        }
        None
    }

    /// Makes all ready: what they rest for is over.
    pub(super) fn wake_all(&mut self) {
        let resting = std::mem::take(&mut self.resting);
        self.ready.extend(resting.into_keys().map(|(_, lane)| lane));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn waiting(position: i64, lane: u8) -> Waiting {
        Waiting { position, lane: lane.to_string() }
    }

    #[test]
    fn a_lane_waits_for_its_first_message_and_others_do_not() {
        let mut lanes = Lanes::default();
        lanes.add([waiting(1, 7), waiting(2, 7), waiting(3, 8)]);
        assert_eq!(
            (lanes.take(), lanes.take(), lanes.take()),
            (Some(waiting(1, 7)), Some(waiting(3, 8)), None)
        );
        let later = Moment::now() + Duration::from_secs(60);
        lanes.rest("7".to_owned(), later);
        lanes.done("8");
        assert_eq!((lanes.wake(Moment::now()), lanes.take(), lanes.len()), (Some(later), None, 2));
        lanes.wake_all();
        assert_eq!(lanes.take(), Some(waiting(1, 7)));
        lanes.done("7");
        assert_eq!((lanes.take(), lanes.wake(later), lanes.last()), (Some(waiting(2, 7)), None, 3));
        lanes.done("7");
        assert_eq!(lanes.len(), 0);
    }

    proptest! {
        /// Whatever fails and however often: all are sent, each lane in its order.
        #[test]
        fn all_are_sent_in_the_order_of_their_lanes(
            of_lanes in prop::collection::vec(0u8..5, 0..60),
            chances in prop::collection::vec(0u8..4, 400),
        ) {
            let mut lanes = Lanes::default();
            lanes.add(of_lanes.iter().enumerate().map(|(at, lane)| waiting(at as i64 + 1, *lane)));
            let (mut chances, now) = (chances.into_iter(), Moment::now());
            let (mut under_way, mut sent) = (Vec::new(), Vec::new());
            loop {
                lanes.wake(now);
                while let Some(next) = lanes.take() {
                    prop_assert!(under_way.iter().all(|other: &Waiting| other.lane != next.lane));
                    under_way.push(next);
                }
                let Some(ended) = under_way.pop() else { break };
                if chances.next() == Some(0) {
                    lanes.rest(ended.lane, now);
                } else {
                    lanes.done(&ended.lane);
                    sent.push(ended);
                }
            }
            prop_assert_eq!(sent.len(), of_lanes.len());
            for lane in 0u8..5 {
                let of_lane: Vec<i64> =
                    sent.iter().filter(|s| s.lane == lane.to_string()).map(|s| s.position).collect();
                prop_assert!(of_lane.is_sorted());
            }
            prop_assert_eq!(lanes.len(), 0);
        }
    }
}
