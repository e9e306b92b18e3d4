//! Many clients at once: conditional creates, version-aware updates, and
//! readers that page while others write.
//!
//! `LANTERNA_RACE_ROUNDS` says how many rounds (20 without it).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tests::{Answer, Client, Numbers, Server, repeats};

const CLIENTS: usize = 64;

/// Sends from all clients at once and returns the answers.
fn at_once(
    server: &Server,
    send: impl Fn(&Client, usize) -> Answer + Sync,
    rounds: usize,
    mut check: impl FnMut(usize, Vec<Answer>),
) {
    let barrier = Barrier::new(CLIENTS);
    let (barrier, send) = (&barrier, &send);
    let mut by_round: Vec<Vec<Answer>> = (0..rounds).map(|_| Vec::new()).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let client = server.client();
                scope.spawn(move || {
                    (0..rounds)
                        .map(|round| {
                            barrier.wait();
                            send(&client, round)
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        for thread in threads {
            for (round, answer) in thread.join().expect("client").into_iter().enumerate() {
                by_round[round].push(answer);
            }
        }
    });
    for (round, answers) in by_round.into_iter().enumerate() {
        check(round, answers);
    }
}

#[test]
fn a_conditional_create_creates_one() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let rounds = repeats("LANTERNA_RACE_ROUNDS", 20);
    let create = |client: &Client, round: usize| {
        let condition = format!("identifier=urn:race|{round}");
        let body = json!({"resourceType": "Patient", "identifier": [{"system": "urn:race", "value": round.to_string()}]});
        // Half of the rounds in a transaction: the same gate, another way in.
        if round.is_multiple_of(2) {
            return client.json("POST", "Patient", &[("if-none-exist", &condition)], &body).expect("answer");
        }
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"request": {"method": "POST", "url": "Patient", "ifNoneExist": condition}, "resource": body}]});
        client.json("POST", "", &[], &bundle).expect("answer")
    };
    at_once(&server, create, rounds, |round, answers| {
        let told = |answer: &Answer| -> (String, String) {
            if round.is_multiple_of(2) {
                return (answer.status.to_string(), answer.id());
            }
            let response = &answer.json()["entry"][0]["response"];
            let location = response["location"].as_str().unwrap_or_default().to_owned();
            let id = location
                .split("/Patient/")
                .nth(1)
                .and_then(|r| r.split('/').next())
                .unwrap_or_default()
                .to_owned();
            (response["status"].as_str().unwrap_or_default()[..3].to_owned(), id)
        };
        let told: Vec<(String, String)> = answers.iter().map(told).collect();
        let created = told.iter().filter(|(status, _)| status == "201").count();
        let ids: BTreeSet<&String> = told.iter().map(|(_, id)| id).collect();
        assert_eq!((created, ids.len()), (1, 1), "round {round}: {told:?}");
        assert!(told.iter().all(|(status, _)| status == "201" || status == "200"), "round {round}: {told:?}");
    });
    let total = server.client().get("Patient?_summary=count").json()["total"].as_u64();
    assert_eq!(total, Some(rounds as u64));
    println!("{rounds} rounds of {CLIENTS} clients");
}

#[test]
fn one_version_aware_update_wins() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    let id = client.create(&json!({"resourceType": "Patient"})).id();
    let rounds = repeats("LANTERNA_RACE_ROUNDS", 20);
    let update = |client: &Client, round: usize| {
        let etag = format!("W/\"{}\"", round + 1);
        let unique = format!("{:?}", std::thread::current().id());
        let body = json!({"resourceType": "Patient", "id": id, "name": [{"family": unique, "given": [round.to_string()]}]});
        client.json("PUT", &format!("Patient/{id}"), &[("if-match", &etag)], &body).expect("answer")
    };
    at_once(&server, update, rounds, |round, answers| {
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for answer in &answers {
            *statuses.entry(answer.status).or_default() += 1;
        }
        assert_eq!(statuses, BTreeMap::from([(200, 1), (412, CLIENTS - 1)]), "round {round}");
    });
    let current =
        client.get(&format!("Patient/{id}")).json()["meta"]["versionId"].as_str().map(str::to_owned);
    assert_eq!(current, Some((rounds + 1).to_string()), "versions are contiguous");
    assert_eq!(client.get(&format!("Patient/{id}/_history/{rounds}")).status, 200);
}

fn family(number: usize, generation: u64) -> Value {
    json!({"resourceType": "Patient", "active": true, "birthDate": format!("{}-01-01", 1900 + number % 100),
        "name": [{"family": format!("F{number}"), "given": [generation.to_string()]}]})
}

