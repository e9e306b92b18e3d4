//! How two persons stand to each other, field by field. What one of them does
//! not say is not compared.

use ihe_adapters::italy::identifiers::{self, CodiceFiscale};
use smallvec::SmallVec;

use super::commonness::Commonness;
use super::compare_names::{AskedName, compare_names, is_slip};
use super::features::{Authority, Birth, Features, Fiscal, family_hash, given_hash};
use super::names::{Names, parts};
use super::similarity::{Letters, slips};
use super::weights::{Field, Level, Shares, Weights};
use crate::index::row::NameHash;

/// How two values stand to each other, and what that weighs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// What was compared.
    pub field: Field,
    /// What came out.
    pub level: Level,
    /// In bits: above 0 it speaks for one person.
    pub weight: f64,
}

/// All that was compared of two persons.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Agreements(pub SmallVec<[Agreement; 10]>);

impl Agreements {
    /// Returns what came out of a field; `None` when it was not compared.
    pub fn level(&self, field: Field) -> Option<Level> {
        self.0.iter().find(|agreement| agreement.field == field).map(|agreement| agreement.level)
    }

    /// Returns the sum of the weights.
    pub fn sum(&self) -> f64 {
        self.0.iter().map(|agreement| agreement.weight).sum()
    }
}

/// Who is asked about, with what is worked out once for all with whom he is compared.
pub struct Asked<'a> {
    features: &'a Features,
    weights: &'a Weights,
    family: SmallVec<[AskedName<'a>; 2]>,
    given: SmallVec<[AskedName<'a>; 2]>,
}

impl<'a> Asked<'a> {
    /// Prepares for comparing.
    pub fn new(features: &'a Features, common: &Commonness, weights: &'a Weights) -> Asked<'a> {
        let names = |field, names: &'a Names, hash: fn(&[u8]) -> NameHash| {
            let expected = weights.shares(field, Level::Exact).u;
            let asked = |name| AskedName::new(name, common.share(hash(name), expected, weights));
            names.iter().map(asked).collect()
        };
        Asked {
            features,
            weights,
            family: names(Field::Family, &features.family, family_hash),
            given: names(Field::Given, &features.given, given_hash),
        }
    }

    /// Returns who is asked about.
    pub fn features(&self) -> &'a Features {
        self.features
    }

    /// Compares with somebody who is stored.
    pub fn compare(&self, other: &Features) -> Agreements {
        let asked = self.features;
        let mut found = Found { weights: self.weights, agreements: Agreements::default() };
        found.names((&self.family, &self.given), other);
        found.add(Field::Birth, birth(asked.birth, other.birth));
        let sexes = asked.sex.zip(other.sex);
        found.add(Field::Sex, sexes.map(|(a, b)| exact_or_differs(a == b)));
        found.add(Field::Fiscal, fiscal(asked, other));
        found.add(Field::Identifier, identifier(asked, other));
        found.add(Field::Address, address(asked, other));
        let is_shared = asked.phones.iter().any(|phone| other.phones.contains(phone));
        let are_known = !asked.phones.is_empty() && !other.phones.is_empty();
        found.add(Field::Phone, are_known.then(|| exact_or_differs(is_shared)));
        let places = asked.birth_place.zip(other.birth_place);
        found.add(Field::BirthPlace, places.map(|(a, b)| exact_or_differs(a == b)));
        let mothers = asked.mother.as_ref().zip(other.mother.as_ref());
        let mothers = mothers.map(|(a, b)| match a == b {
            true => Level::Exact,
            false if is_slip((a, Letters::of(a)), b) => Level::Close,
            false => Level::Differs,
        });
        found.add(Field::Mother, mothers);
        found.agreements
    }
}

fn exact_or_differs(is_same: bool) -> Level {
    if is_same { Level::Exact } else { Level::Differs }
}

struct Found<'f> {
    weights: &'f Weights,
    agreements: Agreements,
}

