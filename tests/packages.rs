//! Definitions of installed packages as resources, while the server runs.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::{Client, Server, binary};

/// How long a package that was installed or removed may stay unnoticed.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

fn lanterna(data: &Path, arguments: &[&str]) {
    let done = Command::new(binary()).arg("--data").arg(data).args(arguments).output().expect("it runs");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Installs a package of these resources, given as an unpacked folder.
fn install(data: &Path, name: &str, version: &str, resources: &[Value]) {
    let folder = tempfile::tempdir().expect("a folder");
    let package = folder.path().join("package");
    std::fs::create_dir(&package).expect("made");
    let manifest = json!({ "name": name, "version": version });
    std::fs::write(package.join("package.json"), manifest.to_string()).expect("written");
    for (at, resource) in resources.iter().enumerate() {
        std::fs::write(package.join(format!("{at}.json")), resource.to_string()).expect("written");
    }
    lanterna(data, &["package", "install", &folder.path().display().to_string()]);
}

fn value_set(id: &str, url: &str, version: &str, title: &str) -> Value {
    json!({ "resourceType": "ValueSet", "id": id, "url": url, "version": version, "status": "active", "title": title })
}

/// Waits until a search finds so many.
fn wait_for(client: &Client, search: &str, count: u64) -> Value {
    let begin = Instant::now();
    loop {
        let found = client.get(search).json();
        if found["total"] == count {
            return found;
        }
        assert!(begin.elapsed() < NOTICED_WITHIN, "{search} finds {found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn titles(client: &Client) -> Vec<String> {
    let found = client.get("ValueSet?_sort=title&_count=100").json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|e| e["resource"]["title"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn definitions_of_packages_are_resources_while_they_are_installed() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    // What is stored already stays whose it is.
    let own = value_set("taken", "http://own", "1", "own");
    assert_eq!(client.json("PUT", "ValueSet/taken", &[], &own).expect("an answer").status, 201);
    install(
        data.path(),
        "a",
        "1.0.0",
        &[
            value_set("v", "http://v", "1.0.0", "v 1"),
            value_set("taken", "http://taken", "1.0.0", "another"),
            value_set("changed", "http://changed", "1.0.0", "as installed"),
            json!({ "resourceType": "SearchParameter", "id": "eyes", "url": "http://eyes", "name": "eyes",
                "status": "active", "description": "x", "code": "eyes", "base": ["Patient"], "type": "string",
                "expression": "Patient.extension('http://eyes').value.ofType(string)" }),
        ],
    );
    wait_for(&client, "ValueSet?_summary=count", 4);
    assert_eq!(client.get("ValueSet/v").json()["title"], "v 1");
    assert_eq!(client.get("ValueSet/taken").json()["title"], "own");
    assert_eq!(client.get("ValueSet?url=http://taken").json()["total"], 1);
    // A search parameter of a package can be searched by.
    let blue = json!({ "resourceType": "Patient",
        "extension": [{ "url": "http://eyes", "valueString": "blue" }] });
    assert_eq!(client.create(&blue).status, 201);
    wait_for(&client, "Patient?eyes=blue", 1);

    // The newest version has the id of the package.
    install(data.path(), "a", "1.10.0", &[value_set("v", "http://v", "1.10.0", "v 1.10")]);
    wait_for(&client, "ValueSet?_summary=count", 5);
    assert_eq!(client.get("ValueSet/v").json()["title"], "v 1.10");
    assert_eq!(client.get("ValueSet/v/_history/1").json()["title"], "v 1");
    let older = client.get("ValueSet?url=http://v&version=1.0.0").json();
    assert_eq!(older["entry"][0]["resource"]["title"], "v 1");

    // What somebody changes is theirs.
    let changed = value_set("changed", "http://changed", "1.0.0", "as changed");
    assert_eq!(client.json("PUT", "ValueSet/changed", &[], &changed).expect("an answer").status, 200);
    lanterna(data.path(), &["package", "remove", "a#1.0.0"]);
    wait_for(&client, "ValueSet?_summary=count", 3);
    assert_eq!(titles(&client), ["as changed", "own", "v 1.10"]);
    assert_eq!(client.get("SearchParameter/eyes").status, 410);
    assert_eq!(client.get("Patient?eyes=blue").json()["total"], 1, "unknown: passed over, and said");
    server.kill();

    let server = Server::start(data.path());
    let client = server.client();
    lanterna(data.path(), &["package", "remove", "a#1.10.0"]);
    wait_for(&client, "ValueSet?_summary=count", 2);
    assert_eq!(client.get("ValueSet/v").status, 410);
    assert_eq!(titles(&client), ["as changed", "own"]);
}

#[test]
fn the_whole_core_package_is_served() {
    let core =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/fhir/hl7.fhir.r4.core-4.0.1.tgz");
    if !core.exists() {
        println!("absent, passed over: {}", core.display());
        return;
    }
    let data = tempfile::tempdir().expect("a folder");
    lanterna(data.path(), &["package", "install", &core.display().to_string()]);
    // Killed in the midst of it: the next start goes on.
    let server = Server::start(data.path());
    let client = server.client();
    let begin = Instant::now();
    while client.get("StructureDefinition?_summary=count").json()["total"] == 0 {
        assert!(begin.elapsed() < NOTICED_WITHIN, "nothing is stored");
        std::thread::sleep(Duration::from_millis(20));
    }
    server.kill();
    let server = Server::start(data.path());
    let client = server.client();
    // Two files of the package are no valid resources, a CodeSystem and a SearchParameter.
    for (search, count) in [
        ("StructureDefinition?_summary=count", 658),
        ("ValueSet?_summary=count", 1316),
        ("CodeSystem?_summary=count", 1061),
        ("SearchParameter?_summary=count", 1399),
        ("OperationDefinition?_summary=count", 47),
    ] {
        wait_for(&client, search, count);
    }
    let patient = client.get("StructureDefinition/Patient").json();
    assert_eq!(patient["url"], "http://hl7.org/fhir/StructureDefinition/Patient");
    let found = client.get("StructureDefinition?url=http://hl7.org/fhir/StructureDefinition/bp").json();
    assert_eq!(found["entry"][0]["resource"]["id"], "bp");
    assert_eq!(client.get("ValueSet/administrative-gender/$expand").json()["expansion"]["total"], 4);
}
