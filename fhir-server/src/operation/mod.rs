//! Operations: one file each, and one table.
//!
//! Spec: <https://hl7.org/fhir/R4/operations.html>

mod closure;
mod everything;
mod fhirpath;
mod link;
mod r#match;
mod merge;
mod meta;
mod named_patient;
mod parameters;
mod person;
mod terminology;
mod transform;
mod unmerge;
mod validate;

use fhir_model::interaction::{OperationCall, Performed, Scope};
use fhir_model::outcome::{Issue, IssueType, Reason};
use fhir_model::schema::{TypeId, ty};

use crate::interaction::unit::{Unit, View};

/// Where an operation may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// On the system.
    System,
    /// On any type.
    Type,
    /// On one type.
    TypeOf(TypeId),
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
    pub(crate) levels: &'static [Level],
    /// Whether it tells what is wrong with a body that is no resource.
    pub(crate) tells_faults: bool,
    run: Run,
}

/// What an operation works on.
enum Run {
    /// On what is stored, which it does not change, in well below a millisecond.
    Quick(fn(&mut dyn View, &OperationCall) -> Result<Performed, Issue>),
    /// On what is stored, which it does not change.
    Reading(fn(&mut dyn View, &OperationCall) -> Result<Performed, Issue>),
    /// Within the transaction of the writer.
    Writing(fn(&mut Unit<'_, '_>, &OperationCall) -> Result<Performed, Issue>),
    /// The same, with what this server knows.
    Knowing(fn(&mut Unit<'_, '_>, &OperationCall) -> Result<Performed, Issue>),
}

