//! Secrets: by a file the settings name, or by the environment; never in a settings file, never on a command line.

use std::{fmt, path::Path};

use crate::SettingsError;

/// Largest secret file that is read, bytes: a password or a token.
const SECRET_BYTES: u64 = 16 * 1024;

/// A password or token. It does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret made elsewhere.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for whoever has to say it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// The secret of this file, or else of this environment variable; `None` when neither is there. A line break at the end of the
/// file is no part of it. The file is read at each call, so a rotated secret is found by a new connection.
///
/// # Errors
/// [`SettingsError::Secret`] names the file or the variable, never what is in it.
pub fn secret(file: Option<&Path>, variable: &'static str) -> Result<Option<Secret>, SettingsError> {
    let Some(path) = file else {
        return match std::env::var(variable) {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(Secret(text))),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(refused(variable, "it is no UTF-8")),
        };
    };
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| refused(&shown, &error.to_string());
    if std::fs::metadata(path).map_err(failed)?.len() > SECRET_BYTES {
        return Err(refused(&shown, "it is too large for a secret"));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(refused(&shown, "it is empty"));
    }
    Ok(Some(Secret(text.to_owned())))
}

fn refused(from: &str, detail: &str) -> SettingsError {
    SettingsError::Secret { from: from.to_owned(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_whole_and_shown_by_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "correct horse \n").unwrap();
        let found = secret(Some(&file), "KLATCH_TEST_NOT_SET").unwrap().unwrap();
        assert_eq!(found.reveal(), "correct horse ");
        assert!(!format!("{found:?}").contains("horse"));
        assert_eq!(secret(None, "KLATCH_TEST_NOT_SET").unwrap(), None);
    }

    #[test]
    fn a_secret_that_cannot_be_had_is_named_and_not_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        assert!(secret(Some(&file), "KLATCH_TEST").unwrap_err().to_string().contains("password"));
        std::fs::write(&file, "\n").unwrap();
        assert!(secret(Some(&file), "KLATCH_TEST").unwrap_err().to_string().contains("empty"));
        std::fs::write(&file, "x".repeat(20_000)).unwrap();
        let refused = secret(Some(&file), "KLATCH_TEST").unwrap_err().to_string();
        assert!(refused.contains("too large") && !refused.contains("xxx"));
    }
}
