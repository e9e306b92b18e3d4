//! What many clients see of each other's writes: reads, version-aware updates
//! and searches are linearizable by resource, and transactions are seen whole.
//!
//! `LANTERNA_ISOLATION_STEPS` says how many steps each client makes (120
//! without it).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tests::{Answer, Client, Numbers, Server, repeats};

const CLIENTS: u64 = 8;
const RESOURCES: u64 = 4;

/// Something that a client did with a resource and was told the outcome of.
struct Operation {
    resource: u64,
    began: Instant,
    ended: Instant,
    is_write: bool,
    version: u64,
    /// What was written or read.
    token: String,
}

fn version(resource: &Value) -> u64 {
    resource["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).expect("a version")
}

fn token(resource: &Value) -> String {
    resource["identifier"][0]["value"].as_str().expect("a token").to_owned()
}

fn written(client: &Client, id: u64, token: &str, if_match: Option<u64>) -> Answer {
    let body = json!({ "resourceType": "Patient", "id": format!("r{id}"),
        "identifier": [{ "system": "urn:token", "value": token }] });
    let etag = if_match.map(|version| format!("W/\"{version}\""));
    let headers: Vec<(&str, &str)> = etag.iter().map(|etag| ("if-match", etag.as_str())).collect();
    client.json("PUT", &format!("Patient/r{id}"), &headers, &body).expect("an answer")
}

/// Reads by id or by a search.
fn read(client: &Client, id: u64, by_search: bool) -> Value {
    if !by_search {
        return client.get(&format!("Patient/r{id}")).json();
    }
    let bundle = client.get(&format!("Patient?_id=r{id}")).json();
    assert_eq!(bundle["entry"].as_array().map(Vec::len), Some(1), "{bundle}");
    bundle["entry"][0]["resource"].clone()
}

fn steps(client: &Client, number: u64, steps: u64) -> Vec<Operation> {
    let mut numbers = Numbers::new(number + 1);
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut done = Vec::new();
    for step in 0..steps {
        let resource = numbers.below(RESOURCES);
        let kind = numbers.below(4);
        let began = Instant::now();
        if kind < 2 {
            let (by_search, of) = (kind == 1, resource);
            let found = read(client, of, by_search);
            let (version, token) = (version(&found), token(&found));
            seen.insert(resource, version);
            done.push(Operation { resource, began, ended: Instant::now(), is_write: false, version, token });
            continue;
        }
        let token = format!("{number}-{step}");
        let expected = seen.get(&resource).copied().filter(|_| kind == 3);
        let answer = written(client, resource, &token, expected);
        let ended = Instant::now();
        if answer.status == 412 {
            assert!(expected.is_some());
            seen.remove(&resource);
            continue;
        }
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        let version = version(&answer.json());
        assert!(expected.is_none_or(|expected| version == expected + 1), "{expected:?} led to {version}");
        seen.insert(resource, version);
        // Who was told that it is stored finds it, unless another version has come.
        let bundle = client.get(&format!("Patient?identifier=urn:token|{token}")).json();
        match bundle["entry"].as_array().map(Vec::as_slice) {
            Some([one]) => assert_eq!(self::version(&one["resource"]), version),
            _ => assert!(self::version(&read(client, resource, false)) > version, "{token} is not found"),
        }
        done.push(Operation { resource, began, ended, is_write: true, version, token });
    }
    done
}

#[test]
fn each_resource_is_linearizable() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    for id in 0..RESOURCES {
        assert_eq!(written(&server.client(), id, "first", None).status, 201);
    }
    let each = repeats("LANTERNA_ISOLATION_STEPS", 120) as u64;
    let mut all: Vec<Operation> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|n| {
                let client = server.client();
                scope.spawn(move || steps(&client, n, each))
            })
            .collect();
        clients.into_iter().flat_map(|c| c.join().expect("client")).collect()
    });
    println!("{} operations of {CLIENTS} clients on {RESOURCES} resources", all.len());
    all.sort_by_key(|operation| operation.began);
    for resource in 0..RESOURCES {
        let of: Vec<&Operation> = all.iter().filter(|o| o.resource == resource).collect();
        let mut tokens: BTreeMap<u64, &str> = BTreeMap::from([(1, "first")]);
        for write in of.iter().filter(|o| o.is_write) {
            assert_eq!(tokens.insert(write.version, &write.token), None, "a version was given twice");
        }
        assert!(tokens.keys().copied().eq(1..=tokens.len() as u64), "a version is missing");
        for (at, later) in of.iter().enumerate() {
            assert_eq!(tokens.get(&later.version), Some(&later.token.as_str()), "version {}", later.version);
            // Whatever had ended before it began is not newer than what it saw.
            for earlier in of.iter().take(at).filter(|earlier| earlier.ended < later.began) {
                let least = earlier.version + u64::from(later.is_write);
                assert!(later.version >= least, "version {} after {}", later.version, earlier.version);
            }
        }
    }
}

