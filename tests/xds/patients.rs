//! The patient index by HL7 v3: fed, asked, merged, asked by demographics, and
//! by other communities. What is answered is valid by the schemas of HL7.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ihe_adapters::wire::schema::Schemas;
use serde_json::{Value, json};
use tests::Server;

use super::listener::Listener;
use super::peer::*;

const SIO: &str = "1.3.6.1.4.1.99999.31";
const LIS: &str = "1.3.6.1.4.1.99999.32";
const REGION: &str = "1.3.6.1.4.1.99999.33";
const FISCAL: &str = "2.16.840.1.113883.2.9.4.3.2";
const HOME: &str = "1.3.6.1.4.1.99999.39";

/// The schemas of HL7 v3; `None` when they are not there.
fn official() -> Option<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata/ihe/wsdl-xsd");
    let folder = ours.join("ipf/hl7v3/src/main/resources/schema/HL7V3/NE2008/multicacheschemas");
    if !folder.exists() {
        println!("absent, no schema checked: {}", folder.display());
    }
    folder.exists().then_some(folder)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Checks a message against the schemas of HL7.
fn valid(message: &str) {
    static SCHEMAS: OnceLock<Option<Schemas>> = OnceLock::new();
    let open = || official().map(|folder| Schemas::open(&folder, &["urn:hl7-org:v3"]).expect("schemas"));
    let Some(schemas) = SCHEMAS.get_or_init(open) else { return };
    let start = message.find("<hl7:").unwrap_or_else(|| panic!("no message of HL7 v3 in {message}"));
    let name: &'static str =
        between(&message[start..], "<hl7:", ">").split([' ', '/']).next().unwrap_or("").to_owned().leak();
    let place = vec![
        ("http://www.w3.org/2003/05/soap-envelope", "Envelope"),
        ("http://www.w3.org/2003/05/soap-envelope", "Body"),
        ("urn:hl7-org:v3", name),
    ];
    let found = wait(schemas.check(message.to_owned().into(), place)).expect("a check");
    assert_eq!(found, [], "{message}");
}

fn server(more: &str) -> (tempfile::TempDir, Server, Peer) {
    let data = tempfile::tempdir().expect("a folder");
    let settings = data.path().join("settings.toml");
    let domain =
        |name: &str, oid: &str| format!("[[identity.domains]]\nname = \"{name}\"\noid = \"{oid}\"\n");
    let domains = [domain("SIO", SIO), domain("LIS", LIS), domain("REGION", REGION)].concat();
    let text = format!("[xds]\nhome_community_id = \"{HOME}\"\n{domains}{more}");
    std::fs::write(&settings, text).expect("written");
    let settings = settings.display().to_string();
    let server = Server::start_with(&data.path().join("data"), &["--config", &settings], &[]);
    let peer = Peer::of(&server);
    (data, server, peer)
}

fn message(interaction: &str, more: &str, act: &str) -> String {
    format!(
        "<{interaction} xmlns='urn:hl7-org:v3' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' \
         ITSVersion='XML_1.0'><id root='1.2.9' extension='m1'/><creationTime value='20260102030405'/>\
         <interactionId root='2.16.840.1.113883.1.6' extension='{interaction}'/><processingCode code='P'/>\
         <processingModeCode code='T'/><acceptAckCode code='AL'/><receiver typeCode='RCV'><device classCode='DEV' \
         determinerCode='INSTANCE'><id root='1.2.8'/></device></receiver>{more}<sender typeCode='SND'><device \
         classCode='DEV' determinerCode='INSTANCE'><id root='1.2.7'/></device></sender>{act}</{interaction}>"
    )
}

/// Sends a message, and returns the answer, which is valid.
fn ask(peer: &Peer, door: &str, action: &str, message: &str) -> String {
    let told = ask_wrongly(peer, door, action, message);
    valid(&told);
    told
}

/// Sends a message that is not valid: the query of it that stands in the answer is not either.
fn ask_wrongly(peer: &Peer, door: &str, action: &str, message: &str) -> String {
    let answer = peer.post(door, "application/soap+xml", envelope(action, message).as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer));
    text(&answer)
}

fn v3(peer: &Peer, door: &str, interaction: &str, act: &str) -> String {
    ask(peer, door, &format!("urn:hl7-org:v3:{interaction}"), &message(interaction, "", act))
}

fn control_act(interaction: &str, inside: &str) -> String {
    let event = interaction.replace("_IN", "_TE");
    format!(
        "<controlActProcess classCode='CACT' moodCode='EVN'><code code='{event}' \
         codeSystem='2.16.840.1.113883.1.6'/>{inside}</controlActProcess>"
    )
}

