//! Segments, as they are written: fields of repetitions of components.

use crate::wire::hl7v2::delimiters::Delimiters;
use crate::wire::hl7v2::escape;
use crate::wire::hl7v2::message::{Message, MessageError};
use crate::wire::hl7v2::segment::Segment as Written;

/// A component: its sub-components.
type Component = Vec<String>;

/// A value of a data type: its components.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Value(Vec<Component>);

impl Value {
    /// Makes a value of one component.
    pub(super) fn text(text: impl Into<String>) -> Value {
        Value(vec![vec![text.into()]])
    }

    /// Says what a component is, counted from 1.
    pub(super) fn set(&mut self, component: usize, text: Option<&str>) {
        self.set_part(component, 1, text);
    }

    /// Says what a sub-component is, both counted from 1.
    pub(super) fn set_part(&mut self, component: usize, part: usize, text: Option<&str>) {
        let (Some(text), Some(at), Some(part)) = (text, component.checked_sub(1), part.checked_sub(1)) else {
            return;
        };
        if self.0.len() <= at {
            self.0.resize(at + 1, Vec::new());
        }
        let Some(parts) = self.0.get_mut(at) else { return };
        if parts.len() <= part {
            parts.resize(part + 1, String::new());
        }
        if let Some(place) = parts.get_mut(part) {
            text.clone_into(place);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().flatten().all(String::is_empty)
    }

    /// Makes of its components sub-components of one.
    pub(super) fn within(self, component: usize) -> Value {
        let mut whole = Value::default();
        for (at, parts) in self.0.iter().enumerate() {
            whole.set_part(component, at + 1, parts.first().map(String::as_str));
        }
        whole
    }

    fn write(&self, delimiters: &Delimiters) -> String {
        let part = |text: &String| escape::encode(text, delimiters);
        let component = |parts: &Component| {
            let parts: Vec<String> = parts.iter().map(part).collect();
            trimmed(parts.join(&delimiters.subcomponent.to_string()), delimiters.subcomponent)
        };
        let components: Vec<String> = self.0.iter().map(component).collect();
        trimmed(components.join(&delimiters.component.to_string()), delimiters.component)
    }
}

fn trimmed(text: String, delimiter: char) -> String {
    text.trim_end_matches(delimiter).to_owned()
}

/// A segment that is being written.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    name: &'static str,
    fields: Vec<Vec<Value>>,
}

impl Segment {
    pub(super) fn new(name: &'static str) -> Segment {
        Segment { name, fields: Vec::new() }
    }

    /// Adds a repetition of a field.
    pub(super) fn add(&mut self, field: usize, value: Value) {
        if value.is_empty() {
            return;
        }
        if self.fields.len() < field {
            self.fields.resize(field, Vec::new());
        }
        if let Some(field) = field.checked_sub(1).and_then(|at| self.fields.get_mut(at)) {
            field.push(value);
        }
    }

    /// Adds a repetition of a text.
    pub(super) fn text(&mut self, field: usize, text: Option<&str>) {
        if let Some(text) = text {
            self.add(field, Value::text(text));
        }
    }

    /// Makes a segment of a message with these delimiters.
    pub(super) fn to_segment(&self, delimiters: &Delimiters) -> Written {
        let mut written = Written::new(self.name, delimiters);
        for (at, field) in self.written(delimiters).iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            written.set_written(at + 1, field);
        }
        written
    }

    fn written(&self, delimiters: &Delimiters) -> Vec<String> {
        let field = |values: &Vec<Value>| {
            let values: Vec<String> = values.iter().map(|value| value.write(delimiters)).collect();
            values.join(&delimiters.repetition.to_string())
        };
        self.fields.iter().map(field).collect()
    }

    fn write(&self, delimiters: &Delimiters) -> String {
        let fields = self.written(delimiters);
        let separator = delimiters.field.to_string();
        match self.name {
            // What separates is the first field, and the signs are the second.
            "MSH" => format!("MSH|^~\\&|{}", fields.get(2..).unwrap_or_default().join(&separator)),
            name => format!("{name}|{}", fields.join(&separator)),
        }
    }
}

/// Writes segments as a message.
pub(super) fn message(segments: &[Segment]) -> Result<Message, MessageError> {
    let delimiters = Delimiters::default();
    let mut text = String::new();
    for segment in segments {
        text.push_str(&segment.write(&delimiters));
        text.push('\r');
    }
    Message::parse(&text)
}
