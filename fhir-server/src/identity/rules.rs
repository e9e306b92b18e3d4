//! What only people decide, whatever the sum of the weights: who of two looks
//! like one person and may well be another. Relatives in one house share nearly
//! everything, and homonyms born on one day share what most records say.

use super::compare::Agreements;
use super::features::Features;
use super::given_names;
use super::review::Remark;
use super::weights::Level::{Close, Common, Differs, Exact, Part, Sound, Supports, Swapped};
use super::weights::{Field, Level};

/// Why two are not linked without somebody who looks at them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Each has a codice fiscale of its own.
    FiscalDiffers,
    /// They have the same identifier, and the rest does not agree.
    IdentifierContradicted,
    /// Their codes are the same but for homocodia, which is what two homonyms have.
    Homocodia,
    /// Born on one day of one family, with other given names.
    Twins,
    /// The same names and date of birth, and nothing further.
    Homonyms,
    /// The dates of birth do not agree, or one is missing.
    Birth,
    /// The family names are others, or one is missing.
    Family,
    /// The sexes are others.
    Sex,
}

impl Rule {
    /// Returns what somebody is told who looks at the two.
    pub(crate) fn remark(self) -> Remark {
        let (code, text) = match self {
            Rule::FiscalDiffers => ("fiscal-differs", "each has an identifier of which a person has one"),
            Rule::IdentifierContradicted => {
                ("identifier-contradicted", "they have the same identifier, and the rest does not agree")
            }
            Rule::Homocodia => {
                ("homocodia", "their codes are the same but for homocodia, as of two homonyms")
            }
            Rule::Twins => {
                ("twins", "born on one day of one family, with other given names: they may be twins")
            }
            Rule::Homonyms => ("homonyms", "the same names and date of birth, and nothing further"),
            Rule::Birth => ("birth", "the dates of birth do not agree, or one is missing"),
            Rule::Family => ("family", "the family names are others, or one is missing"),
            Rule::Sex => ("sex", "the sexes are others"),
        };
        Remark { code, text }
    }
}

/// Returns why two are not linked by themselves, if there is a reason.
pub fn held_by(asked: &Features, other: &Features, found: &Agreements) -> Option<Rule> {
    let held = Held {
        found,
        is_multiple: asked.is_multiple || other.is_multiple,
        are_others: given_names::are_others(&asked.given, &other.given),
    };
    let is_fiscal = held.is(Field::Fiscal, &[Exact]);
    if held.is(Field::Fiscal, &[Differs]) || (held.is(Field::Identifier, &[Differs]) && !is_fiscal) {
        return Some(Rule::FiscalDiffers);
    }
    match is_fiscal || held.is(Field::Identifier, &[Exact]) {
        true => held.in_spite_of_identifier(),
        false => held.without_identifier(),
    }
}

struct Held<'h> {
    found: &'h Agreements,
    /// Whether one of them is said to have twins.
    is_multiple: bool,
    /// Whether they have given names that are two, however alike.
    are_others: bool,
}

impl Held<'_> {
    fn is(&self, field: Field, levels: &[Level]) -> bool {
        self.found.level(field).is_some_and(|level| levels.contains(&level))
    }

    fn is_born(&self) -> bool {
        self.is(Field::Birth, &[Exact, Common])
    }

    /// They have one identifier: what speaks against it.
    fn in_spite_of_identifier(&self) -> Option<Rule> {
        let are_twins = self.is_multiple || self.are_others;
        if are_twins && self.is_born() && self.is(Field::Given, &[Close, Sound]) {
            return Some(Rule::Twins);
        }
        let is_of_sex = !self.is(Field::Sex, &[Differs]);
        // A child or a twin under the code of another, or somebody else altogether. Another family name alone is that
        // of who has married.
        let is_contradicted = self.is(Field::Given, &[Differs])
            || self.is(Field::Birth, &[Differs])
            || self.is(Field::Fiscal, &[Level::Contradicts]) && self.is(Field::Family, &[Differs])
            || !is_of_sex && (self.is(Field::Family, &[Differs]) || self.is(Field::Given, &[Close, Sound]));
        is_contradicted.then_some(Rule::IdentifierContradicted)
    }

    /// Nothing that a person has alone is the same.
    fn without_identifier(&self) -> Option<Rule> {
        // What relatives in one house do not share.
        let is_own = self.is(Field::Fiscal, &[Close]);
        // What homonyms do not share.
        let further = [
            is_own,
            self.is(Field::Address, &[Exact]),
            self.is(Field::Phone, &[Exact]),
            self.is(Field::Mother, &[Exact, Close]),
        ];
        let further = further.iter().filter(|is| **is).count();
        let is_named = self.is(Field::Given, &[Exact, Swapped])
            && self.is(Field::Family, &[Exact, Swapped, Close, Part, Sound]);
        if self.is(Field::Fiscal, &[Sound]) && further < 2 {
            return Some(Rule::Homocodia);
        }
        if self.is(Field::Sex, &[Differs]) {
            return Some(Rule::Sex);
        }
        let is_given = self.is(Field::Given, &[Exact, Swapped])
            || self.is(Field::Given, &[Part]) && !self.is_multiple
            || self.is(Field::Given, &[Part, Close, Sound])
                && !self.is_multiple
                && (is_own || self.is(Field::Fiscal, &[Supports]));
        if self.is_born() && !is_given {
            return Some(Rule::Twins);
        }
        if !self.is(Field::Family, &[Exact, Swapped, Close, Part, Sound]) && !is_own {
            return Some(Rule::Family);
        }
        let is_slip = self.is(Field::Birth, &[Close, Part, Swapped]) && is_named && further > 0;
        if !(self.is_born() || is_slip || is_own && is_named) {
            return Some(Rule::Birth);
        }
        (further == 0).then_some(Rule::Homonyms)
    }
}

