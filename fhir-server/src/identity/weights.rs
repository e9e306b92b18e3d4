//! What agreements and disagreements weigh: read from a file, and built in for
//! what the file does not say.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The weights that are built in.
const BUILT_IN: &str = include_str!("weights.toml");
/// The least share, so that no weight is beyond measure.
const SHARE_MIN: f64 = 1e-12;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// The family name.
    Family,
    /// The given names.
    Given,
    /// The date of birth.
    Birth,
    /// The sex.
    Sex,
    /// The codice fiscale.
    Fiscal,
    /// Another identifier.
    Identifier,
    /// Where the person lives.
    Address,
    /// Telephone or e-mail.
    Phone,
    /// Where the person was born.
    BirthPlace,
    /// The mother's family name before she married.
    Mother,
}

impl Field {
    /// Returns the code by which files and Tasks name it.
    pub fn code(self) -> &'static str {
        match self {
            Field::Family => "family",
            Field::Given => "given",
            Field::Birth => "birth",
            Field::Sex => "sex",
            Field::Fiscal => "fiscal",
            Field::Identifier => "identifier",
            Field::Address => "address",
            Field::Phone => "phone",
            Field::BirthPlace => "birth-place",
            Field::Mother => "mother",
        }
    }
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// They are the same.
    Exact,
    /// They are the same, and so are those of many.
    Common,
    /// A slip of the hand is between them.
    Close,
    /// One has a part of the other.
    Part,
    /// One is the initial of the other.
    Initial,
    /// They sound alike; for a codice fiscale, they are the same but for homocodia.
    Sound,
    /// Family and given name, or day and month, are exchanged.
    Swapped,
    /// What is known of both is the same, and one is not known as a whole.
    Partial,
    /// One is missing, and what the other one says agrees with the rest.
    Supports,
    /// One is missing, and what the other one says does not agree with the rest.
    Contradicts,
    /// They are others.
    Differs,
}

impl Level {
    /// Returns the code by which files and Tasks name it.
    pub fn code(self) -> &'static str {
        match self {
            Level::Exact => "exact",
            Level::Common => "common",
            Level::Close => "close",
            Level::Part => "part",
            Level::Initial => "initial",
            Level::Sound => "sound",
            Level::Swapped => "swapped",
            Level::Partial => "partial",
            Level::Supports => "supports",
            Level::Contradicts => "contradicts",
            Level::Differs => "differs",
        }
    }
}

/// How often two records stand so to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Those of one person.
    pub m: f64,
    /// Those of two persons.
    pub u: f64,
}

impl Shares {
    /// Returns what it weighs, in bits.
    pub fn weight(self) -> f64 {
        (self.m / self.u).log2()
    }
}

type LevelShares = BTreeMap<Level, (f64, f64)>;

/// A file of weights: what it does not say is built in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WeightsFile {
    link: Option<f64>,
    review: Option<f64>,
    block_members_max: Option<usize>,
    known_names: Option<f64>,
    #[serde(flatten)]
    fields: BTreeMap<Field, LevelShares>,
}

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// It is no such file.
    #[error("{0}")]
    Form(String),
    /// A share is none.
    #[error("`{field:?}` `{level:?}`: shares are above 0 and at most 1")]
    Share {
        /// Of what.
        field: Field,
        /// Of which level.
        level: Level,
    },
    /// A level that is never found of this field.
    #[error("`{field:?}` is never found to be `{level:?}`")]
    Level {
        /// Of what.
        field: Field,
        /// Which level.
        level: Level,
    },
    /// The thresholds exclude each other.
    #[error("`review` is below `link`, and both are numbers")]
    Thresholds,
    /// A limit is none.
    #[error("`block-members-max` is from 1 to 10000, `known-names` at least 0")]
    Limit,
}

/// The weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weights {
    /// From which sum on two are linked.
    pub link: f64,
    /// From which sum on two are reviewed.
    pub review: f64,
    /// How many members a block may have.
    pub block_members_max: usize,
    /// For how many stored Patients the built-in shares of names count.
    pub known_names: f64,
    shares: Table,
}

/// How many fields there are.
const FIELDS: usize = Field::Mother as usize + 1;
/// How many levels there are.
const LEVELS: usize = Level::Differs as usize + 1;

/// The shares of each level of each field that may be found, with what they weigh: asked for some ten
/// times for each two that are compared.
type Table = [[Option<(Shares, f64)>; LEVELS]; FIELDS];

impl Default for Weights {
    /// Those that are built in; nobody is linked by what cannot be read.
    fn default() -> Weights {
        Weights::built_in().unwrap_or(Weights {
            link: f64::MAX,
            review: f64::MAX,
            block_members_max: 1,
            known_names: 0.0,
            shares: Table::default(),
        })
    }
}

