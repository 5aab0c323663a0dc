//! From a token to who holds it: signing keys and their rotation, access tokens, refresh and bot tokens, passwords.
//!
//! Nothing here opens a database or a socket. The only files are the key files of [`Keys`].

mod key;
mod key_files;
mod keys;
mod password;
mod password_rule;
mod public_keys;
mod refresh;
pub mod rotation;
mod sealed;
mod secret;
mod token;

pub use key_files::{KEY_FILE, new_key_file, signs_from};
pub use keys::{KeyError, Keys, LONGEST_TOKEN};
pub use password::{PasswordError, Passwords};
pub use password_rule::{PASSWORD_BYTES, PASSWORD_CHARS, check_password};
pub use public_keys::{KeySetError, PublicKeys, Verify};
pub use refresh::{RefreshCheck, StoredSecret, check_refresh};
pub use sealed::{open_sealed, seal};
pub use secret::{BotToken, RefreshToken, SecretError};
pub use token::{Principal, TokenError};
