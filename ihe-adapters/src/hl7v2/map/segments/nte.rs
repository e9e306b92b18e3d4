//! NTE: comments, as Annotations of what stands before them.
//!
//! Spec: HL7 v2-to-FHIR, NTE[Observation]

use serde_json::{Value as Json, json};

use super::note;
use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::source::{Segment, Value};
use crate::hl7v2::map::types::dtm;
use crate::hl7v2::map::types::xcn::XCN;
use crate::hl7v2::map::work::Work;

/// Makes one Annotation of segments that follow each other: long comments are
/// broken into lines, a segment each. One that says who wrote it stands alone.
pub(in crate::hl7v2) fn annotations(work: &mut Work<'_>, draft: &mut Draft, segments: &[&Segment<'_>]) {
    let source = work.source;
    let mut lines: Vec<String> = Vec::new();
    for segment in segments {
        note(source, segment, &[1]);
        let text: Vec<String> = source.values(segment, 3).into_iter().filter_map(Value::text).collect();
        let text = text.join("\n");
        let author = source.value(segment, 5).and_then(|author| work.convert(draft, author, &XCN));
        let time = dtm::read(work, source.value(segment, 6));
        if author.is_none() && time.is_none() {
            lines.push(text);
            continue;
        }
        put(draft, &std::mem::take(&mut lines));
        let mut annotation = json!({ "text": text });
        for (element, value) in [("authorReference", author), ("time", time.map(Json::from))] {
            if let Some(value) = value {
                annotation[element] = value;
            }
        }
        if !text.trim().is_empty() {
            draft.put("note", annotation);
        }
    }
    put(draft, &lines);
}

/// Returns what segments say, as one text.
pub(in crate::hl7v2) fn text(work: &Work<'_>, segments: &[&Segment<'_>]) -> String {
    let source = work.source;
    segments.iter().for_each(|segment| note(source, segment, &[1]));
    let lines = segments.iter().flat_map(|segment| source.values(segment, 3)).filter_map(Value::text);
    lines.collect::<Vec<_>>().join("\n")
}

fn put(draft: &mut Draft, lines: &[String]) {
    let text = lines.join("\n");
    if !text.trim().is_empty() {
        draft.put("note", json!({ "text": text.trim_matches('\n') }));
    }
}
