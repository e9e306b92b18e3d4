//! The section `[identity]` of the settings.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::weights::{Weights, WeightsError};

/// The section `[identity]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityFile {
    /// A file of weights; what it does not say is built in.
    pub weights: Option<PathBuf>,
}

/// Reads the weights that are set.
///
/// # Errors
/// When the file cannot be read, or what it says cannot be used.
pub fn weights(file: Option<&Path>) -> Result<Weights, WeightsError> {
    let Some(path) = file else { return Weights::built_in() };
    let text = std::fs::read_to_string(path)
        .map_err(|error| WeightsError::Form(format!("`{}` cannot be read: {error}", path.display())))?;
    Weights::parse(&text)
}
