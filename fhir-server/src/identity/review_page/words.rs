//! What the page says, in English and in Italian.

use profiles::validate::Language;

/// The texts of the page in one language.
#[derive(Debug)]
pub(crate) struct Words {
    pub(super) language: &'static str,
    pub(super) title: &'static str,
    pub(super) skip: &'static str,
    pub(super) lists: &'static str,
    pub(super) open: &'static str,
    pub(super) later: &'static str,
    pub(super) decided: &'static str,
    pub(super) count: &'static str,
    pub(super) none: &'static str,
    pub(super) score: &'static str,
    pub(super) asked: &'static str,
    pub(super) what: &'static str,
    pub(super) first: &'static str,
    pub(super) second: &'static str,
    pub(super) comparison: &'static str,
    pub(super) bits: &'static str,
    pub(super) sum: &'static str,
    pub(super) not_said: &'static str,
    pub(super) not_compared: &'static str,
    pub(super) gone: &'static str,
    pub(super) nameless: &'static str,
    pub(super) changed_at: &'static str,
    pub(super) notes: &'static str,
    pub(super) remark: &'static str,
    pub(super) agent: &'static str,
    pub(super) same: &'static str,
    pub(super) different: &'static str,
    pub(super) put_off: &'static str,
    pub(super) decided_same: &'static str,
    pub(super) decided_different: &'static str,
    pub(super) by: &'static str,
    pub(super) previous: &'static str,
    pub(super) next: &'static str,
    pub(super) beginning: &'static str,
    pub(super) pages: &'static str,
    pub(super) done_same: &'static str,
    pub(super) done_different: &'static str,
    pub(super) done_later: &'static str,
    pub(super) failed: &'static str,
    pub(super) changed: &'static str,
    pub(super) back: &'static str,
    codes: fn(&Row) -> &'static str,
}

const ENGLISH: Words = Words {
    language: "en",
    title: "Are these records of one person?",
    skip: "Skip to the list",
    lists: "Lists",
    open: "To decide",
    later: "Put off",
    decided: "Decided",
    count: "Pairs of records in this list:",
    none: "There are none.",
    score: "Likelihood",
    asked: "asked",
    what: "What",
    first: "First record",
    second: "Second record",
    comparison: "Comparison",
    bits: "Bits",
    sum: "All together",
    not_said: "not said",
    not_compared: "not compared",
    gone: "This record is not there any more.",
    nameless: "Without a name",
    changed_at: "changed",
    notes: "Remarks",
    remark: "Remark",
    agent: "Who decides",
    same: "Same person",
    different: "Different persons",
    put_off: "Decide later",
    decided_same: "Decided: the same person",
    decided_different: "Decided: different persons",
    by: "by",
    previous: "Previous page",
    next: "Next page",
    beginning: "First page",
    pages: "Pages",
    done_same: "Noted: the same person. The records are linked.",
    done_different: "Noted: different persons. The records are not linked.",
    done_later: "Noted: it is decided later.",
    failed: "This was not done",
    changed: "What was shown has changed in the meantime. Look at it again before you decide.",
    back: "Back to the list",
    codes: |(_, _, english, _)| english,
};

