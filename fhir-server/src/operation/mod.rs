//! Operations: one file each, and one table.
//!
//! Spec: <https://hl7.org/fhir/R4/operations.html>

mod everything;
mod meta;

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType};
use fhir_model::schema::{TypeId, ty};

use crate::interaction::unit::View;

/// Where an operation may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// On any instance.
    Instance,
    /// On instances of one type.
    InstanceOf(TypeId),
}

/// An operation of this server.
pub(crate) struct Operation {
    /// Its name without `$`.
    pub(crate) name: &'static str,
    /// The canonical URL of its definition.
    pub(crate) definition: &'static str,
    /// Where it may be called.
    pub(crate) level: Level,
    run: fn(&mut dyn View, &OperationCall) -> Result<Performed, Issue>,
}

/// The operations of this server.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "meta",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        level: Level::Instance,
        run: meta::meta,
    },
    Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        level: Level::InstanceOf(ty::PATIENT),
        run: everything::everything,
    },
];

impl Operation {
    /// Tells whether the CapabilityStatement lists it on this type.
    pub(crate) fn is_listed_on(&self, of: Option<TypeId>) -> bool {
        match self.level {
            Level::Instance => of.is_some(),
            Level::InstanceOf(ty) => of == Some(ty),
        }
    }

    fn may_be_called_on(&self, scope: &Scope) -> bool {
        match (self.level, scope) {
            (Level::Instance, Scope::Instance(_)) => true,
            (Level::InstanceOf(ty), Scope::Instance(key)) => key.resource_type == ty,
            _ => false,
        }
    }
}

/// Calls an operation.
///
/// # Errors
/// When there is no such operation there, and what the operation itself gives.
pub(crate) fn call(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    let operation = OPERATIONS.iter().find(|o| o.name == call.name && o.may_be_called_on(&call.scope));
    let operation = operation.ok_or_else(|| {
        let name: String = call.name.chars().take(64).collect();
        Issue::error(IssueType::NotSupported).text(format!("there is no operation `${name}` here"))
    })?;
    (operation.run)(view, call)
}