/// A registration of a patient; `replaced`: what it replaces.
fn registered(interaction: &str, ids: &[(&str, &str)], person: &str, replaced: &str) -> String {
    let ids: String = ids.iter().map(|(root, id)| format!("<id root='{root}' extension='{id}'/>")).collect();
    control_act(
        interaction,
        &format!(
            "<subject typeCode='SUBJ'><registrationEvent classCode='REG' moodCode='EVN'><id nullFlavor='NA'/>\
             <statusCode code='active'/><subject1 typeCode='SBJ'><patient classCode='PAT'>{ids}\
             <statusCode code='active'/><patientPerson classCode='PSN' determinerCode='INSTANCE'>{person}\
             </patientPerson><providerOrganization classCode='ORG' determinerCode='INSTANCE'><id root='1.2.7'/>\
             <contactParty classCode='CON'/></providerOrganization></patient></subject1><custodian typeCode='CST'>\
             <assignedEntity classCode='ASSIGNED'><id root='1.2.7'/></assignedEntity></custodian>{replaced}\
             </registrationEvent></subject>"
        ),
    )
}

fn person(given: &str, family: &str, born: &str, gender: &str) -> String {
    format!(
        "<name><given>{given}</given><family>{family}</family></name>\
         <administrativeGenderCode code='{gender}'/><birthTime value='{born}'/>"
    )
}

fn feed(peer: &Peer, interaction: &str, ids: &[(&str, &str)], person: &str) -> String {
    v3(peer, "pix/v3", interaction, &registered(interaction, ids, person, ""))
}

fn add(peer: &Peer, ids: &[(&str, &str)], person: &str) {
    let told = feed(peer, "PRPA_IN201301UV02", ids, person);
    assert!(told.contains("<hl7:typeCode code=\"CA\"/>"), "{told}");
}

fn merge(peer: &Peer, gone: &str, stays: &str) -> String {
    let replaced = format!(
        "<replacementOf typeCode='RPLC'><priorRegistration classCode='REG' moodCode='EVN'><statusCode \
         code='obsolete'/><subject1 typeCode='SBJ'><priorRegisteredRole classCode='PAT'><id root='{SIO}' \
         extension='{gone}'/></priorRegisteredRole></subject1></priorRegistration></replacementOf>"
    );
    let name = "<name nullFlavor='NA'/>";
    let act = registered("PRPA_IN201304UV02", &[(SIO, stays)], name, &replaced);
    v3(peer, "pix/v3", "PRPA_IN201304UV02", &act)
}

fn query(parameters: &str, more: &str) -> String {
    // The schema has them in the order of their names.
    let mut lines: Vec<&str> = parameters.lines().collect();
    lines.sort_by_key(|line| line.split('>').next());
    let parameters = lines.concat();
    format!(
        "<queryByParameter><queryId root='1.2.6' extension='q1'/><statusCode code='new'/>\
         <responseModalityCode code='R'/><responsePriorityCode code='I'/>{more}<parameterList>{parameters}\
         </parameterList></queryByParameter>"
    )
}

fn value(parameter: &str, value: &str) -> String {
    format!("<{parameter}>{value}<semanticsText>x</semanticsText></{parameter}>\n")
}

/// Asks for the identifiers of somebody; `wanted`: the domains.
fn pix(peer: &Peer, root: &str, id: &str, wanted: &[&str]) -> String {
    let mut parameters: String =
        wanted.iter().map(|oid| value("dataSource", &format!("<value root='{oid}'/>"))).collect();
    parameters += &value("patientIdentifier", &format!("<value root='{root}' extension='{id}'/>"));
    let query = format!(
        "<queryByParameter><queryId root='1.2.6' extension='q1'/><statusCode code='new'/><responsePriorityCode \
         code='I'/><parameterList>{parameters}</parameterList></queryByParameter>"
    );
    v3(peer, "pix/v3", "PRPA_IN201309UV02", &control_act("PRPA_IN201309UV02", &query))
}

fn pdq(peer: &Peer, parameters: &str, more: &str) -> String {
    let act = control_act("PRPA_IN201305UV02", &query(parameters, more));
    v3(peer, "pdq/v3", "PRPA_IN201305UV02", &act)
}

fn pdq_wrongly(peer: &Peer, parameters: &str) -> String {
    let act = control_act("PRPA_IN201305UV02", &query(parameters, ""));
    let message = message("PRPA_IN201305UV02", "", &act);
    ask_wrongly(peer, "pdq/v3", "urn:hl7-org:v3:PRPA_IN201305UV02", &message)
}

fn named(given: &str, family: &str) -> String {
    value("livingSubjectName", &format!("<value><given>{given}</given><family>{family}</family></value>"))
}

fn born(date: &str) -> String {
    value("livingSubjectBirthTime", &format!("<value value='{date}'/>"))
}

/// The extensions of the identifiers of the patients of an answer, in their order.
fn told_ids(answer: &str) -> Vec<String> {
    let patients = answer.split("<hl7:patient ").skip(1);
    let ids = patients.flat_map(|patient| {
        let patient = patient.split("<hl7:custodian").next().unwrap_or_default();
        patient.split("<hl7:id ").skip(1).filter_map(|id| {
            let id = id.split('>').next()?;
            Some(id.split("extension=\"").nth(1)?.split('"').next()?.to_owned())
        })
    });
    ids.collect()
}