#[cfg(test)]
mod tests {
    use ihe_adapters::italy::identifiers::{self, codice_fiscale, homocode};
    use proptest::prelude::*;
    use smallvec::smallvec;

    use super::*;
    use crate::identity::commonness::Commonness;
    use crate::identity::features::{Address, Authority, Birth, Fiscal, Identifier, Sex};
    use crate::identity::names::normalized;
    use crate::identity::{Decision, Matcher};

    /// A man of whom all is known but a codice fiscale.
    fn person(given: &str) -> Features {
        Features {
            family: smallvec![normalized("Zunino")],
            given: smallvec![normalized(given)],
            mother: Some(normalized("Parodi")),
            birth: Birth { year: 1985, month: 8, day: 17 },
            sex: Some(Sex::Male),
            phones: smallvec![7],
            addresses: smallvec![Address { city: 1, street: 2 }],
            birth_place: Some(1),
            ..Features::default()
        }
    }

    fn code(given: &str) -> Option<Fiscal> {
        codice_fiscale(("zunino", given), (1985, 8, 17), identifiers::Sex::Male, "D969").map(Fiscal::Code)
    }

    fn decision(one: &Features, other: &Features) -> (Decision, Option<Rule>) {
        let compared = Matcher::default().compare(one, other, &Commonness::default());
        (compared.decision, compared.held)
    }

    #[test]
    fn who_is_linked_and_who_is_not() {
        let one = person("Mario");
        let with = |change: &dyn Fn(&mut Features)| {
            let mut other = one.clone();
            change(&mut other);
            other
        };
        let alone = |features: &mut Features| {
            (features.phones, features.addresses) = (smallvec![], smallvec![]);
            features.mother = None;
        };
        for (what, other, expected) in [
            ("the same", with(&|_| {}), (Decision::Link, None)),
            ("a homonym of one city", with(&alone), (Decision::Review, Some(Rule::Homonyms))),
            ("a twin", person("Marco"), (Decision::Review, Some(Rule::Twins))),
            ("of another sex", with(&|o| o.sex = Some(Sex::Female)), (Decision::Review, Some(Rule::Sex))),
            ("of no family", with(&|o| o.family.clear()), (Decision::Review, Some(Rule::Family))),
            (
                "the grandson of one house",
                with(&|o| o.birth = Birth { year: 2011, month: 3, day: 2 }),
                (Decision::Review, Some(Rule::Birth)),
            ),
            ("of no date", with(&|o| o.birth = Birth::default()), (Decision::Review, Some(Rule::Birth))),
            ("of a date with a slip", with(&|o| o.birth.day = 18), (Decision::Link, None)),
        ] {
            assert_eq!(decision(&one, &other), expected, "{what}");
            assert_eq!(decision(&other, &one), expected, "{what}, asked the other way");
        }
    }

