//! Custom search parameters, from the SearchParameter that is stored to the
//! resources that are found.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_model::interaction::{
    Body, BundleRequest, Caller, CreateRequest, Criteria, FhirApi, Handling, Interaction, PatchDocument,
    PatchRequest, Performed, Scope, SearchRequest, Target, UpdateRequest,
};
use fhir_model::outcome::{Issue, Reason};
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::{TypeId, ty};
use serde_json::{Value, json};

use super::running::{BASE, Running, tree};
use crate::metrics::Numbers;
use crate::storage::{Store, StoreSettings, stale_types, stored_parameters};

const EYES: &str = "http://example.org/eye-colour";
const COLOURS: [&str; 3] = ["blue", "brown", "green"];

impl Running {
    fn transact(&self, resources: &[Value]) -> Result<Performed, Issue> {
        let entries: Vec<Value> = resources
            .iter()
            .map(|r| {
                let url = format!(
                    "{}/{}",
                    r["resourceType"].as_str().unwrap_or(""),
                    r["id"].as_str().unwrap_or("")
                );
                json!({ "resource": r, "request": { "method": "PUT", "url": url } })
            })
            .collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        self.perform(Interaction::Bundle(BundleRequest {
            bundle: tree(&bundle),
            handling: Handling::Strict,
            contents: Vec::new(),
        }))
    }

    fn ask(&self, of: TypeId, query: &[(&str, &str)], handling: Handling) -> Result<Value, Issue> {
        let parameters = query.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let request = SearchRequest { scope: Scope::Type(of), parameters, handling };
        let Body::Json(json) = self.perform(Interaction::Search(request))?.body else { panic!("no body") };
        Ok(serde_json::from_slice(&json).expect("JSON"))
    }

    /// The ids of the resources found, sorted; or what was wrong.
    fn found(&self, of: TypeId, name: &str, value: &str) -> Result<Vec<String>, String> {
        let bundle = self.ask(of, &[(name, value), ("_count", "1000")], Handling::Strict);
        let bundle = bundle.map_err(|issue| issue.diagnostics)?;
        let entries = bundle["entry"].as_array().into_iter().flatten();
        let mut ids: Vec<String> =
            entries.filter_map(|e| e["resource"]["id"].as_str().map(str::to_owned)).collect();
        ids.sort();
        Ok(ids)
    }

    fn number(&self, name: &str) -> f64 {
        self.server.numbers().iter().find(|n| n.name == name).expect("a number").value
    }

    /// Waits until a search is not refused because of indexing.
    fn settled(&self, of: TypeId, name: &str, value: &str) -> Result<Vec<String>, String> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match self.found(of, name, value) {
                Err(why) if why.contains("being indexed") && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                other => return other,
            }
        }
    }

    /// Waits until nothing is left to be indexed.
    fn idle(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        let mut reader = self.store().reader().expect("reader");
        while !stale_types(&mut reader).expect("stale").is_empty() {
            assert!(Instant::now() < end, "still indexing");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn store(&self) -> &Arc<Store> {
        self.server.store()
    }

    /// Holds the writer until the answer is dropped.
    fn hold(&self) -> Held {
        let (release, released) = crossbeam_channel::bounded::<()>(0);
        let (begin, begun) = crossbeam_channel::bounded::<()>(0);
        let store = Arc::clone(self.store());
        let thread = std::thread::spawn(move || {
            let held = store.write_blocking(move |_| {
                drop(begin);
                let _ = released.recv();
                Ok(())
            });
            held.expect("the writer is held");
        });
        let _ = begun.recv();
        Held { release: Some(release), thread: Some(thread) }
    }

    fn capability(&self, of: &str, code: &str) -> Option<Value> {
        let Body::Json(json) = self.perform(Interaction::Capabilities).expect("statement").body else {
            panic!("no body")
        };
        let statement: Value = serde_json::from_slice(&json).expect("JSON");
        let resources = statement["rest"][0]["resource"].as_array().expect("resources");
        let resource = resources.iter().find(|r| r["type"] == of).expect("type");
        let parameters = resource["searchParam"].as_array().expect("parameters");
        parameters.iter().find(|p| p["name"] == code).cloned()
    }
}

struct Held {
    release: Option<crossbeam_channel::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release.take();
        self.thread.take().into_iter().for_each(|t| t.join().expect("released"));
    }
}

