//! A map as a value: what the language and StructureMap resources both mean.
//!
//! Spec: <https://hl7.org/fhir/R4/structuremap.html>

/// A map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map {
    /// Its canonical URL.
    pub url: String,
    /// Its name.
    pub name: String,
    /// What `///` lines say of it, by element: `title`, `status` ...
    pub metadata: Vec<(String, String)>,
    /// The structures it works on.
    pub uses: Vec<Uses>,
    /// The canonical URLs of the maps it draws on; `*` stands for any text.
    pub imports: Vec<String>,
    /// The concept maps written in it.
    pub code_maps: Vec<CodeMap>,
    /// Its groups; the first is where a transform begins.
    pub groups: Vec<Group>,
}

/// A structure that a map works on.
#[derive(Debug, Clone, PartialEq)]
pub struct Uses {
    /// The canonical URL of its definition.
    pub url: String,
    /// What the map calls it.
    pub alias: Option<String>,
    /// What it is there for.
    pub mode: UsesMode,
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Finds one by its code.
            pub fn of(code: &str) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            /// Returns the code.
            pub fn code(self) -> &'static str {
                match self { $($name::$variant => $code,)* }
            }
        }
    };
}

codes! {
    /// What a structure is there for.
    UsesMode {
        /// It is transformed.
        Source = "source",
        /// It can be asked for.
        Queried = "queried",
        /// It is made.
        Target = "target",
        /// It is made besides.
        Produced = "produced",
    }
}

codes! {
    /// Whether a group reads or writes an input.
    InputMode {
        /// It reads it.
        Source = "source",
        /// It writes it.
        Target = "target",
    }
}

codes! {
    /// For what a group is the default.
    TypeMode {
        /// Nothing: it is called by name.
        None = "none",
        /// For its pair of types: `<<types>>`.
        Types = "types",
        /// Also for its source type alone: `<<type+>>`.
        TypeAndTypes = "type-and-types",
    }
}

codes! {
    /// Which of several source items are taken.
    SourceListMode {
        /// The first.
        First = "first",
        /// All but the first.
        NotFirst = "not_first",
        /// The last.
        Last = "last",
        /// All but the last.
        NotLast = "not_last",
        /// The only one; several are an error.
        OnlyOne = "only_one",
    }
}

codes! {
    /// Where among several target items a value goes.
    TargetListMode {
        /// To the front.
        First = "first",
        /// To one item for all rules that name it.
        Share = "share",
        /// To the end.
        Last = "last",
        /// With the others.
        Collate = "collate",
        /// To the only item.
        Single = "single",
    }
}

codes! {
    /// The transform functions.
    Function {
        /// Makes a value of a type.
        Create = "create",
        /// Takes the value as it is.
        Copy = "copy",
        /// Cuts a text.
        Truncate = "truncate",
        /// Writes a text by the rules of another format.
        Escape = "escape",
        /// Makes a value of another type of it.
        Cast = "cast",
        /// Joins texts.
        Append = "append",
        /// Translates by a concept map.
        Translate = "translate",
        /// Makes a reference to a resource.
        Reference = "reference",
        /// Takes a date apart, or joins it.
        DateOp = "dateOp",
        /// Makes a UUID.
        Uuid = "uuid",
        /// Makes a `urn:uuid:` of a resource.
        Pointer = "pointer",
        /// Evaluates FHIRPath.
        Evaluate = "evaluate",
        /// Makes a CodeableConcept.
        Cc = "cc",
        /// Makes a Coding.
        C = "c",
        /// Makes a Quantity.
        Qty = "qty",
        /// Makes an Identifier.
        Id = "id",
        /// Makes a ContactPoint.
        Cp = "cp",
    }
}

/// A concept map written in a map.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CodeMap {
    /// What the map calls it, without `#`.
    pub id: String,
    /// Its lines.
    pub elements: Vec<CodeMapElement>,
    /// What becomes of codes that no line has: the target system that keeps
    /// them (`unmapped for s = provided`).
    pub unmapped: Vec<String>,
}

/// A line of a concept map.
#[derive(Debug, Clone, PartialEq)]
pub struct CodeMapElement {
    /// The system of the source.
    pub source_system: String,
    /// The code of the source.
    pub source: String,
    /// How they relate, as R4 codes it: `equivalent`, `equal`, `wider` ...
    pub equivalence: &'static str,
    /// The system of the target.
    pub target_system: String,
    /// The code of the target; `None` where there is none.
    pub target: Option<String>,
}

/// A group of rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The group whose rules come first.
    pub extends: Option<String>,
    /// For what it is the default.
    pub type_mode: TypeMode,
    /// What it works on.
    pub inputs: Vec<Input>,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Its line in the text, from 1; 0 without text.
    pub line: u32,
}

/// An input of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The variable.
    pub name: String,
    /// Its type: an alias of the map, or a name.
    pub type_name: Option<String>,
    /// Whether the group reads or writes it.
    pub mode: InputMode,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rule {
    /// Its name, given or made.
    pub name: String,
    /// What it is applied to.
    pub sources: Vec<Source>,
    /// What it makes.
    pub targets: Vec<Target>,
    /// The rules applied within it.
    pub rules: Vec<Rule>,
    /// The groups called within it.
    pub dependents: Vec<Dependent>,
    /// Its line in the text, from 1; 0 without text.
    pub line: u32,
}

/// A part of the source.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Source {
    /// The variable it is taken from.
    pub context: String,
    /// Its element; the variable itself without.
    pub element: Option<String>,
    /// The type it must have to be taken.
    pub type_name: Option<String>,
    /// How many there must be.
    pub min: Option<u32>,
    /// How many there may be.
    pub max: Option<u32>,
    /// What stands for it when there is none.
    pub default: Option<Argument>,
    /// Which of several are taken.
    pub list_mode: Option<SourceListMode>,
    /// The variable it is given to.
    pub variable: Option<String>,
    /// FHIRPath that must be true for it to be taken.
    pub condition: Option<String>,
    /// FHIRPath that must be true for it to be right.
    pub check: Option<String>,
    /// FHIRPath whose value is logged.
    pub log: Option<String>,
}

/// A part of the target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Target {
    /// The variable it is put into.
    pub context: Option<String>,
    /// Its element.
    pub element: Option<String>,
    /// What makes its value; without, the element itself is made.
    pub transform: Option<Transform>,
    /// The variable it is given to.
    pub variable: Option<String>,
    /// Where among several it goes.
    pub list_modes: Vec<TargetListMode>,
    /// The name of the item that rules share.
    pub list_rule: Option<String>,
}

/// What makes a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Transform {
    /// The function.
    pub function: Function,
    /// What it works on.
    pub arguments: Vec<Argument>,
}

/// An argument of a function or group.
#[derive(Debug, Clone, PartialEq)]
pub enum Argument {
    /// The value of a variable.
    Variable(String),
    /// Text.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(String),
    /// A decimal, as written.
    Decimal(String),
    /// FHIRPath.
    Expression(String),
}

/// A call of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Dependent {
    /// The group.
    pub group: String,
    /// What it works on.
    pub arguments: Vec<Argument>,
}

impl Rule {
    /// Tells whether it is `src.a -> tgt.b` and no more: types then say what is done.
    pub(super) fn is_simple(&self) -> bool {
        let ([source], [target]) = (self.sources.as_slice(), self.targets.as_slice()) else { return false };
        source.element.is_some()
            && source.variable.is_none()
            && target.context.is_some()
            && target.element.is_some()
            && target.variable.is_none()
            && target.transform.is_none()
            && self.rules.is_empty()
            && self.dependents.is_empty()
    }
}
