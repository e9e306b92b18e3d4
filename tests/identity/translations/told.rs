//! What is told of a person, whichever wire tells it: statements that can be compared.

use std::collections::BTreeSet;

use ihe_adapters::wire::hl7v2::part::Part;
use ihe_adapters::wire::hl7v2::segment::Segment;
use ihe_adapters::wire::xml::Element;
use serde_json::Value;

/// The namespace of HL7 v3.
const V3: &str = "urn:hl7-org:v3";
const EXTENSIONS: &str = "http://hl7.org/fhir/StructureDefinition/";

/// What is told of one person: `family WASHINGTON`, `identifier 7@1.2.3` ...
pub(super) type Told = BTreeSet<String>;

/// Gathers statements; what is empty says nothing.
#[derive(Default)]
struct Statements(Told);

impl Statements {
    fn say(&mut self, kind: &str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.0.insert(format!("{kind} {value}"));
        }
    }

    /// Says what has parts, as long as one of them is there.
    fn say_all(&mut self, kind: &str, parts: &[&str]) {
        if parts.iter().any(|part| !part.trim().is_empty()) {
            let parts: Vec<&str> = parts.iter().map(|part| part.trim()).collect();
            self.say(kind, &parts.join(" | "));
        }
    }

    /// Says by what number or address somebody is reached, in the words of FHIR.
    fn say_reached(&mut self, system: &str, usage: &str, value: &str) {
        // HL7 v3 tells of mobile telephones by the use alone, HL7 v2 by the equipment, and of mail no use.
        let usage = if system == "email" || system == "fax" { "" } else { usage };
        if !value.is_empty() {
            self.say("reached", format!("{system} {usage} {value}").replace("  ", " ").as_str());
        }
    }
}

impl Statements {
    fn say_reached_by(&mut self, xtn: &[String]) {
        let system = match (xtn[2].as_str(), xtn[1].as_str()) {
            ("FX", _) => "fax",
            ("Internet" | "X.400", _) | (_, "NET") => "email",
            _ => "phone",
        };
        let usage = match (xtn[2].as_str(), xtn[1].as_str()) {
            ("CP", _) => "mobile",
            (_, "WPN") => "work",
            _ => "home",
        };
        let value = if system == "email" && !xtn[3].is_empty() { &xtn[3] } else { &xtn[0] };
        self.say_reached(system, usage, value);
    }
}

/// Returns the repetitions of a field, each as its components.
fn repetitions(pid: &Segment, field: usize) -> Vec<Vec<String>> {
    let all = pid.part(field);
    let texts = |of: Part<'_>| -> Vec<String> {
        let text = |number: usize| match (field, number) {
            // An authority has parts; of others the first is the whole.
            (3, 4) => of.component(number).text().to_owned(),
            _ => of.component(number).subcomponent(1).text().to_owned(),
        };
        (1..=20).map(text).collect()
    };
    all.repetitions().map(texts).collect()
}

/// Returns what a PID says.
pub(super) fn by_hl7v2(pid: &Segment) -> Told {
    let mut said = Statements::default();
    let repetitions = |field: usize| repetitions(pid, field);
    for cx in repetitions(3) {
        let oid = cx[3].split('&').nth(1).unwrap_or_default().to_owned();
        if !cx[0].is_empty() && cx[0] != "\"\"" {
            said.say("identifier", &format!("{}@{oid}", cx[0]));
        }
    }
    for xpn in repetitions(5) {
        let kind = if matches!(xpn[6].as_str(), "B" | "M") { "name of birth" } else { "name" };
        let given = format!("{} {}", xpn[1], xpn[2]);
        said.say_all(kind, &[&xpn[0], &given, &xpn[4], &xpn[3]]);
    }
    for xpn in repetitions(6) {
        said.say("mother", &xpn[0]);
    }
    said.say("born", &pid.part(7).text().chars().take(8).collect::<String>());
    said.say(
        "sex",
        match pid.part(8).text() {
            "F" => "female",
            "M" => "male",
            "" => "",
            "O" | "A" => "other",
            _ => "unknown",
        },
    );
    for xad in repetitions(11) {
        let lines = format!("{} {}", xad[0], xad[1]);
        said.say_all("address", &[&lines, &xad[2], &xad[3], &xad[4], &xad[5]]);
    }
    for xtn in [repetitions(13), repetitions(14), repetitions(40)].concat() {
        said.say_reached_by(&xtn);
    }
    let fields =
        [(15, "language"), (16, "marital"), (17, "religion"), (10, "race"), (22, "ethnic"), (26, "citizen")];
    for (field, kind) in fields {
        repetitions(field).iter().for_each(|ce| said.say(kind, &ce[0]));
    }
    said.say("birth place", pid.part(23).text());
    said.say("multiple birth", pid.part(25).text());
    said.say("died", &pid.part(29).text().chars().take(8).collect::<String>());
    said.say(
        "dead",
        match pid.part(30).text() {
            "Y" => "true",
            "N" => "false",
            _ => "",
        },
    );
    said.0
}

