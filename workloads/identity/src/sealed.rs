//! Answers that carry secrets, kept sealed: what the directory holds is of no use to who reads the directory.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};

use crate::{RefreshToken, SecretError};

/// Keeps these keys apart from any other use of the same secret (RFC 5869 section 3.2).
const PURPOSE: &[u8] = b"klatch kept answer v1";

/// Seals `answer` so that only who holds `token` can open it. `context` is authenticated with it.
///
/// # Errors
/// [`SecretError::NoRandomness`].
pub fn seal(token: &RefreshToken, context: &str, answer: &[u8]) -> Result<Vec<u8>, SecretError> {
    seal_under(token.secret(), context, answer)
}

/// Opens what [`seal`] made with the same token and context.
///
/// # Errors
/// [`SecretError::Malformed`] for anything else.
pub fn open_sealed(token: &RefreshToken, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
    open_under(token.secret(), context, sealed)
}

/// AES-256-GCM with a random nonce in front, the key from the secret by HKDF.
pub(crate) fn seal_under(secret: &[u8], context: &str, answer: &[u8]) -> Result<Vec<u8>, SecretError> {
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SecretError::NoRandomness)?;
    let mut text = answer.to_vec();
    key_of(secret)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut text)
        .map_err(|_| SecretError::NoRandomness)?;
    Ok([nonce.as_slice(), text.as_slice()].concat())
}

pub(crate) fn open_under(secret: &[u8], context: &str, sealed: &[u8]) -> Result<Vec<u8>, SecretError> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SecretError::Malformed)?;
    let mut text = text.to_vec();
    let answer = key_of(secret)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(context.as_bytes()), &mut text)
        .map_err(|_| SecretError::Malformed)?;
    Ok(answer.to_vec())
}

fn key_of(secret: &[u8]) -> Result<LessSafeKey, SecretError> {
    let derived = Salt::new(HKDF_SHA256, PURPOSE).extract(secret);
    let derived = derived.expand(&[PURPOSE], &AES_256_GCM).map_err(|_| SecretError::Malformed)?;
    Ok(LessSafeKey::new(UnboundKey::from(derived)))
}

#[cfg(test)]
mod tests {
    use klatch_domain::SessionId;

    use super::*;

    #[test]
    fn only_the_same_token_opens_it() {
        let token = RefreshToken::first(SessionId::now()).unwrap();
        let sealed = seal(&token, "key", b"secret answer").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(open_sealed(&token, "key", &sealed).unwrap(), b"secret answer");
        assert!(open_sealed(&token, "other key", &sealed).is_err());
        assert!(open_sealed(&token.next().unwrap(), "key", &sealed).is_err());
        assert!(open_sealed(&token, "key", &sealed[..sealed.len() - 1]).is_err());
        assert!(open_sealed(&token, "key", b"short").is_err());
        assert_ne!(seal(&token, "key", b"secret answer").unwrap(), sealed);
    }
}
