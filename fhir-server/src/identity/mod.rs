//! Who is who: which records of sources are one person.

pub mod settings;