fn patient_with(peer: &Peer, root: &str, id: &str) -> Value {
    let found = peer.fhir.get(&format!("Patient?identifier=urn:oid:{root}|{id}")).json();
    assert_eq!(found["entry"].as_array().map(Vec::len), Some(1), "{found}");
    found["entry"][0]["resource"].clone()
}

/// Ties two records, as who knows that they are one person does.
fn tie(peer: &Peer, one: (&str, &str), other: (&str, &str)) {
    let of = |(root, id)| patient_with(peer, root, id);
    let ids = [of(one), of(other)].map(|patient| patient["id"].as_str().expect("an id").to_owned());
    for (mut patient, to) in [(of(one), &ids[1]), (of(other), &ids[0])] {
        let place = format!("Patient/{to}");
        let has = patient["link"]
            .as_array()
            .is_some_and(|all| all.iter().any(|l| l["other"]["reference"] == place.as_str()));
        if has {
            continue;
        }
        let link = json!({ "other": { "reference": place }, "type": "seealso" });
        match patient["link"].as_array_mut() {
            Some(links) => links.push(link),
            None => patient["link"] = json!([link]),
        }
        let url = format!("Patient/{}", patient["id"].as_str().expect("an id"));
        assert_eq!(peer.fhir.json("PUT", &url, &[], &patient).expect("an answer").status, 200);
    }
}

#[test]
fn a_record_is_known_by_the_identifiers_of_its_person() {
    let (_data, _server, peer) = server("");
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    add(&peer, &[(LIS, "L1")], &person("Maria", "Rossi", "19800203", "F"));
    // Told twice it is known once.
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    assert_eq!(peer.count(&format!("Patient?identifier=urn:oid:{SIO}|S1&_summary=count")), 1);
    tie(&peer, (SIO, "S1"), (LIS, "L1"));
    for wanted in [&[][..], &[LIS], &[LIS, REGION]] {
        let told = pix(&peer, SIO, "S1", wanted);
        assert!(
            told.contains("<hl7:typeCode code=\"AA\"/>") && told.contains("queryResponseCode code=\"OK\""),
            "{told}"
        );
        assert_eq!(told_ids(&told), ["L1"], "{told}");
        assert!(
            told.contains(&format!("root=\"{LIS}\"")) && told.contains("assigningAuthorityName=\"LIS\""),
            "{told}"
        );
        assert!(told.contains("<hl7:family>Rossi</hl7:family>"), "{told}");
    }
    let told = pix(&peer, SIO, "S1", &[REGION]);
    assert!(
        told.contains("<hl7:typeCode code=\"AA\"/>") && told.contains("queryResponseCode code=\"NF\""),
        "{told}"
    );
    assert_eq!(told_ids(&told), Vec::<String>::new());
    for (root, id, wanted, places) in [
        (SIO, "S9", &[][..], &["/hl7:patientIdentifier[1]/hl7:value<"][..]),
        ("1.2.3.4", "S1", &[], &["/hl7:patientIdentifier[1]/hl7:value<"]),
        (
            SIO,
            "S1",
            &["1.2.3.4", LIS, "1.2.3.5"],
            &["/hl7:dataSource[1]/hl7:value<", "/hl7:dataSource[3]/hl7:value<"],
        ),
    ] {
        let told = pix(&peer, root, id, wanted);
        assert!(
            told.contains("<hl7:typeCode code=\"AE\"/>") && told.contains("queryResponseCode code=\"AE\""),
            "{told}"
        );
        assert_eq!(told.matches("<hl7:code code=\"204\"").count(), places.len(), "{told}");
        for place in places {
            assert!(told.contains(place), "no {place} in {told}");
        }
        assert_eq!(told_ids(&told), Vec::<String>::new());
        assert!(told.contains("<hl7:queryByParameter>"), "{told}");
    }
}

