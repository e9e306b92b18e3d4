//! The communities of the tests that need several: servers of their own, and
//! one that answers every question with an error.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use tests::Server;

use super::peer::Peer;

/// A server, and what is known of it.
pub(super) struct Site {
    pub(super) peer: Peer,
    pub(super) home: String,
    pub(super) repository: String,
    server: Server,
    _data: tempfile::TempDir,
}

impl Site {
    /// Starts a server with these ids; `more` are further settings.
    fn start(number: usize, more: &str) -> Result<Site, String> {
        let data = tempfile::tempdir().map_err(|e| e.to_string())?;
        let settings = data.path().join("settings.toml");
        let (home, repository) =
            (format!("1.3.6.1.4.1.21367.2011.7.{number}"), format!("1.3.6.1.4.1.21367.2011.8.{number}"));
        let text =
            format!("[xds]\nrepository_unique_id = \"{repository}\"\nhome_community_id = \"{home}\"\n{more}");
        std::fs::write(&settings, text).map_err(|e| e.to_string())?;
        let settings = settings.display().to_string();
        let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
        Ok(Site { peer: Peer::of(&server), home, repository, server, _data: data })
    }

    /// Returns the settings by which another asks it.
    fn listed(&self) -> String {
        listed(&self.home, &self.server.origin())
    }
}

fn listed(home: &str, origin: &str) -> String {
    format!(
        "[[xca.communities]]\nhome_community_id = \"{home}\"\nquery = \"{origin}/xca/query\"\n\
         retrieve = \"{origin}/xca/retrieve\"\n"
    )
}

/// Two communities with documents, and two gateways that ask them.
pub(super) struct Communities {
    pub(super) first: Site,
    pub(super) second: Site,
    /// Asks both.
    pub(super) of_both: Site,
    /// Asks the second, and one that fails.
    pub(super) of_failing: Site,
}

impl Communities {
    /// Starts all of them.
    pub(super) fn start() -> Result<Communities, String> {
        let (first, second) = (Site::start(1, "")?, Site::start(2, "")?);
        let of_both = Site::start(3, &(first.listed() + &second.listed()))?;
        let failing = listed("1.3.6.1.4.1.21367.2011.7.5", &failing()?);
        let of_failing = Site::start(4, &(failing + &second.listed()))?;
        Ok(Communities { first, second, of_both, of_failing })
    }

    /// Returns where a section of a test goes, if not to the server of the others.
    pub(super) fn site(&self, test: &str, section: &str) -> Option<&Site> {
        Some(match (test, section) {
            ("15807", "onedoc2") => &self.first,
            ("15807", "onedoc3" | "registryError") => &self.second,
            ("15810", _) => &self.of_both,
            ("15814", _) => &self.of_failing,
            _ => return None,
        })
    }
}

/// Starts a gateway that fails, and returns its origin.
fn failing() -> Result<String, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    // It goes on until the program ends.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = fail(stream);
        }
    });
    Ok(format!("http://{address}"))
}

/// Reads a request, and answers that the registry has failed.
fn fail(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut request, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let count = stream.read(&mut buffer)?;
        request.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let text = String::from_utf8_lossy(&request);
        if count == 0 || text.trim_end().ends_with(":Envelope>") || text.ends_with("0\r\n\r\n") {
            break;
        }
    }
    let body = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\"><s:Body>\
        <q:AdhocQueryResponse xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
        xmlns:rs=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" \
        xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\" \
        status=\"urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure\"><rs:RegistryErrorList>\
        <rs:RegistryError errorCode=\"XDSRegistryError\" codeContext=\"it fails\" \
        severity=\"urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error\"/></rs:RegistryErrorList>\
        <rim:RegistryObjectList/></q:AdhocQueryResponse></s:Body></s:Envelope>";
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/soap+xml; charset=UTF-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}
