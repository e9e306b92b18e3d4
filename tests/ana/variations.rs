//! What ANA tells of changes is taken in.

use serde_json::json;

use super::*;

fn notices(client: &Client, patient: &str) -> Vec<String> {
    let found = client.get(&format!("Communication?subject={patient}")).json();
    let entries = found["entry"].as_array().cloned().unwrap_or_default();
    let code =
        |entry: &Value| entry["resource"]["reasonCode"][0]["coding"][0]["code"].as_str().map(str::to_owned);
    let mut codes: Vec<String> = entries.iter().filter_map(code).collect();
    codes.sort();
    codes
}

#[test]
fn what_happens_to_people_is_taken_in_once() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let places: Vec<String> = (1..=5).map(|number| known_patient(&region, &client, number)).collect();
    let resource = |at: usize| client.get(&places[at]).json();

    region.peer.happen("DECESSO", Person { death: "2026-11-02".to_owned(), ..person(1) });
    let chosen = ["BNCLRA70A41D969X", "BIANCHI", "LAURA", "2026-10-01"].map(str::to_owned);
    region.peer.happen("MEDICO", Person { practitioner: Some(chosen), ..person(2) });
    let piedmont = ("010".to_owned(), "301".to_owned());
    region.peer.happen("TRASFERIMENTO_USCITA", Person { authority: piedmont, ..person(3) });
    region.peer.happen("ANAGRAFICA", Person { given: "MARIO LUIGI".to_owned(), ..person(4) });
    // Somebody else by all that is said, but for the identifier.
    let other = Person { family: "VERDI".to_owned(), birth: "1950-05-05".to_owned(), ..person(5) };
    region.peer.happen("ANAGRAFICA", other);
    region.peer.happen("TRASFERIMENTO_ENTRATA", person(77));
    region.peer.happen("ANAGRAFICA", person(88));

    let newcomer = format!("Patient?identifier={TAX_CODE}|{}", tax_code(77));
    eventually("the one who came is known", || total(&client, &newcomer) == 1);
    assert_eq!(resource(0)["deceasedDateTime"], "2026-11-02");
    assert_eq!(resource(1)["generalPractitioner"][0]["identifier"]["value"], "BNCLRA70A41D969X");
    assert_eq!(resource(1)["generalPractitioner"][0]["display"], "BIANCHI LAURA");
    let episode = client.get(&format!("EpisodeOfCare?patient={}", places[1])).json();
    assert_eq!(episode["entry"][0]["resource"]["period"], json!({ "start": "2026-10-01" }));
    let authority = json!({ "system": HEALTH_AUTHORITY, "value": "010301" });
    assert_eq!(resource(2)["managingOrganization"]["identifier"], authority);
    assert_eq!(resource(3)["name"][0]["given"], json!(["MARIO", "LUIGI"]));
    assert_eq!(
        (&resource(4)["name"][0]["family"], resource(4)["meta"]["versionId"].as_str()),
        (&json!("Rossi"), Some("1"))
    );
    assert_eq!(total(&client, &format!("Patient?identifier={TAX_CODE}|{}", tax_code(88))), 0);
    let told: Vec<_> = places.iter().map(|place| notices(&client, place)).collect();
    let expected: [&[&str]; 5] =
        [&["death"], &["practitioner-changed"], &["transfer-out"], &[], &["doubtful"]];
    assert_eq!(told, expected.map(|codes| codes.iter().map(|&code| code.to_owned()).collect::<Vec<_>>()));
    let notice = client.get(&format!("Communication?subject={}", places[0])).json();
    let texts = notice["entry"][0]["resource"]["payload"].clone();
    let text = |at: usize| texts[at]["contentString"].as_str().unwrap_or_default().to_owned();
    assert!(text(0).contains("decesso") && text(1).contains("died"), "{texts}");
    let provenance = client.get(&format!("Provenance?target={}", places[0])).json();
    assert_eq!(provenance["entry"][0]["resource"]["activity"]["coding"][0]["code"], "death");

    // Nothing comes twice, whatever ends.
    let before = (total(&client, "Communication"), total(&client, "Patient"), total(&client, "Provenance"));
    server.kill();
    let server = region.serve();
    let client = server.client();
    let asked = region.peer.received().len();
    eventually("it was asked again", || region.peer.received().len() > asked + 1);
    assert_eq!(
        (total(&client, "Communication"), total(&client, "Patient"), total(&client, "Provenance")),
        before
    );
    region.peer.happen("DECESSO", Person { death: "2026-11-20".to_owned(), ..person(4) });
    eventually("what came later is taken in", || notices(&client, &places[3]) == ["death"]);
}

#[test]
fn many_variations_come_in_pages_and_while_ana_is_away_none() {
    let region = Region::new("");
    let server = region.serve();
    let client = server.client();
    let place = known_patient(&region, &client, 1);
    region.peer.go_away();
    for number in 100..330 {
        region.peer.happen("TRASFERIMENTO_ENTRATA", person(number));
    }
    assert_eq!(total(&client, "Patient"), 1);
    region.peer.come_back();
    eventually("all came", || total(&client, "Patient") == 231);
    assert_eq!(client.get(&place).json()["meta"]["versionId"], "1");
}
