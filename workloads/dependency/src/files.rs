//! Files with the modes that services insist on: the volumes' group bits (`fsGroup`) loosen them between two starts.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use crate::{DependencyError, error::file};

/// Largest file that is read, bytes: configuration and passwords have a thousandth of it.
const MOST_BYTES: u64 = 1024 * 1024;

/// Makes a folder, for its owner only, or gives it that mode. The root of a volume is left as it is: it belongs to the node's root
/// and opens to the pod's group alone, and nobody but the owner may change a mode (chmod(2)).
pub(crate) fn own_folder(path: &Path) -> Result<(), DependencyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("make", path))?;
    match fs::set_permissions(path, Permissions::from_mode(0o700)) {
        Err(error) if error.kind() != std::io::ErrorKind::PermissionDenied => Err(file("close", path)(error)),
        _ => Ok(()),
    }
}

/// Writes a file for its owner only, whole or not at all.
pub(crate) fn write_own(path: &Path, text: &str) -> Result<(), DependencyError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".unfinished");
    let unfinished = Path::new(&unfinished);
    // One that a crash left may be read-only.
    match fs::remove_file(unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(file("clear", unfinished)(error)),
        _ => {}
    }
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(unfinished)
        .map_err(file("make", unfinished))?;
    open.write_all(text.as_bytes()).and_then(|()| open.sync_all()).map_err(file("write", unfinished))?;
    fs::rename(unfinished, path).map_err(file("put into place", path))
}

/// A file's text, without the line break at its end.
pub(crate) fn read(path: &Path) -> Result<String, DependencyError> {
    let length = fs::metadata(path).map_err(file("find", path))?.len();
    if length > MOST_BYTES {
        return Err(DependencyError::Wrong(format!("{} has more than {MOST_BYTES} bytes", path.display())));
    }
    Ok(fs::read_to_string(path).map_err(file("read", path))?.trim_end_matches(['\r', '\n']).to_owned())
}

/// A password that can stand in any configuration file as it is.
pub(crate) fn password(path: &Path) -> Result<String, DependencyError> {
    let text = read(path)?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let shown = path.display();
        return Err(DependencyError::Wrong(format!("the password in {shown} is not made of letters and digits alone")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn what_is_written_is_its_owners_alone_and_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, file) = (folder.path().join("a/b"), folder.path().join("cookie"));
        own_folder(&inner).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(0o770)).unwrap();
        own_folder(&inner).unwrap();
        assert_eq!(mode(&inner), 0o700);
        write_own(&file, "one").unwrap();
        fs::write(folder.path().join("cookie.unfinished"), "of a crash").unwrap();
        write_own(&file, "other\n").unwrap();
        assert_eq!((mode(&file), read(&file).unwrap().as_str()), (0o600, "other"));
    }

    #[test]
    fn a_password_that_a_configuration_file_would_misread_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        for wrong in ["", "has space", "x\ny", "#x"] {
            fs::write(&file, wrong).unwrap();
            let refused = password(&file).unwrap_err().to_string();
            assert!(refused.contains("letters and digits") && !refused.contains("space"), "{refused}");
        }
        fs::write(&file, "abc123\n").unwrap();
        assert_eq!(password(&file).unwrap(), "abc123");
    }
}
