//! The test plans of the NIST XDS Toolkit, executed against a running server.
//!
//! A plan is a list of transactions, each with the status, error codes,
//! objects and XPath assertions that are expected of its answer, and with
//! references to what earlier plans sent or received. A case is a plan: it
//! passes when each of its steps does.

mod assertions;
mod expected;
mod metadata;
mod peer;
mod plan;
mod transactions;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use ihe_adapters::wire::mtom::{include, included};
use ihe_adapters::wire::namespaces::{LCM, XDSB};
use ihe_adapters::wire::xml::Element;
use tests::Server;
use tests::token_service::TokenService;

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

/// The community.
const COMMUNITY: &str = "1.3.6.1.4.1.21367.2011.2.6.9";

/// Tests whose sections are each about another patient.
const PATIENT_EACH: &[&str] = &["15807"];
/// Feeds of patients that several tests work with.
const SHARED_FEEDS: &[&str] = &["15819", "15820"];

/// The tests that need two responding gateways, one of them failing.
const TWO_COMMUNITIES: &[&str] = &["15810", "15814"];

/// Why a test asks for what no server alone can give.
fn not_for_us(test: &str) -> Option<&'static str> {
    TWO_COMMUNITIES.contains(&test).then_some("needs several communities, of which one fails")
}

/// Tells whether a test brings documents.
fn submits(test: &Test) -> bool {
    let mut steps = test.sections.iter().flat_map(|section| &section.steps);
    steps.any(|step| step.transaction.local.contains("Register"))
}

