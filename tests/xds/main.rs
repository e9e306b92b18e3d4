//! Documents by SOAP and by FHIR: two doors to the same.

mod agreement;
mod audit;
mod communities;
mod doors;
mod nodes;
mod peer;
mod removal;
mod storage;
mod time;
mod users;
mod versions;
