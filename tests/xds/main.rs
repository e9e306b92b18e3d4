//! Documents by SOAP and by FHIR: two doors to the same.

mod agreement;
mod audit;
mod communities;
mod doors;
mod peer;
mod removal;
mod small;
mod users;
mod versions;
