//! `lanterna outbox`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::config::Settings;
use crate::outbox::orders::{self, Order, Queue};
use crate::storage::{
    Connection, QueuedMessage, StorageError, Store, StoreSettings, queued_message, queued_messages,
    read_beside,
};

/// How many messages are read at a time.
const AT_ONCE: usize = 500;
/// How long one waits for a server that runs to follow an order.
const FOLLOWED_IN: Duration = Duration::from_secs(15);

/// What `lanterna outbox` takes.
#[derive(Debug, Args)]
pub struct OutboxArguments {
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Debug, Subcommand)]
enum OutboxCommand {
    /// Lists messages: number, destination, state, tries, since when, kind, what they came of
    List {
        /// Only those to this destination
        #[arg(long, value_name = "NAME")]
        destination: Option<String>,
        /// Only the dead letters: those that were given up
        #[arg(long)]
        dead: bool,
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
    /// Shows a message: why it failed, and what stands in it
    Show {
        /// Its number in the list
        #[arg(value_name = "NUMBER")]
        number: i64,
    },
    /// Sends dead letters again, with the ids that they had
    Retry {
        /// Their numbers in the list
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        numbers: Vec<i64>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Takes messages out, which are never sent then
    Drop {
        /// Their numbers in the list
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<i64>,
    },
}

/// Shows what waits, or decides about it.
///
/// # Errors
/// When the data cannot be read, or an order not be given.
pub fn outbox(
    settings: &Settings,
    arguments: &OutboxArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut data = read_beside(&settings.data)?;
    match &arguments.command {
        OutboxCommand::List { destination, dead, json } => {
            list(&mut data, |queued| {
                let is_to = destination.as_ref().is_none_or(|name| *name == queued.destination);
                if is_to && (queued.is_given_up || !dead) {
                    println!("{}", if *json { as_json(queued).to_string() } else { line(queued) });
                }
            })?;
            Ok(ExitCode::SUCCESS)
        }
        OutboxCommand::Show { number } => {
            let queued = found(&mut data, *number)?;
            println!("{}", line(&queued));
            println!("id: {}", queued.message.id);
            if !queued.why.is_empty() {
                println!("failed: {}", queued.why);
            }
            println!("{}\n{}", queued.message.content_type, String::from_utf8_lossy(&queued.message.body));
            Ok(ExitCode::SUCCESS)
        }
        OutboxCommand::Retry { numbers, all } => {
            let mut wanted = Vec::new();
            for number in numbers {
                if !found(&mut data, *number)?.is_given_up {
                    return Err(format!("message {number} was not given up: it is sent anyway").into());
                }
                wanted.push(*number);
            }
            if *all {
                list(&mut data, |queued| wanted.extend(queued.is_given_up.then_some(queued.position)))?;
            }
            drop(data);
            order(settings, orders::OUTBOX, &wanted, Order::Retry)
        }
        OutboxCommand::Drop { numbers } => {
            for number in numbers {
                found(&mut data, *number)?;
            }
            drop(data);
            order(settings, orders::OUTBOX, numbers, Order::Drop)
        }
    }
}

fn found(data: &mut Connection, number: i64) -> Result<QueuedMessage, Box<dyn std::error::Error>> {
    let none = || format!("there is no message {number}; `lanterna outbox list` shows which there are");
    Ok(queued_message(data, number)?.ok_or_else(none)?)
}

fn list(data: &mut Connection, mut each: impl FnMut(&QueuedMessage)) -> Result<(), StorageError> {
    let mut after = 0;
    loop {
        let messages = queued_messages(data, after, AT_ONCE)?;
        let Some(last) = messages.last() else { return Ok(()) };
        after = last.position;
        messages.iter().for_each(&mut each);
    }
}

/// Gives orders, and sees that they are followed: by the server that runs, or here.
pub(super) fn order(
    settings: &Settings,
    queue: Queue,
    numbers: &[i64],
    order: Order,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let folder = settings.data.join(queue.folder);
    for number in numbers {
        orders::give(&folder, *number, order)?;
    }
    match Store::open(&StoreSettings::of(&settings.data)) {
        Ok(store) => _ = orders::follow(&store, queue, &folder)?,
        Err(StorageError::Locked(_)) => {
            let begin = Instant::now();
            while std::fs::read_dir(&folder)?.next().is_some() {
                if begin.elapsed() > FOLLOWED_IN {
                    return Err("the server that runs has not followed yet; it will when it can write".into());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Err(error) => return Err(error.into()),
    }
    let done = if order == Order::Retry { queue.again } else { "dropped" };
    println!("{} messages are {done}", numbers.len());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn time(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| String::new(), |at| at.strftime("%FT%TZ").to_string())
}

fn state(queued: &QueuedMessage) -> &'static str {
    match queued {
        QueuedMessage { is_given_up: true, .. } => "dead",
        QueuedMessage { failing: 0, .. } => "waiting",
        _ => "failing",
    }
}

fn line(queued: &QueuedMessage) -> String {
    let QueuedMessage { position, destination, message, tries, .. } = queued;
    let (state, since) = (state(queued), time(queued.queued));
    format!(
        "{position:>8}  {destination:<10}{state:<9}{tries:>4}  {since}  {:<24}{}",
        message.kind, message.cause
    )
}

fn as_json(queued: &QueuedMessage) -> Value {
    json!({
        "number": queued.position, "destination": queued.destination, "state": state(queued), "tries": queued.tries,
        "queued": time(queued.queued), "kind": queued.message.kind, "cause": queued.message.cause,
        "id": queued.message.id, "why": queued.why,
    })
}
