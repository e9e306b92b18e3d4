//! What the server knows by its packages and definitions: validation,
//! terminology, maps and FHIRPath over the wire, and by command.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tests::{Client, Server, binary};

fn post(client: &Client, path: &str, body: &Value) -> (u16, Value) {
    let answer = client.json("POST", path, &[], body).expect("an answer");
    (answer.status, answer.json())
}

fn store(client: &Client, resource: &Value) {
    let path = format!("{}/{}", text(&resource["resourceType"]), text(&resource["id"]));
    let answer = client.json("PUT", &path, &[], resource).expect("an answer");
    assert!(answer.status < 300, "{path}: {}", String::from_utf8_lossy(&answer.body));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The errors of an OperationOutcome: `place rule`.
fn errors(outcome: &Value) -> Vec<String> {
    let issues = outcome["issue"].as_array().expect("issues").iter();
    let mut errors: Vec<String> = issues
        .filter(|i| matches!(text(&i["severity"]), "error" | "fatal"))
        .map(|i| {
            let rule = text(&i["details"]["coding"][0]["code"]);
            format!("{} {}", text(&i["expression"][0]), if rule.is_empty() { text(&i["code"]) } else { rule })
        })
        .collect();
    errors.sort();
    errors
}

/// A code system with a hierarchy, a value set of a part of it, a map to another system.
fn definitions() -> Vec<Value> {
    vec![
        json!({ "resourceType": "CodeSystem", "id": "c", "url": "http://c", "status": "active", "content": "complete",
            "concept": [
                { "code": "animal", "concept": [{ "code": "dog", "display": "Dog" }, { "code": "cat" }] },
                { "code": "plant" },
            ] }),
        json!({ "resourceType": "ValueSet", "id": "v", "url": "http://v", "status": "active", "compose": { "include": [
            { "system": "http://c", "filter": [{ "property": "concept", "op": "descendent-of", "value": "animal" }] },
        ] } }),
        json!({ "resourceType": "ConceptMap", "id": "m", "url": "http://m", "status": "active", "group": [
            { "source": "http://c", "target": "http://d", "element": [
                { "code": "dog", "target": [{ "code": "cane", "equivalence": "equivalent" }] },
            ] },
        ] }),
        json!({ "resourceType": "StructureDefinition", "id": "p", "url": "http://p", "name": "P", "status": "active",
            "kind": "resource", "abstract": false, "type": "Observation",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation", "derivation": "constraint",
            "snapshot": { "element": [
                { "id": "Observation", "path": "Observation" },
                { "id": "Observation.code", "path": "Observation.code", "min": 1, "max": "1",
                  "type": [{ "code": "CodeableConcept" }], "binding": { "strength": "required", "valueSet": "http://v" } },
                { "id": "Observation.value[x]", "path": "Observation.value[x]", "min": 1, "max": "1",
                  "type": [{ "code": "string" }] },
            ] } }),
        json!({ "resourceType": "StructureMap", "id": "t", "url": "http://t", "name": "t", "status": "active",
            "group": [{ "name": "main", "typeMode": "none",
                "input": [{ "name": "src", "type": "Patient", "mode": "source" }, { "name": "tgt", "type": "Person", "mode": "target" }],
                "rule": [{ "name": "gender", "source": [{ "context": "src", "element": "gender", "variable": "g" }],
                    "target": [{ "context": "tgt", "contextType": "variable", "element": "gender", "transform": "copy",
                        "parameter": [{ "valueId": "g" }] }] }] }] }),
    ]
}

fn observation(code: &str) -> Value {
    json!({ "resourceType": "Observation", "status": "final",
        "code": { "coding": [{ "system": "http://c", "code": code }] } })
}

#[test]
fn a_resource_is_validated_with_every_fault() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    for (path, body, expected) in [
        ("Patient/$validate", json!({ "resourceType": "Patient" }), &[][..]),
        (
            "Patient/$validate",
            json!({ "resourceType": "Patient", "gender": "donna", "foo": 1, "birthDate": "ieri" }),
            &["Patient structure", "Patient.birthDate value", "Patient.gender binding"],
        ),
        ("$validate", json!({ "resourceType": "Observation" }), &["Observation min"]),
        ("Observation/$validate", json!({ "resourceType": "Patient" }), &["resourceType invalid"]),
        (
            "Patient/$validate",
            json!({ "resourceType": "Parameters", "parameter": [
                { "name": "resource", "resource": { "resourceType": "Patient", "gender": "x" } },
                { "name": "mode", "valueCode": "create" },
            ] }),
            &["Patient.gender binding"],
        ),
        (
            "Patient/$validate?profile=http://nowhere",
            json!({ "resourceType": "Patient" }),
            &["Patient profile-unknown"],
        ),
    ] {
        let (status, outcome) = post(&client, path, &body);
        assert_eq!(status, 200, "{path}: {outcome}");
        let mut told = errors(&outcome);
        told.dedup();
        // One of Observation's two missing elements suffices here.
        assert_eq!(told, expected, "{path} {body}");
    }
    let (status, _) = post(&client, "Patient/$validate?mode=nonsense", &json!({ "resourceType": "Patient" }));
    assert_eq!(status, 400);
}

