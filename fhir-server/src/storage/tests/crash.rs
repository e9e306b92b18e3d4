//! A process that ends at any point of the write path leaves what it
//! acknowledged, and nothing by halves.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;
use crate::storage::crash::{CRASH_AT, POINTS};

/// Set in the child process: the folder to write to.
const FOLDER: &str = "LANTERNA_TEST_CRASH_FOLDER";
/// At which time that a point is passed the process ends.
const TIMES: [u32; 3] = [1, 2, 9];
/// Jobs of the child at most: far more than it takes to get there.
const JOBS: usize = 2000;

#[test]
fn a_crash_at_any_point_keeps_what_was_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_until_the_crash(&Arc::new(Store::open(&StoreSettings::of(folder)).expect("open")));
    }
    for (_, point) in POINTS {
        let folder = folder();
        let mut acknowledged = Vec::new();
        for times in TIMES {
            let child = Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "storage::tests::crash::a_crash_at_any_point_keeps_what_was_acknowledged"])
                .arg("--nocapture")
                .env(FOLDER, folder.path())
                .env(CRASH_AT, format!("{point}#{times}"))
                .output()
                .expect("child");
            let told = String::from_utf8_lossy(&child.stdout).into_owned();
            assert_eq!(child.status.signal(), Some(6), "{point} is never passed {times} times: {told}");
            acknowledged.extend(
                told.lines().filter_map(|l| l.split_once("ack ").map(|(_, id)| id.trim().to_owned())),
            );
            let store = open(&folder);
            check_invariants(&store);
            for id in &acknowledged {
                for resource_type in ["Patient", "Observation"] {
                    let found = current(&store, &key(resource_type, id));
                    assert!(found.is_some(), "{point}: {resource_type}/{id} was acknowledged");
                }
            }
            let halves = integers(&store, "SELECT count(*) FROM resource GROUP BY id HAVING count(*) <> 2");
            assert_eq!(halves, Vec::<i64>::new(), "{point}: half of a job");
        }
    }
}

/// Writes pairs, several at once, so that a transaction has several jobs.
fn write_until_the_crash(store: &Arc<Store>) -> ! {
    let begin = std::process::id();
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let store = Arc::clone(store);
            std::thread::spawn(move || {
                for n in 0..JOBS {
                    let id = format!("{begin}-{t}-{n}");
                    let pair =
                        [resource(&key("Patient", &id), "abcdef"), resource(&key("Observation", &id), "ghi")];
                    write(&store, move |unit| {
                        pair.into_iter().try_for_each(|p| unit.create(p, Operation::Create).map(|_| ()))
                    })
                    .expect("job");
                    println!("ack {id}");
                    if n % 50 == 49 {
                        // Time for a checkpoint.
                        std::thread::sleep(std::time::Duration::from_millis(300));
                    }
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
    std::process::exit(1)
}
