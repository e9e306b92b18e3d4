//! The rows of the guide: which field becomes which element, by which type.

use serde_json::{Map, Value as Json, json};

use super::codes::{self, Codes};
use super::draft::Draft;
use super::source::{Segment, Value};
use super::types::coded;
use super::work::Work;

/// Makes a value of FHIR out of one of a message; `None` where it cannot, and
/// then nothing of it counts as read.
pub(in crate::hl7v2) type Convert = fn(&mut Work<'_>, &mut Draft, Value<'_>) -> Option<Json>;

/// A row: a field, the element it becomes, and as what.
pub(in crate::hl7v2) type Row = (&'static str, &'static str, As);

/// As what a value of a message stands in FHIR.
pub(in crate::hl7v2) enum As {
    /// As a data type has it.
    Of(Convert),
    /// As the code of a table.
    Code(&'static Codes),
    /// As a concept, translated by a table, with the original beside it.
    Concept(&'static Codes),
    /// As one code of a concept, translated by a table.
    Coding(&'static Codes),
    /// As true or false (table 0136).
    Boolean,
    /// As an element of an object in which other elements are always the same.
    Within(&'static str, &'static As, &'static [(&'static str, Constant)]),
    /// With an element that is the same unless the message says otherwise.
    Or(&'static As, &'static str, Constant),
    /// As an item of a list of its own.
    Listed(&'static As),
    /// Where another field of the segment says the same in more detail: `Y`
    /// adds nothing then.
    Unless(&'static str, &'static As),
}

/// What is always the same.
pub(in crate::hl7v2) enum Constant {
    /// A code, a URI or a text.
    Text(&'static str),
    /// A concept of one code: system, code.
    Concept(&'static str, &'static str),
    /// The same, in a list.
    Concepts(&'static str, &'static str),
    /// In which function somebody takes part, as the extension that tells it.
    Function(&'static str),
}

impl Constant {
    fn value(&self) -> Json {
        match self {
            Constant::Text(text) => json!(text),
            Constant::Concept(system, code) => codes::concept(system, code),
            Constant::Concepts(system, code) => json!([codes::concept(system, code)]),
            Constant::Function(code) => {
                json!([{ "url": FUNCTION, "valueCodeableConcept": codes::concept("v3-ParticipationType", code) }])
            }
        }
    }
}

/// The extension that tells in which function somebody takes part.
const FUNCTION: &str = "http://hl7.org/fhir/StructureDefinition/event-performerFunction";

/// Splits `PID-5` into the name of the segment and the number of the field.
pub(in crate::hl7v2) fn field_of(name: &str) -> Option<(&str, usize)> {
    let (segment, field) = name.split_once('-')?;
    Some((segment, field.parse().ok()?))
}

impl Work<'_> {
    /// Fills a resource from a segment, row by row. What no row takes stays unread.
    pub(in crate::hl7v2) fn fill(&mut self, draft: &mut Draft, segment: &Segment<'_>, rows: &[Row]) {
        for (name, element, kind) in rows {
            let Some((_, field)) = field_of(name) else { continue };
            for value in self.source.values(segment, field) {
                if let As::Unless(other, _) = kind
                    && !value.is_null()
                    && self.is_told(segment, other)
                {
                    if value.peek().as_deref() == Some("Y") {
                        value.note_all();
                    }
                    continue;
                }
                self.tell(draft, value, element, kind);
            }
        }
    }

    fn is_told(&self, segment: &Segment<'_>, field: &str) -> bool {
        let told = field_of(field).and_then(|(_, field)| self.source.value(segment, field));
        told.is_some_and(|told| !told.is_null())
    }

    /// Puts a value where a row has it.
    pub(in crate::hl7v2) fn tell(&mut self, draft: &mut Draft, value: Value<'_>, element: &str, kind: &As) {
        if value.is_null() {
            value.note_all();
            self.delete(draft.resource_type(), element);
            return;
        }
        if !draft.takes(element) {
            return;
        }
        let mark = self.source.mark();
        if let Some(converted) = self.convert(draft, value, kind)
            && !draft.put(element, converted)
        {
            self.source.forget_since(mark);
        }
        // What FHIR's own code does not tell stands beside it.
        if let As::Code(table) = kind
            && let Some(code) = value.text().filter(|code| !table.is_whole(code))
        {
            let (path, last) = element.rsplit_once('.').unwrap_or(("", element));
            let beside = format!("{path}{}_{last}.extension", if path.is_empty() { "" } else { "." });
            draft.put(&beside, alternate_code(table.table, &code));
        }
    }

    /// Makes a value of FHIR; where there is none, what was read of it counts as unread.
    pub(in crate::hl7v2) fn convert(
        &mut self,
        draft: &mut Draft,
        value: Value<'_>,
        kind: &As,
    ) -> Option<Json> {
        let mark = self.source.mark();
        let made = self.made(draft, value, kind);
        if made.is_none() {
            self.source.forget_since(mark);
        }
        made
    }

    fn made(&mut self, draft: &mut Draft, value: Value<'_>, kind: &As) -> Option<Json> {
        match kind {
            As::Of(convert) => convert(self, draft, value),
            As::Code(table) => Some(json!(table.code(&value.text()?)?)),
            As::Concept(table) => coded::translated(self, value, table),
            As::Coding(table) => coded::one(self, value, table),
            As::Boolean => match value.text()?.as_str() {
                "Y" => Some(json!(true)),
                "N" => Some(json!(false)),
                _ => None,
            },
            As::Within(element, inner, constants) => {
                let inner = self.convert(draft, value, inner)?;
                let mut object = Map::new();
                for (name, constant) in *constants {
                    object.insert((*name).to_owned(), constant.value());
                }
                object.insert((*element).to_owned(), inner);
                Some(Json::Object(object))
            }
            As::Or(inner, element, constant) => {
                let mut inner = self.convert(draft, value, inner)?;
                inner.as_object_mut()?.entry(*element).or_insert_with(|| constant.value());
                Some(inner)
            }
            As::Listed(inner) => Some(json!([self.convert(draft, value, inner)?])),
            As::Unless(_, inner) => self.convert(draft, value, inner),
        }
    }
}

/// Makes the extension that tells the code that FHIR's own does not tell apart.
pub(in crate::hl7v2) fn alternate_code(table: &str, code: &str) -> Json {
    json!({
        "url": "http://hl7.org/fhir/StructureDefinition/alternate-codes",
        "valueCodeableConcept": { "coding": [{ "system": codes::table_system(table), "code": code }] },
    })
}
