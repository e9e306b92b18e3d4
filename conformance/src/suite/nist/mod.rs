//! The test plans of the NIST XDS Toolkit, executed against a running server.
//!
//! A plan is a list of transactions, each with the status, error codes,
//! objects and XPath assertions that are expected of its answer, and with
//! references to what earlier plans sent or received. A case is a plan: it
//! passes when each of its steps does.

mod answer;
mod assertions;
mod communities;
mod expected;
mod links;
mod log;
mod metadata;
mod peer;
mod plan;
mod recorded;
mod transactions;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use ihe_adapters::wire::mtom::include;
use ihe_adapters::wire::namespaces::{LCM, XDSB};
use ihe_adapters::wire::xml::Element;
use tests::Server;
use tests::token_service::TokenService;

use self::answer::{judge, retrieved};
use self::communities::Communities;
use self::metadata::{Assigned, Wanted};
use self::peer::{Peer, Reply};
use self::plan::{Section, Step, Test};
use self::transactions::{KINDS, not_executed};
use super::Tally;

/// The folders of tests whose plans address a registry, a repository or a gateway.
const GROUPS: &[&str] = &["tests", "testdata-registry", "testdata-repository", "testdata-xdr"];
/// Who assigns the identifiers of the patients.
const AUTHORITY: &str = "1.3.6.1.4.1.21367.13.20.1000";

/// The repository.
const REPOSITORY: &str = "1.3.6.1.4.1.21367.2011.2.3.7";

/// What is executed beside the transactions of the doors.
const BESIDE: &[&str] = &[
    "NullTransaction",
    "NewPatientId",
    "PatientIdentityFeedTransaction",
    "PatientMoveTransaction",
    "HttpTransaction",
];

/// The community.
const COMMUNITY: &str = "1.3.6.1.4.1.21367.2011.2.6.9";

/// Tests whose sections are each about another patient.
const PATIENT_EACH: &[&str] = &["15807"];
/// Feeds of patients that several tests work with.
const SHARED_FEEDS: &[&str] = &["15819", "15820"];

/// Plans that are about the patient of another plan.
const SAME_PATIENT: &[(&str, &str)] = &[("onedoc3", "onedoc2")];

/// Tests of ITI-64 where to move all that a patient has is to merge him: nothing is said of what was his before.
const MERGES: &[&str] = &["16102"];

/// Tells whether a test brings documents.
fn submits(test: &Test) -> bool {
    let mut steps = test.sections.iter().flat_map(|section| &section.steps);
    steps.any(|step| step.transaction.local.contains("Register"))
}

/// Tells why a plan is none about the server.
fn is_elsewhere(section: &Section) -> Option<&'static str> {
    if section.name.to_lowercase().starts_with("selftest") {
        return Some("tests the toolkit itself");
    }
    let assertions = section.steps.iter().flat_map(|s| s.transaction.children_named("", "Assertions"));
    let mut all = assertions.flat_map(|assertions| assertions.children_named("", "Assert"));
    let is_elsewhere = all.any(|assertion| assertion.child("", "SimReference").is_some());
    is_elsewhere.then_some("asserts what a simulator of the toolkit received")
}

/// Tells whether a retrieval leaves open which document it asks for: that is to be filled in.
fn is_open(request: &Element) -> bool {
    let mut requests = request.children_named(XDSB, "DocumentRequest");
    let is_open = |text: Option<String>| text.is_none_or(|t| t.trim().is_empty() || t.starts_with('$'));
    requests.any(|document| {
        ["RepositoryUniqueId", "DocumentUniqueId"].iter().any(|name| is_open(document.text_of(XDSB, name)))
    })
}

/// How a plan ended.
enum Outcome {
    Passed,
    NotApplicable(String),
    Failed(Vec<String>),
}

/// What a step left behind, for those after it.
#[derive(Default)]
struct Trace {
    assigned: Assigned,
    reports: HashMap<String, String>,
    sent: String,
    received: String,
    kind: String,
}