/// `source<target` for each relation of a closure's ConceptMap.
fn relations(map: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for group in map["group"].as_array().into_iter().flatten() {
        assert_eq!(group["source"], group["target"]);
        for element in group["element"].as_array().expect("elements") {
            for target in element["target"].as_array().expect("targets") {
                assert_eq!(target["equivalence"], "subsumes");
                told.push(format!("{}<{}", text(&element["code"]), text(&target["code"])));
            }
        }
    }
    told.sort();
    told
}

#[test]
fn a_closure_table_outlives_a_kill_and_tells_again() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    store(&client, &definitions()[0]);
    let call = |client: &Client, name: &str, codes: &[&str], version: Option<&str>| {
        let concept =
            |code: &&str| json!({ "name": "concept", "valueCoding": { "system": "http://c", "code": code } });
        let mut parameters = vec![json!({ "name": "name", "valueString": name })];
        parameters.extend(codes.iter().map(concept));
        parameters.extend(version.map(|v| json!({ "name": "version", "valueString": v })));
        post(client, "$closure", &json!({ "resourceType": "Parameters", "parameter": parameters }))
    };
    assert_eq!(call(&client, "t", &["dog"], None).0, 404, "not begun yet");
    for (codes, version, told) in [
        (&[][..], "0", &[][..]),
        (&["dog", "plant", "dog"], "1", &[]),
        (&["animal", "dog"], "2", &["dog<animal"]),
        (&["cat"], "3", &["cat<animal"]),
        (&["cat"], "3", &[]),
    ] {
        let (status, map) = call(&client, "t", codes, None);
        assert_eq!((status, text(&map["version"])), (200, version), "{codes:?}: {map}");
        assert_eq!(relations(&map), told, "{codes:?}");
    }
    let (status, outcome) = call(&client, "t", &["stone"], None);
    assert_eq!((status, outcome["issue"][0]["code"].clone()), (404, json!("not-found")), "{outcome}");
    assert_eq!(call(&client, "", &[], None).0, 400);
    assert_eq!(client.get("$closure?name=t").status, 405);
    server.kill();
    let server = Server::start(data.path());
    let client = server.client();
    for (version, told) in [("0", &["cat<animal", "dog<animal"][..]), ("2", &["cat<animal"]), ("3", &[])] {
        let (status, map) = call(&client, "t", &[], Some(version));
        assert_eq!((status, relations(&map).iter().map(String::as_str).collect()), (200, told.to_vec()));
    }
    assert_eq!(call(&client, "t", &[], Some("4")).0, 400, "never told");
    assert_eq!(call(&client, "t", &["dog"], Some("2")).0, 400, "one or the other");
    // In a transaction that fails nothing is begun anew.
    let parameters =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "name", "valueString": "t" }] });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "resource": parameters, "request": { "method": "POST", "url": "$closure" } },
        { "resource": { "resourceType": "Patient", "id": "a" }, "request": { "method": "PUT", "url": "Patient/b" } },
    ] });
    assert_eq!(post(&client, "", &bundle).0, 400);
    assert_eq!(text(&call(&client, "t", &[], Some("0")).1["version"]), "3");
    assert_eq!(text(&call(&client, "t", &[], None).1["version"]), "0");
    assert_eq!(relations(&call(&client, "t", &[], Some("0")).1).len(), 0);
}

