//! One Ed25519 key pair (RFC 8032), as it signs and verifies tokens.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use klatch_domain::Timestamp;
use sha2::{Digest, Sha256};

/// A key pair, decoded once. Its private half never shows in `Debug`.
pub(crate) struct Key {
    /// JWK thumbprint of the public half (RFC 7638; for OKP keys RFC 8037 appendix A.3), so the same key has the same name
    /// everywhere.
    pub(crate) kid: String,
    /// It signs from then on, until the next key does.
    pub(crate) signs_from: Timestamp,
    /// Public half, base64url.
    pub(crate) x: String,
    /// Both halves, PKCS#8 (RFC 8410).
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) encoding: EncodingKey,
    pub(crate) decoding: DecodingKey,
}

impl Key {
    /// A new key from the system's random numbers.
    pub(crate) fn generate(signs_from: Timestamp) -> Result<Self, &'static str> {
        let pair = Ed25519KeyPair::generate().map_err(|_| "the system gives no random numbers")?;
        let document = pair.to_pkcs8().map_err(|_| "the new key cannot be encoded")?;
        Self::from_pkcs8(document.as_ref().to_vec(), signs_from)
    }

    /// The key of a PKCS#8 document.
    pub(crate) fn from_pkcs8(pkcs8: Vec<u8>, signs_from: Timestamp) -> Result<Self, &'static str> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| "it is no PKCS#8 document of an Ed25519 key")?;
        let x = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let decoding = DecodingKey::from_ed_components(&x).map_err(|_| "its public half cannot be read")?;
        Ok(Self {
            kid: URL_SAFE_NO_PAD.encode(thumbprint),
            signs_from,
            x,
            encoding: EncodingKey::from_ed_der(&pkcs8),
            decoding,
            pkcs8,
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("kid", &self.kid)
            .field("signs_from", &self.signs_from)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_private_half() {
        let key = Key::generate(Timestamp::from_millis(1)).unwrap();
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.kid));
        assert!(!shown.contains("pkcs8") && !shown.contains(&format!("{:?}", key.pkcs8)));
    }

    #[test]
    fn the_name_is_the_thumbprint_of_rfc_8037() {
        // RFC 8037 appendix A.1 (private key d) and A.3 (thumbprint).
        let seed = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = Key::from_pkcs8(pair.to_pkcs8().unwrap().as_ref().to_vec(), Timestamp::default()).unwrap();
        assert_eq!(key.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(key.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
