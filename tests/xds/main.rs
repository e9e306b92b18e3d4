//! Documents by SOAP and by FHIR: two doors to the same. And the directory of those who share them.

mod agreement;
mod audit;
mod communities;
mod directory;
mod doors;
mod elsewhere;
mod listener;
mod merged;
mod mhd;
mod nodes;
mod patients;
mod peer;
mod removal;
mod schemas;
mod small;
mod storage;
mod subscriptions;
mod time;
mod users;
mod versions;
