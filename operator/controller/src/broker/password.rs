//! Passwords of users are sent and compared as hashes (<https://www.rabbitmq.com/docs/passwords#computing-password-hash>): four bytes
//! of salt, then SHA-256 of salt and password, in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const SALT_BYTES: usize = 4;
/// Its name at the broker, whose own default may be another one.
pub(super) const ALGORITHM: &str = "rabbit_password_hashing_sha256";

/// The hash of a password.
pub(super) fn hash(password: &str, salt: [u8; SALT_BYTES]) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(password).finalize();
    STANDARD.encode([salt.as_slice(), digest.as_slice()].concat())
}

/// Whether the hash is one of this password.
pub(super) fn is_of(hash: &str, password: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(hash) else { return false };
    bytes.first_chunk().is_some_and(|salt| self::hash(password, *salt) == hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_its_password() {
        // The example of RabbitMQ's documentation: user "simon", password "test12", salt 908D C60A.
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert!(is_of(hash, "test12"));
        assert_eq!(super::hash("test12", [0x90, 0x8d, 0xc6, 0x0a]), hash);
        assert!(!is_of(hash, "test13") && !is_of("", "") && !is_of("no base64!", "test12"));
    }
}
