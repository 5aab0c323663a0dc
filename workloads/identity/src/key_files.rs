//! The folder that keeps signing keys: one file a key, readable by its owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use klatch_domain::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{KeyError, key::Key};

/// Ends the name of a finished key file; anything else in the folder is left alone.
pub const KEY_FILE: &str = ".key.json";
/// Starts the name of a file that was never finished: a crash may leave one.
const UNFINISHED: &str = ".unfinished-";
/// Largest key file that is read, bytes: a real one has some 200.
const FILE_BYTES: u64 = 16 * 1024;

#[derive(Serialize, Deserialize)]
struct KeyFile {
    /// When it begins to sign; the name is from a time when keys signed from their making on.
    #[serde(rename = "created_at")]
    signs_from: Timestamp,
    /// PKCS#8, base64.
    pkcs8: String,
}

/// Makes the folder when it is not there, for its owner only.
pub(crate) fn create_folder(folder: &Path) -> Result<(), KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| KeyError::File {
        step: "make the folder",
        path: folder.to_owned(),
        source,
    })
}

/// Every key of the folder, by when they begin to sign.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<Key>, KeyError> {
    let failed = |source| KeyError::File { step: "list", path: folder.to_owned(), source };
    let mut keys = Vec::new();
    for item in fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Mounted secrets come with hidden folders of their own.
        if name.ends_with(KEY_FILE) && !name.starts_with('.') {
            keys.push(read(&path)?);
        }
    }
    keys.sort_by(|one, other| (one.signs_from, &one.kid).cmp(&(other.signs_from, &other.kid)));
    Ok(keys)
}

fn read(path: &Path) -> Result<Key, KeyError> {
    let failed = |source| KeyError::File { step: "read", path: path.to_owned(), source };
    let damaged = |detail: &str| KeyError::Damaged { path: path.to_owned(), detail: detail.to_owned() };
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES {
        return Err(damaged("it is too large for a key"));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    // serde_json's own message may repeat the text it stumbled over, and that text may be the key.
    let file: KeyFile = serde_json::from_str(&text).map_err(|_| damaged("it is no JSON of a key"))?;
    let pkcs8 = STANDARD.decode(&file.pkcs8).map_err(|_| damaged("pkcs8 is no base64"))?;
    Key::from_pkcs8(pkcs8, file.signs_from).map_err(damaged)
}

/// A new key as the file that [`Keys::open_existing`](crate::Keys::open_existing) reads: its name and what is in it. For whoever
/// keeps keys elsewhere than in a folder.
///
/// # Errors
/// [`KeyError::Crypto`] when the system gives no random numbers.
pub fn new_key_file(signs_from: Timestamp) -> Result<(String, Vec<u8>), KeyError> {
    let key = Key::generate(signs_from).map_err(KeyError::Crypto)?;
    Ok((format!("{}{KEY_FILE}", key.kid), text(&key)?))
}

/// From when on the key of such a file signs, if it is one.
#[must_use]
pub fn signs_from(file: &[u8]) -> Option<Timestamp> {
    serde_json::from_slice::<KeyFile>(file).ok().map(|file| file.signs_from)
}

fn text(key: &Key) -> Result<Vec<u8>, KeyError> {
    let file = KeyFile { signs_from: key.signs_from, pkcs8: STANDARD.encode(&key.pkcs8) };
    serde_json::to_vec(&file).map_err(|_| KeyError::Crypto("the new key cannot be written as JSON"))
}

/// Writes a key so that after a crash it is there whole, or not at all.
pub(crate) fn write(folder: &Path, key: &Key) -> Result<(), KeyError> {
    let text = text(key)?;
    let unfinished = folder.join(format!("{UNFINISHED}{}", key.kid));
    let finished = path_of(folder, &key.kid);
    let step = |step, path: &Path| {
        let path = path.to_owned();
        move |source| KeyError::File { step, path, source }
    };
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(step("clear", &unfinished)(error));
        }
        _ => {}
    }
    let mut out = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(step("create", &unfinished))?;
    out.write_all(&text).and_then(|()| out.sync_all()).map_err(step("write", &unfinished))?;
    fs::rename(&unfinished, &finished).map_err(step("rename", &unfinished))?;
    sync_folder(folder)
}

/// Forgets a key.
pub(crate) fn remove(folder: &Path, kid: &str) -> Result<(), KeyError> {
    let path = path_of(folder, kid);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(KeyError::File { step: "remove", path, source }),
        _ => sync_folder(folder),
    }
}

/// Removes what a crash left unfinished. Nobody else writes at the same time: the data folder is locked.
pub(crate) fn remove_unfinished(folder: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { step: "list", path: folder.to_owned(), source };
    for item in fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNFINISHED)) {
            fs::remove_file(&path).map_err(|source| KeyError::File { step: "remove", path, source })?;
        }
    }
    Ok(())
}

fn path_of(folder: &Path, kid: &str) -> PathBuf {
    folder.join(format!("{kid}{KEY_FILE}"))
}

/// A rename is on disk only once its folder is.
fn sync_folder(folder: &Path) -> Result<(), KeyError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| KeyError::File {
        step: "sync",
        path: folder.to_owned(),
        source,
    })
}
