//! The patient index by HL7 v3 (PIXV3): what sources tell, what consumers ask,
//! and what they are told.
//!
//! - ITI-44: [`identity_feed`].
//! - ITI-45: [`pix_query`].
//! - ITI-46: [`update_notification`].
//! - [`refusal`]: why something is not done, as messages of HL7 v3 say it.
//!
//! Spec: ITI TF-1 23

pub mod identity_feed;
pub mod pix_query;
pub mod refusal;
pub mod update_notification;