impl Found<'_> {
    fn add(&mut self, field: Field, level: Option<Level>) {
        if let Some(level) = level {
            let weight = self.weights.weight(field, level);
            self.agreements.0.push(Agreement { field, level, weight });
        }
    }

    fn names(&mut self, (asked_family, asked_given): (&[AskedName<'_>], &[AskedName<'_>]), other: &Features) {
        let family = compare_names(asked_family, &other.family);
        let given = compare_names(asked_given, &other.given);
        let is_alike = |level| matches!(level, Level::Exact | Level::Close);
        let are_others =
            family.zip(given).is_some_and(|((one, _), (two, _))| !is_alike(one) && !is_alike(two));
        if are_others {
            let crossed = compare_names(asked_family, &other.given)
                .filter(|(level, _)| is_alike(*level))
                .and_then(|_| compare_names(asked_given, &other.family));
            if crossed.is_some_and(|(level, _)| is_alike(level)) {
                self.add(Field::Family, Some(Level::Swapped));
                self.add(Field::Given, Some(Level::Swapped));
                return;
            }
        }
        self.name(Field::Family, family);
        self.name(Field::Given, given);
    }

    /// Adds what came out of a kind of names. The more common a name, the less it says.
    fn name(&mut self, field: Field, found: Option<(Level, &AskedName<'_>)>) {
        let Some((level, name)) = found else { return };
        let Shares { m, u } = self.weights.shares(field, level);
        let expected = self.weights.shares(field, Level::Exact).u;
        let u = match level {
            Level::Exact => name.share,
            Level::Close | Level::Part | Level::Sound => (u * (name.share / expected).max(1.0)).min(1.0),
            _ => return self.add(field, Some(level)),
        };
        self.agreements.0.push(Agreement { field, level, weight: Shares { m, u }.weight() });
    }
}

fn birth(one: Birth, other: Birth) -> Option<Level> {
    if one.year == 0 || other.year == 0 {
        return None;
    }
    if !one.is_full() || !other.is_full() {
        let is_same =
            one.year == other.year && (one.month == other.month || one.month == 0 || other.month == 0);
        return Some(if is_same { Level::Partial } else { Level::Differs });
    }
    if one == other {
        let is_common = (one.month, one.day) == (1, 1);
        return Some(if is_common { Level::Common } else { Level::Exact });
    }
    if one.year == other.year && (one.month, one.day) == (other.day, other.month) {
        return Some(Level::Swapped);
    }
    if slips(&one.digits(), &other.digits(), 1).is_some() {
        return Some(Level::Close);
    }
    let same = [one.year == other.year, one.month == other.month, one.day == other.day];
    Some(if same.iter().filter(|same| **same).count() == 2 { Level::Part } else { Level::Differs })
}

fn fiscal(one: &Features, other: &Features) -> Option<Level> {
    match (&one.fiscal, &other.fiscal) {
        (Some(Fiscal::Code(a)), Some(Fiscal::Code(b))) => Some(match (a == b, a.plain() == b.plain()) {
            (true, _) => Level::Exact,
            (_, true) => Level::Sound,
            _ => Level::Differs,
        }),
        (Some(Fiscal::Provisional(a)), Some(Fiscal::Provisional(b))) if a == b => Some(Level::Exact),
        (Some(Fiscal::Faulty(a)), Some(Fiscal::Faulty(b))) => is_faulty_same(a, b),
        (Some(Fiscal::Faulty(faulty)), Some(Fiscal::Code(code)))
        | (Some(Fiscal::Code(code)), Some(Fiscal::Faulty(faulty))) => {
            is_faulty_same(faulty, code.as_str().to_lowercase().as_bytes())
        }
        (Some(Fiscal::Code(code)), None) => said_by(code, other),
        (None, Some(Fiscal::Code(code))) => said_by(code, one),
        // A provisional one is replaced by another some day: that they differ says nothing.
        _ => None,
    }
}

fn is_faulty_same(one: &[u8], other: &[u8]) -> Option<Level> {
    (one.len().min(other.len()) >= 14 && slips(one, other, 2).is_some()).then_some(Level::Close)
}

/// What somebody's codice fiscale says of another, who has none.
fn said_by(code: &CodiceFiscale, of: &Features) -> Option<Level> {
    let is_any = |names: &Names, letters: fn(&str) -> [u8; 3], of: [u8; 3]| {
        let text = |name| std::str::from_utf8(name).unwrap_or_default();
        names.is_empty()
            || names.iter().any(|name| letters(text(name)) == of)
            || names.iter().flat_map(|name| parts(name)).any(|part| letters(text(part)) == of)
    };
    let (year, month, day) = code.birth();
    let is_born = !of.birth.is_full()
        || ((of.birth.year % 100) as u8, of.birth.month, of.birth.day) == (year, month, day);
    let is_of_sex = of
        .sex
        .is_none_or(|sex| (sex == super::features::Sex::Female) == (code.sex() == identifiers::Sex::Female));
    if of.given.is_empty() && of.family.is_empty() {
        return None;
    }
    let is_named = is_any(&of.given, identifiers::given_code, code.given_code())
        && is_any(&of.family, identifiers::family_code, code.family_code());
    Some(if is_born && is_of_sex && is_named { Level::Supports } else { Level::Contradicts })
}