#[test]
fn stored_definitions_are_known_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    let check =
        |code: &str| client.get(&format!("ValueSet/$validate-code?url=http://v&system=http://c&code={code}"));
    assert_eq!(check("dog").status, 404);
    for definition in definitions() {
        store(&client, &definition);
    }
    for (code, is_in) in [("dog", true), ("cat", true), ("animal", false), ("stone", false)] {
        let answer = check(code).json();
        assert_eq!(answer["parameter"][0]["valueBoolean"], is_in, "{code}: {answer}");
    }
    let expansion = client.get("ValueSet/v/$expand").json();
    let codes: Vec<&str> = expansion["expansion"]["contains"]
        .as_array()
        .expect("codes")
        .iter()
        .map(|c| text(&c["code"]))
        .collect();
    assert_eq!(codes, ["dog", "cat"]);
    let page = client.get("ValueSet/$expand?url=http://v&filter=DO&count=1").json();
    assert_eq!(
        (&page["expansion"]["total"], &page["expansion"]["contains"][0]["display"]),
        (&json!(1), &json!("Dog"))
    );
    let looked_up = client.get("CodeSystem/$lookup?system=http://c&code=dog").json().to_string();
    assert!(
        looked_up.contains(r#""valueString":"Dog""#) && looked_up.contains(r#""valueCode":"animal""#),
        "{looked_up}"
    );
    for (a, b, outcome) in [
        ("animal", "dog", "subsumes"),
        ("dog", "animal", "subsumed-by"),
        ("dog", "dog", "equivalent"),
        ("cat", "dog", "not-subsumed"),
    ] {
        let answer = client.get(&format!("CodeSystem/$subsumes?system=http://c&codeA={a}&codeB={b}")).json();
        assert_eq!(answer["parameter"][0]["valueCode"], outcome, "{a} {b}");
    }
    let sought = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "system", "valueUri": "http://c" },
        { "name": "exact", "valueBoolean": true },
        { "name": "property", "part": [
            { "name": "code", "valueCode": "parent" }, { "name": "value", "valueString": "animal" },
        ] },
    ] });
    let found = client.json("POST", "CodeSystem/$find-matches", &[], &sought).expect("an answer").json();
    let codes: Vec<&str> = found["parameter"]
        .as_array()
        .expect("matches")
        .iter()
        .map(|m| text(&m["part"][0]["valueCoding"]["code"]))
        .collect();
    assert_eq!(codes, ["dog", "cat"], "{found}");
    let translated = client.get("ConceptMap/$translate?url=http://m&system=http://c&code=dog").json();
    assert_eq!(translated["parameter"][0]["valueBoolean"], true);
    assert!(translated.to_string().contains(r#""code":"cane""#), "{translated}");
    // A definition that is taken away is not known any more.
    assert!(client.json("DELETE", "ValueSet/v", &[], &json!({})).expect("an answer").status < 300);
    assert_eq!(check("dog").status, 404);
}

#[test]
fn profiles_maps_and_codes_work_together() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(data.path());
    let client = server.client();
    for definition in definitions() {
        store(&client, &definition);
    }
    let mut claimed = observation("plant");
    claimed["meta"] = json!({ "profile": ["http://p"] });
    let (_, outcome) = post(&client, "Observation/$validate", &claimed);
    assert_eq!(errors(&outcome), ["Observation min", "Observation.code binding"]);

    for code in ["dog", "cat", "plant", "animal"] {
        assert_eq!(client.create(&observation(code)).status, 201);
    }
    for (search, found) in [
        ("code:in=http://v", 2),
        ("code:not-in=http://v", 2),
        ("code:below=http://c|animal", 3),
        ("code:above=http://c|dog", 2),
        ("code=http://c|dog", 1),
    ] {
        let bundle = client.get(&format!("Observation?{search}&_summary=count")).json();
        assert_eq!(bundle["total"], found, "{search}: {bundle}");
    }
    assert_eq!(client.get("Observation?code:in=http://unknown").status, 400);

    let patient = json!({ "resourceType": "Patient", "gender": "female" });
    let (status, person) = post(&client, "StructureMap/t/$transform", &patient);
    assert_eq!((status, &person["gender"]), (200, &json!("female")), "{person}");
    let (status, _) = post(&client, "StructureMap/$transform?source=http://unknown", &patient);
    assert_eq!(status, 404);

    let (status, found) = post(
        &client,
        "$fhirpath",
        &json!({ "resourceType": "Parameters", "parameter": [
            { "name": "expression", "valueString": "gender | 1 + 1" }, { "name": "resource", "resource": patient },
        ] }),
    );
    assert_eq!(status, 200, "{found}");
    let parts = &found["parameter"][1]["part"];
    assert_eq!((&parts[0]["valueCode"], &parts[1]["valueInteger"]), (&json!("female"), &json!(2)), "{found}");
}