const ITALIAN: Words = Words {
    language: "it",
    title: "Questi record sono della stessa persona?",
    skip: "Vai all\u{2019}elenco",
    lists: "Elenchi",
    open: "Da decidere",
    later: "Rimandati",
    decided: "Decisi",
    count: "Coppie di record in questo elenco:",
    none: "Non ce ne sono.",
    score: "Verosimiglianza",
    asked: "chiesto il",
    what: "Che cosa",
    first: "Primo record",
    second: "Secondo record",
    comparison: "Confronto",
    bits: "Bit",
    sum: "In tutto",
    not_said: "non indicato",
    not_compared: "non confrontato",
    gone: "Questo record non c\u{2019}è più.",
    nameless: "Senza nome",
    changed_at: "modificato il",
    notes: "Osservazioni",
    remark: "Osservazione",
    agent: "Chi decide",
    same: "Stessa persona",
    different: "Persone diverse",
    put_off: "Decidere più tardi",
    decided_same: "Deciso: stessa persona",
    decided_different: "Deciso: persone diverse",
    by: "da",
    previous: "Pagina precedente",
    next: "Pagina successiva",
    beginning: "Prima pagina",
    pages: "Pagine",
    done_same: "Annotato: stessa persona. I record sono collegati.",
    done_different: "Annotato: persone diverse. I record non sono collegati.",
    done_later: "Annotato: si decide più tardi.",
    failed: "Operazione non eseguita",
    changed: "Nel frattempo i dati mostrati sono cambiati. Riguardali prima di decidere.",
    back: "Torna all\u{2019}elenco",
    codes: |(_, _, _, italian)| italian,
};

/// Returns the texts of a language.
pub(crate) fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &ENGLISH,
        Language::Italian => &ITALIAN,
    }
}

type Row = (Option<&'static str>, &'static str, &'static str, &'static str);

/// What is compared, by the codes of fields, and what is shown besides.
const FIELDS: &[Row] = &[
    (None, "family", "Family name", "Cognome"),
    (None, "given", "Given names", "Nome"),
    (None, "birth", "Date of birth", "Data di nascita"),
    (None, "sex", "Sex", "Sesso"),
    (None, "fiscal", "Codice fiscale", "Codice fiscale"),
    (None, "identifier", "Other identifiers", "Altri identificativi"),
    (None, "address", "Address", "Indirizzo"),
    (None, "phone", "Telephone, e-mail", "Telefono, e-mail"),
    (None, "birth-place", "Place of birth", "Luogo di nascita"),
    (None, "mother", "Mother\u{2019}s maiden name", "Cognome della madre"),
    (None, "multiple", "Born as a twin", "Parto gemellare"),
    (None, "deceased", "Deceased", "Deceduto"),
];

/// How two values stand to each other, by the codes of levels; of one field, or of any.
const LEVELS: &[Row] = &[
    (Some("fiscal"), "sound", "the same but for homocodia", "uguali a meno dell\u{2019}omocodia"),
    (Some("fiscal"), "close", "one has a mistake", "uno contiene un errore"),
    (Some("address"), "part", "same city, other street", "stesso comune, altra via"),
    (None, "exact", "the same", "uguali"),
    (None, "common", "the same, as of many", "uguali, come per molti"),
    (None, "close", "a slip apart", "differiscono per una svista"),
    (None, "part", "one is a part of the other", "uno è parte dell\u{2019}altro"),
    (None, "initial", "an initial", "un\u{2019}iniziale"),
    (None, "sound", "sound alike", "suonano simili"),
    (None, "swapped", "exchanged", "scambiati"),
    (None, "partial", "the same, as far as it is known", "uguali per quanto si sa"),
    (
        None,
        "supports",
        "one is missing; the other fits the rest",
        "uno manca; l\u{2019}altro concorda col resto",
    ),
    (
        None,
        "contradicts",
        "one is missing; the other does not fit the rest",
        "uno manca; l\u{2019}altro non concorda col resto",
    ),
    (None, "differs", "different", "diversi"),
];

