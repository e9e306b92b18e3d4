//! Segments of HL7 v2, as resources: one file for each.
//!
//! Spec: HL7 v2-to-FHIR, segment maps

pub(in crate::hl7v2) mod ais;
pub(in crate::hl7v2) mod al1;
pub(in crate::hl7v2) mod dg1;
pub(in crate::hl7v2) mod document;
pub(in crate::hl7v2) mod evn;
pub(in crate::hl7v2) mod in1;
pub(in crate::hl7v2) mod ipc;
pub(in crate::hl7v2) mod mrg;
pub(in crate::hl7v2) mod msh;
pub(in crate::hl7v2) mod nk1;
pub(in crate::hl7v2) mod nte;
pub(in crate::hl7v2) mod obr;
pub(in crate::hl7v2) mod obx;
pub(in crate::hl7v2) mod orc;
pub(in crate::hl7v2) mod pd1;
pub(in crate::hl7v2) mod pid;
pub(in crate::hl7v2) mod pv1;
pub(in crate::hl7v2) mod pv2;
pub(in crate::hl7v2) mod rxa;
pub(in crate::hl7v2) mod rxe;
pub(in crate::hl7v2) mod rxr;
pub(in crate::hl7v2) mod sch;
pub(in crate::hl7v2) mod spm;
pub(in crate::hl7v2) mod tq1;
pub(in crate::hl7v2) mod txa;

use super::source::{Segment, Source, Value};

/// Notes fields as read that say nothing of what is told: numbers of segments, the envelope.
fn note(source: &Source<'_>, segment: &Segment<'_>, fields: &[usize]) {
    for field in fields {
        source.values(segment, *field).into_iter().for_each(Value::note_all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hl7v2::map::draft::Draft;
    use crate::hl7v2::map::row::{Row, field_of};

    #[test]
    fn rows_name_fields_of_their_segment_and_elements_of_their_resource() {
        let tables: [(&str, &'static str, &[Row]); 17] = [
            ("AL1", "AllergyIntolerance", al1::ROWS),
            ("DG1", "Condition", dg1::ROWS),
            ("EVN", "Provenance", evn::ROWS),
            ("IN1", "Coverage", in1::ROWS),
            ("NK1", "RelatedPerson", nk1::ROWS),
            ("NK1", "Patient.contact", nk1::CONTACT),
            ("OBR", "DiagnosticReport", obr::REPORT),
            ("OBR", "ServiceRequest", obr::REQUEST),
            ("OBR", "Specimen", obr::SPECIMEN),
            ("OBX", "DocumentReference", document::ROWS),
            ("OBX", "Observation", obx::ROWS),
            ("ORC", "ServiceRequest", orc::ROWS),
            ("PD1", "Patient", pd1::ROWS),
            ("PID", "Patient", pid::ROWS),
            ("PV1", "Encounter", pv1::ROWS),
            ("PV2", "Encounter", pv2::ROWS),
            ("SPM", "Specimen", spm::ROWS),
        ];
        for (segment, resource, rows) in tables {
            for (name, element, _) in rows {
                assert_eq!(field_of(name).map(|(of, _)| of), Some(segment), "{name}");
                assert!(Draft::new(resource).takes(element), "{name}: {resource}.{element}");
            }
        }
    }
}
