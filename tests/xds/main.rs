//! Documents by SOAP and by FHIR: two doors to the same.

mod doors;
mod peer;
mod removal;
mod versions;
