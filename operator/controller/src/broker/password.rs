//! Whether a user has a password, told by its hash (<https://www.rabbitmq.com/docs/passwords#computing-password-hash>): four bytes
//! of salt, then SHA-256 of salt and password, in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const SALT_BYTES: usize = 4;

/// Whether the hash is one of this password.
pub(super) fn is_of(hash: &str, password: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(hash) else { return false };
    let Some((salt, digest)) = bytes.split_at_checked(SALT_BYTES) else { return false };
    Sha256::new().chain_update(salt).chain_update(password).finalize().as_slice() == digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_tells_its_password() {
        // The example of RabbitMQ's documentation: user "simon", password "test12", salt 908D C60A.
        let hash = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
        assert!(is_of(hash, "test12"));
        assert!(!is_of(hash, "test13") && !is_of("", "") && !is_of("no base64!", "test12"));
    }
}
