//! Dictionaries for bodies, from learning to reopening.

use super::*;

fn body(n: usize) -> StoredBody {
    let head = format!(r#"{{"resourceType":"Observation","id":"o{n}","meta":{{"#);
    let rest = format!(
        r#"}},"status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{}"}}]}},"subject":{{"reference":"Patient/{}"}},"valueQuantity":{{"value":{n},"unit":"mg"}}}}"#,
        n % 97,
        n * 31 % 1009
    );
    StoredBody { bytes: format!("{head}{rest}").into_bytes(), hole: head.len() }
}

fn put_packed(store: &Store, n: usize) -> usize {
    let key = key("Observation", &format!("o{n}"));
    let prepared = PreparedResource::new(key, body(n), IndexRows::default(), store.dictionaries());
    let prepared = prepared.expect("packed");
    let bytes = prepared.packed_body.len();
    write(store, move |unit| put_in(unit, prepared, Operation::Create)).expect("put");
    bytes
}

fn is_whole(store: &Store, n: usize) -> bool {
    let found = store.read_current(&key("Observation", &format!("o{n}"))).expect("read").expect("there");
    let json = json_of(&found);
    json.contains(&format!(r#""value":{n},"#)) && json.contains(r#""versionId":"1""#)
}

#[test]
fn a_type_is_learnt_once_there_are_samples_and_kept() {
    let (folder, store) = store();
    let before = put_packed(&store, 0);
    for n in 1..1100 {
        let _ = store.dictionaries().pack(TypeCode::of(key("Observation", "o").resource_type), &body(n));
    }
    assert!(store.can_learn());
    store.learn().expect("learnt");
    assert!(!store.can_learn(), "a type is learnt once");
    let after = put_packed(&store, 1);
    assert!(after * 2 < before, "{after} bytes with a dictionary, {before} without");
    assert!(is_whole(&store, 0) && is_whole(&store, 1));

    // The same body packed in either way is no new version.
    let again =
        PreparedResource::new(key("Observation", "o0"), body(0), IndexRows::default(), store.dictionaries());
    let written = write(&store, move |unit| put_in(unit, again?, Operation::Update)).expect("put");
    assert!(!written.changed);

    drop(store);
    let store = open(&folder);
    assert!(is_whole(&store, 0) && is_whole(&store, 1));
    assert!(put_packed(&store, 2) * 2 < before, "known from the database");
}

#[test]
fn what_has_nothing_in_common_is_packed_as_before() {
    let (_folder, store) = store();
    let mut state = 1u64;
    for _ in 0..1100 {
        let mut bytes = Vec::new();
        while bytes.len() < 300 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.push((state >> 56) as u8);
        }
        let noise = StoredBody { bytes, hole: 0 };
        store.dictionaries().pack(TypeCode::of(key("Binary", "b").resource_type), &noise);
    }
    store.learn().expect("tried");
    put_packed(&store, 5);
    assert!(is_whole(&store, 5));
}
