//! `lanterna inbox`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::outbox::{order, time};
use crate::config::Settings;
use crate::outbox::orders::{self, Order};
use crate::storage::{Connection, SetAside, StorageError, messages_set_aside, read_beside};

/// How many messages are read at a time.
const AT_ONCE: usize = 100;

/// What `lanterna inbox` takes.
#[derive(Debug, Args)]
pub struct InboxArguments {
    #[command(subcommand)]
    command: InboxCommand,
}

#[derive(Debug, Subcommand)]
enum InboxCommand {
    /// Lists messages that were set aside: number, sender, tries, when they came, why they failed
    List {
        /// As JSON, one message a line
        #[arg(long)]
        json: bool,
    },
    /// Shows a message: why it failed, and how it came
    Show {
        /// Its number in the list
        #[arg(value_name = "NUMBER")]
        number: i64,
    },
    /// Has messages performed, before those of their senders that wait
    Retry {
        /// Their numbers in the list
        #[arg(value_name = "NUMBER", required_unless_present = "all")]
        numbers: Vec<i64>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Takes messages out, which are never performed then, nor answered
    Drop {
        /// Their numbers in the list
        #[arg(required = true, value_name = "NUMBER")]
        numbers: Vec<i64>,
    },
}

/// Shows what was set aside, or decides about it.
///
/// # Errors
/// When the data cannot be read, or an order not be given.
pub fn inbox(
    settings: &Settings,
    arguments: &InboxArguments,
) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut data = read_beside(&settings.data)?;
    match &arguments.command {
        InboxCommand::List { json } => {
            list(&mut data, |of| println!("{}", if *json { as_json(of) } else { line(of) }))?;
            Ok(ExitCode::SUCCESS)
        }
        InboxCommand::Show { number } => {
            let of = found(&mut data, *number)?;
            println!("{}", line(&of));
            // Segments end with CR, which terminals overwrite.
            println!("{}", String::from_utf8_lossy(&of.message).replace('\r', "\n"));
            Ok(ExitCode::SUCCESS)
        }
        InboxCommand::Retry { numbers, all } => {
            let mut wanted = Vec::new();
            for number in numbers {
                wanted.push(found(&mut data, *number)?.number);
            }
            if *all {
                list(&mut data, |of| wanted.push(of.number))?;
            }
            drop(data);
            order(settings, orders::INBOX, &wanted, Order::Retry)
        }
        InboxCommand::Drop { numbers } => {
            for number in numbers {
                found(&mut data, *number)?;
            }
            drop(data);
            order(settings, orders::INBOX, numbers, Order::Drop)
        }
    }
}

fn found(data: &mut Connection, number: i64) -> Result<SetAside, Box<dyn std::error::Error>> {
    let none = || format!("no message {number} was set aside; `lanterna inbox list` shows which were");
    let found = messages_set_aside(data, number - 1, 1)?.into_iter().find(|of| of.number == number);
    Ok(found.ok_or_else(none)?)
}

fn list(data: &mut Connection, mut each: impl FnMut(&SetAside)) -> Result<(), StorageError> {
    let mut after = 0;
    loop {
        let messages = messages_set_aside(data, after, AT_ONCE)?;
        let Some(last) = messages.last() else { return Ok(()) };
        after = last.number;
        messages.iter().for_each(&mut each);
    }
}

fn line(of: &SetAside) -> String {
    let SetAside { number, sender, failures, why, .. } = of;
    format!("{number:>8}  {sender:<24}{failures:>4}  {}  {why}", time(of.at))
}

fn as_json(of: &SetAside) -> String {
    let value = json!({
        "number": of.number, "sender": of.sender, "failures": of.failures,
        "taken": time(of.at), "failing": time(of.failing), "why": of.why,
    });
    value.to_string()
}
