//! Patients are aligned with ANA by command.

use conformance::peer::ana::Behaviour;
use serde_json::json;

use super::*;

/// Stores patients whom ANA knows, and ends the server.
fn stored(region: &Region, count: usize) {
    let server = Server::start(&region.folder());
    let client = server.client();
    let mut entries = Vec::new();
    for number in 0..count {
        region.peer.know(person(number));
        entries
            .push(json!({ "resource": patient(number), "request": { "method": "POST", "url": "Patient" } }));
    }
    for entries in entries.chunks(200) {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        assert_eq!(client.json("POST", "", &[], &bundle).map(|answer| answer.status), Ok(200));
    }
    assert_eq!(server.terminate(), Some(0));
}

fn asked(region: &Region) -> usize {
    region.peer.received().iter().filter(|message| message.contains("VerificaAssistitoRichiesta")).count()
}

/// Counts the patients who have an identifier of ANA.
fn aligned(region: &Region) -> u64 {
    let server = Server::start(&region.folder());
    let count = total(&server.client(), &format!("Patient?identifier={ANA_CODE}|"));
    assert_eq!(server.terminate(), Some(0));
    count
}

#[test]
fn who_changed_is_aligned_and_a_dry_run_only_tells() {
    let region = Region::new("");
    stored(&region, 3);
    let told = region.told(&["ana", "align", "--dry-run"]);
    for part in
        ["differs", "residence", "VIA ROMA 1, 16121, GENOVA, GE", "health authority", "3  differ from ANA"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!((asked(&region), aligned(&region)), (3, 0));
    let told = region.told(&["ana", "align"]);
    assert!(told.contains("3  updated as ANA says"), "{told}");
    assert_eq!((asked(&region), aligned(&region)), (6, 3));
    // What was written is looked at once more, and then nobody is asked.
    assert!(region.told(&["ana", "align"]).contains("0  updated"));
    assert!(region.told(&["ana", "align"]).contains("0  asked for"));
    assert_eq!(asked(&region), 9);
    assert!(region.told(&["ana", "align", "--all"]).contains("3  asked for"));

    let server = Server::start(&region.folder());
    let found = server.client().get(&format!("Patient?identifier={TAX_CODE}|{}", tax_code(1))).json();
    let patient = &found["entry"][0]["resource"];
    assert_eq!(patient["managingOrganization"]["identifier"]["value"], "070103");
    assert_eq!(
        (&patient["name"][0]["family"], &patient["address"][0]["city"]),
        (&json!("Rossi"), &json!("GENOVA"))
    );
    assert_eq!(total(&server.client(), &format!("AuditEvent?subtype={ANA}|ANA-verificaAssistito")), 12);
    assert_eq!(total(&server.client(), "Provenance"), 3);
}

#[test]
fn whom_ana_does_not_know_is_told_and_the_others_are_aligned() {
    let region = Region::new("");
    stored(&region, 2);
    let server = Server::start(&region.folder());
    let client = server.client();
    client.create(&patient(500));
    client.create(&json!({ "resourceType": "Patient", "identifier": [{ "system": "urn:x", "value": "1" }] }));
    let stp = "urn:oid:2.16.840.1.113883.2.9.4.3.17";
    client.create(
        &json!({ "resourceType": "Patient", "identifier": [{ "system": stp, "value": "STP0700001" }] }),
    );
    region.peer.know(Person { stp: "STP0700001".to_owned(), tax_code: String::new(), ..person(600) });
    assert_eq!(server.terminate(), Some(0));
    let output = region.run(&["ana", "align"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for part in ["3  updated", "1  not known to ANA", "1  without an identifier", "ANA knows nobody by this"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert_eq!(aligned(&region), 3);
}

#[test]
fn an_alignment_that_is_killed_goes_on_where_it_was() {
    const PATIENTS: usize = 400;
    let region = Region::new("");
    stored(&region, PATIENTS);
    region.peer.behave(|_, _| Behaviour::Slow(Duration::from_millis(5)));
    for part in [100, 250] {
        let mut child =
            region.command(&["ana", "align"]).stdout(std::process::Stdio::null()).spawn().expect("run");
        eventually("some were asked for", || asked(&region) >= part);
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    region.told(&["ana", "align"]);
    assert_eq!(aligned(&region), PATIENTS as u64);
    // After each kill it begins with the last fifty, not with the first.
    let asked = asked(&region);
    assert!((PATIENTS..=PATIENTS + 2 * 60).contains(&asked), "{asked} questions");
}

#[test]
fn while_ana_is_away_nothing_is_aligned_and_it_says_so() {
    let region = Region::new("");
    stored(&region, 5);
    region.peer.go_away();
    let output = region.run(&["ana", "align"]);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{why}");
    assert!(why.contains("ANA cannot be reached") && why.contains("goes on"), "{why}");
    region.peer.come_back();
    region.told(&["ana", "align"]);
    assert_eq!(aligned(&region), 5);
}
