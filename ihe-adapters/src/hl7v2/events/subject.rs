//! Of whom a message is: the patient and the visit that messages begin with.

use crate::hl7v2::map::draft::Draft;
use crate::hl7v2::map::segments::{evn, nk1, pd1, pid, pv1};
use crate::hl7v2::map::source::Segment;
use crate::hl7v2::map::work::Work;
use crate::hl7v2::mapped::Mapped;
use crate::hl7v2::refused::Refused;

/// The patient and the visit that a message begins with.
pub(super) struct Subject {
    /// The patient, as far as he is told.
    pub(super) patient: Draft,
    /// The visit.
    pub(super) visit: Option<pv1::Visit>,
}

/// Reads PID, PD1, PV1 and PV2. `status`: what the event says of the visit.
///
/// # Errors
/// When there is no patient, or more than one, or one without an identifier.
pub(super) fn begun(
    work: &mut Work<'_>,
    status: Option<&str>,
    teller: pv1::Teller,
) -> Result<Subject, Refused> {
    let source = work.source;
    if source.named("PID").count() > 1 {
        return Err(Refused::segment("PID", "more than one patient in a message"));
    }
    let told = source.first("PID").ok_or_else(|| Refused::segment("PID", "there is no patient"))?;
    let mut patient = pid::patient(work, told)?;
    if let Some(more) = source.first("PD1") {
        work.fill(&mut patient, more, pd1::ROWS);
    }
    let account = pid::account(work, told);
    let visit = pv1::visit(work, status, account, teller);
    Ok(Subject { patient, visit })
}

/// Puts what is told of the patient into [`Mapped::patient`], with what EVN says of the event.
pub(super) fn ended(work: &mut Work<'_>, mapped: &mut Mapped, patient: Draft, visit: Option<&pv1::Visit>) {
    let mut targets: Vec<serde_json::Value> = work.patient.iter().cloned().collect();
    targets.extend(visit.and_then(pv1::Visit::reference).cloned());
    evn::provenance(work, &mapped.event, &targets);
    mapped.patient = Some(patient.finish());
}

/// Reads of whom a clinical message is: the visit.
///
/// # Errors
/// As [`begun`].
pub(super) fn subject(work: &mut Work<'_>, mapped: &mut Mapped) -> Result<Option<pv1::Visit>, Refused> {
    subject_by(work, mapped, None, pv1::Teller::Other)
}

/// As [`subject`], where `teller` tells of the visit, and the event its `status`.
pub(super) fn subject_by(
    work: &mut Work<'_>,
    mapped: &mut Mapped,
    status: Option<&str>,
    teller: pv1::Teller,
) -> Result<Option<pv1::Visit>, Refused> {
    let Subject { mut patient, visit } = begun(work, status, teller)?;
    for related in work.source.named("NK1") {
        nk1::related(work, &mut patient, related);
    }
    ended(work, mapped, patient, visit.as_ref());
    Ok(visit)
}

/// Takes the segments apart into groups, each of which begins with a segment of a name.
pub(super) fn groups<'s, 'm>(segments: &'s [Segment<'m>], name: &str) -> Vec<&'s [Segment<'m>]> {
    let begins: Vec<usize> = (0..segments.len()).filter(|at| segments[*at].name == name).collect();
    let ends = begins.iter().skip(1).copied().chain(std::iter::once(segments.len()));
    begins.iter().zip(ends).map(|(begin, end)| &segments[*begin..end]).collect()
}