struct Runner<'a> {
    token_service: TokenService,
    peer: Peer,
    communities: Communities,
    tests: HashMap<&'a str, &'a Test>,
    numbers: Cell<u64>,
    /// The patients that a test works with, by the plan that feeds them.
    patients: HashMap<(String, String), String>,
    traces: HashMap<(String, String, String), Trace>,
    outcomes: BTreeMap<(String, String), Outcome>,
    begun: HashSet<(String, String)>,
    /// The tests that are being executed, each for the one before it.
    running: Vec<String>,
}

/// Runs the suite.
pub fn run(testdata: &Path) -> Result<Tally, String> {
    let folder = testdata.join("ihe/toolkit2");
    let mut all = Vec::new();
    for group in GROUPS {
        all.extend(plan::tests(&folder.join(group))?);
    }
    let data = tempfile::tempdir().map_err(|e| e.to_string())?;
    let settings = data.path().join("settings.toml");
    let text =
        format!("[xds]\nrepository_unique_id = \"{REPOSITORY}\"\nhome_community_id = \"{COMMUNITY}\"\n");
    let token_service = TokenService::new();
    let certificate = data.path().join("sts.pem");
    std::fs::write(&certificate, &token_service.certificate).map_err(|e| e.to_string())?;
    let trusted = certificate.display().to_string();
    let text = text + &format!("[xua]\ntrusted = [{trusted:?}]\n{}", assertions::POLICY);
    std::fs::write(&settings, text).map_err(|e| e.to_string())?;
    let settings = settings.display().to_string();
    let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
    let mut runner = Runner {
        token_service,
        peer: Peer::of(&server),
        communities: Communities::start()?,
        tests: all.iter().map(|test| (test.name.as_str(), test)).collect(),
        numbers: Cell::new(0),
        patients: HashMap::new(),
        traces: HashMap::new(),
        outcomes: BTreeMap::new(),
        begun: HashSet::new(),
        running: Vec::new(),
    };
    let mut tally = Tally::default();
    for test in &all {
        for section in &test.sections {
            runner.section(test, section);
        }
    }
    for ((test, section), outcome) in runner.outcomes {
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::NotApplicable(why) => tally.not_applicable(format!("{test}/{section}: {why}")),
            Outcome::Failed(why) => tally.failed(format!("{test}/{section}: {}", why.join("; "))),
        }
    }
    Ok(tally)
}