/// Returns what a patient of HL7 v3 says.
pub(super) fn by_hl7v3(patient: &Element) -> Told {
    let mut said = Statements::default();
    let none = Element::new(V3, "none");
    let person = patient.child(V3, "patientPerson").unwrap_or(&none);
    let others = person.children_named(V3, "asOtherIDs").flat_map(|other| other.children_named(V3, "id"));
    for id in patient.children_named(V3, "id").chain(others) {
        if let (Some(root), Some(extension)) = (id.attribute("root"), id.attribute("extension")) {
            said.say("identifier", &format!("{extension}@{root}"));
        }
    }
    for name in person.children_named(V3, "name") {
        let parts = |kind: &str| {
            let texts: Vec<String> = name.children_named(V3, kind).map(Element::text).collect();
            texts.join(" ").split_whitespace().collect::<Vec<&str>>().join(" ")
        };
        let mut families = name.children_named(V3, "family");
        let is_of_birth = families.any(|family| family.attribute("qualifier") == Some("BR"));
        let kind = if is_of_birth { "name of birth" } else { "name" };
        said.say_all(kind, &[&parts("family"), &parts("given"), &parts("prefix"), &parts("suffix")]);
    }
    for telecom in person.children_named(V3, "telecom") {
        let text = telecom.attribute("value").unwrap_or_default();
        let (scheme, value) = text.split_once(':').unwrap_or(("tel", text));
        let system = match scheme {
            "mailto" => "email",
            "fax" => "fax",
            _ => "phone",
        };
        let usage = match telecom.attribute("use").unwrap_or_default() {
            "WP" => "work",
            "MC" => "mobile",
            _ => "home",
        };
        said.say_reached(system, usage, value);
    }
    let sex = person.child(V3, "administrativeGenderCode");
    said.say(
        "sex",
        match sex.map(|code| code.attribute("code").unwrap_or_default()) {
            Some("F") => "female",
            Some("M") => "male",
            Some("UN") => "other",
            Some(_) => "unknown",
            None => "",
        },
    );
    said.say("born", &value(person, "birthTime", "value").chars().take(8).collect::<String>());
    said.say("dead", &value(person, "deceasedInd", "value"));
    said.say("died", &value(person, "deceasedTime", "value"));
    said.say("multiple birth", &value(person, "multipleBirthOrderNumber", "value"));
    say_places_and_codes(&mut said, person);
    said.0
}

fn value(of: &Element, local: &str, attribute: &str) -> String {
    of.child(V3, local).and_then(|of| of.attribute(attribute)).unwrap_or_default().to_owned()
}

/// Says where a person of HL7 v3 is at home, and what is said of him by codes.
fn say_places_and_codes(said: &mut Statements, person: &Element) {
    for addr in person.children_named(V3, "addr") {
        let part = |kinds: &[&str]| {
            let all = addr.elements().filter(|of| kinds.contains(&of.local.as_str()));
            all.map(Element::text).collect::<Vec<String>>().join(" ")
        };
        let lines = part(&["streetAddressLine", "houseNumber"]);
        let others = [part(&["city"]), part(&["state"]), part(&["postalCode"]), part(&["country"])];
        said.say_all("address", &[&lines, &others[0], &others[1], &others[2], &others[3]]);
    }
    let codes = [
        ("maritalStatusCode", "marital"),
        ("religiousAffiliationCode", "religion"),
        ("raceCode", "race"),
        ("ethnicGroupCode", "ethnic"),
    ];
    // Why there is no code is told as that.
    let none = person.child(V3, "maritalStatusCode").and_then(|of| of.attribute("nullFlavor"));
    said.say("marital", if none == Some("UNK") { "U" } else { "" });
    for (local, kind) in codes {
        person
            .children_named(V3, local)
            .for_each(|of| said.say(kind, of.attribute("code").unwrap_or_default()));
    }
    for (local, path, kind) in
        [("asCitizen", "politicalNation", "citizen"), ("languageCommunication", "", "language")]
    {
        for of in person.children_named(V3, local) {
            let of = if path.is_empty() { Some(of) } else { of.child(V3, path) };
            let code = if path.is_empty() { "languageCode" } else { "code" };
            said.say(kind, &of.map(|of| value(of, code, "code")).unwrap_or_default());
        }
    }
    for relation in person.children_named(V3, "personalRelationship") {
        let name = relation.child(V3, "relationshipHolder1").and_then(|holder| holder.child(V3, "name"));
        let family = name.and_then(|name| name.text_of(V3, "family")).unwrap_or_default();
        if value(relation, "code", "code") == "MTH" {
            said.say("mother", &family);
        }
    }
    if let Some(place) = person.child(V3, "birthPlace") {
        let name = place.child(V3, "birthplace").and_then(|of| of.text_of(V3, "name"));
        let city = place.child(V3, "addr").and_then(|of| of.text_of(V3, "city"));
        said.say("birth place", &name.or(city).unwrap_or_default());
    }
}

