//! Messages against the XML schemas that an operator has of them.
//!
//! What is compiled of schemas interns the names of every message, and belongs
//! to one thread. A few threads hold it each for itself, and take from one
//! queue what is to be checked.
//!
//! Spec: <https://www.w3.org/TR/xmlschema-1/>

mod compiled;
mod folder;
mod worker;

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io, thread};

use bytes::Bytes;
use crossbeam_channel::{Sender, bounded};
use tokio::sync::oneshot;

use folder::Folder;

/// So many threads check at most: one message takes milliseconds.
const THREADS_MAX: usize = 4;
/// So many messages may wait to be checked.
const WAITING_MAX: usize = 256;

/// The schemas of a folder, compiled.
#[derive(Clone)]
pub struct Schemas {
    jobs: Sender<Job>,
}

/// The names of the elements down to the one that is checked: namespace and local name.
pub type Place = Vec<(&'static str, &'static str)>;

/// A message that is to be checked.
struct Job {
    message: Bytes,
    place: Place,
    answer: oneshot::Sender<Result<Vec<Invalid>, Unchecked>>,
}

/// Something of a message that its schema does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What, for a reader.
    pub what: String,
    /// Where: the elements down to it, each with its number among its like.
    pub place: String,
}

/// Why a message was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchecked {
    /// Too many wait.
    #[error("too many messages wait to be checked against their schemas: send it again later")]
    Busy,
    /// The check broke.
    #[error("the message cannot be checked against its schema, and is not performed")]
    Broken,
}

/// Why schemas cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{file}`: {why}")]
pub struct SchemaProblem {
    /// The file, or the folder.
    pub file: String,
    /// What is wrong.
    pub why: String,
}

impl SchemaProblem {
    fn new(file: impl Into<String>, why: impl fmt::Display) -> SchemaProblem {
        SchemaProblem { file: file.into(), why: why.to_string() }
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

impl Schemas {
    /// Compiles the schemas of a folder that are of these namespaces, with all
    /// that they import.
    ///
    /// # Errors
    /// When one cannot be compiled, or there is none.
    pub fn open(folder: &Path, namespaces: &[&str]) -> Result<Schemas, SchemaProblem> {
        let folder = Arc::new(Folder::read(folder, namespaces)?);
        let threads = thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX));
        let (jobs, queue) = bounded(WAITING_MAX);
        let (started, starts) = bounded(threads);
        for _ in 0..threads {
            let (folder, queue, started) = (Arc::clone(&folder), queue.clone(), started.clone());
            let thread = thread::Builder::new().name("schemas".to_owned());
            let spawned = thread.spawn(move || worker::work(&folder, &queue, &started));
            spawned.map_err(|error: io::Error| SchemaProblem::new("a thread for the schemas", error))?;
        }
        drop(started);
        for _ in 0..threads {
            let start = starts.recv();
            start.unwrap_or_else(|_| Err(SchemaProblem::new(&folder.name, "compiling it broke")))?;
        }
        Ok(Schemas { jobs })
    }

    /// Tells what the schemas do not allow of an element of a message: nothing when it is
    /// valid, or has no schema here.
    ///
    /// # Errors
    /// When it was not checked.
    pub async fn check(&self, message: Bytes, place: Place) -> Result<Vec<Invalid>, Unchecked> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job { message, place, answer }).map_err(|_| Unchecked::Busy)?;
        answered.await.unwrap_or(Err(Unchecked::Broken))
    }
}

#[cfg(test)]
mod tests;