/// Follows `next` links and returns the ids in the order shown.
fn pages(client: &Client, first: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut url = first.to_owned();
    for _ in 0..10_000 {
        let answer = client.get(&url);
        assert_eq!(answer.status, 200, "{url}: {}", String::from_utf8_lossy(&answer.body));
        let bundle = answer.json();
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            ids.push(entry["resource"]["id"].as_str().unwrap_or_default().to_owned());
        }
        let links = bundle["link"].as_array().cloned().unwrap_or_default();
        match links.iter().find(|l| l["relation"] == "next").and_then(|l| l["url"].as_str()) {
            Some(next) => url = next.to_owned(),
            None => return ids,
        }
    }
    panic!("the pages do not end");
}

#[test]
fn a_reader_sees_what_was_there_throughout_exactly_once() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    let stay: Vec<String> = (0..150).map(|n| client.create(&family(n, 0)).id()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..8u64 {
            let (client, stay, stop) = (server.client(), &stay, &stop);
            scope.spawn(move || {
                let mut numbers = Numbers::new(writer + 1);
                let mut own: Vec<String> = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match numbers.below(3) {
                        0 => own.push(client.create(&family(500, numbers.below(1000))).id()),
                        1 => {
                            // Changes what stays: other name and birth date, the same resource.
                            let at = numbers.below(stay.len() as u64) as usize;
                            let mut body = family(numbers.below(100) as usize, numbers.below(1000));
                            body["id"] = json!(stay[at]);
                            let _ = client.json("PUT", &format!("Patient/{}", stay[at]), &[], &body);
                        }
                        _ => {
                            if let Some(id) = own.pop() {
                                let _ = client.send("DELETE", &format!("Patient/{id}"), &[], &[]);
                            }
                        }
                    }
                }
            });
        }
        let stopper = StopOnDrop(&stop);
        for sort in ["", "&_sort=-_lastUpdated", "&_sort=birthdate", "&_sort=family"] {
            for _ in 0..repeats("LANTERNA_PAGING_ROUNDS", 3) {
                let seen = pages(&client, &format!("Patient?active=true&_count=7{sort}"));
                let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
                for id in &seen {
                    *counts.entry(id).or_default() += 1;
                }
                for id in &stay {
                    assert_eq!(counts.get(id.as_str()), Some(&1), "{sort}: {id} of {} seen", seen.len());
                }
            }
        }
        drop(stopper);
    });
}

/// Lets the writers end also when a check fails.
struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_sent_by_all_under_one_key_is_written_once() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let rounds = repeats("LANTERNA_RACE_ROUNDS", 20);
    let send = |client: &Client, round: usize| {
        let patient = json!({ "resourceType": "Patient", "name": [{ "family": format!("N{round}") }] });
        let key = format!("\"key {round}\"");
        client.json("POST", "Patient", &[("idempotency-key", &key)], &patient).expect("answered")
    };
    let check = |round: usize, answers: Vec<Answer>| {
        let ids: BTreeSet<String> = answers.iter().map(Answer::id).collect();
        assert_eq!(ids.len(), 1, "round {round}");
        for answer in &answers {
            assert_eq!(answer.status, 201, "round {round}: {}", answer.json());
            assert_eq!(answer.header("etag"), Some("W/\"1\""), "round {round}");
            assert_eq!(answer.header("location"), answers[0].header("location"), "round {round}");
        }
    };
    at_once(&server, send, rounds, check);
    let client = server.client();
    let found = client.get("Patient?_summary=count").json();
    assert_eq!(found["total"], rounds, "{found}");
    // The same key for something else is refused, and so is what is no key.
    let other = json!({ "resourceType": "Patient", "gender": "male" });
    for (key, status) in [("\"key 0\"", 422), ("\"\"", 400)] {
        let answer = client.json("POST", "Patient", &[("idempotency-key", key)], &other).expect("answered");
        assert_eq!(answer.status, status, "{key}: {}", answer.json());
    }
    // A transaction is one thing, a batch is not.
    let entry = json!({ "resource": other, "request": { "method": "POST", "url": "Patient" } });
    let bundle = |kind: &str| json!({ "resourceType": "Bundle", "type": kind, "entry": [entry] });
    let send =
        |kind: &str| client.json("POST", "", &[("idempotency-key", kind)], &bundle(kind)).expect("answered");
    let (first, again) = (send("transaction"), send("transaction"));
    assert_eq!((first.status, first.json()), (200, again.json()));
    assert_eq!(send("batch").status, 422);
    assert_eq!(client.get("Patient?_summary=count").json()["total"], rounds + 1);
}
