//! Code systems that come with the program: countries.
//!
//! What a package or a stored resource defines takes their place.
//!
//! Spec: <https://hl7.org/fhir/R4/iso3166.html>

use fhir_model::json;
use serde_json::{Value, json};

use super::code_system::CodeSystem;

/// Countries, by two letters, three letters, and three digits.
pub(super) const COUNTRIES: &str = "urn:iso:std:iso:3166";

/// Makes the code system of this canonical, where it comes with the program.
pub(super) fn code_system(url: &str) -> Option<CodeSystem> {
    let definition = match url {
        COUNTRIES => countries(),
        _ => return None,
    };
    let read = json::read::read(definition.to_string().as_bytes()).ok()?;
    Some(CodeSystem::compile(&read))
}

fn countries() -> Value {
    // The standard writes an article after some names: `Netherlands (the)`.
    let concept = |code: String, name: &str| {
        let with_article = json!({ "language": "en", "value": format!("{name} (the)") });
        json!({ "code": code, "display": name, "designation": [with_article] })
    };
    let concepts: Vec<Value> = isocountry::CountryCode::iter()
        .flat_map(|country| {
            let number = format!("{:03}", country.numeric_id());
            [country.alpha2().to_owned(), country.alpha3().to_owned(), number]
                .map(|code| concept(code, country.name()))
        })
        .collect();
    json!({
        "resourceType": "CodeSystem", "url": COUNTRIES, "name": "ISO3166", "title": "Countries (ISO 3166)",
        "status": "active", "content": "complete", "caseSensitive": true, "concept": concepts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_by_each_code() {
        let countries = code_system(COUNTRIES).expect("comes with the program");
        assert!(countries.is_complete());
        for (code, display) in
            [("IT", Some("Italy")), ("ITA", Some("Italy")), ("380", Some("Italy")), ("it", None)]
        {
            assert_eq!(countries.concept(code).and_then(|c| countries.display(c)), display, "{code}");
        }
        assert!(code_system("http://loinc.org").is_none());
    }
}
