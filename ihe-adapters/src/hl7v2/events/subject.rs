//! Of whom a message is: the patient and the visit that clinical messages begin with.

use crate::hl7v2::map::segments::{evn, nk1, pd1, pid, pv1};
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::work::Work;
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

/// Reads PID, PD1, NK1, PV1 and PV2. What they say of the patient is put into
/// [`Mapped::patient`].
///
/// # Errors
/// When there is no patient, or more than one, or one without an identifier.
pub(super) fn subject(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<Option<pv1::Visit>, Refused> {
    let source = work.source;
    let told = source.first("PID").ok_or_else(|| Refused::segment("PID", "there is no patient"))?;
    if source.named("PID").count() > 1 {
        return Err(Refused::segment("PID", "more than one patient in a message"));
    }
    let mut patient = pid::patient(work, told)?;
    if let Some(more) = source.first("PD1") {
        work.fill(&mut patient, more, pd1::ROWS);
    }
    for related in source.named("NK1") {
        nk1::related(work, &mut patient, related);
    }
    let account = pid::account(work, told);
    let visit = pv1::visit(work, None, account, pv1::Teller::Other);
    let mut targets: Vec<serde_json::Value> = work.patient.iter().cloned().collect();
    targets.extend(visit.as_ref().map(|visit| visit.reference.clone()));
    evn::provenance(work, &mapped.event, &targets);
    mapped.patient = Some(patient.finish());
    Ok(visit)
}

/// Takes the segments apart into groups, each of which begins with a segment of a name.
pub(super) fn groups<'s, 'm>(segments: &'s [Segment<'m>], name: &str) -> Vec<&'s [Segment<'m>]> {
    let begins: Vec<usize> = (0..segments.len()).filter(|at| segments[*at].name == name).collect();
    let ends = begins.iter().skip(1).copied().chain(std::iter::once(segments.len()));
    begins.iter().zip(ends).map(|(begin, end)| &segments[*begin..end]).collect()
}
