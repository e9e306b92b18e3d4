//! Who runs the plans: sends messages to the server and takes answers apart,
//! with nothing of the server's own wire but its tree of elements.

use ihe_adapters::wire::namespaces::{RS, SOAP_12, WSA, WSSE};
use ihe_adapters::wire::xml::{Element, Limits};
use serde_json::json;
use tests::{Answer, Client, Server};

const BOUNDARY: &str = "=_nist_plans";

/// An answer: the body of its envelope, and the documents beside it.
pub(super) struct Reply {
    /// `None` when no message came.
    pub(super) body: Option<Element>,
    pub(super) documents: Vec<(String, Vec<u8>)>,
    /// What the HTTP status says.
    pub(super) status: u16,
}

impl Reply {
    /// Returns `Success`, `Failure`, `PartialSuccess` or `Fault`.
    pub(super) fn outcome(&self) -> String {
        let Some(body) = &self.body else { return format!("HTTP {}", self.status) };
        if body.is(SOAP_12, "Fault") {
            return "Fault".to_owned();
        }
        let response = body.child(RS, "RegistryResponse").unwrap_or(body);
        let status = response.attribute("status").unwrap_or_default();
        status.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// Returns the errors: code and context.
    pub(super) fn errors(&self) -> Vec<(String, String)> {
        let Some(body) = &self.body else { return Vec::new() };
        let response = body.child(RS, "RegistryResponse").unwrap_or(body);
        let errors = response.child(RS, "RegistryErrorList").into_iter().flat_map(Element::elements);
        let text = |error: &Element, name: &str| error.attribute(name).unwrap_or_default().to_owned();
        let mut all: Vec<_> = errors.map(|e| (text(e, "errorCode"), text(e, "codeContext"))).collect();
        if let Some(reason) = body.child(SOAP_12, "Reason").and_then(|r| r.text_of(SOAP_12, "Text")) {
            all.push(("Fault".to_owned(), reason));
        }
        all
    }
}

/// A client of one server.
pub(super) struct Peer {
    fhir: Client,
    origin: String,
}

impl Peer {
    pub(super) fn of(server: &Server) -> Peer {
        Peer { fhir: server.client(), origin: server.origin() }
    }

    /// Makes a patient known, as a feed of identities would.
    pub(super) fn feed(&self, authority: &str, id: &str) -> Result<(), String> {
        let patient = json!({ "resourceType": "Patient",
            "identifier": [{ "system": format!("urn:oid:{authority}"), "value": id }] });
        let answer = self.fhir.json("POST", "Patient", &[], &patient)?;
        if answer.status == 201 { Ok(()) } else { Err(format!("the patient was answered {}", answer.status)) }
    }

    /// Merges a patient into another.
    pub(super) fn merge(&self, authority: &str, subsumed: &str, survivor: &str) -> Result<(), String> {
        let search = |id: &str| format!("Patient?identifier=urn:oid:{authority}|{id}");
        let found = self.fhir.get(&search(survivor)).json();
        let survivor = found["entry"][0]["resource"]["id"].as_str().ok_or("the survivor is not known")?;
        let patient = json!({ "resourceType": "Patient", "active": false,
            "identifier": [{ "system": format!("urn:oid:{authority}"), "value": subsumed }],
            "link": [{ "other": { "reference": format!("Patient/{survivor}") }, "type": "replaced-by" }] });
        let answer = self.fhir.json("PUT", &search(subsumed), &[], &patient)?;
        if answer.status == 200 { Ok(()) } else { Err(format!("the merge was answered {}", answer.status)) }
    }

    /// Sends a message as it was recorded.
    pub(super) fn resend(&self, path: &str, content_type: &str, message: &[u8]) -> Result<Reply, String> {
        let url = format!("{}{path}", self.origin);
        reply(&self.fhir.send("POST", &url, &[("content-type", content_type)], message)?)
    }

