//! ST, TX, FT, NM where they stay text.

use serde_json::{Value as Json, json};

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::row::As;
use crate::hl7v2::map::source::Value;
use crate::hl7v2::map::work::Work;

/// A text.
pub(in crate::hl7v2) const ST: As = As::Of(text);

/// A text, as the text of a concept.
pub(in crate::hl7v2) const ST_CONCEPT: As = As::Of(concept);

/// A text, as the text of a comment.
pub(in crate::hl7v2) const ANNOTATION: As = As::Of(annotation);

fn text(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    Some(json!(value.text()?))
}

fn concept(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    Some(json!({ "text": value.text()? }))
}

fn annotation(_: &mut Work<'_>, _: &mut Draft, value: Value<'_>) -> Option<Json> {
    Some(json!({ "text": value.text()? }))
}