const ACCOUNTS: u64 = 5;
const EACH: i64 = 100;

fn account(id: u64, balance: i64) -> Value {
    json!({ "resourceType": "Patient", "id": format!("a{id}"), "multipleBirthInteger": balance })
}

fn sum<'v>(resources: impl Iterator<Item = &'v Value>) -> (usize, i64) {
    resources.fold((0, 0), |(count, sum), r| {
        (count + 1, sum + r["multipleBirthInteger"].as_i64().expect("a balance"))
    })
}

/// Moves an amount between two accounts in a transaction, until nobody came between.
fn transfer(client: &Client, from: u64, to: u64, amount: i64) {
    loop {
        let read = |id: u64| client.get(&format!("Patient/a{id}")).json();
        let (source, target) = (read(from), read(to));
        let put = |id: u64, before: &Value, change: i64| {
            let balance = before["multipleBirthInteger"].as_i64().expect("a balance") + change;
            json!({ "resource": account(id, balance), "request": { "method": "PUT",
                "url": format!("Patient/a{id}"), "ifMatch": format!("W/\"{}\"", version(before)) } })
        };
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
            "entry": [put(from, &source, -amount), put(to, &target, amount)] });
        let answer = client.json("POST", "", &[], &bundle).expect("an answer");
        match answer.status {
            200 => return,
            412 => {}
            status => panic!("{status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
}

#[test]
fn a_transaction_is_seen_whole() {
    let folder = tempfile::tempdir().expect("folder");
    let server = Server::start(folder.path());
    let client = server.client();
    for id in 0..ACCOUNTS {
        let path = format!("Patient/a{id}");
        assert_eq!(client.json("PUT", &path, &[], &account(id, EACH)).expect("an answer").status, 201);
    }
    let expected = (ACCOUNTS as usize, ACCOUNTS as i64 * EACH);
    let each = repeats("LANTERNA_ISOLATION_STEPS", 120) / 4;
    let (has_ended, looked) = (AtomicBool::new(false), std::sync::atomic::AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let client = server.client();
                scope.spawn(move || {
                    let mut numbers = Numbers::new(n + 100);
                    for _ in 0..each {
                        let from = numbers.below(ACCOUNTS);
                        let to = (from + 1 + numbers.below(ACCOUNTS - 1)) % ACCOUNTS;
                        transfer(&client, from, to, numbers.below(9) as i64 + 1);
                    }
                })
            })
            .collect();
        for reader in 0..2 {
            let (client, has_ended, looked) = (server.client(), &has_ended, &looked);
            scope.spawn(move || {
                while !has_ended.load(Ordering::Relaxed) {
                    let bundle = if reader == 0 {
                        client.get("Patient?_count=20").json()
                    } else {
                        let get = |id: u64| json!({ "request": { "method": "GET", "url": format!("Patient/a{id}") } });
                        let entries: Vec<Value> = (0..ACCOUNTS).map(get).collect();
                        let all = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
                        client.json("POST", "", &[], &all).expect("an answer").json()
                    };
                    let entries = bundle["entry"].as_array().expect("entries");
                    assert_eq!(sum(entries.iter().map(|e| &e["resource"])), expected, "{bundle}");
                    looked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for writer in writers {
            writer.join().expect("writer");
        }
        has_ended.store(true, Ordering::Relaxed);
    });
    println!("{} transfers, looked at {} times", 4 * each, looked.load(Ordering::Relaxed));
    let bundle = client.get("Patient").json();
    assert_eq!(sum(bundle["entry"].as_array().expect("entries").iter().map(|e| &e["resource"])), expected);
}
