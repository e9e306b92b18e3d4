//! A process killed while it writes loses nothing that it acknowledged.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

/// Set in the child process: the folder to write to.
const FOLDER: &str = "LANTERNA_TEST_KILL_FOLDER";
const ROUNDS: u64 = 5;

#[test]
fn a_killed_process_keeps_what_it_acknowledged() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_until_killed(&Arc::new(Store::open(&StoreSettings::of(folder)).expect("open")));
    }
    let folder = folder();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "storage::tests::kill::a_killed_process_keeps_what_it_acknowledged",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("child");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut told = 0;
        for line in lines.by_ref() {
            let line = line.expect("line");
            let Some(id) = line.split_once("ack ").map(|(_, id)| id.to_owned()) else { continue };
            acknowledged.push(id);
            told += 1;
            if told > 20 + round * 13 {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(round * 3));
        child.kill().expect("kill");
        child.wait().expect("wait");
        let rest = lines.map_while(Result::ok);
        acknowledged.extend(rest.filter_map(|l| l.split_once("ack ").map(|(_, id)| id.to_owned())));

        let store = open(&folder);
        check_invariants(&store);
        for id in &acknowledged {
            // Both resources of the job, or the acknowledgement was a lie.
            for resource_type in ["Patient", "Observation"] {
                assert!(current(&store, &key(resource_type, id)).is_some(), "{resource_type}/{id}");
            }
        }
        let halves = integers(&store, "SELECT count(*) FROM resource GROUP BY id HAVING count(*) <> 2");
        assert_eq!(halves, Vec::<i64>::new(), "no half of a job");
    }
    assert!(acknowledged.len() > 100);
}

fn write_until_killed(store: &Arc<Store>) -> ! {
    let begin = std::process::id();
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let store = Arc::clone(store);
            std::thread::spawn(move || {
                for n in 0.. {
                    let id = format!("{begin}-{t}-{n}");
                    let pair =
                        [resource(&key("Patient", &id), "abcdef"), resource(&key("Observation", &id), "ghi")];
                    write(&store, move |unit| {
                        pair.into_iter().try_for_each(|p| unit.create(p, Operation::Create).map(|_| ()))
                    })
                    .expect("job");
                    println!("ack {id}");
                }
            })
        })
        .collect();
    for thread in threads {
        let _ = thread.join();
    }
    std::process::exit(1)
}