fn patient(number: usize) -> Value {
    let colour = COLOURS[number % COLOURS.len()];
    json!({
        "resourceType": "Patient",
        "id": format!("p{number:04}"),
        "gender": "female",
        "extension": [{ "url": EYES, "valueCode": colour }, { "url": "http://example.org/o", "valueCode": "blue" }],
    })
}

fn ids_of(colour: &str, count: usize) -> Vec<String> {
    (0..count).filter(|n| COLOURS[n % COLOURS.len()] == colour).map(|n| format!("p{n:04}")).collect()
}

fn parameter(id: &str, code: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut parameter = json!({
        "resourceType": "SearchParameter",
        "id": id,
        "url": format!("http://example.org/fhir/SearchParameter/{id}"),
        "name": "n",
        "description": "d",
        "status": "active",
        "code": code,
        "base": ["Patient"],
        "type": "token",
        "expression": format!("Patient.extension.where(url = '{EYES}').value"),
    });
    change(&mut parameter);
    parameter
}

fn with_patients(folder: &Path, count: usize) -> Running {
    let running = Running::start(folder);
    let all: Vec<Value> = (0..count).map(patient).collect();
    for some in all.chunks(500) {
        running.transact(some).expect("stored");
    }
    running
}

#[test]
fn a_parameter_comes_and_goes() {
    let folder = tempfile::tempdir().expect("folder");
    let running = with_patients(folder.path(), 200);
    let unknown = running.found(ty::PATIENT, "eyes", "blue").expect_err("unknown");
    assert!(unknown.contains("is not defined"), "{unknown}");

    let stored = running.put(&parameter("eyes", "eyes", |_| {})).expect("stored");
    assert!(stored.issues.iter().any(|i| i.diagnostics.contains("are indexed")), "{:?}", stored.issues);
    assert_eq!(running.settled(ty::PATIENT, "eyes", "blue"), Ok(ids_of("blue", 200)));
    assert_eq!(running.number("lanterna_reindex_resources_total"), 200.0);
    assert_eq!(running.number("lanterna_reindex_resources_remaining"), 0.0);
    assert_eq!(running.number("lanterna_custom_search_parameters"), 1.0);
    let listed = running.capability("Patient", "eyes").expect("listed");
    assert_eq!(listed["definition"], "http://example.org/fhir/SearchParameter/eyes");
    assert!(listed["documentation"].is_null(), "{listed}");
    assert!(running.capability("Observation", "eyes").is_none());

    let created = running
        .create(&json!({ "resourceType": "Patient", "extension": [{ "url": EYES, "valueCode": "blue" }] }));
    assert!(created.is_ok());
    assert_eq!(
        running.found(ty::PATIENT, "eyes", "blue").map(|f| f.len()),
        Ok(ids_of("blue", 200).len() + 1)
    );
    assert_eq!(running.found(ty::PATIENT, "eyes:missing", "true"), Ok(vec![]));

    running.delete(ty::SEARCH_PARAMETER, "eyes");
    let unknown = running.found(ty::PATIENT, "eyes", "blue").expect_err("deleted");
    assert!(unknown.contains("is not defined"), "{unknown}");
    assert!(running.capability("Patient", "eyes").is_none());
    running.idle();
    // Stored without it, and found when it comes back.
    running.put(&patient(300)).expect("stored");
    running.put(&parameter("eyes", "eyes", |_| {})).expect("stored again");
    let mut expected = ids_of("blue", 200);
    expected.push("p0300".to_owned());
    let found = running.settled(ty::PATIENT, "eyes", "blue").expect("found");
    assert!(expected.iter().all(|id| found.contains(id)) && found.len() == expected.len() + 1, "{found:?}");

    // Changed, retired by a patch, and back.
    let other = |p: &mut Value| {
        p["expression"] = json!("Patient.extension.where(url = 'http://example.org/o').value")
    };
    running.put(&parameter("eyes", "eyes", other)).expect("changed");
    assert_eq!(running.settled(ty::PATIENT, "eyes", "blue").map(|f| f.len()), Ok(201));
    let patch = PatchRequest {
        resource_type: ty::SEARCH_PARAMETER,
        target: Target::Id(ResourceId::parse("eyes").expect("id")),
        document: PatchDocument::Json(r#"[{"op":"replace","path":"/status","value":"retired"}]"#.into()),
        if_match: None,
    };
    running.perform(Interaction::Patch(patch)).expect("retired");
    assert!(running.found(ty::PATIENT, "eyes", "blue").is_err());
    running.idle();
    running.put(&parameter("eyes", "eyes", |p| p["status"] = json!("draft"))).expect("a draft");
    assert_eq!(running.settled(ty::PATIENT, "eyes", "green"), Ok(ids_of("green", 200)));
}

#[test]
fn while_it_is_indexed_nothing_is_missed_in_silence() {
    let folder = tempfile::tempdir().expect("folder");
    let running = with_patients(folder.path(), 1000);
    running.put(&parameter("eyes", "eyes", |_| {})).expect("stored");
    let held = running.hold();
    let query = [("eyes", "blue")];
    let strict = running.ask(ty::PATIENT, &query, Handling::Strict).expect_err("not indexed yet");
    assert!(strict.diagnostics.contains("being indexed"), "{strict}");
    assert_eq!(crate::rest::outcome::status(&strict), 503);
    assert!(strict.retry_after_seconds.is_some());
    let lenient = running.ask(ty::PATIENT, &query, Handling::Lenient).expect("answered").to_string();
    assert!(lenient.contains("being indexed") && lenient.contains("warning"), "{lenient}");
    for (of, name, value) in [
        (ty::PATIENT, "_sort", "eyes"),
        (ty::PATIENT, "_filter", "eyes eq blue"),
        (ty::PATIENT, "eyes:missing", "true"),
        (ty::OBSERVATION, "subject:Patient.eyes", "blue"),
        (ty::OBSERVATION, "subject.eyes", "blue"),
        (ty::PATIENT, "_has:Patient:link:eyes", "blue"),
    ] {
        let found = running.found(of, name, value);
        assert!(found.as_ref().is_err_and(|why| why.contains("being indexed")), "{name}: {found:?}");
    }
    // A condition that cannot be decided stores nothing.
    let conditional = running.perform(Interaction::Create(CreateRequest {
        resource_type: ty::PATIENT,
        resource: tree(&json!({ "resourceType": "Patient" })),
        if_none_exist: Some(Criteria(vec![("eyes".to_owned(), "blue".to_owned())])),
    }));
    assert!(conditional.is_err_and(|issue| issue.diagnostics.contains("being indexed")));
    assert!(running.capability("Patient", "eyes").is_some_and(|p| p["documentation"].is_string()));
    drop(held);
    // Written while it is indexed: changed, deleted and new ones.
    running.put(&json!({ "resourceType": "Patient", "id": "p0999" })).expect("changed");
    running.delete(ty::PATIENT, "p0000");
    running.put(&patient(1002)).expect("new");
    let mut expected = ids_of("blue", 1003);
    expected.retain(|id| id != "p0999" && id != "p0000");
    assert_eq!(running.settled(ty::PATIENT, "eyes", "blue"), Ok(expected));
}

/// Ends a server while it indexes; tells whether that was in the middle. The
/// step that waits for the writer is the last one, if it came to wait in time.
fn ended_while_indexing(folder: &std::path::Path, time: Duration) -> bool {
    let running = with_patients(folder, 1000);
    running.put(&parameter("eyes", "eyes", |_| {})).expect("stored");
    let held = running.hold();
    let ending = std::thread::spawn(move || drop(running));
    std::thread::sleep(time);
    drop(held);
    ending.join().expect("ended");
    let store = Store::open(&StoreSettings::of(folder)).expect("store");
    let mut reader = store.reader().expect("reader");
    let stale = stale_types(&mut reader).expect("stale");
    let stored = stored_parameters(&mut reader).expect("stored");
    assert!(stale.len() == 1 && stored.len() == 1 && !stored[0].is_indexed, "it did not end too late");
    stale[0].position > 0
}

#[test]
fn indexing_goes_on_after_a_restart() {
    // A busy machine may need longer to come to the step.
    let folder = [300, 3_000, 20_000].into_iter().find_map(|millis| {
        let folder = tempfile::tempdir().expect("folder");
        ended_while_indexing(folder.path(), Duration::from_millis(millis)).then_some(folder)
    });
    let folder = folder.expect("it was to end in the middle");

    let running = Running::start(folder.path());
    assert_eq!(running.settled(ty::PATIENT, "eyes", "brown"), Ok(ids_of("brown", 1000)));
    let done = running.number("lanterna_reindex_resources_total");
    assert!((1.0..=800.0).contains(&done), "it went on where it ended: {done}");
    drop(running);
    // When all is done, a start has nothing to do.
    let running = Running::start(folder.path());
    assert_eq!(running.found(ty::PATIENT, "eyes", "brown"), Ok(ids_of("brown", 1000)));
    running.put(&patient(1000)).expect("stored");
    assert_eq!(running.found(ty::PATIENT, "eyes", "brown"), Ok(ids_of("brown", 1001)));
    assert_eq!(running.number("lanterna_reindex_resources_total"), 0.0);
}

#[test]
fn what_cannot_be_used_is_refused_when_it_is_active() {
    let folder = tempfile::tempdir().expect("folder");
    let running = Running::start(folder.path());
    let nonsense = |p: &mut Value| p["expression"] = json!("Patient.colour");
    let component = |p: &mut Value| {
        p["type"] = json!("composite");
        p["expression"] = json!("Patient");
        p["component"] = json!([
            { "definition": "http://example.org/fhir/SearchParameter/eyes", "expression": "gender" },
            { "definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "expression": "gender" },
        ]);
    };
    let draft = |change: fn(&mut Value)| {
        move |p: &mut Value| {
            change(p);
            p["status"] = json!("draft");
        }
    };
    for (what, why, at) in [
        (parameter("x", "x", nonsense), "colour", "SearchParameter.expression"),
        (parameter("x", "x", component), "not known", "SearchParameter.component.definition"),
        (parameter("x", "_x", |_| {}), "code", "SearchParameter"),
        (parameter("x", "gender", |p| p["type"] = json!("string")), "of type token", "SearchParameter"),
    ] {
        let issue = running.put(&what).expect_err(why);
        assert!(issue.diagnostics.contains(why), "{issue}");
        assert_eq!((issue.reason, &*issue.expression), (Reason::Unprocessable, &[at.to_owned()][..]));
        let issue = running.transact(&[patient(0), what]).expect_err(why);
        assert_eq!(issue.expression, [format!("Bundle.entry[1].resource/{at}")]);
    }
    assert_eq!(running.found(ty::PATIENT, "_id", "p0000"), Ok(vec![]), "the transactions are undone");
    assert_eq!(running.number("lanterna_custom_search_parameters"), 0.0);

    // What is not active is stored, and says why it is not used.
    for (what, why) in [
        (parameter("x", "x", draft(|p| p["expression"] = json!("Patient.colour"))), "colour"),
        (parameter("y", "x", |p| p["status"] = json!("retired")), "by its status"),
        (
            parameter("z", "gender", |p| {
                p["url"] = json!("http://hl7.org/fhir/SearchParameter/individual-gender");
                p["expression"] = json!("Patient.language");
            }),
            "standard parameter",
        ),
    ] {
        let stored = running.put(&what).expect(why);
        assert!(stored.issues.iter().any(|i| i.diagnostics.contains(why)), "{why}: {:?}", stored.issues);
    }
    assert!(running.found(ty::PATIENT, "x", "blue").is_err());
    // The parts may come with the composite, and go.
    let both = [parameter("both", "both", component), parameter("eyes", "eyes", |_| {})];
    running.transact(&both).expect("usable together");
    assert_eq!(running.settled(ty::PATIENT, "both", "a$b"), Ok(vec![]));
    running.delete(ty::SEARCH_PARAMETER, "eyes");
    assert!(running.found(ty::PATIENT, "both", "a$b").is_err());
    running.put(&patient(1)).expect("stored");
    running.put(&json!({ "resourceType": "Patient", "id": "f", "gender": "female" })).expect("stored");
    running.put(&parameter("eyes", "eyes", |_| {})).expect("back");
    assert_eq!(
        running.settled(ty::PATIENT, "both", "female$female"),
        Ok(vec!["f".to_owned(), "p0001".to_owned()])
    );
}

#[test]
fn a_standard_parameter_is_replaced_and_comes_back() {
    let folder = tempfile::tempdir().expect("folder");
    let running = with_patients(folder.path(), 300);
    let observation = json!({
        "resourceType": "Observation", "id": "o", "status": "final", "code": { "text": "t" },
        "subject": { "reference": "Patient/p0001" },
    });
    running.put(&observation).expect("stored");
    running.put(&parameter("g", "gender", |_| {})).expect("stored");
    let end = Instant::now() + Duration::from_secs(60);
    // Until it is indexed the standard one answers; never an error, never a part.
    while running.found(ty::PATIENT, "gender", "blue") != Ok(ids_of("blue", 300)) {
        let female = running.found(ty::PATIENT, "gender", "female").map(|f| f.len());
        assert!(matches!(female, Ok(0 | 300)), "{female:?}");
        assert!(Instant::now() < end, "never replaced");
    }
    let listed = running.capability("Patient", "gender").expect("listed");
    assert_eq!(listed["definition"], "http://example.org/fhir/SearchParameter/g");
    // A path that is indexed already is searched by at once.
    running.put(&parameter("s", "sex", |p| p["expression"] = json!("Patient.gender"))).expect("stored");
    assert_eq!(running.found(ty::PATIENT, "sex", "female").map(|f| f.len()), Ok(300));
    // Compartments stay with the standard parameters.
    let links = |p: &mut Value| {
        p["base"] = json!(["Observation"]);
        p["type"] = json!("reference");
        p["expression"] = json!("Observation.performer");
    };
    running.put(&parameter("subject", "subject", links)).expect("stored");
    running.idle();
    assert_eq!(running.found(ty::OBSERVATION, "subject", "Patient/p0001"), Ok(vec![]));
    let focus = fhir_model::interaction::ResourceKey {
        resource_type: ty::PATIENT,
        id: ResourceId::parse("p0001").expect("id"),
    };
    let scope = Scope::Compartment { focus, member: Some(ty::OBSERVATION) };
    let request = SearchRequest { scope, parameters: Vec::new(), handling: Handling::Strict };
    let Body::Json(json) = running.perform(Interaction::Search(request)).expect("answer").body else {
        panic!("no body")
    };
    let bundle: Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(bundle["entry"][0]["resource"]["id"], "o");

    running.delete(ty::SEARCH_PARAMETER, "g");
    running.delete(ty::SEARCH_PARAMETER, "subject");
    assert_eq!(running.found(ty::PATIENT, "gender", "female").map(|f| f.len()), Ok(300));
    assert_eq!(running.found(ty::OBSERVATION, "subject", "Patient/p0001"), Ok(vec!["o".to_owned()]));
}

/// Many threads store patients while parameters come and go: whatever was
/// acknowledged is found, however it met the change.
#[test]
fn writes_that_meet_a_change_are_found() {
    let folder = tempfile::tempdir().expect("folder");
    let running = with_patients(folder.path(), 50);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let stored = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let (server, stop) = (running.server.clone(), &stop);
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
                    let caller = Caller::new("test", BASE);
                    let mut stored = Vec::new();
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let mut patient = patient(0);
                        let id = format!("w{thread}-{}", stored.len());
                        patient["id"] = json!(id);
                        runtime
                            .block_on(server.perform(
                                &caller,
                                Interaction::Update(UpdateRequest {
                                    resource_type: ty::PATIENT,
                                    target: Target::Id(ResourceId::parse(&id).expect("id")),
                                    resource: tree(&patient),
                                    if_match: None,
                                    if_none_exist: false,
                                }),
                            ))
                            .expect("stored");
                        stored.push(id);
                        std::thread::sleep(Duration::from_millis(3));
                    }
                    stored
                })
            })
            .collect();
        for round in 0..4 {
            running.put(&parameter("eyes", &format!("eyes{round}"), |_| {})).expect("renamed");
            running.settled(ty::PATIENT, &format!("eyes{round}"), "none").expect("indexed");
            running.delete(ty::SEARCH_PARAMETER, "eyes");
        }
        running.put(&parameter("eyes", "eyes", |_| {})).expect("stored");
        std::thread::sleep(Duration::from_millis(20));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writers.into_iter().flat_map(|w| w.join().expect("writer")).collect::<Vec<String>>()
    });
    running.settled(ty::PATIENT, "eyes", "none").expect("indexed");
    let missing =
        running.ask(ty::PATIENT, &[("eyes:missing", "true"), ("_summary", "count")], Handling::Strict);
    let have = running.ask(ty::PATIENT, &[("eyes", "blue"), ("_summary", "count")], Handling::Strict);
    assert_eq!(missing.expect("count")["total"], 0);
    assert_eq!(have.expect("count")["total"], stored.len() + ids_of("blue", 50).len());
    assert!(!stored.is_empty());
}

