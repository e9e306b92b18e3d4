//! Who subscribes by ITI-52 is told by ITI-53 of what comes by whatever door.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::{Answer, Server};

use super::listener::{Listener, Sent};
use super::peer::*;

const DOCUMENTS: &str = "urn:uuid:aa2332d0-f8fe-11e0-be50-0800200c9a66";
const ALL_DOCUMENTS: &str = "urn:uuid:742790e0-aba6-43d6-9f1f-e43ed9790b79";
const SUBMISSION_SETS: &str = "urn:uuid:fbede94e-dbdc-4f6b-bc1f-d730e677cece";
const FOLDERS: &str = "urn:uuid:9376254e-da05-41f5-9af3-ac56d63d8ebd";
const WSN: &str = "http://docs.oasis-open.org/wsn";

struct Broker {
    data: tempfile::TempDir,
    server: Server,
    peer: Peer,
}

impl Broker {
    fn start(callbacks: &str) -> Broker {
        let data = tempfile::tempdir().expect("a folder");
        let text = format!("[peers]\ncallbacks = [{callbacks}]\nanswer_seconds_max = 5\n");
        std::fs::write(data.path().join("settings.toml"), text).expect("written");
        Broker::on(data)
    }

    fn on(data: tempfile::TempDir) -> Broker {
        let settings = data.path().join("settings.toml").display().to_string();
        let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
        let peer = Peer::of(&server);
        Broker { data, server, peer }
    }

    fn again(self) -> Broker {
        self.server.kill();
        Broker::on(self.data)
    }

    fn post(&self, path: &str, action: &str, body: &str) -> Answer {
        self.peer.post(path, "application/soap+xml", envelope(&format!("{WSN}/{action}"), body).as_bytes())
    }

    fn try_subscribe(&self, topic: &str, filter: (&str, &[(&str, &str)]), to: &str, until: &str) -> Answer {
        let slots: String = filter.1.iter().map(|(name, value)| slot(name, &[value])).collect();
        let until = match until {
            "" => String::new(),
            until => format!("<InitialTerminationTime>{until}</InitialTerminationTime>"),
        };
        let body = format!(
            "<Subscribe xmlns='{WSN}/b-2'><ConsumerReference>\
             <Address xmlns='http://www.w3.org/2005/08/addressing'>{to}</Address></ConsumerReference><Filter>\
             <TopicExpression Dialect='{WSN}/t-1/TopicExpression/Simple'>{topic}</TopicExpression>\
             <AdhocQuery xmlns='urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0' id='{}'>{slots}</AdhocQuery>\
             </Filter>{until}</Subscribe>",
            filter.0
        );
        self.post("dsub", "bw-2/NotificationProducer/SubscribeRequest", &body)
    }

    /// Subscribes, and returns the address of the subscription.
    fn subscribe(&self, topic: &str, filter: (&str, &[(&str, &str)]), to: &str) -> String {
        let answer = self.try_subscribe(topic, filter, to, "");
        assert_eq!(answer.status, 200, "{}", text(&answer));
        between(&text(&answer), "<wsa:Address>", "</wsa:Address>").to_owned()
    }

    fn unsubscribe(&self, reference: &str) -> Answer {
        let path = reference.split_once("/dsub/").expect("an address below the door").1;
        let body = format!("<Unsubscribe xmlns='{WSN}/b-2'/>");
        self.post(&format!("dsub/{path}"), "bw-2/SubscriptionManager/UnsubscribeRequest", &body)
    }

    /// Registers a document by ITI-42.
    fn register(&self, id: &str, unique_id: &str) {
        let objects = document(id, unique_id, "") + &members(&[id]);
        let hash = slot("hash", &["da39a3ee5e6b4b0d3255bfef95601890afd80709"]) + &slot("size", &["0"]);
        let more = hash + &slot("repositoryUniqueId", &["1.2.3.9"]);
        let objects = objects.replace(
            "<Name><LocalizedString value='Referto",
            &format!("{more}<Name><LocalizedString value='Referto"),
        );
        let answer =
            self.peer.registry("RegisterDocumentSet-b", &submit(&format!("{unique_id}.9"), &objects));
        assert!(text(&answer).contains("ResponseStatusType:Success"), "{}", text(&answer));
    }
}

