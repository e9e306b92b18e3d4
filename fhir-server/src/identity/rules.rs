//! What only people decide, whatever the sum of the weights: who of two looks
//! like one person and may well be another. Relatives in one house share nearly
//! everything, and homonyms born on one day share what most records say.

use super::compare::Agreements;
use super::features::Features;
use super::weights::{Field, Level};

/// Why two are not linked without somebody who looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Each has a codice fiscale of its own.
    FiscalDiffers,
    /// They have the same identifier, and nothing else of them agrees.
    IdentifierContradicted,
    /// Their codes are the same but for homocodia, which is what two homonyms have.
    Homocodia,
    /// Born on one day of one family, with other given names.
    Twins,
    /// The same names and date of birth, and nothing further.
    Homonyms,
    /// The dates of birth do not agree, or one is missing.
    Birth,
    /// The family names are others.
    Family,
    /// The sexes are others.
    Sex,
}

/// Returns why two are not linked by themselves, if there is a reason.
pub fn held_by(asked: &Features, other: &Features, found: &Agreements) -> Option<Rule> {
    use Level::{Close, Common, Differs, Exact, Part, Sound, Supports, Swapped};
    let level = |field| found.level(field);
    let is = |field, levels: &[Level]| level(field).is_some_and(|level| levels.contains(&level));
    let is_born = is(Field::Birth, &[Exact, Common]);
    let given_differs = is(Field::Given, &[Differs]);
    let family_differs = is(Field::Family, &[Differs]);
    if is(Field::Fiscal, &[Differs]) || (is(Field::Identifier, &[Differs]) && !is(Field::Fiscal, &[Exact])) {
        return Some(Rule::FiscalDiffers);
    }
    if is(Field::Fiscal, &[Exact]) || is(Field::Identifier, &[Exact]) {
        let contradictions = [
            given_differs,
            family_differs,
            is(Field::Birth, &[Differs]),
            is(Field::Sex, &[Differs]),
            is(Field::Fiscal, &[Level::Contradicts]),
        ];
        let count = contradictions.iter().filter(|is| **is).count();
        return (count >= 2).then_some(Rule::IdentifierContradicted);
    }
    // What relatives in one house do not share.
    let is_own = is(Field::Fiscal, &[Close]);
    // What homonyms do not share.
    let further = [
        is_own,
        is(Field::Address, &[Exact]),
        is(Field::Phone, &[Exact]),
        is(Field::Mother, &[Exact, Close]),
        is(Field::BirthPlace, &[Exact]),
    ];
    let further = further.iter().filter(|is| **is).count();
    let is_named =
        is(Field::Given, &[Exact, Swapped]) && is(Field::Family, &[Exact, Swapped, Close, Part, Sound]);
    if is(Field::Fiscal, &[Sound]) && further < 2 {
        return Some(Rule::Homocodia);
    }
    if is(Field::Sex, &[Differs]) {
        return Some(Rule::Sex);
    }
    let is_given = is(Field::Given, &[Exact, Swapped, Part])
        && !((asked.is_multiple || other.is_multiple) && is(Field::Given, &[Part]));
    if is_born && !is_given && !is_own && !is(Field::Fiscal, &[Supports]) {
        return Some(Rule::Twins);
    }
    if family_differs && !is_own {
        return Some(Rule::Family);
    }
    if !is_born
        && !(is_own && is_named)
        && !(is(Field::Birth, &[Close, Part, Swapped]) && is_named && further > 0)
    {
        return Some(Rule::Birth);
    }
    (further == 0).then_some(Rule::Homonyms)
}
