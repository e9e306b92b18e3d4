//! The review list as a page: what waits is shown, what is decided on it is
//! done, and nothing of a record becomes markup.

use serde_json::{Value, json};
use tests::{Answer, Client, Server};

use super::settings;

/// A name that would be a script.
const SCRIPT: &str = "<script>alert(1)</script>\"'>";

struct Page {
    client: Client,
    url: String,
}

impl Page {
    fn of(server: &Server) -> Page {
        Page { client: server.client(), url: format!("{}/identity/review", server.origin()) }
    }

    fn get(&self, query: &str, headers: &[(&str, &str)]) -> (Answer, String) {
        let answer =
            self.client.send("GET", &format!("{}{query}", self.url), headers, &[]).expect("an answer");
        let text = String::from_utf8(answer.body.clone()).expect("UTF-8");
        (answer, text)
    }

    /// Sends a form, and goes where the answer leads to, as browsers do.
    fn post(&self, headers: &[(&str, &str)], form: &[(&str, &str)]) -> (Answer, String) {
        let pairs: Vec<String> =
            form.iter().map(|(name, value)| format!("{name}={}", value.replace(' ', "+"))).collect();
        let config = ureq::Agent::config_builder().http_status_as_error(false).max_redirects(0);
        let agent: ureq::Agent = config.max_redirects_will_error(false).build().into();
        let mut request = agent.post(&self.url).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(pairs.join("&")).expect("an answer");
        if response.status().as_u16() == 303 {
            let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
            let cookie = header("set-cookie").expect("a cookie");
            assert_eq!(cookie, "lanterna-agent=Anna%20Bo; HttpOnly; SameSite=Strict");
            let (answer, text) = self.get(header("location").expect("a place"), &[("cookie", cookie)]);
            assert!(!text.contains("<form") || text.contains("value=\"Anna Bo\""), "{text}");
            return (answer, text);
        }
        let status = response.status().as_u16();
        let body = response.body_mut().read_to_vec().expect("a body");
        let text = String::from_utf8(body.clone()).expect("UTF-8");
        (Answer { status, headers: Vec::new(), body }, text)
    }
}

/// Returns the value of a hidden input of a form.
fn hidden<'t>(form: &'t str, name: &str) -> &'t str {
    let input = form.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("an input");
    input.split('"').next().expect("a value")
}

/// Returns the fields of a form of a page, with a decision.
fn form<'t>(page: &'t str, at: usize, decision: &'t str, remark: &'t str) -> Vec<(&'t str, &'t str)> {
    let form = page.split("<form").nth(at + 1).expect("a form");
    let mut fields: Vec<(&str, &str)> = ["task", "task-version", "first-version", "second-version"]
        .into_iter()
        .map(|name| (name, hidden(form, name)))
        .collect();
    fields.extend([("agent", "Anna Bo"), ("remark", remark), ("decision", decision)]);
    fields
}

/// Feeds two records that only people can tell apart: the same names and day of birth, and nothing further.
fn feed(client: &Client, number: usize, family: &str) -> [String; 2] {
    [0, 1].map(|source| {
        let system = format!("urn:oid:{}", super::model::sources()[source]);
        let patient = json!({ "resourceType": "Patient",
            "identifier": [{ "system": system, "value": format!("{number}") }],
            "name": [{ "family": family, "given": ["Maria"] }],
            "gender": "female", "birthDate": format!("{}-{:02}-15", 1940 + 3 * number, number % 12 + 1),
            "address": [{ "line": [format!("Via {number}{source}")], "city": "Genova" }] });
        let answer = client.create(&patient);
        assert_eq!(answer.status, 201);
        answer.id()
    })
}

fn links(client: &Client, id: &str) -> usize {
    client.get(&format!("Patient/{id}")).json()["link"].as_array().map_or(0, Vec::len)
}

fn task(client: &Client, id: &str) -> Value {
    let found = client.get(&format!("Task?subject=Patient/{id}")).json();
    let as_focus = client.get(&format!("Task?focus=Patient/{id}")).json();
    let of = |found: &Value| found["entry"][0]["resource"].clone();
    if of(&found).is_null() { of(&as_focus) } else { of(&found) }
}