#[test]
fn what_a_source_revises_is_so_and_what_has_no_place_is_kept() {
    let (_data, _server, peer) = server("");
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    let more = "<educationLevelCode code='PB'/>";
    let revised = person("Maria", "Bianchi", "19800203", "F") + "<maritalStatusCode code='M'/>" + more;
    let told = feed(&peer, "PRPA_IN201302UV02", &[(SIO, "S1")], &revised);
    assert!(told.contains("<hl7:typeCode code=\"CA\"/>"), "{told}");
    assert!(told.contains("typeCode=\"W\"") && told.contains("hl7:educationLevelCode[1]<"), "{told}");
    let patient = patient_with(&peer, SIO, "S1");
    assert_eq!(patient["name"], json!([{ "family": "Bianchi", "given": ["Maria"] }]));
    assert_eq!(patient["maritalStatus"]["coding"][0]["code"], "M");
    let id = patient["id"].as_str().expect("an id");
    let kept = peer.fhir.get(&format!("Provenance?target=Patient/{id}")).json();
    let provenance = &kept["entry"][0]["resource"];
    let place = provenance["extension"][0]["valueString"].as_str().unwrap_or_default();
    assert!(place.ends_with("/hl7:patientPerson[1]/hl7:educationLevelCode[1]"), "{kept}");
    let raw = provenance["entity"][0]["what"]["reference"].as_str().expect("the message");
    let raw = peer.fhir.send(
        "GET",
        &format!("{}/fhir/{raw}", peer.origin),
        &[("accept", "application/hl7-v3+xml")],
        b"",
    );
    let raw = text(&raw.expect("an answer"));
    assert!(raw.contains("educationLevelCode"), "{raw}");
    // What was done is recorded, as what it was.
    for (interaction, action) in [("add", "C"), ("revise", "U")] {
        let found = peer.count(&format!("AuditEvent?subtype=ITI-44&action={action}&_summary=count"));
        assert_eq!(found, 1, "{interaction}");
    }
}

#[test]
fn feeds_that_cannot_be_taken_are_refused() {
    let (_data, _server, peer) = server("");
    let of = person("Maria", "Rossi", "19800203", "F");
    let refused = |told: &str, code: &str, place: &str| {
        assert!(told.contains("<hl7:typeCode code=\"CE\"/>"), "{told}");
        assert!(
            told.contains(&format!("<hl7:code code=\"{code}\"")) && told.contains(place),
            "{code} {place} {told}"
        );
    };
    let add = "PRPA_IN201301UV02";
    refused(&feed(&peer, add, &[("1.2.3.4", "S1")], &of), "101", "/hl7:patient/hl7:id<");
    let empty = control_act(add, "");
    refused(&v3(&peer, "pix/v3", add, &empty), "SYN", "/hl7:controlActProcess/hl7:subject<");
    let one = registered(add, &[(SIO, "S1")], &of, "");
    let subject = between(&one, "<subject ", "</subject>");
    let two =
        one.replace("</controlActProcess>", &format!("<subject {subject}</subject></controlActProcess>"));
    refused(&v3(&peer, "pix/v3", add, &two), "SYN", "hl7:subject[2]<");
    let nameless =
        message(add, "", &one).replace("<id root='1.2.9' extension='m1'/>", "<id nullFlavor='UNK'/>");
    refused(&ask(&peer, "pix/v3", &format!("urn:hl7-org:v3:{add}"), &nameless), "SYN", "/hl7:id<");
    let other =
        message(add, "", &one).replace("extension='PRPA_IN201301UV02'", "extension='PRPA_IN201302UV02'");
    refused(&ask(&peer, "pix/v3", &format!("urn:hl7-org:v3:{add}"), &other), "SYN", "/hl7:interactionId<");
    assert_eq!(peer.count("Patient?_summary=count"), 0);
    // Merges of what is not there, and of what is the same.
    super::patients::add(&peer, &[(SIO, "S1")], &of);
    refused(&merge(&peer, "S9", "S1"), "204", "/hl7:priorRegisteredRole/hl7:id<");
    refused(&merge(&peer, "S1", "S9"), "204", "/hl7:patient/hl7:id<");
    refused(&merge(&peer, "S1", "S1"), "207", "into himself");
    let act = registered("PRPA_IN201304UV02", &[(SIO, "S1")], "<name nullFlavor='NA'/>", "");
    refused(&v3(&peer, "pix/v3", "PRPA_IN201304UV02", &act), "SYN", "hl7:replacementOf[1]");
}

#[test]
fn who_was_merged_is_known_by_who_is_left() {
    let (_data, _server, peer) = server("");
    for (root, id) in [(SIO, "S1"), (SIO, "S2"), (SIO, "S3"), (LIS, "L2")] {
        add(&peer, &[(root, id)], &person("Maria", id, "19800203", "F"));
    }
    tie(&peer, (SIO, "S2"), (LIS, "L2"));
    assert_eq!(told_ids(&pix(&peer, LIS, "L2", &[])), ["S2"]);
    for (gone, stays) in [("S2", "S1"), ("S1", "S3")] {
        let told = merge(&peer, gone, stays);
        assert!(told.contains("<hl7:typeCode code=\"CA\"/>"), "{told}");
        // What was tied to the one is tied to the other; the one is not known any more.
        assert_eq!(told_ids(&pix(&peer, LIS, "L2", &[])), [stays], "{gone}");
        assert_eq!(told_ids(&pix(&peer, SIO, stays, &[])), ["L2"], "{gone}");
        let told = pix(&peer, SIO, gone, &[]);
        assert!(told.contains("<hl7:code code=\"204\""), "{told}");
        let told =
            pdq(&peer, &value("livingSubjectId", &format!("<value root='{SIO}' extension='{gone}'/>")), "");
        assert!(told.contains("queryResponseCode code=\"NF\""), "{told}");
    }
    let told = merge(&peer, "S2", "S3");
    assert!(told.contains("<hl7:typeCode code=\"CE\"/>"), "{told}");
    // Each merge is one record that was changed, and one that went.
    for action in ["U", "D"] {
        let found = peer
            .fhir
            .get(&format!("AuditEvent?subtype=ITI-44&action={action}&outcome=0&_summary=count"))
            .json();
        assert_eq!(found["total"], 2, "{action}");
    }
}

