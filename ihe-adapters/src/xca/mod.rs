//! Cross-Community Access: questions and retrievals of other communities,
//! answered for this one (responding gateway), and those of this one, asked of
//! the others (initiating gateway).
//!
//! - [`cross_gateway_query`] is ITI-38.
//! - [`cross_gateway_retrieve`] is ITI-39.
//! - [`initiating_gateway`] brings the answers of many communities together.

pub mod cross_gateway_query;
pub mod cross_gateway_retrieve;
pub mod initiating_gateway;

use crate::wire::ebrs::{ErrorCode, RegistryError};

/// Checks that a request is for this community. `home`: what it names;
/// `is_needed`: whether it has to name one; `ours`: `urn:oid:...`.
///
/// # Errors
/// `XDSMissingHomeCommunityId`, `XDSUnknownCommunity`.
///
/// Spec: ITI TF-2 3.38.4.1.3
fn check_home(home: Option<&str>, is_needed: bool, ours: &str) -> Result<(), RegistryError> {
    let home = home.map(str::trim).filter(|home| !home.is_empty());
    let error = match home {
        None if is_needed => {
            RegistryError::new(ErrorCode::MissingHomeCommunityId, "the request names no community")
        }
        Some(other) if other != ours => {
            let other: String = other.chars().take(100).collect();
            let context = format!("the community `{other}` is not known here");
            RegistryError::new(ErrorCode::UnknownCommunity, context)
        }
        _ => return Ok(()),
    };
    Err(error.at(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_this_community() {
        let ours = "urn:oid:1.2.3";
        for (home, is_needed, expected) in [
            (Some(ours), true, None),
            (None, false, None),
            (Some(" "), true, Some(ErrorCode::MissingHomeCommunityId)),
            (None, true, Some(ErrorCode::MissingHomeCommunityId)),
            (Some("urn:oid:1.2.4"), false, Some(ErrorCode::UnknownCommunity)),
            (Some("1.2.3"), true, Some(ErrorCode::UnknownCommunity)),
        ] {
            let error = check_home(home, is_needed, ours).err();
            assert_eq!(error.as_ref().map(|e| e.code), expected, "{home:?}");
            assert!(error.is_none_or(|e| e.location == ours));
        }
    }
}
