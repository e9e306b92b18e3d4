//! The table of functions: names, numbers of arguments, where each is done.

use crate::fhirpath::error::EvaluateError;
use crate::fhirpath::evaluate::{Call, Evaluator};
use crate::fhirpath::functions::{
    boundary, combining, conversion, existence, fhir, filtering, math, string, subsetting, tree, utility,
};
use crate::fhirpath::value::Collection;

macro_rules! functions {
    ($($variant:ident = $name:literal, $least:literal..=$most:literal, $module:ident;)*) => {
        /// A function of FHIRPath or of its additions for FHIR.
        ///
        /// Spec: <http://hl7.org/fhirpath/N1/#functions>
        #[allow(missing_docs)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Function { $($variant,)* }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Function] = &[$(Function::$variant,)*];

            /// Finds a function by its name.
            pub fn named(name: &str) -> Option<Function> {
                match name { $($name => Some(Function::$variant),)* _ => None }
            }

            /// Returns the name.
            pub fn name(self) -> &'static str {
                match self { $(Function::$variant => $name,)* }
            }

            /// Returns how few and how many arguments it takes.
            pub fn arity(self) -> (usize, usize) {
                match self { $(Function::$variant => ($least, $most),)* }
            }

            /// Calls the function.
            pub(in crate::fhirpath) fn call<'r>(
                self,
                evaluator: &Evaluator<'_, 'r, '_>,
                call: Call<'_, 'r>,
            ) -> Result<Collection<'r>, EvaluateError> {
                match self { $(Function::$variant => $module::call(evaluator, call),)* }
            }
        }
    };
}

functions! {
    Empty = "empty", 0..=0, existence;
    Exists = "exists", 0..=1, existence;
    All = "all", 1..=1, existence;
    AllTrue = "allTrue", 0..=0, existence;
    AnyTrue = "anyTrue", 0..=0, existence;
    AllFalse = "allFalse", 0..=0, existence;
    AnyFalse = "anyFalse", 0..=0, existence;
    SubsetOf = "subsetOf", 1..=1, existence;
    SupersetOf = "supersetOf", 1..=1, existence;
    Count = "count", 0..=0, existence;
    Distinct = "distinct", 0..=0, existence;
    IsDistinct = "isDistinct", 0..=0, existence;
    Not = "not", 0..=0, existence;
    Where = "where", 1..=1, filtering;
    Select = "select", 1..=1, filtering;
    Repeat = "repeat", 1..=1, filtering;
    Single = "single", 0..=0, subsetting;
    First = "first", 0..=0, subsetting;
    Last = "last", 0..=0, subsetting;
    Tail = "tail", 0..=0, subsetting;
    Skip = "skip", 1..=1, subsetting;
    Take = "take", 1..=1, subsetting;
    Intersect = "intersect", 1..=1, subsetting;
    Exclude = "exclude", 1..=1, subsetting;
    Union = "union", 1..=1, combining;
    Combine = "combine", 1..=1, combining;
    Iif = "iif", 2..=3, conversion;
    ToBoolean = "toBoolean", 0..=0, conversion;
    ConvertsToBoolean = "convertsToBoolean", 0..=0, conversion;
    ToInteger = "toInteger", 0..=0, conversion;
    ConvertsToInteger = "convertsToInteger", 0..=0, conversion;
    ToDecimal = "toDecimal", 0..=0, conversion;
    ConvertsToDecimal = "convertsToDecimal", 0..=0, conversion;
    ToString = "toString", 0..=0, conversion;
    ConvertsToString = "convertsToString", 0..=0, conversion;
    ToDate = "toDate", 0..=0, conversion;
    ConvertsToDate = "convertsToDate", 0..=0, conversion;
    ToDateTime = "toDateTime", 0..=0, conversion;
    ConvertsToDateTime = "convertsToDateTime", 0..=0, conversion;
    ToTime = "toTime", 0..=0, conversion;
    ConvertsToTime = "convertsToTime", 0..=0, conversion;
    ToQuantity = "toQuantity", 0..=1, conversion;
    ConvertsToQuantity = "convertsToQuantity", 0..=1, conversion;
    IndexOf = "indexOf", 1..=1, string;
    LastIndexOf = "lastIndexOf", 1..=1, string;
    Substring = "substring", 1..=2, string;
    StartsWith = "startsWith", 1..=1, string;
    EndsWith = "endsWith", 1..=1, string;
    Contains = "contains", 1..=1, string;
    Upper = "upper", 0..=0, string;
    Lower = "lower", 0..=0, string;
    Replace = "replace", 2..=2, string;
    Matches = "matches", 1..=1, string;
    MatchesFull = "matchesFull", 1..=1, string;
    ReplaceMatches = "replaceMatches", 2..=2, string;
    Length = "length", 0..=0, string;
    ToChars = "toChars", 0..=0, string;
    Encode = "encode", 1..=1, string;
    Decode = "decode", 1..=1, string;
    Escape = "escape", 1..=1, string;
    Unescape = "unescape", 1..=1, string;
    Trim = "trim", 0..=0, string;
    Split = "split", 1..=1, string;
    Join = "join", 0..=1, string;
    Abs = "abs", 0..=0, math;
    Ceiling = "ceiling", 0..=0, math;
    Exp = "exp", 0..=0, math;
    Floor = "floor", 0..=0, math;
    Ln = "ln", 0..=0, math;
    Log = "log", 1..=1, math;
    Power = "power", 1..=1, math;
    Round = "round", 0..=1, math;
    Sqrt = "sqrt", 0..=0, math;
    Truncate = "truncate", 0..=0, math;
    LowBoundary = "lowBoundary", 0..=1, boundary;
    HighBoundary = "highBoundary", 0..=1, boundary;
    Precision = "precision", 0..=0, boundary;
    Comparable = "comparable", 1..=1, boundary;
    Children = "children", 0..=0, tree;
    Descendants = "descendants", 0..=0, tree;
    Trace = "trace", 1..=2, utility;
    Now = "now", 0..=0, utility;
    TimeOfDay = "timeOfDay", 0..=0, utility;
    Today = "today", 0..=0, utility;
    Aggregate = "aggregate", 1..=2, utility;
    Sort = "sort", 0..=16, utility;
    Type = "type", 0..=0, utility;
    Extension = "extension", 1..=1, fhir;
    HasExtension = "hasExtension", 1..=1, fhir;
    HasValue = "hasValue", 0..=0, fhir;
    GetValue = "getValue", 0..=0, fhir;
    Resolve = "resolve", 0..=0, fhir;
    HtmlChecks = "htmlChecks", 0..=0, fhir;
    MemberOf = "memberOf", 1..=1, fhir;
    Subsumes = "subsumes", 1..=1, fhir;
    SubsumedBy = "subsumedBy", 1..=1, fhir;
    ConformsTo = "conformsTo", 1..=1, fhir;
}