#[test]
fn persons_are_found_by_their_demographics() {
    let (_data, _server, peer) = server("");
    let address = "<addr><streetAddressLine>Via Balbi 5</streetAddressLine><city>Genova</city></addr>";
    let telecom = "<telecom value='tel:0101234' use='HP'/>";
    let whole = "<name><given>Nicolò</given><family>D'Amico</family></name>".to_owned()
        + telecom
        + "<administrativeGenderCode code='M'/><birthTime value='19400115'/>"
        + address
        + &format!(
            "<asOtherIDs classCode='PAT'><id root='{FISCAL}' extension='DMCNCL40A15D969Q'/><scopingOrganization \
             classCode='ORG' determinerCode='INSTANCE'><id root='{FISCAL}'/></scopingOrganization></asOtherIDs>"
        )
        + "<personalRelationship classCode='PRS'><code code='MTH' codeSystem='2.16.840.1.113883.5.111'/>\
           <relationshipHolder1 classCode='PSN' determinerCode='INSTANCE'><name><family>Verdi</family></name>\
           </relationshipHolder1></personalRelationship>";
    add(&peer, &[(SIO, "S1")], &whole);
    add(&peer, &[(LIS, "L1")], &person("Nicola", "Damiani", "19560101", "M"));
    let range = |low: &str, high: &str| {
        value("livingSubjectBirthTime", &format!("<value><low value='{low}'/><high value='{high}'/></value>"))
    };
    let of = |parameter: &str, code: &str| value(parameter, code);
    let search = "<value use='SRCH'><family>dam</family></value>";
    for (parameters, expected) in [
        (named("nicolo", "D'AMICO"), &["S1", "DMCNCL40A15D969Q"][..]),
        (named("Nicol", "D'Amico"), &[]),
        (named("Nicola", "Damiani") + &born("1956"), &["L1"]),
        (named("Nicola", "Damiani") + &born("1957"), &[]),
        (of("livingSubjectName", search), &["L1"]),
        (range("19391201", "19400331"), &["S1", "DMCNCL40A15D969Q"]),
        (range("19400116", "19560101"), &["L1"]),
        (range("19561231", "19601231"), &[]),
        // Names are alternatives, the rest has to hold together.
        (
            named("Nicola", "Damiani") + &named("Nicolò", "D'Amico") + &born("1940"),
            &["S1", "DMCNCL40A15D969Q"],
        ),
        (of("livingSubjectAdministrativeGender", "<value code='F'/>") + &born("1940"), &[]),
        (
            of(
                "patientAddress",
                "<value><streetAddressLine>via balbi 5</streetAddressLine><city>genova</city></value>",
            ),
            &["S1", "DMCNCL40A15D969Q"],
        ),
        (of("patientTelecom", "<value value='tel:0101234'/>"), &["S1", "DMCNCL40A15D969Q"]),
        (
            of("mothersMaidenName", "<value><family>Verdi</family></value>") + &born("1940"),
            &["S1", "DMCNCL40A15D969Q"],
        ),
        (
            of("livingSubjectId", &format!("<value root='{FISCAL}' extension='DMCNCL40A15D969Q'/>")),
            &["S1", "DMCNCL40A15D969Q"],
        ),
        (of("livingSubjectId", &format!("<value root='{SIO}' extension='S9'/>")), &[]),
        (of("livingSubjectId", "<value root='1.2.3.4' extension='S1'/>"), &[]),
        (born("1940") + &of("otherIDsScopingOrganization", &format!("<value root='{SIO}'/>")), &["S1"]),
        (born("1940") + &of("otherIDsScopingOrganization", &format!("<value root='{LIS}'/>")), &[]),
    ] {
        let told = pdq(&peer, &parameters, "");
        let code = if expected.is_empty() { "NF" } else { "OK" };
        assert!(
            told.contains("<hl7:typeCode code=\"AA\"/>")
                && told.contains(&format!("queryResponseCode code=\"{code}\"")),
            "{parameters} {told}"
        );
        assert_eq!(told_ids(&told), expected, "{parameters} {told}");
    }
    let told = pdq(&peer, &born("1940"), "");
    for expected in [
        "<hl7:city>Genova</hl7:city>",
        "value=\"tel:0101234\"",
        "<hl7:family>Verdi</hl7:family>",
        "xsi:type=\"hl7:INT\"",
        "<hl7:birthTime value=\"19400115\"/>",
    ] {
        assert!(told.contains(expected), "no {expected} in {told}");
    }
    for (parameters, code, place) in [
        (born("ieri"), "SYN", "livingSubjectBirthTime[1]/hl7:value<"),
        (
            of("livingSubjectAdministrativeGender", "<value code='Z'/>"),
            "SYN",
            "livingSubjectAdministrativeGender[1]",
        ),
        (of("patientStatusCode", "<value code='active'/>"), "SYN", "hl7:patientStatusCode"),
        (
            born("1940") + &of("otherIDsScopingOrganization", "<value root='1.2.3.4'/>"),
            "204",
            "otherIDsScopingOrganization[1]/hl7:value<",
        ),
        (String::new(), "101", "hl7:parameterList"),
    ] {
        let told = pdq_wrongly(&peer, &parameters);
        assert!(
            told.contains("<hl7:typeCode code=\"AE\"/>") && told.contains("queryResponseCode code=\"AE\""),
            "{told}"
        );
        assert!(
            told.contains(&format!("<hl7:code code=\"{code}\"")) && told.contains(place),
            "{place} {told}"
        );
    }
}

