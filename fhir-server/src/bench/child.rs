//! The server that is measured: this program, serving, as a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::client::get;
use super::error::BenchError;
use super::load::each;

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(120);
/// So many lines of what it says are told when it does not start.
const LINES_TOLD: usize = 5;
/// What stands before the address in the line that says where it serves.
const BEFORE_ADDRESS: &str = " at http://";
/// What stands in the line that says where it takes HL7 v2.
const BEFORE_MLLP: &str = " by MLLP at ";

/// A server that runs; it is killed when dropped.
pub(super) struct Child {
    process: std::process::Child,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where it takes HL7 v2, if it does.
    pub(super) mllp: Option<SocketAddr>,
    /// When it was asked to start.
    begun: Instant,
}

impl Child {
    /// Starts a server over a data folder and waits until it listens.
    ///
    /// Settings of the environment and of a file do not count.
    ///
    /// # Errors
    /// When it does not listen in time.
    pub(super) fn start(data: &Path) -> Result<Child, BenchError> {
        Child::start_with(data, "")
    }

    /// As [`Child::start`], with settings of its own.
    ///
    /// # Errors
    /// As [`Child::start`].
    pub(super) fn start_with(data: &Path, settings: &str) -> Result<Child, BenchError> {
        let file = data.with_extension("toml");
        std::fs::write(&file, settings).map_err(BenchError::io("writing the settings"))?;
        let program = std::env::current_exe().map_err(BenchError::io("finding this program"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(data);
        if !settings.contains("[hl7v2]") {
            command.args(["--mllp", "off"]);
        }
        command.arg("--config").arg(&file);
        if let Some(beside) = data.parent() {
            command.current_dir(beside);
        }
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.to_string_lossy().starts_with("LANTERNA_")) {
            command.env_remove(name);
        }
        let begun = Instant::now();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(BenchError::io("starting the server"))?;
        let listening = listening(&mut process, begun);
        if listening.is_err() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let (address, mllp) = listening?;
        Ok(Child { process, address, mllp, begun })
    }

    /// Asks for a path and returns the time since the server was asked to start.
    ///
    /// # Errors
    /// When the answer is not 200.
    pub(super) fn first_answer(&self, path: &str) -> Result<Duration, BenchError> {
        each(self.address, &[get(self.address, path)], |_, answer| answer.expect(200))?;
        Ok(self.begun.elapsed())
    }

    /// Returns a number of the metrics page.
    ///
    /// # Errors
    /// When the page has no such number.
    pub(super) fn metric(&self, name: &str) -> Result<f64, BenchError> {
        let mut found = None;
        each(self.address, &[get(self.address, "/metrics")], |_, answer| {
            answer.expect(200)?;
            let text = String::from_utf8_lossy(answer.body);
            found = text
                .lines()
                .filter_map(|l| l.split_once(' '))
                .find(|(n, _)| *n == name)
                .and_then(|(_, value)| value.trim().parse().ok());
            Ok(())
        })?;
        found.ok_or_else(|| BenchError::Wrong(format!("the metrics do not tell {name}")))
    }

    /// Returns its memory in bytes: what is resident now, and what was at most.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(super) fn memory(&self) -> Result<(f64, f64), BenchError> {
        let told = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()));
        let status = told.map_err(|_| BenchError::NotTold("the memory of a process"))?;
        memory(&status).ok_or(BenchError::NotTold("the memory of a process"))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits for the line that says where the server listens. A thread reads what
/// it says for as long as it lives.
fn listening(
    process: &mut std::process::Child,
    begun: Instant,
) -> Result<(SocketAddr, Option<SocketAddr>), BenchError> {
    let said = process.stderr.take().ok_or_else(|| BenchError::Start("it has no output".to_owned()))?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines() {
            let Ok(line) = line else { return };
            // Nobody listens any more after the first address.
            let _ = sender.send(line);
        }
    });
    let mut lines = Vec::new();
    let mut mllp = None;
    loop {
        match receiver.recv_timeout(START_MAX.saturating_sub(begun.elapsed())) {
            Ok(line) => match address(&line) {
                Some(address) => return Ok((address, mllp)),
                None if line.contains(BEFORE_MLLP) => {
                    mllp = line.rsplit_once(' ').and_then(|(_, address)| address.parse().ok());
                }
                None if lines.len() < LINES_TOLD => lines.push(line),
                None => {}
            },
            Err(mpsc::RecvTimeoutError::Timeout) => {
                return Err(BenchError::Start(format!("not in {} s", START_MAX.as_secs())));
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return Err(BenchError::Start(lines.join("; "))),
        }
    }
}

/// Returns the address of a line that says where the server listens.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(BEFORE_ADDRESS)?;
    rest.split('/').next()?.parse().ok()
}

/// Reads resident memory and its peak, in bytes, of a process's status.
fn memory(status: &str) -> Option<(f64, f64)> {
    let of = |name: &str| -> Option<f64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
    };
    Some((of("VmRSS:")?, of("VmHWM:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_say() {
        for (line, expected) in [
            ("lanterna serves FHIR R4 at http://127.0.0.1:4711/fhir, data in x", Some(4711)),
            ("lanterna serves FHIR R4 at http://[::1]:80/fhir, data in x", Some(80)),
            ("lanterna: the data folder is in use", None),
            (" at http://nowhere/fhir", None),
        ] {
            assert_eq!(address(line).map(|a| a.port()), expected, "{line}");
        }
        for (status, expected) in [
            ("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n", Some((1_048_576.0, 2_097_152.0))),
            ("VmRSS:\t1024 kB\n", None),
            ("VmRSS:\tmuch\nVmHWM:\tmore\n", None),
        ] {
            assert_eq!(memory(status), expected, "{status}");
        }
    }
}
