//! The identifiers that Italy gives to persons: which text can be one, and what
//! it says of the person.
//!
//! Nothing is looked up: a code that is well made may still be nobody's.
//!
//! - codice fiscale: 16 characters, by the decree of 23 December 1976, n. 13813: three letters
//!   of the family name, three of the given name, year, month and day of birth (the day of women plus 40), the
//!   place of birth, a control character. When two persons would have the same code, digits of it are replaced
//!   by letters, from the right (*omocodia*): [`CodiceFiscale::plain`] undoes that.
//! - the provisional one: 11 digits, with the control digit of a partita IVA.
//! - STP and ENI: three letters, three digits of the region, three of the health authority, seven of a number.
//! - TEAM (the European health insurance card): ten digits of who issued it, ten of the card. A control digit is
//!   not documented, and not asked for.

/// The OIDs under which they are assigned.
pub mod oid {
    /// Codice fiscale.
    pub const CODICE_FISCALE: &str = "2.16.840.1.113883.2.9.4.3.2";
    /// TEAM: the number of the card.
    pub const TEAM_CARD: &str = "2.16.840.1.113883.2.9.4.3.7";
    /// TEAM: the number of the person.
    pub const TEAM_PERSON: &str = "2.16.840.1.113883.2.9.4.3.3";
    /// The national registry of assisted persons.
    pub const ANA: &str = "2.16.840.1.113883.2.9.4.3.15";
    /// The national registry of the resident population.
    pub const ANPR: &str = "2.16.840.1.113883.2.9.4.3.16";
    /// STP: foreigners who are present for a time.
    pub const STP: &str = "2.16.840.1.113883.2.9.4.3.17";
    /// ENI: Europeans who are not registered.
    pub const ENI: &str = "2.16.840.1.113883.2.9.4.3.18";
}

/// Why a text is no such identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierFault {
    /// It is too short or too long.
    #[error("it has {found} characters, not {expected}")]
    Length {
        /// How many it has.
        found: usize,
        /// How many it should have.
        expected: &'static str,
    },
    /// A character is none that may stand there.
    #[error("character {at} may not stand there")]
    Character {
        /// Which one, from 1 on.
        at: usize,
    },
    /// Its beginning is another.
    #[error("it does not begin with {0}")]
    Beginning(&'static str),
    /// There is no such date of birth.
    #[error("there is no such date of birth")]
    Date,
    /// The control character does not fit to the others.
    #[error("its control character does not fit to the others: one of them is wrong")]
    Control,
}

/// The sex of which a codice fiscale tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sex {
    /// A woman.
    Female,
    /// A man.
    Male,
}

const LENGTH: usize = 16;
/// What stands for the months, in their order.
const MONTHS: &[u8; 12] = b"ABCDEHLMPRST";
/// What stands for the digits where somebody else has the same code.
const HOMOCODES: &[u8; 10] = b"LMNPQRSTUV";
/// Where digits stand, from 0 on.
const DIGITS_AT: [usize; 7] = [6, 7, 9, 10, 12, 13, 14];
/// What characters count at the first, third ... place, as letters and as digits alike.
const ODD_VALUES: [u32; 26] =
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/// A codice fiscale of 16 characters that is well made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodiceFiscale {
    text: [u8; LENGTH],
    plain: [u8; LENGTH],
}

impl CodiceFiscale {
    /// Reads one; small letters and spaces around it do not matter.
    ///
    /// # Errors
    /// Why the text is none.
    pub fn parse(text: &str) -> Result<CodiceFiscale, IdentifierFault> {
        let text: [u8; LENGTH] = exactly(text, "16")?;
        let mut plain = text;
        for (at, byte) in text.iter().enumerate() {
            let may_stand = match at {
                8 => MONTHS.contains(byte),
                at if DIGITS_AT.contains(&at) => byte.is_ascii_digit() || HOMOCODES.contains(byte),
                _ => byte.is_ascii_uppercase(),
            };
            if !may_stand {
                return Err(IdentifierFault::Character { at: at + 1 });
            }
            if let Some(digit) =
                HOMOCODES.iter().position(|letter| letter == byte).filter(|_| DIGITS_AT.contains(&at))
            {
                plain[at] = b'0' + digit as u8;
            }
        }
        plain[LENGTH - 1] = control(&plain);
        let code = CodiceFiscale { text, plain };
        let (year, month, day) = code.birth();
        // That of the year is 1900 or 2000: the one is no leap year, the other is.
        let days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let last = if month == 2 && year % 4 != 0 { 28 } else { days[usize::from(month) - 1] };
        if day == 0 || day > last {
            return Err(IdentifierFault::Date);
        }
        if control(&text) != text[LENGTH - 1] {
            return Err(IdentifierFault::Control);
        }
        Ok(code)
    }

