//! Documents by SOAP and by FHIR: two doors to the same. And the directory of those who share them.

mod agreement;
mod audit;
mod communities;
mod directory;
mod doors;
mod mhd;
mod peer;
mod removal;
mod users;
mod versions;