/// Why somebody has to decide although much agrees, by the codes of remarks.
const REMARKS: &[Row] = &[
    (
        None,
        "fiscal-differs",
        "Each has an identifier of which a person has only one.",
        "Ognuno ha un identificativo di cui una persona ne ha uno solo.",
    ),
    (
        None,
        "identifier-contradicted",
        "They have the same identifier, and the rest does not agree.",
        "Hanno lo stesso identificativo, ma il resto non concorda.",
    ),
    (
        None,
        "homocodia",
        "Their codes are the same but for homocodia: so are those of two homonyms.",
        "I codici sono uguali a meno dell\u{2019}omocodia: così sono quelli di due omonimi.",
    ),
    (
        None,
        "twins",
        "Born on one day of one family, with other given names: they may be twins.",
        "Nati lo stesso giorno nella stessa famiglia, con altri nomi: possono essere gemelli.",
    ),
    (
        None,
        "homonyms",
        "The same names and date of birth, and nothing further: they may be homonyms.",
        "Stesso nome e data di nascita, e nient\u{2019}altro: possono essere omonimi.",
    ),
    (
        None,
        "birth",
        "The dates of birth do not agree, or one is missing.",
        "Le date di nascita non concordano, o una manca.",
    ),
    (
        None,
        "family",
        "The family names are others, or one is missing.",
        "I cognomi sono diversi, o uno manca.",
    ),
    (None, "sex", "The sexes are others.", "Il sesso è diverso."),
    (
        None,
        "decided-different",
        "Records that would be one with them were decided to be of different persons.",
        "È stato deciso che record che diventerebbero uno solo con questi sono di persone diverse.",
    ),
];

/// Values of elements that are codes.
const VALUES: &[Row] = &[
    (None, "male", "male", "maschio"),
    (None, "female", "female", "femmina"),
    (None, "other", "other", "altro"),
    (None, "unknown", "unknown", "sconosciuto"),
    (None, "true", "yes", "sì"),
    (None, "false", "no", "no"),
];

impl Words {
    fn row(&self, rows: &'static [Row], of: Option<&str>, code: &str) -> Option<&'static str> {
        let row = rows.iter().find(|(only, known, ..)| *known == code && (only.is_none() || *only == of));
        row.map(self.codes)
    }

    /// Returns what a field is called.
    pub(super) fn field(&self, code: &str) -> Option<&'static str> {
        self.row(FIELDS, None, code)
    }

    /// Returns what a level of a field means.
    pub(super) fn level(&self, field: &str, code: &str) -> Option<&'static str> {
        self.row(LEVELS, Some(field), code)
    }

    /// Returns what a remark says.
    pub(super) fn remark(&self, code: &str) -> Option<&'static str> {
        self.row(REMARKS, None, code)
    }

    /// Returns what a code means that is the value of an element; the code itself where nobody knows.
    pub(super) fn value<'v>(&self, code: &'v str) -> &'v str {
        self.row(VALUES, None, code).unwrap_or(code)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rules::Rule;
    use super::super::super::weights::{Field, Level};
    use super::*;

    #[test]
    fn whatever_is_told_is_told_in_both_languages() {
        let fields =
            [Field::Family, Field::Given, Field::Birth, Field::Sex, Field::Fiscal, Field::Identifier];
        let more = [Field::Address, Field::Phone, Field::BirthPlace, Field::Mother];
        let levels = [Level::Exact, Level::Common, Level::Close, Level::Part, Level::Initial, Level::Sound];
        let others = [Level::Swapped, Level::Partial, Level::Supports, Level::Contradicts, Level::Differs];
        let rules = [Rule::FiscalDiffers, Rule::IdentifierContradicted, Rule::Homocodia, Rule::Twins];
        let further = [Rule::Homonyms, Rule::Birth, Rule::Family, Rule::Sex];
        for words in [words(Language::English), words(Language::Italian)] {
            for field in fields.into_iter().chain(more) {
                assert!(words.field(field.code()).is_some(), "{field:?}");
                for level in levels.into_iter().chain(others) {
                    assert!(words.level(field.code(), level.code()).is_some(), "{level:?}");
                }
            }
            for remark in rules.into_iter().chain(further).map(Rule::remark) {
                assert!(words.remark(remark.code).is_some(), "{remark:?}");
            }
            assert!(words.remark(super::super::super::review::CONFLICT.code).is_some());
        }
        assert_eq!(
            words(Language::Italian).level("fiscal", "sound"),
            Some("uguali a meno dell\u{2019}omocodia")
        );
        assert_eq!(words(Language::English).level("family", "sound"), Some("sound alike"));
    }
}