    /// Sends a message.
    pub(super) fn send(
        &self,
        path: &str,
        action: &str,
        headers: Vec<Element>,
        body: Element,
        documents: Option<&[(String, Vec<u8>)]>,
        assertion: Option<&str>,
    ) -> Result<Reply, String> {
        let header = |name: &str, text: &str| Element::new(WSA, name).with_text(text);
        let header = Element::new(SOAP_12, "Header")
            .with_child(header("Action", action))
            .with_child(header("MessageID", &format!("urn:uuid:{}", uuid::Uuid::new_v4())))
            .with_children(headers);
        let envelope = Element::new(SOAP_12, "Envelope")
            .with_child(header)
            .with_child(Element::new(SOAP_12, "Body").with_child(body))
            .to_xml();
        let envelope = match assertion {
            // As it stands: what is signed is not written anew.
            Some(assertion) => envelope.replacen(
                "</soap:Header>",
                &format!("<wsse:Security xmlns:wsse=\"{WSSE}\">{assertion}</wsse:Security></soap:Header>"),
                1,
            ),
            None => envelope,
        };
        let url = format!("{}{path}", self.origin);
        let (content_type, message) = match documents {
            None => ("application/soap+xml; charset=UTF-8".to_owned(), envelope.into_bytes()),
            Some(documents) => (
                format!(
                    "multipart/related; type=\"application/xop+xml\"; start=\"<root@nist>\"; \
                     start-info=\"application/soap+xml\"; boundary=\"{BOUNDARY}\""
                ),
                packed(&envelope, documents),
            ),
        };
        let answer = self.fhir.send("POST", &url, &[("content-type", &content_type)], &message)?;
        reply(&answer)
    }
}

fn packed(envelope: &str, documents: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut message = format!(
        "--{BOUNDARY}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"application/soap+xml\"\r\n\
         Content-Transfer-Encoding: binary\r\nContent-ID: <root@nist>\r\n\r\n{envelope}"
    )
    .into_bytes();
    for (id, bytes) in documents {
        let head = format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\
             Content-ID: <{id}>\r\n\r\n"
        );
        message.extend_from_slice(head.as_bytes());
        message.extend_from_slice(bytes);
    }
    message.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    message
}

fn reply(answer: &Answer) -> Result<Reply, String> {
    let content_type = answer.header("content-type").unwrap_or_default();
    let boundary = content_type.split(';').find_map(|p| p.trim().strip_prefix("boundary="));
    let mut parts = match boundary {
        Some(boundary) => split(&answer.body, boundary.trim_matches('"')),
        None => vec![(String::new(), answer.body.clone())],
    };
    if parts.is_empty() {
        return Err("the answer is of several parts and has none".to_owned());
    }
    let (_, root) = parts.remove(0);
    let envelope = Element::parse(&root, &Limits::default()).ok();
    let body = envelope.and_then(|e| e.child(SOAP_12, "Body")?.elements().next().cloned());
    Ok(Reply { body, documents: parts, status: answer.status })
}

fn split(body: &[u8], boundary: &str) -> Vec<(String, Vec<u8>)> {
    let delimiter = format!("--{boundary}");
    let mut at: Vec<usize> = Vec::new();
    let mut from = 0;
    while let Some(found) = find(body, delimiter.as_bytes(), from) {
        at.push(found);
        from = found + delimiter.len();
    }
    let mut parts = Vec::new();
    for pair in at.windows(2) {
        let part = body.get(pair[0] + delimiter.len()..pair[1]).unwrap_or_default();
        let Some(end) = find(part, b"\r\n\r\n", 0) else { continue };
        let head = String::from_utf8_lossy(part.get(..end).unwrap_or_default()).into_owned();
        let id = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-id").then(|| value.trim().trim_matches(['<', '>']).to_owned())
        });
        let content = part.get(end + 4..part.len().saturating_sub(2)).unwrap_or_default();
        parts.push((id.unwrap_or_default(), content.to_vec()));
    }
    parts
}

fn find(body: &[u8], what: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| at + from)
}
