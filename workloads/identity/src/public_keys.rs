//! The public halves of the signing keys: what verifies and cannot sign.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::DecodingKey;
use klatch_domain::Timestamp;
use parking_lot::RwLock;
use serde::Deserialize;
use tokio::sync::Notify;

use crate::{
    Keys,
    token::{self, Principal, TokenError},
};

/// Keys of a set that are looked at. A rotation has two or three.
const KEYS: usize = 64;

/// Whoever can say whose token it is.
pub trait Verify: Send + Sync + 'static {
    /// Whose token this is. Costs one Ed25519 verification, some 50 us.
    ///
    /// # Errors
    /// [`TokenError`].
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError>;
}

impl Verify for Keys {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        Self::verify(self, token, now)
    }
}

/// A key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the set of public keys is wrong: {0}")]
pub struct KeySetError(&'static str);

/// The public keys as somebody else published them (RFC 7517). Whoever holds this replaces them in time: a key is published a
/// while before it signs, and one that was taken back is believed until then.
#[derive(Default)]
pub struct PublicKeys {
    keys: RwLock<Arc<HashMap<String, DecodingKey>>>,
    unknown: Notify,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<PublishedKey>,
}

#[derive(Deserialize)]
struct PublishedKey {
    #[serde(default)]
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    kid: String,
    #[serde(default)]
    x: String,
}

impl PublicKeys {
    /// Takes another set in the place of the one there is. Keys of other kinds are passed over.
    ///
    /// # Errors
    /// [`KeySetError`], when there is no key of ours in it; the old ones then stay.
    pub fn replace(&self, published: &str) -> Result<(), KeySetError> {
        let set: Published =
            serde_json::from_str(published).map_err(|_| KeySetError("it is no JSON of a JWK set (RFC 7517)"))?;
        let mut keys = HashMap::new();
        let ours = set.keys.into_iter().filter(|key| key.kty == "OKP" && key.crv == "Ed25519" && !key.kid.is_empty());
        for key in ours.take(KEYS) {
            let decoding = DecodingKey::from_ed_components(&key.x).map_err(|_| KeySetError("a key cannot be read"))?;
            keys.insert(key.kid, decoding);
        }
        if keys.is_empty() {
            return Err(KeySetError("there is no Ed25519 key in it"));
        }
        *self.keys.write() = Arc::new(keys);
        Ok(())
    }

    /// Whether a set was taken yet.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        !self.keys.read().is_empty()
    }

    /// Waits until a token names a key that is not known here: it may be new. Cancel safe.
    pub async fn met_unknown(&self) {
        self.unknown.notified().await;
    }
}

impl Verify for PublicKeys {
    fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let kid = token::key_id(token)?;
        let keys = Arc::clone(&self.keys.read());
        let Some(key) = keys.get(&kid) else {
            self.unknown.notify_one();
            return Err(TokenError::Invalid("it was signed by a key that is not known here"));
        };
        token::verify(token, key, now)
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::{SessionId, UserId};

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    #[tokio::test]
    async fn the_public_halves_verify_and_follow_a_rotation() {
        let keys = Keys::ephemeral().unwrap();
        let public = PublicKeys::default();
        let token = keys.issue(UserId::now(), SessionId::now(), now()).unwrap();
        assert!(!public.is_loaded());
        assert!(matches!(public.verify(&token, now()), Err(TokenError::Invalid(_))));
        public.met_unknown().await;
        public.replace(&keys.jwks().to_string()).unwrap();
        assert!(public.is_loaded());
        assert_eq!(public.verify(&token, now()), keys.verify(&token, now()));

        keys.replace(Timestamp::from_millis(now().as_millis() + 1)).unwrap();
        public.replace(&keys.jwks().to_string()).unwrap();
        assert!(public.verify(&token, now()).is_err(), "a key that was taken back is taken back here too");
        public.met_unknown().await;
    }

    #[test]
    fn a_set_that_is_none_leaves_the_keys_as_they_were() {
        let keys = Keys::ephemeral().unwrap();
        let public = PublicKeys::default();
        public.replace(&keys.jwks().to_string()).unwrap();
        for bad in [
            "",
            "[]",
            r#"{"keys": []}"#,
            r#"{"keys": [{"kty": "RSA", "kid": "a"}]}"#,
            r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "!"}]}"#,
        ] {
            assert!(public.replace(bad).is_err(), "{bad}");
        }
        let token = keys.issue(UserId::now(), SessionId::now(), now()).unwrap();
        assert!(public.verify(&token, now()).is_ok());
    }
}