    /// Returns it in capitals.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the code that the person would have if nobody else had the same.
    pub fn plain(&self) -> &str {
        std::str::from_utf8(&self.plain).unwrap_or_default()
    }

    /// Tells whether digits are replaced because somebody else has the same code.
    pub fn is_homocode(&self) -> bool {
        self.text != self.plain
    }

    /// Returns the three letters of the family name.
    pub fn family_code(&self) -> [u8; 3] {
        [self.text[0], self.text[1], self.text[2]]
    }

    /// Returns the three letters of the given name.
    pub fn given_code(&self) -> [u8; 3] {
        [self.text[3], self.text[4], self.text[5]]
    }

    /// Returns the last two digits of the year, the month and the day of birth.
    pub fn birth(&self) -> (u8, u8, u8) {
        let number = |at: usize| (self.plain[at] - b'0') * 10 + (self.plain[at + 1] - b'0');
        let month = MONTHS.iter().position(|letter| *letter == self.plain[8]).unwrap_or(0);
        (number(6), month as u8 + 1, number(9) % 40)
    }

    /// Returns the sex.
    pub fn sex(&self) -> Sex {
        if self.plain[9] >= b'4' { Sex::Female } else { Sex::Male }
    }

    /// Returns the code of the municipality of birth, or of the country (`Z...`).
    pub fn place(&self) -> &str {
        std::str::from_utf8(&self.plain[11..15]).unwrap_or_default()
    }
}