fn patient() -> (&'static str, String) {
    ("$XDSDocumentEntryPatientId", format!("'{PATIENT}'"))
}

/// Waits until something holds, but not for ever.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(30), "not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn titles(sent: &[Sent]) -> Vec<String> {
    let title = |sent: &Sent| between(&sent.text(), "LocalizedString value=\"Referto ", "\"").to_owned();
    sent.iter().map(title).collect()
}

#[test]
fn subscribers_are_told_of_what_comes_by_whatever_door() {
    let listener = Listener::start();
    let broker = Broker::start(&format!("{:?}", listener.origin));
    create_patient(&broker.peer);
    broker.register("before", "1.2.3.4.1");
    let (name, value) = patient();
    let to = |path: &str| format!("{}/{path}", listener.origin);
    let full = broker.subscribe("ihe:FullDocumentEntry", (DOCUMENTS, &[(name, &value)]), &to("full"));

    broker.register("d1", "1.2.3.4.2");
    let objects = document("d2", "1.2.3.4.3", "") + &members(&["d2"]);
    broker.peer.provide(&provide(&submit("1.2.3.4.39", &objects), &[("d2", "x")]), &[("x", b"abc")]);
    let by_fhir = json!({ "resourceType": "DocumentReference", "status": "current",
        "subject": { "reference": "Patient/p1" },
        "content": [{ "attachment": { "title": "Referto d3", "contentType": "text/plain", "url": "http://a.example/x" } }] });
    assert_eq!(broker.peer.fhir.create(&by_fhir).status, 201);
    // Somebody else's, and a change of what is there.
    let other = json!({ "resourceType": "DocumentReference", "status": "current",
        "content": [{ "attachment": { "title": "Referto other", "url": "http://a.example/y" } }] });
    assert_eq!(broker.peer.fhir.create(&other).status, 201);
    let sent = listener.wait_for(3);
    assert_eq!(titles(&sent), ["d1", "d2", "d3"]);
    for sent in &sent {
        let message = sent.text();
        assert_eq!(sent.path, "/full");
        for expected in [
            "http://docs.oasis-open.org/wsn/bw-2/NotificationConsumer/Notify",
            &format!("<wsa:To>{}</wsa:To>", to("full")),
            &format!("<wsnt:SubscriptionReference><wsa:Address>{full}</wsa:Address>"),
            ">ihe:FullDocumentEntry</wsnt:Topic>",
            "<wsnt:Message><lcm:SubmitObjectsRequest><rim:RegistryObjectList><rim:ExtrinsicObject ",
        ] {
            assert!(message.contains(expected), "no {expected} in {message}");
        }
    }

    // It is a Subscription that FHIR sees, and it ends as it should.
    let id = full.rsplit('/').next().expect("an id").to_owned();
    let seen = broker.peer.fhir.get(&format!("Subscription/{id}")).json();
    assert_eq!((&seen["status"], &seen["channel"]["endpoint"]), (&json!("active"), &json!(to("full"))));
    let ended = broker.unsubscribe(&full);
    assert!(ended.status == 200 && text(&ended).contains("UnsubscribeResponse"), "{}", text(&ended));
    assert_eq!(broker.peer.fhir.get(&format!("Subscription/{id}")).json()["status"], "off");
    for unknown in [full.as_str(), "http://a.example/dsub/none"] {
        let again = broker.unsubscribe(unknown);
        assert!(again.status == 400 && text(&again).contains("ResourceUnknownFault"), "{}", text(&again));
    }
    broker.register("after", "1.2.3.4.4");
    broker.subscribe("ihe:MinimalDocumentEntry", (DOCUMENTS, &[(name, &value)]), &to("minimal"));
    broker.register("last", "1.2.3.4.5");
    let sent = listener.wait_for(4);
    assert_eq!((sent.len(), sent[3].path.as_str()), (4, "/minimal"), "{sent:?}");
    let reference = entry_uuid(&broker.peer, "1.2.3.4.5");
    assert!(sent[3].text().contains(&format!("<rim:ObjectRef id=\"{reference}\"/>")), "{}", sent[3].text());

    // What was told is recorded.
    let recorded = || broker.peer.count("AuditEvent?subtype=ITI-53&outcome=0&_summary=count");
    eventually("what was told is recorded", || recorded() == 4);
    let made = broker.peer.fhir.get("AuditEvent?subtype=ITI-52&action=C").json();
    let cancelled = broker.peer.fhir.get("AuditEvent?subtype=ITI-52&action=D").json();
    assert_eq!((&made["total"], &cancelled["total"]), (&json!(2), &json!(3)));
}

