//! An answer, held against its question: type, options, bounds, units.
//!
//! Spec: <https://hl7.org/fhir/R4/questionnaire.html>

use std::cmp::Ordering;

use fhir_model::primitive::base64;
use fhir_model::schema::{TypeId, name, ty};
use fhir_model::tree::Element;

use super::questionnaire_response::{EXTENSIONS, extension, same_value};
use super::{Place, Rule, Run, coding, compare};

/// The greatest size of a compiled regular expression, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

impl<'r> Run<'_, 'r> {
    pub(super) fn answer(
        &mut self,
        place: Place<'r>,
        form: Element<'_>,
        asked: Element<'_>,
        answer: Element<'r>,
        value: Element<'r>,
    ) {
        let kind = asked.text_of(name::TYPE).unwrap_or_default();
        let allowed = types(kind, asked);
        // A choice of which nothing is known says nothing of its answers.
        let is_open = matches!(kind, "choice" | "open-choice")
            && asked.child(name::ANSWER_OPTION).is_none()
            && asked.child(name::ANSWER_VALUE_SET).is_none();
        if !is_open && !allowed.contains(&value.ty()) {
            self.refuse_type(asked, value, &allowed);
            return;
        }
        self.option(form, asked, kind, answer, value);
        self.range(asked, value);
        self.form(asked, value);
        match value.ty() {
            ty::STRING => self.length(asked, value),
            ty::QUANTITY => self.unit(asked, value),
            ty::ATTACHMENT => {
                self.size(asked, answer, value);
                self.mime_type(asked, value);
            }
            ty::REFERENCE => self.referred(place, asked, value),
            _ => {}
        }
    }

    /// Tells of a value whose type the question does not allow.
    pub(super) fn refuse_type(&mut self, asked: Element<'_>, value: Element<'r>, allowed: &[TypeId]) {
        let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
        let allowed = allowed.iter().map(|t| t.name()).collect::<Vec<_>>().join(", ");
        self.error(value, Rule::AnswerType { link_id, found: value.ty().name().to_owned(), allowed });
    }

    fn refuse(&mut self, at: Element<'r>, asked: Element<'_>, reason: String) {
        let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
        self.error(at, Rule::AnswerValue { link_id, reason });
    }

    /// An answer must be one of the options, where there are some.
    fn option(
        &mut self,
        form: Element<'_>,
        asked: Element<'_>,
        kind: &str,
        answer: Element<'r>,
        value: Element<'r>,
    ) {
        let is_free = kind == "open-choice" && value.ty() == ty::STRING;
        if is_free {
            return;
        }
        let options: Vec<Element<'_>> =
            asked.children_named(name::ANSWER_OPTION).filter_map(|o| o.child(name::VALUE)).collect();
        let mut fits = options.is_empty() || options.iter().any(|option| same_value(value, *option));
        if let Some(value_set) = asked.text_of(name::ANSWER_VALUE_SET)
            && matches!(value.ty(), ty::CODING | ty::STRING)
        {
            let given = match value.ty() {
                ty::CODING => value.text_of(name::CODE),
                _ => value.value(),
            };
            fits = match value_set.strip_prefix('#') {
                Some(id) => contained_value_set(form, id).is_none_or(|codes| {
                    codes.iter().any(|c| {
                        Some(c.1) == given && (value.ty() == ty::STRING || c.0 == value.text_of(name::SYSTEM))
                    })
                }),
                None => {
                    self.in_value_set(value, value_set) != Some(false)
                        && (value.ty() == ty::STRING || !self.is_misnamed(value))
                }
            };
        }
        if !fits {
            let link_id = asked.text_of(name::LINK_ID).unwrap_or_default().to_owned();
            // A code is more than its parts: the answer as a whole is told.
            let (at, shown) = match value.value() {
                Some(text) => (value, text.to_owned()),
                None => (answer, value.text_of(name::CODE).unwrap_or_default().to_owned()),
            };
            self.error(at, Rule::AnswerOption { link_id, value: format!("'{shown}'") });
        }
    }

    fn is_misnamed(&self, value: Element<'r>) -> bool {
        use crate::terminology::Membership;
        let answer = self.validator.terminology.validate_in_system(&coding::coding_ref(value));
        matches!(answer, Membership::Member { display: Some(_) })
    }

    fn range(&mut self, asked: Element<'_>, value: Element<'r>) {
        let bound = |kind: &str| {
            extension(asked, &format!("{kind}Value")).or_else(|| {
                extension(asked, &format!("questionnaire-{kind}Quantity"))
                    .or_else(|| sdc(asked, &format!("sdc-questionnaire-{kind}Quantity")))
            })
        };
        for (kind, wrong) in [("min", Ordering::Less), ("max", Ordering::Greater)] {
            let Some(bound) = bound(kind).filter(|b| b.ty() == value.ty()) else { continue };
            let shown = |e: Element<'_>| match e.value() {
                Some(text) => text.to_owned(),
                None => format!(
                    "{} {}",
                    e.text_of(name::VALUE).unwrap_or_default(),
                    e.text_of(name::CODE).or(e.text_of(name::UNIT)).unwrap_or_default()
                ),
            };
            let order = compare(value, bound);
            let (given, bound_text) = (shown(value), shown(bound));
            if order == Some(wrong) {
                let what = if kind == "min" { "less than the least" } else { "more than the greatest" };
                self.refuse(value, asked, format!("{given} is {what} allowed, {bound_text}"));
            } else if value.ty() == ty::QUANTITY && (order.is_none() || value.child(name::CODE).is_none()) {
                self.refuse(value, asked, format!("{given} cannot be compared with {bound_text}"));
            }
        }
    }

    /// How an answer is to be written: decimal places, and a regular expression.
    fn form(&mut self, asked: Element<'_>, value: Element<'r>) {
        let number = match value.ty() {
            ty::QUANTITY => value.text_of(name::VALUE),
            _ => value.value(),
        };
        if let Some(most) = extension(asked, "maxDecimalPlaces").and_then(|m| m.value()?.parse().ok())
            && matches!(value.ty(), ty::DECIMAL | ty::QUANTITY)
            && let Some(places) = number.and_then(decimal_places)
            && places > most
        {
            self.refuse(value, asked, format!("it has {places} decimal places, {most} are allowed"));
        }
        if let Some(text) = value.value()
            && let Some(pattern) = extension(asked, "regex").and_then(|p| p.value())
            && matches_whole(pattern, text) == Some(false)
        {
            self.refuse(value, asked, format!("it does not match the pattern {pattern}"));
        }
    }

    /// An attachment has one of the types that the question names, if any.
    fn mime_type(&mut self, asked: Element<'_>, value: Element<'r>) {
        let url = format!("{EXTENSIONS}mimeType");
        let allowed: Vec<&str> = asked
            .children_named(name::EXTENSION)
            .filter(|e| e.text_of(name::URL) == Some(&url))
            .filter_map(|e| e.child(name::VALUE)?.value())
            .collect();
        let found = value.text_of(name::CONTENT_TYPE).unwrap_or_default();
        if !allowed.is_empty() && !allowed.iter().any(|a| is_of_media_type(found, a)) {
            let reason = format!("the content type '{found}' is not among {}", allowed.join(", "));
            self.refuse(value, asked, reason);
        }
    }

    fn length(&mut self, asked: Element<'_>, value: Element<'r>) {
        let length = value.value().map_or(0, |text| text.chars().count());
        if let Some(max) = asked.text_of(name::MAX_LENGTH).and_then(|m| m.parse::<usize>().ok())
            && length > max
        {
            self.error(value, Rule::MaxLength { length, max });
        }
        if let Some(min) = extension(asked, "minLength").and_then(|m| m.value()?.parse::<usize>().ok())
            && length < min
        {
            self.error(value, Rule::MinLength { length, min });
        }
    }

    fn unit(&mut self, asked: Element<'_>, value: Element<'r>) {
        let url = format!("{EXTENSIONS}questionnaire-unitOption");
        let options: Vec<Element<'_>> = asked
            .children_named(name::EXTENSION)
            .filter(|e| e.text_of(name::URL) == Some(&url))
            .filter_map(|e| e.child(name::VALUE))
            .collect();
        let unit = (value.text_of(name::SYSTEM), value.text_of(name::CODE));
        let shown = unit.1.or(value.text_of(name::UNIT)).unwrap_or_default().to_owned();
        if !options.is_empty()
            && !options.iter().any(|o| (o.text_of(name::SYSTEM), o.text_of(name::CODE)) == unit)
        {
            self.refuse(value, asked, format!("the unit '{shown}' is not among those allowed"));
        }
        if let Some(value_set) = extension(asked, "questionnaire-unitValueSet").and_then(|v| v.value())
            && (unit.1.is_none() || self.in_value_set(value, value_set) == Some(false))
        {
            self.refuse(value, asked, format!("the unit '{shown}' is not in the value set {value_set}"));
        }
    }

    fn size(&mut self, asked: Element<'_>, answer: Element<'r>, value: Element<'r>) {
        let Some(most) = extension(asked, "maxSize").and_then(|m| m.value()?.parse::<f64>().ok()) else {
            return;
        };
        let stated = value.text_of(name::SIZE).and_then(|s| s.parse::<usize>().ok());
        let held = value.text_of(name::DATA).and_then(base64::decode).map(|bytes| bytes.len());
        if let Some(found) = held.or(stated)
            && found as f64 > most
        {
            self.refuse(answer, asked, format!("the attachment has {found} bytes, {most} are allowed"));
        }
    }

    /// A reference leads to a type that exists, and that the question allows.
    fn referred(&mut self, place: Place<'r>, asked: Element<'_>, value: Element<'r>) {
        let Some(text) = value.text_of(name::REFERENCE) else { return };
        if text.starts_with('#') || text.starts_with("urn:") || self.resolve(place, text).is_some() {
            return;
        }
        if text.contains(char::is_whitespace) {
            self.refuse(value, asked, format!("'{text}' is not a reference"));
        }
        let mut parts = text.split("/_history/").next().unwrap_or(text).rsplit('/');
        let (Some(_), Some(named)) = (parts.next(), parts.next()) else { return };
        let Some(of) = TypeId::resource_named(named) else {
            self.refuse(value, asked, format!("'{named}' is no type of resource"));
            return;
        };
        let url = format!("{EXTENSIONS}questionnaire-referenceResource");
        let allowed: Vec<&str> = asked
            .children_named(name::EXTENSION)
            .filter(|e| e.text_of(name::URL) == Some(&url))
            .filter_map(|e| e.child(name::VALUE)?.value())
            .collect();
        if !allowed.is_empty() && !allowed.contains(&of.name()) {
            self.refuse(value, asked, format!("a {of} is not allowed here, but {}", allowed.join(", ")));
        }
    }
}