#[test]
fn writes_are_validated_where_it_is_asked_for() {
    let data = tempfile::tempdir().expect("a folder");
    let config = data.path().join("lanterna.toml");
    std::fs::write(
        &config,
        "[validation]\ndefault = \"off\"\nPatient = \"reject\"\nObservation = \"warn\"\n",
    )
    .expect("written");
    let config = config.display().to_string();
    let server = Server::start_with(&data.path().join("data"), &["--config", &config], &[]);
    let client = server.client();
    let wrong = json!({ "resourceType": "Patient", "gender": "donna" });
    let refused = client.create(&wrong);
    assert_eq!(refused.status, 422);
    assert_eq!(text(&refused.json()["issue"][0]["expression"][0]), "Patient.gender");
    assert_eq!(client.create(&json!({ "resourceType": "Patient", "gender": "female" })).status, 201);
    // What is only to be told is stored, and told to who asks.
    let told = client
        .json(
            "POST",
            "Observation",
            &[("prefer", "return=OperationOutcome")],
            &json!({ "resourceType": "Observation", "status": "x" }),
        )
        .expect("an answer");
    assert_eq!(told.status, 201);
    assert!(
        String::from_utf8_lossy(&told.body).contains("Observation.status"),
        "{}",
        String::from_utf8_lossy(&told.body)
    );
    assert_eq!(client.create(&json!({ "resourceType": "Encounter", "status": "x" })).status, 201);
    // In a transaction nothing of it is stored.
    let entry = |resource: &Value| json!({ "resource": resource, "request": { "method": "POST", "url": resource["resourceType"] } });
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction",
        "entry": [entry(&json!({ "resourceType": "Practitioner" })), entry(&wrong)] });
    assert_eq!(client.json("POST", "", &[], &bundle).expect("an answer").status, 422);
    assert_eq!(client.get("Practitioner?_summary=count").json()["total"], 0);
    // A patch that makes it wrong is refused as well.
    let id = client.create(&json!({ "resourceType": "Patient", "gender": "male" })).id();
    let patch = json!([{ "op": "replace", "path": "/gender", "value": "x" }]);
    let headers = [("content-type", "application/json-patch+json")];
    let answer = client
        .send("PATCH", &format!("Patient/{id}"), &headers, patch.to_string().as_bytes())
        .expect("an answer");
    assert_eq!(answer.status, 422);
}

fn lanterna(data: &Path, arguments: &[&str]) -> Output {
    Command::new(binary()).arg("--data").arg(data).args(arguments).output().expect("it runs")
}

