//! What can be added and read, and never changed: AuditEvents. A record that
//! somebody can rewrite or take away proves nothing.
//!
//! Spec: ITI TF-2 3.20, IHE BALP 1:52.5 (an audit repository does not let records be changed)

use fhir_model::interaction::{Interaction, Target};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, ty};

const TYPES: &[TypeId] = &[ty::AUDIT_EVENT];

/// Tells whether resources of a type can only be added.
pub(crate) fn is_append_only(of: TypeId) -> bool {
    TYPES.contains(&of)
}

/// Refuses what would change such a resource. An update that asks that there is
/// none yet (`If-None-Match: *`) only adds: so AuditEvents of another system
/// can be taken over with their ids.
///
/// # Errors
/// 405.
pub(super) fn check(interaction: &Interaction) -> Result<(), Issue> {
    let (of, what) = match interaction {
        Interaction::Update(request) => {
            let adds = request.if_none_exist && matches!(request.target, Target::Id(_));
            (request.resource_type, Some("updated").filter(|_| !adds))
        }
        Interaction::Patch(request) => (request.resource_type, Some("patched")),
        Interaction::Delete(request) => (request.resource_type, Some("deleted")),
        _ => return Ok(()),
    };
    match what.filter(|_| is_append_only(of)) {
        Some(what) => Err(Issue::error(IssueType::NotSupported)
            .because(Reason::MethodNotAllowed)
            .text(format!("{of} resources cannot be {what}: they are created and read"))),
        None => Ok(()),
    }
}