#[test]
fn each_topic_and_filter_tells_of_its_own() {
    let listener = Listener::start();
    let broker = Broker::start("\"*\"");
    create_patient(&broker.peer);
    let to = |path: &str| format!("{}/{path}", listener.origin);
    let of_set = [
        ("$XDSSubmissionSetPatientId", "'P1^^^&amp;1.2.3&amp;ISO'"),
        ("$XDSSubmissionSetSourceId", "'1.2.3.5'"),
    ];
    let of_other_source = [of_set[0], ("$XDSSubmissionSetSourceId", "'1.2.3.6'")];
    let of_folder = [("$XDSFolderPatientId", "'P1^^^&amp;1.2.3&amp;ISO'")];
    let of_class = [("$XDSDocumentEntryClassCode", "('CODE^^1.2.3.4')")];
    let of_other_class = [("$XDSDocumentEntryClassCode", "('OTHER^^1.2.3.4')")];
    for (topic, id, parameters, path) in [
        ("ihe:SubmissionSetMetadata", SUBMISSION_SETS, &of_set[..], "set"),
        ("ihe:SubmissionSetMetadata", SUBMISSION_SETS, &of_other_source, "other-set"),
        ("ihe:FolderMetadata", FOLDERS, &of_folder, "folder"),
        ("ihe:FullDocumentEntry", ALL_DOCUMENTS, &of_class, "class"),
        ("ihe:FullDocumentEntry", ALL_DOCUMENTS, &of_other_class, "other-class"),
    ] {
        broker.subscribe(topic, (id, parameters), &to(path));
    }
    let objects =
        folder("f1", "1.2.3.7.1") + &document("d1", "1.2.3.7.2", "") + &association(HAS_MEMBER, "f1", "d1");
    let objects = objects + &members(&["f1", "d1"]) + &association(HAS_MEMBER, "set", "as-f1-d1");
    broker.peer.provide(&provide(&submit("1.2.3.7.9", &objects), &[("d1", "x")]), &[("x", b"abc")]);
    let mut paths: Vec<String> = listener.wait_for(3).into_iter().map(|sent| sent.path).collect();
    paths.sort();
    assert_eq!(paths, ["/class", "/folder", "/set"]);

    // A folder changes with what is added to it.
    let folder_id = {
        let found = broker.peer.query(GET_FOLDERS, "ObjectRef", &[("$XDSFolderUniqueId", "('1.2.3.7.1')")]);
        between(&found, "<rim:ObjectRef id=\"", "\"").to_owned()
    };
    let objects = document("d2", "1.2.3.7.3", "") + &association(HAS_MEMBER, &folder_id, "d2");
    let objects = objects + &members(&["d2"]);
    broker.peer.provide(&provide(&submit("1.2.3.7.8", &objects), &[("d2", "x")]), &[("x", b"abcd")]);
    let mut paths: Vec<String> = listener.wait_for(6).into_iter().skip(3).map(|sent| sent.path).collect();
    paths.sort();
    assert_eq!(paths, ["/class", "/folder", "/set"]);

    // What others publish is told as well.
    let list = submit("1.2.3.7.7", &document("d3", "1.2.3.7.4", ""));
    let body = format!(
        "<Notify xmlns='{WSN}/b-2'><NotificationMessage><ProducerReference>\
         <Address xmlns='http://www.w3.org/2005/08/addressing'>urn:oid:1.2.3</Address></ProducerReference>\
         <Message>{list}</Message></NotificationMessage></Notify>"
    );
    let published = broker.post("dsub", "bw-2/NotificationConsumer/Notify", &body);
    assert_eq!((published.status, published.body.len()), (202, 0), "{}", text(&published));
    let sent = listener.wait_for(8);
    let mut paths: Vec<&str> = sent.iter().skip(6).map(|sent| sent.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/class", "/set"]);
    let nothing =
        broker.post("dsub", "bw-2/NotificationConsumer/Notify", &format!("<Notify xmlns='{WSN}/b-2'/>"));
    assert_eq!(nothing.status, 400, "{}", text(&nothing));
}

#[test]
fn nothing_is_lost_while_somebody_is_away_or_the_server_ends() {
    let listener = Listener::start();
    let broker = Broker::start("\"*\"");
    create_patient(&broker.peer);
    let (name, value) = patient();
    let away = Listener::start();
    away.answer_with(503);
    let origins = [&listener.origin, &away.origin];
    for origin in origins {
        broker.subscribe("ihe:FullDocumentEntry", (DOCUMENTS, &[(name, &value)]), &format!("{origin}/x"));
    }
    let expected: Vec<String> = (0..12).map(|n| format!("d{n}")).collect();
    let mut broker = broker;
    for (n, id) in expected.iter().enumerate() {
        broker.register(id, &format!("1.2.3.8.{n}.1"));
        if n % 5 == 4 {
            broker = broker.again();
        }
    }
    // One that is away does not hold up the other; and is seen to be away. What was sent just
    // before the server was killed may come again.
    let first_time = |listener: &Listener| {
        let mut first: Vec<String> = Vec::new();
        for title in titles(&listener.wait_for(0)) {
            if !first.contains(&title) {
                first.push(title);
            }
        }
        first
    };
    let count = |broker: &Broker, status: &str| {
        broker.peer.count(&format!("Subscription?status={status}&_summary=count"))
    };
    eventually("the one who is there gets everything", || first_time(&listener) == expected);
    eventually("the other is seen to be away", || count(&broker, "error") == 1);
    // When it is back, it gets everything, in order.
    away.answer_with(202);
    let broker = broker.again();
    eventually("the other gets everything", || first_time(&away) == expected);
    eventually("it is seen to be back", || count(&broker, "active") == 2);
}

#[test]
fn what_cannot_be_subscribed_is_refused_with_its_fault() {
    let listener = Listener::start();
    let broker = Broker::start(&format!("{:?}", listener.origin));
    let (name, value) = patient();
    let parameters = [(name, value.as_str())];
    let to = format!("{}/x", listener.origin);
    let full = "ihe:FullDocumentEntry";
    for (topic, filter, to, until, fault) in [
        (full, (DOCUMENTS, &parameters[..]), "http://127.0.0.1:1/x", "", "SubscribeCreationFailedFault"),
        (
            full,
            (DOCUMENTS, &parameters),
            to.as_str(),
            "2001-01-01T00:00:00Z",
            "UnacceptableInitialTerminationTimeFault",
        ),
        ("ihe:Everything", (DOCUMENTS, &parameters), &to, "", "TopicNotSupportedFault"),
        ("a/b", (DOCUMENTS, &parameters), &to, "", "InvalidTopicExpressionFault"),
        ("ihe:FolderMetadata", (DOCUMENTS, &parameters), &to, "", "InvalidFilterFault"),
        (full, (GET_ALL, &parameters), &to, "", "InvalidFilterFault"),
        (full, (DOCUMENTS, &[]), &to, "", "InvalidFilterFault"),
    ] {
        let answer = broker.try_subscribe(topic, filter, to, until);
        assert!(answer.status == 400 && text(&answer).contains(fault), "{fault}: {}", text(&answer));
        assert!(text(&answer).contains("http://docs.oasis-open.org/wsn/fault"), "{}", text(&answer));
    }
    assert_eq!(broker.peer.count("Subscription?_summary=count"), 0);
    // One that ends by itself says when, and is off after that.
    let answer = broker.try_subscribe(full, (DOCUMENTS, &parameters), &to, "PT2S");
    assert!(text(&answer).contains("<wsnt:TerminationTime>"), "{}", text(&answer));
    let off = || broker.peer.count("Subscription?status=off&_summary=count");
    eventually("it is off", || off() == 1);
}
