//! What a record says, by what is compared.

use ihe_adapters::italy::identifiers::oid::CODICE_FISCALE;
use ihe_adapters::pix::domains::Domains;
use serde_json::Value;

use super::super::features::{BIRTH_PLACE, MOTHERS_MAIDEN_NAME};
use super::super::links::array;
use super::words::Words;

/// What is shown of records, in this order: those that are compared, by the codes
/// of their fields, and what a reader should see besides.
pub(super) const SHOWN: &[(&str, Says)] = &[
    ("family", family),
    ("given", given),
    ("birth", birth),
    ("sex", sex),
    ("fiscal", fiscal),
    ("identifier", other_identifiers),
    ("address", addresses),
    ("phone", phones),
    ("birth-place", birth_place),
    ("mother", mother),
    ("multiple", multiple),
    ("deceased", deceased),
];

/// Returns what a record says of something, as a reader sees it.
type Says = fn(&Record<'_>) -> Vec<String>;

/// A record as it is shown.
pub(super) struct Record<'r> {
    /// The Patient.
    pub(super) patient: &'r Value,
    /// Who assigns identifiers.
    pub(super) domains: &'r Domains,
    /// In which language.
    pub(super) words: &'r Words,
}

impl Record<'_> {
    /// Returns by what name somebody is called.
    pub(super) fn title(&self) -> String {
        let name =
            [family(self), given(self)].map(|all| all.into_iter().next().unwrap_or_default()).join(" ");
        let name = name.trim();
        if name.is_empty() { self.words.nameless.to_owned() } else { name.to_owned() }
    }

    /// Returns the value of an extension.
    fn extension(&self, url: &str) -> Option<&Value> {
        array(self.patient, "extension").iter().find(|extension| extension["url"] == url)
    }

    /// Returns the system and the value of identifiers in use.
    fn identifiers(&self) -> impl Iterator<Item = (&str, &str)> {
        let in_use = array(self.patient, "identifier").iter().filter(|identifier| identifier["use"] != "old");
        in_use.filter_map(|identifier| {
            Some((identifier["system"].as_str().unwrap_or_default(), identifier["value"].as_str()?))
        })
    }
}

/// Returns texts of an array, one after the other.
fn joined(value: &Value, separator: &str) -> Option<String> {
    let parts: Vec<&str> = value.as_array()?.iter().filter_map(Value::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(separator))
}

/// Adds what is not there yet.
fn each_once(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut each = Vec::new();
    for one in all.filter(|one| !one.trim().is_empty()) {
        if !each.contains(&one) {
            each.push(one);
        }
    }
    each
}

fn family(record: &Record<'_>) -> Vec<String> {
    each_once(
        array(record.patient, "name").iter().filter_map(|name| name["family"].as_str().map(str::to_owned)),
    )
}

fn given(record: &Record<'_>) -> Vec<String> {
    let name = |name: &Value| match (joined(&name["given"], " "), &name["family"]) {
        // A name that is in one piece.
        (None, Value::Null) => name["text"].as_str().map(str::to_owned),
        (given, _) => given,
    };
    each_once(array(record.patient, "name").iter().filter_map(name))
}

fn birth(record: &Record<'_>) -> Vec<String> {
    record.patient["birthDate"].as_str().map(str::to_owned).into_iter().collect()
}

fn sex(record: &Record<'_>) -> Vec<String> {
    let sex = record.patient["gender"].as_str();
    sex.map(|sex| record.words.value(sex).to_owned()).into_iter().collect()
}

fn is_fiscal(system: &str) -> bool {
    system.strip_prefix("urn:oid:").unwrap_or(system) == CODICE_FISCALE
}

fn fiscal(record: &Record<'_>) -> Vec<String> {
    let codes = record.identifiers().filter(|(system, _)| is_fiscal(system));
    each_once(codes.map(|(_, value)| value.to_owned()))
}

fn other_identifiers(record: &Record<'_>) -> Vec<String> {
    let others = record.identifiers().filter(|(system, _)| !is_fiscal(system));
    each_once(others.map(|(system, value)| {
        let domain = record.domains.by_system(system).map(|domain| domain.name.clone());
        let name = domain.filter(|name| !name.is_empty()).unwrap_or_else(|| system.to_owned());
        if name.is_empty() { value.to_owned() } else { format!("{name}: {value}") }
    }))
}

