//! Documents by SOAP and by FHIR: two doors to the same.

mod agreement;
mod audit;
mod communities;
mod doors;
mod merged;
mod peer;
mod removal;
mod users;
mod versions;
