//! Types as expressions name them: `System.String`, `FHIR.Patient`, `Quantity`.
//!
//! Spec: <http://hl7.org/fhirpath/N1/#types>

use std::fmt;

use crate::fhirpath::external::External;
use crate::schema::{TypeId, TypeKind};

/// The types that FHIRPath itself has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemType {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// Text.
    String,
    /// A date, perhaps partial.
    Date,
    /// A date with a time, perhaps partial.
    DateTime,
    /// A time of day.
    Time,
    /// A number with a unit.
    Quantity,
}

impl SystemType {
    /// Every system type.
    pub const ALL: [SystemType; 8] = [
        SystemType::Boolean,
        SystemType::Integer,
        SystemType::Decimal,
        SystemType::String,
        SystemType::Date,
        SystemType::DateTime,
        SystemType::Time,
        SystemType::Quantity,
    ];

    /// Finds a system type by its name.
    pub fn named(name: &str) -> Option<SystemType> {
        SystemType::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Returns the name without namespace.
    pub fn name(self) -> &'static str {
        match self {
            SystemType::Boolean => "Boolean",
            SystemType::Integer => "Integer",
            SystemType::Decimal => "Decimal",
            SystemType::String => "String",
            SystemType::Date => "Date",
            SystemType::DateTime => "DateTime",
            SystemType::Time => "Time",
            SystemType::Quantity => "Quantity",
        }
    }
}

/// Where a type is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// FHIRPath's own types.
    System,
    /// The types of FHIR R4.
    Fhir,
    /// The types of a tree that is no resource.
    External,
}

impl Namespace {
    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Namespace::System => "System",
            Namespace::Fhir => "FHIR",
            Namespace::External => "External",
        }
    }
}

/// A type named in an expression, resolved when it was compiled.
///
/// Without a namespace the name may mean a type of either: only `Quantity`
/// is in both, and then means both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeSpecifier {
    namespace: Option<Namespace>,
    name: Box<str>,
    fhir: Option<TypeId>,
    system: Option<SystemType>,
}

impl TypeSpecifier {
    /// Resolves a name; `None` when there is no such type. A name in the
    /// namespace `System` that is not one of its types names a type without
    /// values, as the official suite has it.
    pub fn resolve(namespace: Option<&str>, name: &str) -> Option<TypeSpecifier> {
        let namespace = match namespace {
            None => None,
            Some("System") => Some(Namespace::System),
            Some("FHIR") => Some(Namespace::Fhir),
            Some("External") => Some(Namespace::External),
            Some(_) => return None,
        };
        let fhir = match namespace {
            Some(Namespace::System | Namespace::External) => None,
            // A profile of R4's own that stands in type lists; it has no type of its own.
            _ if name == "SimpleQuantity" || name == "MoneyQuantity" => TypeId::named("Quantity"),
            _ => TypeId::named(name),
        };
        let system = match namespace {
            Some(Namespace::Fhir | Namespace::External) => None,
            _ => SystemType::named(name),
        };
        let known = fhir.is_some() || system.is_some() || namespace == Some(Namespace::System);
        (known || namespace == Some(Namespace::External)).then(|| TypeSpecifier {
            namespace,
            name: name.into(),
            fhir,
            system,
        })
    }

    /// Returns the FHIR type meant, if any.
    pub fn fhir(&self) -> Option<TypeId> {
        self.fhir
    }

    /// Returns the system type meant, if any.
    pub fn system(&self) -> Option<SystemType> {
        self.system
    }

    /// Tells whether a value of the FHIR type is one of this type, for `is`.
    pub fn includes(&self, ty: TypeId) -> bool {
        self.fhir.is_some_and(|wanted| ty.is_a(wanted))
    }

    /// Makes the specifier of a type that only other trees have.
    pub(super) fn external(name: &str) -> TypeSpecifier {
        TypeSpecifier { namespace: Some(Namespace::External), name: name.into(), fhir: None, system: None }
    }

    /// Tells whether the node of another tree is of this type.
    pub(super) fn names(&self, node: External<'_>) -> bool {
        matches!(self.namespace, None | Some(Namespace::External)) && node.is_a(&self.name)
    }

    /// Tells whether a value of the FHIR type is taken by `as` and `ofType`:
    /// a primitive only by its own type (`gender.as(string)` is empty), any
    /// other also by what its type specializes.
    pub fn selects(&self, ty: TypeId) -> bool {
        self.fhir.is_some_and(|wanted| {
            ty == wanted || (ty.definition().kind != TypeKind::Primitive && ty.is_a(wanted))
        })
    }
}

impl fmt::Display for TypeSpecifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = self.namespace {
            write!(f, "{}.", namespace.name())?;
        }
        let plain = self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if plain { f.write_str(&self.name) } else { write!(f, "`{}`", self.name) }
    }
}

/// What `type()` tells of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInfo {
    /// Where the type is defined.
    pub namespace: Namespace,
    /// Its name there.
    pub name: &'static str,
}

impl TypeInfo {
    /// Describes a FHIR type; a backbone element by the type it specializes.
    pub fn of_fhir(ty: TypeId) -> TypeInfo {
        let named = match ty.definition().kind {
            TypeKind::Backbone => ty.definition().base.unwrap_or(ty),
            TypeKind::Primitive | TypeKind::Complex | TypeKind::Resource => ty,
        };
        TypeInfo { namespace: Namespace::Fhir, name: named.name() }
    }

    /// Describes a system type.
    pub fn of_system(ty: SystemType) -> TypeInfo {
        TypeInfo { namespace: Namespace::System, name: ty.name() }
    }
}