fn address(address: &Value) -> Option<String> {
    let city = [&address["postalCode"], &address["city"]].map(|part| part.as_str().unwrap_or_default());
    let parts = [joined(&address["line"], ", "), Some(city.join(" ").trim().to_owned())];
    let parts: Vec<String> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { address["text"].as_str().map(str::to_owned) } else { Some(parts.join(", ")) }
}

fn addresses(record: &Record<'_>) -> Vec<String> {
    each_once(array(record.patient, "address").iter().filter_map(address))
}

fn phones(record: &Record<'_>) -> Vec<String> {
    let value = |telecom: &Value| telecom["value"].as_str().map(str::to_owned);
    each_once(array(record.patient, "telecom").iter().filter_map(value))
}

fn birth_place(record: &Record<'_>) -> Vec<String> {
    record.extension(BIRTH_PLACE).and_then(|place| address(&place["valueAddress"])).into_iter().collect()
}

fn mother(record: &Record<'_>) -> Vec<String> {
    let mother = record.extension(MOTHERS_MAIDEN_NAME).and_then(|mother| mother["valueString"].as_str());
    mother.map(str::to_owned).into_iter().collect()
}

fn multiple(record: &Record<'_>) -> Vec<String> {
    choice(record, "multipleBirthBoolean", "multipleBirthInteger")
}

fn deceased(record: &Record<'_>) -> Vec<String> {
    choice(record, "deceasedBoolean", "deceasedDateTime")
}

/// Returns what is said by yes or no, or by something else.
fn choice(record: &Record<'_>, boolean: &str, other: &str) -> Vec<String> {
    let value = match (&record.patient[boolean], &record.patient[other]) {
        (Value::Bool(is_so), _) => record.words.value(if *is_so { "true" } else { "false" }).to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Number(number)) => number.to_string(),
        _ => return Vec::new(),
    };
    vec![value]
}

#[cfg(test)]
mod tests {
    use profiles::validate::Language;
    use serde_json::json;

    use super::super::super::weights::Field;
    use super::super::words::words;
    use super::*;

    #[test]
    fn what_a_record_says() {
        let patient = json!({
            "name": [{ "family": "Rossi", "given": ["Maria", "Pia"] }, { "text": "la signora Rossi" }, { "family": "Rossi" }],
            "birthDate": "1970-01-02", "gender": "female", "multipleBirthInteger": 2, "deceasedBoolean": false,
            "identifier": [
                { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.2", "value": "RSSMRA70A42D969C" },
                { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.15", "value": "1" },
                { "system": "urn:oid:2.16.840.1.113883.2.9.4.3.15", "value": "2", "use": "old" },
                { "value": "3" },
            ],
            "address": [{ "line": ["Via Roma 1", "int. 2"], "city": "Genova", "postalCode": "16100" }, { "text": "altrove" }],
            "telecom": [{ "value": "010" }, { "value": "010" }],
            "extension": [
                { "url": BIRTH_PLACE, "valueAddress": { "city": "Savona" } },
                { "url": MOTHERS_MAIDEN_NAME, "valueString": "Bo" },
            ],
        });
        let domains = Domains::new(Vec::new()).expect("domains");
        let record = Record { patient: &patient, domains: &domains, words: words(Language::Italian) };
        let expected: &[&[&str]] = &[
            &["Rossi"],
            &["Maria Pia", "la signora Rossi"],
            &["1970-01-02"],
            &["femmina"],
            &["RSSMRA70A42D969C"],
            &["ANA: 1", "3"],
            &["Via Roma 1, int. 2, 16100 Genova", "altrove"],
            &["010"],
            &["Savona"],
            &["Bo"],
            &["2"],
            &["no"],
        ];
        for ((shown, says), expected) in SHOWN.iter().zip(expected) {
            assert_eq!(says(&record), *expected, "{shown}");
        }
        assert_eq!(record.title(), "Rossi Maria Pia");
        let nobody = Record { patient: &Value::Null, ..record };
        assert!(SHOWN.iter().all(|(_, says)| says(&nobody).is_empty()));
        assert_eq!(nobody.title(), "Senza nome");
        assert!(SHOWN.iter().any(|(shown, _)| *shown == Field::Mother.code()));
    }
}
