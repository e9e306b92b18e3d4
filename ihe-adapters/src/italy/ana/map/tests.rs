use super::*;
use crate::italy::ana::message::Residence;

const TAX_CODE: &str = "RSSMRA80A01D969K";

fn assisted() -> Assisted {
    Assisted {
        ana: "A1".to_owned(),
        tax_code: TAX_CODE.to_owned(),
        family: "NICCOLO'".to_owned(),
        given: "MARIA ELENA".to_owned(),
        sex: "F".to_owned(),
        birth: "1980-01-01".parse().ok(),
        residence: Some(Residence {
            street: "VIA ROMA 1".to_owned(),
            postal_code: "16121".to_owned(),
            town: "GENOVA".to_owned(),
            province: "GE".to_owned(),
        }),
        authority: Some(Authority { region: "070".to_owned(), asl: "103".to_owned() }),
        practitioner: Some(Practitioner { tax_code: "M".to_owned(), name: "B L".to_owned(), from: None }),
        ..Assisted::default()
    }
}

fn patient() -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": Scheme::TaxCode.system(&Domains::default()), "value": TAX_CODE }, { "system": "urn:x", "value": "7" }],
        "name": [{ "use": "old", "family": "Bruni" }, { "family": "Niccolò", "given": ["Maria", "Elena"], "text": "x" }],
        "gender": "female", "birthDate": "1980-01-01",
        "telecom": [{ "system": "phone", "value": "010" }],
    })
}

fn fields(differences: &[Difference]) -> Vec<&'static str> {
    differences.iter().map(|difference| difference.field).collect()
}

#[test]
fn what_ana_says_is_taken_once() {
    let (mut patient, assisted) = (patient(), assisted());
    let found = differences(&patient, &assisted, &Domains::default());
    let expected = ["identifier of ANA", "residence", "health authority", "general practitioner"];
    assert_eq!(fields(&found), expected);
    assert!(!is_doubtful(&found));
    survive(&mut patient, &assisted, &found, &Domains::default());
    assert_eq!(differences(&patient, &assisted, &Domains::default()), []);
    assert_eq!(
        identity(&patient, &Domains::default()),
        Some(Identity { scheme: Scheme::Ana, value: "A1".to_owned() })
    );
    assert_eq!(practitioner(&patient, &Domains::default()), Some("M".to_owned()));
    // What ANA says nothing of stays, and what says the same is left as it is written.
    assert_eq!(patient["telecom"][0]["value"], "010");
    assert_eq!(
        (&patient["identifier"][1]["value"], &patient["name"][1]["family"]),
        (&json!("7"), &json!("Niccolò"))
    );
}

#[test]
fn a_name_is_corrected_and_the_old_one_is_left() {
    let (mut patient, mut assisted) = (patient(), assisted());
    assisted.family = "NICOLI".to_owned();
    let found = differences(&patient, &assisted, &Domains::default());
    assert!(fields(&found).contains(&"family name") && !is_doubtful(&found));
    survive(&mut patient, &assisted, &found, &Domains::default());
    assert_eq!(patient["name"][1]["family"], "NICOLI");
    assert_eq!((patient["name"][1].get("text"), &patient["name"][0]["family"]), (None, &json!("Bruni")));
}

#[test]
fn who_may_be_another_is_not_touched() {
    for change in [
        |assisted: &mut Assisted| assisted.tax_code = "VRDLGU70A01D969X".to_owned(),
        |assisted: &mut Assisted| {
            assisted.family = "VERDI".to_owned();
            assisted.birth = "1970-02-02".parse().ok();
        },
    ] {
        let mut assisted = assisted();
        change(&mut assisted);
        assert!(is_doubtful(&differences(&patient(), &assisted, &Domains::default())));
    }
}

#[test]
fn death_and_the_end_of_a_choice_are_said() {
    let (mut patient, mut assisted) = (patient(), assisted());
    patient["deceasedBoolean"] = json!(false);
    put_practitioner(
        &mut patient,
        Some(
            json!({ "identifier": { "system": Scheme::TaxCode.system(&Domains::default()), "value": "M" } }),
        ),
    );
    push(&mut patient, "generalPractitioner", json!({ "reference": "Organization/1" }));
    (assisted.practitioner, assisted.death) = (None, "2026-11-02".parse().ok());
    let found = differences(&patient, &assisted, &Domains::default());
    assert!(fields(&found).contains(&"date of death") && fields(&found).contains(&"general practitioner"));
    survive(&mut patient, &assisted, &found, &Domains::default());
    assert_eq!((&patient["deceasedDateTime"], patient.get("deceasedBoolean")), (&json!("2026-11-02"), None));
    assert_eq!(patient["generalPractitioner"], json!([{ "reference": "Organization/1" }]));
}

#[test]
fn a_tax_code_is_one_by_whatever_name_of_its_domain() {
    let mut patient = patient();
    patient["identifier"][0]["system"] = json!("http://hl7.it/sid/codiceFiscale");
    let found = differences(&patient, &assisted(), &Domains::default());
    assert!(!fields(&found).contains(&"tax code"));
    let expected = Some(Identity { scheme: Scheme::TaxCode, value: TAX_CODE.to_owned() });
    assert_eq!(identity(&patient, &Domains::default()), expected);
}
