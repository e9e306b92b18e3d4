//! Documents by SOAP, each beside what FHIR or the file system does with the
//! same bytes: provided (ITI-41), found (ITI-18), retrieved (ITI-43).

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::bench::child::Child;
use crate::bench::client::{Answer, get, send};
use crate::bench::data::mix;
use crate::bench::load::{Cycle, Exchange, Round, compare, each, repeat, run};
use crate::bench::report::Target;
use crate::bench::{Bench, BenchError};

/// A document as hospitals send it.
const DOCUMENT_BYTES: usize = 50 << 10;
/// A large one.
const LARGE_BYTES: usize = 100 << 20;
/// Patients whose documents are asked for, and how many each has.
const PATIENTS: usize = 200;
const MATCHES: usize = 20;
/// Connections at most: each holds a document.
const CONNECTIONS_MAX: usize = 16;
const AUTHORITY: &str = "1.3.6.1.4.1.99999.9";
const BOUNDARY: &str = "=_bench";
const SUCCESS: &[u8] = b"ResponseStatusType:Success";
/// Stands where a number comes that no other message has.
const NUMBER: &str = "7777777777";

fn slot(name: &str, value: &str) -> String {
    format!("<r:Slot name=\"{name}\"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>")
}

fn code(scheme: &str, of: &str) -> String {
    let slot = slot("codingScheme", "1.2.3.4");
    format!(
        "<r:Classification id=\"c{scheme}{of}\" classificationScheme=\"urn:uuid:{scheme}\" classifiedObject=\"{of}\" \
         nodeRepresentation=\"CODE\">{slot}</r:Classification>"
    )
}

fn identifier(scheme: &str, of: &str, value: &str) -> String {
    format!(
        "<r:ExternalIdentifier id=\"i{scheme}{of}\" identificationScheme=\"urn:uuid:{scheme}\" registryObject=\"{of}\" \
         value=\"{value}\"/>"
    )
}

fn patient(number: usize) -> String {
    format!("B{number}^^^&amp;{AUTHORITY}&amp;ISO")
}

/// A submission of so many documents, whose unique ids begin with `unique_id`.
fn submission(of: usize, documents: usize, unique_id: &str, more: &str) -> String {
    let mut objects = String::new();
    for n in 0..documents {
        let id = format!("d{n}");
        let codes: String = [
            "41a5887f-8865-4c09-adf7-e362475b143a",
            "f4f85eac-e6cb-4883-b524-f2705394840f",
            "a09d5840-386c-46f2-b5ad-9c3699a4309d",
            "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1",
            "cccf5598-8b07-4b77-a05e-ae952c785ead",
            "f0306f51-975f-434e-a61c-c59651d33983",
        ]
        .iter()
        .map(|scheme| code(scheme, &id))
        .collect();
        objects.push_str(&format!(
            "<r:ExtrinsicObject id=\"{id}\" mimeType=\"text/xml\" \
             objectType=\"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1\">{}{}{}{more}{codes}{}{}</r:ExtrinsicObject>\
             <r:Association id=\"m{n}\" associationType=\"urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember\" \
             sourceObject=\"set\" targetObject=\"{id}\">{}</r:Association>",
            slot("creationTime", "20260102"),
            slot("languageCode", "it-IT"),
            slot("sourcePatientId", "S1^^^&amp;1.9&amp;ISO"),
            identifier("58a6f841-87b3-4a3e-92fd-a8ffeff98427", &id, &patient(of)),
            identifier("2e82c1f6-a085-4c72-9da3-8640a32e42ab", &id, &format!("{unique_id}.{}", n + 1)),
            slot("SubmissionSetStatus", "Original"),
        ));
    }
    format!(
        "<l:SubmitObjectsRequest xmlns:l=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\">\
         <r:RegistryObjectList xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><r:RegistryPackage id=\"set\">\
         {}{}{}{}{}</r:RegistryPackage><r:Classification id=\"n\" classifiedObject=\"set\" \
         classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>{objects}</r:RegistryObjectList>\
         </l:SubmitObjectsRequest>",
        slot("submissionTime", "20260102030405"),
        code("aa543740-bdda-424e-8c96-df4873be8500", "set"),
        identifier("6b5aea1a-874d-4603-a4bc-96a0a7b38446", "set", &patient(of)),
        identifier("554ac39e-e3fe-47fe-b233-965d2a147832", "set", "1.2.3.5"),
        identifier("96fdda7c-d067-4183-912e-bf5ee74998a8", "set", &format!("{unique_id}.0")),
    )
}