#[test]
fn results_are_given_out_bit_by_bit() {
    let (_data, _server, peer) = server("");
    for number in 0..5 {
        add(&peer, &[(SIO, &format!("S{number}"))], &person("Maria", "Rossi", "19800203", "F"));
    }
    let quantities = |told: &str| -> [u64; 3] {
        ["Total", "Current", "Remaining"].map(|which| {
            let of = between(told, &format!("<hl7:result{which}Quantity value=\""), "\"");
            of.parse().expect("a number")
        })
    };
    let more = |inside: &str, status: &str, cancels: bool| {
        let act = format!(
            "<controlActProcess classCode='CACT' moodCode='EVN'><code code='PRPA_TE000003UV01' \
             codeSystem='2.16.840.1.113883.1.6'/><queryContinuation><queryId root='1.2.6' extension='q1'/>{inside}\
             <statusCode code='{status}'/></queryContinuation></controlActProcess>"
        );
        let acknowledged = "<acknowledgement><typeCode code='AA'/><targetMessage><id root='1.2.5'/></targetMessage>\
                            </acknowledgement>";
        let action = if cancels { "Cancel" } else { "Continue" };
        let message = message("QUQI_IN000003UV01", "", &format!("{acknowledged}{act}"));
        ask(&peer, "pdq/v3", &format!("urn:hl7-org:v3:QUQI_IN000003UV01_{action}"), &message)
    };
    let first = pdq(&peer, &named("Maria", "Rossi"), "<initialQuantity value='2'/>");
    assert_eq!(quantities(&first), [5, 2, 3], "{first}");
    let mut seen = told_ids(&first);
    let waiting = "waitContinuedQueryResponse";
    let second = more("", waiting, false);
    assert_eq!(quantities(&second), [5, 2, 1]);
    seen.extend(told_ids(&second));
    let third = more("<continuationQuantity value='10'/>", waiting, false);
    assert_eq!(quantities(&third), [5, 1, 0]);
    seen.extend(told_ids(&third));
    let mut all = seen.clone();
    all.sort();
    assert_eq!(all, ["S0", "S1", "S2", "S3", "S4"], "each is told once");
    // From a place on, and back.
    let again = more("<startResultNumber value='2'/><continuationQuantity value='3'/>", waiting, false);
    assert_eq!(told_ids(&again), seen[1..4], "{again}");
    assert_eq!(quantities(&again), [5, 3, 1]);
    assert!(again.contains("<hl7:queryByParameter>"), "{again}");
    // What came in between is not told in a query that was asked before.
    add(&peer, &[(SIO, "S5")], &person("Maria", "Rossi", "19800203", "F"));
    assert_eq!(quantities(&more("<startResultNumber value='1'/>", waiting, false)), [5, 3, 2]);
    let cancelled = more("<continuationQuantity value='0'/>", "aborted", true);
    assert!(
        cancelled.contains("<hl7:MCCI_IN000002UV01") && cancelled.contains("typeCode code=\"CA\""),
        "{cancelled}"
    );
    assert!(cancelled.contains("<wsa:Action>urn:hl7-org:v3:MCCI_IN000002UV01<"), "{cancelled}");
    let over = more("", waiting, false);
    assert!(
        over.contains("typeCode code=\"AE\"") && over.contains("hl7:queryContinuation/hl7:queryId<"),
        "{over}"
    );
    let whole = pdq(&peer, &named("Maria", "Rossi"), "");
    assert_eq!(quantities(&whole), [6, 6, 0]);
}

const DISCOVERY: &str = "urn:hl7-org:v3:PRPA_IN201305UV02:CrossGatewayPatientDiscovery";