fn testdata(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata").join(path);
    if !path.exists() {
        println!("absent, passed over: {}", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn packages_serve_validation_by_command_and_over_the_wire() {
    let Some(core) = testdata("fhir/hl7.fhir.r4.core-4.0.1.tgz") else { return };
    let data = tempfile::tempdir().expect("a folder");
    let installed = lanterna(data.path(), &["package", "install", &core.display().to_string()]);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let listed = lanterna(data.path(), &["package", "list"]);
    let told = String::from_utf8_lossy(&listed.stdout);
    assert!(told.starts_with("hl7.fhir.r4.core#4.0.1") && told.lines().count() == 1, "{told}");

    let file = data.path().join("bp.json");
    std::fs::write(&file, "{\"resourceType\":\"Observation\",\n\"status\":\"final\",\n\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"85354-9\"}]}}").expect("written");
    let file = file.display().to_string();
    let validated = lanterna(data.path(), &["validate", &file]);
    assert_eq!(validated.status.code(), Some(1));
    let told = String::from_utf8_lossy(&validated.stdout);
    assert!(told.contains("StructureDefinition/bp"), "{told}");
    let outcome = lanterna(data.path(), &["validate", &file, "--output", "json"]);
    let outcome: Value = serde_json::from_slice(&outcome.stdout).expect("JSON");
    assert!(!errors(&outcome).is_empty());
    let page = lanterna(data.path(), &["validate", &file, "--output", "html", "--language", "it"]);
    let page = String::from_utf8_lossy(&page.stdout);
    assert!(page.contains("<html lang=\"it\">") && page.contains("non valido"), "{page}");

    let evaluated = lanterna(data.path(), &["fhirpath", "code.coding.code", &file]);
    assert_eq!(
        String::from_utf8_lossy(&evaluated.stdout),
        "FHIR.code\tObservation.code.coding[0].code\t85354-9\n"
    );
    let broken = lanterna(data.path(), &["fhirpath", "code.", &file]);
    assert!(
        String::from_utf8_lossy(&broken.stderr).contains("\n       ^"),
        "{}",
        String::from_utf8_lossy(&broken.stderr)
    );

    let server = Server::start(data.path());
    let client = server.client();
    let expansion =
        client.get("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender").json();
    assert_eq!(expansion["expansion"]["total"], 4);
    drop(server);

    let removed = lanterna(data.path(), &["package", "remove", "hl7.fhir.r4.core#4.0.1"]);
    assert!(removed.status.success());
    assert!(lanterna(data.path(), &["package", "list"]).stdout.is_empty());
}

#[test]
fn a_cda_document_becomes_a_bundle() {
    let Some(maps) = testdata("fse/catalogs/transform") else { return };
    let Some(document) = testdata("fse/support/doc/esempi/CDA/RAD.xml") else { return };
    let data = tempfile::tempdir().expect("a folder");
    let (maps, document) = (maps.display().to_string(), document.display().to_string());
    let map = format!("{maps}/RefertodiRadiologiaBody_v2.5.map");
    let made = lanterna(data.path(), &["transform", "--map", &map, "--with", &maps, "--input", &document]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bundle: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((&bundle["resourceType"], &bundle["type"]), (&json!("Bundle"), &json!("transaction")));
    assert!(bundle["entry"].as_array().is_some_and(|e| e.len() > 10));
    let broken = data.path().join("broken.map");
    std::fs::write(&broken, "map 'http://x' = x\n\ngroup g(source s : A, target t : B) {\n  s.a -> ;\n}\n")
        .expect("written");
    let refused =
        lanterna(data.path(), &["transform", "--map", &broken.display().to_string(), "--input", &document]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("line 4"),
        "{}",
        String::from_utf8_lossy(&refused.stderr)
    );
}

#[test]
fn tables_of_codes_are_loaded_by_command_and_served() {
    let data = tempfile::tempdir().expect("a folder");
    let load = |file: &str, bytes: &[u8], more: &[&str]| {
        let path = data.path().join(file);
        std::fs::write(&path, bytes).expect("written");
        let path = path.display().to_string();
        let done = lanterna(data.path(), &[&["terminology", "load", &path], more].concat());
        let told = [done.stdout, done.stderr].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
        (done.status.code(), told)
    };
    let national = b"version,code,description,release_date\n1,A,Citt\xe0,2024-05-06\n2,A,Altro,2025-05-06\n";
    let icd = b"codice;descrizione\n001;Colera\n001.0;Da Vibrio\n;nulla\n";
    for (file, bytes, more, code, expected) in [
        ("1.2.3.csv", &national[..], &[][..], 0, "terminology.it.national#2025-05-06 is installed"),
        ("1.2.3.csv", b"version,code,description\n1,B,b\n", &["--version", "2025-05-06"], 2, "--replace"),
        ("icd.csv", icd, &[], 2, "--as"),
        ("icd.csv", icd, &["--as", "icd-9-cm"], 2, "--version"),
        ("icd.csv", icd, &["--as", "icd-9-cm", "--version", "2007"], 1, "icd.csv:4: no code"),
    ] {
        let (status, told) = load(file, bytes, more);
        assert_eq!(status, Some(code), "{told}");
        assert!(told.contains(expected), "{told}");
    }
    let server = Server::start(data.path());
    let client = server.client();
    for (query, display) in [
        ("system=urn:oid:1.2.3&code=A&version=1", "Città"),
        ("system=urn:oid:1.2.3&code=A", "Altro"),
        ("system=http://hl7.org/fhir/sid/icd-9-cm&code=001.0", "Da Vibrio"),
        ("system=urn:oid:2.16.840.1.113883.6.103&code=001", "Colera"),
    ] {
        let answer = client.get(&format!("CodeSystem/$lookup?{query}")).json();
        let parameters = answer["parameter"].as_array().expect("parameters");
        let found = parameters.iter().find(|p| p["name"] == "display").expect("a display");
        assert_eq!(text(&found["valueString"]), display, "{query}");
    }
    let listed = lanterna(data.path(), &["package", "list"]);
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 2);
    let removed = lanterna(data.path(), &["package", "remove", "terminology.icd-9-cm#2007"]);
    assert!(removed.status.success());
}
