//! `Idempotency-Key`: the same call twice is one call. Where it can, the key decides the id of what is made, so that the
//! database itself keeps a second one out; only answers with a secret are kept, sealed.

use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use klatch_domain::{Code, UserId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problem::Failure;

const HEADER: &str = "idempotency-key";
/// Bytes of a key: a UUID has 36.
const KEY_BYTES: usize = 255;
/// How long an answer is kept: the wire contract's 60 s.
pub(crate) const KEPT: Duration = Duration::from_secs(60);

/// The caller's name for one call, if it gave one.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let Some(value) = parts.headers.get(HEADER) else { return Ok(Self(None)) };
        let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES);
        let wrong = || Failure::new(Code::ValidationFailed, "Idempotency-Key has 1 to 255 printable ASCII characters");
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(wrong)
    }
}

impl IdempotencyKey {
    /// The id this key gives to what `user` makes; a new one without a key. `purpose` keeps ids of different calls apart.
    pub(crate) fn id_for(&self, purpose: &str, user: UserId) -> Uuid {
        match &self.0 {
            Some(key) => derived(purpose, &[user.as_bytes(), key.as_bytes()]),
            None => Uuid::now_v7(),
        }
    }
}

/// A UUIDv8 (RFC 9562 section 5.8) from SHA-256: nobody finds a second input for it.
pub(crate) fn derived(purpose: &str, parts: &[&[u8]]) -> Uuid {
    let digest = digest(purpose, parts);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes)
}

/// The name a kept answer has in the directory, which so never holds the caller's key itself.
pub(crate) fn kept_name(purpose: &str, parts: &[&[u8]]) -> String {
    let digest = digest(purpose, parts);
    digest.iter().fold(format!("{purpose}/"), |name, byte| format!("{name}{byte:02x}"))
}

fn digest(purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [&[purpose.as_bytes()], parts].concat() {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_one_id_to_one_user_and_purpose() {
        let key = IdempotencyKey(Some("k".to_owned()));
        let (ada, bob) = (UserId::now(), UserId::now());
        assert_eq!(key.id_for("room", ada), key.id_for("room", ada));
        assert_ne!(key.id_for("room", ada), key.id_for("room", bob));
        assert_ne!(key.id_for("room", ada), key.id_for("message", ada));
        assert_ne!(IdempotencyKey(None).id_for("room", ada), IdempotencyKey(None).id_for("room", ada));
        // Lengths are part of it: parts cannot be shifted into each other.
        assert_ne!(derived("x", &[b"ab", b"c"]), derived("x", &[b"a", b"bc"]));
        assert!(!kept_name("refresh", &[b"secret key"]).contains("secret"));
    }

    #[tokio::test]
    async fn keys_are_bounded() {
        for (key, good) in [("k", true), ("", false), (&*"k".repeat(256), false), ("ä", false)] {
            let value = http::HeaderValue::from_bytes(key.as_bytes()).unwrap();
            let (mut parts, ()) = http::Request::builder().header(HEADER, value).body(()).unwrap().into_parts();
            assert_eq!(IdempotencyKey::from_request_parts(&mut parts, &()).await.is_ok(), good, "{key:.10}");
        }
    }
}