impl<'a> Runner<'a> {
    fn next(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// Executes a plan, once.
    fn section(&mut self, test: &'a Test, section: &'a Section) {
        let key = (test.name.clone(), section.name.clone());
        if !self.begun.insert(key.clone()) {
            return;
        }
        let unknown = section
            .steps
            .iter()
            .map(|s| s.transaction.local.as_str())
            .find(|kind| !BESIDE.contains(kind) && !KINDS.iter().any(|k| k.name == *kind));
        self.running.push(test.name.clone());
        let outcome = match (unknown, is_elsewhere(section), self.gap(test, section)) {
            (_, Some(why), _) => Outcome::NotApplicable(why.to_owned()),
            (Some(kind), ..) => Outcome::NotApplicable(not_executed(kind).to_owned()),
            (_, _, Some(gap)) => Outcome::NotApplicable(format!("after {gap}, which was not executed")),
            _ => self.steps(test, section),
        };
        self.running.pop();
        self.outcomes.insert(key, outcome);
    }

    /// Returns a plan before this one that was to be executed before it, and was not.
    fn gap(&self, test: &Test, section: &Section) -> Option<String> {
        let listed = test.sections.iter().filter(|earlier| earlier.is_listed);
        let before = listed.take_while(|earlier| earlier.name != section.name);
        let mut names = before.map(|earlier| earlier.name.clone());
        names.find(|name| {
            let outcome = self.outcomes.get(&(test.name.clone(), name.clone()));
            matches!(outcome, Some(Outcome::NotApplicable(_)))
        })
    }

    fn steps(&mut self, test: &'a Test, section: &'a Section) -> Outcome {
        let mut failures = Vec::new();
        if !section.is_listed {
            // No index says what comes first: what it refers to does.
            for step in &section.steps {
                let _ = self.links(test, section, &step.transaction);
            }
        }
        for step in &section.steps {
            match self.step(test, section, step) {
                Ok(wrong) => failures.extend(wrong.into_iter().map(|w| format!("{}: {w}", step.id))),
                Err(why) => return Outcome::NotApplicable(why),
            }
        }
        if failures.is_empty() { Outcome::Passed } else { Outcome::Failed(failures) }
    }

    /// Returns the patient that a test works with, made known when it is not.
    fn patient(&mut self, test: &str, feed: &str) -> Result<String, String> {
        // These patients are of several tests.
        let test = if SHARED_FEEDS.contains(&feed) { "" } else { test };
        let key = (test.to_owned(), feed.to_owned());
        if let Some(patient) = self.patients.get(&key) {
            return Ok(patient.clone());
        }
        let id = format!("P{}", self.next());
        self.peer_of(test, feed).feed(AUTHORITY, &id)?;
        let patient = format!("{id}^^^&{AUTHORITY}&ISO");
        self.patients.insert(key, patient.clone());
        Ok(patient)
    }

    /// Makes a patient known that a plan names by itself.
    fn known(&mut self, patient: &str) -> Result<(), String> {
        let Some((id, authority)) = patient.split_once("^^^&") else { return Ok(()) };
        let authority = authority.trim_end_matches("&ISO");
        let is_known = self.patients.values().any(|known| known == patient);
        if !is_known {
            self.peer.feed(authority, id)?;
            self.patients.insert((patient.to_owned(), String::new()), patient.to_owned());
        }
        Ok(())
    }

    /// Returns the plan that feeds the patient of a test, where one does.
    fn feed_of(&self, test: &'a Test) -> &'a str {
        let steps = test.sections.iter().flat_map(|section| &section.steps);
        let feeds = steps.flat_map(|s| s.transaction.children_named("", "UseReport"));
        feeds.filter_map(|r| r.attribute("test")).find(|of| self.is_feed(of)).unwrap_or("")
    }

    /// Returns the patient of submissions that name none: the one that the
    /// other plans of the test get from a feed.
    fn default_patient(&mut self, test: &'a Test, section: &Section) -> Result<String, String> {
        if PATIENT_EACH.contains(&test.name.as_str()) {
            let same = SAME_PATIENT.iter().find(|(name, _)| *name == section.name);
            let patient = self.patient(&test.name, same.map_or(section.name.as_str(), |(_, of)| of))?;
            if same.is_some()
                && let Some((id, _)) = patient.split_once("^^^")
            {
                self.peer_of(&test.name, &section.name).feed(AUTHORITY, id)?;
            }
            return Ok(patient);
        }
        self.patient(&test.name, self.feed_of(test))
    }

    /// Tells whether a test does nothing but make a patient known.
    fn is_feed(&self, name: &str) -> bool {
        self.tests.get(name).is_some_and(|test| {
            let mut steps = test.sections.iter().flat_map(|section| &section.steps);
            steps.all(|step| step.transaction.local == "PatientIdentityFeedTransaction")
        })
    }

    /// Returns the client of the server that a section is about.
    fn peer_of(&self, test: &str, section: &str) -> &Peer {
        self.communities.site(test, section).map_or(&self.peer, |site| &site.peer)
    }

    /// Executes a plan that another needs, and those before it in its test.
    fn before(&mut self, name: &str, section: &str) -> Result<(), String> {
        let test =
            *self.tests.get(name).ok_or_else(|| format!("needs the test {name}, which is not here"))?;
        let last = test.sections.iter().position(|earlier| earlier.name == section);
        let last = last.ok_or_else(|| format!("needs {name}/{section}, which no index lists"))?;
        // Another test is there to be asked for what all of it left behind.
        let is_same = self.running.last().is_some_and(|running| running == name);
        let until = if is_same { last + 1 } else { test.sections.len() };
        for (at, earlier) in test.sections.iter().enumerate().take(until) {
            if earlier.is_listed || at == last {
                self.section(test, earlier);
            }
        }
        Ok(())
    }

    fn trace(&mut self, test: &str, section: &str, step: &str) -> Result<&Trace, String> {
        let key = (test.to_owned(), section.to_owned(), step.to_owned());
        if !self.traces.contains_key(&key) {
            self.before(test, section)?;
        }
        self.traces.get(&key).ok_or_else(|| format!("needs {test}/{section}, which was not executed"))
    }

    /// Executes a step, and returns what is not as expected.
    ///
    /// # Errors
    /// Why it cannot be executed.
    fn step(&mut self, test: &'a Test, section: &'a Section, step: &Step) -> Result<Vec<String>, String> {
        let transaction = &step.transaction;
        let symbols = self.symbols(test, section, transaction)?;
        let key = (test.name.clone(), section.name.clone(), step.id.clone());
        let mut trace = Trace { kind: transaction.local.clone(), ..Trace::default() };
        let mut wrong = Vec::new();
        if transaction.local == "PatientIdentityFeedTransaction" {
            let patient = self.patient(&test.name, &section.name)?;
            trace.reports.insert("$patientid$".to_owned(), patient);
        } else if transaction.local == "NewPatientId" {
            // From here on the operator works with another one.
            self.patients.remove(&(test.name.clone(), self.feed_of(test).to_owned()));
        } else if transaction.local == "PatientMoveTransaction" {
            trace.reports.insert("$patientid$".to_owned(), self.merge(&test.name, &symbols)?);
        } else if transaction.local == "HttpTransaction" {
            let message = recorded::recorded(transaction, &section.folder, &mut || self.next())?;
            for patient in &message.patients {
                self.known(patient)?;
            }
            let reply = self.peer.resend("/xds/repository", &message.content_type, &message.bytes)?;
            trace.received = reply.body.as_ref().map(Element::to_xml).unwrap_or_default();
            wrong.extend(judge(step, &reply));
        } else if let Some(kind) = KINDS.iter().find(|kind| kind.name == transaction.local) {
            if transaction.child("", "WaitBefore").is_some() {
                // Times of metadata tell seconds apart.
                std::thread::sleep(Duration::from_millis(1_100));
            }
            let file = transaction.text_of("", "MetadataFile").ok_or("has no metadata")?;
            let mut request = plan::read(&section.folder.join(&file))?;
            metadata::replace(&mut request, &symbols);
            let has = |name: &str| transaction.child("", name).is_some();
            if has("CleanParams") {
                metadata::clean(&mut request);
            }
            let kept = transaction.child("", "NoAssignUids").map(|no| no.attribute("id").map(str::to_owned));
            let kept: Option<Vec<String>> = match kept {
                None => Some(Vec::new()),
                Some(Some(ids)) => Some(ids.split(',').map(|id| id.trim().to_owned()).collect()),
                Some(None) => None,
            };
            let patient = match has("NoPatientId") {
                true => None,
                false => Some(self.default_patient(test, section)?),
            };
            let wanted =
                Wanted { uuids: has("AssignUuids"), uids_but: kept.as_deref(), patient: patient.as_deref() };
            if let Some(inside) = request.child(LCM, "SubmitObjectsRequest") {
                request = inside.clone();
            }
            metadata::in_ebrim_3(&mut request);
            trace.assigned = metadata::assign(&mut request, &wanted, &mut || self.next());
            trace.sent = request.to_xml();
            if trace.sent.contains(">REPID<") {
                return Err("asks for a document that an integrated source keeps".to_owned());
            }
            // Where nothing is to be given out it may be anything.
            if step.status.contains("Success") && is_open(&request) {
                return Err("leaves open which document it asks for".to_owned());
            }
            for patient in trace.assigned.patients.values() {
                self.known(patient)?;
            }
            let documents = documents(transaction, section, &trace.assigned)?;
            if kind.name.ends_with("ProvideAndRegisterTransaction") {
                request = provided(request, &documents);
            }
            let documents: Vec<(String, Vec<u8>)> =
                documents.into_iter().map(|(_, part, bytes)| (part, bytes)).collect();
            let parts = kind.is_multipart.then_some(documents.as_slice());
            let headers = transaction.child("", "SOAPHeader").into_iter().flat_map(Element::elements);
            let headers: Vec<Element> = headers.cloned().collect();
            let claims = assertions::claims(&test.name, &section.name, &format!("urn:oid:{COMMUNITY}"));
            let assertion = claims.map(|claims| self.token_service.assertion(&claims));
            let peer = self.peer_of(&test.name, &section.name);
            let reply = peer.send(kind.path, kind.action, headers, request, parts, assertion.as_deref())?;
            trace.received = reply.body.as_ref().map(Element::to_xml).unwrap_or_default();
            wrong.extend(judge(step, &reply));
            wrong.extend(self.entries(test, section, transaction, &reply)?);
            if ["RetrieveTransaction", "XCRTransaction", "IGRTransaction"].contains(&kind.name) {
                wrong.extend(retrieved(transaction, section, &reply, &symbols)?);
            }
        }
        self.report(&mut trace, (&test.name, &section.name), transaction)?;
        self.traces.insert(key, trace);
        wrong.extend(self.assertions(test, section, transaction, &symbols));
        Ok(wrong)
    }

    /// Merges a patient into another, and returns who is left.
    fn merge(&self, test: &str, symbols: &[(String, String)]) -> Result<String, String> {
        if !MERGES.contains(&test) {
            return Err("moves what a patient has to another as ITI-64 does, which is not built".to_owned());
        }
        let named = |name: &str| {
            let found = symbols.iter().find(|(symbol, _)| symbol == name);
            found.map(|(_, patient)| patient.clone()).ok_or_else(|| format!("has no {name}"))
        };
        let (old, new) = (named("$OldXADPID$")?, named("$NewXADPID$")?);
        let id = |patient: &str| patient.split('^').next().unwrap_or_default().to_owned();
        self.peer.merge(AUTHORITY, &id(&old), &id(&new))?;
        Ok(new)
    }

    /// Compares the documents of an answer with those that it has to have or
    /// must not have.
    fn entries(
        &mut self,
        test: &'a Test,
        section: &'a Section,
        transaction: &Element,
        reply: &Reply,
    ) -> Result<Vec<String>, String> {
        let mut wrong = Vec::new();
        let Some(expected) = transaction.child("", "ExpectedContents") else { return Ok(wrong) };
        for entries in expected.children_named("", "DocumentEntries") {
            for selection in entries.elements() {
                let mut ids = Vec::new();
                for entry in selection.children_named("", "DocumentEntry") {
                    let of_type = entry.text_of("", "DocumentEntryType");
                    let links = self.links(test, section, entry)?;
                    ids.extend(links.into_iter().map(|(_, id)| (id, of_type.clone())));
                }
                wrong.extend(expected::entries(reply.body.as_ref(), selection, &ids));
            }
        }
        Ok(wrong)
    }
}

/// Returns the documents of a transaction: entry, id of the part, bytes.
fn documents(
    transaction: &Element,
    section: &Section,
    assigned: &Assigned,
) -> Result<Vec<(String, String, Vec<u8>)>, String> {
    let mut all = Vec::new();
    for (at, document) in transaction.children_named("", "Document").enumerate() {
        let id = document.attribute("id").unwrap_or_default();
        let path = section.folder.join(document.text());
        let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let entry = assigned.uuids.get(id).map_or(id, String::as_str).to_owned();
        all.push((entry, format!("document{at}@nist"), bytes));
    }
    Ok(all)
}

fn provided(request: Element, documents: &[(String, String, Vec<u8>)]) -> Element {
    let documents = documents.iter().map(|(entry, part, _)| {
        Element::new(XDSB, "Document").with_attribute("id", entry).with_child(include(part))
    });
    Element::new(XDSB, "ProvideAndRegisterDocumentSetRequest").with_child(request).with_children(documents)
}
