//! The signing keys: one signs, all that may still be needed verify.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use jsonwebtoken::DecodingKey;
use klatch_domain::{SessionId, Timestamp, UserId, limits::ACCESS_TOKEN_LIFETIME};
use parking_lot::{Mutex, RwLock};
use serde_json::json;

use crate::{
    SecretError,
    key::Key,
    key_files, sealed,
    token::{self, Principal, TokenError},
};

/// The longest a token may be issued for: `klatch bench` uses tokens of an hour.
const LONGEST_TOKEN: Duration = Duration::from_secs(3600);
/// How long after its successor was made a key still verifies: tokens made with it, and another hour for processes that
/// have not read the new key yet.
const KEPT_AFTER_ROTATION: Duration = Duration::from_secs(2 * 3600);

/// Why keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file or folder of keys could not be read or written.
    #[error("signing keys: {step} {path}: {source}")]
    File {
        /// What was tried.
        step: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key file holds no key.
    #[error("signing keys: {path} is damaged: {detail}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// The cryptography refused.
    #[error("signing keys: {0}")]
    Crypto(&'static str),
}

/// Signs and verifies access tokens.
pub struct Keys {
    folder: Option<PathBuf>,
    set: RwLock<Arc<KeySet>>,
    /// Rotations and reloads go one after another.
    change: Mutex<()>,
}

/// The keys in use, oldest first; the last one signs. Never empty.
struct KeySet {
    keys: Vec<Arc<Key>>,
}

impl Keys {
    /// The keys of a folder. An empty folder gets its first key; the folder is made when it is not there.
    ///
    /// # Errors
    /// [`KeyError`] names the file.
    pub fn open(folder: &Path) -> Result<Arc<Self>, KeyError> {
        key_files::create_folder(folder)?;
        key_files::remove_unfinished(folder)?;
        let mut keys = key_files::read_all(folder)?;
        if keys.is_empty() {
            let key = Key::generate(system_time()).map_err(KeyError::Crypto)?;
            key_files::write(folder, &key)?;
            keys.push(key);
        }
        Ok(Arc::new(Self::of(Some(folder.to_owned()), keys)))
    }

    /// A key that lives as long as this value: for tests.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the system gives no random numbers.
    pub fn ephemeral() -> Result<Arc<Self>, KeyError> {
        let key = Key::generate(system_time()).map_err(KeyError::Crypto)?;
        Ok(Arc::new(Self::of(None, vec![key])))
    }

    fn of(folder: Option<PathBuf>, keys: Vec<Key>) -> Self {
        let keys = keys.into_iter().map(Arc::new).collect();
        Self { folder, set: RwLock::new(Arc::new(KeySet { keys })), change: Mutex::new(()) }
    }

    /// Makes a new signing key. Older ones verify until every token made with them has expired, then they go.
    ///
    /// # Errors
    /// [`KeyError`]; the keys are then as they were.
    pub fn rotate(&self, now: Timestamp) -> Result<(), KeyError> {
        let _change = self.change.lock();
        let set = self.set();
        // A clock that was set back must not leave the old key the newest.
        let newest = set.newest().created_at;
        let created_at = now.max(Timestamp::from_millis(newest.as_millis().saturating_add(1)));
        let key = Key::generate(created_at).map_err(KeyError::Crypto)?;
        if let Some(folder) = &self.folder {
            key_files::write(folder, &key)?;
        }
        let mut keys = set.keys.clone();
        keys.push(Arc::new(key));
        let next = Arc::new(KeySet { keys });
        let kept = next.still_needed(now);
        let gone: Vec<_> = next.keys.iter().filter(|key| !kept.iter().any(|other| other.kid == key.kid)).collect();
        *self.set.write() = Arc::new(KeySet { keys: kept });
        // The new key signs already; a file that cannot be removed is tried again by the next rotation.
        for key in gone {
            if let Some(folder) = &self.folder {
                key_files::remove(folder, &key.kid)?;
            }
        }
        Ok(())
    }

    /// Reads the folder again, for keys another process has made.
    ///
    /// # Errors
    /// [`KeyError`]; the keys are then as they were.
    pub fn reload(&self) -> Result<(), KeyError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let _change = self.change.lock();
        let keys = key_files::read_all(folder)?;
        if keys.is_empty() {
            return Err(KeyError::Damaged { path: folder.clone(), detail: "no key is left in it".to_owned() });
        }
        *self.set.write() = Arc::new(KeySet { keys: keys.into_iter().map(Arc::new).collect() });
        Ok(())
    }

    /// An access token of the usual lifetime.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn issue(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<String, KeyError> {
        self.issue_for(user, session, now, ACCESS_TOKEN_LIFETIME)
    }

    /// An access token of another lifetime, at most an hour.
    ///
    /// # Errors
    /// [`KeyError::Crypto`].
    pub fn issue_for(
        &self,
        user: UserId,
        session: SessionId,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<String, KeyError> {
        token::issue(self.set().newest(), user, session, now, lifetime.min(LONGEST_TOKEN))
    }

    /// Whose token this is. Costs one Ed25519 verification, some 50 us.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let kid = token::key_id(token)?;
        let set = self.set();
        let key =
            set.verifying(&kid, now).ok_or(TokenError::Invalid("it was signed by a key that is not known here"))?;
        token::verify(token, key, now)
    }

    /// Seals an answer that carries secrets, for whoever holds these keys. `context` is authenticated with it.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn seal(&self, context: &str, answer: &[u8]) -> Result<Vec<u8>, SecretError> {
        sealed::seal_under(&self.set().newest().pkcs8, context, answer)
    }

    /// Opens what [`Keys::seal`] made with the same context, also before the last rotation.
    ///
    /// # Errors
    /// [`SecretError::Malformed`] for anything else.
    pub fn open_sealed(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
        let set = self.set();
        let opened = set.keys.iter().rev().find_map(|key| sealed::open_under(&key.pkcs8, context, sealed).ok());
        opened.ok_or(SecretError::Malformed)
    }

    /// The public keys as a JWK set (RFC 7517), OKP as of RFC 8037.
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self
            .set()
            .keys
            .iter()
            .map(
                |key| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key.kid, "x": key.x}),
            )
            .collect();
        json!({ "keys": keys })
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.set.read())
    }
}