fn identifier(one: &Features, other: &Features) -> Option<Level> {
    let pairs = one.identifiers.iter().flat_map(|a| other.identifiers.iter().map(move |b| (a, b)));
    let same_system = pairs.filter(|(a, b)| a.system == b.system);
    let mut level = None;
    for (a, b) in same_system {
        match (a.value == b.value, a.authority) {
            (true, _) => return Some(Level::Exact),
            (false, Authority::Lasting) => level = Some(Level::Differs),
            (false, Authority::Other | Authority::Renewed) => {}
        }
    }
    level
}

fn address(one: &Features, other: &Features) -> Option<Level> {
    let pairs = one.addresses.iter().flat_map(|a| other.addresses.iter().map(move |b| (a, b)));
    let mut level = None;
    for (a, b) in pairs.filter(|(a, b)| a.city != 0 && b.city != 0) {
        match (a.city == b.city, a.street != 0 && a.street == b.street) {
            (true, true) => return Some(Level::Exact),
            (true, false) => level = Some(Level::Part),
            _ => level = level.or(Some(Level::Differs)),
        }
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::commonness::Counted;
    use crate::identity::names::Name;

    #[test]
    fn dates_of_two() {
        for (one, other, level) in [
            ("1985-08-01", "1985-08-01", Some(Level::Exact)),
            ("1985-01-01", "1985-01-01", Some(Level::Common)),
            ("1985-08-01", "1985-01-08", Some(Level::Swapped)),
            ("1985-08-01", "1985-08-07", Some(Level::Close)),
            ("1985-08-01", "1958-08-01", Some(Level::Close)),
            ("1985-08-13", "1985-08-27", Some(Level::Part)),
            ("1985-08-13", "1962-05-27", Some(Level::Differs)),
            ("1985", "1985-08-13", Some(Level::Partial)),
            ("1985-07", "1985-08-13", Some(Level::Differs)),
            ("", "1985-08-13", None),
        ] {
            assert_eq!(birth(Birth::parse(one), Birth::parse(other)), level, "{one} {other}");
        }
    }

    #[test]
    fn the_codice_fiscale_of_two() {
        let code = CodiceFiscale::parse("RSSMRA85M01H501Q").expect("well made");
        let with = |fiscal| Features { fiscal: Some(fiscal), ..Features::default() };
        let one = with(Fiscal::Code(code));
        let faulty = |text: &[u8]| with(Fiscal::Faulty(Name::from_slice(text)));
        let homocode = with(Fiscal::Code(identifiers::homocode(&code, 1)));
        let named = |given: &str, birth: &str| Features {
            given: [super::super::names::normalized(given)].into_iter().collect(),
            birth: Birth::parse(birth),
            ..Features::default()
        };
        for (other, level) in [
            (one.clone(), Some(Level::Exact)),
            (homocode, Some(Level::Sound)),
            (faulty(b"rssmra85m01h510q"), Some(Level::Close)),
            (faulty(b"rssmra"), None),
            (with(Fiscal::Provisional(*b"00743110157")), None),
            (named("Mario", "1985-08-01"), Some(Level::Supports)),
            (named("Marco", "1985-08-01"), Some(Level::Contradicts)),
            (named("Mario", "1985-08-02"), Some(Level::Contradicts)),
            (Features::default(), None),
        ] {
            assert_eq!(fiscal(&one, &other), level, "{other:?}");
            assert_eq!(fiscal(&other, &one), level, "{other:?}");
        }
    }

    #[test]
    fn a_common_name_says_less() {
        let weights = Weights::built_in().expect("built in");
        let person = |family: &str| Features {
            family: [super::super::names::normalized(family)].into_iter().collect(),
            ..Features::default()
        };
        let common = |having| {
            let counted = Counted { having, patients: 100_000 };
            [(family_hash(b"rossi"), counted), (family_hash(b"zunino"), counted)].into_iter().collect()
        };
        let weight = |family: &str, count| {
            let (name, common): (_, Commonness) = (person(family), common(count));
            Asked::new(&name, &common, &weights).compare(&name).sum()
        };
        assert!(weight("Rossi", 5000) < weight("Rossi", 500));
        assert!(weight("Rossi", 500) < weight("Zunino", 0));
        let alike = |count| {
            let common: Commonness = common(count);
            Asked::new(&person("Rossi"), &common, &weights).compare(&person("Rosssi")).sum()
        };
        assert!(alike(5000) < alike(5));
    }
}
