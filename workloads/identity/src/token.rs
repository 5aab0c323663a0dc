//! Access tokens: JWT (RFC 7519), EdDSA over Ed25519 (RFC 8037), nothing else.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, errors::ErrorKind};
use klatch_domain::{SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{KeyError, key::Key};

/// Longest token that is looked at, bytes: ours have some 330; a longer one is not ours.
const TOKEN_BYTES: usize = 2_048;

/// Who holds a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: UserId,
    /// The signed-in device or bot token. Whether it was revoked since, the token cannot say.
    pub session: SessionId,
    /// Not accepted from then on.
    pub expires_at: Timestamp,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once: refresh.
    #[error("the access token has expired")]
    Expired,
    /// It is not ours.
    #[error("not a valid access token: {0}")]
    Invalid(&'static str),
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    sid: SessionId,
    /// Seconds since 1970 (RFC 7519 section 2, NumericDate).
    iat: i64,
    exp: i64,
}

pub(crate) fn issue(
    key: &Key,
    user: UserId,
    session: SessionId,
    now: Timestamp,
    lifetime: Duration,
) -> Result<String, KeyError> {
    let claims = Claims { sub: user, sid: session, iat: seconds(now), exp: seconds(now.plus(lifetime)) };
    let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
    jsonwebtoken::encode(&header, &claims, &key.encoding).map_err(|_| KeyError::Crypto("a token cannot be signed"))
}

/// The name of the key a token says it was signed with.
pub(crate) fn key_id(token: &str) -> Result<String, TokenError> {
    if token.len() > TOKEN_BYTES {
        return Err(TokenError::Invalid("it is too long"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid("it is no JWT"))?;
    if header.alg != Algorithm::EdDSA {
        return Err(TokenError::Invalid("it is not signed with EdDSA"));
    }
    header.kid.ok_or(TokenError::Invalid("it names no key"))
}

pub(crate) fn verify(token: &str, key: &DecodingKey, now: Timestamp) -> Result<Principal, TokenError> {
    let data = jsonwebtoken::decode::<Claims>(token, key, &rules()).map_err(|error| match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Invalid("its signature is wrong"),
        _ => TokenError::Invalid("it lacks a claim, or has one of another type"),
    })?;
    let Claims { sub, sid, exp, .. } = data.claims;
    let expires_at = Timestamp::from_millis(exp.saturating_mul(1_000));
    if now >= expires_at {
        return Err(TokenError::Expired);
    }
    Ok(Principal { user: sub, session: sid, expires_at })
}

/// EdDSA only (RFC 8725 section 3.1: a verifier names its algorithms). Expiry is checked against the caller's clock.
fn rules() -> Validation {
    let mut rules = Validation::new(Algorithm::EdDSA);
    rules.algorithms = vec![Algorithm::EdDSA];
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules
}

fn seconds(time: Timestamp) -> i64 {
    time.as_millis().div_euclid(1_000)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use klatch_domain::limits::ACCESS_TOKEN_LIFETIME;
    use serde_json::json;

    use super::*;
    use crate::Keys;

    const NOW: i64 = 1_800_000_000_000;

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    #[test]
    fn a_token_says_who_holds_it_until_it_expires() {
        let keys = Keys::ephemeral().unwrap();
        let (user, session) = (UserId::now(), SessionId::now());
        let token = keys.issue(user, session, now()).unwrap();
        let end = now().plus(ACCESS_TOKEN_LIFETIME);
        let principal = keys.verify(&token, now()).unwrap();
        assert_eq!(principal, Principal { user, session, expires_at: end });
        assert!(keys.verify(&token, Timestamp::from_millis(end.as_millis() - 1)).is_ok());
        assert_eq!(keys.verify(&token, end), Err(TokenError::Expired));
    }

    #[test]
    fn a_token_of_another_kind_is_refused() {
        let keys = Keys::ephemeral().unwrap();
        let token = keys.issue(UserId::now(), SessionId::now(), now()).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        let kid = keys.jwks()["keys"][0]["kid"].as_str().unwrap().to_owned();
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let forged_user =
            encode(json!({"sub": UserId::now(), "sid": SessionId::now(), "iat": 0, "exp": 9_000_000_000u64}));
        let none = encode(json!({"alg": "none", "kid": kid}));
        // The classic confusion: the public key taken for an HMAC secret.
        let x = keys.jwks()["keys"][0]["x"].as_str().unwrap().to_owned();
        let hmac = jsonwebtoken::encode(
            &Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) },
            &json!({"sub": UserId::now(), "sid": SessionId::now(), "iat": 0, "exp": 9_000_000_000u64}),
            &jsonwebtoken::EncodingKey::from_secret(x.as_bytes()),
        )
        .unwrap();
        for bad in [
            String::new(),
            "a.b.c".to_owned(),
            format!("{}.{forged_user}.{}", parts[0], parts[2]),
            format!("{none}.{}.", parts[1]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{token}x"),
            hmac,
            "x".repeat(1_000_000),
            Keys::ephemeral().unwrap().issue(UserId::now(), SessionId::now(), now()).unwrap(),
        ] {
            assert!(matches!(keys.verify(&bad, now()), Err(TokenError::Invalid(_))), "{:.60}", bad);
        }
    }

    #[test]
    fn a_signed_token_without_our_claims_is_refused() {
        let key = Key::generate(now()).unwrap();
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        for claims in [
            json!({"sub": UserId::now(), "sid": SessionId::now(), "iat": 0}),
            json!({"sub": "somebody", "sid": SessionId::now(), "iat": 0, "exp": 9_000_000_000u64}),
            json!({"sub": UserId::now(), "iat": 0, "exp": 9_000_000_000u64}),
        ] {
            let token = jsonwebtoken::encode(&header, &claims, &key.encoding).unwrap();
            assert!(matches!(verify(&token, &key.decoding, now()), Err(TokenError::Invalid(_))), "{claims}");
        }
    }
}
