//! HL7 v2 by MLLP, against the running binary.

mod acknowledgement;
mod deleted;
mod families;
mod feeds;
mod frames;
mod killed;
mod links;
mod listener;
mod merges;
mod queries;
mod set_aside;
mod whole;

use std::net::TcpListener;
use std::path::Path;

use tests::Server;
use tests::mllp::MllpClient;

/// A server that takes HL7 v2.
struct Running {
    server: Server,
    mllp: u16,
}

impl Running {
    /// Starts one; `settings`: what the file says.
    fn start(folder: &Path, settings: &str) -> Running {
        let mllp = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let file = folder.join("settings.toml");
        std::fs::write(&file, settings).expect("written");
        let address = format!("127.0.0.1:{mllp}");
        let file = file.display().to_string();
        let arguments = ["--mllp", &address, "--config", &file];
        let server = Server::start_with(&folder.join("data"), &arguments, &[]);
        Running { server, mllp }
    }

    fn connect(&self) -> MllpClient {
        MllpClient::connect(self.mllp).expect("a connection")
    }

    /// Returns how many resources a search finds.
    fn count(&self, search: &str) -> u64 {
        let separator = if search.contains('?') { '&' } else { '?' };
        let found = self.server.client().get(&format!("{search}{separator}_summary=count")).json();
        found["total"].as_u64().unwrap_or_else(|| panic!("{search}: {found}"))
    }

    /// Returns the one resource that a search finds.
    fn one(&self, search: &str) -> serde_json::Value {
        let found = self.server.client().get(search).json();
        let entries = found["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(entries.len(), 1, "{search}: {found}");
        entries[0]["resource"].clone()
    }
}

/// Writes a header. `kind`: MSH-9; `modes`: what follows MSH-12.
fn header(kind: &str, control_id: &str, modes: &str) -> String {
    format!("MSH|^~\\&|SIO|H1|LANTERNA|LIGURIA|20260102030405||{kind}|{control_id}|P|2.5{modes}\r")
}

/// Writes an ADT message of a patient.
fn adt(event: &str, control_id: &str, at: &str, patient: &str, family: &str) -> String {
    [
        header(&format!("ADT^{event}"), control_id, ""),
        format!("EVN||{at}\r"),
        format!("PID|1||{patient}^^^SIO&1.2.3&ISO||{family}^{patient}||{}|M\r", birth_date(patient)),
        "PV1|1|N\r".to_owned(),
    ]
    .concat()
}

/// Makes a birth date of a patient: no two look like one person.
fn birth_date(patient: &str) -> String {
    let number = patient.bytes().fold(7u32, |sum, byte| (sum * 31 + u32::from(byte)) % 33_000);
    format!("{}{:02}{:02}", 1900 + number / 336, 1 + number / 28 % 12, 1 + number % 28)
}

/// The identifier of a patient, as searches look for it.
fn identifier(patient: &str) -> String {
    format!("identifier=urn:oid:1.2.3%7C{patient}")
}
