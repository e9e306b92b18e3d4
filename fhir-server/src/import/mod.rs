//! Loading of files: transactions, batches, collections, single resources and
//! NDJSON, from files, folders and archives, through the one gate.

pub mod load;
pub mod source;