/// Counts the digits after the point; `None` when the number has an exponent,
/// which tells another precision.
fn decimal_places(number: &str) -> Option<usize> {
    if number.contains(['e', 'E']) {
        return None;
    }
    Some(number.split_once('.').map_or(0, |(_, places)| places.len()))
}

/// Tells whether a regular expression matches all of a text; `None` when it
/// is none, or greater than is reasonable.
fn matches_whole(pattern: &str, text: &str) -> Option<bool> {
    let whole = format!("^(?:{pattern})$");
    let compiled = regex::RegexBuilder::new(&whole).size_limit(REGEX_SIZE_MAX).build().ok()?;
    Some(compiled.is_match(text))
}

/// Tells whether a media type is the one allowed, parameters apart; `image/*`
/// allows every image.
fn is_of_media_type(found: &str, allowed: &str) -> bool {
    let found = found.split(';').next().unwrap_or_default().trim();
    match allowed.strip_suffix("/*") {
        Some(group) => found.split_once('/').is_some_and(|(kind, _)| kind.eq_ignore_ascii_case(group)),
        None => found.eq_ignore_ascii_case(allowed),
    }
}

/// Returns the types that answers to an item may have.
pub(super) fn types(kind: &str, asked: Element<'_>) -> Vec<TypeId> {
    match kind {
        "boolean" => vec![ty::BOOLEAN],
        "decimal" => vec![ty::DECIMAL],
        "integer" => vec![ty::INTEGER],
        "date" => vec![ty::DATE],
        "dateTime" => vec![ty::DATE_TIME],
        "time" => vec![ty::TIME],
        "string" | "text" => vec![ty::STRING],
        "url" => vec![ty::URI],
        "attachment" => vec![ty::ATTACHMENT],
        "reference" => vec![ty::REFERENCE],
        "quantity" => vec![ty::QUANTITY],
        _ => {
            let options = asked.children_named(name::ANSWER_OPTION).filter_map(|o| o.child(name::VALUE));
            let mut types: Vec<TypeId> = options.map(|o| o.ty()).collect();
            types.push(ty::CODING);
            if kind == "open-choice" {
                types.push(ty::STRING);
            }
            types.sort_unstable();
            types.dedup();
            types
        }
    }
}

/// Returns the value of an extension of Structured Data Capture.
fn sdc<'q>(element: Element<'q>, what: &str) -> Option<Element<'q>> {
    let url = format!("http://hl7.org/fhir/uv/sdc/StructureDefinition/{what}");
    element.children_named(name::EXTENSION).find(|e| e.text_of(name::URL) == Some(&url))?.child(name::VALUE)
}

/// Returns the enumerated codes of a value set that a questionnaire contains.
fn contained_value_set<'q>(form: Element<'q>, id: &str) -> Option<Vec<(Option<&'q str>, &'q str)>> {
    let value_set = form.children_named(name::CONTAINED).find(|c| c.text_of(name::ID) == Some(id))?;
    let includes = value_set.child(name::COMPOSE)?.children_named(name::INCLUDE);
    let mut codes = Vec::new();
    for include in includes {
        let system = include.text_of(name::SYSTEM);
        let mut concepts = include.children_named(name::CONCEPT).peekable();
        concepts.peek()?;
        codes.extend(concepts.filter_map(|c| Some((system, c.text_of(name::CODE)?))));
    }
    Some(codes)
}