    #[test]
    fn what_a_codice_fiscale_decides() {
        let own = |features: Features, fiscal: Option<Fiscal>| Features { fiscal, ..features };
        let one = own(person("Mario"), code("mario"));
        let Some(Fiscal::Code(plain)) = code("mario") else { panic!("well made") };
        let homocode = Some(Fiscal::Code(homocode(&plain, 1)));
        let mut elsewhere = own(person("Mario"), homocode.clone());
        (elsewhere.phones, elsewhere.addresses, elsewhere.mother) = (smallvec![8], smallvec![], None);
        let mut child = own(person("Luca"), code("mario"));
        child.birth = Birth { year: 2022, month: 1, day: 9 };
        let mut married = own(person("Mario"), code("mario"));
        married.family = smallvec![normalized("Bianchi")];
        for (what, other, expected) in [
            (
                "the same code alone",
                Features { fiscal: code("mario"), ..Features::default() },
                (Decision::Link, None),
            ),
            ("another family name", married, (Decision::Link, None)),
            ("a child under it", child, (Decision::Review, Some(Rule::IdentifierContradicted))),
            (
                "a twin under it whose name is a slip apart",
                own(person("Marco"), code("mario")),
                (Decision::Review, Some(Rule::Twins)),
            ),
            ("under it with a slip", own(person("Mairo"), code("mario")), (Decision::Link, None)),
            (
                "a twin under it",
                own(person("Luca"), code("mario")),
                (Decision::Review, Some(Rule::IdentifierContradicted)),
            ),
            ("homocodia, at home", own(person("Mario"), homocode), (Decision::Link, None)),
            ("homocodia, elsewhere", elsewhere, (Decision::Review, Some(Rule::Homocodia))),
            (
                "another one",
                own(
                    person("Mario"),
                    codice_fiscale(("zunino", "mario"), (1985, 8, 17), identifiers::Sex::Male, "H501")
                        .map(Fiscal::Code),
                ),
                (Decision::Review, Some(Rule::FiscalDiffers)),
            ),
        ] {
            assert_eq!(decision(&one, &other), expected, "{what}");
        }
    }

    proptest! {
        /// Whatever they share, and whatever is known of them.
        #[test]
        fn twins_are_never_linked(
            names in prop::sample::select(vec![
                ("Mario", "Luca"), ("Marco", "Mario"), ("Anna", "Anita"), ("Gian Luca", "Gian Marco"), ("Ugo", "Aldo"),
            ]),
            known in prop::array::uniform6(any::<bool>()),
            codes in 0..5,
        ) {
            let twin = |given: &str| {
                let mut twin = person(given);
                let [phone, address, mother, place, sex, marked] = known;
                if !phone { twin.phones.clear() }
                if !address { twin.addresses.clear() }
                if !mother { twin.mother = None }
                if !place { twin.birth_place = None }
                if !sex { twin.sex = None }
                twin.is_multiple = marked;
                twin.fiscal = match codes {
                    0 => None,
                    // One of them under the code of the other is told by the names.
                    1 => code(&names.0.to_lowercase()),
                    2 => if given == names.0 { code(&given.to_lowercase()) } else { None },
                    _ => code(&given.to_lowercase()),
                };
                twin
            };
            let (one, other) = (twin(names.0), twin(names.1));
            for (a, b) in [(&one, &other), (&other, &one)] {
                prop_assert_ne!(decision(a, b).0, Decision::Link);
            }
        }

        /// Nothing but names, date of birth, sex and city is the same.
        #[test]
        fn homonyms_of_one_day_are_never_linked(codes in 0..3, is_near: bool, has_place: bool) {
            let mut one = person("Mario");
            (one.phones, one.mother) = (smallvec![7], Some(normalized("Parodi")));
            let mut other = person("Mario");
            (other.phones, other.mother) = (smallvec![8], Some(normalized("Costa")));
            other.addresses = if is_near { smallvec![Address { city: 1, street: 3 }] } else { smallvec![] };
            if !has_place { other.birth_place = None }
            let own = Identifier { authority: Authority::Renewed, system: 1, value: 1 };
            one.identifiers = smallvec![own];
            other.identifiers = smallvec![Identifier { value: 2, ..own }];
            if codes > 0 { one.fiscal = code("mario") }
            if codes > 1 {
                let Some(Fiscal::Code(plain)) = code("mario") else { panic!("well made") };
                other.fiscal = Some(Fiscal::Code(homocode(&plain, 1)));
            }
            prop_assert_ne!(decision(&one, &other).0, Decision::Link);
            prop_assert_ne!(decision(&other, &one).0, Decision::Link);
        }
    }
}
