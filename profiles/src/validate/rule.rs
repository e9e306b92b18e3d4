//! The rules that validation knows, with their texts in English and Italian.
//!
//! A rule carries what its text tells. The two texts stand side by side, so
//! that neither is forgotten.

use fhir_model::outcome::IssueType;

/// A language of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Italian.
    Italian,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident { $($field:ident: $ty:ty),* } = $key:literal, $issue:ident, $english:literal, $italian:literal;)*) => {
        /// A rule, and what breaks it.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the fields are what the texts name")]
        pub enum Rule { $($(#[$doc])* $variant { $($field: $ty),* },)* }

        impl Rule {
            /// Every key, in the order of this file.
            pub const KEYS: &'static [&'static str] = &[$($key,)*];

            /// Returns the key of the rule, which stays the same whatever the language.
            pub fn key(&self) -> &'static str {
                match self { $(Rule::$variant { .. } => $key,)* }
            }

            /// Returns the kind of issue.
            pub fn issue_type(&self) -> IssueType {
                match self { $(Rule::$variant { .. } => IssueType::$issue,)* }
            }

            /// Returns what is wrong, for a reader.
            #[allow(unused_variables, reason = "not every text names every field")]
            pub fn text(&self, language: Language) -> String {
                match (self, language) {
                    $((Rule::$variant { $($field),* }, Language::English) => format!($english),
                    (Rule::$variant { $($field),* }, Language::Italian) => format!($italian),)*
                }
            }
        }
    };
}

