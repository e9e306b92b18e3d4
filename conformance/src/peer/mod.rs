//! Systems that cannot be reached from here, simulated: they speak the contract of
//! the real ones by themselves, with nothing of this project's own code for it, and
//! fail in every way that they are told to.

pub mod ana;
