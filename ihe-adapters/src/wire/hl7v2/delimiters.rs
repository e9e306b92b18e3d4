//! The characters that take a message apart.
//!
//! Spec: HL7 v2.5.1 section 2.5.4, HL7 v2.7 section 2.5.5.2 (truncation)

use super::message::MessageError;

/// The characters that take a message apart, told by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Usually `|`.
    pub field: char,
    /// Usually `^`.
    pub component: char,
    /// Usually `~`.
    pub repetition: char,
    /// Usually `\`.
    pub escape: char,
    /// Usually `&`.
    pub subcomponent: char,
    /// Usually `#`: ends what was cut off. Few headers name one.
    pub truncation: Option<char>,
}

impl Default for Delimiters {
    fn default() -> Delimiters {
        Delimiters {
            field: '|',
            component: '^',
            repetition: '~',
            escape: '\\',
            subcomponent: '&',
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Reads the delimiters of a message that begins with its header.
    ///
    /// # Errors
    /// When there is no header, or its delimiters are not different signs.
    pub fn of(text: &str) -> Result<Delimiters, MessageError> {
        let mut signs = text.strip_prefix("MSH").ok_or(MessageError::Header)?.chars();
        let mut next = || signs.next().filter(|c| !c.is_control());
        let found = (next(), next(), next(), next(), next());
        let (Some(field), Some(component), Some(repetition), Some(escape), Some(subcomponent)) = found else {
            return Err(MessageError::Header);
        };
        // What stands behind the four is the end of the field, or a fifth.
        let truncation = next().filter(|sign| *sign != field);
        if truncation.is_some() && next().is_some_and(|sign| sign != field) {
            return Err(MessageError::Delimiters);
        }
        let all =
            [Some(field), Some(component), Some(repetition), Some(escape), Some(subcomponent), truncation];
        let all: Vec<char> = all.into_iter().flatten().collect();
        let distinct = all
            .iter()
            .enumerate()
            .all(|(at, c)| !c.is_alphanumeric() && !c.is_whitespace() && !all[..at].contains(c));
        if !distinct {
            return Err(MessageError::Delimiters);
        }
        Ok(Delimiters { field, component, repetition, escape, subcomponent, truncation })
    }

    /// Writes MSH-1 and MSH-2.
    pub fn write(&self) -> String {
        let signs = [self.field, self.component, self.repetition, self.escape, self.subcomponent];
        signs.into_iter().chain(self.truncation).collect()
    }
}
