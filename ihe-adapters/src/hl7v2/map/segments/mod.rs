//! Segments of HL7 v2, as resources: one file for each.
//!
//! Spec: HL7 v2-to-FHIR, segment maps

pub(in crate::hl7v2) mod al1;
pub(in crate::hl7v2) mod dg1;
pub(in crate::hl7v2) mod evn;
pub(in crate::hl7v2) mod in1;
pub(in crate::hl7v2) mod mrg;
pub(in crate::hl7v2) mod msh;
pub(in crate::hl7v2) mod nk1;
pub(in crate::hl7v2) mod nte;
pub(in crate::hl7v2) mod obx;
pub(in crate::hl7v2) mod pd1;
pub(in crate::hl7v2) mod pid;
pub(in crate::hl7v2) mod pv1;
pub(in crate::hl7v2) mod pv2;

use super::source::{Segment, Source, Value};

/// Notes fields as read that say nothing of what is told: numbers of segments, the envelope.
fn note(source: &Source<'_>, segment: &Segment<'_>, fields: &[usize]) {
    for field in fields {
        source.values(segment, *field).into_iter().for_each(Value::note_all);
    }
}