impl KeySet {
    fn newest(&self) -> &Key {
        // Never empty: every way to make a set puts a key in.
        &self.keys[self.keys.len() - 1]
    }

    fn verifying(&self, kid: &str, now: Timestamp) -> Option<&DecodingKey> {
        let index = self.keys.iter().position(|key| key.kid == kid)?;
        self.needed(index, now).then(|| &self.keys[index].decoding)
    }

    /// Whether a token made with this key may still be good.
    fn needed(&self, index: usize, now: Timestamp) -> bool {
        self.keys.get(index + 1).is_none_or(|successor| now < successor.created_at.plus(KEPT_AFTER_ROTATION))
    }

    fn still_needed(&self, now: Timestamp) -> Vec<Arc<Key>> {
        let needed = |(index, _): &(usize, &Arc<Key>)| self.needed(*index, now);
        self.keys.iter().enumerate().filter(needed).map(|(_, key)| Arc::clone(key)).collect()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Keys")
            .field("folder", &self.folder)
            .field("keys", &self.set().keys)
            .finish_non_exhaustive()
    }
}

/// Only for the age of keys; everything else is handed its time.
fn system_time() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn later(now: Timestamp, hours: u64) -> Timestamp {
        now.plus(Duration::from_secs(hours * 3600))
    }

    struct Folder(PathBuf);
    impl Folder {
        fn new() -> Self {
            Self(std::env::temp_dir().join(format!("klatch-keys-{}", SessionId::now())))
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_key_outlives_a_restart_and_is_its_owners_only() {
        let folder = Folder::new();
        let (user, session, now) = (UserId::now(), SessionId::now(), system_time());
        let token = Keys::open(&folder.0).unwrap().issue(user, session, now).unwrap();
        let files: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|item| item.unwrap()).collect();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(folder.0.join(".unfinished-x"), "{").unwrap();
        let principal = Keys::open(&folder.0).unwrap().verify(&token, now).unwrap();
        assert_eq!((principal.user, principal.session), (user, session));
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_named_and_never_replaced() {
        let folder = Folder::new();
        drop(Keys::open(&folder.0).unwrap());
        let file = std::fs::read_dir(&folder.0).unwrap().next().unwrap().unwrap().path();
        std::fs::write(&file, "not a key").unwrap();
        let error = Keys::open(&folder.0).unwrap_err().to_string();
        assert!(error.contains(file.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a key");
    }

    #[test]
    fn rotation_keeps_old_tokens_good_and_forgets_old_keys_later() {
        let folder = Folder::new();
        let keys = Keys::open(&folder.0).unwrap();
        let other_process = Keys::open(&folder.0).unwrap();
        let (user, session, now) = (UserId::now(), SessionId::now(), system_time());
        let old = keys.issue(user, session, now).unwrap();
        keys.rotate(now).unwrap();
        let new = keys.issue(user, session, now).unwrap();
        assert!(keys.verify(&old, now).is_ok() && keys.verify(&new, now).is_ok());
        assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
        assert!(matches!(other_process.verify(&new, now), Err(TokenError::Invalid(_))));
        other_process.reload().unwrap();
        assert!(other_process.verify(&new, now).is_ok() && other_process.verify(&old, now).is_ok());

        // Long after: the first key verifies nothing, and the next rotation removes its file.
        let long = keys.issue_for(user, session, later(now, 3), Duration::from_secs(3600)).unwrap();
        assert!(matches!(keys.verify(&old, later(now, 3)), Err(TokenError::Invalid(_))));
        keys.rotate(later(now, 3)).unwrap();
        assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
        assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
        assert!(keys.verify(&long, later(now, 3)).is_ok());
    }

    #[test]
    fn a_clock_set_back_does_not_revive_an_old_key() {
        let keys = Keys::ephemeral().unwrap();
        let first = keys.set().newest().kid.clone();
        keys.rotate(Timestamp::from_millis(5)).unwrap();
        assert_ne!(keys.set().newest().kid, first);
    }

    #[test]
    fn sealed_answers_outlive_a_rotation() {
        let keys = Keys::ephemeral().unwrap();
        let sealed = keys.seal("context", b"secret").unwrap();
        keys.rotate(system_time()).unwrap();
        assert_eq!(keys.open_sealed("context", &sealed).unwrap(), b"secret");
        assert!(keys.open_sealed("another", &sealed).is_err());
        assert!(Keys::ephemeral().unwrap().open_sealed("context", &sealed).is_err());
    }

    #[test]
    fn the_key_set_is_public_halves_only() {
        let keys = Keys::ephemeral().unwrap();
        let key = &keys.jwks()["keys"][0];
        assert_eq!((key["kty"].as_str(), key["crv"].as_str()), (Some("OKP"), Some("Ed25519")));
        assert!(key["x"].as_str().is_some_and(|x| x.len() == 43) && key.get("d").is_none());
        assert!(!format!("{keys:?}").contains("pkcs8"));
    }
}
