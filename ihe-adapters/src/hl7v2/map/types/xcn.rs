//! XCN and CNN: persons who provide care, as Practitioner.
//!
//! Spec: HL7 v2.5.1 sections 2.A.86, 2.A.9

use serde_json::{Map, Value as Json, json};

use super::xpn::Places;
use super::{cx, extend, hd, put, xpn};
use crate::hl7v2::map::codes;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::{Known, Work, by_identifier};

/// A reference to a Practitioner.
pub(in crate::hl7v2) const XCN: As = As::Of(practitioner);

/// A reference to the Practitioner that a name with date and location (NDL) names.
pub(in crate::hl7v2) const NDL: As = As::Of(named);

/// Where the parts of a person stand.
struct Person {
    name: Places,
    degree: usize,
    /// Who assigned the identifier: one component, or three.
    authority: &'static [usize],
    identifier_type: usize,
    check_digit: [usize; 2],
}

const XCN_PLACES: Person = Person {
    name: Places {
        family: 2,
        given: [3, 4],
        prefix: 6,
        suffixes: &[5, 21],
        name_type: 10,
        order: 18,
        range: 17,
        from: 19,
        until: 20,
    },
    degree: 7,
    authority: &[9],
    identifier_type: 13,
    check_digit: [11, 12],
};

/// CNN has the authority in three parts, and nothing behind it.
const CNN_PLACES: Person = Person {
    name: Places {
        family: 2,
        given: [3, 4],
        prefix: 6,
        suffixes: &[5],
        name_type: 0,
        order: 0,
        range: 0,
        from: 0,
        until: 0,
    },
    degree: 7,
    authority: &[9, 10, 11],
    identifier_type: 0,
    check_digit: [0, 0],
};

fn practitioner(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    person(work, draft, value, &XCN_PLACES)
}

fn named(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>) -> Option<Json> {
    person(work, draft, value.part(1)?, &CNN_PLACES)
}

fn person(work: &mut Work<'_>, draft: &mut Draft, value: Value<'_>, places: &Person) -> Option<Json> {
    let mut practitioner = Draft::new("Practitioner");
    let mut identifier = Map::new();
    if let Some(id) = value.text_of(1) {
        extend(&mut identifier, cx::CHECK_DIGIT, value.text_of(places.check_digit[0]));
        extend(&mut identifier, cx::CHECK_DIGIT_SCHEME, value.text_of(places.check_digit[1]));
        put(&mut identifier, "type", cx::type_of(value.text_of(places.identifier_type)));
        match places.authority {
            [whole] => {
                if let Some(authority) = value.part(*whole) {
                    hd::assign(work, &mut identifier, authority);
                }
            }
            parts => hd::assign_parts(work, &mut identifier, value, parts),
        }
        identifier.insert("value".to_owned(), json!(id.trim()));
        practitioner.put("identifier", Json::Object(identifier.clone()));
    }
    if let Some(name) = xpn::of(work, value, &places.name) {
        practitioner.put("name", name);
    }
    if practitioner.is_empty() {
        return None;
    }
    if let Some(degree) = value.text_of(places.degree) {
        practitioner.put("qualification.code", codes::concept("v2-0360", degree.trim()));
    }
    Some(party(work, draft, practitioner))
}

/// Returns a reference to somebody: of an entry where an identifier tells who
/// it is, or else inside of what refers to him.
pub(super) fn party(work: &mut Work<'_>, draft: &mut Draft, somebody: Draft) -> Json {
    let identifier = &somebody.element("identifier")[0];
    if let (Some(system), Some(query)) = (identifier["system"].as_str(), by_identifier(identifier)) {
        let key = format!("{system}|{}", identifier["value"].as_str().unwrap_or_default());
        // Who is told of twice, and not alike, is not told of in one place.
        if !work.differs(&somebody, &key) {
            return work.add(somebody, &key, Known::StaysBy(query));
        }
    }
    draft.contain(somebody.finish())
}