fn items<'v>(of: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    of[member].as_array().into_iter().flatten()
}

fn extensions<'v>(of: &'v Value, url: &str) -> impl Iterator<Item = &'v Value> {
    let url = if url.starts_with("http") { url.to_owned() } else { format!("{EXTENSIONS}{url}") };
    items(of, "extension").filter(move |extension| extension["url"] == url.as_str())
}

/// Returns the first code of a concept as its source wrote it: FHIR has other codes for some.
fn code_of(concept: &Value) -> String {
    let codings: Vec<&Value> = items(concept, "coding").collect();
    let is_v2 = |coding: &&&Value| coding["system"].as_str().is_some_and(|of| of.contains("/v2-"));
    let coding = codings.iter().find(is_v2).or(codings.first());
    coding.and_then(|coding| coding["code"].as_str()).unwrap_or_default().to_owned()
}

/// Returns what a Patient says.
pub(super) fn by_fhir(patient: &Value) -> Told {
    let mut said = Statements::default();
    let text = |of: &Value| of.as_str().unwrap_or_default().to_owned();
    let joined = |of: &Value, member: &str| items(of, member).map(text).collect::<Vec<String>>().join(" ");
    for identifier in items(patient, "identifier") {
        if let Some(oid) = identifier["system"].as_str().and_then(|system| system.strip_prefix("urn:oid:")) {
            said.say("identifier", &format!("{}@{oid}", text(&identifier["value"])));
        }
    }
    for name in items(patient, "name") {
        let beside =
            extensions(&name["_use"], "alternate-codes").map(|of| code_of(&of["valueCodeableConcept"]));
        let is_of_birth = name["use"] == "maiden" || beside.into_iter().any(|code| code == "B");
        let kind = if is_of_birth { "name of birth" } else { "name" };
        let parts = [joined(name, "given"), joined(name, "prefix"), joined(name, "suffix")];
        said.say_all(kind, &[&text(&name["family"]), &parts[0], &parts[1], &parts[2]]);
    }
    for telecom in items(patient, "telecom") {
        let usage = telecom["use"].as_str().unwrap_or("home");
        said.say_reached(&text(&telecom["system"]), usage, &text(&telecom["value"]));
    }
    said.say("sex", &text(&patient["gender"]));
    said.say("born", &text(&patient["birthDate"]).replace('-', ""));
    said.say("died", &text(&patient["deceasedDateTime"]).replace('-', ""));
    let is_dead = patient["deceasedBoolean"].as_bool();
    let is_dead = is_dead.or(patient["deceasedDateTime"].is_string().then_some(true));
    said.say("dead", &is_dead.map(|is| is.to_string()).unwrap_or_default());
    said.say(
        "multiple birth",
        &patient["multipleBirthInteger"].as_u64().map(|at| at.to_string()).unwrap_or_default(),
    );
    for address in items(patient, "address") {
        let part = |name: &str| text(&address[name]);
        let places = [part("city"), part("state"), part("postalCode"), part("country")];
        said.say_all("address", &[&joined(address, "line"), &places[0], &places[1], &places[2], &places[3]]);
    }
    said.say("marital", &code_of(&patient["maritalStatus"]));
    items(patient, "communication").for_each(|of| said.say("language", &code_of(&of["language"])));
    extensions(patient, "patient-religion")
        .for_each(|of| said.say("religion", &code_of(&of["valueCodeableConcept"])));
    extensions(patient, "patient-mothersMaidenName")
        .for_each(|of| said.say("mother", &text(&of["valueString"])));
    for place in extensions(patient, "patient-birthPlace").map(|of| &of["valueAddress"]) {
        said.say(
            "birth place",
            &if place["text"].is_string() { text(&place["text"]) } else { text(&place["city"]) },
        );
    }
    for nation in extensions(patient, "patient-citizenship").flat_map(|of| items(of, "extension")) {
        said.say("citizen", &code_of(&nation["valueCodeableConcept"]));
    }
    for (name, kind) in [("us-core-race", "race"), ("us-core-ethnicity", "ethnic")] {
        let url = format!("http://hl7.org/fhir/us/core/StructureDefinition/{name}");
        for part in extensions(patient, &url).flat_map(|of| items(of, "extension")) {
            said.say(kind, &text(&part["valueCoding"]["code"]));
        }
    }
    said.0
}
