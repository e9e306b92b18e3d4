//! What is kept in memory is what is committed.

use super::*;

#[test]
fn a_reader_never_sees_less_than_another_has_seen() {
    let (_folder, store) = store();
    let keys: Vec<ResourceKey> = (0..4).map(|n| key("Patient", &format!("p{n}"))).collect();
    for key in &keys {
        put(&store, key, "0");
    }
    let newest: Vec<std::sync::atomic::AtomicU64> = (0..4).map(|_| 1.into()).collect();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut at = 0;
                while !is_over.load(Ordering::Relaxed) {
                    at = (at + 1) % keys.len();
                    // Whatever anybody saw before this read began.
                    let least = newest[at].load(Ordering::SeqCst);
                    let read = current(&store, &keys[at]).expect("there");
                    let version = u64::from(read.version.0);
                    assert!(version >= least, "{version} after {least}");
                    assert!(json_of(&read).contains(&format!(r#""text":"{}""#, version - 1)));
                    newest[at].fetch_max(version, Ordering::SeqCst);
                }
            });
        }
        for n in 1..300 {
            let at = n % keys.len();
            let written = put(&store, &keys[at], &(n / keys.len() + usize::from(at > 0)).to_string());
            newest[at].fetch_max(u64::from(written.version.0), Ordering::SeqCst);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_is_deleted_or_fails_is_not_kept() {
    let (_folder, store) = store();
    let patient = key("Patient", "a");
    put(&store, &patient, "a");
    let first = current(&store, &patient).expect("there");
    assert_eq!(json_of(&current(&store, &patient).expect("kept")), json_of(&first));
    let prepared = resource(&patient, "b");
    let failed: Result<(), IssueType> = write(&store, move |unit| {
        put_in(unit, prepared, Operation::Update)?;
        Err(StorageError::Outdated)
    });
    assert!(failed.is_err());
    assert_eq!(json_of(&current(&store, &patient).expect("there")), json_of(&first));
    delete(&store, &patient);
    assert!(current(&store, &patient).is_some_and(|c| c.deleted));
    put(&store, &patient, "c");
    assert!(json_of(&current(&store, &patient).expect("there")).contains(r#""text":"c""#));
}
