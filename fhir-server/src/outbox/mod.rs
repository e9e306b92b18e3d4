//! The outbox: what has to reach somebody else.
//!
//! A message comes of a change that was stored, by whatever door: the change
//! itself is the promise, made in the transaction of the write. The intake
//! follows the changes and queues their messages in the transaction in which it
//! notes how far it has come, so that each is queued once. The delivery sends
//! what is queued until it is taken or given up: in order within a lane, with an
//! id that stays the same, so that the receiver knows what it had before.
//!
//! - [`intake`] follows changes and queues messages.
//! - [`delivery`] sends them; `lanes` keeps their order; `circuit` lets a destination
//!   that is away rest.
//! - [`orders`] is what operators decide about those that were given up.
//!
//! Decisions: ADR 22

mod circuit;
pub mod delivery;
pub mod intake;
mod lanes;
pub mod orders;
pub mod settings;
mod statistics;

use std::path::PathBuf;
use std::sync::Arc;

use ihe_adapters::outbox::Destination;

pub use delivery::Patience;
pub use statistics::OutboxStatistics;

use crate::feed::Waker;
use crate::storage::Store;
use delivery::Delivery;
use intake::Intake;

/// Sends to all destinations.
pub struct Outbox {
    /// Has the changes, and the queue.
    pub store: Arc<Store>,
    /// To whom.
    pub destinations: Vec<Arc<dyn Destination>>,
    /// How patient it is.
    pub patience: Patience,
    /// Where operators say what they decided.
    pub orders: PathBuf,
    /// What it does.
    pub statistics: Arc<OutboxStatistics>,
}

impl Outbox {
    /// Sends what is there and what will be, for as long as it is let. Has to be called on a
    /// thread that runs local tasks.
    pub fn start(self) {
        let mut deliveries = Vec::new();
        for destination in self.destinations {
            let waker = Waker::of(destination.types());
            let observing = waker.clone();
            self.store.observe(Box::new(move |effects| observing.committed(effects)));
            let queued = Waker::of(&[]);
            deliveries.push(queued.clone());
            let intake = Intake {
                store: Arc::clone(&self.store),
                destination: Arc::clone(&destination),
                waker,
                queued: queued.clone(),
            };
            let delivery = Delivery {
                store: Arc::clone(&self.store),
                destination,
                patience: self.patience,
                queued,
                statistics: Arc::clone(&self.statistics),
            };
            tokio::task::spawn_local(intake.keep_queueing());
            tokio::task::spawn_local(delivery.keep_sending());
        }
        tokio::task::spawn_local(orders::keep_following(self.store, orders::OUTBOX, self.orders, deliveries));
    }
}

#[cfg(test)]
mod tests;