rules! {
    /// A fault of the document itself, told by the reader.
    Document { text: String } = "document", Structure,
        "{text}", "{text}";
    /// Fewer repetitions than required.
    Min { element: String, min: u32, found: usize } = "min", Required,
        "{element}: at least {min} required, {found} found", "{element}: almeno {min} richiesti, {found} trovati";
    /// More repetitions than allowed.
    Max { element: String, max: u32, found: usize } = "max", Structure,
        "{element}: at most {max} allowed, {found} found", "{element}: al massimo {max} ammessi, {found} trovati";
    /// A type that is not allowed.
    Type { found: String, allowed: String } = "type", Structure,
        "the type {found} is not allowed here; allowed: {allowed}", "il tipo {found} non è ammesso qui; ammessi: {allowed}";
    /// Another value than the fixed one.
    Fixed { found: String, fixed: String } = "fixed", Value,
        "the value is {found}, but must be {fixed}", "il valore è {found}, ma deve essere {fixed}";
    /// A value that does not have the pattern.
    Pattern { pattern: String } = "pattern", Value,
        "the value must contain the pattern {pattern}", "il valore deve contenere il modello {pattern}";
    /// Longer than allowed.
    MaxLength { length: usize, max: usize } = "max-length", TooLong,
        "the value has {length} characters, {max} are allowed", "il valore ha {length} caratteri, ne sono ammessi {max}";
    /// Shorter than allowed.
    MinLength { length: usize, min: usize } = "min-length", Value,
        "the value has {length} characters, at least {min} are required", "il valore ha {length} caratteri, ne sono richiesti almeno {min}";
    /// Less than allowed.
    MinValue { found: String, min: String } = "min-value", Value,
        "the value {found} is less than the least allowed, {min}", "il valore {found} è minore del minimo ammesso, {min}";
    /// More than allowed.
    MaxValue { found: String, max: String } = "max-value", Value,
        "the value {found} is more than the greatest allowed, {max}", "il valore {found} è maggiore del massimo ammesso, {max}";
    /// An invariant that is not met.
    Invariant { key: String, human: String } = "invariant", Invariant,
        "constraint {key} is not met: {human}", "il vincolo {key} non è rispettato: {human}";
    /// An invariant that cannot be evaluated.
    InvariantError { key: String, error: String } = "invariant-error", Processing,
        "constraint {key} cannot be evaluated: {error}", "il vincolo {key} non può essere valutato: {error}";
    /// An element with neither value nor children.
    Empty {} = "empty", Invariant,
        "an element must have a value or children (ele-1)", "un elemento deve avere un valore o dei figli (ele-1)";
    /// A primitive with only an id.
    NoValue {} = "no-value", Value,
        "a primitive must have a value or extensions", "un primitivo deve avere un valore o delle estensioni";
    /// Neither a value nor one of the extensions that may stand for it.
    NoAlternative { extensions: String } = "no-alternative", Value,
        "there must be a value, or one of the extensions {extensions}", "deve esserci un valore o una delle estensioni {extensions}";
    /// A code outside of a required value set.
    Binding { code: String, value_set: String, reason: String } = "binding", CodeInvalid,
        "{code} is not in the value set {value_set}: {reason}", "{code} non appartiene al value set {value_set}: {reason}";
    /// No code where one is required.
    BindingNoCode { value_set: String } = "binding-no-code", CodeInvalid,
        "no code is given, and one of the value set {value_set} is required", "non è indicato alcun codice e ne è richiesto uno del value set {value_set}";
    /// A value set that cannot be decided on.
    BindingUnknown { code: String, value_set: String, reason: String } = "binding-unknown", NotFound,
        "whether {code} is in the value set {value_set} cannot be told: {reason}", "non si può stabilire se {code} appartenga al value set {value_set}: {reason}";
    /// A code that its system does not have.
    UnknownCode { code: String, system: String } = "unknown-code", CodeInvalid,
        "the code '{code}' is not in the code system {system}", "il codice '{code}' non esiste nel sistema di codifica {system}";
    /// A display that is not one of the code's.
    Display { display: String, code: String, valid: String } = "display", Invalid,
        "'{display}' is not a display of {code}; valid: {valid}", "'{display}' non è una descrizione di {code}; valide: {valid}";
    /// A Coding whose system is not absolute.
    SystemRelative { system: String } = "system-relative", CodeInvalid,
        "the system of a coding must be an absolute URI, not '{system}'", "il sistema di una codifica deve essere un URI assoluto, non '{system}'";
    /// A Coding whose system is a value set.
    SystemIsValueSet { system: String } = "system-value-set", Invalid,
        "the system '{system}' is a value set, not a code system", "il sistema '{system}' è un value set, non un sistema di codifica";
    /// A Coding whose system is a supplement.
    SystemIsSupplement { system: String } = "system-supplement", Invalid,
        "the code system '{system}' is a supplement and has no codes of its own", "il sistema di codifica '{system}' è un supplemento e non ha codici propri";
    /// A reference to a type that is not allowed.
    Target { found: String, allowed: String } = "target", Structure,
        "the reference leads to a {found}; allowed: {allowed}", "il riferimento porta a una risorsa {found}; ammesse: {allowed}";
    /// A `type` that the reference contradicts.
    TargetType { stated: String, found: String } = "target-type", Structure,
        "the reference states the type {stated}, but leads to a {found}", "il riferimento dichiara il tipo {stated}, ma porta a una risorsa {found}";
    /// A reference to a contained resource that is not there.
    NotContained { reference: String } = "not-contained", NotFound,
        "'{reference}' is not among the contained resources", "'{reference}' non è tra le risorse contenute";
    /// A contained resource that nothing refers to.
    NotReferenced { id: String } = "not-referenced", Invalid,
        "the contained resource '{id}' is not referred to, nor does it refer to its container", "alla risorsa contenuta '{id}' non punta alcun riferimento, né essa punta a chi la contiene";
    /// A reference that is no valid URL.
    ReferenceForm { reference: String } = "reference-form", Value,
        "'{reference}' is not a reference: [type]/[id], an absolute URL, or #[id]", "'{reference}' non è un riferimento: [tipo]/[id], un URL assoluto, o #[id]";
    /// A target that does not conform to the profile asked for.
    TargetProfile { reference: String, profiles: String } = "target-profile", Structure,
        "what '{reference}' leads to conforms to none of: {profiles}", "la risorsa a cui porta '{reference}' non è conforme a nessuno di: {profiles}";
    /// A reference of the wrong aggregation.
    Aggregation { found: String, allowed: String } = "aggregation", Structure,
        "the reference is {found}; allowed: {allowed}", "il riferimento è {found}; ammessi: {allowed}";
    /// A canonical of a wrong type of resource.
    CanonicalType { url: String, found: String, allowed: String } = "canonical-type", Invalid,
        "the canonical '{url}' is a {found}; allowed: {allowed}", "il canonical '{url}' è una risorsa {found}; ammesse: {allowed}";
    /// A canonical or other URI that must be absolute.
    NotAbsolute { url: String } = "not-absolute", Invalid,
        "'{url}' must be an absolute URI", "'{url}' deve essere un URI assoluto";
    /// A UUID that is none, or in capitals.
    Uuid { url: String } = "uuid", Invalid,
        "'{url}': a UUID must be valid and in lower case", "'{url}': un UUID deve essere valido e in minuscolo";
    /// An OID that is none.
    Oid { url: String } = "oid", Invalid,
        "'{url}': an OID must be valid", "'{url}': un OID deve essere valido";
    /// An extension that nobody defines.
    UnknownExtension { url: String } = "extension-unknown", Extension,
        "the extension {url} is not known", "l'estensione {url} non è nota";
    /// An extension where it is not allowed.
    ExtensionContext { url: String, allowed: String } = "extension-context", Extension,
        "the extension {url} is not allowed here; allowed: {allowed}", "l'estensione {url} non è ammessa qui; ammessa in: {allowed}";
    /// A modifier extension as an ordinary one, or the reverse.
    ExtensionModifier { url: String, must: String } = "extension-modifier", Extension,
        "the extension {url} must stand in {must}", "l'estensione {url} deve stare in {must}";
    /// A part of an extension that its definition does not have.
    ExtensionPart { url: String, part: String } = "extension-part", Extension,
        "the extension {url} has no part '{part}'", "l'estensione {url} non ha una parte '{part}'";
    /// An extension without url.
    ExtensionUrl {} = "extension-url", Required,
        "an extension must have a url", "un'estensione deve avere un url";
    /// An extension named with a version.
    ExtensionVersion { url: String } = "extension-version", Invalid,
        "the url of an extension has no version: {url}", "l'url di un'estensione non ha versione: {url}";
    /// A profile that is not known.
    UnknownProfile { profile: String } = "profile-unknown", NotFound,
        "the profile {profile} is not known; install the package that defines it", "il profilo {profile} non è noto; installare il pacchetto che lo definisce";
    /// A profile that is known and cannot be used.
    BrokenProfile { profile: String, reason: String } = "profile-broken", Processing,
        "the profile {profile} cannot be used: {reason}", "il profilo {profile} non è utilizzabile: {reason}";
    /// A profile of which something cannot be checked.
    ProfileInPart { profile: String, reason: String } = "profile-in-part", Incomplete,
        "of the profile {profile} not everything can be checked: {reason}", "del profilo {profile} non tutto è verificabile: {reason}";
    /// A profile of another type.
    ProfileType { profile: String, found: String, of: String } = "profile-type", Invalid,
        "the profile {profile} is for {of}, not for {found}", "il profilo {profile} è per {of}, non per {found}";
    /// None of several profiles fits.
    NoProfile { profiles: String } = "no-profile", Structure,
        "conforms to none of the profiles {profiles}", "non è conforme a nessuno dei profili {profiles}";
    /// An element that a closed slicing has no slice for.
    SlicingClosed { slicing: String } = "slicing-closed", Structure,
        "no slice of {slicing} fits, and the slicing is closed", "nessuna slice di {slicing} corrisponde e lo slicing è chiuso";
    /// An element that several slices fit.
    SlicingAmbiguous { slices: String } = "slicing-ambiguous", Structure,
        "several slices fit: {slices}", "corrispondono più slice: {slices}";
    /// Slices out of order.
    SlicingOrder { slice: String, after: String } = "slicing-order", Structure,
        "the slice {slice} stands after {after}, but must come before", "la slice {slice} sta dopo {after}, ma deve precederla";
    /// A `fullUrl` that is not absolute.
    FullUrlRelative { url: String } = "full-url-relative", Invalid,
        "the fullUrl must be an absolute URL, not '{url}'", "il fullUrl deve essere un URL assoluto, non '{url}'";
    /// An entry without `fullUrl`.
    FullUrlMissing {} = "full-url-missing", Required,
        "except in transactions and batches, an entry must have a fullUrl", "salvo in transazioni e batch, una entry deve avere un fullUrl";
    /// A `fullUrl` that contradicts the resource.
    FullUrlMismatch { url: String, end: String } = "full-url-mismatch", Invalid,
        "the fullUrl '{url}' looks like that of a server, so it must end with {end}", "il fullUrl '{url}' sembra quello di un server, quindi deve finire con {end}";
    /// A `fullUrl` of a server for a resource without id.
    FullUrlNoId { url: String } = "full-url-no-id", Invalid,
        "the fullUrl '{url}' looks like that of a server, but the resource has no id", "il fullUrl '{url}' sembra quello di un server, ma la risorsa non ha un id";
    /// A relative reference in an entry without `fullUrl`.
    RelativeWithoutFullUrl {} = "relative-without-full-url", Required,
        "a relative reference in an entry without fullUrl leads nowhere", "un riferimento relativo in una entry senza fullUrl non porta da nessuna parte";
    /// A reference that should be found in the Bundle.
    NotInBundle { reference: String } = "not-in-bundle", NotFound,
        "'{reference}' is not in the bundle", "'{reference}' non è nel bundle";
    /// A reference that several entries match.
    ManyInBundle { reference: String, found: usize } = "many-in-bundle", Invalid,
        "'{reference}' matches {found} entries of the bundle", "'{reference}' corrisponde a {found} entry del bundle";
    /// A document entry that nothing leads to.
    NotReachable { url: String } = "not-reachable", Informational,
        "the entry '{url}' is not reachable from the Composition", "la entry '{url}' non è raggiungibile dalla Composition";
    /// A bundle that begins with the wrong resource.
    FirstEntry { kind: String, must: String } = "first-entry", Invalid,
        "the first entry of a {kind} must be a {must}", "la prima entry di un {kind} deve essere una {must}";
    /// The same identity twice.
    Duplicate { what: String, value: String } = "duplicate", Invalid,
        "{what} '{value}' stands here twice", "{what} '{value}' compare due volte";
    /// Narrative that is not allowed.
    Narrative { reason: String } = "narrative", Invalid,
        "the narrative is not allowed: {reason}", "il testo narrativo non è ammesso: {reason}";
    /// Sizes that do not agree.
    AttachmentSize { stated: String, found: usize } = "attachment-size", Invalid,
        "the size {stated} is stated, but the data have {found} bytes", "è dichiarata la dimensione {stated}, ma i dati hanno {found} byte";
    /// A questionnaire that is not at hand.
    UnknownQuestionnaire { url: String } = "qr-questionnaire-unknown", NotFound,
        "the questionnaire {url} is not known here, so the answers were not looked at", "il questionario {url} non è noto, quindi le risposte non sono state esaminate";
    /// A questionnaire item that does not exist.
    UnknownItem { link_id: String } = "qr-unknown-item", Structure,
        "the questionnaire has no item '{link_id}' here", "il questionario non ha qui alcuna voce '{link_id}'";
    /// Items out of order.
    ItemOrder { link_id: String } = "qr-item-order", Structure,
        "the item '{link_id}' is out of the questionnaire's order", "la voce '{link_id}' non segue l'ordine del questionario";
    /// A required item without answer.
    ItemRequired { link_id: String } = "qr-required", Required,
        "the item '{link_id}' is required and has no answer", "la voce '{link_id}' è obbligatoria e non ha risposta";
    /// An answer where none may be.
    ItemNoAnswer { link_id: String, kind: String } = "qr-no-answer", Structure,
        "the item '{link_id}' of type {kind} cannot have answers", "la voce '{link_id}' di tipo {kind} non può avere risposte";
    /// An answer to an item that is not enabled.
    ItemDisabled { link_id: String } = "qr-disabled", Structure,
        "the item '{link_id}' has an answer, but is not enabled", "la voce '{link_id}' ha una risposta, ma non è abilitata";
    /// An answer of the wrong type.
    AnswerType { link_id: String, found: String, allowed: String } = "qr-answer-type", Structure,
        "the answer to '{link_id}' is a {found}; allowed: {allowed}", "la risposta a '{link_id}' è di tipo {found}; ammessi: {allowed}";
    /// An answer that is not among the options.
    AnswerOption { link_id: String, value: String } = "qr-answer-option", CodeInvalid,
        "the answer {value} to '{link_id}' is not among the options", "la risposta {value} a '{link_id}' non è tra le opzioni";
    /// Too many or too few answers.
    AnswerCount { link_id: String, found: usize, allowed: String } = "qr-answer-count", Structure,
        "the item '{link_id}' has {found} answers; allowed: {allowed}", "la voce '{link_id}' ha {found} risposte; ammesse: {allowed}";
    /// An answer or item that its questionnaire restricts otherwise.
    AnswerValue { link_id: String, reason: String } = "qr-answer-value", Value,
        "the answer to '{link_id}' is not allowed: {reason}", "la risposta a '{link_id}' non è ammessa: {reason}";
    /// A measure that is not at hand.
    UnknownMeasure { url: String } = "mr-measure-unknown", NotFound,
        "the measure {url} is not known here, so the groups were not looked at", "la misura {url} non è nota, quindi i gruppi non sono stati esaminati";
    /// A part of a report that its measure does not have.
    MeasurePart { what: String } = "mr-part", CodeInvalid,
        "the {what} has no code that its measure gives to a {what}", "la voce '{what}' non ha un codice che la sua misura assegni a una voce '{what}'";
    /// A part of a measure that its report leaves out.
    MeasurePartMissing { what: String, code: String } = "mr-part-missing", Required,
        "the measure has a {what} '{code}', which is missing", "la misura ha una voce '{what}' con codice '{code}', che manca";
    /// Subjects listed in a report that lists none.
    MeasureSubjects { report_type: String } = "mr-subjects", Structure,
        "subjects are listed by reports of type subject-list only, not {report_type}", "i soggetti sono elencati solo nei report di tipo subject-list, non {report_type}";
    /// A score that the scoring of the measure does not allow.
    MeasureScore { reason: String } = "mr-score", Value,
        "the measureScore does not fit the measure: {reason}", "il measureScore non è conforme alla misura: {reason}";
    /// Something in a definition that does not hold together.
    Definition { reason: String } = "definition", Invalid,
        "{reason}", "{reason}";
    /// A differential that does not fit what it builds on.
    Differential { reason: String } = "differential", Invalid,
        "the differential does not fit its base: {reason}", "il differential non è conforme alla sua base: {reason}";
    /// Validation was ended by its limits.
    Limit { what: String } = "limit", TooCostly,
        "validation ended early: more than {what}", "la validazione è terminata in anticipo: più di {what}";
}
