//! Names of persons as HumanNames.
//!
//! Spec: <https://hl7.org/fhir/R4/datatypes-mappings.html>

use serde_json::{Map, Value, json};

use super::codes::{fhir_of, v3_of};
use super::{extension, extension_texts, period, time_interval};
use crate::wire::hl7v3::name::{EntityName, NamePart, PartKind};

/// What names are for; the first of a code of FHIR is how it is written.
const USES: &[(&str, &str)] =
    &[("L", "official"), ("OR", "official"), ("C", "official"), ("P", "nickname"), ("A", "nickname")];

const MAIDEN: &str = "maiden";
/// The qualifier of a name that somebody was born with.
const BIRTH: &str = "BR";
/// The qualifier of a name that somebody has of a spouse.
const SPOUSE: &str = "SP";

const USE: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-use";
const QUALIFIER: &str = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier";
/// Which of several family names is what.
const FAMILY_NAMES: &[(&str, &str)] = &[
    (BIRTH, "http://hl7.org/fhir/StructureDefinition/humanname-own-name"),
    (SPOUSE, "http://hl7.org/fhir/StructureDefinition/humanname-partner-name"),
];

/// Parts that a HumanName has several of, in the order that they are written in.
const PARTS: &[(PartKind, &str)] =
    &[(PartKind::Prefix, "prefix"), (PartKind::Given, "given"), (PartKind::Suffix, "suffix")];

/// Writes a name as a HumanName; `None` when it names nobody.
pub(super) fn human_name(name: &EntityName) -> Option<Value> {
    if name.is_null() {
        return None;
    }
    let mut human = Map::new();
    let families: Vec<&NamePart> = name.of_kind(PartKind::Family).collect();
    let is_of_birth = families.len() == 1 && families[0].qualifiers == [BIRTH];
    let known = name.uses.iter().find_map(|code| fhir_of(USES, code));
    let code = known.or((is_of_birth && name.uses.is_empty()).then_some(MAIDEN));
    if let Some(code) = code {
        human.insert("use".to_owned(), json!(code));
    }
    let canonical = code.and_then(|code| v3_of(USES, code));
    let exact: Vec<Value> = match name.uses.as_slice() {
        [one] if canonical == Some(one) => Vec::new(),
        uses => uses.iter().map(|code| extension(USE, "valueCode", code)).collect(),
    };
    if !exact.is_empty() {
        human.insert("extension".to_owned(), Value::Array(exact));
    }
    let is_taken_apart = name.parts.iter().all(|p| !matches!(p.kind, PartKind::Text | PartKind::Delimiter));
    if !is_taken_apart {
        human.insert("text".to_owned(), json!(name.text()));
    }
    if !families.is_empty() {
        let texts: Vec<&str> = families.iter().map(|part| part.text.as_str()).collect();
        human.insert("family".to_owned(), json!(texts.join(" ")));
        let extensions = if code == Some(MAIDEN) { Vec::new() } else { family_extensions(&families) };
        if !extensions.is_empty() {
            human.insert("_family".to_owned(), json!({ "extension": extensions }));
        }
    }
    for (kind, member) in PARTS {
        let parts: Vec<&NamePart> = name.of_kind(*kind).collect();
        if parts.is_empty() {
            continue;
        }
        let texts: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        human.insert((*member).to_owned(), json!(texts));
        if parts.iter().any(|part| !part.qualifiers.is_empty()) {
            let more: Vec<Value> = parts.iter().map(|part| qualified(&part.qualifiers)).collect();
            human.insert(format!("_{member}"), Value::Array(more));
        }
    }
    if let Some(period) = period(&name.valid_time) {
        human.insert("period".to_owned(), period);
    }
    Some(Value::Object(human))
}

fn qualified(qualifiers: &[String]) -> Value {
    if qualifiers.is_empty() {
        return Value::Null;
    }
    let all: Vec<Value> = qualifiers.iter().map(|q| extension(QUALIFIER, "valueCode", q)).collect();
    json!({ "extension": all })
}

/// Says what family names are, where it is not plain.
fn family_extensions(families: &[&NamePart]) -> Vec<Value> {
    let of = |part: &NamePart| -> Vec<Value> {
        part.qualifiers
            .iter()
            .map(|qualifier| match FAMILY_NAMES.iter().find(|(known, _)| known == qualifier) {
                Some((_, url)) if families.len() > 1 => extension(url, "valueString", &part.text),
                _ => extension(QUALIFIER, "valueCode", qualifier),
            })
            .collect()
    };
    families.iter().flat_map(|part| of(part)).collect()
}

