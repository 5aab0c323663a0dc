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
    key_files,
    rotation::{KEPT_AFTER_ROTATION, next_signs_from},
    sealed,
    token::{self, Principal, TokenError},
};

/// The longest a token may be issued for: `klatch bench` uses tokens of an hour.
const LONGEST_TOKEN: Duration = Duration::from_secs(3600);

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

/// The keys in use, by when they begin to sign; the last may still wait for its time. Never empty.
struct KeySet {
    keys: Vec<Arc<Key>>,
    /// The latest time that keys were changed or read at. A clock that is set back later does not make an old key sign.
    seen: Timestamp,
}

impl Keys {
    /// The keys of a folder. An empty folder gets its first key; the folder is made when it is not there.
    ///
    /// # Errors
    /// [`KeyError`] names the file.
    pub fn open(folder: &Path) -> Result<Arc<Self>, KeyError> {
        Self::open_at(folder, system_time())
    }

    /// [`Self::open`] at another time than the system's.
    ///
    /// # Errors
    /// [`KeyError`] names the file.
    pub fn open_at(folder: &Path, now: Timestamp) -> Result<Arc<Self>, KeyError> {
        key_files::create_folder(folder)?;
        key_files::remove_unfinished(folder)?;
        let mut keys = key_files::read_all(folder)?;
        if keys.is_empty() {
            let key = Key::generate(now).map_err(KeyError::Crypto)?;
            key_files::write(folder, &key)?;
            keys.push(key);
        }
        Ok(Arc::new(Self::of(Some(folder.to_owned()), keys, now)))
    }

    /// The keys of a folder that somebody else keeps: nothing is written there but by [`Self::rotate`] and its like.
    ///
    /// # Errors
    /// [`KeyError`] names the file; an empty folder is damaged.
    pub fn open_existing(folder: &Path) -> Result<Arc<Self>, KeyError> {
        let keys = key_files::read_all(folder)?;
        if keys.is_empty() {
            return Err(KeyError::Damaged { path: folder.to_owned(), detail: "no key is in it".to_owned() });
        }
        Ok(Arc::new(Self::of(Some(folder.to_owned()), keys, system_time())))
    }

    /// A key that lives as long as this value: for tests.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] when the system gives no random numbers.
    pub fn ephemeral() -> Result<Arc<Self>, KeyError> {
        let now = system_time();
        let key = Key::generate(now).map_err(KeyError::Crypto)?;
        Ok(Arc::new(Self::of(None, vec![key], now)))
    }

    fn of(folder: Option<PathBuf>, keys: Vec<Key>, seen: Timestamp) -> Self {
        let keys = keys.into_iter().map(Arc::new).collect();
        Self { folder, set: RwLock::new(Arc::new(KeySet { keys, seen })), change: Mutex::new(()) }
    }

    /// Makes a key that signs at once; one that waits for its time is dropped. Older ones verify until every token made with
    /// them has expired, then they go.
    ///
    /// # Errors
    /// [`KeyError`]; the new key may sign already, and the same call again does the rest.
    pub fn rotate(&self, now: Timestamp) -> Result<(), KeyError> {
        let _change = self.change.lock();
        let set = self.set();
        let seen = set.seen.max(now);
        // A clock that was set back must not leave the old key the newest.
        let signing = set.signing(now).signs_from;
        let signs_from = now.max(Timestamp::from_millis(signing.as_millis().saturating_add(1)));
        let mut keys: Vec<_> = set.keys.iter().filter(|key| key.signs_from <= seen).cloned().collect();
        keys.push(self.generate(signs_from)?);
        self.change_to(&set, KeySet { keys, seen: seen.max(signs_from) }, now)
    }

    /// As [`Self::rotate`], and the older keys verify nothing any more: for when one may have leaked. Access tokens made with
    /// them are refused from now on; whoever holds a refresh token gets a new one.
    ///
    /// # Errors
    /// As [`Self::rotate`].
    pub fn replace(&self, now: Timestamp) -> Result<(), KeyError> {
        let _change = self.change.lock();
        let set = self.set();
        let next = KeySet { keys: vec![self.generate(now)?], seen: set.seen.max(now) };
        self.change_to(&set, next, now)
    }

    /// Makes the next key when it is time, [`PUBLISHED_AHEAD`](crate::rotation::PUBLISHED_AHEAD) of its first signature, and forgets keys whose tokens have all
    /// expired. Answers whether it made one. To be called at start and every
    /// [`LOOK_EVERY`](crate::rotation::LOOK_EVERY).
    ///
    /// # Errors
    /// [`KeyError`]; the next call does what this one did not.
    pub fn rotate_when_due(&self, now: Timestamp) -> Result<bool, KeyError> {
        let _change = self.change.lock();
        let set = self.set();
        let times: Vec<_> = set.keys.iter().map(|key| key.signs_from).collect();
        let due = next_signs_from(&times, now);
        let mut keys = set.keys.clone();
        if let Some(signs_from) = due {
            keys.push(self.generate(signs_from)?);
            keys.sort_by_key(|key| key.signs_from);
        }
        self.change_to(&set, KeySet { keys, seen: set.seen.max(now) }, now)?;
        Ok(due.is_some())
    }

    /// A new key, on disk before anybody uses it.
    fn generate(&self, signs_from: Timestamp) -> Result<Arc<Key>, KeyError> {
        let key = Key::generate(signs_from).map_err(KeyError::Crypto)?;
        if let Some(folder) = &self.folder {
            key_files::write(folder, &key)?;
        }
        Ok(Arc::new(key))
    }

    /// Puts a set in the place of another, without the keys nobody needs any more.
    fn change_to(&self, old: &KeySet, next: KeySet, now: Timestamp) -> Result<(), KeyError> {
        let kept = next.still_needed(now);
        let gone: Vec<_> = old
            .keys
            .iter()
            .chain(&next.keys)
            .filter(|key| !kept.iter().any(|other| other.kid == key.kid))
            .cloned()
            .collect();
        *self.set.write() = Arc::new(KeySet { keys: kept, seen: next.seen });
        // The new set is in use; a file that cannot be removed is read again by the next start, and gone after it.
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
        let seen = self.set().seen;
        *self.set.write() = Arc::new(KeySet { keys: keys.into_iter().map(Arc::new).collect(), seen });
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
        token::issue(self.set().signing(now), user, session, now, lifetime.min(LONGEST_TOKEN))
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
        // One that waits may be dropped before its time.
        let set = self.set();
        sealed::seal_under(&set.signing(set.seen).pkcs8, context, answer)
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
    /// The key that signs now: the last whose time has come.
    fn signing(&self, now: Timestamp) -> &Key {
        let now = now.max(self.seen);
        let begun = self.keys.iter().rposition(|key| key.signs_from <= now);
        // None has begun only when the clock was set back: the first is then as good as any. Never empty: every way to make
        // a set puts a key in.
        &self.keys[begun.unwrap_or(0)]
    }

    fn verifying(&self, kid: &str, now: Timestamp) -> Option<&DecodingKey> {
        let index = self.keys.iter().position(|key| key.kid == kid)?;
        self.needed(index, now).then(|| &self.keys[index].decoding)
    }

    /// Whether a token made with this key may still be good.
    fn needed(&self, index: usize, now: Timestamp) -> bool {
        self.keys.get(index + 1).is_none_or(|successor| now < successor.signs_from.plus(KEPT_AFTER_ROTATION))
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
mod tests;