fn discovery(parameters: &str, respond_to: &str, priority: &str) -> String {
    let author = "<authorOrPerformer typeCode='AUT'><assignedDevice classCode='ASSIGNED'><id root='1.7.7'/>\
                  </assignedDevice></authorOrPerformer>";
    let query = query(parameters, "")
        .replace("responsePriorityCode code='I'", &format!("responsePriorityCode code='{priority}'"));
    message("PRPA_IN201305UV02", respond_to, &control_act("PRPA_IN201305UV02", &(author.to_owned() + &query)))
}

#[test]
fn other_communities_find_who_is_known_here() {
    let community = "[[xca.communities]]\nhome_community_id = \"1.7.8\"\nquery = \"http://127.0.0.1:1/q\"\n\
                     retrieve = \"http://127.0.0.1:1/r\"\nassigning_authority = \"1.3.6.1.4.1.99999.33\"\n";
    let (_data, _server, peer) = server(community);
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    add(&peer, &[(LIS, "L1"), (REGION, "R1")], &person("Ugo", "Neri", "19700101", "M"));
    let find = |parameters: &str| ask(&peer, "xcpd", DISCOVERY, &discovery(parameters, "", "I"));
    let theirs = value("livingSubjectId", "<value root='1.7.7' extension='T1'/>");
    let told = find(&(named("Maria", "Rossi") + &born("19800203") + &theirs));
    assert!(
        told.contains("queryResponseCode code=\"OK\"")
            && told.contains(":CrossGatewayPatientDiscovery</wsa:Action>"),
        "{told}"
    );
    assert_eq!(told_ids(&told), ["S1"], "{told}");
    assert!(
        told.contains(&format!("<hl7:id root=\"{HOME}\"/><hl7:code code=\"NotHealthDataLocator\"")),
        "{told}"
    );
    assert!(!told.contains("resultTotalQuantity"), "{told}");
    let told = find(&(named("Ugo", "Neri") + &born("19700101")));
    assert!(told.contains("SupportsHealthDataLocator"), "{told}");
    // One identifier stands in the patient, the others beside.
    assert_eq!(
        between(&told, "<hl7:patient classCode=\"PAT\">", "<hl7:statusCode").matches("<hl7:id").count(),
        1
    );
    let told = find(&(named("Maria", "Bianchi") + &born("19800203")));
    assert!(
        told.contains("<hl7:typeCode code=\"AA\"/>") && told.contains("queryResponseCode code=\"NF\""),
        "{told}"
    );
    let told = find(&named("Maria", "Rossi"));
    assert!(
        told.contains("<hl7:typeCode code=\"AE\"/>") && told.contains("hl7:livingSubjectBirthTime"),
        "{told}"
    );
    // Of too many it is told what else should be said, as long as there is something.
    for number in 0..6 {
        add(&peer, &[(SIO, &format!("M{number}"))], &person("Anna", "Russo", "19900101", "F"));
    }
    let told = find(&(named("Anna", "Russo") + &born("1990")));
    assert!(
        told.contains("<hl7:typeCode code=\"AA\"/>") && told.contains("queryResponseCode code=\"OK\""),
        "{told}"
    );
    assert_eq!(told_ids(&told), Vec::<String>::new());
    for code in [
        "LivingSubjectAdministrativeGenderRequested",
        "PatientAddressRequested",
        "MothersMaidenNameRequested",
    ] {
        assert!(
            told.contains(&format!("code=\"{code}\" codeSystem=\"1.3.6.1.4.1.19376.1.2.27.1\"")),
            "{told}"
        );
    }
    let located = |root: &str, id: &str| {
        let body = format!(
            "<PatientLocationQueryRequest xmlns='urn:ihe:iti:xcpd:2009'><RequestedPatientId root='{root}' \
             extension='{id}'/></PatientLocationQueryRequest>"
        );
        let message = envelope("urn:ihe:iti:2009:PatientLocationQuery", &body);
        text(&peer.post("xcpd", "application/soap+xml", message.as_bytes()))
    };
    let told = located(LIS, "L1");
    assert!(
        told.contains("<xcpd:HomeCommunityId>urn:oid:1.7.8<") && told.contains("extension=\"R1\""),
        "{told}"
    );
    assert!(!located(SIO, "S1").contains("PatientLocationResponse>"));
    // Who asks, and of whom was told, is recorded.
    let events = peer.fhir.get("AuditEvent?subtype=ITI-55&outcome=0").json();
    let told = events.to_string();
    assert!(told.contains("ihe:homeCommunityID") && told.contains("\"value\":\"S1\""), "{told}");
}