impl Weights {
    /// Returns those that are built in.
    ///
    /// # Errors
    /// None, but for a mistake in this program.
    pub fn built_in() -> Result<Weights, WeightsError> {
        let empty = Weights {
            link: 0.0,
            review: 0.0,
            block_members_max: 1,
            known_names: 0.0,
            shares: Table::default(),
        };
        empty.with(BUILT_IN, false)
    }

    /// Reads weights from the text of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Weights, WeightsError> {
        Weights::built_in()?.with(text, true)
    }

    fn with(mut self, text: &str, only_known: bool) -> Result<Weights, WeightsError> {
        let file: WeightsFile =
            toml::from_str(text).map_err(|error| WeightsError::Form(error.to_string()))?;
        self.link = file.link.unwrap_or(self.link);
        self.review = file.review.unwrap_or(self.review);
        self.block_members_max = file.block_members_max.unwrap_or(self.block_members_max);
        self.known_names = file.known_names.unwrap_or(self.known_names);
        for (field, levels) in file.fields {
            for (level, (m, u)) in levels {
                let place = &mut self.shares[field as usize][level as usize];
                if only_known && place.is_none() {
                    return Err(WeightsError::Level { field, level });
                }
                if !(SHARE_MIN..=1.0).contains(&m) || !(SHARE_MIN..=1.0).contains(&u) {
                    return Err(WeightsError::Share { field, level });
                }
                let shares = Shares { m, u };
                *place = Some((shares, shares.weight()));
            }
        }
        if !(self.link.is_finite() && self.review.is_finite() && self.review < self.link) {
            return Err(WeightsError::Thresholds);
        }
        let is_limit = (1..=10_000).contains(&self.block_members_max)
            && self.known_names.is_finite()
            && self.known_names >= 0.0;
        if is_limit { Ok(self) } else { Err(WeightsError::Limit) }
    }

    /// Returns the shares of a level; one that is never found weighs nothing.
    pub fn shares(&self, field: Field, level: Level) -> Shares {
        self.shares[field as usize][level as usize].map_or(Shares { m: 1.0, u: 1.0 }, |(shares, _)| shares)
    }

    /// Returns what a level weighs, in bits; one that is never found weighs nothing.
    pub fn weight(&self, field: Field, level: Level) -> f64 {
        self.shares[field as usize][level as usize].map_or(0.0, |(_, weight)| weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_built_in() {
        let weights = Weights::built_in().expect("built in");
        assert!(weights.shares(Field::Family, Level::Exact).weight() > 5.0);
        assert!(weights.shares(Field::Fiscal, Level::Differs).weight() < -5.0);
        assert_eq!(weights.shares(Field::Sex, Level::Sound).weight(), 0.0);
        // What agrees weighs more than what nearly agrees, and that more than what differs.
        for field in [Field::Family, Field::Given, Field::Birth, Field::Fiscal, Field::Mother] {
            let weight = |level| weights.shares(field, level).weight();
            assert!(weight(Level::Exact) > weight(Level::Close), "{field:?}");
            assert!(weight(Level::Close) > weight(Level::Differs), "{field:?}");
        }
    }

    #[test]
    fn codes_are_those_of_files() {
        let file: WeightsFile = toml::from_str(BUILT_IN).expect("built in");
        let levels =
            file.fields.iter().flat_map(|(field, levels)| levels.keys().map(move |level| (field, level)));
        for (field, level) in levels {
            let text = format!("[{}]\n{} = [0.25, 0.125]", field.code(), level.code());
            let read = Weights::parse(&text).expect("valid");
            assert_eq!(read.shares(*field, *level), Shares { m: 0.25, u: 0.125 }, "{text}");
        }
    }

    #[test]
    fn a_file_changes_what_it_says() {
        let weights = Weights::parse("link = 30.5\n[sex]\nexact = [0.9, 0.45]").expect("valid");
        let built_in = Weights::built_in().expect("built in");
        assert_eq!((weights.link, weights.review), (30.5, built_in.review));
        assert_eq!(weights.shares(Field::Sex, Level::Exact), Shares { m: 0.9, u: 0.45 });
        assert_eq!(weights.shares(Field::Sex, Level::Differs), built_in.shares(Field::Sex, Level::Differs));
    }

    #[test]
    fn files_that_cannot_be_used() {
        for (text, expected) in [
            ("link = 1.0\nreview = 2.0", "`review` is below"),
            ("link = nan", "`review` is below"),
            ("[sex]\nexact = [0.9, 0.0]", "above 0"),
            ("[sex]\nexact = [1.9, 0.5]", "above 0"),
            ("[sex]\nsound = [0.9, 0.5]", "never found"),
            ("[sox]\nexact = [0.9, 0.5]", "sox"),
            ("[sex]\nexact = 3", "invalid type"),
            ("block-members-max = 0", "from 1 to"),
            ("known-names = -1.0", "at least 0"),
            ("link = ", ""),
        ] {
            let error = Weights::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