/// Reads a HumanName.
pub(super) fn entity_name(human: &Value) -> EntityName {
    let code = human["use"].as_str();
    let exact: Vec<String> = extension_texts(human, USE).map(str::to_owned).collect();
    let uses = match code.and_then(|code| v3_of(USES, code)) {
        _ if !exact.is_empty() => exact,
        Some(of) => vec![of.to_owned()],
        None => Vec::new(),
    };
    let mut parts = Vec::new();
    for (kind, member) in PARTS {
        if *kind == PartKind::Suffix {
            parts.extend(families(human, code));
        }
        let more = &human[format!("_{member}")];
        let texts = human[*member].as_array().into_iter().flatten().filter_map(Value::as_str);
        parts.extend(texts.enumerate().map(|(at, text)| NamePart {
            kind: *kind,
            qualifiers: extension_texts(&more[at], QUALIFIER).map(str::to_owned).collect(),
            text: text.to_owned(),
        }));
    }
    if let (true, Some(text)) = (parts.is_empty(), human["text"].as_str()) {
        parts.push(NamePart { kind: PartKind::Text, qualifiers: Vec::new(), text: text.to_owned() });
    }
    EntityName { uses, parts, valid_time: time_interval(&human["period"]), null_flavor: None }
}

/// Reads the family names of a HumanName, each by itself where it is known what each is.
fn families(human: &Value, code: Option<&str>) -> Vec<NamePart> {
    let Some(mut rest) = human["family"].as_str().map(str::to_owned) else { return Vec::new() };
    let family = |text: &str, qualifiers: Vec<String>| NamePart {
        kind: PartKind::Family,
        qualifiers,
        text: text.to_owned(),
    };
    let more = &human["_family"];
    if code == Some(MAIDEN) {
        return vec![family(&rest, vec![BIRTH.to_owned()])];
    }
    let mut special = Vec::new();
    for (qualifier, url) in FAMILY_NAMES {
        for name in extension_texts(more, url) {
            let Some(at) = rest.find(name) else { continue };
            rest.replace_range(at..at + name.len(), "");
            special.push(family(name, vec![(*qualifier).to_owned()]));
        }
    }
    let rest = rest.split_whitespace().collect::<Vec<&str>>().join(" ");
    let qualifiers = extension_texts(more, QUALIFIER).map(str::to_owned).collect();
    let plain = (!rest.is_empty()).then(|| family(&rest, qualifiers));
    plain.into_iter().chain(special).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: PartKind, text: &str, qualifiers: &[&str]) -> NamePart {
        let qualifiers = qualifiers.iter().map(|q| (*q).to_owned()).collect();
        NamePart { kind, qualifiers, text: text.to_owned() }
    }

    fn name(uses: &[&str], parts: Vec<NamePart>) -> EntityName {
        let uses = uses.iter().map(|u| (*u).to_owned()).collect();
        EntityName { uses, parts, ..EntityName::default() }
    }

    #[test]
    fn names_are_the_same_in_both_ways_of_writing() {
        use PartKind::{Family, Given, Prefix, Suffix, Text};
        for (v3, fhir) in [
            (
                name(
                    &["L"],
                    vec![
                        part(Prefix, "Dr.", &["AC"]),
                        part(Given, "MARY", &[]),
                        part(Given, "ROSE", &[]),
                        part(Family, "WASHINGTON", &[]),
                        part(Suffix, "II", &[]),
                    ],
                ),
                json!({ "use": "official", "family": "WASHINGTON", "given": ["MARY", "ROSE"], "prefix": ["Dr."],
                    "_prefix": [{ "extension": [{ "url": QUALIFIER, "valueCode": "AC" }] }], "suffix": ["II"] }),
            ),
            (
                name(&[], vec![part(Given, "ANNE", &[]), part(Family, "DEAN", &["BR"])]),
                json!({ "use": "maiden", "family": "DEAN", "given": ["ANNE"] }),
            ),
            (
                name(&["P", "I"], vec![part(Family, "Rossi", &[]), part(Family, "Bianchi", &["SP"])]),
                json!({ "use": "nickname", "family": "Rossi Bianchi", "_family": { "extension": [
                        { "url": FAMILY_NAMES[1].1, "valueString": "Bianchi" }] },
                    "extension": [{ "url": USE, "valueCode": "P" }, { "url": USE, "valueCode": "I" }] }),
            ),
            (name(&[], vec![part(Text, "Unknown", &[])]), json!({ "text": "Unknown" })),
        ] {
            assert_eq!(human_name(&v3), Some(fhir.clone()));
            assert_eq!(entity_name(&fhir), v3);
        }
        assert_eq!(human_name(&EntityName::default()), None);
    }
}
