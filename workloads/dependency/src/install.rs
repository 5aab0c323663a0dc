//! `klatch dependency install`: copies this program to where the other containers of the pod find it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{DependencyError, error::file};

/// Copies this program, whole or not at all.
///
/// # Errors
/// [`DependencyError::File`].
pub fn install(to: &Path) -> Result<(), DependencyError> {
    let own: PathBuf = env::current_exe().map_err(file("find", Path::new("this program")))?;
    let unfinished = to.with_extension("unfinished");
    fs::copy(&own, &unfinished).map_err(file("copy to", &unfinished))?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o555)).map_err(file("close", &unfinished))?;
    fs::rename(&unfinished, to).map_err(file("put into place", to))
}
