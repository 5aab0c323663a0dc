//! Reading a settings file.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// A settings file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not readable.
    #[error("cannot read the settings file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not YAML of this shape.
    #[error("the settings file {path} is wrong: {detail}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// Where, and what is wrong.
        detail: String,
    },
}

/// Reads a settings file of `T`'s shape.
///
/// # Errors
/// [`SettingsError`] names the file, and the line where it can.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    serde_saphyr::from_str(&text)
        .map_err(|error| SettingsError::Parse { path: path.to_owned(), detail: error.to_string() })
}
