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
    /// A secret cannot be had.
    #[error("cannot take the secret of {from}: {detail}")]
    Secret {
        /// Which file or environment variable.
        from: String,
        /// Why.
        detail: String,
    },
}

/// Reads a settings file of `T`'s shape.
///
/// # Errors
/// [`SettingsError`] names the file, and the line where it can.
pub fn read_file<T: DeserializeOwned>(path: &Path) -> Result<T, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
    read_text(&text).map_err(|detail| SettingsError::Parse { path: path.to_owned(), detail })
}

/// Reads settings of `T`'s shape from YAML.
///
/// # Errors
/// Where, and what is wrong.
pub fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string())
}