/// A write that was prepared before a parameter came, and is applied when the
/// indexing has already read what was there before.
#[test]
fn a_write_prepared_before_the_change_is_indexed_by_it() {
    let folder = tempfile::tempdir().expect("folder");
    let running = with_patients(folder.path(), 10);
    let queued = |jobs: usize| {
        while running.store().statistics().1 < jobs {
            std::thread::yield_now();
        }
    };
    let put = |resource: Value| {
        let server = running.server.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let caller = Caller::new("test", BASE);
            let id = ResourceId::parse(resource["id"].as_str().expect("id")).expect("id");
            let resource = tree(&resource);
            let update = UpdateRequest {
                resource_type: resource.resource_type(),
                target: Target::Id(id),
                resource,
                if_match: None,
                if_none_exist: false,
            };
            runtime.block_on(server.perform(&caller, Interaction::Update(update))).expect("stored");
        }
    };
    std::thread::scope(|scope| {
        let store = running.store();
        let held = running.hold();
        scope.spawn(put(parameter("eyes", "eyes", |_| {})));
        queued(1);
        // Ends the commit with the parameter, as it lasts long enough.
        let pause = |millis| {
            move || {
                store
                    .write_blocking(move |_| {
                        std::thread::sleep(Duration::from_millis(millis));
                        Ok(())
                    })
                    .expect("paused");
            }
        };
        scope.spawn(pause(60));
        queued(2);
        // Meanwhile the indexing reads what is there.
        scope.spawn(pause(400));
        queued(3);
        let mut changed = patient(0);
        changed["gender"] = json!("male");
        scope.spawn(put(changed));
        queued(4);
        drop(held);
    });
    assert_eq!(running.settled(ty::PATIENT, "eyes", "blue"), Ok(ids_of("blue", 10)));
}
