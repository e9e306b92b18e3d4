//! A full disk and a failing fsync: what was acknowledged is there, what was
//! refused is not, the answer says so, and the server recovers by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Client, Server};

/// Writes until something is refused; returns the ids acknowledged and the refusal.
fn until_refused(client: &Client, padding: usize) -> (Vec<String>, u16) {
    let mut acknowledged = Vec::new();
    // Text that does not compress.
    let mut numbers = tests::Numbers::new(3);
    for _ in 0..2000 {
        let noise: String = (0..padding)
            .map(|_| char::from(b'!' + numbers.below(90) as u8))
            .filter(|c| *c != '"' && *c != '\\')
            .collect();
        let answer = client.create(&json!({"resourceType": "Basic", "code": {"text": noise}}));
        if answer.status != 201 {
            assert_eq!(answer.json()["resourceType"], "OperationOutcome");
            assert!(answer.header("retry-after").is_some(), "no Retry-After");
            return (acknowledged, answer.status);
        }
        acknowledged.push(answer.id());
    }
    panic!("nothing was refused");
}

/// Waits until writes are acknowledged again.
fn recovered(client: &Client) -> String {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(10) {
        let answer = client.create(&json!({"resourceType": "Basic", "code": {"text": "after"}}));
        if answer.status == 201 {
            return answer.id();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("no recovery within 10 seconds");
}

/// Waits until the server says that it is ready.
fn ready_again(client: &Client, server: &Server) {
    let begin = Instant::now();
    loop {
        let answer = client.get(&format!("{}/health/ready", server.origin()));
        if answer.status == 200 {
            return;
        }
        let told = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(begin.elapsed() < Duration::from_secs(10), "not ready within 10 seconds: {told}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn all_there(client: &Client, ids: &[String]) {
    for id in ids {
        assert_eq!(client.get(&format!("Basic/{id}")).status, 200, "{id} was acknowledged and is lost");
    }
    let total = client.get("Basic?_summary=count").json()["total"].as_u64();
    assert_eq!(total, Some(ids.len() as u64), "more is there than was acknowledged");
}

struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let folder = tempfile::tempdir().expect("folder");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"]).arg(folder.path()).output();
    if !mounted.is_ok_and(|m| m.status.success()) {
        println!("no tmpfs may be mounted here: not run");
        return;
    }
    let _mounted = Mounted(folder.path().to_owned());
    // As much as the log may take: folding it into the database needs that space again.
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1u8; 24 << 20]).expect("written");
    let server = Server::start(&folder.path().join("data"));
    let client = server.client();
    let (mut acknowledged, status) = until_refused(&client, 60_000);
    assert!(matches!(status, 503 | 507), "{status}");
    assert!(!acknowledged.is_empty());
    assert_eq!(client.get(&format!("Basic/{}", acknowledged[0])).status, 200, "reads go on");
    assert_eq!(client.get(&format!("{}/health/ready", server.origin())).status, 503);
    std::fs::remove_file(&ballast).expect("removed");
    acknowledged.push(recovered(&client));
    ready_again(&client, &server);
    all_there(&client, &acknowledged);
    server.kill();
    let server = Server::start(&folder.path().join("data"));
    all_there(&server.client(), &acknowledged);
    println!("full disk: {} acknowledged, refused with {status}, recovered", acknowledged.len());
}

/// Fails every sync while the file exists that FAIL_SYNC names.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
static int fails(void) {
    const char *path = getenv("FAIL_SYNC");
    return path && access(path, F_OK) == 0;
}
int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
"#;

fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("shim.c"), folder.join("shim.so"));
    std::fs::write(&source, SHIM).ok()?;
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    built.is_ok_and(|status| status.success()).then_some(library)
}

#[test]
fn a_failing_sync_is_never_acknowledged() {
    let folder = tempfile::tempdir().expect("folder");
    let Some(library) = shim(folder.path()) else {
        println!("no C compiler here: not run");
        return;
    };
    let trigger = folder.path().join("fail");
    let data = folder.path().join("data");
    let environment =
        [("LD_PRELOAD", library.to_str().expect("path")), ("FAIL_SYNC", trigger.to_str().expect("path"))];
    let server = Server::start_with(&data, &[], &environment);
    let client = server.client();
    let mut acknowledged: Vec<String> = (0..20)
        .map(|_| client.create(&json!({"resourceType": "Basic", "code": {"text": "a"}})).id())
        .collect();
    for _ in 0..3 {
        std::fs::write(&trigger, "").expect("written");
        let (more, status) = until_refused(&client, 10);
        assert!(more.is_empty(), "acknowledged without a sync");
        assert!(matches!(status, 503 | 507), "{status}");
        assert_eq!(client.get(&format!("Basic/{}", acknowledged[0])).status, 200, "reads go on");
        std::fs::remove_file(&trigger).expect("removed");
        acknowledged.push(recovered(&client));
    }
    all_there(&client, &acknowledged);
    server.kill();
    let server = Server::start(&data);
    all_there(&server.client(), &acknowledged);
    assert_eq!(server.terminate(), Some(0));
    println!("failing sync: {} acknowledged, all there", acknowledged.len());
}