/// The operations of this server.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "meta",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-meta",
        levels: &[Level::Instance],
        tells_faults: false,
        run: Run::Reading(meta::meta),
    },
    Operation {
        name: "everything",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        levels: &[Level::InstanceOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Reading(everything::everything),
    },
    Operation {
        name: "match",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-match",
        levels: &[Level::TypeOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Quick(r#match::find),
    },
    Operation {
        name: "validate",
        definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
        levels: &[Level::System, Level::Type, Level::Instance],
        tells_faults: true,
        run: Run::Reading(validate::validate),
    },
    Operation {
        name: "expand",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-expand",
        levels: &[Level::TypeOf(ty::VALUE_SET), Level::InstanceOf(ty::VALUE_SET)],
        tells_faults: false,
        run: Run::Reading(terminology::expand),
    },
    Operation {
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/ValueSet-validate-code",
        levels: &[Level::TypeOf(ty::VALUE_SET), Level::InstanceOf(ty::VALUE_SET)],
        tells_faults: false,
        run: Run::Reading(terminology::validate_code),
    },
    Operation {
        name: "validate-code",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-validate-code",
        levels: &[Level::TypeOf(ty::CODE_SYSTEM), Level::InstanceOf(ty::CODE_SYSTEM)],
        tells_faults: false,
        run: Run::Reading(terminology::validate_code),
    },
    Operation {
        name: "lookup",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-lookup",
        levels: &[Level::TypeOf(ty::CODE_SYSTEM)],
        tells_faults: false,
        run: Run::Reading(terminology::lookup),
    },
    Operation {
        name: "subsumes",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-subsumes",
        levels: &[Level::TypeOf(ty::CODE_SYSTEM), Level::InstanceOf(ty::CODE_SYSTEM)],
        tells_faults: false,
        run: Run::Reading(terminology::subsumes),
    },
    Operation {
        name: "find-matches",
        definition: "http://hl7.org/fhir/OperationDefinition/CodeSystem-find-matches",
        levels: &[Level::TypeOf(ty::CODE_SYSTEM), Level::InstanceOf(ty::CODE_SYSTEM)],
        tells_faults: false,
        run: Run::Reading(terminology::find_matches),
    },
    Operation {
        name: "translate",
        definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-translate",
        levels: &[Level::TypeOf(ty::CONCEPT_MAP), Level::InstanceOf(ty::CONCEPT_MAP)],
        tells_faults: false,
        run: Run::Reading(terminology::translate),
    },
    Operation {
        name: "closure",
        definition: "http://hl7.org/fhir/OperationDefinition/ConceptMap-closure",
        levels: &[Level::System],
        tells_faults: false,
        run: Run::Knowing(closure::closure),
    },
    Operation {
        name: "transform",
        definition: "http://hl7.org/fhir/OperationDefinition/StructureMap-transform",
        levels: &[Level::TypeOf(ty::STRUCTURE_MAP), Level::InstanceOf(ty::STRUCTURE_MAP)],
        tells_faults: false,
        run: Run::Reading(transform::transform),
    },
    Operation {
        name: "merge",
        definition: "http://hl7.org/fhir/OperationDefinition/Patient-merge",
        levels: &[Level::TypeOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Writing(merge::merge),
    },
    Operation {
        name: "unmerge",
        definition: "urn:lanterna:OperationDefinition:Patient-unmerge",
        levels: &[Level::TypeOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Writing(unmerge::unmerge),
    },
    Operation {
        name: "link",
        definition: "urn:lanterna:OperationDefinition:Patient-link",
        levels: &[Level::TypeOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Writing(link::link),
    },
    Operation {
        name: "person",
        definition: "urn:lanterna:OperationDefinition:Patient-person",
        levels: &[Level::InstanceOf(ty::PATIENT)],
        tells_faults: false,
        run: Run::Reading(person::person),
    },
    Operation {
        name: "fhirpath",
        definition: "http://fhirpath-lab.org/OperationDefinition/fhirpath",
        levels: &[Level::System],
        tells_faults: false,
        run: Run::Reading(fhirpath::fhirpath),
    },
];

impl Operation {
    /// Tells whether the CapabilityStatement lists it on this type.
    pub(crate) fn is_listed_on(&self, of: Option<TypeId>) -> bool {
        self.levels.iter().any(|level| match level {
            Level::System => of.is_none(),
            Level::Type | Level::Instance => of.is_some(),
            Level::TypeOf(ty) | Level::InstanceOf(ty) => of == Some(*ty),
        })
    }

    fn may_be_called_on(&self, scope: &Scope) -> bool {
        self.levels.iter().any(|level| match (level, scope) {
            (Level::System, Scope::System)
            | (Level::Type, Scope::Type(_))
            | (Level::Instance, Scope::Instance(_)) => true,
            (Level::TypeOf(ty), Scope::Type(of)) => of == ty,
            (Level::InstanceOf(ty), Scope::Instance(key)) => key.resource_type == *ty,
            _ => false,
        })
    }
}

/// Tells whether an operation tells what is wrong with a body that is no resource.
pub(crate) fn tells_faults(name: &str) -> bool {
    OPERATIONS.iter().any(|o| o.name == name && o.tells_faults)
}

/// Tells whether an operation changes what is stored, and has to be performed by the writer.
pub(crate) fn writes(call: &OperationCall) -> bool {
    matches!(find(call), Ok(Operation { run: Run::Writing(_) | Run::Knowing(_), .. })) && !call.safe
}

/// Tells whether an operation that writes asks what this server knows: that is gathered
/// beforehand, for the writer does not wait for it.
pub(crate) fn asks_knowledge(call: &OperationCall) -> bool {
    matches!(find(call), Ok(Operation { run: Run::Knowing(_), .. }))
}

/// Tells whether an operation is so quick that the thread that serves may wait for it.
pub(crate) fn is_quick(call: &OperationCall) -> bool {
    matches!(find(call), Ok(Operation { run: Run::Quick(_), .. }))
}

/// Calls an operation that changes nothing.
///
/// # Errors
/// When there is no such operation there, when it [writes], and what the
/// operation itself gives.
pub(crate) fn call(view: &mut dyn View, call: &OperationCall) -> Result<Performed, Issue> {
    match find(call)?.run {
        Run::Quick(run) | Run::Reading(run) => run(view, call),
        Run::Writing(_) | Run::Knowing(_) => Err(Issue::error(IssueType::NotSupported)
            .because(Reason::MethodNotAllowed)
            .text(format!("`${}` changes what is stored: call it by POST", call.name))),
    }
}

/// Calls an operation within the transaction of the writer.
///
/// # Errors
/// As [`call`]; the transaction is then to be rolled back.
pub(crate) fn call_writing(unit: &mut Unit<'_, '_>, call: &OperationCall) -> Result<Performed, Issue> {
    match find(call)?.run {
        Run::Quick(run) | Run::Reading(run) => run(unit, call),
        Run::Writing(run) | Run::Knowing(run) => run(unit, call),
    }
}

fn find(call: &OperationCall) -> Result<&'static Operation, Issue> {
    let operation = OPERATIONS.iter().find(|o| o.name == call.name && o.may_be_called_on(&call.scope));
    operation.ok_or_else(|| {
        let name: String = call.name.chars().take(64).collect();
        Issue::error(IssueType::NotSupported).text(format!("there is no operation `${name}` here"))
    })
}