#[test]
fn a_discovery_is_answered_later_where_that_is_allowed() {
    let listener = Listener::start();
    let (_data, _server, peer) = server(&format!("[peers]\ncallbacks = [{:?}]\n", listener.origin));
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    let action = DISCOVERY.replace(":CrossGateway", ":Deferred:CrossGateway");
    let at = |origin: &str| {
        format!(
            "<respondTo typeCode='RSP'><telecom value='{origin}/xcpd'/><entityRsp classCode='ENT' \
             determinerCode='INSTANCE' xsi:nil='true'/></respondTo>"
        )
    };
    let asked = named("Maria", "Rossi") + &born("19800203");
    let taken = ask(&peer, "xcpd", &action, &discovery(&asked, &at(&listener.origin), "D"));
    assert!(taken.contains("<hl7:MCCI_IN000002UV01") && taken.contains("typeCode code=\"CA\""), "{taken}");
    let sent = listener.wait_for(1);
    assert_eq!(sent[0].path, "/xcpd");
    let answer = sent[0].text();
    valid(&answer);
    assert!(answer.contains("PRPA_IN201306UV02:Deferred:CrossGatewayPatientDiscovery"), "{answer}");
    assert!(answer.contains("<wsa:RelatesTo>urn:uuid:1<") && told_ids(&answer) == ["S1"], "{answer}");
    for respond_to in [String::new(), at("http://127.0.0.1:9")] {
        let refused = ask(&peer, "xcpd", &action, &discovery(&asked, &respond_to, "D"));
        assert!(
            refused.contains("typeCode code=\"AE\"") && refused.contains("<hl7:code code=\"NS250\""),
            "{refused}"
        );
    }
    assert_eq!(listener.wait_for(1).len(), 1);
}

#[test]
fn all_communities_are_asked_for_somebody() {
    let (_a, _server_a, theirs) = server("");
    add(&theirs, &[(LIS, "T1")], &person("Maria", "Rossi", "19800203", "F"));
    let section = |id: &str, origin: &str| {
        format!(
            "[[xca.communities]]\nhome_community_id = \"{id}\"\nquery = \"{origin}/xca/query\"\n\
             retrieve = \"{origin}/xca/retrieve\"\nxcpd = \"{origin}/xcpd\"\n"
        )
    };
    let lame = section("1.7.9", "http://127.0.0.1:1");
    let (_b, _server_b, ours) = server(&(section("1.7.8", &theirs.origin) + &lame));
    add(&ours, &[(SIO, "O1")], &person("Maria", "Rossi", "19800203", "F"));
    let act = control_act("PRPA_IN201305UV02", &query(&(named("Maria", "Rossi") + &born("19800203")), ""));
    let told = v3(&ours, "xcpd", "PRPA_IN201305UV02", &act);
    assert_eq!(told_ids(&told), ["O1", "T1"], "{told}");
    assert!(
        told.contains("<hl7:typeCode code=\"AA\"/>") && told.contains("urn:oid:1.7.9 gave no answer"),
        "{told}"
    );
    assert_eq!(ours.count("AuditEvent?subtype=ITI-55&_summary=count"), 2, "whom it asked is recorded");
}

#[test]
fn messages_are_held_to_their_schemas_where_that_is_asked_for() {
    let Some(folder) = official() else { return };
    let (_data, _server, peer) = server(&format!("[soap]\nschemas = {:?}\n", folder.display().to_string()));
    add(&peer, &[(SIO, "S1")], &person("Maria", "Rossi", "19800203", "F"));
    let wrong = person("Maria", "Rossi", "19800203", "F") + "<unknownCode code='1'/>";
    let told = feed(&peer, "PRPA_IN201301UV02", &[(SIO, "S2")], &wrong);
    assert!(
        told.contains("<hl7:typeCode code=\"CE\"/>") && told.contains("not valid by the schema"),
        "{told}"
    );
    assert!(told.contains("unknownCode"), "{told}");
    let told = pdq_wrongly(&peer, &value("livingSubjectWeight", "<value value='70'/>"));
    assert!(told.contains("typeCode code=\"AE\"") && told.contains("not valid by the schema"), "{told}");
    assert_eq!(peer.count("Patient?_summary=count"), 1);
}

#[test]
fn the_doors_are_described() {
    let (_data, _server, peer) = server("");
    for (door, operations) in [
        ("pix/v3", &["PIXManager_PRPA_IN201301UV02", "PIXManager_PRPA_IN201309UV02"][..]),
        ("pdq/v3", &["PDSupplier_PRPA_IN201305UV02", "PDSupplier_QUQI_IN000003UV01_Continue"]),
        ("xcpd", &["RespondingGateway_PRPA_IN201305UV02", "RespondingGateway_Deferred_PRPA_IN201305UV02"]),
    ] {
        let told =
            peer.fhir.send("GET", &format!("{}/{door}?wsdl", peer.origin), &[], b"").expect("an answer");
        let told = text(&told);
        for operation in operations {
            assert!(told.contains(&format!(":operation name=\"{operation}\"")), "no {operation} in {told}");
        }
    }
}
