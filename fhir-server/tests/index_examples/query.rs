//! Searches made from values: an account of the value grammars of its own,
//! so that index and predicate are not compared with themselves.

use fhir_model::fhirpath::{Context, Expression, Value};
use fhir_model::schema::{name, ty};
use fhir_model::search_parameter::{SearchParameter, SearchParameterType as Kind};
use fhir_model::tree::Element;

/// A modifier and a value of a search.
type Query = (Option<&'static str>, String);

/// Returns searches that must find a resource with that value.
pub(crate) fn from_value(
    parameter: &SearchParameter,
    components: &[(Kind, Expression)],
    value: &Value<'_>,
) -> Vec<Query> {
    if parameter.kind == Kind::Composite {
        return composite(components, value).into_iter().map(|text| (None, text)).collect();
    }
    let mut out = of_kind(parameter.kind, value);
    if parameter.code == "phonetic"
        && let Value::Element(element) = value
    {
        // A beginning sounds otherwise than the whole.
        out.retain(|(modifier, _)| modifier.is_some());
        out.extend(string_parts(*element).into_iter().map(|part| (None, escape(part))));
    }
    out
}

fn of_kind(kind: Kind, value: &Value<'_>) -> Vec<Query> {
    let mut out = Vec::new();
    match (kind, value) {
        (Kind::Token, Value::Element(element)) => token(*element, &mut out),
        (Kind::Date, Value::Element(element)) => date(*element, &mut out),
        (Kind::String, Value::Element(element)) => string(*element, &mut out),
        (Kind::Reference, Value::Element(element)) => reference(*element, &mut out),
        (Kind::Quantity, Value::Element(element)) => quantity(*element, &mut out),
        (Kind::Number, Value::Element(element)) => number(*element, &mut out),
        (Kind::Uri, Value::Element(element)) => uri(*element, &mut out),
        (Kind::Special, Value::Element(element)) => position(*element, &mut out),
        (Kind::Token, Value::Boolean(is)) => out.push((None, is.to_string())),
        (Kind::Token, Value::String(text)) => out.push((None, escape(text))),
        (kind, value) => panic!("{} of {value:?}", kind.code()),
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, ',' | '|' | '$' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn is_word(text: &str) -> bool {
    text.chars().any(|c| !c.is_whitespace())
}

fn coded(system: Option<&str>, code: Option<&str>, out: &mut Vec<Query>) {
    let (system, code) = (system.map(escape), code.map(escape));
    match (system, code) {
        (Some(system), Some(code)) => {
            out.push((None, format!("{system}|{code}")));
            out.push((None, format!("{system}|")));
            out.push((None, code));
        }
        (None, Some(code)) => {
            out.push((None, format!("|{code}")));
            out.push((None, code));
        }
        (Some(system), None) => out.push((None, format!("{system}|"))),
        (None, None) => {}
    }
}

fn text(of: Option<&str>, out: &mut Vec<Query>) {
    out.extend(of.filter(|t| is_word(t)).map(|t| (Some("text"), escape(&t.to_uppercase()))));
}

fn token(element: Element<'_>, out: &mut Vec<Query>) {
    match element.ty() {
        ty::CODEABLE_CONCEPT => {
            text(element.text_of(name::TEXT), out);
            element.children_named(name::CODING).for_each(|coding| token(coding, out));
        }
        ty::CODING => {
            coded(element.text_of(name::SYSTEM), element.text_of(name::CODE), out);
            text(element.text_of(name::DISPLAY), out);
        }
        ty::IDENTIFIER => {
            let value = element.text_of(name::VALUE);
            coded(element.text_of(name::SYSTEM), value, out);
            let Some(kind) = element.child(name::TYPE) else { return };
            text(kind.text_of(name::TEXT), out);
            for coding in kind.children_named(name::CODING) {
                if let (Some(system), Some(code), Some(value)) =
                    (coding.text_of(name::SYSTEM), coding.text_of(name::CODE), value)
                {
                    let parts = [system, code, value].map(escape);
                    out.push((Some("of-type"), parts.join("|")));
                }
            }
        }
        ty::CONTACT_POINT => out.extend(element.text_of(name::VALUE).map(|v| (None, escape(v)))),
        _ => out.extend(element.value().map(|v| (None, escape(v)))),
    }
}

fn date(element: Element<'_>, out: &mut Vec<Query>) {
    let mut within = |text: &str| {
        for prefix in ["ge", "le", "ap"] {
            out.push((None, format!("{prefix}{text}")));
        }
    };
    match element.ty() {
        ty::PERIOD => {
            let (start, end) = (element.text_of(name::START), element.text_of(name::END));
            start.into_iter().chain(end).for_each(&mut within);
            if let (Some(start), None) = (start, end) {
                out.push((None, "gt2900".to_owned()));
                out.push((None, format!("ne{start}")));
            }
        }
        ty::TIMING => {
            element.children_named(name::EVENT).filter_map(Element::value).for_each(&mut within);
            let bounds = element.child(name::REPEAT).and_then(|r| r.child(name::BOUNDS));
            bounds.filter(|b| b.ty() == ty::PERIOD).into_iter().for_each(|b| date(b, out));
        }
        // `January 2012`, `daily`: told in words, found by no date.
        ty::STRING => {}
        _ => {
            if let Some(text) = element.value() {
                within(text);
                out.push((None, text.to_owned()));
                out.push((None, format!("eq{}", &text[..4])));
                for query in ["gt0002", "sa0002", "lt9998", "eb9998", "ne0002"] {
                    out.push((None, query.to_owned()));
                }
            }
        }
    }
}

fn string_parts(element: Element<'_>) -> Vec<&str> {
    let named: &[_] = match element.ty() {
        ty::HUMAN_NAME => &[name::TEXT, name::FAMILY, name::GIVEN, name::PREFIX, name::SUFFIX],
        ty::ADDRESS => &[
            name::TEXT,
            name::LINE,
            name::CITY,
            name::DISTRICT,
            name::STATE,
            name::POSTAL_CODE,
            name::COUNTRY,
        ],
        _ => return element.value().into_iter().filter(|p| is_word(p)).collect(),
    };
    let parts = named.iter().flat_map(|part| element.children_named(*part));
    parts.filter_map(Element::value).filter(|p| is_word(p)).collect()
}

fn string(element: Element<'_>, out: &mut Vec<Query>) {
    for part in string_parts(element) {
        let beginning: String = part.chars().take(12).collect();
        let middle: String = part.chars().skip(2).take(9).collect();
        out.push((None, escape(&beginning.to_uppercase())));
        out.push((Some("exact"), escape(part)));
        if is_word(&middle) {
            out.push((Some("contains"), escape(middle.trim())));
        }
    }
}

fn reference(element: Element<'_>, out: &mut Vec<Query>) {
    if element.ty() == ty::REFERENCE {
        if let Some(identifier) = element.child(name::IDENTIFIER) {
            let mut by_value = Vec::new();
            coded(identifier.text_of(name::SYSTEM), identifier.text_of(name::VALUE), &mut by_value);
            out.extend(by_value.into_iter().map(|(_, text)| (Some("identifier"), text)));
        }
        // Contained resources have no identity of their own.
        let text = element.text_of(name::REFERENCE).filter(|t| !t.is_empty() && !t.starts_with('#'));
        out.extend(text.map(|text| (None, escape(text))));
    } else if let Some(text) = element.value() {
        // What is no URL names something contained.
        if text.starts_with('#') || !text.contains(['/', ':']) {
            return;
        }
        out.push((None, escape(text)));
        if let Some((url, _)) = text.split_once('|') {
            out.push((None, escape(url)));
        }
        if element.ty() == ty::CANONICAL {
            out.push((Some("below"), escape(&text[..text.len() / 2])));
        }
    }
}

fn quantity(element: Element<'_>, out: &mut Vec<Query>) {
    match element.ty() {
        ty::RANGE => {
            for end in [name::LOW, name::HIGH] {
                let value = element.child(end).and_then(|e| e.text_of(name::VALUE));
                out.extend(value.map(|v| (None, format!("ap{v}"))));
            }
        }
        ty::MONEY => {
            if let Some(value) = element.text_of(name::VALUE) {
                out.push((None, value.to_owned()));
                if let Some(currency) = element.text_of(name::CURRENCY) {
                    out.push((None, format!("{value}||{currency}")));
                    out.push((None, format!("ge{value}|urn:iso:std:iso:4217|{currency}")));
                }
            }
        }
        ty::SAMPLED_DATA => out.push((None, "gt-100000".to_owned())),
        _ => simple_quantity(element, out),
    }
}

fn simple_quantity(element: Element<'_>, out: &mut Vec<Query>) {
    let Some(value) = element.text_of(name::VALUE) else { return };
    match element.text_of(name::COMPARATOR) {
        Some("<" | "<=") => return out.push((None, format!("lt{value}"))),
        Some(_) => return out.push((None, format!("gt{value}"))),
        None => {}
    }
    for prefix in ["", "eq", "ge", "le", "ap"] {
        out.push((None, format!("{prefix}{value}")));
    }
    if let Some(code) = element.text_of(name::CODE) {
        let (system, code) = (element.text_of(name::SYSTEM).map(escape), escape(code));
        out.push((None, format!("{value}||{code}")));
        out.extend(system.map(|system| (None, format!("le{value}|{system}|{code}"))));
    }
    if let Some(unit) = element.text_of(name::UNIT).filter(|u| is_word(u)) {
        out.push((None, format!("{value}||{}", escape(unit))));
    }
}

fn number(element: Element<'_>, out: &mut Vec<Query>) {
    if element.ty() == ty::RANGE {
        return quantity(element, out);
    }
    let Some(value) = element.value() else { return };
    for prefix in ["", "eq", "ge", "le", "ap"] {
        out.push((None, format!("{prefix}{value}")));
    }
    for query in ["gt-1e9", "lt1e15", "ne-7"] {
        out.push((None, query.to_owned()));
    }
}

fn uri(element: Element<'_>, out: &mut Vec<Query>) {
    let Some(text) = element.value().filter(|t| !t.is_empty()) else { return };
    out.push((None, escape(text)));
    out.push((Some("above"), escape(&format!("{text}/below/it"))));
    if let Some((at, _)) = text.char_indices().nth(text.chars().count() / 2).filter(|(at, _)| *at > 0) {
        out.push((Some("below"), escape(&text[..at])));
    }
}

fn position(element: Element<'_>, out: &mut Vec<Query>) {
    if let (Some(latitude), Some(longitude)) =
        (element.text_of(name::LATITUDE), element.text_of(name::LONGITUDE))
    {
        out.push((None, format!("{latitude}|{longitude}|1|km")));
        out.push((None, format!("{latitude}|{longitude}")));
    }
}

/// One search of each combination of the parts' first values.
fn composite(components: &[(Kind, Expression)], value: &Value<'_>) -> Vec<String> {
    let Some(element) = value.element() else { return Vec::new() };
    let context = Context::new(element.resource().root());
    let mut out = vec![String::new()];
    for (at, (kind, expression)) in components.iter().enumerate() {
        let values = expression.evaluate(&context, element).expect("evaluates");
        let texts: Vec<String> = values
            .iter()
            .flat_map(|value| of_kind(*kind, value))
            .filter(|(modifier, text)| modifier.is_none() && !text.ends_with('|'))
            .map(|(_, text)| text)
            .collect();
        let before = if at == 0 { "" } else { "$" };
        out = out
            .iter()
            .flat_map(|so_far| texts.iter().take(6).map(move |text| format!("{so_far}{before}{text}")))
            .collect();
    }
    out
}
