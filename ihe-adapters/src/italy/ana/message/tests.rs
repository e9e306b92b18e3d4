use super::*;
use crate::italy::ana::fault::{AnaFault, Refusal};

fn question(what: Asked) -> Question {
    let authority = Authority { region: "070".to_owned(), asl: "103".to_owned() };
    Question { id: "m1".to_owned(), authority, what }
}

fn answer(kind: Kind, inside: &str) -> Result<Answer, AnaFault> {
    let name = format!("{}Ricevuta", kind.stem());
    let xml = format!("<{name} xmlns='{NAMESPACE}'><idMessaggio>m1</idMessaggio>{inside}</{name}>");
    read(&Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed"), kind, "m1")
}

#[test]
fn questions_are_written() {
    let person = || Identity { scheme: Scheme::TaxCode, value: "RSSMRA80A01D969K".to_owned() };
    let from = "2026-12-01".parse().expect("a date");
    for (what, kind, parts) in [
        (
            Asked::Verify(person()),
            Kind::Verify,
            &["VerificaAssistitoRichiesta", "tipo=\"CF\">RSSMRA80A01D969K</", ">070</", ">103</", ">m1</"][..],
        ),
        (
            Asked::Choose {
                person: person(),
                choosing: Choosing::Change,
                practitioner: "M".to_owned(),
                from,
            },
            Kind::Choose,
            &[
                "SceltaMedicoRichiesta",
                "operazione>C</",
                "codiceFiscaleMedico>M</",
                "dataDecorrenza>2026-12-01</",
            ],
        ),
        (
            Asked::Variations { after: 7, count: 50 },
            Kind::Variations,
            &["VariazioniRichiesta", "dopoProgressivo>7</", "numeroMassimo>50</"],
        ),
    ] {
        let xml = question(what).to_xml();
        for part in parts {
            assert!(xml.contains(part), "{part} in {xml}");
        }
        let root = Element::parse(xml.as_bytes(), &Limits::default()).expect("well-formed");
        let envelope = Envelope::of(root).expect("an envelope");
        assert_eq!((envelope.version, Kind::of_body(&envelope.body)), (SOAP, Some(kind)));
    }
}

#[test]
fn the_choice_in_a_message_is_read_back() {
    let person = Identity { scheme: Scheme::Ana, value: "A1".to_owned() };
    let from: Date = "2026-12-01".parse().expect("a date");
    for choosing in [Choosing::Choose, Choosing::Change, Choosing::Revoke] {
        let asked = Asked::Choose { person: person.clone(), choosing, practitioner: "M".to_owned(), from };
        let read = Choice::of_message(question(asked).to_xml().as_bytes());
        assert_eq!(read, Some(Choice { choosing, practitioner: "M".to_owned(), from }));
    }
    assert_eq!(Choice::of_message(question(Asked::Verify(person)).to_xml().as_bytes()), None);
}

const PERSON: &str = "<assistito><idANA>A1</idANA><codiceFiscale>RSSMRA80A01D969K</codiceFiscale>\
    <validitaCI>1</validitaCI><cognome>ROSSI</cognome><nome>MARIO</nome><sesso>M</sesso>\
    <dataNascita>1980-01-01</dataNascita><residenza><indirizzo>VIA ROMA 1</indirizzo><cap>16121</cap>\
    <comune>GENOVA</comune><provincia>GE</provincia></residenza><assistenza><codRegione>070</codRegione>\
    <codASL>103</codASL></assistenza><medico><codiceFiscale>BNCLRA70A41D969X</codiceFiscale>\
    <cognome>BIANCHI</cognome><nome>LAURA</nome><dataScelta>2020-02-03</dataScelta></medico></assistito>";

#[test]
fn a_person_is_read() {
    let Ok(Answer::Person(person)) = answer(Kind::Verify, &format!("<codEsito>0000</codEsito>{PERSON}"))
    else {
        panic!("no person");
    };
    assert_eq!((person.ana.as_str(), person.family.as_str(), person.is_valid), ("A1", "ROSSI", Some(true)));
    assert_eq!(person.residence.map(|at| at.town), Some("GENOVA".to_owned()));
    let practitioner = person.practitioner.expect("a practitioner");
    assert_eq!((practitioner.name.as_str(), practitioner.from.is_some()), ("BIANCHI LAURA", true));
    assert_eq!(person.death, None);
}

#[test]
fn variations_are_read() {
    let inside = format!(
        "<codEsito>0000</codEsito><variazione><progressivo>8</progressivo><tipo>DECESSO</tipo>{PERSON}\
         </variazione><altre>true</altre>"
    );
    let Ok(Answer::Variations(variations, true)) = answer(Kind::Variations, &inside) else {
        panic!("no variations");
    };
    let all: Vec<_> = variations.iter().map(|v| (v.number, v.happening)).collect();
    assert_eq!(all, [(8, Happening::Death)]);
}

#[test]
fn what_is_no_answer_is_told() {
    let done = "<codEsito>0000</codEsito>";
    for (kind, inside) in [
        (Kind::Verify, String::new()),
        (Kind::Verify, done.to_owned()),
        (Kind::Choose, done.to_owned()),
        (Kind::Verify, format!("{done}<assistito><dataNascita>x</dataNascita></assistito>")),
        (
            Kind::Variations,
            format!("{done}<variazione><progressivo>1</progressivo><tipo>X</tipo></variazione>"),
        ),
        (Kind::Variations, format!("{done}<variazione/>")),
    ] {
        assert!(matches!(answer(kind, &inside), Err(AnaFault::Unreadable(_))), "{inside}");
    }
    let inside = "<codEsito>A003</codEsito><elencoErrori><errore><esito>medico cessato</esito></errore></elencoErrori>";
    let refused = answer(Kind::Choose, inside).expect_err("refused");
    assert_eq!(refused, AnaFault::Refused(Refusal::NoPractitioner, "medico cessato".to_owned()));
}
