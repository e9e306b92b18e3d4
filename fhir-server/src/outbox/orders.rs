//! What operators decide about messages: to send one again that was given up, or perform one
//! that was set aside, or to drop it.
//!
//! An order is an empty file in a folder of the data, so that it can be given to a server that
//! runs, by who may write to its data; it is followed in the writer, and then the file goes. An
//! order that was followed and whose file is still there does nothing more.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fhir_model::outcome::Issue;

use crate::feed::Waker;
use crate::storage::{StorageError, Store, WriteUnit};

/// How often is looked whether there are orders.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A queue about whose messages operators decide.
#[derive(Clone, Copy)]
pub struct Queue {
    /// The folder of the orders, in that of the data.
    pub folder: &'static str,
    /// What becomes of a message that is tried again.
    pub again: &'static str,
    obey: fn(&mut WriteUnit<'_>, i64, Order) -> Result<bool, StorageError>,
}

/// What has to reach others.
pub const OUTBOX: Queue = Queue {
    folder: "outbox-orders",
    again: "sent again",
    obey: |unit, position, order| match order {
        Order::Retry => unit.retry_message(position),
        Order::Drop => unit.remove_message(position),
    },
};

/// What others sent, and could not be performed.
pub const INBOX: Queue = Queue {
    folder: "inbox-orders",
    again: "to be performed",
    obey: |unit, number, order| match order {
        Order::Retry => unit.perform_again(number),
        Order::Drop => unit.drop_inbound(number),
    },
};

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// It is sent, or performed, again.
    Retry,
    /// It goes.
    Drop,
}

impl Order {
    fn extension(self) -> &'static str {
        match self {
            Order::Retry => "retry",
            Order::Drop => "drop",
        }
    }

    fn of_file(name: &str) -> Option<(i64, Order)> {
        let (position, extension) = name.split_once('.')?;
        let orders = [Order::Retry, Order::Drop];
        let order = orders.into_iter().find(|order| order.extension() == extension)?;
        Some((position.parse().ok()?, order))
    }
}

/// Gives an order about the message at a position.
///
/// # Errors
/// When the folder cannot be written to.
pub fn give(folder: &Path, position: i64, order: Order) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{position}.{}", order.extension())), [])
}

/// Follows the orders that are there; returns how many.
///
/// # Errors
/// When the database fails.
pub fn follow(store: &Store, queue: Queue, folder: &Path) -> Result<usize, Issue> {
    let mut followed = 0;
    for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Some((position, order)) = file.file_name().to_str().and_then(Order::of_file) else { continue };
        store.write_blocking(move |unit| Ok((queue.obey)(unit, position, order)?))?;
        if let Err(error) = std::fs::remove_file(file.path()) {
            tracing::warn!(%error, "an order that was followed cannot be removed");
        }
        followed += 1;
    }
    Ok(followed)
}

/// Follows orders for as long as it is let, and wakes those who send.
pub(crate) async fn keep_following(store: Arc<Store>, queue: Queue, folder: PathBuf, deliveries: Vec<Waker>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (store, folder) = (Arc::clone(&store), folder.clone());
        match tokio::task::spawn_blocking(move || follow(&store, queue, &folder)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(_)) => deliveries.iter().for_each(Waker::wake),
            Ok(Err(issue)) => tracing::warn!(why = issue.diagnostics, "orders cannot be followed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_the_name_of_a_file() {
        for (name, expected) in [
            ("7.retry", Some((7, Order::Retry))),
            ("7.drop", Some((7, Order::Drop))),
            ("7.other", None),
            ("x.drop", None),
            ("7", None),
        ] {
            assert_eq!(Order::of_file(name), expected, "{name}");
        }
    }
}
