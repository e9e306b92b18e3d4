//! How fast does the storage create resources, compared with plain prepared
//! inserts of the same bodies, of the same group size and durability, without
//! any index? And how long does a read by id take?
//!
//! `cargo run --release --example storage_bench [RESOURCES]` (default 60000).

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use fhir_model::interaction::ResourceKey;
use fhir_model::outcome::Issue;
use fhir_model::primitive::id::ResourceId;
use fhir_model::schema::ty;
use fhir_server::index::row::{BranchCode, EqualHash, IndexRows, Link, Pair, Span, TargetHash, Text};
use fhir_server::storage::{Dictionaries, Operation, PreparedResource, Store, StoreSettings, StoredBody};

/// Clients that write at once.
const CLIENTS: usize = 64;
/// Resources in one job of the bulk load.
const BULK_JOB: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = std::env::args().nth(1).map_or(Ok(60_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join(format!("storage-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let result = run(count, &folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn run(count: usize, folder: &Path) -> Result<(), Box<dyn Error>> {
    let bytes: usize = (0..1000).map(|n| body(n).bytes.len()).sum();
    println!("{count} Observations of {} bytes on average", bytes / 1000);

    let store = Arc::new(Store::open(&StoreSettings::of(folder.join("store")))?);
    let groups = create_from_clients(&store, 0, count)?;
    let prepared = inserts(&folder.join("plain.sqlite"), count, groups)?;
    println!("plain inserts, {groups} to a commit   {prepared:>10.0} /s");
    create_in_bulk(&store, count, count)?;
    read(&store, count * 2)?;
    let size = std::fs::metadata(folder.join("store/lanterna.sqlite"))?.len();
    println!("database                        {:>10.0} bytes a resource", size as f64 / (count * 2) as f64);
    let statistics = store.statistics().0;
    let log = statistics.log_bytes.load(Ordering::Relaxed) >> 20;
    println!("log {log} MiB, {} checkpoints", statistics.checkpoints.load(Ordering::Relaxed));
    println!("resident                        {:>10.0} MiB", resident_mib());
    Ok(())
}

/// Creates from many clients at once; returns how many came to a commit.
fn create_from_clients(store: &Arc<Store>, from: usize, count: usize) -> Result<usize, Box<dyn Error>> {
    let mut work: Vec<Vec<PreparedResource>> = vec![Vec::new(); CLIENTS];
    for n in from..from + count {
        work[n % CLIENTS].push(observation(n)?);
    }
    let commits = store.statistics().0.commits.load(Ordering::Relaxed);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let begin = Instant::now();
    let clients = work.into_iter().map(|resources| {
        let store = Arc::clone(store);
        async move {
            for resource in resources {
                store.write(move |unit| Ok(unit.create(resource, Operation::Create)?)).await?;
            }
            Ok::<(), Issue>(())
        }
    });
    runtime.block_on(futures_util::future::try_join_all(clients))?;
    let took = begin.elapsed();
    let commits = store.statistics().0.commits.load(Ordering::Relaxed) - commits;
    let group = count / usize::try_from(commits)?.max(1);
    println!("creates, {CLIENTS} clients            {:>10.0} /s, {group} to a commit", rate(count, took));
    Ok(group.max(1))
}

fn create_in_bulk(store: &Store, from: usize, count: usize) -> Result<(), Box<dyn Error>> {
    let mut jobs = Vec::new();
    for begin in (from..from + count).step_by(BULK_JOB) {
        let end = (begin + BULK_JOB).min(from + count);
        jobs.push((begin..end).map(observation).collect::<Result<Vec<_>, _>>()?);
    }
    let begin = Instant::now();
    for job in jobs {
        store.write_blocking(move |unit| {
            job.into_iter()
                .try_for_each(|r| unit.create(r, Operation::Create).map(|_| ()))
                .map_err(Issue::from)
        })?;
    }
    println!("bulk, {BULK_JOB} to a job             {:>10.0} /s", rate(count, begin.elapsed()));
    Ok(())
}

fn read(store: &Store, count: usize) -> Result<(), Box<dyn Error>> {
    const READS: usize = 200_000;
    let keys: Vec<ResourceKey> = (0..READS).map(|n| key(n * 7919 % count)).collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    let begin = Instant::now();
    for key in &keys {
        out.clear();
        store.read_current(key)?.ok_or("not there")?.write_json(&mut out)?;
    }
    let took = begin.elapsed();
    println!("read by id, one thread          {:>10.2} us", took.as_secs_f64() * 1e6 / READS as f64);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for half in keys.chunks(READS / 2) {
            scope.spawn(move || {
                let mut out = Vec::new();
                for key in half {
                    out.clear();
                    if let Ok(Some(found)) = store.read_current(key) {
                        let _ = found.write_json(&mut out);
                    }
                }
            });
        }
    });
    println!("read by id, two threads         {:>10.0} /s", rate(READS, begin.elapsed()));
    Ok(())
}

/// The table of the plain inserts.
#[allow(missing_docs, unreachable_pub)]
mod plain_table {
    diesel::table! {
        plain (key) {
            key -> BigInt,
            body -> Binary,
        }
    }
}
use plain_table::plain;

/// Inserts the bodies alone; returns how many a second.
fn inserts(path: &Path, count: usize, group: usize) -> Result<f64, Box<dyn Error>> {
    let mut connection = SqliteConnection::establish(path.to_str().ok_or("path")?)?;
    connection.batch_execute(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; \
         CREATE TABLE plain (key INTEGER NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT",
    )?;
    let bodies: Vec<Vec<u8>> = (0..count).map(|n| body(n).bytes).collect();
    let begin = Instant::now();
    for (number, group) in bodies.chunks(group).enumerate() {
        connection.immediate_transaction(|connection| -> QueryResult<()> {
            for (n, body) in group.iter().enumerate() {
                let key = ((number * CLIENTS * 16) + n) as i64;
                diesel::insert_into(plain::table)
                    .values((plain::key.eq(key), plain::body.eq(body)))
                    .execute(connection)?;
            }
            Ok(())
        })?;
    }
    Ok(rate(count, begin.elapsed()))
}

fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn key(n: usize) -> Result<ResourceKey, Box<dyn Error>> {
    let id = format!("{:08x}-0000-4000-8000-{n:012x}", mix(n as u64) as u32);
    Ok(ResourceKey { resource_type: ty::OBSERVATION, id: ResourceId::parse(&id).ok_or("id")? })
}

fn observation(n: usize) -> Result<PreparedResource, Box<dyn Error>> {
    Ok(PreparedResource::new(key(n)?, body(n), rows(n), &Dictionaries::default())?)
}

/// A number that looks random.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn body(n: usize) -> StoredBody {
    let id = format!("{:08x}-0000-4000-8000-{n:012x}", mix(n as u64) as u32);
    let (patient, encounter) = (mix(n as u64 / 200), mix(n as u64 / 20 + 7));
    let head = format!(r#"{{"resourceType":"Observation","id":"{id}","meta":{{"#);
    let rest = format!(
        r#""profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-observation-lab"]}},"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"laboratory"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"{}-{}","display":"Leukocytes [#/volume] in Blood by Automated count"}}],"text":"Leukocytes [#/volume] in Blood by Automated count"}},"subject":{{"reference":"Patient/{patient:016x}"}},"encounter":{{"reference":"Encounter/{encounter:016x}"}},"effectiveDateTime":"20{:02}-07-{:02}T13:51:55+02:00","issued":"2017-07-04T13:51:55.216+02:00","valueQuantity":{{"value":{}.{},"unit":"10*3/uL","system":"http://unitsofmeasure.org","code":"10*3/uL"}}}}"#,
        n % 300,
        n % 10,
        n % 24,
        n % 28 + 1,
        mix(n as u64) % 200,
        mix(n as u64) % 9973,
    );
    StoredBody { bytes: format!("{head}{rest}").into_bytes(), hole: head.len() }
}

/// 10 equal, 3 links, 8 pairs, 2 spans, 1 text, as an Observation has them.
fn rows(n: usize) -> IndexRows {
    let n = n as u64;
    let hash = |kind: u64, value: u64| EqualHash(mix(kind << 48 | value) as i64);
    let code = n % 300;
    let equal = vec![
        hash(1, n),
        hash(2, 0),
        hash(3, 0),
        hash(4, 0),
        hash(5, code),
        hash(6, code),
        hash(7, 1),
        hash(8, n % 9973),
        hash(9, n % 40),
        hash(10, code * 31 + n % 7),
    ];
    let link =
        |kind: i32, value: u64| Link { target: TargetHash(mix(value) as i64), branch: BranchCode(kind) };
    let links = vec![link(1, n / 200), link(2, n / 20 + 7), link(3, n % 500)];
    let focus = EqualHash::of_link(links[0].branch, links[0].target);
    let pairs = equal.iter().skip(2).map(|value| Pair { focus, value: *value }).collect();
    let day = 1_400_000_000_000_000 + (mix(n) % 4000) as i64 * 86_400_000_000;
    let value = (mix(n) % 200_000) as i64;
    let spans = vec![
        Span { hash: hash(11, 0), low: day, high: day + 999_999 },
        Span { hash: hash(12, code % 40), low: value, high: value + 1 },
    ];
    let texts = vec![Text { branch: BranchCode(9), folded: format!("leukocytes in blood {code}") }];
    let mut rows = IndexRows { equal, links, pairs, spans, texts, ..IndexRows::default() };
    rows.normalize();
    rows
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
