//! Group commit: what is together, what is apart, and when answers come.

use std::sync::{Barrier, Mutex};
use std::time::Duration;

use super::*;

/// Holds the writer until the returned guard is dropped, so that the jobs
/// sent meanwhile are of one batch.
fn hold(store: &Arc<Store>) -> (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<()>) {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let started = Arc::new(Barrier::new(2));
    let (store, begun) = (Arc::clone(store), Arc::clone(&started));
    let thread = std::thread::spawn(move || {
        let held: Result<(), Issue> = store.write_blocking(move |_| {
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
    while (store.statistics().1 as u64) < depth {
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
    let (release, holder) = hold(&store);
    let ends = [End::Error, End::Well, End::Panic, End::Well, End::Error, End::Well];
    let threads: Vec<_> = ends
        .iter()
        .enumerate()
        .map(|(n, end)| {
            let (store_of_thread, end) = (Arc::clone(&store), *end);
            let thread = std::thread::spawn(move || {
                let own = resource(&key("Patient", &format!("p{n}")), "abcd");
                let shared = resource(&key("Patient", "shared"), &format!("abc{n}"));
                write(&store_of_thread, move |unit| {
                    unit.create(own, Operation::Create)?;
                    // Reading writes what waits of the jobs before into this savepoint.
                    unit.integers(&sql("SELECT count(*) FROM equal", Vec::new()))?;
                    let version = put_in(unit, shared, Operation::Update)?.version.0;
                    match end {
                        End::Well => Ok(version),
                        End::Error => Err(StorageError::Outdated),
                        End::Panic => std::panic::resume_unwind(Box::new("as intended")),
                    }
                })
            });
            wait_for_queue(&store, n as u64 + 1);
            thread
        })
        .collect();
    release.send(()).expect("release");
    holder.join().expect("holder");
    let results: Vec<Result<u32, IssueType>> =
        threads.into_iter().map(|t| t.join().expect("thread")).collect();
    let (failed, panicked) = (Err(IssueType::Conflict), Err(IssueType::Exception));
    assert_eq!(results, [failed, Ok(2), panicked, Ok(3), failed, Ok(4)]);
    for n in 0..ends.len() {
        assert_eq!(current(&store, &key("Patient", &format!("p{n}"))).is_some(), n % 2 == 1, "{n}");
    }
    // A batch that lasts long takes no further job, so how many it had depends on the machine.
    assert!(store.statistics().0.jobs_max.load(Ordering::Relaxed) > 1, "some were together");
    check_invariants(&store);
}

#[test]
fn many_writers_at_once_each_get_their_own_answer() {
    let (_folder, store) = store();
    let shared = key("Patient", "shared");
    put(&store, &shared, "0");
    let threads: Vec<_> = (0..16)
        .map(|t| {
            let (store, shared) = (Arc::clone(&store), shared.clone());
            std::thread::spawn(move || {
                let mut versions = Vec::new();
                for n in 0..20 {
                    let created = put(&store, &key("Observation", &format!("o{t}-{n}")), "abc");
                    assert_eq!(created.version, VersionId(1));
                    versions.push(put(&store, &shared, &format!("{t}-{n}")).version.0);
                }
                versions
            })
        })
        .collect();
    let mut versions: Vec<u32> = threads.into_iter().flat_map(|t| t.join().expect("thread")).collect();
    versions.sort();
    assert_eq!(versions, (2..=321).collect::<Vec<u32>>(), "no version twice, none missing");
    let statistics = store.statistics().0;
    assert!(statistics.commits.load(Ordering::Relaxed) < statistics.jobs.load(Ordering::Relaxed));
    check_invariants(&store);
}

#[test]
fn a_conditional_create_is_decided_in_the_transaction() {
    let (_folder, store) = store();
    let (release, holder) = hold(&store);
    let threads: Vec<_> = (0..12)
        .map(|n| {
            let of_thread = Arc::clone(&store);
            let thread = std::thread::spawn(move || {
                let prepared = resource(&key("Patient", &format!("p{n}")), "z");
                write(&of_thread, move |unit| {
                    let search = sql("SELECT key FROM equal WHERE hash = ?", vec![Bind::Integer(122)]);
                    if unit.integers(&search)?.is_empty() {
                        unit.create(prepared, Operation::Create).map(|_| true)
                    } else {
                        Ok(false)
                    }
                })
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
    let (_folder, store) = store();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = Arc::clone(&told);
    store.observe(Box::new(move |effects| {
        let lines = effects.iter().map(|e| format!("{}/{} {:?}", e.key.id, e.version, e.operation));
        list.lock().expect("lock").extend(lines);
    }));
    let patient = key("Patient", "a");
    put(&store, &patient, "1");
    assert_eq!(told.lock().expect("lock").last().map(String::as_str), Some("a/1 Update"));
    put(&store, &patient, "1");
    put(&store, &patient, "2");
    let prepared = resource(&patient, "3");
    let failed: Result<(), IssueType> = write(&store, move |unit| {
        put_in(unit, prepared, Operation::Patch)?;
        Err(StorageError::Outdated)
    });
    assert!(failed.is_err());
    delete(&store, &patient);
    assert_eq!(*told.lock().expect("lock"), ["a/1 Update", "a/2 Update", "a/3 Delete"]);
}

#[test]
fn a_full_queue_refuses_at_once() {
    let folder = folder();
    let settings = StoreSettings { queue_jobs_max: 1, ..StoreSettings::of(folder.path()) };
    let store = Arc::new(Store::open(&settings).expect("open"));
    let (release, holder) = hold(&store);
    let waiting = Arc::clone(&store);
    let waits = std::thread::spawn(move || put(&waiting, &key("Patient", "waits"), "a"));
    wait_for_queue(&store, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let refused = runtime.block_on(store.write(|_| Ok(()))).expect_err("full");
    assert_eq!((refused.code, refused.retry_after_seconds), (IssueType::Throttled, Some(1)));
    release.send(()).expect("release");
    holder.join().expect("holder");
    assert_eq!(waits.join().expect("thread").version, VersionId(1));
    assert_eq!(store.statistics().0.refused.load(Ordering::Relaxed), 1);
    let prepared = resource(&key("Patient", "later"), "a");
    let accepted = runtime.block_on(store.write(move |unit| Ok(unit.create(prepared, Operation::Create)?)));
    assert_eq!(accepted.map(|w| w.version), Ok(VersionId(1)));
}

#[test]
fn closing_runs_what_waits_and_refuses_what_comes() {
    let (folder, store) = store();
    let (release, holder) = hold(&store);
    let threads: Vec<_> = (0..5)
        .map(|n| {
            let of_thread = Arc::clone(&store);
            std::thread::spawn(move || put(&of_thread, &key("Patient", &format!("p{n}")), "a"))
        })
        .collect();
    wait_for_queue(&store, 5);
    let closing = Arc::clone(&store);
    let closer = std::thread::spawn(move || closing.close());
    std::thread::sleep(Duration::from_millis(20));
    release.send(()).expect("release");
    closer.join().expect("closer");
    holder.join().expect("holder");
    for thread in threads {
        assert_eq!(thread.join().expect("thread").version, VersionId(1));
    }
    assert_eq!(write(&store, |_| Ok(())), Err(IssueType::Transient));
    drop(store);
    let again = open(&folder);
    assert_eq!(integers(&again, "SELECT count(*) FROM resource"), [5]);
    check_invariants(&again);
}