/// Returns the control character of the first 15 characters.
fn control(code: &[u8; LENGTH]) -> u8 {
    let value = |byte: u8| usize::from(if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' });
    let sum: u32 = code[..LENGTH - 1]
        .iter()
        .enumerate()
        .map(|(at, byte)| if at % 2 == 0 { ODD_VALUES[value(*byte)] } else { value(*byte) as u32 })
        .sum();
    b'A' + (sum % 26) as u8
}

/// Reads so many capitals and digits.
fn exactly<const N: usize>(text: &str, expected: &'static str) -> Result<[u8; N], IdentifierFault> {
    let text = text.trim();
    if let Some(at) = text.chars().position(|c| !c.is_ascii_alphanumeric()) {
        return Err(IdentifierFault::Character { at: at + 1 });
    }
    let capitals = text.to_ascii_uppercase();
    let found = capitals.len();
    <[u8; N]>::try_from(capitals.into_bytes()).map_err(|_| IdentifierFault::Length { found, expected })
}

/// Returns the letters for a family name, of folded text (small letters, no accents).
pub fn family_code(folded: &str) -> [u8; 3] {
    letters(folded, false)
}

/// Returns the letters for a given name, of folded text: of four consonants and
/// more the second is left out.
pub fn given_code(folded: &str) -> [u8; 3] {
    letters(folded, true)
}

fn letters(folded: &str, is_given: bool) -> [u8; 3] {
    let is_vowel = |byte: &u8| matches!(byte, b'A' | b'E' | b'I' | b'O' | b'U');
    let letters: Vec<u8> =
        folded.bytes().filter(u8::is_ascii_alphabetic).map(|b| b.to_ascii_uppercase()).collect();
    let mut chosen: Vec<u8> = letters.iter().copied().filter(|b| !is_vowel(b)).collect();
    if is_given && chosen.len() > 3 {
        chosen.remove(1);
    }
    chosen.extend(letters.iter().copied().filter(is_vowel));
    let mut out = [b'X'; 3];
    out.iter_mut().zip(chosen).for_each(|(place, letter)| *place = letter);
    out
}

/// Makes a codice fiscale of what it says of a person; `None` when a part cannot
/// stand in one. `place` is the code of the place of birth.
pub fn codice_fiscale(
    (family, given): (&str, &str),
    (year, month, day): (u16, u8, u8),
    sex: Sex,
    place: &str,
) -> Option<CodiceFiscale> {
    let mut code = [b'0'; LENGTH];
    code[..3].copy_from_slice(&family_code(family));
    code[3..6].copy_from_slice(&given_code(given));
    let day = day.checked_add(if sex == Sex::Female { 40 } else { 0 })?;
    let two = |number: u16| [b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
    code[6..8].copy_from_slice(&two(year));
    code[8] = *MONTHS.get(usize::from(month.checked_sub(1)?))?;
    code[9..11].copy_from_slice(&two(day.into()));
    code[11..15].copy_from_slice(place.as_bytes().first_chunk::<4>()?);
    if !code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return None;
    }
    code[LENGTH - 1] = control(&code);
    CodiceFiscale::parse(std::str::from_utf8(&code).ok()?).ok()
}

/// Returns the same code with so many digits replaced, from the right, as it is given
/// to somebody whose code somebody else has already.
pub fn homocode(of: &CodiceFiscale, replaced: usize) -> CodiceFiscale {
    let mut text = of.plain;
    for at in DIGITS_AT.into_iter().rev().take(replaced) {
        text[at] = HOMOCODES[usize::from(text[at] - b'0')];
    }
    text[LENGTH - 1] = control(&text);
    CodiceFiscale { text, plain: of.plain }
}

/// Checks a provisional codice fiscale: 11 digits.
///
/// # Errors
/// Why the text is none.
pub fn provisional(text: &str) -> Result<[u8; 11], IdentifierFault> {
    let digits: [u8; 11] = exactly(text, "11")?;
    check_digits(&digits, 0)?;
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(at, byte)| match (at % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    if sum.is_multiple_of(10) { Ok(digits) } else { Err(IdentifierFault::Control) }
}

/// Checks the code of a foreigner who is present for a time: `STP` and 13 digits.
///
/// # Errors
/// Why the text is none.
pub fn stp(text: &str) -> Result<[u8; 16], IdentifierFault> {
    of_foreigners(text, "STP")
}

/// Checks the code of a European who is not registered: `ENI` and 13 digits.
///
/// # Errors
/// Why the text is none.
pub fn eni(text: &str) -> Result<[u8; 16], IdentifierFault> {
    of_foreigners(text, "ENI")
}

fn of_foreigners(text: &str, beginning: &'static str) -> Result<[u8; 16], IdentifierFault> {
    let code: [u8; 16] = exactly(text, "16")?;
    if !code.starts_with(beginning.as_bytes()) {
        return Err(IdentifierFault::Beginning(beginning));
    }
    check_digits(&code, beginning.len())?;
    Ok(code)
}

/// Checks the number of a European health insurance card: 20 digits.
///
/// # Errors
/// Why the text is none.
pub fn team(text: &str) -> Result<[u8; 20], IdentifierFault> {
    let card: [u8; 20] = exactly(text, "20")?;
    check_digits(&card, 0)?;
    Ok(card)
}

fn check_digits(code: &[u8], from: usize) -> Result<(), IdentifierFault> {
    match code.iter().skip(from).position(|byte| !byte.is_ascii_digit()) {
        Some(at) => Err(IdentifierFault::Character { at: from + at + 1 }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults<T: std::fmt::Debug>(
        check: fn(&str) -> Result<T, IdentifierFault>,
        rows: &[(&str, IdentifierFault)],
    ) {
        for (text, fault) in rows {
            assert_eq!(check(text).expect_err(text), *fault, "{text}");
        }
    }

    #[test]
    fn what_a_codice_fiscale_says() {
        let code = CodiceFiscale::parse(" rssmra85m01h501q ").expect("well made");
        assert_eq!((code.as_str(), code.plain()), ("RSSMRA85M01H501Q", "RSSMRA85M01H501Q"));
        assert_eq!((code.family_code(), code.given_code()), (*b"RSS", *b"MRA"));
        assert_eq!((code.birth(), code.sex(), code.place()), ((85, 8, 1), Sex::Male, "H501"));
        let woman = codice_fiscale(("bianchi", "anna"), (1952, 2, 29), Sex::Female, "D969").expect("made");
        assert_eq!((woman.birth(), woman.sex()), ((52, 2, 29), Sex::Female));
        assert!(woman.as_str().starts_with("BNCNNA52B69D969"), "{}", woman.as_str());
    }

    #[test]
    fn what_is_none() {
        use IdentifierFault::{Beginning, Character, Control, Date, Length};
        faults(
            CodiceFiscale::parse,
            &[
                ("", Length { found: 0, expected: "16" }),
                ("RSSMRA85M01H501", Length { found: 15, expected: "16" }),
                ("RSSMRA85M01H501X", Control),
                ("RSMSRA85M01H501Q", Control),
                ("1SSMRA85M01H501Q", Character { at: 1 }),
                ("RSSMRA8AM01H501Q", Character { at: 8 }),
                ("RSSMRA85F01H501Q", Character { at: 9 }),
                ("RSSMRA85M01H50ÀQ", Character { at: 15 }),
                ("RSSMRA85M00H501Q", Date),
                ("RSSMRA85B30H501Q", Date),
                ("RSSMRA85B29H501Q", Date),
                ("RSSMRA85M32H501Q", Date),
                ("RSSMRA85M72H501Q", Date),
            ],
        );
        faults(
            provisional,
            &[
                ("00743110158", Control),
                ("0074311015", Length { found: 10, expected: "11" }),
                ("0074311015A", Character { at: 11 }),
            ],
        );
        assert!(provisional("00743110157").is_ok());
        faults(stp, &[("ENI0700011234567", Beginning("STP")), ("STP07000112345X7", Character { at: 15 })]);
        assert!(stp("STP0700011234567").is_ok() && eni("eni0700011234567").is_ok());
        faults(
            team,
            &[
                ("803800007", Length { found: 9, expected: "20" }),
                ("8038000070012345678X", Character { at: 20 }),
            ],
        );
        assert!(team("80380000700123456789").is_ok());
    }

    #[test]
    fn letters_of_names() {
        for (name, family, given) in [
            ("rossi", b"RSS", b"RSS"),
            ("fo", b"FOX", b"FOX"),
            ("aiello", b"LLA", b"LLA"),
            ("gianfranco", b"GNF", b"GFR"),
            ("de luca", b"DLC", b"DLC"),
            ("d'agostino", b"DGS", b"DST"),
            ("maria teresa", b"MRT", b"MTR"),
            ("", b"XXX", b"XXX"),
        ] {
            assert_eq!((family_code(name), given_code(name)), (*family, *given), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_code_that_was_made_is_read(
            family in "[a-z' ]{0,12}", given in "[a-z]{0,12}", year in 1900u16..2030, month in 1u8..=12,
            day in 1u8..=28, is_woman: bool, place in "[A-MZ][0-9]{3}", replaced in 0usize..=7,
        ) {
            let sex = if is_woman { Sex::Female } else { Sex::Male };
            let code = codice_fiscale((&family, &given), (year, month, day), sex, &place).expect("made");
            prop_assert_eq!(code.birth(), ((year % 100) as u8, month, day));
            prop_assert_eq!((code.sex(), code.place()), (sex, place.as_str()));
            prop_assert!(!code.is_homocode());
            let other = homocode(&code, replaced);
            let read = CodiceFiscale::parse(other.as_str()).expect("well made");
            prop_assert_eq!(read, other);
            prop_assert_eq!(read.plain(), code.as_str());
            prop_assert_eq!(read.is_homocode(), replaced > 0);
            prop_assert_eq!((read.birth(), read.sex(), read.place()), (code.birth(), sex, place.as_str()));
        }

        #[test]
        fn a_wrong_character_is_noticed(at in 0usize..15, other in "[A-Z0-9]") {
            let good = "RSSMRA85M01H501Q";
            let mut bad = good.to_owned();
            bad.replace_range(at..=at, &other);
            prop_assume!(bad != good);
            // Several characters count the same at places that are odd: letters and digits, nothing else.
            let same = |a: u8, b: u8| {
                let value = |c: u8| if c.is_ascii_digit() { c - b'0' } else { c - b'A' };
                value(a) == value(b)
            };
            let expected = same(bad.as_bytes()[at], good.as_bytes()[at]);
            prop_assert!(CodiceFiscale::parse(&bad).is_err() || expected);
        }

        #[test]
        fn no_text_causes_a_panic(text in "\\PC{0,24}") {
            let _ = (CodiceFiscale::parse(&text), provisional(&text), stp(&text), eni(&text), team(&text));
            let _ = (family_code(&text), given_code(&text));
        }
    }
}