#[test]
fn what_is_decided_on_the_page_is_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let server = Server::start_with(&folder.path().join("data"), &["--config", &settings], &[]);
    let (client, page) = (server.client(), Page::of(&server));
    let origin = server.origin();
    let own = [("origin", origin.as_str())];
    let pairs = [("Zunino", 0), ("Parodi", 1), (SCRIPT, 2)].map(|(name, n)| feed(&client, n, name));
    let (answer, text) = page.get("", &[]);
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = answer.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // Nothing of a record is markup, and there is no script and nothing that is fetched.
    assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&gt;"), "{text}");
    for never in ["<script", " onclick", " src=", "style=", "javascript:"] {
        assert!(!text.contains(never), "{never}");
    }
    assert_eq!(text.matches("<article").count(), 3);
    // The newest first: what is compared, how it stands and what it weighs.
    let of_parodi = text.split("<article").nth(2).expect("a pair");
    for said in [
        "Parodi Maria",
        "homonyms",
        "same city, other street",
        "1943-02-15",
        "Via 10, Genova",
        "Via 11, Genova",
    ] {
        assert!(of_parodi.contains(said), "{said}: {of_parodi}");
    }
    assert!(of_parodi.contains("role=\"cell\" class=\"bits\">+"), "{of_parodi}");
    let (_, italian) = page.get("", &[("accept-language", "it-IT,it;q=0.9,en;q=0.5")]);
    assert!(italian.contains("lang=\"it\"") && italian.contains("stesso comune, altra via"));

    // Another page may not decide, and neither may what does not say where it comes from.
    let same = form(&text, 1, "same", "known here");
    for headers in [
        &[][..],
        &[("origin", "https://evil.example")],
        &[("origin", origin.as_str()), ("sec-fetch-site", "cross-site")],
        &[("origin", "null")],
    ] {
        assert_eq!(page.post(headers, &same).0.status, 403, "{headers:?}");
    }
    assert_eq!(links(&client, &pairs[1][0]), 0);

    let (answer, told) = page.post(&own, &same);
    assert_eq!(answer.status, 200, "{told}");
    assert!(told.contains("Noted: the same person") && told.matches("<article").count() == 2, "{told}");
    assert_eq!(pairs[1].each_ref().map(|id| links(&client, id)), [1, 1]);
    let decided = task(&client, &pairs[1][0]);
    assert_eq!((&decided["status"], &decided["owner"]["display"]), (&json!("completed"), &json!("Anna Bo")));
    assert_eq!(decided["statusReason"]["text"], "known here");
    // What was shown before is not what is there now.
    let (answer, told) = page.post(&own, &form(&text, 1, "different", ""));
    assert_eq!(answer.status, 409, "{told}");
    assert!(told.contains("has changed in the meantime"), "{told}");
    assert_eq!(pairs[1].each_ref().map(|id| links(&client, id)), [1, 1]);

    let (answer, _) = page.post(&own, &form(&text, 2, "different", ""));
    assert_eq!(answer.status, 200);
    assert_eq!(
        (links(&client, &pairs[0][0]), &task(&client, &pairs[0][0])["status"]),
        (0, &json!("rejected"))
    );
    // What waits says why.
    assert_eq!(page.post(&own, &form(&text, 0, "later", "")).0.status, 422);
    assert_eq!(page.post(&own, &form(&text, 0, "later", "ask the ward")).0.status, 200);
    let waiting = task(&client, &pairs[2][0]);
    assert_eq!(
        (&waiting["status"], &waiting["note"][0]["text"]),
        (&json!("on-hold"), &json!("ask the ward"))
    );
    let count = |query: &str| page.get(query, &[]).1.matches("<article").count();
    assert_eq!((count(""), count("?list=later"), count("?list=decided")), (0, 1, 2));
    // It is still asked, and a decision can be another one.
    let (_, later) = page.get("?list=later", &[]);
    assert!(later.contains("ask the ward") && later.contains("value=\"later\""));
    let (_, decided) = page.get("?list=decided", &[]);
    let zunino = usize::from(!decided.split("<article").nth(1).expect("a pair").contains("Zunino"));
    assert_eq!(page.post(&own, &form(&decided, zunino, "same", "")).0.status, 200);
    assert_eq!(links(&client, &pairs[0][0]), 1);
}

#[test]
fn pages_follow_each_other_and_nonsense_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let server = Server::start_with(&folder.path().join("data"), &["--config", &settings], &[]);
    let (client, page) = (server.client(), Page::of(&server));
    assert!(page.get("", &[]).1.contains("There are none."));
    let families = "Zunino Parodi Bruzzone Canepa Traverso Ottonello Repetto Ferrando Gaggero Pastorino Sciaccaluga Vallarino";
    for (number, family) in families.split(' ').enumerate() {
        feed(&client, number, family);
    }
    let (_, first) = page.get("", &[]);
    assert_eq!(first.matches("<article").count(), 10);
    assert!(first.contains("Pairs of records in this list: 12"), "{first}");
    let next = first.split("href=\"").find_map(|link| {
        link.contains("Next page").then(|| link.split('"').next().expect("a link").replace("&amp;", "&"))
    });
    let next = next.expect("a next page");
    assert!(next.contains("&at="), "{next}");
    let (_, second) = page.get(&next, &[]);
    assert_eq!(second.matches("<article").count(), 2);
    assert!(second.contains("Previous page") && !second.contains("Next page"));

    assert_eq!(page.get("?at=nonsense", &[]).0.status, 400);
    let origin = server.origin();
    let own = [("origin", origin.as_str())];
    let whole = form(&first, 0, "same", "");
    for (name, value, status) in [
        ("decision", "", 400),
        ("task", "../x", 400),
        ("task", "nobody", 404),
        ("first-version", "0", 400),
        ("agent", "", 422),
        ("agent", &"x".repeat(201), 422),
        ("remark", &"x".repeat(2_001), 422),
        ("remark", &"x".repeat(40_000), 413),
    ] {
        let wrong: Vec<(&str, &str)> =
            whole.iter().map(|(of, is)| (*of, if *of == name { value } else { is })).collect();
        let (answer, text) = page.post(&own, &wrong);
        assert_eq!(answer.status, status, "{name}: {text}");
    }
    let other =
        client.create(&json!({ "resourceType": "Task", "status": "requested", "intent": "order" })).id();
    let wrong: Vec<(&str, &str)> =
        whole.iter().map(|(of, is)| (*of, if *of == "task" { other.as_str() } else { is })).collect();
    assert_eq!(page.post(&own, &wrong).0.status, 422);
    let json = [("content-type", "application/json"), ("origin", origin.as_str())];
    assert_eq!(client.send("POST", &page.url, &json, b"{}").expect("an answer").status, 415);
    assert_eq!(client.send("PUT", &page.url, &[], b"").expect("an answer").status, 405);
    assert!(page.get("", &[]).1.contains("Pairs of records in this list: 12"));
}
