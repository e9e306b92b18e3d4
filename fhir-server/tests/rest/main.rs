//! The HTTP door over real connections, before an API that records what it is
//! asked and answers as it is told.

mod answers;
mod attacks;
mod client;
mod recorder;
mod requests;
mod stopping;
