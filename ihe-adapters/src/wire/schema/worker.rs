//! A thread that checks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_channel::{Receiver, Sender};

use super::compiled::{check, validator};
use super::folder::Folder;
use super::{Invalid, Job, SchemaProblem, Unchecked};

/// By so many bytes the names of messages may grow what is compiled before it is
/// compiled anew: every name that was ever seen stays in it.
const NAMES_BYTES_MAX: usize = 8 << 20;

/// Compiles schemas, tells how that went, and checks by them until nobody asks any more.
pub(super) fn work(folder: &Folder, jobs: &Receiver<Job>, started: &Sender<Result<(), SchemaProblem>>) {
    let mut compiled = folder.compile();
    let start = compiled.as_ref().map(drop).map_err(|p| SchemaProblem::new(&p.file, &p.why));
    let is_ready = start.is_ok();
    if started.send(start).is_err() || !is_ready {
        return;
    }
    loop {
        match &compiled {
            Ok(set) => {
                let validator = validator(set);
                let grown = set.name_table.heap_bytes() + NAMES_BYTES_MAX;
                let is_worn = || set.name_table.heap_bytes() > grown;
                let checked = |job: &Job| check(set, &validator, &job.message, &job.place);
                if serve(jobs, checked, is_worn) == Ended::Asked {
                    return;
                }
            }
            // It was compiled before, of the same files: it is tried again for the next message.
            Err(problem) => {
                tracing::error!(%problem, "the schemas cannot be compiled again");
                let Ok(job) = jobs.recv() else { return };
                let _ = job.answer.send(Err(Unchecked::Broken));
            }
        }
        let again = catch_unwind(AssertUnwindSafe(|| folder.compile()));
        compiled = again.unwrap_or_else(|_| Err(SchemaProblem::new(&folder.name, "compiling it broke")));
    }
}

/// Why no more is checked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nobody asks any more.
    Asked,
    /// By what is compiled nothing more should be checked.
    Worn,
}

/// Checks what comes. A check that breaks harms its message alone: that is refused as one
/// that was not checked, for it may be as wrong as any, and nothing is checked any more by
/// what may have been left half changed.
pub(super) fn serve(
    jobs: &Receiver<Job>,
    check: impl Fn(&Job) -> Vec<Invalid>,
    is_worn: impl Fn() -> bool,
) -> Ended {
    while let Ok(job) = jobs.recv() {
        // Who asked may be gone.
        if job.answer.is_closed() {
            continue;
        }
        let checked = catch_unwind(AssertUnwindSafe(|| check(&job)));
        let is_broken = checked.is_err();
        if is_broken {
            tracing::error!("checking a message against its schema broke");
        }
        let _ = job.answer.send(checked.map_err(|_| Unchecked::Broken));
        if is_broken || is_worn() {
            return Ended::Worn;
        }
    }
    Ended::Asked
}