fn envelope(action: &str, body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://www.w3.org/2005/08/addressing\"><s:Header><a:Action>urn:ihe:iti:2007:{action}</a:Action>\
         <a:MessageID>urn:uuid:1</a:MessageID></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )
}

pub(super) fn post(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn soap(address: SocketAddr, path: &str, action: &str, body: &str) -> Vec<u8> {
    post(address, path, "application/soap+xml; charset=UTF-8", envelope(action, body).as_bytes())
}

/// Writes an ITI-41 of one document.
fn provide(address: SocketAddr, of: usize, unique_id: &str, document: &[u8]) -> Vec<u8> {
    let submission = submission(of, 1, unique_id, "");
    let body = format!(
        "<ProvideAndRegisterDocumentSetRequest xmlns=\"urn:ihe:iti:xds-b:2007\">{submission}<Document id=\"d0\">\
         <x:Include xmlns:x=\"http://www.w3.org/2004/08/xop/include\" href=\"cid:d\"/></Document>\
         </ProvideAndRegisterDocumentSetRequest>"
    );
    let mut message = format!(
        "--{BOUNDARY}\r\nContent-Type: application/xop+xml; type=\"application/soap+xml\"\r\nContent-ID: <root>\r\n\r\n{}\
         \r\n--{BOUNDARY}\r\nContent-Type: text/xml\r\nContent-ID: <d>\r\n\r\n",
        envelope("ProvideAndRegisterDocumentSet-b", &body)
    )
    .into_bytes();
    message.extend_from_slice(document);
    message.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let content_type = format!("multipart/related; boundary=\"{BOUNDARY}\"; start=\"<root>\"");
    post(address, "/xds/repository", &content_type, &message)
}

/// Bytes that do not repeat, by a number.
fn bytes(number: u64, length: usize) -> Vec<u8> {
    let byte = |at: usize| b'a' + (mix(number << 32 | at as u64) % 26) as u8;
    (0..length).map(byte).collect()
}

/// One request over and over, each time with another number in it.
struct Numbered {
    request: Vec<u8>,
    places: Vec<usize>,
    next: Rc<Cell<u64>>,
    status: u16,
    contains: &'static [u8],
}

impl Numbered {
    fn new(request: Vec<u8>, next: &Rc<Cell<u64>>, status: u16, contains: &'static [u8]) -> Numbered {
        let places = memchr::memmem::find_iter(&request, NUMBER).collect();
        Numbered { request, places, next: Rc::clone(next), status, contains }
    }
}

impl Exchange for Numbered {
    fn request(&mut self) -> &[u8] {
        self.next.set(self.next.get() + 1);
        // As many digits as the place has.
        let digits = format!("{}", 1_000_000_000 + self.next.get());
        for place in &self.places {
            if let Some(into) = self.request.get_mut(*place..place + digits.len()) {
                into.copy_from_slice(digits.as_bytes());
            }
        }
        &self.request
    }

    fn answered(&mut self, answer: &Answer<'_>) -> Result<u64, BenchError> {
        right(answer, self.status, self.contains)?;
        Ok(1)
    }
}

fn right(answer: &Answer<'_>, status: u16, contains: &[u8]) -> Result<(), BenchError> {
    answer.expect(status)?;
    if memchr::memmem::find(answer.body, contains).is_some() {
        return Ok(());
    }
    let told = answer.body.get(..2_000).unwrap_or(answer.body);
    Err(BenchError::Wrong(String::from_utf8_lossy(told).into_owned()))
}

pub(super) fn measure(bench: &mut Bench<'_>) -> Result<(), BenchError> {
    let server = bench.writes()?;
    let address = server.address;
    let patients: Vec<Vec<u8>> = (0..PATIENTS)
        .map(|n| {
            let patient = format!(
                "{{\"resourceType\":\"Patient\",\"id\":\"bench-{n}\",\"identifier\":[{{\"system\":\"urn:oid:{AUTHORITY}\",\
                 \"value\":\"B{n}\"}}]}}"
            );
            send(address, "PUT", &format!("/fhir/Patient/bench-{n}"), &patient)
        })
        .collect();
    each(address, &patients, |_, answer| answer.expect(201))?;
    provides(bench, address)?;
    queries(bench, address)?;
    retrievals(bench, &server)
}

/// Says what was measured, and what beside it.
fn beside(what: &str, ours: Round, other: &str, baseline: Round) -> String {
    let ratio = ours.rate / baseline.rate;
    format!("{what} (p50 {:.1} ms); {other}: {:.0}/s, ratio {ratio:.2}", ours.p50_ms, baseline.rate)
}

fn provides(bench: &mut Bench<'_>, address: SocketAddr) -> Result<(), BenchError> {
    let connections = bench.options.connections.min(CONNECTIONS_MAX);
    let next = Rc::new(Cell::new(0));
    // Each document is another: what is the same is stored once.
    let mut document = bytes(1, DOCUMENT_BYTES);
    document.splice(..NUMBER.len(), NUMBER.bytes());
    let binary = post(address, "/fhir/Binary", "text/xml", &document);
    let (ours, baseline) = compare(
        bench.options.time,
        |time| {
            run(address, connections, time, &|n| {
                let request = provide(address, n % PATIENTS, &format!("1.5.{NUMBER}"), &document);
                Box::new(Numbered::new(request, &next, 200, SUCCESS))
            })
        },
        |time| run(address, connections, time, &|_| Box::new(Numbered::new(binary.clone(), &next, 201, b""))),
    )?;
    let what = format!("documents of 50 kB by ITI-41, {connections} connections");
    let what = beside(&what, ours, "the same bytes created as Binary", baseline);
    bench.figure("documentsProvided", &what, ours.rate, "/s", None);
    Ok(())
}

fn queries(bench: &mut Bench<'_>, address: SocketAddr) -> Result<(), BenchError> {
    // Of the patients after those whose documents were provided.
    let more =
        [slot("hash", &"0".repeat(40)), slot("size", "1"), slot("repositoryUniqueId", "1.2.9")].concat();
    let from = CONNECTIONS_MAX;
    let registered: Vec<Vec<u8>> = (from..PATIENTS)
        .map(|n| {
            let body = submission(n, MATCHES, &format!("1.6.{}", n + 1), &more);
            soap(address, "/xds/registry", "RegisterDocumentSet-b", &body)
        })
        .collect();
    each(address, &registered, |_, answer| right(answer, 200, SUCCESS))?;
    let query = |n: usize| {
        let body = format!(
            "<q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
             xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\">\
             <q:ResponseOption returnComposedObjects=\"true\" returnType=\"LeafClass\"/>\
             <r:AdhocQuery id=\"urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d\">{}{}</r:AdhocQuery></q:AdhocQueryRequest>",
            slot("$XDSDocumentEntryPatientId", &format!("'{}'", patient(n))),
            slot("$XDSDocumentEntryStatus", "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"),
        );
        soap(address, "/xds/registry", "RegistryStoredQuery", &body)
    };
    let asked: Rc<[Vec<u8>]> = (from..PATIENTS).map(query).collect();
    each(address, asked.get(..1).unwrap_or_default(), |_, answer| {
        let found = memchr::memmem::find_iter(answer.body, "<rim:ExtrinsicObject ").count();
        let wrong = || BenchError::Wrong(format!("{found} documents and not {MATCHES}"));
        if found == MATCHES { Ok(()) } else { Err(wrong()) }
    })?;
    let search =
        |n: usize| get(address, &format!("/fhir/DocumentReference?patient=Patient/bench-{n}&status=current"));
    let searches: Rc<[Vec<u8>]> = (from..PATIENTS).map(search).collect();
    let connections = bench.options.connections;
    let (ours, baseline) = compare(
        bench.options.time,
        |time| run(address, connections, time, &|n| Box::new(Cycle::new(&asked, n, 200))),
        |time| run(address, connections, time, &|n| Box::new(Cycle::new(&searches, n, 200))),
    )?;
    let what = format!("ITI-18 with {MATCHES} matches, {connections} connections");
    let what = beside(&what, ours, "the FHIR search", baseline);
    bench.figure("documentQueries", &what, ours.rate, "/s", None);
    Ok(())
}

fn retrievals(bench: &mut Bench<'_>, server: &Child) -> Result<(), BenchError> {
    let address = server.address;
    let document = bytes(2, LARGE_BYTES);
    let before = server.memory()?.1;
    let request = provide(address, 0, "1.7.1", &document);
    each(address, &[request], |_, answer| right(answer, 200, SUCCESS))?;
    // Where it is, the registry says.
    let body = "<q:AdhocQueryRequest xmlns:q=\"urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0\" \
                xmlns:r=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><q:ResponseOption returnType=\"LeafClass\"/>\
                <r:AdhocQuery id=\"urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4\">";
    let body = format!(
        "{body}{}</r:AdhocQuery></q:AdhocQueryRequest>",
        slot("$XDSDocumentEntryUniqueId", "('1.7.1.1')")
    );
    let mut repository = String::new();
    each(address, &[soap(address, "/xds/registry", "RegistryStoredQuery", &body)], |_, answer| {
        let text = String::from_utf8_lossy(answer.body);
        let after = text.split("repositoryUniqueId\"><rim:ValueList><rim:Value>").nth(1);
        repository = after.and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned();
        Ok(())
    })?;
    let body = format!(
        "<RetrieveDocumentSetRequest xmlns=\"urn:ihe:iti:xds-b:2007\"><DocumentRequest><RepositoryUniqueId>{repository}\
         </RepositoryUniqueId><DocumentUniqueId>1.7.1.1</DocumentUniqueId></DocumentRequest></RetrieveDocumentSetRequest>"
    );
    let asked: Rc<[Vec<u8>]> = vec![soap(address, "/xds/repository", "RetrieveDocumentSet", &body)].into();
    each(address, &asked, |_, answer| {
        answer.expect(200)?;
        let is_there = memchr::memmem::find(answer.body, document.get(..256).unwrap_or_default());
        let wrong = || BenchError::Wrong("the document is not in the answer".to_owned());
        is_there.filter(|_| answer.body.len() > LARGE_BYTES).map(drop).ok_or_else(wrong)
    })?;
    let (from, to) = (bench.folder.join("document"), bench.folder.join("copy"));
    std::fs::write(&from, &document).map_err(BenchError::io("writing a document"))?;
    let megabytes = LARGE_BYTES as f64 / 1e6;
    let (ours, baseline): (Round, Round) = compare(
        bench.options.time,
        |time| run(address, 1, time, &|n| Box::new(Cycle::new(&asked, n, 200))),
        |time| repeat(time, || std::fs::copy(&from, &to).map(|_| 1).map_err(BenchError::io("copying"))),
    )?;
    let what = format!(
        "ITI-43 of a document of 100 MiB; the file copied: {:.0} MB/s, ratio {:.2}",
        baseline.rate * megabytes,
        ours.rate / baseline.rate
    );
    bench.figure("documentsRetrieved", &what, ours.rate * megabytes, "MB/s", None);
    let grown = (server.memory()?.1 - before) / f64::from(1 << 20);
    let what = "memory that providing and retrieving it took at most, beyond the most before";
    bench.figure("documentMemory", what, grown, "MiB", Some(Target::AtMost(64.0)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_a_number_of_its_own() {
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        let next = Rc::new(Cell::new(0));
        let mut exchange = Numbered::new(
            provide(address, 1, &format!("1.5.{NUMBER}"), NUMBER.as_bytes()),
            &next,
            200,
            SUCCESS,
        );
        assert_eq!(exchange.places.len(), 3);
        let first = exchange.request().to_vec();
        let text = String::from_utf8(exchange.request().to_vec()).expect("text");
        assert_eq!(first.len(), text.len());
        assert_eq!(text.matches("1000000002").count(), 3, "{text}");
        let answer = Answer { status: 200, head: b"", body: b"ResponseStatusType:Failure" };
        assert!(matches!(exchange.answered(&answer), Err(BenchError::Wrong(_))));
    }
}