/// Tells why the assertions of a plan are none about answers of the server.
fn asserts_elsewhere(section: &Section) -> Option<&'static str> {
    let assertions = section.steps.iter().flat_map(|s| s.transaction.children_named("", "Assertions"));
    let mut all = assertions.flat_map(|assertions| assertions.children_named("", "Assert"));
    let is_elsewhere = all.any(|assertion| assertion.child("", "SimReference").is_some());
    is_elsewhere.then_some("asserts what a simulator of the toolkit received")
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
        for name in &test.unlisted {
            tally.not_applicable(format!("{}/{name}: the index of the test does not list it", test.name));
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
        let unknown = section.steps.iter().map(|s| s.transaction.local.as_str()).find(|kind| {
            !matches!(*kind, "NullTransaction" | "PatientIdentityFeedTransaction")
                && !KINDS.iter().any(|k| k.name == *kind)
        });
        self.running.push(test.name.clone());
        let not_for_us = not_for_us(&test.name).or_else(|| asserts_elsewhere(section));
        let outcome = match (unknown, not_for_us, self.gap(test, section)) {
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
        let before = test.sections.iter().take_while(|earlier| earlier.name != section.name);
        let mut names = before.map(|earlier| earlier.name.clone());
        names.find(|name| {
            let outcome = self.outcomes.get(&(test.name.clone(), name.clone()));
            matches!(outcome, Some(Outcome::NotApplicable(_)))
        })
    }

    fn steps(&mut self, test: &'a Test, section: &'a Section) -> Outcome {
        let mut failures = Vec::new();
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
        self.peer.feed(AUTHORITY, &id)?;
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

    /// Returns the patient of submissions that name none: the one that the
    /// other plans of the test get from a feed.
    fn default_patient(&mut self, test: &'a Test, section: &Section) -> Result<String, String> {
        if PATIENT_EACH.contains(&test.name.as_str()) {
            return self.patient(&test.name, &section.name);
        }
        let steps = test.sections.iter().flat_map(|section| &section.steps);
        let feeds = steps.flat_map(|s| s.transaction.children_named("", "UseReport"));
        let feed = feeds.filter_map(|r| r.attribute("test")).find(|of| self.is_feed(of)).unwrap_or("");
        self.patient(&test.name, feed)
    }

    /// Tells whether a test does nothing but make a patient known.
    fn is_feed(&self, name: &str) -> bool {
        self.tests.get(name).is_some_and(|test| {
            let mut steps = test.sections.iter().flat_map(|section| &section.steps);
            steps.all(|step| step.transaction.local == "PatientIdentityFeedTransaction")
        })
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
        for earlier in test.sections.iter().take(until) {
            self.section(test, earlier);
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

    /// Returns what stands for the symbols of a transaction.
    fn symbols(
        &mut self,
        test: &'a Test,
        section: &Section,
        transaction: &Element,
    ) -> Result<Vec<(String, String)>, String> {
        let mut symbols = self.links(test, section, transaction)?;
        // What the operator of the toolkit types in.
        for (symbol, feed) in [("$patient_id1$", "15819"), ("$patient_id2$", "15820")] {
            symbols.push((symbol.to_owned(), self.patient("", feed)?));
        }
        symbols.push(("$patientid$".to_owned(), self.default_patient(test, section)?));
        symbols.push(("$repuid$".to_owned(), REPOSITORY.to_owned()));
        symbols.push(("$configHome$".to_owned(), format!("urn:oid:{COMMUNITY}")));
        let now = jiff::Timestamp::now();
        let after = |hours: i64| now + jiff::SignedDuration::from_hours(hours);
        for (symbol, time, format) in [
            ("$DATE$", now, "%Y%m%d"),
            ("$lastyear$", after(-365 * 24), "%Y"),
            // Bounds of time exclude what is at them.
            ("$now$", after(1), "%Y%m%d%H%M%S"),
        ] {
            symbols.push((symbol.to_owned(), time.strftime(format).to_string()));
        }
        // Longer symbols first: `$a$` may begin as `$a` does. Those of the plan before the operator's.
        symbols.sort_by_key(|(symbol, _)| std::cmp::Reverse(symbol.len()));
        Ok(symbols)
    }

    /// Returns what earlier plans left behind, as an element refers to it.
    fn links(
        &mut self,
        test: &'a Test,
        section: &Section,
        element: &Element,
    ) -> Result<Vec<(String, String)>, String> {
        let mut symbols = Vec::new();
        for link in element.elements() {
            let attribute = |name: &str| link.attribute(name).unwrap_or_default().to_owned();
            match link.local.as_str() {
                "UseReport" => {
                    let of = link.attribute("test").unwrap_or(&test.name).to_owned();
                    let this = |name: String| if name == "THIS" { section.name.clone() } else { name };
                    let value = if self.is_feed(&of) {
                        if !SHARED_FEEDS.contains(&of.as_str()) && !submits(test) {
                            return Err("asks for documents that the operator has".to_owned());
                        }
                        self.patient(&test.name, &of)?
                    } else {
                        let name = attribute("reportName");
                        let trace = self.trace(&of, &this(attribute("section")), &attribute("step"))?;
                        let missing = || format!("needs the report {name} of {of}, which was not made");
                        trace.reports.get(&name).cloned().ok_or_else(missing)?
                    };
                    symbols.push((attribute("useAs"), value));
                }
                "UseId" => {
                    let folder = attribute("testdir");
                    let mut parts: Vec<&str> =
                        folder.split('/').filter(|p| !p.is_empty() && *p != "..").collect();
                    let of_section = parts.pop().unwrap_or(&section.name).to_owned();
                    let of_test = parts.pop().unwrap_or(&test.name).to_owned();
                    let id = attribute("id");
                    let trace = self.trace(&of_test, &of_section, &attribute("step"))?;
                    let found = match attribute("section").as_str() {
                        "AssignedUids" => trace.assigned.uids.get(&id),
                        "AssignedUuids" => trace.assigned.uuids.get(&id),
                        _ => trace.assigned.patients.get(&id),
                    };
                    let missing = || format!("needs the {} of {id} in {of_section}", attribute("section"));
                    symbols.push((attribute("symbol"), found.cloned().ok_or_else(missing)?));
                }
                "UseXPath" => {
                    let folder = attribute("testdir");
                    let mut parts = folder.split('/').filter(|p| !p.is_empty() && *p != "..");
                    let of_test = parts.next().unwrap_or(&test.name).to_owned();
                    let of_section = parts.next().map(str::to_owned);
                    let value = self.selected(&of_test, of_section, &attribute("step"), &link.text())?;
                    symbols.push((attribute("symbol"), value));
                }
                _ => {}
            }
        }
        Ok(symbols)
    }

    /// Returns what an expression selects in the log of a section, or of the
    /// only one that a test has.
    fn selected(
        &mut self,
        test: &str,
        section: Option<String>,
        step: &str,
        expression: &str,
    ) -> Result<String, String> {
        let of = *self.tests.get(test).ok_or_else(|| format!("needs the test {test}, which is not here"))?;
        let section = section.as_deref().and_then(|name| of.sections.iter().find(|s| s.name == name));
        let section = section.or(of.sections.first()).ok_or("needs a test without sections")?;
        self.trace(test, &section.name, step)?;
        expected::text(&self.log(of, section), expression)
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
            let reply =
                self.peer.send(kind.path, kind.action, headers, request, parts, assertion.as_deref())?;
            trace.received = reply.body.as_ref().map(Element::to_xml).unwrap_or_default();
            wrong.extend(judge(step, &reply));
            wrong.extend(self.entries(test, section, transaction, &reply)?);
            if ["RetrieveTransaction", "XCRTransaction"].contains(&kind.name) {
                wrong.extend(retrieved(transaction, section, &reply, &symbols)?);
            }
        }
        self.report(&mut trace, transaction)?;
        self.traces.insert(key, trace);
        wrong.extend(self.assertions(test, section, transaction, &symbols));
        Ok(wrong)
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

    /// Keeps what later plans ask for.
    fn report(&self, trace: &mut Trace, transaction: &Element) -> Result<(), String> {
        for (of, suffix) in [(&trace.assigned.uuids, "_uuid"), (&trace.assigned.uids, "_uid")] {
            trace.reports.extend(of.iter().map(|(id, value)| (format!("{id}{suffix}"), value.clone())));
        }
        // What the toolkit knows of the site that it tests.
        for (name, value) in
            [("$testdata_home$", format!("urn:oid:{COMMUNITY}")), ("$testdata_repid$", REPOSITORY.to_owned())]
        {
            trace.reports.insert(name.to_owned(), value);
        }
        for report in transaction.children_named("", "Report") {
            let of = if report.attribute("section") == Some("InputMetadata") {
                &trace.sent
            } else {
                &trace.received
            };
            if of.is_empty() {
                continue;
            }
            let value = expected::text(&format!("<Section>{of}</Section>"), &report.text())?;
            trace.reports.insert(report.attribute("name").unwrap_or_default().to_owned(), value);
        }
        Ok(())
    }

    /// Returns what was sent and received in a section, as the toolkit logs it.
    fn log(&self, test: &Test, section: &Section) -> String {
        let mut log = String::from("<TestResults>");
        for step in &section.steps {
            let key = (test.name.clone(), section.name.clone(), step.id.clone());
            if let Some(Trace { kind, sent, received, .. }) = self.traces.get(&key) {
                log.push_str(&format!(
                    "<TestStep id=\"{0}\"><{kind} step=\"{0}\"><InputMetadata>{sent}</InputMetadata>\
                     <Result>{received}</Result></{kind}></TestStep>",
                    step.id
                ));
            }
        }
        log.push_str("</TestResults>");
        log
    }

    /// Evaluates the assertions of a step on the log of its section.
    fn assertions(
        &self,
        test: &Test,
        section: &Section,
        transaction: &Element,
        symbols: &[(String, String)],
    ) -> Vec<String> {
        let log = self.log(test, section);
        let all = transaction.children_named("", "Assertions").flat_map(|a| a.children_named("", "Assert"));
        let mut wrong = Vec::new();
        for assertion in all {
            let mut text = assertion.text();
            for (symbol, value) in symbols {
                text = text.replace(symbol, value);
            }
            match expected::holds(&log, &text) {
                Ok(true) => {}
                Ok(false) => {
                    wrong.push(format!("not: {}", text.split_whitespace().collect::<Vec<_>>().join(" ")))
                }
                Err(why) => wrong.push(why),
            }
        }
        wrong
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

/// Compares an answer with the status, errors and objects that are expected.
fn judge(step: &Step, reply: &Reply) -> Vec<String> {
    let (mut wrong, outcome, errors) = (Vec::new(), reply.outcome(), reply.errors());
    let expected: Vec<&str> = step.status.split(',').map(str::trim).filter(|s| !s.is_empty()).collect();
    if !expected.is_empty() && !expected.contains(&outcome.as_str()) {
        let told: Vec<String> = errors.iter().map(|(code, context)| format!("{code}: {context}")).collect();
        wrong.push(format!("{outcome} instead of {}: {}", step.status, told.join(" | ")));
    }
    let is_told =
        |error: &String| errors.iter().any(|(code, context)| code == error || context.contains(error));
    if !step.errors.is_empty() && !step.errors.iter().any(is_told) {
        let told: Vec<&str> = errors.iter().map(|(code, _)| code.as_str()).collect();
        wrong.push(format!("errors {told:?} instead of {:?}", step.errors));
    }
    if let (Some(body), Some(expected)) = (&reply.body, step.transaction.child("", "ExpectedContents")) {
        wrong.extend(expected::contents(body, expected));
    }
    wrong
}

/// Compares the documents that came with those that were sent.
fn retrieved(
    transaction: &Element,
    section: &Section,
    reply: &Reply,
    symbols: &[(String, String)],
) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    let responses = reply.body.iter().flat_map(|body| body.children_named(XDSB, "DocumentResponse"));
    let responses: Vec<&Element> = responses.collect();
    let bytes = |response: &Element| {
        let part = response.child(XDSB, "Document").and_then(included)?;
        reply.documents.iter().find(|(id, _)| *id == part).map(|(_, bytes)| bytes)
    };
    for reference in transaction.children_named("", "ReferenceDocument") {
        let uid = reference.attribute("uid").unwrap_or_default();
        let uid = symbols.iter().find(|(symbol, _)| symbol == uid).map_or(uid, |(_, value)| value);
        let text = reference.text();
        let places = [section.folder.join(&text), section.folder.join("..").join(&text)];
        let path = places.iter().find(|p| p.is_file()).ok_or_else(|| format!("{text} is not there"))?;
        let sent = std::fs::read(path).map_err(|e| e.to_string())?;
        let response = responses.iter().find(|r| r.text_of(XDSB, "DocumentUniqueId").as_deref() == Some(uid));
        match response.and_then(|r| bytes(r)) {
            None => wrong.push(format!("the document {uid} did not come")),
            Some(came) if *came != sent => {
                wrong.push(format!(
                    "the document {uid} is another: {} bytes, not {}",
                    came.len(),
                    sent.len()
                ));
            }
            Some(_) => {}
        }
    }
    if let Some(expected) = transaction.text_of("", "ExpectedMimeType") {
        let types = responses.iter().filter_map(|r| r.text_of(XDSB, "mimeType"));
        wrong.extend(types.filter(|t| *t != expected).map(|t| format!("{t} instead of {expected}")));
    }
    Ok(wrong)
}
