//! Group commit: what is together, what is apart, and when answers come.

use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use super::*;

/// Holds the writer until the returned guard is dropped, so that the jobs
/// sent meanwhile are of one batch.
fn hold(store: &Store) -> (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let started = Arc::new(Barrier::new(2));
    let (store, begun) = (store.clone(), Arc::clone(&started));
    let thread = std::thread::spawn(move || {
        let held: Result<(), StorageError> = store.write_blocking(move |_| {
            begun.wait();
            let _ = released.recv_timeout(Duration::from_secs(20));
            Ok(())
        });
        held.expect("hold");
    });
    started.wait();
    (release, thread)
}

fn wait_for_queue(store: &Store, depth: u64) {
    while store.statistics().queue_depth < depth {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    Error,
    Panic,
}

#[test]
fn jobs_that_wait_are_committed_together_and_fail_alone() {
    let (_folder, store) = store();
    put(&store, &key("Patient", "shared"), "abc");
    let batches_before = store.statistics().batches;
    let (release, holder) = hold(&store);
    let ends = [End::Error, End::Well, End::Panic, End::Well, End::Error, End::Well];
    let threads: Vec<_> = ends
        .iter()
        .enumerate()
        .map(|(n, end)| {
            let (store_of_thread, end) = (store.clone(), *end);
            let thread = std::thread::spawn(move || {
                let own = resource(&key("Patient", &format!("p{n}")), "abcd");
                let shared = resource(&key("Patient", "shared"), &format!("abc{n}"));
                let result: Result<u32, StorageError> = store_of_thread.write_blocking(move |unit| {
                    unit.create(&own)?;
                    // Reading writes what waits of the jobs before into this savepoint.
                    let sql = RenderedSql::new("SELECT count(*) FROM equal", Vec::new());
                    unit.reader()?.rows::<i64>(&sql)?;
                    let version = unit.update(&shared, Operation::Update)?.version.0;
                    match end {
                        End::Well => Ok(version),
                        End::Error => Err(StorageError::Exists),
                        End::Panic => std::panic::resume_unwind(Box::new("as intended")),
                    }
                });
                result.map_err(|e| e.to_string())
            });
            wait_for_queue(&store, n as u64 + 1);
            thread
        })
        .collect();
    release.send(()).expect("release");
    holder.join().expect("holder");
    let results: Vec<Result<u32, String>> = threads.into_iter().map(|t| t.join().expect("thread")).collect();
    let (exists, panicked) = (StorageError::Exists.to_string(), StorageError::Panicked.to_string());
    assert_eq!(results, [Err(exists.clone()), Ok(2), Err(panicked), Ok(3), Err(exists), Ok(4)]);
    for n in 0..ends.len() {
        assert_eq!(current(&store, &key("Patient", &format!("p{n}"))).is_some(), n % 2 == 1, "{n}");
    }
    assert_eq!(store.statistics().batches, batches_before + 1);
    assert_eq!(store.statistics().batch_jobs_max, 7);
    check_invariants(&store);
}

#[test]
fn many_writers_at_once_each_get_their_own_answer() {
    let (_folder, store) = store();
    let shared = key("Patient", "shared");
    put(&store, &shared, "0");
    let threads: Vec<_> = (0..16)
        .map(|t| {
            let (store, shared) = (store.clone(), shared.clone());
            std::thread::spawn(move || {
                let mut versions = Vec::new();
                for n in 0..20 {
                    let created = put(&store, &key("Observation", &format!("o{t}-{n}")), "abc");
                    assert_eq!(created.change, Change::Created);
                    versions.push(put(&store, &shared, &format!("{t}-{n}")).version.0);
                }
                versions
            })
        })
        .collect();
    let mut versions: Vec<u32> = threads.into_iter().flat_map(|t| t.join().expect("thread")).collect();
    versions.sort();
    assert_eq!(versions, (2..=321).collect::<Vec<u32>>(), "no version twice, none missing");
    let statistics = store.statistics();
    assert!(statistics.batches < statistics.jobs, "{statistics:?}");
    check_invariants(&store);
}

#[test]
fn a_conditional_create_is_decided_in_the_transaction() {
    let (_folder, store) = store();
    let (release, holder) = hold(&store);
    let threads: Vec<_> = (0..12)
        .map(|n| {
            let of_thread = store.clone();
            let thread = std::thread::spawn(move || {
                let prepared = resource(&key("Patient", &format!("p{n}")), "z");
                let created: Result<bool, StorageError> = of_thread.write_blocking(move |unit| {
                    let sql =
                        RenderedSql::new("SELECT key FROM equal WHERE hash = ?", vec![Bind::Integer(122)]);
                    let found = unit.reader()?.rows::<i64>(&sql)?;
                    if found.is_empty() { unit.create(&prepared).map(|_| true) } else { Ok(false) }
                });
                created.map_err(|e| e.to_string())
            });
            wait_for_queue(&store, n + 1);
            thread
        })
        .collect();
    release.send(()).expect("release");
    holder.join().expect("holder");
    let created: Vec<bool> = threads.into_iter().map(|t| t.join().expect("thread").expect("job")).collect();
    assert_eq!(created.iter().filter(|c| **c).count(), 1);
    check_invariants(&store);
}

#[test]
fn commits_are_told_before_their_jobs_are_answered() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = Arc::clone(&told);
    let committed = move |effects: &[Effect]| {
        let lines =
            effects.iter().map(|e| format!("{}/{} {:?}", e.resource.id, e.written.version, e.written.change));
        list.lock().expect("lock").extend(lines);
    };
    let store =
        Store::open(StoreOptions { committed: Some(Arc::new(committed)), ..options(&folder) }).expect("open");
    let patient = key("Patient", "a");
    put(&store, &patient, "1");
    assert_eq!(told.lock().expect("lock").last().map(String::as_str), Some("a/1 Created"));
    put(&store, &patient, "1");
    put(&store, &patient, "2");
    let prepared = resource(&patient, "3");
    let failed: Result<(), StorageError> = store.write_blocking(move |unit| {
        unit.update(&prepared, Operation::Patch)?;
        Err(StorageError::Exists)
    });
    assert!(failed.is_err());
    delete(&store, &patient);
    assert_eq!(*told.lock().expect("lock"), ["a/1 Created", "a/2 Updated", "a/3 Deleted"]);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let store = Store::open(StoreOptions { queue_max: 1, ..options(&folder) }).expect("open");
    let (release, holder) = hold(&store);
    let waiting = store.clone();
    let waits = std::thread::spawn(move || put(&waiting, &key("Patient", "waits"), "a"));
    wait_for_queue(&store, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let refused: Result<(), StorageError> = runtime.block_on(store.write(|_| Ok(())));
    assert!(matches!(refused, Err(StorageError::Busy(Full::Queue))));
    let issue = fhir_model::outcome::Issue::from(StorageError::Busy(Full::Queue));
    assert_eq!(issue.retry_after_seconds, Some(1));
    release.send(()).expect("release");
    holder.join().expect("holder");
    assert_eq!(waits.join().expect("thread").version.0, 1);
    assert_eq!(store.statistics().jobs_refused, 1);
    let accepted: Result<u32, StorageError> = runtime.block_on(async {
        let prepared = resource(&key("Patient", "later"), "a");
        store.write(move |unit| unit.create(&prepared).map(|w| w.version.0)).await
    });
    assert_eq!(accepted.ok(), Some(1));
}

#[test]
fn closing_runs_what_waits_and_refuses_what_comes() {
    let (folder, store) = store();
    let (release, holder) = hold(&store);
    let threads: Vec<_> = (0..5)
        .map(|n| {
            let of_thread = store.clone();
            std::thread::spawn(move || put(&of_thread, &key("Patient", &format!("p{n}")), "a"))
        })
        .collect();
    wait_for_queue(&store, 5);
    let closing = store.clone();
    let closer = std::thread::spawn(move || closing.close());
    std::thread::sleep(Duration::from_millis(20));
    release.send(()).expect("release");
    closer.join().expect("closer");
    holder.join().expect("holder");
    for thread in threads {
        assert_eq!(thread.join().expect("thread").change, Change::Created);
    }
    let late: Result<(), StorageError> = store.write_blocking(|_| Ok(()));
    assert!(matches!(late, Err(StorageError::Unavailable(_))));
    drop(store);
    let again = Store::open(options(&folder)).expect("open again");
    assert_eq!(select::<i64>(&again, "SELECT count(*) FROM resource"), [5]);
    check_invariants(&again);
}
