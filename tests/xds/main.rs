//! Documents by SOAP and by FHIR: two doors to the same.

mod agreement;
mod audit;
mod communities;
mod doors;
mod elsewhere;
mod listener;
mod peer;
mod removal;
mod subscriptions;
mod users;
mod versions;
