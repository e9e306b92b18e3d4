//! What counts of a person, packed: a form byte, flags, then what the flags say is
//! there, lists with their length in front. Numbers are little-endian. What is stored is read back by
//! [`super::Features::unpack`]; another form is another making (`super::MAKING`).

use smallvec::SmallVec;

use ihe_adapters::italy::identifiers::CodiceFiscale;

use super::features::{Address, Authority, Birth, Features, Fiscal, Identifier, Sex};
use super::names::{Name, Names};

const FORM: u8 = 1;

const MULTIPLE: u8 = 1;
const SUBSUMED: u8 = 2;
const FEMALE: u8 = 4;
const MALE: u8 = 8;
const MOTHER: u8 = 16;
const PLACE: u8 = 32;

/// The kinds of codice fiscale, as they are numbered.
const NO_FISCAL: u8 = 0;
const CODE: u8 = 1;
const PROVISIONAL: u8 = 2;
const FAULTY: u8 = 3;

pub(super) fn pack(features: &Features) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    out.push(FORM);
    out.push(
        flag(features.is_multiple, MULTIPLE)
            | flag(features.is_subsumed, SUBSUMED)
            | flag(features.sex == Some(Sex::Female), FEMALE)
            | flag(features.sex == Some(Sex::Male), MALE)
            | flag(features.mother.is_some(), MOTHER)
            | flag(features.birth_place.is_some(), PLACE),
    );
    out.extend_from_slice(&features.birth.year.to_le_bytes());
    out.extend_from_slice(&[features.birth.month, features.birth.day]);
    put_names(&features.family, &mut out);
    put_names(&features.given, &mut out);
    features.mother.iter().for_each(|name| put_text(name, &mut out));
    match &features.fiscal {
        None => out.push(NO_FISCAL),
        Some(Fiscal::Code(code)) => {
            out.push(CODE);
            out.extend_from_slice(code.as_str().as_bytes());
        }
        Some(Fiscal::Provisional(digits)) => {
            out.push(PROVISIONAL);
            out.extend_from_slice(digits);
        }
        Some(Fiscal::Faulty(text)) => {
            out.push(FAULTY);
            put_text(text, &mut out);
        }
    }
    out.push(features.identifiers.len() as u8);
    for identifier in &features.identifiers {
        out.push(match identifier.authority {
            Authority::Other => 0,
            Authority::Renewed => 1,
            Authority::Lasting => 2,
        });
        put_u32(identifier.system, &mut out);
        put_u32(identifier.value, &mut out);
    }
    out.push(features.phones.len() as u8);
    features.phones.iter().for_each(|phone| put_u32(*phone, &mut out));
    out.push(features.addresses.len() as u8);
    for address in &features.addresses {
        put_u32(address.city, &mut out);
        put_u32(address.street, &mut out);
    }
    features.birth_place.iter().for_each(|place| put_u32(*place, &mut out));
    out
}

fn put_u32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    let text = text.get(..usize::from(u8::MAX)).unwrap_or(text);
    out.push(text.len() as u8);
    out.extend_from_slice(text);
}

fn put_names(names: &Names, out: &mut Vec<u8>) {
    out.push(names.len() as u8);
    names.iter().for_each(|name| put_text(name, out));
}

pub(super) fn unpack(bytes: &[u8]) -> Option<Features> {
    let mut from = Source(bytes);
    let [form, flags] = from.chunk()?;
    if form != FORM {
        return None;
    }
    let birth = Birth { year: u16::from_le_bytes(from.chunk()?), month: from.byte()?, day: from.byte()? };
    let (family, given) = (from.list(Source::text)?, from.list(Source::text)?);
    let mother = if flags & MOTHER == 0 { None } else { Some(from.text()?) };
    let fiscal = match from.byte()? {
        NO_FISCAL => None,
        CODE => {
            let text: [u8; 16] = from.chunk()?;
            Some(Fiscal::Code(CodiceFiscale::parse(std::str::from_utf8(&text).ok()?).ok()?))
        }
        PROVISIONAL => Some(Fiscal::Provisional(from.chunk()?)),
        FAULTY => Some(Fiscal::Faulty(from.text()?)),
        _ => return None,
    };
    let identifiers = from.list(Source::identifier)?;
    let phones = from.list(Source::u32)?;
    let addresses = from.list(|from| Some(Address { city: from.u32()?, street: from.u32()? }))?;
    let birth_place = if flags & PLACE == 0 { None } else { Some(from.u32()?) };
    let sex = match (flags & FEMALE != 0, flags & MALE != 0) {
        (true, _) => Some(Sex::Female),
        (_, true) => Some(Sex::Male),
        _ => None,
    };
    from.0.is_empty().then_some(Features {
        family,
        given,
        mother,
        birth,
        sex,
        fiscal,
        identifiers,
        phones,
        addresses,
        birth_place,
        is_multiple: flags & MULTIPLE != 0,
        is_subsumed: flags & SUBSUMED != 0,
    })
}

/// Bytes that are yet to be read.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<Name> {
        let length = usize::from(self.byte()?);
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Name::from_slice(taken))
    }

    fn identifier(&mut self) -> Option<Identifier> {
        let authority = match self.byte()? {
            0 => Authority::Other,
            1 => Authority::Renewed,
            2 => Authority::Lasting,
            _ => return None,
        };
        Some(Identifier { authority, system: self.u32()?, value: self.u32()? })
    }

    fn list<A: smallvec::Array>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Option<A::Item>,
    ) -> Option<SmallVec<A>> {
        let count = self.byte()?;
        (0..count).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = unpack(&bytes);
            if let Some(first) = bytes.first_mut() {
                *first = FORM;
                let _ = unpack(&bytes);
            }
        }

        #[test]
        fn what_is_cut_off_is_noticed(names in proptest::collection::vec("[a-z]{1,12}", 1..3), phone: u32) {
            let features = Features {
                family: names.iter().map(|name| Name::from_slice(name.as_bytes())).collect(),
                phones: [phone].into_iter().collect(),
                ..Features::default()
            };
            let packed = pack(&features);
            for end in 0..packed.len() {
                prop_assert_eq!(unpack(&packed[..end]), None);
            }
            prop_assert_eq!(unpack(&packed), Some(features));
        }
    }
}
